"""Maps: each vector placed on a plane so that neighbours stay neighbours."""

from __future__ import annotations

import inspect
import warnings
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.checks import check_count, check_vectors
from dinoscope.errors import InputError, did_you_mean
from dinoscope.knn import NeighborGraph, l2_normalize, neighbors

__all__ = ["Engine", "umap"]

Engine = Literal["fastumap", "umap-learn"]

_ROUNDING = 1e-6  # what a cosine distance between equal vectors can come out as


def umap(
    vectors: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    n_components: int = 2,
    seed: int = 42,
    engine: Engine = "fastumap",
) -> NDArray[np.float32]:
    """Lay the vectors out with UMAP (McInnes et al. 2018, arXiv:1802.03426) by cosine distance.

    The same input, seed and engine give the same map bit for bit on one machine. ``n_neighbors`` beyond N counts
    as N. Fewer than ``n_components + 3`` vectors say too little for UMAP: their map is that of their principal
    components. The layout starts from the spectrum of the graph, as usual; from the principal components where that
    spectrum is degenerate: the graph falls apart, or a few distinct vectors are all there are.

    Args:
        vectors: Array (N, D), N >= 2, of any scale.
        graph: Neighbours of ``vectors`` with at least ``n_neighbors - 1`` a row; computed when missing. fastumap 0.1
            (the only one for macOS) cannot take a graph and searches again.
        n_neighbors: Points of each neighbourhood, the point itself included as in umap-learn; 2 or more. Small
            values show detail, large ones the whole.
        min_dist: How close points may lie on the map, in map units, from 0 up to 1.
        n_components: Axes of the map; at most D, and with fastumap 0.1 only 2 or 3.
        seed: Seed of the layout, from 0 to 2**32 - 1.
        engine: "fastumap" (precompiled) or "umap-learn" (the reference; needs its extra and compiles for half a
            minute in each process).

    Returns:
        The map (N, n_components), float32.

    Raises:
        InputError: An argument is out of its range, the graph does not fit, or the engine is unknown or missing.
    """
    array = check_vectors(vectors, at_least=2)
    count = len(array)
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    check_count(n_components, "n_components", at_most=array.shape[1], why="the width of the vectors")
    size = min(check_count(n_neighbors, "n_neighbors", at_least=2), count)
    if not 0 <= min_dist <= 1:
        raise InputError(f"min_dist must lie between 0 and 1, got {min_dist!r}")
    if engine not in get_args(Engine):
        known = get_args(Engine)
        raise InputError(f"engine must be one of {', '.join(known)}, got {engine!r}{did_you_mean(str(engine), known)}")
    if graph is not None and len(graph) != count:
        raise InputError(f"graph must have one row a vector, expected {count}, got {len(graph)}; compute it anew")
    unit = l2_normalize(array)
    if count < n_components + 3:
        return _principal_components(unit, n_components).astype(np.float32)
    graph = neighbors(array, size - 1) if graph is None else graph.top(size - 1)
    settings = {"n_components": n_components, "min_dist": min_dist, "random_state": seed, "metric": "cosine"}
    if _is_degenerate(unit, graph, n_components):
        settings["init"] = _principal_start(unit, n_components, seed)
    layout = (_fastumap if engine == "fastumap" else _umap_learn)(unit, graph, settings)
    return np.ascontiguousarray(layout, dtype=np.float32)


def _fastumap(unit: NDArray[np.float32], graph: NeighborGraph, settings: dict[str, Any]) -> NDArray[Any]:
    """Run fastumap 0.2 from the graph, or 0.1, which has no place for one, from the vectors."""
    from fastumap import umap_project

    dimensions = settings.pop("n_components")
    if "precomputed_knn" in inspect.signature(umap_project).parameters:
        settings["precomputed_knn"] = _with_self(graph)
    elif dimensions not in (2, 3):
        raise InputError(f"n_components must be 2 or 3 with fastumap 0.1, got {dimensions}; use engine='umap-learn'")
    layout: NDArray[Any] = umap_project(unit.astype(np.float64), dimensions, n_neighbors=graph.k + 1, **settings)
    return layout


def _umap_learn(unit: NDArray[np.float32], graph: NeighborGraph, settings: dict[str, Any]) -> NDArray[Any]:
    """Run umap-learn from the graph."""
    try:
        from umap import UMAP
    except ImportError as error:
        raise InputError(
            "engine 'umap-learn' needs a package that is not installed: pip install 'dinoscope[umap-learn]'"
        ) from error

    size = min(graph.k + 1, len(unit) - 1)  # its own upper limit
    known = tuple(part[:, :size] for part in _with_self(graph))
    model = UMAP(n_neighbors=size, precomputed_knn=known, n_jobs=1, **settings)  # a seed allows one thread only
    with warnings.catch_warnings():
        # It says that new points cannot be placed without its own search index; none are.
        warnings.filterwarnings("ignore", message=r"precomputed_knn\[2\]")
        layout: NDArray[Any] = model.fit_transform(unit)
    return layout


def _with_self(graph: NeighborGraph) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return indices and distances (N, k + 1) with each point first among its own neighbours, as UMAP expects.

    Distances within the rounding of float32 products become 0: UMAP takes the nearest neighbour at a positive
    distance as the unit of its scale, and a duplicate must not be it.
    """
    rows = np.arange(len(graph))[:, None]
    distances = np.where(graph.distances < _ROUNDING, np.float32(0), graph.distances)
    return np.hstack([rows, graph.indices]), np.hstack([np.zeros_like(rows, np.float32), distances])


def _is_degenerate(unit: NDArray[np.float32], graph: NeighborGraph, n_components: int) -> bool:
    """Tell whether a spectral start is ill-defined, which also makes it differ from run to run.

    The eigenvector search then meets an invariant subspace and goes on from a random vector out of SciPy's own,
    unseeded generator. It happens in separate cliques of duplicates, and where there are fewer distinct vectors
    (counted along one fixed direction) or distances than its basis holds.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    direction = np.random.default_rng(0).standard_normal(unit.shape[1], dtype=np.float32)
    distinct = min(len(np.unique(np.round(values, 5))) for values in (unit @ direction, graph.distances))
    if distinct <= 24 + 4 * n_components:
        return True
    starts = np.arange(len(graph) + 1) * graph.k
    links = csr_array((np.ones(starts[-1], np.int8), graph.indices.ravel(), starts), shape=(len(unit), len(unit)))
    return bool(connected_components(links, directed=False, return_labels=False) > 1)


def _principal_start(unit: NDArray[np.float32], n_components: int, seed: int) -> NDArray[np.float64]:
    """Return principal components (N, n_components) at UMAP's usual scale, 10, shaken so that duplicates part."""
    start = _principal_components(unit, n_components)
    start *= 10 / max(np.abs(start).max(), _ROUNDING)
    return start + np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)


def _principal_components(unit: NDArray[np.float32], n_components: int) -> NDArray[np.float64]:
    """Return the coordinates (N, n_components) on the axes of largest variance.

    Each axis points so that its largest coordinate is positive: the sign does not depend on the linear algebra.
    """
    centred = unit.astype(np.float64) - unit.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    layout: NDArray[np.float64] = centred @ axes[:, : -n_components - 1 : -1]
    largest = layout[np.abs(layout).argmax(axis=0), np.arange(n_components)]
    return layout * np.where(largest < 0, -1.0, 1.0)
