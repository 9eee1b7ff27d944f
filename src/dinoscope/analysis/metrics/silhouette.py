"""The silhouette, exact: for cosine by sums, for Euclidean distances tile by tile."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_arguments, check_choice, check_labels, check_vectors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.vectors import row_lengths
from dinoscope.errors import InputError

__all__ = ["Metric", "silhouette", "silhouette_samples"]

Metric = Literal["cosine", "euclidean"]
_BLOCK_ROWS = 2048  # rows per block of distances
_TILE = (32, 4096)  # distances computed at once: two float32 tiles stay in a 2 MB cache
_BLOCK_BYTES = 1 << 26  # one thread's share


@check_arguments
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
    check_choice(metric, "metric", get_args(Metric))
    if metric == "cosine":
        return _cosine_silhouette(array, codes, sizes)
    return _euclidean_silhouette(array, codes, sizes)


def _cosine_silhouette(
    array: NDArray[np.floating], codes: NDArray[np.intp], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
    with LOADING:
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


def _euclidean_silhouette(
    array: NDArray[np.floating], codes: NDArray[np.intp], sizes: NDArray[np.intp]
) -> NDArray[np.float64]:
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
        beyond = max(rows.stop, first)  # from here on a point is none of the rows
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
