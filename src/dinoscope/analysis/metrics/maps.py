"""How far a map can be trusted: trustworthiness, continuity, neighbours preserved."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.checks import check_count, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "continuity",
    "continuity_samples",
    "draw_rows",
    "map_neighbors",
    "neighborhood_preservation",
    "trustworthiness",
    "trustworthiness_samples",
]

_TIE = 1e-12  # cosines this close are equal: a product of matrices rounds equal rows differently in different places
_BLOCK_BYTES = 1 << 26  # one thread's share where whole rows of distances are needed


def trustworthiness(
    vectors: ArrayLike, coordinates: ArrayLike, k: int = 15, *, sample: int | None = 5_000, seed: int = 0
) -> float:
    """Score how far the neighbours on the map are neighbours by cosine too (Venna and Kaski 2001).

    T = 1 - 2 / (N k (2N - 3k - 1)) * sum of (rank - k) over each point's k neighbours on the map, the rank being that
    among all points by cosine, where it exceeds k. 1 is perfect, about 0.5 chance. Ties get the better rank.

    Args:
        vectors: Array (N, D).
        coordinates: The map (N, C).
        k: Neighbours a point, less than N / 2.
        sample: Most points to judge, each still among all N; a larger collection is scored on that many drawn at
            random, which for 5,000 moves the score by about 0.001. None judges all.
        seed: Seed of that draw.

    Raises:
        InputError: See ``check_vectors``; or the lengths differ, or ``k``, ``sample`` or ``seed`` is out of range.
    """
    return float(
        trustworthiness_samples(vectors, coordinates, k, draw_rows(len(check_vectors(vectors)), sample, seed)).mean()
    )


def trustworthiness_samples(
    vectors: ArrayLike, coordinates: ArrayLike, k: int = 15, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return each point's own ``trustworthiness``, the share of 1 that its ``k`` neighbours on the map leave it.

    Args:
        vectors: Array (N, D).
        coordinates: The map (N, C).
        k: Neighbours a point, less than N / 2.
        rows: Points to judge (M,), by default all.

    Returns:
        The scores (M,), float64; their mean is the trustworthiness.
    """
    unit = l2_normalize(vectors).astype(np.float64)
    points = _check_map(coordinates, len(unit), k)
    nearby = map_neighbors(points, k)

    def dissimilarities(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return -(unit[rows] @ unit.T)

    return _rank_scores(dissimilarities, nearby, rows, _TIE)


def continuity(
    graph: NeighborGraph, coordinates: ArrayLike, k: int = 15, *, sample: int | None = 5_000, seed: int = 0
) -> float:
    """Score how far true neighbours stay neighbours on the map (Venna and Kaski 2001).

    It is ``trustworthiness`` with both spaces exchanged: ranks on the map, by euclidean distance, of each point's k
    neighbours in ``graph``.

    Args:
        graph: Neighbours in the embedding, at least ``k`` a point.
        coordinates: The map (N, C).
        k: Neighbours a point, less than N / 2.
        sample: Most points to judge, as in ``trustworthiness``.
        seed: Seed of that draw.

    Raises:
        InputError: As in ``trustworthiness``, or the graph holds fewer than ``k`` neighbours.
    """
    return float(continuity_samples(graph, coordinates, k, draw_rows(len(graph), sample, seed)).mean())


def continuity_samples(
    graph: NeighborGraph, coordinates: ArrayLike, k: int = 15, rows: NDArray[np.intp] | None = None
) -> NDArray[np.float64]:
    """Return each point's own ``continuity`` (M,); arguments as in ``trustworthiness_samples``."""
    with LOADING:
        from scipy.spatial.distance import cdist

    points = _check_map(coordinates, len(graph), k)

    def distances(rows: NDArray[np.intp]) -> NDArray[np.float64]:
        return np.asarray(cdist(points[rows], points, "sqeuclidean"))

    return _rank_scores(distances, graph.top(k).indices, rows)


def neighborhood_preservation(graph: NeighborGraph, coordinates: ArrayLike, k: int = 15) -> float:
    """Return the mean share of each point's ``k`` neighbours in ``graph`` that are among its ``k`` on the map.

    Arguments and errors as in ``continuity``.
    """
    nearby = map_neighbors(_check_map(coordinates, len(graph), k), k)
    both = np.sort(np.hstack([graph.top(k).indices, nearby]), axis=1)  # a shared neighbour is beside itself
    return float((both[:, 1:] == both[:, :-1]).sum() / nearby.size)


def _check_map(coordinates: ArrayLike, count: int, k: int) -> NDArray[np.float64]:
    points = check_vectors(coordinates, "coordinates", at_least=3)
    if len(points) != count:
        raise InputError(f"coordinates must have one row per vector, expected {count}, got {len(points)}; map it again")
    check_count(k, "k", at_most=(count - 1) // 2, why=f"less than half of the {count} points")
    return points.astype(np.float64)


def map_neighbors(points: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return the ``k`` nearest other points of each (N, k), by euclidean distance, itself left out by identity."""
    with LOADING:
        from scipy.spatial import cKDTree

    found = np.asarray(cKDTree(points).query(points, k + 1, workers=-1)[1], np.intp)
    others = found != np.arange(len(points))[:, None]
    others[others.all(axis=1), -1] = False  # hidden behind duplicates: the last one has to go instead
    nearest: NDArray[np.intp] = found[others].reshape(len(points), k)
    return nearest


def draw_rows(count: int, sample: int | None, seed: int) -> NDArray[np.intp]:
    """Return the rows of a seeded draw, in order; all where ``sample`` is None or no smaller than ``count``."""
    if sample is None or check_count(sample, "sample") >= count:
        return np.arange(count)
    draw = np.random.default_rng(check_count(seed, "seed", at_least=0))
    return np.sort(draw.choice(count, sample, replace=False))


def _rank_scores(
    distances: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    chosen: NDArray[np.integer],
    rows: NDArray[np.intp] | None,
    tie: float = 0.0,
) -> NDArray[np.float64]:
    """Return the trustworthiness of each row's neighbours ``chosen`` (N, k) by its ``distances``, blocks in threads."""
    count, k = chosen.shape
    wanted = np.arange(count) if rows is None else rows

    def excess(part: slice) -> NDArray[np.float64]:
        judged = wanted[part]
        block = distances(judged)
        block[np.arange(len(judged)), judged] = np.inf
        totals = np.empty(len(judged))
        for at, (line, neighbors) in enumerate(zip(block, chosen[judged], strict=True)):
            ranks = 1 + np.searchsorted(np.sort(line), line[neighbors] - tie)
            totals[at] = np.maximum(ranks - k, 0).sum()
        return totals

    totals = np.concatenate(in_threads(excess, row_blocks(len(wanted), _BLOCK_BYTES // (8 * count))))
    scores: NDArray[np.float64] = 1 - 2 * totals / (k * (2 * count - 3 * k - 1))
    return scores
