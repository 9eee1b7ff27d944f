"""What two models share: against the definition written out, and maps turned onto each other."""

import numpy as np
import pytest

from dinoscope.analysis.maps.alignment import best_turn
from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.overlap import neighbor_overlap
from dinoscope.errors import InputError


def vectors(count, dims, seed):
    made = np.random.default_rng(seed).normal(size=(count, dims)) + 0.3
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def written_out(one, two, k):
    """The share kept and the excess of each image, by loops."""
    count = len(one)

    def nearest(unit, at):
        similarity = unit.astype(np.float64) @ unit[at].astype(np.float64)
        similarity[at] = -np.inf
        return np.argsort(-similarity, kind="stable")[:k].tolist()

    def distance(unit, at, to):
        return float(np.mean([1 - float(unit[at].astype(np.float64) @ unit[each]) for each in to]))

    kept, excess = [], []
    for at in range(count):
        a, b = nearest(one, at), nearest(two, at)
        kept.append(len(set(a) & set(b)) / k)
        parts = []
        for unit, own, other in ((one, a, b), (two, b, a)):
            usual = distance(unit, at, [each for each in range(count) if each != at])
            near = distance(unit, at, own)
            parts.append((distance(unit, at, other) - near) / (usual - near))
        excess.append(np.mean(parts))
    return np.array(kept), np.array(excess)


@pytest.mark.parametrize("k", [1, 4])
def test_it_is_what_the_definition_says(k):
    one, two = vectors(30, 6, 0), vectors(30, 9, 1)
    found = neighbor_overlap(one, two, k=k)
    kept, excess = written_out(one, two, k)
    np.testing.assert_allclose(found.kept, kept, atol=1e-6)
    np.testing.assert_allclose(found.excess, excess, atol=1e-4)
    assert found.shared == pytest.approx(k * kept.mean())
    expected = sorted(range(30), key=lambda at: (found.kept[at], -found.excess[at], at))
    assert found.order.tolist() == expected


def test_the_same_vectors_share_all_and_nothing_is_farther():
    one = vectors(40, 8, 0)
    found = neighbor_overlap(one, 3 * one)
    assert found.k == 10
    assert found.shared == 10
    assert np.abs(found.excess).max() < 1e-6


def test_the_excess_of_an_outlier_beside_a_cone_is_in_its_own_distances():
    one, two = vectors(60, 8, 0), vectors(60, 8, 1)
    one[1:] = one[1] + 1e-3 * one[1:]  # all but the first lie close together, by one model
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    found = neighbor_overlap(one, two, k=5)
    _, excess = written_out(one, two, 5)
    assert found.excess[0] == pytest.approx(excess[0], abs=0.01)
    assert found.excess.min() >= 0
    assert found.excess.max() <= 59 / 5  # what the farthest of the others would be, if all else were near


def test_rows_that_are_identical_have_no_excess():
    one, two = np.repeat(vectors(1, 8, 0), 30, axis=0), vectors(30, 8, 1)
    assert neighbor_overlap(one, one, k=5).excess.tolist() == [0] * 30
    same = neighbor_overlap(one, two, k=5).excess  # any five are nearest by one, so only the other tells
    assert 0 < same.mean() < 1
    assert same.max() <= 29 / 5 / 2


def test_chance_is_what_vectors_without_a_relation_share():
    shared = [neighbor_overlap(vectors(60, 5, seed), vectors(60, 5, 100 + seed)) for seed in range(20)]
    assert shared[0].shared_by_chance == pytest.approx(100 / 59)
    assert np.mean([each.shared for each in shared]) == pytest.approx(100 / 59, abs=0.15)


def test_an_image_that_was_moved_comes_first():
    one = vectors(50, 4, 0)
    two = one.copy()
    two[7] = -one[7]
    assert neighbor_overlap(one, two, k=5).order[0] == 7


def test_known_neighbours_need_not_be_searched_again():
    one, two = vectors(30, 6, 0), vectors(30, 9, 1)
    given = neighbor_overlap(one, two, k=4, graphs=(neighbors(one, 9), neighbors(two, 6)))
    np.testing.assert_array_equal(given.kept, neighbor_overlap(one, two, k=4).kept)


def test_fewer_others_than_asked_for():
    assert neighbor_overlap(vectors(3, 4, 0), vectors(3, 4, 1)).k == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: neighbor_overlap(vectors(5, 3, 0), vectors(6, 3, 0)), "got 5 and 6 vectors"),
        (lambda: neighbor_overlap(vectors(1, 3, 0), vectors(1, 3, 0)), "at least 2 rows"),
        (lambda: neighbor_overlap(vectors(5, 3, 0), vectors(5, 3, 0), k=0), "k must be"),
        (lambda: best_turn(np.ones((3, 2)), np.ones((4, 2))), "one shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_turned_map_is_turned_back(mirrored):
    fixed = np.random.default_rng(0).normal(size=(40, 2))
    turn = np.array([[np.cos(2.0), -np.sin(2.0)], [np.sin(2.0), np.cos(2.0)]])
    if mirrored:
        turn = turn @ np.diag([1, -1])
    moved = 3 * fixed @ turn + [5, -2]
    back = best_turn(fixed, moved)
    np.testing.assert_allclose(back @ back.T, np.eye(2), atol=1e-12)
    assert np.linalg.det(back) == pytest.approx(-1 if mirrored else 1)
    turned = moved @ back
    np.testing.assert_allclose((turned - turned.mean(0)) / 3, fixed - fixed.mean(0), atol=1e-9)
