"""An approximate index of many vectors: their neighbour graph, and searches in milliseconds.

Exact neighbours take a time that grows with the square of the number of vectors; from ``APPROXIMATE_FROM`` on a
hierarchical navigable small world graph (Malkov and Yashunin 2016, arXiv:1603.09320; usearch's) proposes candidates,
and their similarities are computed exactly. How many true neighbours the graph has is measured, never assumed.
"""

from __future__ import annotations

from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph, query_neighbors
from dinoscope.base.checks import check_count, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["APPROXIMATE_FROM", "SearchIndex", "takes_index"]

APPROXIMATE_FROM = 100_000  # vectors; their exact graph takes about a minute on two cores
_LINKS = 16  # of each vector to others
_BUILD_WIDTH = 128  # candidates kept while a vector finds its links
_GRAPH_WIDTH = 128  # candidates kept while the neighbours of a vector are looked for, at least
_QUERY_WIDTH = 512  # the same for a query, which may lie far from all vectors, and comes alone
_SPARE = 20  # candidates beyond k: their order by whole numbers is not quite that by exact similarities
_BLOCK = 4096  # queries answered at once
_SLICE = 64  # queries one thread scores at a time: 64 x 50 candidates of 384 numbers are 5 MB
_SAMPLE = 500  # rows that the recall is measured on
_TIE = 1e-6  # similarities this close are equal: the rounding of float32 products


def takes_index(count: int) -> bool:
    """Tell whether to search this many vectors with an index: they are many, and usearch (an extra) is installed."""
    return count >= APPROXIMATE_FROM and find_spec("usearch") is not None


class SearchIndex:
    """Unit vectors (N, D) with links between near ones.

    One vector after the other is linked, by one thread, so that the same vectors give the same index and the same
    answers every time. The links are found among the vectors as whole numbers from -127 to 127, which are a quarter
    of the size and more than twice as fast; answers are ordered by the exact similarities.
    """

    def __init__(self, vectors: ArrayLike, content: bytes | None = None) -> None:
        """Link the vectors, or take the links that ``dump`` gave for the same vectors.

        Args:
            vectors: Array (N, D), N >= 2, of any scale; float32 of length 1 is not copied.
            content: What ``dump`` gave.

        Raises:
            InputError: See ``l2_normalize``; ``content`` belongs to other vectors or is not an index; or usearch is not
                installed.
        """
        # Wheels of usearch from 2.26 on bring a C++ library of their own for Linux. Where theirs is the first in a
        # process, ONNX Runtime crashes later on; after any other package in C++ it is harmless.
        with LOADING:
            from scipy.spatial import cKDTree  # noqa: F401

        try:
            from usearch.index import Index
        except ImportError as error:
            raise InputError(
                f"the index of many images needs usearch, which does not load ({error}): pip install "
                "'dinoscope[large]' installs it; without it, neighbours are computed exactly, which takes longer"
            ) from error

        self._unit = l2_normalize(check_vectors(vectors, at_least=2))
        largest = max(float(np.abs(self._unit[rows]).max()) for rows in row_blocks(len(self._unit), _BLOCK))
        self._scale = np.float32(127 / largest)
        self._links: Any = Index(  # its types call expansion_search read-only
            ndim=self._unit.shape[1],
            metric="ip",
            dtype="i8",
            connectivity=_LINKS,
            expansion_add=_BUILD_WIDTH,
            enable_key_lookups=False,
        )
        self._one_at_a_time = Lock()  # usearch starts its own threads, but all callers share one working memory
        if content is None:
            for rows in row_blocks(len(self._unit), _BLOCK):
                keys = np.arange(rows.start, rows.stop)
                self._links.add(keys, self._whole_numbers(self._unit[rows]), threads=1)
        else:
            try:
                self._links.load(content)
            except RuntimeError as error:  # also where another version of usearch wrote it
                raise InputError(
                    f"the stored index cannot be read ({error}); build it again from its vectors"
                ) from error
        if (len(self._links), self._links.ndim) != self._unit.shape:
            raise InputError(
                f"the index holds {len(self._links)} vectors of {self._links.ndim} numbers, "
                f"expected {self._unit.shape}; build it again from these vectors"
            )

    def __len__(self) -> int:
        return len(self._unit)

    def dump(self) -> bytes:
        """Return the links, with the whole numbers, as bytes to be stored."""
        content = self._links.save()
        return bytes(content) if content is not None else b""

    def neighbors(self, k: int = 30) -> NeighborGraph:
        """Find nearly all of the ``k`` nearest other rows of each row; see ``neighbors``, which is exact.

        Returns:
            The graph, (N, min(k, N - 1)), whose ``recall`` was measured on 500 rows.

        Raises:
            InputError: k < 1.
        """
        k = min(check_count(k, "k"), len(self) - 1)
        graph = self._search(self._unit, k, np.arange(len(self)))
        return NeighborGraph(graph.indices, graph.similarities, self._recall(graph))

    def query(self, queries: ArrayLike, k: int = 30) -> NeighborGraph:
        """Find nearly all of the ``k`` nearest rows for each query; see ``query_neighbors``, which is exact.

        Args:
            queries: Array (M, D), of any scale.
            k: Neighbours a query.

        Returns:
            The graph, (M, min(k, N)); its recall is not known.

        Raises:
            InputError: See ``l2_normalize``; or the width is another, or k < 1.
        """
        asked = l2_normalize(check_vectors(queries, "queries"))
        if asked.shape[1] != self._unit.shape[1]:
            raise InputError(
                f"queries must have the width of the index, expected (M, {self._unit.shape[1]}), got {asked.shape}; "
                "embed both with the same model"
            )
        return self._search(asked, min(check_count(k, "k"), len(self)), None)

    def _whole_numbers(self, rows: NDArray[np.float32]) -> NDArray[np.int8]:
        whole: NDArray[np.int8] = np.clip(np.rint(rows * self._scale), -127, 127).astype(np.int8)
        return whole

    def _search(self, queries: NDArray[np.float32], k: int, own: NDArray[np.int64] | None) -> NeighborGraph:
        """Find the k nearest of unit queries (M, D); ``own`` (M,) are rows to leave out, one a query."""
        indices = np.empty((len(queries), k), np.int32)
        similarities = np.empty((len(queries), k), np.float32)
        count = min(len(self), k + _SPARE)
        width = max(_QUERY_WIDTH if own is None else _GRAPH_WIDTH, 2 * count)
        for block in row_blocks(len(queries), _BLOCK):
            candidates = self._candidates(queries[block], count, width)
            if own is not None:
                candidates[candidates == own[block, None]] = len(self)
            candidates.sort(axis=1)  # so that among equal similarities the lower row comes first

            def score(rows: slice, block: slice = block, candidates: NDArray[np.int64] = candidates) -> None:
                chosen = candidates[rows]
                found = np.matmul(self._unit[np.minimum(chosen, len(self) - 1)], queries[block][rows][:, :, None])
                found = np.where(chosen < len(self), np.clip(found[:, :, 0], -1, 1), -np.inf)
                order = np.argsort(-found, axis=1, kind="stable")[:, :k]
                indices[block][rows] = np.take_along_axis(chosen, order, axis=1)
                similarities[block][rows] = np.take_along_axis(found, order, axis=1)

            in_threads(score, row_blocks(len(candidates), _SLICE))
        short = np.flatnonzero(similarities[:, -1] == -np.inf)  # the links of many equal vectors can be a dead end
        if len(short):
            exact = _exact(self._unit, queries[short], k, None if own is None else own[short])
            indices[short], similarities[short] = exact.indices, exact.similarities
        return NeighborGraph(indices, similarities, None)

    def _candidates(self, queries: NDArray[np.float32], count: int, width: int) -> NDArray[np.int64]:
        """Return row numbers (M, count) near the queries; N stands where fewer were found."""
        whole = self._whole_numbers(queries)
        with self._one_at_a_time:
            self._links.expansion_search = width
            found = self._links.search(whole, count)
        keys = np.atleast_2d(found.keys).astype(np.int64)
        if len(queries) == 1:  # usearch then gives one list, as long as what it found
            return np.pad(keys, ((0, 0), (0, count - keys.shape[1])), constant_values=len(self))
        keys[np.arange(count) >= found.counts[:, None]] = len(self)
        return keys

    def _recall(self, graph: NeighborGraph) -> float:
        """Return the share of true neighbours among those of a sample; any of equally near ones is true."""
        count = min(_SAMPLE, len(self))
        rows = np.sort(np.random.default_rng(0).choice(len(self), count, replace=False))
        exact = _exact(self._unit, self._unit[rows], graph.k, rows)
        return float((graph.similarities[rows] >= exact.similarities[:, -1:] - _TIE).mean())


def _exact(
    unit: NDArray[np.float32], queries: NDArray[np.float32], k: int, own: NDArray[np.int64] | None
) -> NeighborGraph:
    """Return the exact k nearest rows of each query, without its own row."""
    if own is None:
        return query_neighbors(unit, queries, k)
    graph = query_neighbors(unit, queries, k + 1)
    # Copies of a row may have crowded the row itself out: then the last one is one too many.
    order = np.argsort(graph.indices == own[:, None], axis=1, kind="stable")[:, :k]
    return NeighborGraph(
        np.take_along_axis(graph.indices, order, axis=1), np.take_along_axis(graph.similarities, order, axis=1)
    )
