import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from dinoscope.clusters import choose_k, find_medoids, kmeans
from dinoscope.errors import InputError
from dinoscope.knn import l2_normalize


def blobs(sizes: tuple[int, ...] = (60, 100, 80), width: int = 10, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    noise = 0.3 * draw.standard_normal((len(labels), width))
    return 2 * draw.standard_normal((len(sizes), width))[labels] + noise, labels


def test_clusters_are_found_and_numbered_by_size():
    vectors, truth = blobs()
    found = kmeans(vectors, 3)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert np.bincount(found.labels).tolist() == [100, 80, 60]
    assert found.labels.dtype == np.int32
    assert found.curve == ()
    unit = l2_normalize(vectors)
    assert found.silhouette == pytest.approx(silhouette_score(unit, found.labels, metric="cosine"), abs=1e-6)
    for cluster in range(3):
        members = np.flatnonzero(found.labels == cluster)
        np.testing.assert_allclose(found.centers[cluster], unit[members].mean(axis=0), atol=1e-6)
        gaps = np.linalg.norm(unit[members] - found.centers[cluster], axis=1)
        assert found.medoids[cluster] == members[gaps.argmin()]


def test_clusters_are_of_direction_not_length():
    vectors, _ = blobs()
    lengths = np.random.default_rng(1).uniform(0.1, 10, (len(vectors), 1))
    np.testing.assert_array_equal(kmeans(vectors * lengths, 3).labels, kmeans(vectors, 3).labels)


def test_equal_sizes_are_numbered_by_the_lowest_row():
    vectors = np.repeat([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]], 4, axis=0)
    assert kmeans(vectors, 3).labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_the_number_is_chosen_by_silhouette_and_the_curve_kept():
    vectors, truth = blobs((50, 50, 50, 50))
    found = kmeans(vectors)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert [k for k, _ in found.curve] == list(range(2, 15))  # to the square root of 200
    assert max(found.curve, key=lambda point: point[1])[0] == 4
    assert dict(found.curve)[4] == pytest.approx(found.silhouette, abs=1e-6)
    assert choose_k(vectors).curve == found.curve
    choice = choose_k(vectors, [6, 3, 3])
    assert (choice.k, [k for k, _ in choice.curve]) == (3, [3, 6])


def test_a_large_collection_is_sampled_to_choose():
    vectors, _ = blobs((150, 150, 150))
    choice = choose_k(vectors, sample=100)
    assert choice.k == 3
    assert [k for k, _ in choice.curve] == list(range(2, 11))  # to the square root of 100
    assert choose_k(vectors, sample=100) == choice
    assert choose_k(vectors, sample=100, seed=1).curve != choice.curve


def test_the_same_seed_gives_the_same_clusters():
    vectors = np.random.default_rng(0).standard_normal((400, 6))
    first, again = kmeans(vectors, 7, seed=5), kmeans(vectors, 7, seed=5)
    np.testing.assert_array_equal(first.labels, again.labels)
    np.testing.assert_array_equal(first.centers, again.centers)
    assert not np.array_equal(first.labels, kmeans(vectors, 7, seed=6).labels)


def test_tiny_collections():
    alone = kmeans([[1.0, 2.0]], 1)
    assert (alone.labels.tolist(), alone.medoids.tolist()) == ([0], [0])
    assert math.isnan(alone.silhouette)
    pair = kmeans(np.eye(2), 2)
    assert pair.labels.tolist() == [0, 1]
    assert math.isnan(pair.silhouette)
    three = kmeans([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    assert three.labels.tolist() == [1, 0, 0]
    assert [k for k, _ in three.curve] == [2]


def test_duplicates_bound_the_numbers_tried():
    vectors = np.repeat(np.eye(3), 9, axis=0)
    found = kmeans(vectors)
    assert np.bincount(found.labels).tolist() == [9, 9, 9]
    assert [k for k, _ in found.curve] == [2, 3]
    with pytest.raises(InputError, match="k must be at most the number of distinct vectors, got k=4 for fewer"):
        kmeans(vectors, 4)
    with pytest.raises(InputError, match="number of distinct vectors, got k=2"):
        kmeans(np.ones((20, 3)), 2)


@pytest.mark.parametrize("vectors", [np.ones((20, 3)), np.eye(2), np.eye(1)])
def test_what_cannot_be_divided_is_one_cluster(vectors):
    found = kmeans(vectors)
    assert found.labels.tolist() == [0] * len(vectors)
    assert np.isnan(found.silhouette)
    assert found.curve == ()


@pytest.mark.parametrize(
    ("k", "seed", "message"),
    [
        (0, 0, r"k must be a whole number, between 1 and 240 \(the number of vectors\); got 0"),
        (241, 0, r"k must be a whole number, between 1 and 240 .*; got 241"),
        (3, -1, "seed must be a whole number, between 0 and 4294967295; got -1"),
    ],
)
def test_bad_arguments_are_named(k, seed, message):
    with pytest.raises(InputError, match=message):
        kmeans(blobs()[0], k, seed=seed)


def test_bad_choices_are_named():
    with pytest.raises(InputError, match="vectors must have at least 3 rows, got 2"):
        choose_k(np.eye(2))
    with pytest.raises(InputError, match="candidates must be a whole number, between 2 and 239; got 240"):
        choose_k(blobs()[0], [2, 240])
    with pytest.raises(InputError, match="candidates must hold at least one number"):
        choose_k(blobs()[0], [])


def test_medoids_of_any_labels():
    vectors = [[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 3.0], [0.0, 1.0]]
    assert find_medoids(vectors, ["b", "b", "b", "a", "a"]).tolist() == [3, 1]  # "a" first; the lower of two equals
