"""How far to trust each cluster: silhouette, stability, purity, and what the same recipe finds where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis import metrics
from dinoscope.analysis.clusters.methods import NO_CLUSTER
from dinoscope.base.checks import check_count, check_labels, check_vectors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "ClusterQuality",
    "Finder",
    "Null",
    "agreement",
    "best_match",
    "cluster_silhouettes",
    "find_in_nulls",
    "judge",
    "purity",
    "shuffled_features",
    "stability",
    "weak_clusters",
]

Labels = ArrayLike | Sequence[str | None]  # given by people, None where there is none
Finder = Callable[[NDArray[np.float32]], NDArray[np.int32]]  # a recipe: unit vectors (N, D) to clusters (N,)
_DISSOLVED = 0.5  # stability


@dataclass(frozen=True, eq=False)
class ClusterQuality:
    """The quality of each cluster, and of all.

    Attributes:
        sizes: Images (k,), int64.
        cohesion: Mean cosine silhouette of the members (k,), see ``cluster_silhouettes``.
        stability: Mean Jaccard similarity over resamples (k,), see ``stability``; NaN where it was not asked for.
        purity: Share of the most common label (k,), see ``purity``; NaN where there are no labels.
        silhouette: Mean cosine silhouette of all members; NaN where it is not defined.
    """

    sizes: NDArray[np.int64]
    cohesion: NDArray[np.float64]
    stability: NDArray[np.float64]
    purity: NDArray[np.float64]
    silhouette: float


@dataclass(frozen=True, eq=False)
class Null:
    """What a recipe finds in vectors that know less.

    Attributes:
        name: "shuffled features", or the name of the other vectors.
        quality: Of its clusters, in its own vectors.
        agreement: Of its clusters with the labels, see ``agreement``.
        match: How far each cluster that is judged is also one of these (k,), see ``best_match``.
    """

    name: str
    quality: ClusterQuality
    agreement: dict[str, float]
    match: NDArray[np.float64]


def judge(
    vectors: ArrayLike,
    clusters: ArrayLike,
    labels: Labels | None = None,
    *,
    find: Finder | None = None,
    resamples: int = 10,
    seed: int = 0,
) -> ClusterQuality:
    """Judge each cluster in the embedding, also if it was found in another space.

    Args:
        vectors: Array (N, D), of any scale.
        clusters: Cluster of each row (N,), 0 or more, -1 for none.
        labels: Labels (N,) given by people, None for a row without one.
        find: The recipe that found the clusters; with it, stability is measured.
        resamples: Resamples for stability.
        seed: Seed of the resamples.

    Raises:
        InputError: See ``cluster_silhouettes``, ``stability`` and ``purity``.
    """
    unit = l2_normalize(vectors)
    codes = _check_clusters(clusters, len(unit))
    scores = _silhouettes(unit, codes)
    nothing = np.full(_count(codes), np.nan)
    return ClusterQuality(
        np.bincount(codes[codes >= 0], minlength=_count(codes)),
        _means(scores, codes),
        nothing if find is None else stability(unit, codes, find, resamples=resamples, seed=seed),
        nothing if labels is None else purity(codes, labels),
        float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan"),
    )


def cluster_silhouettes(vectors: ArrayLike, clusters: ArrayLike) -> NDArray[np.float64]:
    """Return the mean cosine silhouette of the members of each cluster (k,), -1 to 1, among all that have a cluster.

    Above 0 members are nearer to each other than to the next cluster. The mean similarity to the centre, the other
    usual measure, depends on where the vectors lie: those of an untrained network are all similar and would win.

    Args:
        vectors: Array (N, D), of any scale.
        clusters: Cluster of each row (N,), 0 or more, -1 for none.

    Returns:
        The silhouette of clusters 0 to the largest number; NaN for one without members, and for all where a silhouette
        is not defined (fewer than 2 clusters, or each row its own).

    Raises:
        InputError: See ``l2_normalize``; the clusters are not integers from -1 up, or of another length.
    """
    unit = l2_normalize(vectors)
    codes = _check_clusters(clusters, len(unit))
    return _means(_silhouettes(unit, codes), codes)


def stability(
    vectors: ArrayLike, clusters: ArrayLike, find: Finder, *, resamples: int = 10, sample: int = 3_000, seed: int = 0
) -> NDArray[np.float64]:
    """Return how surely each cluster is found again in a bootstrap of the images (Hennig 2007), 0 to 1.

    Each time N rows (at most ``sample``) are drawn with replacement and clustered again, with the UMAP where the recipe
    has one; a row drawn twice counts once, because copies would be neighbours and clusters of their own. A cluster's
    members among the drawn are compared with each new cluster by the Jaccard similarity |A and B| / |A or B|, and the
    best counts; the mean over the resamples is the stability. Hennig reads below 0.5 as dissolved, 0.6 to 0.75 as a
    pattern with unsure members, above 0.85 as highly stable.

    Args:
        vectors: Array (N, D), of any scale.
        clusters: Cluster of each row (N,), 0 or more, -1 for none.
        find: The recipe that found the clusters.
        resamples: How many.
        sample: Most rows drawn.
        seed: Seed of the draws.

    Returns:
        The stability of clusters 0 to the largest number; NaN for one of which no member was ever drawn.

    Raises:
        InputError: See ``cluster_silhouettes``; or ``resamples``, ``sample`` or ``seed`` is out of range.
    """
    unit = l2_normalize(vectors)
    codes = _check_clusters(clusters, len(unit))
    check_count(resamples, "resamples")
    size = min(len(unit), check_count(sample, "sample", at_least=3))
    draw = np.random.default_rng(check_count(seed, "seed", at_least=0))
    total, times = np.zeros(_count(codes)), np.zeros(_count(codes))
    for _ in range(resamples):
        rows = np.unique(draw.integers(0, len(unit), size))
        try:
            found = find(unit[rows])
        except InputError:  # fewer distinct vectors than clusters were drawn
            continue
        best = _best_jaccard(codes[rows], np.asarray(found), len(total))
        drawn = np.isfinite(best)
        total[drawn] += best[drawn]
        times += drawn
    return _divide(total, times)


def purity(clusters: ArrayLike, labels: Labels) -> NDArray[np.float64]:
    """Return the share of the most common label among the labelled members of each cluster (k,), 0 to 1.

    Args:
        clusters: Cluster of each row (N,), 0 or more, -1 for none.
        labels: Labels (N,), None for a row without one.

    Returns:
        The purity of clusters 0 to the largest number; NaN where no member has a label.

    Raises:
        InputError: The clusters are not integers from -1 up, or the lengths differ.
    """
    codes = _check_clusters(clusters)
    known, names = _known(labels, len(codes))
    shares = np.full(_count(codes), np.nan)
    for number in range(len(shares)):
        _, counts = np.unique(names[codes[known] == number], return_counts=True)
        if len(counts):
            shares[number] = counts.max() / counts.sum()
    return shares


def agreement(clusters: ArrayLike, labels: Labels) -> dict[str, float]:
    """Return how clusters agree with labels: "accuracy", "nmi", "ami" and "ari"; see ``dinoscope.analysis.metrics``.

    Images without a label do not count; those without a cluster are a group of their own. Without labels the answer is
    empty. Arguments and errors as in ``purity``.
    """
    codes = _check_clusters(clusters)
    known, names = _known(labels, len(codes))
    if not known.any():
        return {}
    return {
        "accuracy": metrics.clustering_accuracy(names, codes[known]),
        "nmi": metrics.normalized_mutual_information(names, codes[known]),
        "ami": metrics.adjusted_mutual_information(names, codes[known]),
        "ari": metrics.adjusted_rand_index(names, codes[known]),
    }


def find_in_nulls(
    vectors: ArrayLike,
    clusters: ArrayLike,
    find: Finder,
    labels: Labels | None = None,
    *,
    others: Mapping[str, ArrayLike] | None = None,
    shuffles: int = 2,
    resamples: int | None = None,
    seed: int = 0,
) -> list[Null]:
    """Run a recipe on vectors that know less, and judge what it finds there.

    Args:
        vectors: Array (N, D), of any scale.
        clusters: The clusters that are judged (N,), 0 or more, -1 for none.
        find: The recipe that found them.
        labels: Labels (N,), None for a row without one.
        others: Vectors (N, E) of the same images by name, such as their pixels or those of an untrained network.
        shuffles: How many times the features are shuffled; these come first.
        resamples: Resamples for the stability of each null; None leaves stability out.
        seed: Seed of the shuffles and resamples.

    Raises:
        InputError: See ``judge``; or the others are of another length.
    """
    unit = l2_normalize(vectors)
    named = [("shuffled features", shuffled_features(unit, seed=seed + each)) for each in range(shuffles)]
    for name, other in (others or {}).items():
        rows = l2_normalize(other)
        if len(rows) != len(unit):
            raise InputError(f"others[{name!r}] must have one row per vector, expected {len(unit)}, got {len(rows)}")
        named.append((name, rows))
    nulls = []
    for name, rows in named:
        found = find(rows)
        quality = judge(rows, found, labels, find=find if resamples else None, resamples=resamples or 1, seed=seed)
        shared = {} if labels is None else agreement(found, labels)
        nulls.append(Null(name, quality, shared, best_match(clusters, found)))
    return nulls


def shuffled_features(vectors: ArrayLike, *, seed: int = 0) -> NDArray[np.float32]:
    """Return a null of unit vectors (N, D): each column shuffled by itself, then each row scaled to length 1.

    Each feature keeps its values, all that features have to do with each other is gone, and with it the clusters. A
    row that comes out as zeros stays as it was.

    Raises:
        InputError: See ``l2_normalize``; or ``seed`` is out of range.
    """
    unit = l2_normalize(vectors)
    draw = np.random.default_rng(check_count(seed, "seed", at_least=0))
    shuffled = draw.permuted(unit, axis=0)
    zero = ~shuffled.any(axis=1)
    shuffled[zero] = unit[zero]
    return l2_normalize(shuffled)


def weak_clusters(quality: ClusterQuality, nulls: Sequence[ClusterQuality]) -> NDArray[np.bool_]:
    """Tell which clusters (k,) do no better than what the same recipe finds where there are no clusters.

    A cluster is strong if its silhouette exceeds the 95th percentile of that of the nulls' clusters, taken
    together, and, where it was measured, its stability exceeds their median and 0.5, below which Hennig (2007) calls a
    cluster dissolved; otherwise it is weak. Any silhouette above 0 beats nulls in which nothing was found.

    The nulls have to be ``shuffled_features``: silhouettes cannot be compared with those of pixels or of an untrained
    network, whose vectors lie along few directions and so have larger silhouettes with worse clusters. For those ask
    ``best_match`` whether they find the same cluster.

    Args:
        quality: The clusters.
        nulls: What ``judge`` says about the clusters that the same recipe finds in shuffled features, one or more.

    Raises:
        InputError: There are no nulls.
    """
    if not nulls:
        raise InputError("nulls must hold at least one, got none; judge the clusters of shuffled_features")
    least = max(0.0, _percentile([null.cohesion for null in nulls], 95))
    steady = max(_DISSOLVED, _percentile([null.stability for null in nulls], 50))
    strong = quality.cohesion > least
    measured = np.isfinite(quality.stability)
    strong[measured] &= quality.stability[measured] > steady
    return ~strong


def best_match(clusters: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Return how far each cluster (k,) is also one of ``others``: the largest Jaccard similarity, 0 to 1.

    Above 0.5 no second cluster can match as well: both mean the same group.

    Args:
        clusters: Cluster of each row (N,), 0 or more, -1 for none.
        others: Another clustering of the same rows.

    Returns:
        The similarity for clusters 0 to the largest number; NaN for one without members.

    Raises:
        InputError: One of them is not integers from -1 up, or the lengths differ.
    """
    codes = _check_clusters(clusters)
    return _best_jaccard(codes, _check_clusters(others, len(codes)), _count(codes))


def _percentile(parts: Sequence[NDArray[np.float64]], percent: float) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    return float(np.percentile(values, percent)) if len(values) else -np.inf


def _check_clusters(clusters: ArrayLike, count: int | None = None) -> NDArray[np.int64]:
    codes = check_labels(clusters, count, "clusters")
    if codes.dtype.kind not in "iu" or (len(codes) and codes.min() < NO_CLUSTER):
        got = f"dtype {codes.dtype}" if codes.dtype.kind not in "iu" else f"{codes.min()}"
        raise InputError(f"clusters must be whole numbers from -1 (no cluster) up, got {got}; number them from 0")
    return codes.astype(np.int64)


def _known(labels: Labels, count: int) -> tuple[NDArray[np.bool_], NDArray[np.str_]]:
    """Return which rows have a label (N,), and the labels of those as texts."""
    array = np.asarray(labels, dtype=object)
    if array.shape != (count,):
        raise InputError(f"labels must have one entry per item, expected shape ({count},), got {array.shape}")
    known = np.asarray([each is not None for each in array], bool)
    return known, np.asarray([str(each) for each in array[known]], np.str_)


def _count(codes: NDArray[np.int64]) -> int:
    return int(codes.max(initial=NO_CLUSTER)) + 1


def _silhouettes(unit: NDArray[np.float32], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the silhouettes (N,) among those that have a cluster; NaN for the others, or all where undefined."""
    scores = np.full(len(codes), np.nan)
    rows = np.flatnonzero(codes >= 0)
    if 2 <= len(np.unique(codes[rows])) < len(rows):
        scores[rows] = metrics.silhouette_samples(check_vectors(unit[rows]), codes[rows])
    return scores


def _means(scores: NDArray[np.float64], codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean score of each cluster (k,), NaN for one without members."""
    inside = codes >= 0
    sums = np.bincount(codes[inside], scores[inside], _count(codes))
    sizes = np.bincount(codes[inside], minlength=_count(codes))
    return _divide(sums, sizes)


def _divide(sums: NDArray[np.number], counts: NDArray[np.number]) -> NDArray[np.float64]:
    quotient = np.full(len(sums), np.nan)
    np.divide(sums, counts, out=quotient, where=counts > 0)
    return quotient


def _best_jaccard(old: NDArray[np.int64], new: NDArray[np.integer], count: int) -> NDArray[np.float64]:
    """Return the largest Jaccard similarity of each old cluster (count,) with a new one; NaN for one without members.

    Both are clusters (M,) of the same rows, -1 for none.
    """
    numbers = int(new.max(initial=NO_CLUSTER)) + 1
    both = np.zeros((count + 1, numbers + 1))  # the last row and column are those without a cluster
    np.add.at(both, (old, new), 1)
    olds, news = both.sum(axis=1)[:-1], both.sum(axis=0)[:-1]
    shared = both[:-1, :-1]
    union = olds[:, None] + news - shared
    best = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0).max(axis=1, initial=0)
    return np.where(olds > 0, best, np.nan)
