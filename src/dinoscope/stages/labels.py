"""Labels of a collection and what its neighbours say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.base.splits import held_out_split, split_role, split_roles, training_split, voting_split
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.queries.search import query_vector

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier, Verdict
    from dinoscope.analysis.labels.evaluation import Evaluation
    from dinoscope.analysis.labels.multilabel import MultiLabelEvaluation
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "Predictions",
    "check_single_labels",
    "classify",
    "evaluate_label_sets",
    "evaluate_labels",
    "has_classifier",
    "load_classifier",
    "predict_labels",
]

_STORED_NEIGHBORS = 30  # of the graph that every collection has
_WIDEST = 100  # voters that an evaluation tries
_BLOCK_ROWS = 4096
_AUTO, _LEAVE_ONE_OUT = "auto", "leave-one-out"
_VOTERS, _COVERAGE, _ABSTAIN = 20, 0.9, 0.05


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the labelled images say about every image, each left out in turn.

    Attributes:
        labels: The label with the most votes (N,), strings.
        probabilities: Its probability (N,), 0 to 1; see ``Verdict``.
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

    check_single_labels(collection, "naming images")

    def make() -> Classifier:
        # The stored graph also holds the images that have no vote.
        whole = len(collection) > 1 and all(label is not None for label in collection.labels)
        graph = neighbor_graph(collection) if whole and k <= _STORED_NEIGHBORS else None
        made = Classifier(collection.vectors, collection.labels, k=k, coverage=coverage, abstain=abstain, graph=graph)
        if len(made.names) > 1 and _split_to_name(collection, _AUTO) is not None:
            # A held-out split tells more than leaving out: its images may be of another kind.
            found = evaluate_labels(collection, k=k, coverage=coverage, abstain=abstain)
            made.measured, made.measured_on = found.coverage, found.method
            made.rules = replace(made.rules, calibrated=found.calibrated.error < found.votes.error)
        return made

    return collection.held(_held_as(collection, k, coverage, abstain), make)


def has_classifier(collection: OpenedCollection) -> bool:
    """Tell whether ``load_classifier`` has made the usual one already."""
    return collection.holds(_held_as(collection, _VOTERS, _COVERAGE, _ABSTAIN))


def _held_as(collection: OpenedCollection, k: int, coverage: float, abstain: float) -> tuple[object, ...]:
    return "classifier", collection.results.label_state, k, coverage, abstain


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
    """Return what the labelled images say about every image of the collection. No image votes for itself.

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
    from dinoscope.analysis.labels.evaluation import Evaluation

    check_single_labels(collection, "this evaluation")
    held = _split_to_name(collection, split)
    labels = {label for label in collection.labels if label is not None}
    if len(labels) == 1:
        raise InputError(
            f"all labelled images of {collection.path} have one label ({labels.pop()!r}), expected two or more: with "
            "one, nothing can be named wrong"
        )
    stored = {"k": k, "set_level": float(coverage), "refuse": float(abstain)}
    settings = {"split": held or _LEAVE_ONE_OUT, **stored, "labels": collection.results.label_state}
    return collection.results.keep(
        "evaluation", settings, Evaluation, lambda: _evaluate(collection, held, k, coverage, abstain)
    )


def check_single_labels(collection: OpenedCollection, what: str) -> None:
    """Check that images have one label each.

    Raises:
        InputError: They have several.
    """
    if any(collection.label_sets):
        raise InputError(
            f"the images of {collection.path} may have several labels each, and {what} needs one: "
            "'dinoscope evaluate' gives the average precision of each label"
        )


def evaluate_label_sets(collection: OpenedCollection, split: str = "auto", *, k: int = _VOTERS) -> MultiLabelEvaluation:
    """Say how well neighbours find the labels of images that may have several.

    See ``Collection.evaluate_sets``.
    """
    from dinoscope.analysis.labels.multilabel import evaluate_sets
    from dinoscope.analysis.neighbors import neighbors, query_neighbors

    if not any(collection.label_sets):
        raise InputError(f"no image of {collection.path} has several labels: use evaluate")
    held = _split_to_name(collection, split)
    known, vectors = _has_label(collection), collection.vectors
    if held is None:
        asked = np.flatnonzero(known)
        graph = neighbors(vectors[asked], k)
        sets = collection.label_sets[asked].tolist()
        return evaluate_sets(graph, sets, sets, k=k)
    voters = np.flatnonzero(known & _voters(collection, held))
    asked = np.flatnonzero(known & (collection.splits == held))
    graph = query_neighbors(vectors[voters], vectors[asked], k)
    sets = collection.label_sets
    return evaluate_sets(graph, sets[voters].tolist(), sets[asked].tolist(), k=k, method=held)


def _has_label(collection: OpenedCollection) -> NDArray[np.bool_]:
    pairs = zip(collection.labels, collection.label_sets, strict=True)
    return np.asarray([label is not None or bool(held) for label, held in pairs], bool)


def _split_to_name(collection: OpenedCollection, split: str) -> str | None:
    """Return the split whose images are to be named, None for leave-one-out.

    Raises:
        InputError: There is no such split, or there are too few images with labels in it or outside.
    """
    if split == _LEAVE_ONE_OUT:
        return None
    if split == _AUTO:  # of those with labels: test images often come without
        held = held_out_split(collection.splits[_has_label(collection)])
        return held if held is not None and _labelled(collection, held)[0] > 1 else None
    splits = [each for each in dict.fromkeys(collection.splits) if each is not None]
    role, roles = split_role(split), split_roles(splits)
    held = (
        split if split in splits else next((each for each in sorted(splits) if role and roles.get(each) == role), None)
    )
    if held is None and split != "test":
        names = list(dict.fromkeys((_AUTO, "test", _LEAVE_ONE_OUT, *splits)))
        raise InputError(f"unknown split {split!r}{did_you_mean(split, names)} (known: {', '.join(names)})")
    voters, named = _labelled(collection, held)
    if voters < 2 or not named:
        by = voting_split(splits, held) or ("train" if held is None else "other")
        raise InputError(
            f"{collection.path} has no {by} and {held or split} images with labels (2 and 1 are needed, got {voters:,} "
            f"and {named:,}): evaluate with --split {_LEAVE_ONE_OUT}"
        )
    return held


def _labelled(collection: OpenedCollection, held: str | None) -> tuple[int, int]:
    """Return how many images with labels may vote, and how many are in the split."""
    known = _has_label(collection)
    if held is None:
        return int((known & (collection.splits == training_split(collection.splits))).sum()), 0
    return int((known & _voters(collection, held)).sum()), int((known & (collection.splits == held)).sum())


def _voters(collection: OpenedCollection, held: str) -> NDArray[np.bool_]:
    """Tell which images name those of a split: the training images, or all others where there are none."""
    by = voting_split(collection.splits, held)
    voters: NDArray[np.bool_] = (collection.splits == by) if by is not None else (collection.splits != held)
    return voters


def _evaluate(collection: OpenedCollection, held: str | None, k: int, coverage: float, abstain: float) -> Evaluation:
    from dinoscope.analysis.labels.evaluation import evaluate as judge

    vectors, labels = collection.vectors, collection.labels
    if held is None:
        whole = len(collection) > 1 and all(label is not None for label in labels)
        graph = neighbor_graph(collection, max(_WIDEST, k)) if whole else None
        return judge(vectors, labels, graph=graph, k=k, coverage=coverage, abstain=abstain)
    voters = _voters(collection, held)
    named = np.flatnonzero(voters | (collection.splits == held))
    found = judge(vectors[named], labels[named], voters[named], k=k, coverage=coverage, abstain=abstain)
    pairs = tuple(replace(pair, examples=tuple(named[list(pair.examples)].tolist())) for pair in found.confusions)
    return replace(found, method=held, positions=named[found.positions], confusions=pairs)
