"""Clusters by k-means, Ward or HDBSCAN, in the embedding or in a UMAP of it, and how many there are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.checks import check_count, check_labels, check_vectors
from dinoscope.errors import InputError, did_you_mean
from dinoscope.knn import NeighborGraph, l2_normalize
from dinoscope.metrics import Metric, silhouette

__all__ = [
    "NO_CLUSTER", "ClusterCount", "Clustering", "Method", "Space", "choose_k", "cluster", "find_medoids", "kmeans",
    "resolve_space", "umap_space",
]  # fmt: skip

Method = Literal["kmeans", "hdbscan", "ward"]
Space = Literal["embedding", "umap"]

NO_CLUSTER = -1  # the label of what HDBSCAN leaves out

_MOST_CLUSTERS = 20
_STARTS = 4  # seeded k-means++ starts, the best kept
_SAMPLE = 5_000  # rows on which numbers of clusters are tried
_SEEDS = 2_000  # small groups from which Ward starts, where there are more rows: a matrix of 32 MB


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
        k: The number with the largest silhouette, the smallest among equals.
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
    seed: int = 0,
) -> Clustering:
    """Cluster by any method in any space.

    The methods: k-means; Ward (1963), which joins the two groups whose union adds least to the squared distances from
    the centres, starting from single rows, or, beyond 2,000, from 2,000 small groups made by k-means (the table of all
    pairs grows with the square: 1.2 GB for 10,000 rows); HDBSCAN (Campello et al. 2013), which finds the number itself
    and leaves out what lies apart, with at least 5 and 0.5 % of the rows a cluster.

    The spaces: the embedding, by cosine (``kmeans`` itself with that method), or a UMAP of it, by euclidean distance,
    which is what Lowe et al. 2024 (arXiv:2406.02465) recommend for clusters. Centres, medoids and the silhouette are
    those in the embedding either way: a UMAP exaggerates gaps.

    Args:
        vectors: Array (N, D), of any scale.
        k: Number of clusters, 1 to N; without it the one with the best silhouette in the space that is clustered.
            Vectors that are all alike, and fewer than 3, are then one cluster.
        method: "kmeans", "hdbscan" or "ward".
        space: "embedding" or "umap"; by default the UMAP for HDBSCAN, to which distances in hundreds of dimensions say
            little and which takes minutes there, else the embedding.
        layout: The UMAP (N, C), where it is at hand; else it is computed, see ``umap_space``.
        seed: Seed of k-means, of draws and of the UMAP, from 0 to 2**32 - 1.

    Raises:
        InputError: See ``l2_normalize`` and ``umap_space``; an argument is out of its range; ``k`` with HDBSCAN.
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
    points: NDArray[Any] = unit
    metric: Metric = "cosine"
    if space == "umap" and not _is_one(unit):
        points = check_vectors(umap_space(unit, seed=seed) if layout is None else layout, "layout")
        metric = "euclidean"
        if len(points) != len(unit):
            raise InputError(f"layout must have one row a vector, expected {len(unit)}, got {len(points)}; map it anew")
    if method == "hdbscan":
        return _describe(unit, _largest_first(_hdbscan(points)))
    if k is None:
        choice = _choose(points, method, metric, None, seed, _SAMPLE)
        k, curve = choice.k, choice.curve
    return _describe(unit, _largest_first(_fitter(points, method, seed)(k)), curve)


def resolve_space(method: Method, space: Space | None, k: int | None) -> Space:
    """Return the space that ``cluster`` clusters in, after a check of the recipe; arguments and errors as there."""
    for name, value, kind in (("method", method, Method), ("space", space or "umap", Space)):
        known = get_args(kind)
        if value not in known:
            raise InputError(
                f"{name} must be one of {', '.join(known)}, got {value!r}{did_you_mean(str(value), known)}"
            )
    if method == "hdbscan" and k is not None:
        raise InputError(f"hdbscan finds the number of clusters itself, got k={k}; leave k out, or take kmeans or ward")
    return space or ("umap" if method == "hdbscan" else "embedding")


def umap_space(
    vectors: ArrayLike, *, graph: NeighborGraph | None = None, dims: int = 10, seed: int = 0
) -> NDArray[np.float32]:
    """Lay the vectors out for clustering: UMAP with 30 neighbours and ``min_dist`` 0 (Lowe et al. 2024).

    Args:
        vectors: Array (N, D), N >= 2.
        graph: Neighbours of ``vectors``, 29 or more a row; computed when missing.
        dims: Axes; at most D are made, and fastumap 0.1 makes only 2 or 3. Lowe et al. take 50.
        seed: Seed of the layout.

    Returns:
        The layout (N, min(dims, D)), float32. Errors as in ``dinoscope.projection.umap``.
    """
    from dinoscope.projection import umap

    array = check_vectors(vectors, at_least=2)
    axes = min(check_count(dims, "dims"), array.shape[1])
    return umap(array, graph=graph, n_neighbors=30, min_dist=0.0, n_components=axes, seed=seed)


def kmeans(vectors: ArrayLike, k: int | None = None, *, seed: int = 0) -> Clustering:
    """Cluster by k-means (Lloyd, k-means++ starts) on the vectors scaled to length 1.

    The squared distance of unit vectors is twice the cosine distance, so the clusters are those of direction. The
    same input and seed give the same clusters.

    Args:
        vectors: Array (N, D), of any scale.
        k: Number of clusters, 1 to N; without it ``choose_k`` chooses, and fewer than 3 vectors, or vectors that are
            all alike, are one cluster.
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
    return _describe(unit, _largest_first(_fit(unit, k, seed)), curve)


def choose_k(
    vectors: ArrayLike, candidates: Sequence[int] | None = None, *, seed: int = 0, sample: int = _SAMPLE
) -> ClusterCount:
    """Choose the number of clusters with the largest cosine silhouette of its k-means clusters.

    Args:
        vectors: Array (N, D), N >= 3.
        candidates: Numbers to try, each from 2 to min(N, sample) - 1; by default 2 to the square root of N, at most 20.
        seed: Seed of the starts and of the draw.
        sample: Most rows to try them on; of a larger collection that many are drawn at random, which places k as well
            and keeps the time bounded.

    Raises:
        InputError: See ``l2_normalize``; N < 3, a candidate out of range or none, or all vectors alike.
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
    for code, center in enumerate(_means(unit, codes)):
        members = np.flatnonzero(codes == code)
        medoids.append(members[(unit[members] * center).sum(axis=1).argmax()])
    return np.asarray(medoids, np.int64)


def _is_one(unit: NDArray[np.float32]) -> bool:
    """Tell whether there is nothing to divide: fewer than 3 vectors, or all alike."""
    return len(unit) < 3 or not np.ptp(unit, axis=0).any()


def _describe(
    unit: NDArray[np.float32], labels: NDArray[np.int32], curve: tuple[tuple[int, float], ...] = ()
) -> Clustering:
    """Add centres, medoids and the silhouette to labels (N,), of which -1 is no cluster."""
    rows = np.flatnonzero(labels != NO_CLUSTER)
    if not len(rows):
        return Clustering(labels, np.empty((0, unit.shape[1]), np.float32), np.empty(0, np.int64), math.nan, curve)
    members, codes = unit[rows], labels[rows]
    score = silhouette(members, codes) if 1 < codes.max() + 1 < len(rows) else math.nan
    medoids = rows[find_medoids(members, codes)]
    return Clustering(labels, _means(members, codes).astype(np.float32), medoids, score, curve)


def _choose(
    points: NDArray[Any], method: Method, metric: Metric, candidates: Sequence[int] | None, seed: int, sample: int
) -> ClusterCount:
    """Try numbers of clusters on a sample and take the one with the best silhouette."""
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    if len(points) > check_count(sample, "sample", at_least=3):
        points = points[np.sort(np.random.default_rng(seed).choice(len(points), sample, replace=False))]
    if candidates is None:
        candidates = range(2, max(2, min(_MOST_CLUSTERS, math.isqrt(len(points)))) + 1)
    numbers = sorted({check_count(each, "candidates", at_least=2, at_most=len(points) - 1) for each in candidates})
    if not numbers:
        raise InputError("candidates must hold at least one number, got none; leave it out for 2 to 20")
    fit = _fitter(points, method, seed)
    curve: list[tuple[int, float]] = []
    for number in numbers:
        try:
            labels = fit(number)
        except InputError:
            if not curve:
                raise
            break  # more clusters than distinct vectors, and every further number is larger
        curve.append((number, silhouette(points, labels, metric)))
    best = max(curve, key=lambda point: point[1])  # the first, thus smallest, among equals
    return ClusterCount(best[0], tuple(curve))


def _fitter(points: NDArray[Any], method: Method, seed: int) -> Callable[[int], NDArray[Any]]:
    """Return what gives the labels (N,) for a number of clusters; Ward's tree is grown once for all numbers."""
    return _ward(points, seed) if method == "ward" else lambda k: _fit(points, k, seed)


def _fit(unit: NDArray[np.float32], k: int, seed: int) -> NDArray[Any]:
    """Return the k-means labels (N,), refusing fewer distinct vectors than clusters."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn depends on it

    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    # One thread: with more, the order of the sums, and so the last digits, differ from run to run; and the threads
    # wait for each other longer than they work, ten times longer on a busy machine.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            labels: NDArray[Any] = KMeans(k, n_init=_STARTS, random_state=seed).fit(unit).labels_
        except ConvergenceWarning as warning:
            raise _too_few_distinct(k) from warning
    return labels


def _too_few_distinct(k: int) -> InputError:
    return InputError(
        f"k must be at most the number of distinct vectors, got k={k} for fewer; "
        "remove duplicates or ask for fewer clusters"
    )


def _hdbscan(points: NDArray[Any]) -> NDArray[Any]:
    """Return HDBSCAN's labels (N,), -1 for no cluster."""
    from sklearn.cluster import HDBSCAN

    size = max(5, len(points) // 200)
    if len(points) < 2 * size:  # too few for two clusters, and HDBSCAN never finds one alone
        return np.full(len(points), NO_CLUSTER)
    labels: NDArray[Any] = HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit(points).labels_
    return labels


def _ward(points: NDArray[Any], seed: int) -> Callable[[int], NDArray[Any]]:
    """Grow Ward's tree; return what cuts it into a number of clusters."""
    groups = np.arange(len(points)) if len(points) <= _SEEDS else _small_groups(points, seed)
    sizes = np.bincount(groups)
    centers = _means(points, groups)
    merges, heights = _ward_merges(centers, sizes.astype(np.float64))
    merges = merges[np.argsort(heights, kind="stable")]
    distinct = len(np.unique(centers, axis=0))

    def cut(k: int) -> NDArray[Any]:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if k > distinct:
            raise _too_few_distinct(k)
        one, other = merges[: len(sizes) - k].T
        links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(len(sizes), len(sizes)))
        _, labels = connected_components(links, directed=False)
        return np.asarray(labels)[groups]

    return cut


def _small_groups(points: NDArray[Any], seed: int) -> NDArray[Any]:
    """Divide many rows into at most ``_SEEDS`` groups (N,) by a few rounds of k-means."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows are fewer groups
        fitted = KMeans(_SEEDS, init="random", n_init=1, max_iter=10, random_state=seed).fit(points)
    groups: NDArray[Any] = np.unique(fitted.labels_, return_inverse=True)[1]
    return groups


def _ward_merges(
    centers: NDArray[np.float64], sizes: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Join groups until one is left, by nearest-neighbour chains (Murtagh 1983) with Lance and Williams' update.

    Two groups stand apart by twice what their union adds to the squared distances from the centres,
    2 n m / (n + m) |c - d|^2, which is the squared height of SciPy's ``linkage`` where all sizes are 1.

    Returns:
        For groups with means (M, D) and sizes (M,): pairs that were joined (M - 1, 2), each group named by one of its
        first members, and what each join cost (M - 1,); sorted by cost they are the tree.
    """
    from scipy.spatial.distance import cdist

    sizes, count = sizes.copy(), len(sizes)
    gaps = cdist(centers, centers, "sqeuclidean") * (2 * np.outer(sizes, sizes) / np.add.outer(sizes, sizes))
    np.fill_diagonal(gaps, np.inf)
    merges, heights = np.empty((count - 1, 2), np.int64), np.empty(count - 1)
    chain: list[int] = []
    for step in range(count - 1):
        chain = chain or [int(np.argmax(sizes > 0))]
        while True:
            last = chain[-1]
            nearest = int(gaps[last].argmin())
            if len(chain) > 1 and gaps[last, chain[-2]] <= gaps[last, nearest]:  # each is the other's nearest
                break
            chain.append(nearest)
        one, other = chain.pop(), chain.pop()
        merges[step], heights[step] = (one, other), gaps[one, other]
        own, more = sizes[one], sizes[other]
        joined = (own + sizes) * gaps[one] + (more + sizes) * gaps[other] - sizes * gaps[one, other]
        joined /= own + more + sizes
        sizes[other], sizes[one] = own + more, 0
        joined[(sizes == 0) | (np.arange(count) == other)] = np.inf
        gaps[other], gaps[:, other] = joined, joined
        gaps[one], gaps[:, one] = np.inf, np.inf
    return merges, heights


def _largest_first(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber so that sizes descend; among equal sizes the cluster with the lowest row comes first; -1 stays."""
    numbered = np.full(len(labels), NO_CLUSTER, np.int32)
    rows = np.flatnonzero(labels != NO_CLUSTER)
    _, first, codes, sizes = np.unique(labels[rows], return_index=True, return_inverse=True, return_counts=True)
    numbered[rows] = np.argsort(np.lexsort((first, -sizes)))[codes]
    return numbered


def _means(points: NDArray[Any], codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of the rows of each code 0..k-1, (k, D)."""
    return np.stack([points[codes == code].mean(axis=0, dtype=np.float64) for code in range(codes.max() + 1)])
