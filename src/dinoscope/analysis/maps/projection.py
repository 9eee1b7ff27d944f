"""Maps: each vector placed on a plane so that neighbours stay neighbours.

``umap``, ``tsne`` and ``pca`` take the same vectors, graph, axes and seed; ``place`` puts new vectors on their maps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.maps.engines import ENGINES, ROUNDING, Engine, Settings
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors, query_neighbors
from dinoscope.base.checks import check_arguments, check_choice, check_count, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.machine import cores
from dinoscope.base.parallel import one_thread_each, row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["Engine", "Method", "PrincipalAxes", "check_method", "pca", "transform", "tsne", "umap"]

Method = Literal["umap", "tsne", "pca"]
_MANY = 2_000  # vectors from which t-SNE gains by more than one thread
_EARLY, _STEPS, _TOLD_EVERY = 250, 750, 25  # steps of t-SNE: with exaggeration, in all, and between two reports
_SPECTRAL = 100_000  # vectors up to which UMAP starts from the spectrum of the graph; beyond, that takes minutes
_BEYOND = 12  # distinct vectors needed beyond the waves that the search for a start holds
_BLOCK = 1 << 16  # rows computed with in float64 at once


@check_arguments
def umap(
    vectors: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    n_components: int = 2,
    seed: int = 42,
    epochs: int | None = None,
    engine: Engine = "dinoscope",
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Lay the vectors out with UMAP (McInnes et al. 2018, arXiv:1802.03426) by cosine distance.

    The same input, seed and engine give the same map bit for bit on one machine, on any number of threads.
    ``n_neighbors`` beyond N counts as N. Fewer than ``n_components + 3`` vectors say too little for UMAP: their map is
    that of their principal components. The layout starts from the spectrum of the graph, as usual. It starts from the
    principal components beyond 100,000 vectors, where the spectrum takes minutes, in a long chain of vectors, as of the
    frames of a film, where "dinoscope" gives up looking for it, and where the spectrum is degenerate: the graph falls
    apart, or a few distinct vectors are all there are.

    Args:
        vectors: Array (N, D), N >= 2, of any scale.
        graph: Neighbours of ``vectors`` with at least ``n_neighbors - 1`` a row; computed when missing.
        n_neighbors: Points of each neighbourhood, the point itself included as in umap-learn; 2 or more. Small
            values show detail, large ones the whole.
        min_dist: How close points may lie on the map, in map units, from 0 up to 1.
        n_components: Axes of the map; at most D.
        seed: Seed of the layout, from 0 to 2**32 - 1.
        epochs: Passes over the graph; by default UMAP's own choice, 500, or 200 beyond 10,000 vectors.
        engine: "dinoscope" (all points at once, see ``layout``), "fastumap" (pairs of points, precompiled) or
            "umap-learn" (the reference; compiles for half a minute in each process). The last two are extras.
        on_progress: Told how many steps of how many are done, by "dinoscope" alone; what it raises ends the work.

    Returns:
        The map (N, n_components), float32.

    Raises:
        InputError: An argument is out of its range, the graph does not fit, or the engine is unknown or missing.
    """
    unit = _check(vectors, graph, n_components, seed)
    count = len(unit)
    size = min(check_count(n_neighbors, "n_neighbors", at_least=2), count)
    if not 0 <= min_dist <= 1:
        raise InputError(f"min_dist must lie between 0 and 1, got {min_dist!r}")
    check_choice(engine, "engine", get_args(Engine))
    if epochs is not None:
        check_count(epochs, "epochs", at_most=1_000_000)
    if count < n_components + 3:
        return _principal_components(unit, n_components).astype(np.float32)
    graph = neighbors(unit, size - 1) if graph is None else graph.top(size - 1)
    spare = partial(_principal_start, unit, n_components, seed)
    start = spare() if count > _SPECTRAL or _is_degenerate(unit, graph, n_components) else None
    layout = ENGINES[engine](unit, graph, Settings(n_components, min_dist, seed, epochs, start, spare, on_progress))
    return np.ascontiguousarray(layout, dtype=np.float32)


def tsne(
    vectors: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    perplexity: float = 30.0,
    n_components: int = 2,
    seed: int = 42,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Lay the vectors out with t-SNE (van der Maaten and Hinton 2008), as openTSNE computes it, from the graph.

    Similarities on the map follow the distances sqrt(2 - 2 s) between unit vectors of cosine s. Each point has
    3 x ``perplexity`` neighbours; where the graph, or the collection, offers fewer, the perplexity is a third of what
    there is. The start is the principal components shaken by the seed, which keeps the large picture, so that maps of
    different seeds differ little. Fewer than ``n_components + 3`` vectors get their principal components.

    Args:
        vectors: Array (N, D), N >= 2, of any scale.
        graph: Neighbours of ``vectors``; 3 x ``perplexity`` of them, exact, are computed when missing.
        perplexity: About how many neighbours count, 1 or more.
        n_components: Axes of the map, 1 to 3, at most D.
        seed: Seed of the start, from 0 to 2**32 - 1; the same input and seed give the same map bit for bit on one
            machine, by any number of threads.
        on_progress: Told how many steps of how many are done; what it raises ends the work.

    Returns:
        The map (N, n_components), float32.

    Raises:
        InputError: An argument is out of its range, the graph does not fit, or openTSNE is not installed.
    """
    unit = _check(vectors, graph, n_components, seed)
    check_count(n_components, "n_components", at_most=3, why="what t-SNE can lay out")
    if not 1 <= perplexity < np.inf:
        raise InputError(f"perplexity must be 1 or more, got {perplexity!r}")
    if len(unit) < n_components + 3:
        return _principal_components(unit, n_components).astype(np.float32)
    size = min(int(3 * perplexity), len(unit) - 1)
    graph = neighbors(unit, size) if graph is None else graph.top(min(size, graph.k))
    start = _principal_start(unit, n_components, seed)
    layout = _opentsne(graph, min(perplexity, max(graph.k / 3, 1.0)), start * (1e-4 / start[:, 0].std()), on_progress)
    return np.ascontiguousarray(layout, dtype=np.float32)


def pca(
    vectors: ArrayLike, *, graph: NeighborGraph | None = None, n_components: int = 2, seed: int = 42
) -> NDArray[np.float32]:
    """Lay the vectors out along the axes on which they vary most, each scaled to length 1 first.

    Nothing is random: each axis points so that its largest coordinate is positive.

    Args:
        vectors: Array (N, D), N >= 2, of any scale.
        graph: Not needed; taken so that the methods can stand for each other.
        n_components: Axes of the map, at most D.
        seed: Not needed either.

    Returns:
        The map (N, n_components), float32.

    Raises:
        InputError: An argument is out of its range, or the graph does not fit.
    """
    return _principal_components(_check(vectors, graph, n_components, seed), n_components).astype(np.float32)


def transform(
    new: ArrayLike, vectors: ArrayLike, coordinates: ArrayLike, *, method: Method = "umap", k: int = 15
) -> NDArray[np.float32]:
    """Place new vectors on a map that exists, without changing it.

    On a map by ``pca`` they are projected on its axes, exactly. On the others each goes to the weighted median, axis by
    axis, of the places of its ``k`` nearest ``vectors`` by cosine similarity s, with the weights 1 / (1 - s)^2: the
    median stays with the majority where the neighbours lie in two groups, and a mean falls into the empty space
    between them; the weights put a copy of a vector on its place.

    Args:
        new: Array (M, D).
        vectors: Array (N, D) that the map shows.
        coordinates: Their map (N, C).
        method: What made the map: "umap", "tsne" or "pca".
        k: Neighbours asked for a place; not needed for "pca".

    Returns:
        The places (M, C), float32.

    Raises:
        InputError: The arrays do not fit each other, the method is unknown, or the map is not the one by ``pca``.
    """
    unit, points = l2_normalize(vectors), check_vectors(coordinates, "coordinates")
    if len(points) != len(unit):
        raise InputError(
            f"coordinates must have one row per vector, expected {len(unit)}, got {len(points)}; map again"
        )
    check_method(method)
    if method == "pca":
        return PrincipalAxes.of(unit, points).place(new)
    graph = query_neighbors(unit, new, k)
    weights = 1 / np.maximum(graph.distances.astype(np.float64), ROUNDING) ** 2
    near = points[graph.indices]
    order = np.argsort(near, axis=1, kind="stable")
    passed = np.cumsum(np.take_along_axis(weights[:, :, None], order, axis=1), axis=1)
    middle = (passed >= passed[:, -1:] / 2).argmax(axis=1)[:, None]
    chosen = np.take_along_axis(order, middle, axis=1)
    return np.ascontiguousarray(np.take_along_axis(near, chosen, axis=1)[:, 0], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """The axes of a map by ``pca``, found once for many new vectors.

    Attributes:
        mean: Mean (D,) of the unit vectors that the map shows.
        axes: Axes (D, C).
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, vectors: ArrayLike, coordinates: ArrayLike) -> PrincipalAxes:
        """Find the axes of a map, after making sure that it is one by ``pca``.

        Args:
            vectors: Array (N, D) that the map shows.
            coordinates: The map (N, C).

        Raises:
            InputError: See ``transform``.
        """
        unit, points = l2_normalize(vectors), check_vectors(coordinates, "coordinates")
        mean, axes = _principal_axes(unit, min(points.shape[1], unit.shape[1]))
        if axes.shape[1] < points.shape[1] or not all(
            np.allclose((unit[rows] - mean) @ axes, points[rows], atol=1e-5) for rows in row_blocks(len(unit), _BLOCK)
        ):
            raise InputError(
                "coordinates must be the map of these vectors by pca; make it with pca, or name its method"
            )
        return cls(mean, axes)

    def place(self, new: ArrayLike) -> NDArray[np.float32]:
        """Return the places (M, C) of new vectors (M, D).

        Raises:
            InputError: They have another width.
        """
        unit = l2_normalize(new)
        if unit.shape[1] != len(self.mean):
            raise InputError(f"new vectors must have the map's width, expected {len(self.mean)}, got {unit.shape[1]}")
        return ((unit - self.mean) @ self.axes).astype(np.float32)


def check_method(method: str) -> Method:
    """Return the name of a method, or say which there are.

    Raises:
        InputError: The method is unknown.
    """
    check_choice(method, "method", get_args(Method))
    return cast(Method, method)


def _check(vectors: ArrayLike, graph: NeighborGraph | None, n_components: int, seed: int) -> NDArray[np.float32]:
    """Check what every method takes; return the vectors at length 1."""
    array = check_vectors(vectors, at_least=2)
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    check_count(n_components, "n_components", at_most=array.shape[1], why="the width of the vectors")
    if graph is not None:
        check_graph(graph, len(array))
    return l2_normalize(array)


def _opentsne(
    graph: NeighborGraph, perplexity: float, start: NDArray[np.float64], on_progress: Callable[[int, int], None] | None
) -> NDArray[np.floating]:
    """Run openTSNE from the graph: its own neighbour search never starts."""
    try:
        with LOADING:
            from openTSNE import TSNE, affinity, nearest_neighbors
    except ImportError as error:
        raise InputError("t-SNE needs a package that is not installed: pip install openTSNE") from error

    jobs = cores() if len(graph) >= _MANY else 1
    lengths = np.sqrt(2 * np.maximum(graph.distances.astype(np.float64), 0))
    known = nearest_neighbors.PrecomputedNeighbors(graph.indices.astype(np.int64), lengths)
    affinities = affinity.PerplexityBasedNN(perplexity=perplexity, knn_index=known, n_jobs=jobs)
    # Trees beyond two axes, where its other way of summing the repulsion does not exist.
    way = "auto" if start.shape[1] <= 2 else "bh"
    told = [] if on_progress is None else [_Told(on_progress)]
    model = TSNE(
        n_components=start.shape[1],
        n_jobs=jobs,
        negative_gradient_method=way,
        early_exaggeration_iter=_EARLY,
        n_iter=_STEPS - _EARLY,
        callbacks=told or None,
        callbacks_every_iters=_TOLD_EVERY,
    )
    return np.asarray(model.fit(affinities=affinities, initialization=start))


class _Told:
    """What openTSNE calls now and then: it counts the steps of each of its two phases on its own."""

    def __init__(self, on_progress: Callable[[int, int], None]) -> None:
        self._done, self._on_progress = 0, on_progress

    def __call__(self, iteration: int, error: float, embedding: object) -> bool:
        self._done += _TOLD_EVERY
        self._on_progress(self._done, _STEPS)
        return False


def _is_degenerate(unit: NDArray[np.float32], graph: NeighborGraph, n_components: int) -> bool:
    """Tell whether a spectral start is ill-defined, which also makes it differ from run to run.

    The eigenvector search then meets an invariant subspace and goes on from a random vector out of SciPy's own,
    unseeded generator. It happens in separate cliques of duplicates, and where there are fewer distinct vectors
    (counted along one fixed direction) or distances than its basis holds.
    """
    with LOADING:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

    from dinoscope.analysis.maps.fuzzy import waves_at_once

    direction = np.random.default_rng(0).standard_normal(unit.shape[1], dtype=np.float32)
    distinct = min(len(np.unique(np.round(values, 5))) for values in (unit @ direction, graph.distances))
    if distinct <= max(24 + 4 * n_components, waves_at_once(len(unit), n_components) + _BEYOND):
        return True
    starts = np.arange(len(graph) + 1) * graph.k
    links = csr_array((np.ones(starts[-1], np.int8), graph.indices.ravel(), starts), shape=(len(unit), len(unit)))
    return bool(connected_components(links, directed=False)[0] > 1)


def _principal_start(unit: NDArray[np.float32], n_components: int, seed: int) -> NDArray[np.float64]:
    """Return principal components (N, n_components) at UMAP's usual scale, 10, shaken so that duplicates part."""
    with one_thread_each():
        start = _principal_components(unit, n_components)
    start *= 10 / max(np.abs(start).max(), ROUNDING)
    return start + np.random.default_rng(seed).normal(scale=1e-4, size=start.shape)


def _principal_components(unit: NDArray[np.float32], n_components: int) -> NDArray[np.float64]:
    """Return the coordinates (N, n_components) on the axes of largest variance."""
    mean, axes = _principal_axes(unit, n_components)
    return np.concatenate([(unit[rows] - mean) @ axes for rows in row_blocks(len(unit), _BLOCK)])


def _principal_axes(unit: NDArray[np.float32], n_components: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (D,) and the axes of largest variance (D, n_components).

    Each axis points so that its largest coordinate is positive: the sign does not depend on the linear algebra.
    """
    mean = unit.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((unit.shape[1], unit.shape[1]))
    for rows in row_blocks(len(unit), _BLOCK):
        centred = unit[rows] - mean
        scatter += centred.T @ centred
    axes: NDArray[np.float64] = np.linalg.eigh(scatter)[1][:, : -n_components - 1 : -1]
    layout = np.concatenate([(unit[rows] - mean) @ axes for rows in row_blocks(len(unit), _BLOCK)])
    largest = layout[np.abs(layout).argmax(axis=0), np.arange(n_components)]
    return mean, axes * np.where(largest < 0, -1.0, 1.0)
