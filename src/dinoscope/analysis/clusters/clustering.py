"""Clusters by k-means, Ward, a mixture or HDBSCAN, in the embedding or in a UMAP of it, and how many there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.clusters.methods import NO_CLUSTER, Method, fit_hdbscan, fit_kmeans, fitter, group_means
from dinoscope.analysis.metrics.silhouette import Metric, silhouette
from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.checks import check_choice, check_count, check_labels, check_vectors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "PLATEAU",
    "ClusterCount",
    "Clustering",
    "Space",
    "choose_k",
    "cluster",
    "find_medoids",
    "finest_k",
    "kmeans",
    "resolve_space",
    "umap_space",
]

Space = Literal["embedding", "umap"]
_MOST_CLUSTERS = 20
PLATEAU = 0.06
"""How far below the best silhouette a number of clusters is still as good; see ``choose_k``."""
_SAMPLE = 5_000  # rows on which numbers of clusters are tried
_ROUNDING = 1e-6  # largest difference between the numbers of float32 unit vectors of the same direction


@dataclass(frozen=True, eq=False)
class Clustering:
    """A partition into k clusters, cluster 0 the largest.

    Attributes:
        labels: Cluster of each row (N,), int32, 0 to k - 1; among equal sizes the one with the lowest row comes first.
            HDBSCAN leaves rows out: they have -1, "no cluster", and it may leave out all (k = 0).
        centers: Mean of the unit vectors of each cluster (k, D), float32.
        medoids: Row number of the member nearest to each centre (k,), int64, the lowest among equals.
        silhouette: Mean cosine silhouette, in the embedding, of the rows that are in a cluster, -1 to 1; NaN where it
            is not defined (k < 2, or as many clusters as rows).
        curve: Pairs (k, silhouette) of the numbers tried, in the space that was clustered; empty when k was given.
    """

    labels: NDArray[np.int32]
    centers: NDArray[np.float32]
    medoids: NDArray[np.int64]
    silhouette: float
    curve: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class ClusterCount:
    """The chosen number of clusters.

    Attributes:
        k: The finest number on the plateau of the silhouette; see ``choose_k``.
        curve: Pairs (k, silhouette) of the numbers tried.
    """

    k: int
    curve: tuple[tuple[int, float], ...]


def cluster(
    vectors: ArrayLike,
    k: int | None = None,
    *,
    method: Method = "kmeans",
    space: Space | None = None,
    layout: ArrayLike | None = None,
    dims: int = 10,
    seed: int = 0,
) -> Clustering:
    """Cluster by any method in any space.

    The methods: k-means; Ward (1963), which joins the two groups whose union adds least to the squared distances from
    the centres, starting from single rows, or, beyond 2,000, from 2,000 small groups made by k-means (the table of all
    pairs grows with the square: 1.2 GB for 10,000 rows); HDBSCAN (Campello et al. 2013), which finds the number itself
    and leaves out what lies apart, with at least 5 and 0.5% of the rows a cluster; a mixture ("gmm") of Gaussians of
    one shape, on as many principal components as there are clusters. In the embedding each vector is averaged with its
    15 nearest neighbours for that, which takes away noise (as in the graph convolution of Zhang et al. 2019,
    arXiv:1906.01210). A Gaussian may end up with no row at all; then there is a cluster less.

    The spaces: the embedding, by cosine (``kmeans`` itself with that method), or a UMAP of it, by euclidean distance,
    which is what Lowe et al. 2024 (arXiv:2406.02465) recommend for clusters. Centres, medoids and the silhouette are
    those in the embedding either way: a UMAP exaggerates gaps.

    Args:
        vectors: Array (N, D), of any scale.
        k: Number of clusters, 1 to N; without it the rule of ``choose_k``, in the space that is clustered. Vectors
            that are all the same, and fewer than 3, are then one cluster.
        method: "kmeans", "hdbscan", "ward" or "gmm".
        space: "embedding" or "umap"; by default the UMAP for HDBSCAN, else the embedding. In hundreds of dimensions
            distances tell HDBSCAN little, and it takes minutes.
        layout: The UMAP (N, C), if you have it; otherwise it is computed, see ``umap_space``.
        dims: Dimensions of the UMAP that is computed.
        seed: Seed of k-means, of draws and of the UMAP, from 0 to 2**32 - 1.

    Raises:
        InputError: See ``l2_normalize`` and ``umap_space``. Also if an argument is out of its range, or ``k`` is given
            with HDBSCAN.
    """
    space = resolve_space(method, space, k)
    if method == "kmeans" and space == "embedding":
        return kmeans(vectors, k, seed=seed)
    unit = l2_normalize(vectors)
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    curve: tuple[tuple[int, float], ...] = ()
    if k is None and _is_one(unit):
        return _describe(unit, np.zeros(len(unit), np.int32))
    if k is not None:
        check_count(k, "k", at_most=len(unit), why="the number of vectors")
    points: NDArray[np.floating] = unit
    metric: Metric = "cosine"
    if space == "umap" and not _is_one(unit):
        points = check_vectors(umap_space(unit, dims=dims, seed=seed) if layout is None else layout, "layout")
        metric = "euclidean"
        if len(points) != len(unit):
            raise InputError(
                f"layout must have one row per vector, expected {len(unit)}, got {len(points)}; map it again"
            )
    if method == "hdbscan":
        return _describe(unit, _largest_first(fit_hdbscan(points)))
    if k is None:
        choice = _choose(points, method, metric, None, seed, _SAMPLE)
        k, curve = choice.k, choice.curve
    return _describe(unit, _largest_first(fitter(points, method, metric, seed)(k)), curve)


def resolve_space(method: Method, space: Space | None, k: int | None) -> Space:
    """Return the space that ``cluster`` clusters in, after a check of the recipe; arguments and errors as there."""
    for name, value, kind in (("method", method, Method), ("space", space or "umap", Space)):
        check_choice(value, name, get_args(kind))
    if method == "hdbscan" and k is not None:
        raise InputError(f"hdbscan finds the number of clusters itself, got k={k}; leave k out, or take another method")
    return space or ("umap" if method == "hdbscan" else "embedding")


def umap_space(
    vectors: ArrayLike, *, graph: NeighborGraph | None = None, dims: int = 10, seed: int = 0
) -> NDArray[np.float32]:
    """Lay the vectors out for clustering: UMAP with 30 neighbours and ``min_dist`` 0 (Lowe et al. 2024).

    Args:
        vectors: Array (N, D), N >= 2.
        graph: Neighbours of ``vectors``, 29 or more a row; computed when missing.
        dims: Axes; at most D are made. Lowe et al. take 50.
        seed: Seed of the layout.

    Returns:
        The layout (N, min(dims, D)), float32. Errors as in ``dinoscope.analysis.maps.projection.umap``.
    """
    from dinoscope.analysis.maps.projection import umap

    array = check_vectors(vectors, at_least=2)
    axes = min(check_count(dims, "dims"), array.shape[1])
    return umap(array, graph=graph, n_neighbors=30, min_dist=0.0, n_components=axes, seed=seed)


def kmeans(vectors: ArrayLike, k: int | None = None, *, seed: int = 0) -> Clustering:
    """Cluster by k-means (Lloyd, k-means++ starts) on the vectors scaled to length 1.

    The squared distance of unit vectors is twice the cosine distance, so the clusters are those of direction. The
    same input and seed give the same clusters. Beyond 100,000 vectors the clusters are fitted to a sample of that size,
    and every vector goes to the nearest centre.

    Args:
        vectors: Array (N, D), of any scale.
        k: Number of clusters, 1 to N; without it ``choose_k`` chooses. Fewer than 3 vectors, or identical vectors, are
            one cluster.
        seed: Seed of the starts, from 0 to 2**32 - 1.

    Raises:
        InputError: See ``l2_normalize``; ``k`` or ``seed`` is out of range; fewer than ``k`` distinct vectors.
    """
    unit = l2_normalize(vectors)
    curve: tuple[tuple[int, float], ...] = ()
    if k is None and _is_one(unit):
        k = 1
    elif k is None:
        choice = choose_k(vectors, seed=seed)
        k, curve = choice.k, choice.curve
    check_count(k, "k", at_most=len(unit), why="the number of vectors")
    return _describe(unit, _largest_first(fit_kmeans(unit, k, seed)), curve)


def choose_k(
    vectors: ArrayLike, candidates: Sequence[int] | None = None, *, seed: int = 0, sample: int = _SAMPLE
) -> ClusterCount:
    """Choose the finest number of k-means clusters on the plateau of the cosine silhouette.

    Where groups are clearly apart, the silhouette has one sharp peak, and that number is chosen. In most collections of
    photographs it is low and almost flat from 4 clusters on, with its best at 2, which tells a person nothing. So the
    rule takes the largest number at which the silhouette peaks (no lower than at the numbers tried before and after)
    within ``PLATEAU`` of the best.

    Args:
        vectors: Array (N, D), N >= 3.
        candidates: Numbers to try, each from 2 to min(N, sample) - 1; by default 2 to the square root of N, at most 20.
        seed: Seed of the starts and of the draw.
        sample: Most rows to try them on; of a larger collection that many are drawn at random, which places k as well
            and keeps the time bounded.

    Raises:
        InputError: See ``l2_normalize``; N < 3, a candidate is out of range, there is none, or all vectors are the
            same.
    """
    unit = l2_normalize(check_vectors(vectors, at_least=3))
    return _choose(unit, "kmeans", "cosine", candidates, seed, sample)


def find_medoids(vectors: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Return the row number of the member nearest by cosine to the centre of each group, the lowest among equals.

    Args:
        vectors: Array (N, D).
        labels: Integers or strings (N,).

    Returns:
        Row numbers, one a distinct label, in the sorted order of the labels.

    Raises:
        InputError: See ``l2_normalize`` and ``check_labels``.
    """
    unit = l2_normalize(vectors)
    _, codes = np.unique(check_labels(labels, len(unit)), return_inverse=True)
    medoids = []
    for code, center in enumerate(group_means(unit, codes)):
        members = np.flatnonzero(codes == code)
        medoids.append(members[(unit[members] * center).sum(axis=1).argmax()])
    return np.asarray(medoids, np.int64)


def _is_one(unit: NDArray[np.float32]) -> bool:
    """Tell whether there is nothing to divide: fewer than 3 vectors, or identical ones."""
    return len(unit) < 3 or bool(np.ptp(unit, axis=0).max() <= _ROUNDING)


def _describe(
    unit: NDArray[np.float32], labels: NDArray[np.int32], curve: tuple[tuple[int, float], ...] = ()
) -> Clustering:
    """Add centres, medoids and the silhouette to labels (N,); -1 stands for no cluster."""
    rows = np.flatnonzero(labels != NO_CLUSTER)
    if not len(rows):
        return Clustering(labels, np.empty((0, unit.shape[1]), np.float32), np.empty(0, np.int64), math.nan, curve)
    members, codes = unit[rows], labels[rows]
    score = silhouette(members, codes) if 1 < codes.max() + 1 < len(rows) else math.nan
    medoids = rows[find_medoids(members, codes)]
    return Clustering(labels, group_means(members, codes).astype(np.float32), medoids, score, curve)


def _choose(
    points: NDArray[np.floating],
    method: Method,
    metric: Metric,
    candidates: Sequence[int] | None,
    seed: int,
    sample: int,
) -> ClusterCount:
    """Try numbers of clusters on a sample and take one by the rule of ``choose_k``."""
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    if len(points) > check_count(sample, "sample", at_least=3):
        drawn = points[np.sort(np.random.default_rng(seed).choice(len(points), sample, replace=False))]
        if _is_one(drawn):  # thousands of copies and a few others, none of which was drawn
            drawn[-1] = points[np.abs(points - drawn[0]).max(axis=1).argmax()]
        points = drawn
    if candidates is None:
        candidates = range(2, max(2, min(_MOST_CLUSTERS, math.isqrt(len(points)))) + 1)
    numbers = sorted({check_count(each, "candidates", at_least=2, at_most=len(points) - 1) for each in candidates})
    if not numbers:
        raise InputError("candidates must hold at least one number, got none; leave it out for 2 to 20")
    fit = fitter(points, method, metric, seed)
    curve: list[tuple[int, float]] = []
    for number in numbers:
        try:
            labels = fit(number)
        except InputError:
            if not curve:
                raise
            break  # more clusters than distinct vectors, and every further number is larger
        curve.append((number, silhouette(points, labels, metric)))
    return ClusterCount(finest_k(curve), tuple(curve))


def finest_k(curve: Sequence[tuple[int, float]]) -> int:
    """Return the largest k of pairs (k, silhouette), k ascending, at which the silhouette peaks; see ``choose_k``."""
    values = [-math.inf, *(value for _, value in curve), -math.inf]
    least = max(values) - PLATEAU
    peaks = zip(curve, values, values[2:], strict=False)
    return max(k for (k, value), before, after in peaks if value >= max(least, before, after))


def _largest_first(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Renumber so that sizes descend. Among equal sizes the cluster with the lowest row comes first. -1 stays."""
    numbered = np.full(len(labels), NO_CLUSTER, np.int32)
    rows = np.flatnonzero(labels != NO_CLUSTER)
    _, first, codes, sizes = np.unique(labels[rows], return_index=True, return_inverse=True, return_counts=True)
    numbered[rows] = np.argsort(np.lexsort((first, -sizes)))[codes]
    return numbered
