"""Labels that an image's neighbours contradict, and how many labels changed on purpose the list finds.

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

FEWEST = 3  # fewest images of a label to check it: two others can then vote for one
_TEMPERATURE = 0.07
_CELLS = 1_000_000  # shares of votes held at once, of images times classes
_COPIES = 10  # of the self-test


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """Images with a doubtful label, the most doubtful first.

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
    """What became of labels that were changed on purpose: the recall of the list, and nothing of its precision.

    Attributes:
        listed: Length of the beginning of the list that is meant.
        flipped: Labels changed, in all copies together.
        found: Those whose score puts them among these images; of ties with the last, the share that is listed.
        recovered: Mean share of the changed labels among the first ``listed`` of a copy's own list.
    """

    listed: int
    flipped: int
    found: int
    recovered: float


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
        InputError: See ``check_labels``; or fewer than two classes have this many images.
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
    """Change some labels of ten copies, look for them, and count how many are found.

    Each label changed becomes any of the other classes with equal chance, so this speaks of random errors alone, and
    not of what people confuse. It says nothing of how many images on the real list are wrong: classes that look the
    same are listed too, and only a person can tell them from errors.

    Args:
        graph: See ``find_label_errors``.
        labels: Integers or strings (N,).
        listed: How many of the list, from its beginning, are meant.
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
    positions, _, _, scores = _suspects(graph, codes, told, check_count(k, "k"))
    listed = min(listed, len(positions))
    cut = float(scores[listed - 1]) if listed else math.inf
    tied = float((scores[:listed] == cut).sum() / max(1, (scores == cut).sum()))  # share of them that is listed
    draw = np.random.default_rng(seed)
    eligible = np.flatnonzero(told[codes])
    flips = max(1, round(share * len(eligible)))
    found = recovered = 0.0
    for _ in range(_COPIES):
        flipped = draw.choice(eligible, flips, replace=False)
        changed = codes.copy()
        changed[flipped] = usual[(at[codes[flipped]] + draw.integers(1, len(usual), flips)) % len(usual)]
        again, _, _, reached = _suspects(graph, changed, told, k)
        hit = np.isin(again, flipped)
        recovered += hit[:listed].sum() / flips / _COPIES
        found += (reached[hit] > cut).sum() + tied * (reached[hit] == cut).sum()
    return SelfTest(listed, _COPIES * flips, round(found), float(recovered))


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
            f"two classes or more must have at least {fewest} images each, got {told.sum()}; label some more"
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
