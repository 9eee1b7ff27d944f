"""The graph that UMAP lays out: neighbours with weights, what a distance on the map means, where the points start."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.maps.layout import Curve
from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.loading import LOADING

with LOADING:
    from scipy.sparse import csr_array, diags_array

__all__ = ["NoStart", "fit_curve", "fuzzy_weights", "spectral_start", "waves_at_once"]

_HALVINGS = 64  # of the interval of a scale
_CLOSE = 1e-5  # how close the sum of a point's weights comes to its target
_LEAST_SCALE = 1e-3  # of the mean distance of a point's neighbours
_EXTENT = 10.0  # largest coordinate of a start
_SHAKE = 1e-4  # so that no two points start at the same place
_FEWEST_WAVES, _MOST_WAVES = 20, 64  # held while the slowest ones are sought: more take fewer rounds and more memory
_ROUNDS = 200  # after which the search for them ends; in a long chain, as of frames of a film, they hardly differ
_EXACT = 1e-6  # to which they are found


class NoStart(Exception):
    """The slowest waves of a graph differ too little to separate in reasonable time."""


def fuzzy_weights(graph: NeighborGraph, rounding: float) -> csr_array:
    """Return the weights (N, N) of the edges, symmetric, 0 to 1 (McInnes et al. 2018, algorithms 1 to 3).

    Each point's neighbours weigh exp(-(d - rho) / sigma), rho the distance of the nearest at another place, sigma so
    that the sum is log2(k + 1). An edge that both ends have weighs w + v - w v.

    Args:
        graph: Neighbours.
        rounding: Distances below it are 0: those between equal vectors.
    """
    count, k = graph.indices.shape
    distances = np.where(graph.distances < rounding, 0.0, graph.distances.astype(np.float64))
    apart = np.where(distances > 0, distances, np.inf).min(axis=1)
    beyond = np.maximum(distances - np.where(np.isfinite(apart), apart, 0)[:, None], 0)
    means = distances.mean(axis=1)
    least = _LEAST_SCALE * np.where(np.isfinite(apart), means, means.mean()) * k / (k + 1)  # the point itself at 0
    scales = np.maximum(_scales(beyond, np.log2(k + 1)), np.maximum(least, np.finfo(np.float64).tiny))
    ends = np.arange(count + 1) * k
    one_way = csr_array((np.exp(-beyond / scales[:, None]).ravel(), graph.indices.ravel(), ends), (count, count))
    other_way = csr_array(one_way.T)
    both = csr_array(one_way + other_way - one_way.multiply(other_way))
    both.eliminate_zeros()
    both.sort_indices()
    return both


def fit_curve(min_dist: float) -> Curve:
    """Return the curve nearest to 1 up to ``min_dist`` and exp(min_dist - r) beyond, by least squares up to r = 3."""
    with LOADING:
        from scipy.optimize import curve_fit

    lengths = np.linspace(0, 3, 300)
    wanted = np.where(lengths < min_dist, 1.0, np.exp(min_dist - lengths))
    a, b = curve_fit(lambda r, a, b: 1 / (1 + a * r ** (2 * b)), lengths, wanted)[0]
    return Curve(float(a), float(b))


def waves_at_once(count: int, n_components: int) -> int:
    """Return how many waves ``spectral_start`` holds at once; fewer distinct points than that have no such start."""
    return min(count, max(2 * n_components + 3, _FEWEST_WAVES, min(math.isqrt(count), _MOST_WAVES)))


def spectral_start(weights: csr_array, n_components: int, seed: int) -> NDArray[np.float64]:
    """Return the start (N, n_components): the slowest waves of a connected graph, each at one scale, a little shaken.

    They are the eigenvectors of D^(-1/2) W D^(-1/2) behind the first, D the sums of the weights W.

    Raises:
        NoStart: They were not found in a bounded number of rounds.
    """
    with LOADING:
        from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    count, wanted = weights.shape[0], n_components + 1
    sizes = diags_array(1 / np.sqrt(np.asarray(weights.sum(axis=1)).ravel()))
    held = waves_at_once(count, n_components)
    how = {"v0": np.full(count, count**-0.5), "ncv": held, "maxiter": _ROUNDS, "tol": _EXACT}
    try:
        values, vectors = eigsh(sizes @ weights @ sizes, wanted, which="LA", **how)
    except ArpackNoConvergence as error:
        raise NoStart from error
    waves = vectors[:, np.argsort(values)[::-1][1:]]
    waves *= _EXTENT / np.abs(waves).max()
    shaken: NDArray[np.float64] = waves + np.random.default_rng(seed).normal(scale=_SHAKE, size=waves.shape)
    return shaken


def _scales(beyond: NDArray[np.float64], target: float) -> NDArray[np.float64]:
    """Return for each point (N,) the scale at which the weights of its neighbours (N, k) sum up to ``target``."""
    count = len(beyond)
    low, high, scales = np.zeros(count), np.full(count, np.inf), np.ones(count)
    open_ = np.arange(count)
    for _ in range(_HALVINGS):
        sums = np.exp(-beyond[open_] / scales[open_, None]).sum(axis=1)
        over = sums > target
        high[open_[over]], low[open_[~over]] = scales[open_[over]], scales[open_[~over]]
        open_ = open_[np.abs(sums - target) >= _CLOSE]
        if not len(open_):
            break
        top = high[open_]
        scales[open_] = np.where(np.isinf(top), 2 * scales[open_], (low[open_] + np.minimum(top, 1e300)) / 2)
    return scales
