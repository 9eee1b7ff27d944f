"""How well the labels of a collection are found by its neighbours, and how far to trust the probabilities."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.calibration import Reliability, reliability
from dinoscope.analysis.labels.classifier import Classifier, known_labels, sample_rows
from dinoscope.analysis.labels.conformal import Judgement, judge_by_halves
from dinoscope.analysis.labels.scoring import Confusion, LabelScore, confusions, label_scores, wilson_interval
from dinoscope.analysis.labels.voting import Votes, label_votes
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.base.checks import check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["MOST_COUNTED", "Evaluation", "Reliability", "Setting", "evaluate", "log_loss", "reliability"]

MOST_COUNTED = 1_000  # labels up to which every pair of them is counted: a million numbers
_KS, _TEMPERATURES = (1, 5, 10, 20, 50, 100), (0.02, 0.07, 0.2, float("inf"))
_CELLS = 5_000_000  # shares of votes held at once, of images times labels


@dataclass(frozen=True)
class Setting:
    """A line of the sweep: voters, temperature (infinity: every vote counts the same), accuracy."""

    k: int
    temperature: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """How well neighbours name labelled images.

    Attributes:
        method: The split whose images the training images name, such as "test"; or "leave-one-out".
        positions: Positions of the images named (M,).
        names: The C labels, sorted.
        counts: Images (C, C) with the true label of the row, given the label of the column; (0, 0) beyond
            ``MOST_COUNTED`` labels, where ``labels`` and ``confusions`` hold the same without the zeros.
        accuracy: Share named right.
        interval: Its 95% interval; see ``wilson_interval``.
        labels: Precision and recall of each label.
        confusions: The pairs mixed up, the most frequent first.
        votes: Reliability of the plain shares of the votes.
        calibrated: Reliability of the probabilities: calibrated, or ``votes`` again where these had no larger error.
        log_loss_votes: Logarithmic loss of the votes, natural logarithm, probabilities below 1e-15 counted as that.
        log_loss: The same of the probabilities.
        set_level: Share of prediction sets that was to hold the truth.
        coverage: Share that does.
        set_size: Mean number of labels in a prediction set.
        refused: Share of the images that would be called unknown.
        sweep: Accuracy by voters and temperature.
    """

    method: str
    positions: NDArray[np.intp]
    names: NDArray[np.generic]
    counts: NDArray[np.int64]
    accuracy: float
    interval: tuple[float, float]
    labels: tuple[LabelScore, ...]
    confusions: tuple[Confusion, ...]
    votes: Reliability
    calibrated: Reliability
    log_loss_votes: float
    log_loss: float
    set_level: float
    coverage: float
    set_size: float
    refused: float
    sweep: tuple[Setting, ...]


def log_loss(probabilities: NDArray[np.float64], truth: NDArray[np.intp]) -> float:
    """Return the mean of -ln(probability of the truth), for probabilities (M, C) and label numbers (M,), -1 for none.

    Probabilities below 1e-15 count as that: one impossible truth must not hide all others.
    """
    return _mean_loss(_of_truth(probabilities, truth))


def evaluate(
    vectors: ArrayLike,
    labels: ArrayLike,
    is_reference: ArrayLike | None = None,
    *,
    k: int = 20,
    temperature: float = 0.07,
    coverage: float = 0.9,
    abstain: float = 0.05,
    graph: NeighborGraph | None = None,
) -> Evaluation:
    """Name labelled images by their neighbours, and count how many are right.

    With references, these alone vote and everything is learnt from them. Without, each image is left out in turn; then
    calibration, prediction sets and abstentions of either half of the images are learnt from the other half, so that
    nothing is judged by what it taught.

    Args:
        vectors: Array (N, D).
        labels: Integers or strings (N,), None for an image without a label, which is left out altogether.
        is_reference: Booleans (N,), True for the images that vote, False for those that are named; None for
            leave-one-out.
        k: Voters.
        temperature: See ``knn_predict``.
        coverage: Share of prediction sets that are to hold the truth.
        abstain: Share of images of the known kind that may be called unknown.
        graph: Neighbour graph of the labelled vectors, where there is one already; for leave-one-out.

    Raises:
        InputError: Too few images have a label, or an argument cannot work.
    """
    array = check_vectors(vectors)
    positions, names = known_labels(labels, len(array))
    make = partial(Classifier, k=k, temperature=temperature, coverage=coverage, abstain=abstain)
    if is_reference is None:
        if len(positions) < 4:
            raise InputError(f"an evaluation needs at least 4 images with a label, got {len(positions)}; label some")
        wide = graph if graph is not None else neighbors(array[positions], max(*_KS, k))
        classifier = make(array, labels, graph=wide)
        asked = sample_rows(len(positions), len(classifier.names))
        nearest = NeighborGraph(wide.indices[asked], wide.similarities[asked])
        votes, scores = classifier.ask(nearest)
        truth = _numbers(names[asked], classifier.names)
        judgement = judge_by_halves(votes, truth, scores, coverage=coverage, abstain=abstain)
        outcome = _outcome(votes, judgement, truth)
        return _summarise("leave-one-out", positions[asked], names[asked], classifier, nearest, outcome)
    mask = np.asarray(is_reference)
    if mask.dtype != np.bool_ or mask.shape != (len(array),):
        raise InputError(f"is_reference must be booleans of shape ({len(array)},), got {mask.dtype} {mask.shape}")
    votes_for, named = positions[mask[positions]], positions[~mask[positions]]
    if not len(named) or len(votes_for) < 2:
        raise InputError(
            "an evaluation needs at least 2 labelled references and 1 labelled other image, got "
            f"{len(votes_for)} and {len(named)}; mark others as reference"
        )
    own = names[mask[positions]]
    classifier = make(array[votes_for], own)
    nearest = query_neighbors(array[votes_for], array[named], max(*_KS, k))
    truth = _numbers(names[~mask[positions]], classifier.names)
    rules, parts = replace(classifier.rules, calibrated=True), []  # which is better is judged below
    for rows in _blocks(len(named), len(classifier.names)):
        votes, scores = classifier.ask(NeighborGraph(nearest.indices[rows], nearest.similarities[rows]))
        parts.append(_outcome(votes, rules.judge(votes, scores), truth[rows]))
    outcome = _Outcome(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(_Outcome)))
    return _summarise("test", named, names[~mask[positions]], classifier, nearest, outcome)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """What an evaluation needs of each image (M,); votes on every label would be M x C numbers."""

    truth: NDArray[np.intp]  # -1 for a label that no reference has
    winners: NDArray[np.intp]
    share: NDArray[np.float64]  # of the votes, for the winner
    sure: NDArray[np.float64]  # probability of the winner
    own_share: NDArray[np.float64]  # of the truth
    own: NDArray[np.float64]
    held: NDArray[np.bool_]  # whether the prediction set holds the truth
    set_size: NDArray[np.int64]
    unknown: NDArray[np.bool_]


def _outcome(votes: Votes, judgement: Judgement, truth: NDArray[np.intp]) -> _Outcome:
    at_winner = np.arange(len(truth)), votes.winners
    return _Outcome(
        truth,
        votes.winners,
        votes.shares[at_winner],
        judgement.probabilities[at_winner],
        _of_truth(votes.shares, truth),
        _of_truth(judgement.probabilities, truth),
        (truth >= 0) & judgement.sets[np.arange(len(truth)), truth],
        judgement.sets.sum(axis=1),
        judgement.unknown,
    )


def _of_truth(values: NDArray[np.float64], truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the value of the true label of each row (M,), 0 where no reference has that label."""
    return np.where(truth >= 0, values[np.arange(len(truth)), truth], 0.0)


def _mean_loss(own: NDArray[np.float64]) -> float:
    return float(-np.log(np.maximum(own, 1e-15)).mean()) + 0.0  # no -0


def _blocks(count: int, labels: int) -> list[slice]:
    return row_blocks(count, max(1, _CELLS // labels))


def _numbers(labels: NDArray[np.generic], names: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the number of each label among sorted names, -1 where it is not among them."""
    place = np.minimum(np.searchsorted(names, labels), len(names) - 1)
    return np.where(names[place] == labels, place, -1)


def _summarise(
    method: str,
    positions: NDArray[np.intp],
    labels: NDArray[np.generic],
    classifier: Classifier,
    graph: NeighborGraph,
    outcome: _Outcome,
) -> Evaluation:
    with LOADING:
        from scipy.sparse import csr_array

    right = outcome.truth == outcome.winners
    votes = reliability(np.minimum(outcome.share, 1), right)
    calibrated = reliability(np.minimum(outcome.sure, 1), right)
    if calibrated.error >= votes.error:
        calibrated, outcome = votes, replace(outcome, sure=outcome.share, own=outcome.own_share)
    given = classifier.names[outcome.winners]
    names = np.union1d(labels, classifier.names)
    cells = _numbers(labels, names), _numbers(classifier.names, names)[outcome.winners]
    counts = csr_array((np.ones(len(labels), np.int64), cells), shape=(len(names), len(names)))
    return Evaluation(
        method=method,
        positions=positions,
        names=names,
        counts=counts.toarray() if len(names) <= MOST_COUNTED else np.zeros((0, 0), np.int64),
        accuracy=float(right.mean()),
        interval=wilson_interval(int(right.sum()), len(right)),
        labels=label_scores(counts, names),
        confusions=confusions(labels, given, outcome.sure, positions),
        votes=votes,
        calibrated=calibrated,
        log_loss_votes=_mean_loss(outcome.own_share),
        log_loss=_mean_loss(outcome.own),
        set_level=classifier.coverage,
        coverage=float(outcome.held.mean()),
        set_size=float(outcome.set_size.mean()),
        refused=float(outcome.unknown.mean()),
        sweep=_sweep(graph, classifier, outcome.truth),
    )


def _sweep(graph: NeighborGraph, classifier: Classifier, truth: NDArray[np.intp]) -> tuple[Setting, ...]:
    """Return the accuracy with more and fewer voters, and with more and less equal votes."""
    codes = _numbers(classifier.labels, classifier.names)  # texts would be sorted for every line
    lines = []
    for k in sorted({min(k, graph.k) for k in _KS}):
        for temperature in _TEMPERATURES:
            hits = 0
            for rows in _blocks(len(graph), len(classifier.names)):
                some = NeighborGraph(graph.indices[rows], graph.similarities[rows])
                hits += int((label_votes(some, codes, k=k, temperature=temperature).winners == truth[rows]).sum())
            lines.append(Setting(k, temperature, hits / len(graph)))
    return tuple(lines)
