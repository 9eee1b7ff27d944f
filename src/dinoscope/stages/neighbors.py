"""Neighbours of a collection's images: exact, or, of very many, from an approximate index that is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.hnsw import APPROXIMATE_FROM, SearchIndex, takes_index
from dinoscope.base.text import remark
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.analysis.neighbors import NeighborGraph
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.results.kept import Computed

__all__ = ["load_index", "nearest", "neighbor_graph"]

_CHUNK = 16 << 20  # bytes of the stored index a row


def neighbor_graph(collection: OpenedCollection, k: int = 30) -> NeighborGraph:
    """Return the graph of the ``k`` nearest neighbours; every other step reads the one with 30.

    See ``Collection.neighbors``.
    """
    from dinoscope.analysis.neighbors import NeighborGraph, neighbors

    if len(collection) < 2:
        if collection.condition is not None:
            raise InputError("one image meets the condition, and this compares images")  # not which: a report shows it
        raise InputError(f"{collection.path} has one image with a vector, and this compares images: embed more of them")

    def compute() -> Computed:
        if takes_index(len(collection)):
            graph = load_index(collection).neighbors(k)
        else:
            if len(collection) >= APPROXIMATE_FROM:
                remark(
                    f"{len(collection):,} images are compared each with each; pip install 'dinoscope[large]' finds "
                    "nearly the same neighbours in a fraction of the time"
                )
            graph = neighbors(collection.vectors, k)
        return {"indices": graph.indices, "similarities": graph.similarities}, {"recall": graph.recall}

    columns, meta = collection.results.run("neighbors", {"k": k}, compute)
    return NeighborGraph(columns["indices"], columns["similarities"], meta.get("recall", 1.0))


def load_index(collection: OpenedCollection) -> SearchIndex:
    """Return the approximate index of a collection, built when it is first asked for."""
    return collection.held("index", lambda: _load_index(collection))


def _load_index(collection: OpenedCollection) -> SearchIndex:
    built: list[SearchIndex] = []

    def compute() -> Computed:
        built.append(SearchIndex(collection.vectors))
        content = built[0].dump()
        return {"content": [content[start : start + _CHUNK] for start in range(0, len(content), _CHUNK)]}, {}

    columns, _ = collection.results.run("index", {}, compute)
    if not built:
        try:
            return SearchIndex(collection.vectors, b"".join(columns["content"]))
        except InputError:  # written by a usearch that this one does not understand: a minute, but an answer
            built.append(SearchIndex(collection.vectors))
    return built[0]


def nearest(
    collection: OpenedCollection, vector: NDArray[np.float32], k: int, own: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return positions and similarities (k,) of the images nearest to a unit vector (D,), the nearest first.

    Args:
        collection: Where to look.
        vector: The query.
        k: Number of answers; fewer if there are fewer images.
        own: Position to leave out.
    """
    if takes_index(len(collection)):
        graph = load_index(collection).query(vector[None], k + (own is not None))
        found, similarities = graph.indices[0].astype(np.int64), graph.similarities[0]
        keep = np.flatnonzero(found != own)[:k]
        return found[keep], similarities[keep]
    similarity = collection.vectors @ vector
    if own is not None:
        similarity[own] = -np.inf
    # a stable order among equals: the lower row first
    order = np.argsort(-similarity, kind="stable")[: min(k, len(collection) - (own is not None))]
    return order, similarity[order]
