"""How far columns go along with neighbours, map and clusters."""

import numpy as np
import pytest

from dinoscope.analysis.explain.columns import _share_of_codes, explain_columns
from dinoscope.analysis.explain.explanation import variance_share
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError

N = 200


@pytest.fixture(scope="module")
def ring():
    """Vectors on a circle, which lie on the map as they are; the angle is what they differ in."""
    angle = np.linspace(0, 1.9 * np.pi, N)
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    return angle, vectors, neighbors(vectors, 15)


def explained(ring, columns, **more):
    _, vectors, graph = ring
    return {each.name: each for each in explain_columns(columns, graph, vectors, **more)}


def test_what_follows_the_map_is_told_from_what_does_not(ring):
    angle, *_ = ring
    noise = np.random.default_rng(0).random(N)
    found = explained(ring, {"noise": noise, "angle": angle})
    assert list(found) == ["angle", "noise"]
    assert found["angle"].map > 0.95
    assert found["angle"].embedding > 0.95
    assert found["angle"].chance < 0.2
    assert abs(found["noise"].map) < 2 * found["noise"].chance


def test_categories_and_clusters(ring):
    angle, *_ = ring
    quarter = (angle / (angle.max() + 1e-9) * 4).astype(int)
    names = np.asarray([f"group {each}" for each in quarter], object)
    shuffled = np.random.default_rng(0).permutation(names)
    found = explained(ring, {"own": names, "shuffled": shuffled, "half": angle}, clusters=quarter)
    assert found["own"].clusters == pytest.approx(1)
    assert found["own"].map > 0.85
    assert abs(found["shuffled"].map) < 0.1
    assert abs(found["shuffled"].clusters or 0) < 0.05
    assert found["half"].clusters == pytest.approx(1 - 1 / 16, abs=0.01)  # a quarter has 1/16 of the variance


def test_missing_values_are_left_out(ring):
    angle, *_ = ring
    some = angle.copy()
    some[::2] = np.nan
    few, texts = np.full(N, np.nan), np.full(N, None, object)
    few[:19] = np.arange(19)
    texts[:100] = ["a", "b"] * 50
    found = explained(ring, {"some": some, "few": few, "texts": texts, "same": np.ones(N)})
    assert set(found) == {"some", "texts"}
    assert (found["some"].images, found["texts"].images) == (100, 100)
    assert found["some"].map > 0.9
    assert found["some"].clusters is None


def test_another_length_is_refused(ring):
    with pytest.raises(InputError, match=r"column 'x' must have shape \(200,\)"):
        explained(ring, {"x": np.ones(3)})


@pytest.mark.parametrize("count", [2, 3, 40])
def test_the_share_of_codes_is_that_of_columns_of_0_and_1(count):
    random = np.random.default_rng(count)
    groups = np.arange(count) % 4
    for codes in (random.integers(0, 5, count), groups % 2, np.zeros(count, int)):
        groups_there = np.unique(groups, return_inverse=True)[1]
        expected = variance_share(np.eye(5)[codes], [groups_there])
        assert _share_of_codes(codes, groups_there) == (None if expected is None else pytest.approx(expected))
