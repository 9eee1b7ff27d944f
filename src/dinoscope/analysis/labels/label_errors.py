"""Labels that an image's neighbours contradict, and how many of them are likely to be wrong.

Confident learning (Northcutt et al. 2021, arXiv:1911.00068) with the votes of the nearest neighbours in the place of a
trained classifier: nothing is fitted, each image is judged by the others, and the evidence can be shown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph, check_graph
from dinoscope.base.checks import check_count, check_labels
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["FEWEST", "LabelErrors", "SelfTest", "find_label_errors", "self_test", "vote_shares"]

FEWEST = 3  # images of a label of which something can be told: two others that may vote for one
_TEMPERATURE = 0.07
_CELLS = 1_000_000  # shares of votes held at once, of images times classes
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
    given: NDArray[np.generic]
    suggested: NDArray[np.generic]
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


def vote_shares(
    graph: NeighborGraph, codes: NDArray[np.intp], *, k: int = 30
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the votes of the ``k`` nearest; weights as in ``knn_predict``.

    Returns:
        Row, class, and the class's share of the row's votes, of every class that gets any (M,), by row and class; a
        table of all rows and classes would not fit into memory where each few images have a label of their own.
    """
    graph, classes = graph.top(min(k, graph.k)), int(codes.max()) + 1
    found = []
    for rows in row_blocks(len(graph), max(1, _CELLS // classes)):
        nearness = graph.similarities[rows].astype(np.float64)
        weights = np.exp((nearness - nearness[:, :1]) / _TEMPERATURE)
        weights /= weights.sum(axis=1, keepdims=True)
        cells = np.arange(len(weights))[:, None] * classes + codes[graph.indices[rows]]
        shares = np.bincount(cells.ravel(), weights.ravel(), len(weights) * classes)
        voted = np.flatnonzero(shares)
        found.append((voted // classes + rows.start, voted % classes, shares[voted]))
    row, named, share = (np.concatenate(each) for each in zip(*found, strict=True))
    return row, named, share


def find_label_errors(graph: NeighborGraph, labels: ArrayLike, *, k: int = 30, fewest: int = 1) -> LabelErrors:
    """List the images whose label their ``k`` nearest neighbours contradict.

    An image is listed when a class other than its own gets at least the share of the votes that images of that class
    get for it on average (the confident joint of Northcutt et al. 2021), and more than its own. The list is sorted by
    log((s + h) / (g + h)), s and g the shares of the suggested and the given class, h half a vote: an error has next to
    no neighbours of its label, an image between two classes some.

    Args:
        graph: Neighbours of the labelled images among themselves, (N, k or more); where there are fewer, fewer vote.
        labels: Integers or strings (N,).
        k: Voters.
        fewest: Images that a class must have; images of the others vote, and are neither listed nor suggested.

    Raises:
        InputError: See ``check_labels``; or fewer than two classes have so many images.
    """
    check_count(k, "k")
    names, codes, told = _classes(graph, labels, fewest)
    positions, suggested, probabilities, scores = _suspects(graph, codes, told, k)
    voters = graph.indices[positions, : min(k, graph.k)].astype(np.int64)
    return LabelErrors(positions, names[codes[positions]], names[suggested], probabilities, scores, voters)


def self_test(
    graph: NeighborGraph,
    labels: ArrayLike,
    *,
    listed: int = 200,
    k: int = 30,
    share: float = 0.02,
    seed: int = 0,
    fewest: int = 1,
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
        fewest: See ``find_label_errors``; labels of smaller classes are not changed.

    Raises:
        InputError: See ``find_label_errors``; or an argument is out of range.
    """
    check_count(listed, "listed")
    check_count(seed, "seed", at_least=0)
    if not 0 < share < 1:
        raise InputError(f"share must be above 0 and below 1, got {share!r}; 0.02 is usual")
    _, codes, told = _classes(graph, labels, fewest)
    usual, at = np.flatnonzero(told), np.cumsum(told) - 1
    positions, suggested, _, scores = _suspects(graph, codes, told, check_count(k, "k"))
    listed = min(listed, len(positions))
    cut = float(scores[listed - 1]) if listed else math.inf
    draw = np.random.default_rng(seed)
    eligible = np.flatnonzero(told[codes])
    flips = max(1, round(share * len(eligible)))
    planted, recovered = np.empty((2, 0), np.int64), 0.0
    for _ in range(_COPIES):
        flipped = draw.choice(eligible, flips, replace=False)
        changed = codes.copy()
        changed[flipped] = usual[(at[codes[flipped]] + draw.integers(1, len(usual), flips)) % len(usual)]
        again, named, _, reached = _suspects(graph, changed, told, k)
        hit = np.isin(again, flipped)
        recovered += hit[:listed].sum() / flips / _COPIES
        hit &= reached >= cut
        planted = np.hstack([planted, [changed[again[hit]], named[hit]]])
    seen = np.stack([codes[positions[:listed]], suggested[:listed]])
    clear = _clear_pairs(graph, codes, len(told), positions, k, np.hstack([planted, seen]), told)
    known, likely = (int(part.sum()) for part in np.split(clear, [planted.shape[1]]))
    precision = error = math.nan
    if known:
        each = planted.shape[1] / known / listed  # what one image in a clear pair stands for
        precision = float(min(1.0, likely * each))
        error = float(min(1.0, math.sqrt(max(likely, 1)) * each))
    return SelfTest(listed, _COPIES * flips, planted.shape[1], float(recovered), precision, error)


def _clear_pairs(
    graph: NeighborGraph,
    codes: NDArray[np.intp],
    classes: int,
    doubtful: NDArray[np.int64],
    k: int,
    pairs: NDArray[np.int64],
    told: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Tell which pairs of classes (2, M), given and suggested, are of those whose first hardly votes for the second.

    Votes among images that are not doubtful: so an error of a pair does not decide whether its own pair is clear.
    """
    told = np.ones(classes, bool) if told is None else told
    count = int(told.sum())
    sound = np.ones(len(codes), bool)
    sound[doubtful] = False
    row, named, share = vote_shares(graph, codes, k=k)
    counted = sound[row] & (named != codes[row]) & told[named] & told[codes[row]]
    mixed, at = np.unique(codes[row[counted]] * classes + named[counted], return_inverse=True)  # all others: not at all
    voters = np.bincount(codes[sound], minlength=classes)
    mixing = np.bincount(at, share[counted], len(mixed)) / voters[mixed // classes]
    total = count * (count - 1)
    place = math.floor(_CLEAR * (total - 1)) - (total - len(mixed))  # of the last clear pair among these
    limit = np.partition(mixing, place)[place] if place >= 0 else 0.0
    given, suggested = pairs
    clear: NDArray[np.bool_] = ~np.isin(given * classes + suggested, mixed[mixing > limit])
    return clear


def _classes(
    graph: NeighborGraph, labels: ArrayLike, fewest: int
) -> tuple[NDArray[np.generic], NDArray[np.intp], NDArray[np.bool_]]:
    """Return the classes, the number of each image's class, and which classes have enough images."""
    check_graph(graph, len(graph))
    names, codes = np.unique(check_labels(labels, len(graph)), return_inverse=True)
    if len(names) < 2:
        raise InputError(f"labels must be of two classes or more, got {len(names)}; with one none can be wrong")
    told = np.bincount(codes) >= check_count(fewest, "fewest")
    if told.sum() < 2:
        raise InputError(
            f"two classes or more must have at least {fewest} images each, got {told.sum()}: of fewer nothing can be "
            "told"
        )
    return names, codes, told


def _suspects(
    graph: NeighborGraph, codes: NDArray[np.intp], told: NDArray[np.bool_], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return positions, suggested classes, their shares and scores of the doubtful, most doubtful first."""
    row, named, share = vote_shares(graph, codes, k=k)
    classes, given = len(told), named == codes[row]
    own = np.zeros(len(codes))
    own[row[given]] = share[given]
    usual = np.bincount(codes, own, classes) / np.maximum(np.bincount(codes, minlength=classes), 1)
    known = told[named] & told[codes[row]]
    against = np.flatnonzero(known & ~given & (share >= usual[named]) & (share > own[row]))
    against = against[np.lexsort((-share[against], row[against]))]  # of each row the best first
    best = against[np.unique(row[against], return_index=True)[1]]
    half = 0.5 / min(k, graph.k)
    scores = np.log((share[best] + half) / (own[row[best]] + half))
    order = np.argsort(-scores, kind="stable")
    best = best[order]
    return row[best], named[best], share[best], scores[order]
