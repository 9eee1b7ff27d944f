"""UMAP's graph and layout against the formulas, computed point by point."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import brentq
from scipy.sparse import csr_array

from dinoscope.analysis.maps import fuzzy, layout, projection
from dinoscope.analysis.maps.fuzzy import NoStart, fit_curve, fuzzy_weights, spectral_start
from dinoscope.analysis.maps.layout import Curve, lay_out
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.neighbors import NeighborGraph, neighbors

CURVE = Curve(1.577, 0.895)


def graph_of(count: int = 60, k: int = 6, seed: int = 0) -> NeighborGraph:
    return neighbors(np.random.default_rng(seed).standard_normal((count, 5)), k)


def test_weights_are_those_of_the_paper():
    graph = graph_of()
    one_way = np.zeros((60, 60))
    for row, (indices, distances) in enumerate(zip(graph.indices, graph.distances.astype(float), strict=True)):
        beyond = distances - distances.min()

        def missing(sigma: float, beyond: Any = beyond) -> float:
            return float(np.exp(-beyond / sigma).sum() - np.log2(7))

        one_way[row, indices] = np.exp(-beyond / brentq(missing, 1e-6, 1e3))
    expected = one_way + one_way.T - one_way * one_way.T
    np.testing.assert_allclose(fuzzy_weights(graph, 1e-6).toarray(), expected, atol=1e-4)


def test_copies_weigh_as_the_nearest_and_do_not_set_the_scale():
    vectors = np.random.default_rng(0).standard_normal((20, 5))
    vectors[1] = vectors[0]
    weights = fuzzy_weights(neighbors(vectors, 5), 1e-6)
    assert weights[0, 1] == 1
    third = neighbors(vectors, 5).indices[0, 1]  # the nearest at another place
    assert weights[0, third] == pytest.approx(1)
    alike = fuzzy_weights(neighbors(np.ones((9, 4)), 3), 1e-6)
    assert set(alike.data.tolist()) == {1}


def test_the_curve_is_that_of_umap():
    curve = fit_curve(0.1)
    assert (curve.a, curve.b) == pytest.approx((1.577, 0.895), abs=1e-3)
    far = fit_curve(0.8)
    assert 1 / (1 + far.a * 0.5 ** (2 * far.b)) > 0.9 > 1 / (1 + curve.a * 0.5 ** (2 * curve.b))


def test_the_start_is_the_slowest_waves_of_the_graph():
    weights = fuzzy_weights(graph_of(), 1e-6)
    sizes = np.sqrt(weights.sum(axis=1))
    normal = weights.toarray() / sizes[:, None] / sizes
    start = spectral_start(weights, 2, seed=0)
    values = np.linalg.eigvalsh(normal)[-3:-1][::-1]
    for wave, value in zip(start.T, values, strict=True):
        np.testing.assert_allclose(normal @ wave, value * wave, atol=1e-2)  # it is shaken a little
    assert np.abs(start).max() == pytest.approx(10, abs=1e-2)
    assert not np.array_equal(start, spectral_start(weights, 2, seed=1))


def chain(count: int) -> NDArray[np.float64]:
    """Vectors along a smooth path, as frames of a film are."""
    turns = 2 * np.pi * np.outer(np.linspace(0, 1, count), [0.7, 1.4, 2.1])
    return np.hstack([np.sin(turns), np.cos(turns)]) + 3


def test_the_start_of_a_chain_is_found_in_few_rounds(monkeypatch):
    monkeypatch.setattr(fuzzy, "_ROUNDS", 60)
    weights = fuzzy_weights(neighbors(chain(1200), 14), 1e-6)
    start = spectral_start(weights, 2, seed=0)
    sizes = np.sqrt(weights.sum(axis=1))
    normal = weights.toarray() / sizes[:, None] / sizes
    values = eigh(normal, eigvals_only=True, subset_by_index=(1197, 1198))[::-1]
    for wave, value in zip(start.T, values, strict=True):
        assert wave @ normal @ wave / (wave @ wave) == pytest.approx(value, abs=1e-6)


def test_a_chain_whose_spectrum_is_not_found_in_time_starts_at_its_principal_components(monkeypatch):
    vectors = chain(400)
    usual = umap(vectors, epochs=20)
    monkeypatch.setattr(fuzzy, "_ROUNDS", 1)
    with pytest.raises(NoStart):
        spectral_start(fuzzy_weights(neighbors(vectors, 14), 1e-6), 2, seed=0)
    found = umap(vectors, epochs=20)
    assert not np.array_equal(found, usual)
    monkeypatch.setattr(projection, "_SPECTRAL", 100)
    np.testing.assert_array_equal(umap(vectors, epochs=20), found)


def test_fewer_distinct_points_than_the_search_holds_waves_start_at_their_principal_components(monkeypatch):
    vectors = np.repeat(np.random.default_rng(0).standard_normal((42, 8)), 40, axis=0)
    assert fuzzy.waves_at_once(len(vectors), 2) == 40
    usual = umap(vectors, n_neighbors=100, epochs=5)
    monkeypatch.setattr(fuzzy, "spectral_start", None)
    np.testing.assert_array_equal(umap(vectors, n_neighbors=100, epochs=5), usual)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_forces_are_sums_over_neighbours_and_over_points_at_the_distances(axes):
    count, shifts = 40, np.array([3, 17, 39])
    weights = fuzzy_weights(graph_of(count), 1e-6)
    places = np.random.default_rng(1).standard_normal((count, axes))
    field = layout._Field(weights, places.T.astype(np.float32), CURVE)
    block = layout._Block(field, slice(8, 32))
    a, b, dense = CURVE.a, CURVE.b, weights.toarray()
    pull, push = np.zeros((count, axes)), np.zeros((count, axes))
    for row in range(count):
        for other in dense[row].nonzero()[0]:
            gap = places[row] - places[other]
            square = gap @ gap
            # both ends of an edge move, and the graph has each edge twice
            pull[row] -= 2 * dense[row, other] * 2 * a * b * square ** (b - 1) / (1 + a * square**b) * gap
        for shift in shifts:
            gap = places[row] - places[(row + shift) % count]
            square = gap @ gap
            one = np.clip(2 * b / ((0.001 + square) * (1 + a * square**b)) * gap, -4, 4)
            push[row] += one * dense[row].sum() * 5 / len(shifts)
    np.testing.assert_allclose(block._pull(), pull[8:32].T, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(block._push(shifts), push[8:32].T, rtol=1e-3, atol=1e-4)


def test_the_map_is_the_same_on_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(layout, "_ROWS", 16)
    weights = fuzzy_weights(graph_of(), 1e-6)
    start = spectral_start(weights, 2, seed=0)
    maps = []
    for threads in (1, 2, 8):
        monkeypatch.setattr(layout, "cores", lambda threads=threads: threads)
        maps.append(lay_out(weights, start, CURVE, epochs=40, seed=7))
    np.testing.assert_array_equal(maps[1], maps[0])
    np.testing.assert_array_equal(maps[2], maps[0])
    assert not np.array_equal(lay_out(weights, start, CURVE, epochs=40, seed=8), maps[0])


def test_neighbours_come_close_and_groups_part():
    """Two rings of edges without an edge between them, mixed at the start."""
    ring = np.arange(20)
    rows = np.concatenate([ring, ring + 20])
    tails = np.concatenate([(ring + 1) % 20, (ring + 1) % 20 + 20])
    weights = csr_array((np.ones(40), (rows, tails)), (40, 40))
    start = np.random.default_rng(0).standard_normal((40, 2))
    places = lay_out(csr_array(weights + weights.T), start, CURVE, epochs=200, seed=0)
    gaps = np.linalg.norm(places[:, None] - places, axis=2)
    assert np.median(gaps[rows, tails]) < np.median(gaps) / 4  # a ring may stay knotted
    centres = places[:20].mean(axis=0), places[20:].mean(axis=0)
    assert np.linalg.norm(centres[0] - centres[1]) > gaps[rows, tails].mean()
