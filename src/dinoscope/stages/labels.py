"""Labels of a collection and what its neighbours say of them; every function is a method of ``Collection``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError
from dinoscope.stages.results import keep

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.collection import Collection

__all__ = ["Predictions", "classifier", "classify", "evaluate", "predictions"]

_STORED_NEIGHBORS = 30  # of the graph that every collection has
_WIDEST = 100  # voters that an evaluation tries
_BLOCK_ROWS = 4096


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the labelled images say of every image, each left out in turn.

    Attributes:
        labels: The label with the most votes (N,), strings.
        probabilities: Its calibrated probability (N,), 0 to 1.
        own: Probability of the image's own label (N,); NaN where it has none.
        familiarity: Share of the labelled images that lie at least as far out (N,), above 0 to 1.
        unknown: Whether it lies too far from everything to be named (N,).
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.float64]
    own: NDArray[np.float64]
    familiarity: NDArray[np.float64]
    unknown: NDArray[np.bool_]


def classifier(collection: Collection, *, k: int = 20, set_level: float = 0.9, refuse: float = 0.05) -> Classifier:
    """Return what names images by the collection's labelled ones, made once and kept while the collection is open.

    Args:
        collection: The collection.
        k: Voters.
        set_level: Share of sets of labels that are to hold the truth.
        refuse: Share of images of the known kind that may be called unknown.

    Raises:
        InputError: Fewer than two images have a label, or an argument cannot work.
    """
    from dinoscope.analysis.labels.classifier import Classifier

    known = collection.classifiers.get((k, set_level, refuse))
    if known is None:
        # The stored graph also holds the images that have no vote.
        whole = len(collection) > 1 and all(label is not None for label in collection.labels)
        graph = collection.neighbors() if whole and k <= _STORED_NEIGHBORS else None
        known = Classifier(collection.vectors, collection.labels, k=k, set_level=set_level, refuse=refuse, graph=graph)
        collection.classifiers[k, set_level, refuse] = known
    return known


def classify(
    collection: Collection, queries: Any, *, k: int = 20, set_level: float = 0.9, refuse: float = 0.05,
    weights: str | None = None,
) -> list[Verdict]:  # fmt: skip
    """Name images by their nearest labelled neighbours, and say how sure that is, or that they are unknown.

    Args:
        collection: The collection; positions of voters are its.
        queries: Vectors float (M, D); or one or several of: an image file, a decoded image uint8 (H, W) or (H, W, 3),
            a vector float (D,), a row number (that image is left out of its own vote).
        k: Voters.
        set_level: Share of sets of labels that are to hold the truth.
        refuse: Share of images of the known kind that may be called unknown.
        weights: Path of the model's weights, for images and a model that was named by such a path.

    Raises:
        InputError: Fewer than two images have a label, there is no such row, or a vector does not fit.
        ImageError: A file is no image.
        ModelError: The model that made the vectors is not to be had.
    """
    judge = classifier(collection, k=k, set_level=set_level, refuse=refuse)
    several = isinstance(queries, Sequence) and not isinstance(queries, str | bytes)
    if isinstance(queries, np.ndarray) and queries.ndim == 2 and queries.dtype.kind == "f":
        several = True
    asked = list(queries) if several else [queries]
    rows = {at: collection.position(int(each)) for at, each in enumerate(asked) if isinstance(each, int | np.integer)}
    others = [at for at in range(len(asked)) if at not in rows]
    found: dict[int, Verdict] = {}
    if rows:
        found |= dict(zip(rows, judge.left_out(collection.vectors, list(rows.values())), strict=True))
    if others:
        vectors = np.stack([collection.query_vector(asked[at], weights) for at in others])
        found |= dict(zip(others, judge.classify(vectors), strict=True))
    return [found[at] for at in range(len(asked))]


def predictions(collection: Collection, *, k: int = 20, set_level: float = 0.9, refuse: float = 0.05) -> Predictions:
    """Return what the labelled images say of every image of the collection, each left out of its own vote.

    Arguments and errors as in ``classify``.
    """

    def compute() -> Predictions:
        judge = classifier(collection, k=k, set_level=set_level, refuse=refuse)
        count = len(collection)
        winners = np.empty(count, np.intp)
        codes = np.full(count, -1)
        codes[judge.positions] = np.searchsorted(judge.names, judge.labels)
        sure, own, known, unknown = np.empty(count), np.full(count, np.nan), np.empty(count), np.empty(count, bool)
        for rows in row_blocks(count, _BLOCK_ROWS):
            at = np.arange(rows.start, rows.stop)
            votes, strange = judge.ask(judge.left_out_graph(collection.vectors, at))
            judgement = judge.rules.judge(votes, strange)
            winners[at], known[at], unknown[at] = votes.winners, judgement.familiarity, judgement.unknown
            sure[at] = judgement.probabilities[np.arange(len(at)), votes.winners]
            labelled = codes[at] >= 0
            own[at[labelled]] = judgement.probabilities[labelled, codes[at[labelled]]]
        return Predictions(np.asarray([str(name) for name in judge.names])[winners], sure, own, known, unknown)

    settings = {"k": k, "set_level": set_level, "refuse": refuse, "labels": collection.label_state}
    return keep(collection, "predictions", settings, Predictions, compute)


def evaluate(
    collection: Collection, split: str = "auto", *, k: int = 20, set_level: float = 0.9, refuse: float = 0.05
) -> Evaluation:
    """Say how well the labels of the collection are found by neighbours; positions are the collection's.

    Args:
        collection: The collection.
        split: "test": its training images name its test images; "leave-one-out"; "auto": the first where both have
            labels.
        k: Voters.
        set_level: Share of sets of labels that are to hold the truth.
        refuse: Share of images of the known kind that may be called unknown.

    Raises:
        InputError: The split is unknown or has no labels, or too few images have a label.
    """
    from dinoscope.analysis.labels.evaluation import SPLITS, Evaluation

    if split not in SPLITS:
        raise InputError(f"unknown split {split!r}{did_you_mean(split, SPLITS)} (known: {', '.join(SPLITS)})")
    known = np.asarray([label is not None for label in collection.labels])  # test images often come without labels
    train, test = (int((known & (collection.splits == name)).sum()) for name in ("train", "test"))
    both = train >= 2 and test >= 1
    if split == "test" and not both:
        raise InputError(
            f"{collection.path} has no train and test images with labels (2 and 1 are needed, got {train:,} and "
            f"{test:,}): evaluate with --split leave-one-out"
        )
    method = "test" if both and split != "leave-one-out" else "leave-one-out"
    chosen: dict[str, Any] = {"k": k, "set_level": set_level, "refuse": refuse}
    settings = {"split": method, **chosen, "labels": collection.label_state}
    return keep(collection, "evaluation", settings, Evaluation, lambda: _evaluate(collection, method, chosen))


def _evaluate(collection: Collection, method: str, settings: dict[str, Any]) -> Evaluation:
    from dinoscope.analysis.labels.evaluation import evaluate as judge

    vectors, labels = collection.vectors, collection.labels
    if method == "leave-one-out":
        whole = len(collection) > 1 and all(label is not None for label in labels)
        graph = collection.neighbors(max(_WIDEST, settings["k"])) if whole else None
        return judge(vectors, labels, graph=graph, **settings)
    train = collection.splits == "train"
    named = np.flatnonzero(train | (collection.splits == "test"))
    found = judge(vectors[named], labels[named], train[named], **settings)
    pairs = tuple(replace(pair, examples=tuple(named[list(pair.examples)].tolist())) for pair in found.confusions)
    return replace(found, positions=named[found.positions], confusions=pairs)
