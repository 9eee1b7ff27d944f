import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.maps.quality import map_difference
from dinoscope.analysis.maps.tuning import _is_gain, pareto_front, tune
from dinoscope.analysis.metrics.maps import neighborhood_preservation, trustworthiness
from dinoscope.analysis.metrics.silhouette import silhouette
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

GRID: dict[str, Any] = {"n_neighbors": (5, 30), "min_dist": (0.0, 0.8)}


def blobs(count: int = 150) -> tuple[Any, Any]:
    draw = np.random.default_rng(0)
    groups = np.arange(count) % 3
    vectors = 2 * draw.standard_normal((3, 12))[groups] + draw.standard_normal((count, 12))
    return vectors, np.array(["bag", "boot", "coat"])[groups]


@pytest.fixture(scope="module")
def tuned():
    vectors, labels = blobs()
    return tune(vectors, labels, **GRID)


def dominated(points: Any, one: int) -> bool:
    """The definition: another point is nowhere worse and somewhere better."""
    return any(
        all(a >= b for a, b in zip(other, points[one], strict=True)) and list(other) != list(points[one])
        for other in points
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("aims", [1, 2, 3])
def test_the_front_is_that_of_the_definition(seed, aims):
    points = np.random.default_rng(seed).integers(0, 6, (25, aims)).tolist()  # few values: many ties and duplicates
    assert pareto_front(points).tolist() == [not dominated(points, i) for i in range(25)]


def test_the_front_by_hand():
    assert pareto_front([[1, 3], [2, 2], [3, 1], [1, 1], [2, 2], [1, 2]]).tolist() == [True] * 3 + [False, True, False]
    with pytest.raises(InputError, match="aims must be finite"):
        pareto_front([[1, np.nan]])


def test_every_setting_of_the_grid_and_the_default_are_measured(tuned):
    pairs = [(each.n_neighbors, each.min_dist) for each in tuned.settings]
    assert pairs == sorted([*itertools.product((5, 30), (0.0, 0.8)), (15, 0.1)])
    assert (tuned.default.n_neighbors, tuned.default.min_dist) == (15, 0.1)
    assert tuned.positions.tolist() == list(range(150))
    assert (tuned.k, tuned.aim) == (15, "silhouette")
    assert {each.seeds for each in tuned.settings} <= {1, 3}
    for each in tuned.settings:
        assert (each.aim, replace(each, silhouette=None).aim) == (each.silhouette, each.rank_correlation)
        assert (each.difference is None) == (each.seeds == 1)
        assert each.seconds > 0
        assert each.coordinates.shape == (150, 2)


def test_the_numbers_are_means_over_the_seeds(tuned):
    vectors, labels = blobs()
    vectors = l2_normalize(vectors)
    graph = neighbors(vectors, 29)
    default = tuned.default
    maps = [umap(vectors, graph=graph, seed=seed, epochs=200) for seed in range(default.seeds)]
    np.testing.assert_array_equal(maps[0], default.coordinates)
    assert len(maps) == 3
    assert default.neighbors_kept == pytest.approx(np.mean([neighborhood_preservation(graph, each) for each in maps]))
    assert default.trustworthiness == pytest.approx(np.mean([trustworthiness(vectors, each) for each in maps]))
    assert default.silhouette == pytest.approx(np.mean([silhouette(each, labels, "euclidean") for each in maps]))
    differences = [map_difference(a, b) for a, b in itertools.combinations(maps, 2)]
    assert default.difference == pytest.approx(np.mean(differences))


def test_the_front_and_the_recommendation_follow_from_the_table(monkeypatch):
    monkeypatch.setattr("dinoscope.analysis.maps.tuning._is_gain", lambda one, other: True)
    vectors, labels = blobs()
    tuned = tune(vectors, labels, **GRID)
    finalists = [each for each in tuned.settings if each.seeds == 3]
    aims = [(each.neighbors_kept, each.silhouette) for each in finalists]
    assert [each.on_front for each in finalists] == [not dominated(aims, i) for i in range(len(aims))]
    assert not any(each.on_front for each in tuned.settings if each.seeds == 1)
    table = np.array([(each.neighbors_kept, each.silhouette) for each in tuned.settings])
    far = np.linalg.norm((table.max(axis=0) - table) / np.ptp(table, axis=0), axis=1)
    best = min((distance, at) for at, distance in enumerate(far) if tuned.settings[at].on_front)[1]
    assert tuned.recommended is tuned.settings[best]


def test_a_gain_counts_where_it_is_more_than_chance():
    draw = np.random.default_rng(0)
    noise = draw.normal(0, 0.01, (2, 400, 3, 2))
    chance = [_is_gain(one, other) for one, other in zip(*noise, strict=True)]
    assert 0.02 < np.mean(chance) < 0.3  # of two aims, three maps each
    gain = np.array([0.1, -0.1])
    assert all(_is_gain(one + gain, other) for one, other in zip(*noise, strict=True))  # one aim is enough
    assert _is_gain(noise[0, 0, :1], noise[1, 0, :1])  # of one map each nothing is known


def test_who_gains_nothing_over_the_default_is_not_recommended(monkeypatch):
    vectors, labels = blobs()
    monkeypatch.setattr("dinoscope.analysis.maps.tuning._is_gain", lambda one, other: False)
    # another setting than the default (15, 0.1) is nearest to the ideal, whatever the maps of this processor
    monkeypatch.setattr("dinoscope.analysis.maps.tuning.pareto_front", lambda aims: np.ones(len(aims), bool))
    monkeypatch.setattr("dinoscope.analysis.maps.tuning._distance_to_ideal", lambda aims: np.arange(len(aims)))
    found = tune(vectors, labels, **GRID)
    assert found.recommended is found.default
    assert found.verdict == "Stay with the default (15, 0.1): what other settings gain, other seeds gain as well."


def test_the_verdict_names_the_setting_and_what_the_default_costs(tuned):
    best, usual = tuned.recommended, tuned.default
    if best is usual:
        assert tuned.verdict.startswith("Stay with the default (15, 0.1)")
    else:
        assert tuned.verdict == (
            f"Take n_neighbors {best.n_neighbors}, min_dist {best.min_dist:g}: it keeps {best.neighbors_kept:.1%} of "
            f"the neighbours, with a silhouette of {best.silhouette:.3f}; the default (15, 0.1) keeps "
            f"{usual.neighbors_kept:.1%}, with {usual.silhouette:.3f}."
        )
    vectors, labels = blobs(40)
    alone = tune(vectors, labels, n_neighbors=[15], min_dist=[0.1], seeds=1)
    assert alone.recommended is alone.default
    assert alone.verdict.startswith("Stay with the default (15, 0.1): no setting of the grid is nearer")


def test_the_seed_decides_everything_but_the_seconds():
    vectors, labels = blobs()
    settings: dict[str, Any] = {"n_neighbors": (5, 200), "min_dist": (0.1,), "seeds": 2, "sample": 60}
    first, again = (tune(vectors, labels, **settings, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.verdict == again.verdict
    for one, two in zip(first.settings, again.settings, strict=True):
        assert one.neighbors_kept == two.neighbors_kept
        np.testing.assert_array_equal(one.coordinates, two.coordinates)
    assert len(first.positions) == len(set(first.positions.tolist())) == 60
    assert max(each.n_neighbors for each in first.settings) == 60  # no more than there are images
    other = tune(vectors, labels, **settings, seed=4)
    assert first.positions.tolist() != other.positions.tolist()


@pytest.mark.parametrize("labels", [None, [None] * 40, ["one"] * 40, [str(i) for i in range(40)]])
def test_without_labels_that_repeat_the_large_picture_counts(labels):
    vectors, _ = blobs(40)
    found = tune(vectors, labels, **GRID, seeds=1)
    assert found.aim == "rank correlation"
    assert {each.silhouette for each in found.settings} == {None}
    assert any(each.on_front for each in found.settings)


@pytest.mark.parametrize("vectors", [np.ones((12, 3)), np.eye(6), np.repeat(np.eye(3), 4, axis=0)])
def test_vectors_that_say_little_have_a_table_too(vectors):
    found = tune(vectors, **GRID, seeds=2)
    assert all(np.isfinite(each.neighbors_kept) for each in found.settings)
    assert found.recommended in found.settings


def test_progress_counts_every_map():
    told: list[tuple[int, int]] = []
    vectors, labels = blobs(30)
    found = tune(vectors, labels, **GRID, seeds=2, on_progress=lambda done, total: told.append((done, total)))
    maps = sum(each.seeds for each in found.settings)
    assert sorted(done for done, _ in told) == list(range(1, maps + 1))
    assert max(told)[1] == maps


@pytest.mark.parametrize(
    ("vectors", "settings", "message"),
    [
        (np.eye(5), {}, "vectors must have at least 6 rows, got 5"),
        (np.full((9, 2), np.nan), {}, "vectors must be finite"),
        (np.eye(9), {"labels": ["a"]}, r"labels must have shape \(9,\), one an image, got \(1,\)"),
        (np.eye(9), {"n_neighbors": [1]}, "n_neighbors must be a whole number, 2 or more; got 1"),
        (np.eye(9), {"min_dist": [2]}, "min_dist must lie between 0 and 1, got 2"),
        (np.eye(9), {"min_dist": []}, "n_neighbors and min_dist must each hold a value to try, got none"),
        (np.eye(9), {"seeds": 0}, "seeds must be a whole number, 1 or more; got 0"),
        (np.eye(9), {"sample": 5}, "sample must be a whole number, 6 or more; got 5"),
        (np.eye(9), {"seed": -1}, "seed must be a whole number, between 0"),
    ],
)
def test_what_cannot_be_tuned_is_named(vectors, settings, message):
    with pytest.raises(InputError, match=message):
        tune(vectors, **settings)
