"""Numbers that say how good vectors, clusters and maps are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.checks import check_count, check_labels, check_vectors
from dinoscope.errors import InputError, did_you_mean
from dinoscope.knn import NeighborGraph, in_threads, l2_normalize, row_blocks, row_lengths

__all__ = [
    "Contingency",
    "Metric",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "clustering_accuracy",
    "contingency",
    "continuity",
    "continuity_samples",
    "draw_rows",
    "effective_rank",
    "hubness",
    "map_neighbors",
    "neighborhood_preservation",
    "normalized_mutual_information",
    "silhouette",
    "silhouette_samples",
    "trustworthiness",
    "trustworthiness_samples",
]

Metric = Literal["cosine", "euclidean"]

_BLOCK_ROWS = 2048  # rows whose distances are summed in one go
_TILE = (32, 4096)  # distances computed at once: two float32 tiles stay in a 2 MB cache
_TIE = 1e-12  # cosines this close are equal: a product of matrices rounds equal rows differently in different places
_BLOCK_BYTES = 1 << 26  # one thread's share where whole rows of distances are needed


@dataclass(frozen=True, eq=False)
class Contingency:
    """How often each pair of labels meets.

    Attributes:
        counts: Items (R, C) with the true label of the row and the predicted label of the column, int64.
        true_labels: The R true labels, sorted.
        predicted_labels: The C predicted labels, sorted.
    """

    counts: NDArray[np.int64]
    true_labels: NDArray[Any]
    predicted_labels: NDArray[Any]


def silhouette(vectors: ArrayLike, labels: ArrayLike, metric: Metric = "cosine") -> float:
    """Return the mean silhouette, from -1 to 1; see ``silhouette_samples``."""
    return float(silhouette_samples(vectors, labels, metric).mean())


def silhouette_samples(vectors: ArrayLike, labels: ArrayLike, metric: Metric = "cosine") -> NDArray[np.float64]:
    """Score each item by how much nearer it lies to its own group than to the next (Rousseeuw 1987), exactly.

    With a the mean distance to the others of its group and b the smallest mean distance to another group, the score
    is (b - a) / max(a, b), and 0 for an item alone in its group.

    Cosine distances take one pass: for unit vectors the distances of x to the n members of a group sum to
    sum(1 - x.y) = n - x.S, S being the sum of the members, because the product is linear; in its own group x adds
    1 - x.x = 0. So N x groups products replace the N x N distances. Euclidean distances take each pair
    once, in tiles that stay in the cache: differences up to three dimensions, matrix products beyond. Each group is
    first moved to its own mean, which bounds the rounding error by the distances themselves, however far the groups
    lie apart.

    Args:
        vectors: Array (N, D).
        labels: Integers or strings (N,); no value is special, so drop unlabelled items first.
        metric: "cosine" or "euclidean".

    Returns:
        The scores (N,), float64, from -1 to 1.

    Raises:
        InputError: See ``check_vectors`` and ``check_labels``; or there are not 2 to N - 1 distinct labels, the metric
            is unknown, or a vector is zero with the cosine metric.
    """
    array = check_vectors(vectors, at_least=3)
    _, codes, sizes = np.unique(check_labels(labels, len(array)), return_inverse=True, return_counts=True)
    if not 2 <= len(sizes) < len(array):
        raise InputError(
            f"labels must hold 2 to {len(array) - 1} distinct values for a silhouette of {len(array)} items, "
            f"got {len(sizes)}; group the items differently"
        )
    if metric == "cosine":
        return _cosine_silhouette(array, codes, sizes)
    if metric == "euclidean":
        return _euclidean_silhouette(array, codes, sizes)
    known = get_args(Metric)
    raise InputError(f"metric must be one of {', '.join(known)}, got {metric!r}{did_you_mean(str(metric), known)}")


def _cosine_silhouette(array: NDArray[Any], codes: NDArray[np.intp], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    from scipy.sparse import csr_array

    lengths = row_lengths(array)
    blocks = row_blocks(len(array), _BLOCK_BYTES // (32 * max(array.shape[1], len(sizes))))
    sums = np.zeros((len(sizes), array.shape[1]))
    for rows in blocks:
        count = rows.stop - rows.start
        members = csr_array((1 / lengths[rows], (codes[rows], np.arange(count))), shape=(len(sizes), count))
        sums += members @ array[rows].astype(np.float64)
    scores = np.empty(len(array))

    def score(rows: slice) -> None:
        own = codes[rows]
        at_home = np.arange(len(own)), own
        totals = array[rows].astype(np.float64) @ sums.T
        totals /= -lengths[rows, None]
        totals += sizes
        totals[totals < sizes * 1e-12] = 0  # rounding leaves up to that of the distances between equal vectors
        inside = totals[at_home] / np.maximum(sizes[own] - 1, 1)
        totals /= sizes
        totals[at_home] = np.inf
        scores[rows] = _score(inside, totals.min(axis=1), sizes[own])

    in_threads(score, blocks)
    return scores


def _euclidean_silhouette(array: NDArray[Any], codes: NDArray[np.intp], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    """Take each pair once: a group's members against themselves and all later groups, summed both ways."""
    order = np.argsort(codes, kind="stable")
    columns = np.ascontiguousarray(array[order].T, dtype=np.float64)
    # The scores have no unit; in this one, a power of two, which rounds nothing, no square leaves what a float32 holds.
    columns = np.ldexp(columns, -int(np.frexp(np.abs(columns).max())[1]))
    inside, outside = np.zeros(len(array)), np.full(len(array), np.inf)
    for code, (stop, size) in enumerate(zip(np.cumsum(sizes), sizes, strict=True)):
        start = stop - size
        points = columns[:, start:] - columns[:, start:stop].mean(axis=1, keepdims=True)
        firsts = np.cumsum(sizes[code:]) - sizes[code:]  # where this group and each later one begin in points
        to_groups, back = np.zeros((size, len(firsts))), np.zeros(points.shape[1])
        # One after the other: threads would pass the interpreter lock to and fro at every tile, and take longer.
        for rows in row_blocks(int(size), _BLOCK_ROWS):
            to_groups[rows], here = _pair_sums(points, rows, firsts)
            back[rows.stop :] += here
        inside[start:stop] = (to_groups[:, 0] + back[:size]) / max(size - 1, 1)
        to_later = (to_groups[:, 1:] / sizes[code + 1 :]).min(axis=1, initial=np.inf)
        outside[start:] = np.minimum(outside[start:], np.concatenate([to_later, back[size:] / size]))
    scores = np.empty(len(array))
    scores[order] = _score(inside, outside, sizes[codes[order]])
    return scores


def _score(inside: NDArray[np.float64], outside: NDArray[np.float64], sizes: NDArray[np.intp]) -> NDArray[np.float64]:
    largest = np.maximum(inside, outside)
    scores = np.zeros_like(inside)
    np.divide(outside - inside, largest, out=scores, where=(sizes > 1) & (largest > 0))
    return scores


def _pair_sums(
    points: NDArray[np.float64], rows: slice, firsts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum the distances between ``rows`` of points (D, P) and the points from ``rows.start`` on, both ways.

    Returns:
        The sums from each row to each group (rows, groups), and from each point after the rows to all of them. The
        square of the rows with themselves counts in the first alone, where it is complete.
    """
    there = np.zeros((rows.stop - rows.start, len(firsts)))
    back = np.zeros(points.shape[1] - rows.stop)
    distances = _differences if len(points) <= 3 else _products
    buffers = np.empty((2, *_TILE), np.float32)
    for across in row_blocks(points.shape[1] - rows.start, _TILE[1]):
        first, last = across.start + rows.start, across.stop + rows.start
        group = int(np.searchsorted(firsts, first, side="right")) - 1
        cuts = np.maximum(firsts[group : np.searchsorted(firsts, last)] - first, 0)
        beyond = max(rows.stop, first)  # from here on a point is not one of the rows
        for down in row_blocks(len(there), _TILE[0]):
            members = points[:, rows.start + down.start : rows.start + down.stop]
            tile = distances(members, points[:, first:last], buffers)
            there[down, group : group + len(cuts)] += np.add.reduceat(tile, cuts, axis=1)
            if beyond < last:
                back[beyond - rows.stop : last - rows.stop] += tile[:, beyond - first :].sum(axis=0)
    return there, back


def _differences(
    members: NDArray[np.float64], others: NDArray[np.float64], buffers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the distances (M, O) of points (D, M) and (D, O): few dimensions, no cancellation."""
    squares, term = buffers[:, : members.shape[1], : others.shape[1]]
    for axis, (down, across) in enumerate(zip(members.astype(np.float32), others.astype(np.float32), strict=True)):
        target = term if axis else squares
        np.subtract(across, down[:, None], out=target)
        np.multiply(target, target, out=target)
        if axis:
            np.add(squares, target, out=squares)
    distances: NDArray[np.float32] = np.sqrt(squares, out=squares)
    return distances


def _products(
    members: NDArray[np.float64], others: NDArray[np.float64], _buffers: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the same by |m - o|^2 = |m|^2 + |o|^2 - 2 m.o: many dimensions, in float64 against cancellation."""
    squares = members.T @ others
    squares *= -2
    squares += np.einsum("dm,dm->m", members, members)[:, None]
    squares += np.einsum("do,do->o", others, others)
    np.maximum(squares, 0, out=squares)
    distances: NDArray[np.float64] = np.sqrt(squares, out=squares)
    return distances


def contingency(labels_true: ArrayLike, labels_pred: ArrayLike) -> Contingency:
    """Count how often each true label meets each predicted one.

    Args:
        labels_true: Integers or strings (N,).
        labels_pred: Integers or strings (N,).

    Raises:
        InputError: See ``check_labels``; or N is 0.
    """
    truth = check_labels(labels_true, name="labels_true")
    guess = check_labels(labels_pred, len(truth), name="labels_pred")
    if not len(truth):
        raise InputError("labels_true must not be empty, got shape (0,); pass at least one label")
    rows, row = np.unique(truth, return_inverse=True)
    columns, column = np.unique(guess, return_inverse=True)
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return Contingency(counts.reshape(len(rows), len(columns)), rows, columns)


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of items that agree under the best one-to-one match of clusters and labels, 0 to 1.

    The match is the optimal assignment (Kuhn 1955, the "Hungarian" method); with more clusters than labels, or the
    reverse, the surplus counts as wrong. Arguments and errors as in ``contingency``.
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(labels_true, labels_pred).counts
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / counts.sum())


def normalized_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information over the mean of both entropies, 0 to 1; arguments as in ``contingency``."""
    from sklearn.metrics import normalized_mutual_info_score

    return _compare(normalized_mutual_info_score, labels_true, labels_pred)


def adjusted_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information beyond chance (Vinh et al. 2010), about 0 to 1; arguments as above."""
    from sklearn.metrics import adjusted_mutual_info_score

    return _compare(adjusted_mutual_info_score, labels_true, labels_pred)


def adjusted_rand_index(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of agreeing pairs beyond chance (Hubert and Arabie 1985), -0.5 to 1; arguments as above."""
    from sklearn.metrics import adjusted_rand_score

    return _compare(adjusted_rand_score, labels_true, labels_pred)


def _compare(score: Callable[..., Any], labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    truth = check_labels(labels_true, name="labels_true")
    guess = check_labels(labels_pred, len(truth), name="labels_pred")
    if not len(truth):
        raise InputError("labels_true must not be empty, got shape (0,); pass at least one label")
    return float(score(truth, guess))


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
    both = np.sort(np.hstack([graph.top(k).indices, nearby]), axis=1)  # a shared neighbour stands beside itself
    return float((both[:, 1:] == both[:, :-1]).sum() / nearby.size)


def effective_rank(vectors: ArrayLike) -> float:
    """Return how many directions the vectors use, 1 to min(N, D): exp of the entropy of their singular values.

    The singular values, of the vectors as they are, count as a distribution (Roy and Vetterli 2007). They come from
    the eigenvalues of the smaller product of the matrix with itself, in float64; below about 3e-7 of the largest,
    which is the noise of that way and of float32 vectors, they count as zero.

    Raises:
        InputError: See ``check_vectors``; or all vectors are zero.
    """
    array = check_vectors(vectors)
    array = array.T if len(array) < array.shape[1] else array
    product = np.zeros((array.shape[1],) * 2)
    for rows in row_blocks(len(array), _BLOCK_BYTES // (8 * array.shape[1])):
        block = array[rows].astype(np.float64)
        product += block.T @ block
    values = np.linalg.eigvalsh(product)
    if values[-1] <= 0:
        raise InputError("vectors must not all be zero, got only zero rows; recompute the embedding")
    values = np.sqrt(values[values > values[-1] * len(values) * np.finfo(np.float64).eps])
    share = values / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def hubness(graph: NeighborGraph) -> float:
    """Return the skewness of how often a point is among the neighbours of others (Radovanovic et al. 2010).

    Near 0 no point is favoured; above about 2 a few hubs turn up in everybody's list. 0 where all are equal.
    """
    occurrences = np.bincount(graph.indices.ravel(), minlength=len(graph)).astype(np.float64)
    deviations = occurrences - occurrences.mean()
    spread = deviations.std()
    return float((deviations**3).mean() / spread**3) if spread > 0 else 0.0


def _check_map(coordinates: ArrayLike, count: int, k: int) -> NDArray[np.float64]:
    points = check_vectors(coordinates, "coordinates", at_least=3)
    if len(points) != count:
        raise InputError(f"coordinates must have one row a vector, expected {count}, got {len(points)}; map it anew")
    check_count(k, "k", at_most=(count - 1) // 2, why=f"less than half of the {count} points")
    return points.astype(np.float64)


def map_neighbors(points: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """Return the ``k`` nearest other points of each (N, k), by euclidean distance, itself left out by identity."""
    from scipy.spatial import cKDTree

    _, found = cKDTree(points).query(points, k + 1, workers=-1)
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
    distances: Callable[[NDArray[np.intp]], NDArray[np.float64]], chosen: NDArray[Any], rows: NDArray[np.intp] | None,
    tie: float = 0.0,
) -> NDArray[np.float64]:  # fmt: skip
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
