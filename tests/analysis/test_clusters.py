import math
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.mixture import GaussianMixture

from dinoscope.analysis.clusters import methods as cluster_methods
from dinoscope.analysis.clusters.clustering import choose_k, cluster, find_medoids, finest_k, kmeans, umap_space
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError


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
    for number in range(3):
        members = np.flatnonzero(found.labels == number)
        np.testing.assert_allclose(found.centers[number], unit[members].mean(axis=0), atol=1e-6)
        gaps = np.linalg.norm(unit[members] - found.centers[number], axis=1)
        assert found.medoids[number] == members[gaps.argmin()]


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


# Thousandths of the silhouette from k = 2, as measured with mini: 713 photographs of clothes, 119 of them, and the
# 10,000 test images of Fashion-MNIST.
PHOTOGRAPHS = [186, 172, 120, 116, 121, 123, 125, 123, 124, 134, 128, 127, 117, 128, 113, 121, 116, 101, 120]
FEW = [179, 108, 110, 115, 101, 126, 114, 122, 97]
FASHION = [255, 283, 285, 277, 291, 314, 306, 323, 322, 311, 324, 327, 313, 311, 294, 297, 279, 288, 286]


@pytest.mark.parametrize(
    ("thousandths", "chosen"),
    [
        (PHOTOGRAPHS, 15),  # a peak 0.058 below the best
        (PHOTOGRAPHS[:13], 11),  # nothing peaks after it
        ([*PHOTOGRAPHS[:13], 125], 11),  # 0.061 below the best
        ([*PHOTOGRAPHS, 127], 21),  # the last number is a peak where it rises
        (FEW, 9),
        (FASHION, 19),
    ],
)
def test_where_no_number_stands_out_the_finest_peak_on_the_plateau_is_taken(thousandths, chosen):
    assert finest_k([(k, each / 1000) for k, each in enumerate(thousandths, start=2)]) == chosen


@pytest.mark.parametrize("groups", [2, 3, 5, 10])
def test_groups_that_are_clearly_apart_stay_whole(groups):
    vectors, truth = blobs((60,) * groups, width=32)
    found = kmeans(vectors)
    assert len(found.medoids) == groups
    assert adjusted_rand_score(truth, found.labels) == 1


def test_a_fine_division_within_groups_is_taken():
    draw = np.random.default_rng(0)
    centers = 3 * draw.standard_normal((3, 1, 32)) + 1.2 * draw.standard_normal((3, 4, 32))
    vectors = centers[:, :, None] + 0.3 * draw.standard_normal((3, 4, 50, 32))
    assert choose_k(vectors.reshape(-1, 32)).k == 12


def test_noise_has_no_groups_and_any_division_is_as_good():
    noise = np.random.default_rng(0).uniform(size=(400, 64)) - 0.5
    choice = choose_k(noise)
    assert choice.k >= 8
    assert max(value for _, value in choice.curve) < 0.05  # which is what the scores say of it


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
    assert cluster([[1.0, 2.0]], 1, method="gmm").labels.tolist() == [0]
    assert cluster(np.eye(2), 2, method="gmm").labels.tolist() == [0, 1]
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


@pytest.mark.parametrize("method", ["kmeans", "ward", "gmm", "hdbscan"])
def test_one_direction_is_one_cluster_whatever_rounding_says(method):
    draw = np.random.default_rng(0)
    vectors = (draw.standard_normal((1, 384)) * draw.uniform(0.5, 2, (100, 1))).astype(np.float32)
    assert len(np.unique(l2_normalize(vectors), axis=0)) > 1
    assert cluster(vectors, method=method).labels.tolist() == [0] * 100


def test_a_sample_of_copies_alone_is_no_end(monkeypatch):
    vectors = np.tile([1.0, 2.0, 3.0], (400, 1))
    vectors[77] = [3.0, 2.0, 1.0]
    monkeypatch.setattr("dinoscope.analysis.clusters.clustering._SAMPLE", 20)
    for method in ("kmeans", "ward", "gmm"):
        assert np.bincount(cluster(vectors, method=method).labels).tolist() == [399, 1]
    assert choose_k(vectors, sample=20).k == 2


def test_threads_do_not_disturb_each_other():
    copies, filters = np.repeat(np.eye(5), 20, axis=0), list(warnings.filters)
    layout = np.random.default_rng(0).standard_normal((150, 3))

    def work(number: int) -> bool:
        if number % 2:
            return len(cluster(layout, 3, method="gmm").medoids) <= 3
        with pytest.raises(InputError, match="number of distinct vectors"):
            kmeans(copies, 8, seed=number)
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(40)))
    assert list(warnings.filters) == filters


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


# --- Ward, HDBSCAN, and the space of a UMAP ---------------------------------------------------------------------------


def same_partition(one, other):
    return adjusted_rand_score(one, other) == 1


def joined_cost(vectors, labels):
    return sum(((vectors[labels == each] - vectors[labels == each].mean(axis=0)) ** 2).sum() for each in set(labels))


@pytest.mark.parametrize("k", [1, 2, 3, 7, 60])
def test_ward_equals_scipy(k):
    unit = l2_normalize(np.random.default_rng(0).standard_normal((60, 5)))
    expected = fcluster(linkage(unit.astype(np.float64), "ward"), k, "maxclust")
    assert same_partition(cluster(unit, k, method="ward").labels, expected)


def test_the_costs_of_ward_are_the_heights_of_scipy():
    points = np.random.default_rng(1).standard_normal((50, 4))
    _, costs = cluster_methods._ward_merges(points, np.ones(50))
    np.testing.assert_allclose(np.sqrt(np.sort(costs)), linkage(points, "ward")[:, 2], atol=1e-6)


def test_ward_from_weighted_groups_adds_least_to_the_squared_distances():
    draw = np.random.default_rng(2)
    rows = [draw.standard_normal((size, 3)) for size in (1, 4, 2, 9)]
    centers, sizes = np.stack([each.mean(axis=0) for each in rows]), np.asarray([len(each) for each in rows], float)
    merges, costs = cluster_methods._ward_merges(centers, sizes)
    first = int(costs.argmin())
    groups = np.repeat(np.arange(4), [len(each) for each in rows])
    joined = np.where(groups == merges[first, 0], merges[first, 1], groups)
    points = np.concatenate(rows)
    assert costs[first] == pytest.approx(2 * (joined_cost(points, joined) - joined_cost(points, groups)), abs=1e-6)


def test_ward_of_many_rows_starts_from_small_groups(monkeypatch):
    vectors, truth = blobs((90, 120, 70))
    monkeypatch.setattr(cluster_methods, "_SEEDS", 40)
    found = cluster(vectors, 3, method="ward")
    assert same_partition(found.labels, truth)
    np.testing.assert_array_equal(found.labels, cluster(vectors, 3, method="ward").labels)


def test_ward_of_many_rows_says_how_many_clusters_it_can_make(monkeypatch):
    monkeypatch.setattr(cluster_methods, "_SEEDS", 40)
    with pytest.raises(InputError, match=r"ward joins 40 small groups, so k must be at most 40, got k=41"):
        cluster(blobs()[0], 41, method="ward")


@pytest.mark.parametrize("method", ["kmeans", "ward", "gmm"])
def test_the_number_is_chosen_in_the_space_that_is_clustered(method):
    vectors, truth = blobs((40, 50, 60))
    layout = np.eye(3)[truth] + np.random.default_rng(0).normal(scale=0.01, size=(150, 3))
    found = cluster(vectors, method=method, space="umap", layout=layout)
    assert same_partition(found.labels, truth)
    best = max(found.curve, key=lambda point: point[1])
    assert best[0] == 3
    assert best[1] == pytest.approx(silhouette_score(layout, found.labels), abs=1e-6)
    unit = l2_normalize(vectors)
    assert found.silhouette == pytest.approx(silhouette_score(unit, found.labels, metric="cosine"), abs=1e-6)
    np.testing.assert_allclose(found.centers[0], unit[found.labels == 0].mean(axis=0), atol=1e-6)


def test_the_umap_is_made_when_it_is_missing():
    vectors, truth = blobs((40, 50, 60))
    found = cluster(vectors, 3, method="ward", space="umap")
    assert same_partition(found.labels, truth)
    np.testing.assert_array_equal(found.labels, cluster(vectors, 3, method="ward", space="umap").labels)
    assert umap_space(vectors, dims=4).shape == (150, 4)
    assert umap_space(vectors[:, :3], dims=50).shape == (150, 3)


def test_a_mixture_equals_scikit_learn_on_averaged_vectors():
    vectors, _ = blobs((40, 50, 60), width=6)
    unit = l2_normalize(vectors + np.random.default_rng(1).normal(scale=0.8, size=vectors.shape))
    near = np.argsort(-(unit @ unit.T) + 9 * np.eye(150), axis=1)[:, :15]
    smooth = l2_normalize(unit + unit[near].mean(axis=1))
    some = PCA(3, svd_solver="full").fit_transform(smooth.astype(np.float64))
    model = GaussianMixture(3, covariance_type="tied", n_init=4, random_state=0, reg_covar=1e-4)
    expected = model.fit_predict(some / some.std())
    found = cluster(unit, 3, method="gmm")
    assert adjusted_rand_score(expected, found.labels) > 0.95  # the axes may point the other way, and so do the starts
    np.testing.assert_array_equal(found.labels, cluster(unit, 3, method="gmm").labels)


def test_a_mixture_of_opposite_vectors():
    vectors = np.asarray([[1.0, 0.0]] + [[-1.0, 0.0]] * 19)  # the first and its neighbour add up to nothing
    assert cluster(vectors, 2, method="gmm").labels.tolist() == [1] + [0] * 19


def test_a_mixture_tells_long_groups_apart_where_k_means_cuts_them():
    draw = np.random.default_rng(0)
    truth = np.repeat([0, 1], 150)
    layout = np.stack([draw.normal(0, 9, 300), draw.normal(0, 0.4, 300) + 4 * truth], axis=1)
    vectors = draw.normal(size=(300, 5))
    assert same_partition(cluster(vectors, 2, method="gmm", space="umap", layout=layout).labels, truth)
    assert not same_partition(cluster(vectors, 2, space="umap", layout=layout).labels, truth)


def test_hdbscan_leaves_out_what_lies_apart():
    draw = np.random.default_rng(0)
    layout = np.concatenate([draw.normal(0, 0.05, (60, 2)), draw.normal(5, 0.05, (90, 2)), [[30, -40], [-50, 60]]])
    vectors, _ = blobs((100, 52))
    found = cluster(vectors, method="hdbscan", layout=layout)
    assert found.labels.tolist() == [1] * 60 + [0] * 90 + [-1] * 2
    assert len(found.medoids) == len(found.centers) == 2
    assert found.labels[found.medoids].tolist() == [0, 1]
    inside, unit = found.labels >= 0, l2_normalize(vectors)
    expected = silhouette_score(unit[inside], found.labels[inside], metric="cosine")
    assert found.silhouette == pytest.approx(expected, abs=1e-6)
    assert found.curve == ()


def test_hdbscan_may_find_nothing():
    vectors = np.random.default_rng(0).standard_normal((9, 4))
    found = cluster(vectors, method="hdbscan", space="embedding")
    assert found.labels.tolist() == [-1] * 9
    assert found.medoids.shape == (0,)
    assert found.centers.shape == (0, 4)
    assert math.isnan(found.silhouette)


@pytest.mark.parametrize("method", ["kmeans", "ward", "gmm", "hdbscan"])
@pytest.mark.parametrize("space", ["embedding", "umap"])
@pytest.mark.parametrize("vectors", [np.ones((20, 3)), np.ones((2, 3)), np.eye(1)])
def test_what_cannot_be_divided_is_one_cluster_in_every_space(method, space, vectors):
    found = cluster(vectors, method=method, space=space)
    assert found.labels.tolist() == [0] * len(vectors)
    assert len(found.medoids) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "wards"}, "method must be one of kmeans, hdbscan, ward, gmm, got 'wards'; did you mean 'ward'"),
        ({"space": "map"}, "space must be one of embedding, umap, got 'map'"),
        ({"method": "hdbscan", "k": 3}, "hdbscan finds the number of clusters itself, got k=3; leave k out"),
        ({"method": "ward", "k": 31}, r"k must be a whole number, between 1 and 30 \(the number of vectors\); got 31"),
        ({"method": "ward", "seed": -1}, "seed must be a whole number"),
        ({"space": "umap", "layout": np.zeros((4, 2))}, "layout must have one row per vector, expected 30, got 4"),
    ],
)
def test_bad_recipes_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        cluster(blobs((10, 20))[0], **arguments)


@pytest.mark.parametrize("method", ["kmeans", "ward", "gmm"])
def test_more_clusters_than_distinct_vectors_are_refused(method):
    with pytest.raises(InputError, match="number of distinct vectors, got k=4 for fewer"):
        cluster(np.repeat(np.eye(3), 9, axis=0), 4, method=method)


@pytest.mark.parametrize("method", ["kmeans", "ward", "gmm", "hdbscan"])
def test_vectors_that_are_not_finite_are_refused(method):
    with pytest.raises(InputError, match="vectors must be finite, got NaN"):
        cluster(np.full((20, 3), np.nan), method=method, space="embedding")
