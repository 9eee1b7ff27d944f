"""Labels that an image's neighbours contradict, and how many of them are likely to be wrong.

Confident learning (Northcutt et al. 2021, arXiv:1911.00068) with the votes of the nearest neighbours in the place of a
trained classifier: nothing is fitted, each image is judged by the others, and the evidence can be shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.checks import check_count, check_labels
from dinoscope.errors import InputError
from dinoscope.knn import NeighborGraph, row_blocks

__all__ = ["LabelErrors", "SelfTest", "find_label_errors", "self_test", "vote_shares"]

_TEMPERATURE = 0.07
_BLOCK_ROWS = 8192
_COPIES = 10  # of the self-test
_CLEAR = 0.6  # share of the pairs of classes that hardly mix


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Images whose label is doubtful, the most doubtful first.

    Attributes:
        positions: Where the images stand (M,).
        given: Their labels (M,), of the type of the labels given.
        suggested: What the neighbours say (M,).
        probabilities: Share of the votes for the suggested label (M,).
        scores: Log of the odds of the suggested against the given label (M,), above 0 where the vote is against it.
        neighbors: Positions of the voters (M, k), nearest first.
    """

    positions: NDArray[np.int64]
    given: NDArray[Any]
    suggested: NDArray[Any]
    probabilities: NDArray[np.float64]
    scores: NDArray[np.float64]
    neighbors: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class SelfTest:
    """What became of labels that were changed on purpose, and what follows for the first of the list.

    Attributes:
        listed: Length of the beginning of the list that is judged.
        flipped: Labels changed, in all copies together.
        found: Those whose score reaches that of the last image judged.
        recovered: Mean share of the changed labels among the first ``listed`` of a copy's own list.
        precision: Share of those judged that are likely to be random errors, 0 to 1; NaN where nothing can be told.
        error: Standard error of ``precision``, from the number of images that it rests on.
    """

    listed: int
    flipped: int
    found: int
    recovered: float
    precision: float
    error: float


def vote_shares(graph: NeighborGraph, codes: NDArray[Any], classes: int, *, k: int = 30) -> NDArray[np.float64]:
    """Return each class's share of the votes of the ``k`` nearest, (N, classes); weights as in ``knn_predict``."""
    graph = graph.top(min(k, graph.k))
    shares = np.zeros((len(graph), classes))
    for rows in row_blocks(len(graph), _BLOCK_ROWS):
        nearness = graph.similarities[rows].astype(np.float64)
        weights = np.exp((nearness - nearness[:, :1]) / _TEMPERATURE)
        weights /= weights.sum(axis=1, keepdims=True)
        for column in range(graph.k):
            voted = codes[graph.indices[rows, column]]
            shares[np.arange(rows.start, rows.stop), voted] += weights[:, column]
    return shares


def find_label_errors(graph: NeighborGraph, labels: ArrayLike, *, k: int = 30) -> LabelErrors:
    """List the images whose label their ``k`` nearest neighbours contradict.

    An image is listed when a class other than its own gets at least the share of the votes that images of that class
    get for it on average (the confident joint of Northcutt et al. 2021), and more than its own. The list is sorted by
    log((s + h) / (g + h)), s and g the shares of the suggested and the given class, h half a vote: an error has next to
    no neighbours of its label, an image between two classes some.

    Args:
        graph: Neighbours of the labelled images among themselves, (N, k or more); where there are fewer, fewer vote.
        labels: Integers or strings (N,).
        k: Voters.

    Raises:
        InputError: See ``check_labels``; or there are fewer than two classes.
    """
    check_count(k, "k")
    names, codes = _classes(graph, labels)
    positions, suggested, probabilities, scores = _suspects(graph, codes, len(names), k)
    voters = graph.indices[positions, : min(k, graph.k)].astype(np.int64)
    return LabelErrors(positions, names[codes[positions]], names[suggested], probabilities, scores, voters)


def self_test(
    graph: NeighborGraph, labels: ArrayLike, *, listed: int = 200, k: int = 30, share: float = 0.02, seed: int = 0
) -> SelfTest:
    """Change some labels of ten copies, look for them, and say how much of the real list is likely to be wrong.

    Each label changed becomes any of the other classes with equal chance, so this speaks of random errors alone; what
    people confuse is neither planted nor counted. How many errors the real labels hold is not known. It is read off
    the pairs of classes (label, suggested label) that hardly mix: where images labelled with the one get next to no
    votes for the other, an image of the list is an error and not a borderline case. With S images of the list in the
    pairs that mix least (six in ten), P planted errors found in those pairs, and F found in all, the list holds S F / P
    random errors. Borderline images in those pairs count as errors too, so where all classes overlap, or there are but
    two, the figure is an upper bound.

    Args:
        graph: See ``find_label_errors``.
        labels: Integers or strings (N,).
        listed: How many of the list, from its beginning, are judged.
        k: Voters.
        share: Share of the labels changed in a copy, above 0 and below 1.
        seed: Seed of the choice.

    Raises:
        InputError: See ``find_label_errors``; or an argument is out of range.
    """
    check_count(listed, "listed")
    check_count(seed, "seed", at_least=0)
    if not 0 < share < 1:
        raise InputError(f"share must be above 0 and below 1, got {share!r}; 0.02 is usual")
    names, codes = _classes(graph, labels)
    classes = len(names)
    positions, suggested, _, scores = _suspects(graph, codes, classes, check_count(k, "k"))
    listed = min(listed, len(positions))
    cut = float(scores[listed - 1]) if listed else math.inf
    draw = np.random.default_rng(seed)
    flips = max(1, round(share * len(codes)))
    planted, recovered = np.zeros((classes, classes), np.int64), 0.0
    for _ in range(_COPIES):
        flipped = draw.choice(len(codes), flips, replace=False)
        changed = codes.copy()
        changed[flipped] = (codes[flipped] + draw.integers(1, classes, flips)) % classes
        again, named, _, reached = _suspects(graph, changed, classes, k)
        hit = np.isin(again, flipped)
        recovered += hit[:listed].sum() / flips / _COPIES
        hit &= reached >= cut
        np.add.at(planted, (changed[again[hit]], named[hit]), 1)
    seen = np.zeros_like(planted)
    np.add.at(seen, (codes[positions[:listed]], suggested[:listed]), 1)
    clear = _clear_pairs(graph, codes, classes, positions, k)
    known = int(planted[clear].sum())
    precision = error = math.nan
    if known:
        each = planted.sum() / known / listed  # what one image in a clear pair stands for
        precision = float(min(1.0, seen[clear].sum() * each))
        error = float(min(1.0, math.sqrt(max(seen[clear].sum(), 1)) * each))
    return SelfTest(listed, _COPIES * flips, int(planted.sum()), float(recovered), precision, error)


def _clear_pairs(
    graph: NeighborGraph, codes: NDArray[Any], classes: int, doubtful: NDArray[np.int64], k: int
) -> NDArray[np.bool_]:
    """Mark the pairs of classes (given, suggested) of which the first gets fewest votes for the second.

    Votes among images that are not doubtful: so an error of a pair does not decide whether its own pair is clear.
    """
    sound = np.ones(len(codes), bool)
    sound[doubtful] = False
    mixing = np.zeros((classes, classes))
    np.add.at(mixing, codes[sound], vote_shares(graph, codes, classes, k=k)[sound])
    mixing /= np.maximum(np.bincount(codes[sound], minlength=classes), 1)[:, None]
    off = ~np.eye(classes, dtype=bool)
    clear: NDArray[np.bool_] = off & (mixing <= np.quantile(mixing[off], _CLEAR))
    return clear


def _classes(graph: NeighborGraph, labels: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    names, codes = np.unique(check_labels(labels, len(graph)), return_inverse=True)
    if len(names) < 2:
        raise InputError(f"labels must be of two classes or more, got {len(names)}; with one none can be wrong")
    return names, codes


def _suspects(
    graph: NeighborGraph, codes: NDArray[Any], classes: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return positions, suggested classes, their shares and scores of the doubtful, most doubtful first."""
    shares = vote_shares(graph, codes, classes, k=k)
    everyone = np.arange(len(codes))
    own = shares[everyone, codes]
    usual = np.bincount(codes, own, classes) / np.maximum(np.bincount(codes, minlength=classes), 1)
    others = np.where(shares >= usual, shares, -1)
    others[everyone, codes] = -1
    suggested = others.argmax(axis=1)
    best = others[everyone, suggested]
    half = 0.5 / min(k, graph.k)
    scores = np.log((np.maximum(best, 0) + half) / (own + half))
    doubtful = np.flatnonzero((best > own) & (best > 0))
    order = doubtful[np.argsort(-scores[doubtful], kind="stable")]
    return order, suggested[order], best[order], scores[order]
