"""Neighbours of a collection's images: exact, or, of very many, from an approximate index that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.hnsw import APPROXIMATE_FROM, SearchIndex
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.analysis.neighbors import NeighborGraph
    from dinoscope.collection import Collection
    from dinoscope.stages.results import Computed

__all__ = ["load_index", "nearest", "neighbors"]

_CHUNK = 16 << 20  # bytes of the stored index a row


def neighbors(self: Collection, k: int = 30) -> NeighborGraph:
    """Return the graph of the ``k`` nearest neighbours; every other step reads the one with 30.

    It is exact below 100,000 images; from there on it comes from an approximate index, and ``recall`` says how many
    of the true neighbours it has.
    """
    from dinoscope.analysis.neighbors import NeighborGraph, neighbors

    def compute() -> Computed:
        graph = self.search_index.neighbors(k) if len(self) >= APPROXIMATE_FROM else neighbors(self.vectors, k)
        return {"indices": graph.indices, "similarities": graph.similarities}, {"recall": graph.recall}

    columns, meta = self.stage("neighbors", {"k": k}, compute)
    return NeighborGraph(columns["indices"], columns["similarities"], meta.get("recall", 1.0))


def load_index(collection: Collection) -> SearchIndex:
    """Return the approximate index of a collection, built when it is first asked for."""
    built: list[SearchIndex] = []

    def compute() -> Computed:
        built.append(SearchIndex(collection.vectors))
        content = built[0].dump()
        return {"content": [content[start : start + _CHUNK] for start in range(0, len(content), _CHUNK)]}, {}

    columns, _ = collection.stage("index", {}, compute)
    if not built:
        try:
            return SearchIndex(collection.vectors, b"".join(columns["content"]))
        except InputError:  # written by a usearch that this one does not understand: a minute, but an answer
            built.append(SearchIndex(collection.vectors))
    return built[0]


def nearest(
    collection: Collection, vector: NDArray[np.float32], k: int, own: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return positions and similarities (k,) of the images nearest to a unit vector (D,), the nearest first.

    Args:
        collection: Where to look.
        vector: The query.
        k: Number of answers; fewer if there are fewer images.
        own: Position to leave out.
    """
    if len(collection) >= APPROXIMATE_FROM:
        graph = collection.search_index.query(vector[None], k + (own is not None))
        found, similarities = graph.indices[0].astype(np.int64), graph.similarities[0]
        keep = np.flatnonzero(found != own)[:k]
        return found[keep], similarities[keep]
    similarity = collection.vectors @ vector
    if own is not None:
        similarity[own] = -np.inf
    # a stable order among equals: the lower row first
    order = np.argsort(-similarity, kind="stable")[: min(k, len(collection) - (own is not None))]
    return order, similarity[order]
