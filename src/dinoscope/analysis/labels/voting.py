"""Names for images from the names of their nearest neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph, query_neighbors
from dinoscope.base.checks import check_count, check_labels, check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["KNNPrediction", "Votes", "knn_accuracy", "knn_accuracy_split", "knn_predict", "label_votes"]

_TEMPERATURE = 0.07
_BLOCK_ROWS, _CELLS = 8192, 10_000_000  # most rows, and numbers, counted at once


@dataclass(frozen=True, eq=False)
class KNNPrediction:
    """What the neighbours say.

    Attributes:
        labels: The winning label of each row (M,), of the type of the labels given.
        scores: Its share of the votes (M,), float64, above 0 to 1.
    """

    labels: NDArray[np.generic]
    scores: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Votes:
    """How the neighbours of each row vote, label by label.

    Attributes:
        names: The C labels, sorted.
        shares: Each label's share of the votes (M, C), float64, rows sum to 1.
        winners: Number of the winning label (M,), as ``knn_predict`` names it.
    """

    names: NDArray[np.generic]
    shares: NDArray[np.float64]
    winners: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.shares)

    def take(self, rows: ArrayLike) -> Votes:
        """Return the votes on some of the rows, by number or by mask."""
        chosen = np.asarray(rows)
        return Votes(self.names, self.shares[chosen], self.winners[chosen])


def knn_predict(
    graph: NeighborGraph, labels: ArrayLike, *, k: int = 20, temperature: float = _TEMPERATURE
) -> KNNPrediction:
    """Let the ``k`` nearest neighbours vote on the label of each row, as in DINO's k-NN protocol.

    Each neighbour votes for its label with weight exp(similarity / temperature), and the label with the most votes
    wins (Wu et al. 2018; Caron et al. 2021, arXiv:2104.14294, which found k = 20 and 0.07 best). Equal votes go to
    the label with the nearest neighbour.

    Args:
        graph: Neighbours (M, k or more) from ``neighbors`` or ``query_neighbors``. Where there are no more than it
            holds, fewer than ``k`` vote.
        labels: Integers or strings (N,) of the vectors that the graph points to.
        k: Voters.
        temperature: Above 0; small values trust the nearest alone.

    Raises:
        InputError: See ``check_labels``; the graph points beyond the labels or holds too few neighbours, or an
            argument is out of range.
    """
    names, codes, graph = _voters(graph, labels, k, temperature)
    winners, shares = np.empty(len(graph), np.intp), np.empty(len(graph))
    for rows in row_blocks(len(graph), min(_BLOCK_ROWS, _CELLS // graph.k**2)):
        voted, weights = codes[graph.indices[rows]], _weights(graph.similarities[rows], temperature)
        # Votes for each neighbour's own label: k x k a row, for any number of labels.
        votes = np.einsum("mij,mj->mi", voted[:, :, None] == voted[:, None, :], weights)
        best = votes.argmax(axis=1)[:, None]
        winners[rows] = np.take_along_axis(voted, best, axis=1)[:, 0]
        shares[rows] = np.take_along_axis(votes, best, axis=1)[:, 0] / weights.sum(axis=1)
    return KNNPrediction(names[winners], np.minimum(shares, 1))


def label_votes(graph: NeighborGraph, labels: ArrayLike, *, k: int = 20, temperature: float = _TEMPERATURE) -> Votes:
    """Count the votes of the ``k`` nearest neighbours for every label, by the rule of ``knn_predict``.

    Holds M x C numbers: where there are many labels, ask for some of the rows at a time. Arguments and errors as in
    ``knn_predict``.
    """
    names, codes, graph = _voters(graph, labels, k, temperature)
    shares, winners = np.empty((len(graph), len(names))), np.empty(len(graph), np.intp)
    for rows in row_blocks(len(graph), min(_BLOCK_ROWS, _CELLS // max(1, len(names)))):
        voted, weights = codes[graph.indices[rows]], _weights(graph.similarities[rows], temperature)
        cells = (np.arange(len(voted))[:, None] * len(names) + voted).ravel()
        votes = np.bincount(cells, weights.ravel(), len(voted) * len(names)).reshape(len(voted), len(names))
        best = np.take_along_axis(votes, voted, axis=1).argmax(axis=1)[:, None]  # the first is the nearest
        winners[rows] = np.take_along_axis(voted, best, axis=1)[:, 0]
        shares[rows] = votes / votes.sum(axis=1, keepdims=True)
    return Votes(names, shares, winners)


def knn_accuracy(graph: NeighborGraph, labels: ArrayLike, k: int = 20) -> float:
    """Return the share of rows that their ``k`` nearest neighbours name right, each row left out in turn, 0 to 1.

    Args:
        graph: Neighbours of the labelled vectors among themselves, from ``neighbors``.
        labels: Integers or strings (N,).
        k: Voters, as in ``knn_predict``.

    Raises:
        InputError: See ``knn_predict``; or the graph has not one row a label.
    """
    truth = check_labels(labels, len(graph))
    return float((knn_predict(graph, truth, k=k).labels == truth).mean())


def knn_accuracy_split(vectors: ArrayLike, labels: ArrayLike, is_reference: ArrayLike, k: int = 20) -> float:
    """Return the share of the other rows that their ``k`` nearest reference rows name right, 0 to 1.

    Args:
        vectors: Array (N, D).
        labels: Integers or strings (N,).
        is_reference: Booleans (N,), True for the rows that vote, False for those that are named.
        k: Voters, as in ``knn_predict``.

    Raises:
        InputError: See ``query_neighbors`` and ``knn_predict``; or the mask is not of booleans of both kinds.
    """
    array = check_vectors(vectors)
    truth = check_labels(labels, len(array))
    reference = np.asarray(is_reference)
    if reference.dtype != np.bool_ or reference.shape != truth.shape:
        raise InputError(
            f"is_reference must be booleans of shape {truth.shape}, got {reference.dtype} of shape {reference.shape}"
        )
    if reference.all() or not reference.any():
        raise InputError(
            f"is_reference must leave rows on both sides, got {reference.sum()} True of {len(reference)}; "
            "mark some rows as reference and some not"
        )
    graph = query_neighbors(array[reference], array[~reference], k)
    return float((knn_predict(graph, truth[reference], k=k).labels == truth[~reference]).mean())


def _voters(
    graph: NeighborGraph, labels: ArrayLike, k: int, temperature: float
) -> tuple[NDArray[np.generic], NDArray[np.intp], NeighborGraph]:
    """Check what a vote needs; return the labels' names, the number of each one's label, and who votes."""
    names, codes = np.unique(check_labels(labels), return_inverse=True)
    check_count(k, "k")
    if not temperature > 0:
        raise InputError(f"temperature must be above 0, got {temperature!r}; 0.07 is usual")
    if graph.indices.size and graph.indices.max() >= len(codes):
        raise InputError(
            f"labels must cover every neighbour, expected at least {graph.indices.max() + 1}, got {len(codes)}; "
            "pass the labels of the vectors searched in"
        )
    everyone = graph.k >= len(codes) - 1  # the graph is short because the collection is
    return names, codes, graph.top(min(k, graph.k) if everyone else k)


def _weights(similarities: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    nearness = similarities.astype(np.float64)
    weights: NDArray[np.float64] = np.exp((nearness - nearness[:, :1]) / temperature)  # the nearest's is 1: no overflow
    return weights
