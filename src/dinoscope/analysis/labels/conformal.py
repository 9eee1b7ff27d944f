"""Conformal prediction: sets of labels that hold the truth at a rate, and p-values that tell what is unknown."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.calibration import Calibration, fit_calibration
from dinoscope.analysis.labels.voting import Votes
from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.errors import InputError

__all__ = ["Judgement", "Rules", "conformal_quantile", "fit_rules", "judge_by_halves", "nonconformity", "p_values"]

_ROUNDING = 1e-6  # cosine distances below it are rounding errors
_DENSITY = 0.25  # how far the crowding around the neighbours counts


def conformal_quantile(scores: ArrayLike, level: float) -> float:
    """Return the score that a further one does not exceed with probability ``level`` or more.

    It is the ceil((N + 1) * level)-th smallest, which corrects for the finite number (Vovk et al. 2005; Angelopoulos
    and Bates 2021, arXiv:2107.07511), and infinity where N is too small to tell.

    Args:
        scores: Numbers (N,), exchangeable with the further one.
        level: Above 0, below 1.

    Raises:
        InputError: ``level`` is out of range.
    """
    if not 0 < level < 1:
        raise InputError(f"a level must be above 0 and below 1, got {level!r}; 0.9 is usual")
    ordered = np.sort(np.asarray(scores, np.float64))
    rank = int(np.ceil((len(ordered) + 1) * level - 1e-9))  # 0.9 * 10 is 9, whatever binary fractions say
    return float(ordered[rank - 1]) if rank <= len(ordered) else float("inf")


def p_values(known: ArrayLike, scores: ArrayLike) -> NDArray[np.float64]:
    """Return the conformal p-value of each image (M,), above 0 to 1.

    It is the share of known images that score at least as high, the image itself included (Bates et al. 2023,
    arXiv:2104.08279). Of images of the known kind at most a share a gets a p-value of a or less.

    Args:
        known: Nonconformity of known images (N,).
        scores: Nonconformity of the images asked about (M,).
    """
    ordered = np.sort(np.asarray(known, np.float64))
    below = np.searchsorted(ordered, np.asarray(scores, np.float64), side="left")
    share: NDArray[np.float64] = (1 + len(ordered) - below) / (len(ordered) + 1)
    return share


def nonconformity(graph: NeighborGraph, crowding: NDArray[np.float64], k: int = 20) -> NDArray[np.float64]:
    """Score how far rows lie from everything (M,): the higher, the stranger.

    It is log(d) - mean of log(d') / 4, d being the mean cosine distance to the ``k`` nearest (after Sun et al. 2022,
    arXiv:2204.06507) and d' the same of each of them: a distance counts for more where images lie close together. The
    whole of d' would make it a local density ratio, which overlooks what falls into a gap.

    Args:
        graph: Neighbours (M, k or more) among known images.
        crowding: ``log(d)`` of each known image (N,): this function on their own graph with ``np.zeros(N)``.
        k: Neighbours; fewer where the graph holds fewer.
    """
    near = graph.top(min(k, graph.k))
    distance = np.log(np.maximum(1 - near.similarities.mean(axis=1, dtype=np.float64), 0) + _ROUNDING)
    result: NDArray[np.float64] = distance - _DENSITY * crowding[near.indices].mean(axis=1)
    return result


@dataclass(frozen=True, eq=False)
class Judgement:
    """What the rules say about M images.

    Attributes:
        probabilities: Probability of each label (M, C).
        sets: Which labels belong to the prediction set of each image (M, C), the winner always.
        p_values: See ``p_values`` (M,).
        unknown: Whether the rules abstain from an answer (M,).
    """

    probabilities: NDArray[np.float64]
    sets: NDArray[np.bool_]
    p_values: NDArray[np.float64]
    unknown: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Rules:
    """How to judge an image, learnt from left-out images.

    Attributes:
        calibration: From votes to probabilities.
        least: A label belongs to the set from this probability on; minus infinity where all do.
        known: Nonconformity of the left-out images (N,), ascending.
        abstain: Share of images of the known kind that may be called unknown.
        calibrated: Whether probabilities are calibrated, or plain shares of the votes. Sets always use the
            calibrated ones.
    """

    calibration: Calibration
    least: float
    known: NDArray[np.float64] = field(repr=False)
    abstain: float
    calibrated: bool = True

    def judge(self, votes: Votes, scores: NDArray[np.float64]) -> Judgement:
        """Judge images by their votes and their nonconformity (M,)."""
        chances = self.calibration.probabilities(votes.shares)
        sets = chances >= self.least
        sets[np.arange(len(sets)), votes.winners] = True
        likely = p_values(self.known, scores)
        return Judgement(
            chances if self.calibrated else np.minimum(votes.shares, 1), sets, likely, likely <= self.abstain
        )


def fit_rules(
    votes: Votes, truth: NDArray[np.intp], scores: NDArray[np.float64], *, coverage: float = 0.9, abstain: float = 0.05
) -> Rules:
    """Learn from left-out images how to judge new ones.

    The prediction set is the conformal one with the least mean size (LAC, Sadinle et al. 2019): all labels that are
    probable enough. The winner is always in it, also while learning: its score is 0, another label's is one minus
    its probability. Where winners alone are right more often than ``coverage``, sets of one are what is asked for.

    Args:
        votes: Votes on N left-out images.
        truth: Number of their true labels (N,); -1 for a label that no other image has.
        scores: Their nonconformity (N,).
        coverage: Share of prediction sets that are to hold the truth.
        abstain: Share of images of the known kind that may be called unknown.

    Raises:
        InputError: A level is out of range, or the arrays do not fit each other.
    """
    if not 0 <= abstain < 1:
        raise InputError(f"abstain must be at least 0 and below 1, got {abstain!r}; 0.05 is usual, 0 names every image")
    nameable = truth >= 0
    calibration = fit_calibration(votes.shares[nameable], truth[nameable])
    probability = calibration.probabilities(votes.shares)[np.arange(len(truth)), truth]
    of_truth = np.where(truth == votes.winners, 0.0, np.where(nameable, 1 - probability, np.inf))
    # Half a rounding error to the safe side: the label that sets the limit is itself in.
    least = 1 - conformal_quantile(of_truth, coverage) - 1e-12
    return Rules(calibration, least, np.sort(scores), abstain)


def judge_by_halves(
    votes: Votes, truth: NDArray[np.intp], scores: NDArray[np.float64], *, coverage: float, abstain: float
) -> Judgement:
    """Judge each half of left-out images, drawn at random, by the rules that the other half taught."""
    first = np.random.default_rng(0).permutation(len(votes)) % 2 == 0
    parts = []
    for half in (first, ~first):
        rules = fit_rules(votes.take(~half), truth[~half], scores[~half], coverage=coverage, abstain=abstain)
        parts.append(rules.judge(votes.take(half), scores[half]))
    back = np.argsort(np.concatenate([np.flatnonzero(first), np.flatnonzero(~first)]))
    return Judgement(
        *(np.concatenate([getattr(part, name) for part in parts])[back] for name in Judgement.__dataclass_fields__)
    )
