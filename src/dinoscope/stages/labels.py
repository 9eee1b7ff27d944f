"""Labels of a collection and what its neighbours say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.search import query_vector

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Predictions", "classify", "evaluate_labels", "has_classifier", "load_classifier", "predict_labels"]

_STORED_NEIGHBORS = 30  # of the graph that every collection has
_WIDEST = 100  # voters that an evaluation tries
_BLOCK_ROWS = 4096
_VOTERS, _COVERAGE, _ABSTAIN = 20, 0.9, 0.05


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

    labels: NDArray[np.str_]
    probabilities: NDArray[np.float64]
    own: NDArray[np.float64]
    familiarity: NDArray[np.float64]
    unknown: NDArray[np.bool_]


def load_classifier(
    collection: OpenedCollection, *, k: int = _VOTERS, coverage: float = _COVERAGE, abstain: float = _ABSTAIN
) -> Classifier:
    """Return what names images by the collection's labelled ones, made once and kept while the collection is open.

    See ``Collection.classifier``.
    """
    from dinoscope.analysis.labels.classifier import Classifier

    def make() -> Classifier:
        # The stored graph also holds the images that have no vote.
        whole = len(collection) > 1 and all(label is not None for label in collection.labels)
        graph = neighbor_graph(collection) if whole and k <= _STORED_NEIGHBORS else None
        return Classifier(collection.vectors, collection.labels, k=k, coverage=coverage, abstain=abstain, graph=graph)

    return collection.held(("classifier", k, coverage, abstain), make)


def has_classifier(collection: OpenedCollection) -> bool:
    """Tell whether ``load_classifier`` has made the usual one already."""
    return collection.holds(("classifier", _VOTERS, _COVERAGE, _ABSTAIN))


def classify(
    collection: OpenedCollection,
    queries: Any,
    *,
    k: int = _VOTERS,
    coverage: float = _COVERAGE,
    abstain: float = _ABSTAIN,
    weights: str | None = None,
) -> list[Verdict]:
    """Name images by their nearest labelled neighbours, and say how sure that is, or that they are unknown.

    See ``Collection.classify``.
    """
    judge = load_classifier(collection, k=k, coverage=coverage, abstain=abstain)
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
        vectors = np.stack([query_vector(collection, asked[at], weights) for at in others])
        found |= dict(zip(others, judge.classify(vectors), strict=True))
    return [found[at] for at in range(len(asked))]


def predict_labels(
    collection: OpenedCollection, *, k: int = _VOTERS, coverage: float = _COVERAGE, abstain: float = _ABSTAIN
) -> Predictions:
    """Return what the labelled images say of every image of the collection, each left out of its own vote.

    See ``Collection.predictions``.
    """

    def compute() -> Predictions:
        judge = load_classifier(collection, k=k, coverage=coverage, abstain=abstain)
        count = len(collection)
        winners = np.empty(count, np.intp)
        codes = np.full(count, -1)
        codes[judge.positions] = np.searchsorted(judge.names, judge.labels)
        sure, own, known, unknown = np.empty(count), np.full(count, np.nan), np.empty(count), np.empty(count, bool)
        for rows in row_blocks(count, _BLOCK_ROWS):
            at = np.arange(rows.start, rows.stop)
            votes, strange = judge.ask(judge.left_out_graph(collection.vectors, at))
            judgement = judge.rules.judge(votes, strange)
            winners[at], known[at], unknown[at] = votes.winners, judgement.p_values, judgement.unknown
            sure[at] = judgement.probabilities[np.arange(len(at)), votes.winners]
            labelled = codes[at] >= 0
            own[at[labelled]] = judgement.probabilities[labelled, codes[at[labelled]]]
        return Predictions(np.asarray([str(name) for name in judge.names])[winners], sure, own, known, unknown)

    settings = {
        "k": k,
        "set_level": float(coverage),
        "refuse": float(abstain),
        "labels": collection.results.label_state,
    }
    return collection.results.keep("predictions", settings, Predictions, compute)


def evaluate_labels(
    collection: OpenedCollection,
    split: str = "auto",
    *,
    k: int = _VOTERS,
    coverage: float = _COVERAGE,
    abstain: float = _ABSTAIN,
) -> Evaluation:
    """Say how well the labels of the collection are found by neighbours; positions are the collection's.

    See ``Collection.evaluate``.
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
    stored = {"k": k, "set_level": float(coverage), "refuse": float(abstain)}
    settings = {"split": method, **stored, "labels": collection.results.label_state}
    return collection.results.keep(
        "evaluation", settings, Evaluation, lambda: _evaluate(collection, method, k, coverage, abstain)
    )


def _evaluate(collection: OpenedCollection, method: str, k: int, coverage: float, abstain: float) -> Evaluation:
    from dinoscope.analysis.labels.evaluation import evaluate as judge

    vectors, labels = collection.vectors, collection.labels
    if method == "leave-one-out":
        whole = len(collection) > 1 and all(label is not None for label in labels)
        graph = neighbor_graph(collection, max(_WIDEST, k)) if whole else None
        return judge(vectors, labels, graph=graph, k=k, coverage=coverage, abstain=abstain)
    train = collection.splits == "train"
    named = np.flatnonzero(train | (collection.splits == "test"))
    found = judge(vectors[named], labels[named], train[named], k=k, coverage=coverage, abstain=abstain)
    pairs = tuple(replace(pair, examples=tuple(named[list(pair.examples)].tolist())) for pair in found.confusions)
    return replace(found, positions=named[found.positions], confusions=pairs)
