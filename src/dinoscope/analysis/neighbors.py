"""Exact nearest neighbours by cosine similarity: one graph that every later step reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_count, check_vectors, shown
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["NeighborGraph", "check_graph", "neighbors", "query_neighbors"]

_BLOCK_BYTES = 1 << 28  # similarities held at once; large enough for full-speed matrix products
_SLICE_ROWS = 32  # rows one thread selects from at a time
_FOLD = 16  # values folded into one maximum before the selection


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """The nearest neighbours of each row, nearest first.

    Attributes:
        indices: Row numbers of the neighbours (N, k), int32.
        similarities: Their cosine similarities (N, k), float32, from -1 to 1, descending along a row.
        recall: Share of the true neighbours that are among these: 1 where they are exact, else as measured on a
            sample of the rows for the k that was searched; None where it is not known.
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]
    recall: float | None = 1.0

    def __post_init__(self) -> None:
        if self.indices.ndim != 2 or self.indices.shape != self.similarities.shape:
            raise InputError(
                "indices and similarities must have one shape (N, k), "
                f"got {self.indices.shape} and {self.similarities.shape}"
            )

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def k(self) -> int:
        """Neighbours a row."""
        return int(self.indices.shape[1])

    @property
    def distances(self) -> NDArray[np.float32]:
        """Cosine distances (N, k), 1 - similarity, from 0 to 2."""
        return 1 - self.similarities

    def top(self, k: int) -> NeighborGraph:
        """Return the graph of the ``k`` nearest.

        Raises:
            InputError: The graph holds fewer than ``k`` neighbours a row.
        """
        if check_count(k, "k") > self.k:
            raise InputError(f"the graph holds {self.k} neighbours per row, {k} are needed; make it with k={k} or more")
        return NeighborGraph(self.indices[:, :k], self.similarities[:, :k], self.recall)


def check_graph(graph: NeighborGraph, count: int, known: int | None = None) -> NeighborGraph:
    """Check that a graph is of ``count`` vectors among themselves, or among ``known`` others, and return it.

    Raises:
        InputError: If it has another number of rows, or points beyond them.
    """
    if not isinstance(graph, NeighborGraph):
        raise InputError(f"graph must be what neighbors() returns, got {shown(graph)}")
    if len(graph) != count:
        raise InputError(f"graph must have one row per vector, expected {count}, got {len(graph)}; compute it again")
    searched = count if known is None else known
    if graph.indices.size and not 0 <= graph.indices.min() <= graph.indices.max() < searched:
        least, most = graph.indices.min(), graph.indices.max()
        raise InputError(
            f"graph must hold row numbers from 0 to {searched - 1}, got {least} to {most}; compute it again"
        )
    return graph


def neighbors(vectors: ArrayLike, k: int = 30) -> NeighborGraph:
    """Find the exact ``k`` nearest other rows of each row by cosine similarity.

    A row is never its own neighbour; another row with the same vector is a neighbour like any other. Among equal
    similarities the lower row number comes first. With fewer than ``k`` other rows all N - 1 are returned.

    Args:
        vectors: Array (N, D), N >= 2, of any scale.
        k: Neighbours a row.

    Returns:
        The graph, (N, min(k, N - 1)).

    Raises:
        InputError: See ``l2_normalize``; or N < 2, or k < 1.
    """
    k = check_count(k, "k")
    unit = l2_normalize(check_vectors(vectors, at_least=2))
    return _search(unit, unit, min(k, len(unit) - 1), exclude_self=True)


def query_neighbors(vectors: ArrayLike, queries: ArrayLike, k: int = 30) -> NeighborGraph:
    """Find the exact ``k`` nearest rows of ``vectors`` for each query; nothing is left out.

    Args:
        vectors: Array (N, D) searched in.
        queries: Array (M, D).
        k: Neighbours a query; with fewer than ``k`` rows all N are returned.

    Returns:
        The graph, (M, min(k, N)), of row numbers of ``vectors``.

    Raises:
        InputError: See ``l2_normalize``; or the two widths differ, or k < 1.
    """
    k = check_count(k, "k")
    unit, asked = l2_normalize(vectors), l2_normalize(check_vectors(queries, "queries"))
    if unit.shape[1] != asked.shape[1]:
        raise InputError(
            f"queries must have the width of vectors, expected (M, {unit.shape[1]}), got {asked.shape}; "
            "embed both with the same model"
        )
    return _search(unit, asked, min(k, len(unit)), exclude_self=False)


def _search(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int, *, exclude_self: bool) -> NeighborGraph:
    """Search unit rows block by block: the product runs on all cores, then the selection does."""
    indices = np.empty((len(queries), k), np.int32)
    similarities = np.empty((len(queries), k), np.float32)
    blocks = row_blocks(len(queries), _BLOCK_BYTES // (4 * len(vectors)))
    buffer = np.empty((blocks[0].stop, len(vectors)), np.float32)
    for block in blocks:
        products = np.matmul(queries[block], vectors.T, out=buffer[: block.stop - block.start])
        if exclude_self:
            products[np.arange(len(products)), np.arange(block.start, block.stop)] = -np.inf
        _select_largest(products, indices[block], similarities[block])
    return NeighborGraph(indices, np.maximum(similarities, -1, out=similarities))


def _select_largest(values: NDArray[np.float32], columns: NDArray[np.int32], largest: NDArray[np.float32]) -> None:
    """Write columns and values of the k largest of each row, descending, ties by the lower column.

    Folding strided groups into their maxima leaves distinct entries of the row, so the k-th largest maximum is no
    larger than the k-th largest entry: it is a safe threshold, found in a list ``_FOLD`` times shorter. What
    reaches it holds every tie at the boundary, so a stable sort of these few settles the order exactly.
    """
    k = columns.shape[1]
    fold = max(1, min(_FOLD, values.shape[1] // (8 * k)))
    groups = values.shape[1] // fold

    def select(rows: slice) -> None:
        part = np.minimum(values[rows], 1, out=values[rows])  # rounding leaves 1.0000001 for a duplicate
        maxima = part[:, : fold * groups].reshape(-1, fold, groups).max(axis=1)
        thresholds = np.partition(maxima, groups - k, axis=1)[:, groups - k]
        for row, entries, threshold in zip(range(rows.start, rows.stop), part, thresholds, strict=True):
            reached = np.flatnonzero(entries >= threshold)
            columns[row] = reached[np.argsort(-entries[reached], kind="stable")[:k]]
        largest[rows] = np.take_along_axis(part, columns[rows], axis=1)

    in_threads(select, row_blocks(len(values), _SLICE_ROWS))
