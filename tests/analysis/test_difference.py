"""How two sets of vectors differ, against definitions written out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import hypergeom

from dinoscope.analysis.difference import NeighborGraphs, find_difference, join_graphs, separation, share_changes
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.errors import InputError


def blobs(*counts: int, seed: int = 0, dims: int = 16, spread: float = 0.25) -> Any:
    """Vectors around one random direction for each count; the directions do not depend on the counts."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((8, dims))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    return np.concatenate(
        [
            centre + spread * draw.standard_normal((count, dims)) / np.sqrt(dims)
            for centre, count in zip(centres, counts, strict=False)
        ]
    ).astype(np.float32)


def listed(p_values: Any, level: float) -> Any:
    """The list of Benjamini and Hochberg: the largest i with p(i) <= i * level / m, and all below it."""
    order = np.argsort(p_values)
    fits = np.flatnonzero(np.asarray(p_values)[order] <= (1 + np.arange(len(order))) * level / len(order))
    return set() if not len(fits) else set(order[: fits[-1] + 1].tolist())


# --- one kind? -------------------------------------------------------------------------------------------------------


def test_separation_is_the_excess_of_own_neighbours():
    graph = neighbors(blobs(30, 20), 7)
    sides = np.random.default_rng(3).random(50) < 0.4
    n, m = int((~sides).sum()), int(sides.sum())
    shares: dict[bool, list[float]] = {False: [], True: []}
    for at in range(50):
        shares[bool(sides[at])].append(np.mean([sides[near] == sides[at] for near in graph.indices[at][:5]]))
    first, second = (np.mean(shares[False]), np.mean(shares[True]))
    chance = [(n - 1) / 49, (m - 1) / 49]
    expected = ((first - chance[0]) / (1 - chance[0]) + (second - chance[1]) / (1 - chance[1])) / 2
    value, _ = separation(graph, sides, k=5)
    assert value == pytest.approx(expected)


def test_one_collection_dealt_out_is_not_separate_and_two_kinds_are():
    cloud = blobs(100, 100, 100)
    graph = neighbors(cloud)
    chances = []
    for seed in range(60):
        sides = np.random.default_rng(seed).permutation(np.arange(300) < 90)
        value, chance = separation(graph, sides, seed=seed)
        assert abs(value) < 0.1
        chances.append(chance)
    assert np.mean(np.asarray(chances) <= 0.05) <= 0.15  # 0.05 is promised
    assert 0.3 < np.mean(chances) < 0.7
    apart, chance = separation(graph, np.arange(300) >= 200)  # one blob against the two others
    assert apart == pytest.approx(1)
    assert chance == 0.005


def test_the_same_pictures_on_both_sides_are_less_than_mixed():
    cloud = blobs(60, 60)
    value, chance = separation(neighbors(np.concatenate([cloud, cloud])), np.arange(240) >= 120)
    assert value < -0.02
    assert chance > 0.9


@pytest.mark.parametrize("sides", [[True] * 20, [False] * 20, [True, False]])
def test_sides_that_cannot_work(sides):
    with pytest.raises(InputError, match="sides must say of each of 20 images"):
        separation(neighbors(blobs(20), 3), sides)


# --- graphs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", [(90, 70), (90, 5), (4, 3), (31, 30)])
def test_four_lists_make_the_graph_of_all(counts):
    first, second = blobs(counts[0]), blobs(counts[1], seed=1)
    both = np.concatenate([first, second])
    across = query_neighbors(first, second), query_neighbors(second, first)
    joined = join_graphs(NeighborGraphs(neighbors(first), neighbors(second), *across))
    expected = neighbors(both)
    np.testing.assert_allclose(joined.similarities, expected.similarities, atol=1e-6)
    assert (joined.indices == expected.indices).mean() > 0.999  # rounding may turn two around
    assert joined.indices.dtype == np.int32
    assert joined.recall == 1


# --- new and gone ----------------------------------------------------------------------------------------------------


def test_the_list_is_that_of_benjamini_and_hochberg_over_conformal_p_values():
    before, after = blobs(150, 100), blobs(80, 60, 40, seed=1)
    found = find_difference(before, after, false_share=0.2)

    def log_distance(similarities: Any) -> float:
        return float(np.log(max(1 - similarities.mean(dtype=np.float64), 0) + 1e-6))

    own, asked = neighbors(before, 20), query_neighbors(before, after, 20)
    crowding = np.array([log_distance(row) for row in own.similarities])
    known = np.array([crowding[at] - 0.25 * crowding[own.indices[at]].mean() for at in range(250)])
    strange = np.array(
        [log_distance(asked.similarities[at]) - 0.25 * crowding[asked.indices[at]].mean() for at in range(180)]
    )
    p_values = [(1 + sum(known >= each)) / 251 for each in strange]
    np.testing.assert_allclose(found.familiarity[250:], p_values)
    assert {at - 250 for at in found.new.tolist()} == listed(p_values, 0.2)
    order = found.familiarity[found.new]
    assert (np.diff(order) >= 0).all()


def test_a_new_kind_is_found_and_nothing_else():
    before, after = blobs(500, 500), blobs(300, 300, 60, seed=1)
    found = find_difference(before, after)
    new = set(found.new.tolist())
    planted = set(range(1000 + 600, 1000 + 660))
    assert len(new & planted) >= 58
    assert len(new - planted) <= 0.2 * len(new)
    assert found.new_share == pytest.approx(60 / 660, abs=0.03)
    assert len(found.gone) <= 3
    assert found.gone_share < 0.03
    assert found.counts == (1000, 660)


def test_sides_exchanged_exchange_new_and_gone():
    first, second = blobs(200, 50, 30), blobs(180, 0, 40, 20, seed=1)
    one, other = find_difference(first, second), find_difference(second, first)
    np.testing.assert_array_equal(one.new - 280, other.gone)
    np.testing.assert_array_equal(one.gone, other.new - 240)
    assert one.separation == pytest.approx(other.separation)
    assert (one.new_share, one.gone_share) == (other.gone_share, other.new_share)


def test_of_one_kind_little_is_listed():
    lists = [find_difference(blobs(300, seed=2 * seed), blobs(300, seed=2 * seed + 1)) for seed in range(10)]
    assert sum(len(each.new) + len(each.gone) for each in lists) <= 10
    assert np.mean([each.new_share for each in lists]) < 0.03


# --- groups ----------------------------------------------------------------------------------------------------------


def test_shares_change_by_fishers_test():
    groups = np.repeat(["a", "b", "c"], [100, 60, 40])
    sides = np.concatenate([np.arange(100) < 30, np.arange(60) < 50, np.arange(40) < 21])
    names, changes = share_changes(groups, sides)
    assert names == ["a", "b", "c"]
    for name, change in zip(names, changes, strict=True):
        own = groups == name
        before, after = int((own & ~sides).sum()), int((own & sides).sum())
        assert (change.before, change.after) == (before, after)
        assert (change.share_before, change.share_after) == (before / 99, after / 101)
        chances = hypergeom(200, int(own.sum()), 99).pmf(np.arange(own.sum() + 1))
        assert change.p_value == pytest.approx(chances[chances <= chances[before] * (1 + 1e-9)].sum())
    assert [change.changed for change in changes] == [True, True, False]
    assert {at for at, each in enumerate(changes) if each.changed} == listed([each.p_value for each in changes], 0.05)


def test_a_cluster_that_grew_is_named_and_the_others_are_not():
    before, after = blobs(400, 400, 100), blobs(300, 300, 300, seed=1)
    found = find_difference(before, after, k=3)
    third = found.clusters[before.shape[0] - 1]
    assert found.changes[third].changed
    assert (found.changes[third].before, found.changes[third].after) == (100, 300)
    assert found.changes[third].share_after == pytest.approx(300 / 900)
    assert found.clusters[found.medoids].tolist() == [0, 1, 2]
    assert len(found.clusters) == 1800


def test_the_number_of_clusters_follows_the_images():
    assert len(find_difference(blobs(5), blobs(5, seed=1)).changes) == 1
    assert len(find_difference(blobs(150), blobs(150, seed=1)).changes) == 6
    same = np.tile(blobs(1), (40, 1))
    found = find_difference(same, same, k=4)  # of one vector there is one cluster
    assert len(found.changes) == 1
    assert len(found.new) == len(found.gone) == 0


# --- what cannot work ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "settings", "message"),
    [
        (blobs(2), blobs(9), {}, "at least 3 images on either side, got 2 and 9"),
        (blobs(9), blobs(9, dims=4), {}, r"queries must have the width of vectors, expected \(M, 16\), got \(9, 4\)"),
        (blobs(9), blobs(9), {"false_share": 0}, "false_share must be above 0 and below 1, got 0; 0.1 is usual"),
        (blobs(9), blobs(9), {"k": 0}, "k must be"),
        (blobs(9), blobs(9), {"k": 19}, "k must be"),
        (blobs(9), np.full((9, 16), np.nan), {}, "NaN"),
    ],
)
def test_bad_input_is_named(before, after, settings, message):
    with pytest.raises(InputError, match=message):
        find_difference(before, after, **settings)
