"""How far to trust a map, as a whole and image by image; works for the coordinates of any method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.metrics.maps import continuity_samples, draw_rows, map_neighbors, trustworthiness_samples
from dinoscope.analysis.metrics.silhouette import Metric, silhouette
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors
from dinoscope.base.checks import check_count, check_labels, check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.base.ranks import average_ranks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "ImageTrust",
    "MapQuality",
    "MeasuredMap",
    "label_silhouette",
    "map_difference",
    "map_quality",
    "rank_correlation",
]

_BLOCK_ROWS = 4096  # pairs of vectors that are gathered at once


@dataclass(frozen=True, eq=False)
class ImageTrust:
    """How much to believe the place of each image.

    Attributes:
        kept: Share of the image's k nearest neighbours that are among its k nearest on the map (N,), 0 to 1.
        torn: How far away the map puts its true neighbours (N,): 1 minus the image's own continuity; 0 is best. NaN
            for an image that was not judged.
        glued: How strange its neighbours on the map are (N,): 1 minus its own trustworthiness; NaN as above.
        lost: Which of its k nearest in the graph the map took away (N, k).
        nearby: Positions of its k nearest on the map (N, k), the nearest first.
        gained: Which of those are none of its true neighbours (N, k): as many a row as in ``lost``.
    """

    kept: NDArray[np.float64]
    torn: NDArray[np.float64]
    glued: NDArray[np.float64]
    lost: NDArray[np.bool_]
    nearby: NDArray[np.intp]
    gained: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class MapQuality:
    """How far to trust a map.

    Attributes:
        k: Neighbours that were compared.
        trustworthiness: Are neighbours on the map true ones, by rank; 1 is best, 0.5 is chance.
        continuity: Are true neighbours neighbours on the map, by rank.
        neighbors_kept: Mean share of the k nearest neighbours that are so on the map.
        rank_correlation: Spearman's correlation of distances on the map with cosine distances: the map's large
            picture. NaN where all distances are equal.
        silhouette_map: Of the labels on the map, euclidean; None without two labels that repeat.
        silhouette_embedding: Of the labels among the vectors, cosine. Where the map's is much larger, the map
            separates what the model does not.
        images: The same image by image.
    """

    k: int
    trustworthiness: float
    continuity: float
    neighbors_kept: float
    rank_correlation: float
    silhouette_map: float | None
    silhouette_embedding: float | None
    images: ImageTrust


@dataclass(frozen=True, eq=False)
class MeasuredMap:
    """A map (N, 2 or 3) by a method, its title, and how far to trust it; None for fewer than three images."""

    method: str
    coordinates: NDArray[np.float32]
    title: str
    quality: MapQuality | None


def map_quality(
    vectors: ArrayLike,
    coordinates: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    labels: ArrayLike | None = None,
    k: int = 15,
    sample: int | None = 5_000,
    seed: int = 0,
) -> MapQuality:
    """Compare a map with the vectors that it shows.

    Trustworthiness and continuity are those of Venna and Kaski 2001. ``k`` is lowered to what fewer images, or a graph
    with fewer neighbours, allow.

    Args:
        vectors: Array (N, D), N >= 3.
        coordinates: The map (N, C).
        graph: Neighbours of ``vectors``; computed when missing.
        labels: Labels (N,), None where an image has none; for the silhouettes.
        k: Neighbours to compare.
        sample: Most images to judge by rank, each among all N, drawn at random; None judges all.
        seed: Seed of that draw and of the pairs for the rank correlation.

    Raises:
        InputError: The arrays do not fit each other, or an argument is out of its range.
    """
    unit = l2_normalize(check_vectors(vectors, at_least=3))
    points = check_vectors(coordinates, "coordinates")
    count = len(unit)
    if len(points) != count:
        raise InputError(
            f"coordinates must have one row per vector, expected {count}, got {len(points)}; compute it again"
        )
    k = min(check_count(k, "k"), (count - 1) // 2, count if graph is None else check_graph(graph, count).k)
    top = neighbors(unit, k) if graph is None else graph.top(k)
    images = _judge(unit, points, top, draw_rows(count, sample, seed))
    return MapQuality(
        k=k,
        trustworthiness=float(1 - np.nanmean(images.glued)),
        continuity=float(1 - np.nanmean(images.torn)),
        neighbors_kept=float(images.kept.mean()),
        rank_correlation=rank_correlation(unit, points, seed=seed),
        silhouette_map=None if labels is None else label_silhouette(points, labels, "euclidean"),
        silhouette_embedding=None if labels is None else label_silhouette(unit, labels, "cosine"),
        images=images,
    )


def rank_correlation(vectors: ArrayLike, coordinates: ArrayLike, *, pairs: int = 100_000, seed: int = 0) -> float:
    """Return Spearman's correlation of the cosine distances with the distances on the map, -1 to 1.

    Args:
        vectors: Array (N, D), N >= 2.
        coordinates: The map (N, C).
        pairs: Most pairs of different images to compare; if there are more, this many are drawn, with repetition.
        seed: Seed of the draw.

    Returns:
        The correlation; NaN where all distances in one of the spaces are equal.

    Raises:
        InputError: The arrays do not fit each other, or an argument is out of its range.
    """
    unit, points = l2_normalize(check_vectors(vectors, at_least=2)), check_vectors(coordinates, "coordinates")
    if len(points) != len(unit):
        raise InputError(
            f"coordinates must have one row per vector, expected {len(unit)}, got {len(points)}; map again"
        )
    first, second = _pairs(len(unit), check_count(pairs, "pairs"), check_count(seed, "seed", at_least=0))
    cosine, length = np.empty(len(first)), np.linalg.norm(points[first].astype(np.float64) - points[second], axis=1)
    for part in row_blocks(len(first), _BLOCK_ROWS):
        np.einsum("nd,nd->n", -unit[first[part]], unit[second[part]], dtype=np.float64, out=cosine[part])
    ranks = np.stack([average_ranks(cosine), average_ranks(length)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return float("nan")
    return float(np.asarray(np.corrcoef(ranks))[0, 1])


def label_silhouette(vectors: ArrayLike, labels: ArrayLike, metric: Metric) -> float | None:
    """Return the silhouette of the labels over the images that have one; None without two labels that repeat.

    Args:
        vectors: Array (N, D), or a map.
        labels: Labels (N,), None where an image has none.
        metric: As in ``silhouette``.

    Raises:
        InputError: The labels do not fit.
    """
    array, given = check_vectors(vectors), np.asarray(labels, object)
    if given.shape != (len(array),):
        raise InputError(f"labels must have shape ({len(array)},), one an image, got {given.shape}")
    known = np.asarray([label is not None for label in given.tolist()], bool)
    if not known.any():
        return None
    names = check_labels(given[known].tolist())
    return silhouette(array[known], names, metric) if 2 <= len(np.unique(names)) < len(names) else None


def map_difference(first: ArrayLike, second: ArrayLike) -> float:
    """Return how much two maps of the same images differ, 0 to 1, after the best shift, scale, rotation, reflection.

    The Procrustes disparity (Gower 1975): both are centred and scaled to a sum of squares of 1; what is left as the
    sum of squared differences after the best rotation and scale is 1 - (sum of the singular values of A'B)^2. 0 is the
    same map, 1 has nothing in common. A map whose points all coincide differs by 1 from any other.

    Args:
        first: A map (N, C).
        second: Another (N, C) of the same images in the same order.

    Raises:
        InputError: The shapes differ, or a map is not finite.
    """
    one, two = (check_vectors(each, "coordinates").astype(np.float64) for each in (first, second))
    if one.shape != two.shape:
        raise InputError(
            f"the maps must have one shape, got {one.shape} and {two.shape}; compare maps of the same images"
        )
    one, two = one - one.mean(axis=0), two - two.mean(axis=0)
    sizes = float(np.linalg.norm(one)), float(np.linalg.norm(two))
    if min(sizes) == 0:
        return float(max(sizes) > 0)
    alike = np.linalg.svd((one / sizes[0]).T @ (two / sizes[1]), compute_uv=False).sum()
    return float(max(0.0, 1 - alike**2))


def _judge(
    unit: NDArray[np.float32], points: NDArray[np.floating], graph: NeighborGraph, rows: NDArray[np.intp]
) -> ImageTrust:
    k = graph.k
    nearby = map_neighbors(points.astype(np.float64), k)
    same = graph.indices[:, :, None] == nearby[:, None, :]
    torn, glued = np.full(len(unit), np.nan), np.full(len(unit), np.nan)
    torn[rows] = 1 - continuity_samples(graph, points, k, rows)
    glued[rows] = 1 - trustworthiness_samples(unit, points, k, rows)
    return ImageTrust(same.any(axis=2).mean(axis=1), torn, glued, ~same.any(axis=2), nearby, ~same.any(axis=1))


def _pairs(count: int, most: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs of different numbers below ``count``: all, or ``most`` drawn at random."""
    if count * (count - 1) // 2 <= most:
        return np.triu_indices(count, 1)
    draw = np.random.default_rng(seed)
    first = draw.integers(0, count, most)
    return first, (first + draw.integers(1, count, most)) % count
