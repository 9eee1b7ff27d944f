"""The methods behind ``cluster``: k-means, Ward, a mixture of Gaussians and HDBSCAN give each point a label."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.metrics.silhouette import Metric
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.checks import check_count
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import one_thread_each
from dinoscope.errors import InputError

__all__ = ["NO_CLUSTER", "Method", "fit_hdbscan", "fit_kmeans", "fitter", "group_means"]

Method = Literal["kmeans", "hdbscan", "ward", "gmm"]
NO_CLUSTER = -1  # the label of what HDBSCAN leaves out
_FITTED = 100_000  # rows that k-means is fitted to; of more, that many are drawn, and the rest go to their centres
_STARTS = 4  # seeded k-means++ starts, the best kept
_SEEDS = 2_000  # small groups from which Ward starts, where there are more rows: a matrix of 32 MB
_NEAR = 15  # neighbours with which a mixture's vectors are averaged
_ALONE = threading.Lock()


def fitter(
    points: NDArray[np.floating], method: Method, metric: Metric, seed: int
) -> Callable[[int], NDArray[np.integer]]:
    """Return a function that gives the labels (N,) for a number of clusters; it does what all numbers share once."""
    if method == "ward":
        return _ward(points, seed)
    if method == "gmm":
        return _mixture(points, metric, seed)
    return lambda k: fit_kmeans(points, k, seed)


def fit_kmeans(unit: NDArray[np.floating], k: int, seed: int) -> NDArray[np.integer]:
    """Return the k-means labels (N,); of very many rows, a sample is fitted.

    Raises:
        InputError: There are fewer distinct vectors than clusters.
    """
    with LOADING:
        from sklearn.cluster import KMeans

    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    some = unit
    if len(unit) > _FITTED:
        some = unit[np.sort(np.random.default_rng(seed).choice(len(unit), _FITTED, replace=False))]
    with _one_thread():
        fitted = KMeans(k, n_init=_STARTS, random_state=seed).fit(some)
        if len(np.unique(fitted.labels_)) < k:
            raise _too_few_distinct(k)
        labels: NDArray[np.integer] = fitted.labels_ if some is unit else fitted.predict(unit)
    return labels


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let scikit-learn fit in one thread, without its warnings of fits that stopped early or found duplicates.

    With more, the order of the sums, and so the last digits, differ from run to run; and the threads wait for each
    other longer than they work, ten times longer on a busy machine. The warnings are the whole process's: callers in
    several threads take turns, or one would undo the other's and leave its own behind. So are BLAS's threads, which
    scikit-learn sets, too: ``one_thread_each`` counts who wants one. OpenMP's are each thread's own.
    """
    with LOADING:
        from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn depends on it

    with _ALONE, warnings.catch_warnings(), one_thread_each(), threadpool_limits(1, user_api="openmp"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _too_few_distinct(k: int) -> InputError:
    return InputError(
        f"k must be at most the number of distinct vectors, got k={k} for fewer; "
        "remove duplicates or ask for fewer clusters"
    )


def fit_hdbscan(points: NDArray[np.floating]) -> NDArray[np.integer]:
    """Return HDBSCAN's labels (N,), -1 for no cluster."""
    with LOADING:
        from sklearn.cluster import HDBSCAN

    size = max(5, len(points) // 200)
    if len(points) < 2 * size:  # too few for two clusters, and HDBSCAN never finds one alone
        return np.full(len(points), NO_CLUSTER)
    labels: NDArray[np.integer] = HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit(points).labels_
    return labels


def _mixture(points: NDArray[np.floating], metric: Metric, seed: int) -> Callable[[int], NDArray[np.integer]]:
    """Return a function that fits k Gaussians of one shape; vectors are first averaged with their neighbours."""
    near = min(_NEAR, len(points) // 10) if metric == "cosine" else 0  # a tenth of a few rows is less than one
    smooth = _smoothed(points, near) if near else points
    centred = smooth - smooth.mean(axis=0, dtype=np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    distinct = len(np.unique(points, axis=0))

    def fit(k: int) -> NDArray[np.integer]:
        with LOADING:
            from sklearn.mixture import GaussianMixture

        if k > distinct:
            raise _too_few_distinct(k)
        if k == 1:
            return np.zeros(len(points), np.int32)
        some = centred @ axes[:, :k]  # k centres span no more
        some /= max(float(some.std()), 1e-12)  # the floor under the variances is absolute
        model = GaussianMixture(k, covariance_type="tied", n_init=_STARTS, random_state=seed, reg_covar=1e-4)
        with _one_thread():
            labels: NDArray[np.integer] = model.fit_predict(some)
        return labels

    return fit


def _smoothed(unit: NDArray[np.floating], near: int) -> NDArray[np.floating]:
    """Add to each vector (N, D) the mean of its nearest neighbours: noise goes, groups draw together."""
    means = np.stack([unit[rows].mean(axis=0) for rows in neighbors(unit, near).indices])
    sums: NDArray[np.floating] = unit + means
    sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)  # opposites leave nothing
    return sums


def _ward(points: NDArray[np.floating], seed: int) -> Callable[[int], NDArray[np.integer]]:
    """Grow Ward's tree; return a function that cuts it into a number of clusters."""
    groups = np.arange(len(points)) if len(points) <= _SEEDS else _small_groups(points, seed)
    sizes = np.bincount(groups)
    centers = group_means(points, groups)
    merges, heights = _ward_merges(centers, sizes.astype(np.float64))
    merges = merges[np.argsort(heights, kind="stable")]
    distinct = len(np.unique(centers, axis=0))

    def cut(k: int) -> NDArray[np.integer]:
        with LOADING:
            from scipy.sparse import coo_array
            from scipy.sparse.csgraph import connected_components

        if k > distinct and distinct == _SEEDS < len(points):
            raise InputError(
                f"with this many vectors, ward joins {_SEEDS:,} small groups, so k must be at most {_SEEDS:,}, "
                f"got k={k}; ask for fewer clusters, or take k-means"
            )
        if k > distinct:
            raise _too_few_distinct(k)
        one, other = merges[: len(sizes) - k].T
        links = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(len(sizes), len(sizes)))
        _, labels = connected_components(links, directed=False)
        return np.asarray(labels)[groups]

    return cut


def _small_groups(points: NDArray[np.floating], seed: int) -> NDArray[np.integer]:
    """Divide many rows into at most ``_SEEDS`` groups (N,) by a few rounds of k-means."""
    with LOADING:
        from sklearn.cluster import KMeans

    with _one_thread():  # fewer distinct rows are fewer groups
        fitted = KMeans(_SEEDS, init="random", n_init=1, max_iter=10, random_state=seed).fit(points)
    groups: NDArray[np.integer] = np.unique(fitted.labels_, return_inverse=True)[1]
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
    with LOADING:
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


def group_means(points: NDArray[np.floating], codes: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return the mean of the rows of each code 0..k-1, (k, D)."""
    return np.stack([points[codes == code].mean(axis=0, dtype=np.float64) for code in range(codes.max() + 1)])
