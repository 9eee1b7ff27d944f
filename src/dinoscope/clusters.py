"""Clusters by k-means on the unit sphere, and how many there are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.checks import check_count, check_labels, check_vectors
from dinoscope.errors import InputError
from dinoscope.knn import l2_normalize
from dinoscope.metrics import silhouette

__all__ = ["ClusterCount", "Clustering", "choose_k", "find_medoids", "kmeans"]

_MOST_CLUSTERS = 20
_STARTS = 4  # seeded k-means++ starts, the best kept


@dataclass(frozen=True, eq=False)
class Clustering:
    """A partition into k clusters, cluster 0 the largest.

    Attributes:
        labels: Cluster of each row (N,), int32, 0 to k - 1; among equal sizes the one with the lowest row comes first.
        centers: Mean of the unit vectors of each cluster (k, D), float32.
        medoids: Row number of the member nearest to each centre (k,), int64, the lowest among equals.
        silhouette: Mean cosine silhouette of all rows, -1 to 1; NaN where it is not defined (k = 1 or k = N).
        curve: Pairs (k, silhouette) of the numbers tried; empty when k was given.
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
    if k is None and (len(unit) < 3 or not np.ptp(unit, axis=0).any()):
        k = 1
    elif k is None:
        choice = choose_k(vectors, seed=seed)
        k, curve = choice.k, choice.curve
    check_count(k, "k", at_most=len(unit), why="the number of vectors")
    labels = _largest_first(_fit(unit, k, seed))
    score = silhouette(unit, labels) if 1 < k < len(unit) else math.nan
    return Clustering(labels, _means(unit, labels).astype(np.float32), find_medoids(unit, labels), score, curve)


def choose_k(
    vectors: ArrayLike, candidates: Sequence[int] | None = None, *, seed: int = 0, sample: int = 5_000
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
    check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    if len(unit) > check_count(sample, "sample", at_least=3):
        unit = unit[np.sort(np.random.default_rng(seed).choice(len(unit), sample, replace=False))]
    if candidates is None:
        candidates = range(2, max(2, min(_MOST_CLUSTERS, math.isqrt(len(unit)))) + 1)
    numbers = sorted({check_count(each, "candidates", at_least=2, at_most=len(unit) - 1) for each in candidates})
    if not numbers:
        raise InputError("candidates must hold at least one number, got none; leave it out for 2 to 20")

    curve: list[tuple[int, float]] = []
    for number in numbers:
        try:
            labels = _fit(unit, number, seed)
        except InputError:
            if not curve:
                raise
            break  # more clusters than distinct vectors, and every further number is larger
        curve.append((number, silhouette(unit, labels)))
    best = max(curve, key=lambda point: point[1])  # the first, thus smallest, among equals
    return ClusterCount(best[0], tuple(curve))


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
            raise InputError(
                f"k must be at most the number of distinct vectors, got k={k} for fewer; "
                "remove duplicates or ask for fewer clusters"
            ) from warning
    return labels


def _largest_first(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Renumber so that sizes descend; among equal sizes the cluster with the lowest row comes first."""
    _, first, codes, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    return np.argsort(np.lexsort((first, -sizes)))[codes].astype(np.int32)


def _means(unit: NDArray[np.float32], codes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of the rows of each code 0..k-1, (k, D)."""
    return np.stack([unit[codes == code].mean(axis=0, dtype=np.float64) for code in range(codes.max() + 1)])
