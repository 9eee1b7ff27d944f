import gzip
import itertools
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from scipy.spatial.distance import cdist
from scipy.stats import skew
from sklearn.manifold import trustworthiness as sklearn_trustworthiness

from dinoscope.analysis import metrics
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.base.package import PACKAGE
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

silhouette_module = import_module("dinoscope.analysis.metrics.silhouette")
maps_module = import_module("dinoscope.analysis.metrics.maps")
DATA = PACKAGE / "data"


def fashion(count: int) -> tuple[Any, Any]:
    """Return the first ``count`` Fashion-MNIST test images as pixel vectors, and their labels."""
    images, labels = DATA / "t10k-images-idx3-ubyte.gz", DATA / "t10k-labels-idx1-ubyte.gz"
    if not images.exists():
        pytest.skip("Fashion-MNIST is not in the package")
    with gzip.open(images) as pixels, gzip.open(labels) as names:
        vectors = np.frombuffer(pixels.read(16 + count * 784), np.uint8, offset=16).reshape(-1, 784)
        return vectors, np.frombuffer(names.read(8 + count), np.uint8, offset=8)


def blobs(count: int = 500, width: int = 8, groups: int = 6, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, groups, count)
    return 2 * draw.standard_normal((groups, width))[labels] + draw.standard_normal((count, width)), labels


def silhouette_by_definition(distances: Any, labels: Any) -> Any:
    """Rousseeuw 1987, word for word."""
    scores = []
    for row, own in enumerate(labels):
        mine = (labels == own) & (np.arange(len(labels)) != row)
        if not mine.any():
            scores.append(0.0)
            continue
        a = distances[row, mine].mean()
        b = min(distances[row, labels == other].mean() for other in set(labels) - {own})
        scores.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    return np.asarray(scores)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 40])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_euclidean_silhouette_equals_scikit_learn(width, kind):
    vectors, labels = blobs(width=width)
    vectors = vectors.astype(kind)
    expected = sklearn.metrics.silhouette_samples(vectors.astype(np.float64), labels)
    np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels, "euclidean"), expected, atol=1e-6)


@pytest.mark.parametrize("width", [2, 3, 40])
def test_cosine_silhouette_equals_scikit_learn(width):
    vectors, labels = blobs(width=width)
    expected = sklearn.metrics.silhouette_samples(vectors, labels, metric="cosine")
    np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels), expected, atol=1e-6)
    assert metrics.silhouette(vectors, labels) == pytest.approx(expected.mean(), abs=1e-6)


def test_real_images_against_scikit_learn():
    vectors, labels = fashion(600)
    expected = sklearn.metrics.silhouette_samples(vectors.astype(np.float64), labels, metric="cosine")
    np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels), expected, atol=1e-6)
    expected = sklearn.metrics.silhouette_samples(vectors.astype(np.float64), labels)
    np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels, "euclidean"), expected, atol=1e-6)


@pytest.mark.parametrize("width", [2, 5])
def test_small_groups_far_from_the_origin_and_from_each_other_stay_exact(width):
    draw = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [60, 60, 2])
    vectors = 1e-4 * draw.standard_normal((122, width)) + np.array([0, 1e-3, 1e3])[labels, None] + 50
    expected = silhouette_by_definition(cdist(vectors, vectors), labels)
    np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels, "euclidean"), expected, atol=1e-6)


def test_silhouette_over_several_blocks_and_tiles(monkeypatch):
    vectors, labels = blobs(width=2)
    expected = {metric: metrics.silhouette_samples(vectors, labels, metric) for metric in ("cosine", "euclidean")}
    monkeypatch.setattr(silhouette_module, "_TILE", (7, 30))
    monkeypatch.setattr(silhouette_module, "_BLOCK_BYTES", 32 * 6 * 40)
    for metric, scores in expected.items():
        np.testing.assert_allclose(metrics.silhouette_samples(vectors, labels, metric), scores, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_silhouette_by_hand(metric):
    # Two pairs of duplicates and one alone: a = 0 and b > 0 score 1, a singleton scores 0.
    vectors = [[1, 0], [1, 0], [0, 1], [0, 1], [-1, 0]]
    scores = metrics.silhouette_samples(vectors, ["a", "a", "b", "b", "c"], metric)
    np.testing.assert_allclose(scores, [1, 1, 1, 1, 0], atol=1e-6)
    # All alike: a = b = 0 scores 0.
    assert metrics.silhouette(np.ones((4, 2)), [0, 0, 1, 1], metric) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("width", [2, 5])
def test_silhouette_does_not_care_about_the_unit(width):
    vectors, labels = blobs(width=width)
    expected = metrics.silhouette_samples(vectors, labels, "euclidean")
    for unit in (1e-25, 1e25):
        np.testing.assert_allclose(metrics.silhouette_samples(vectors * unit, labels, "euclidean"), expected, atol=1e-6)


def test_silhouette_does_not_care_how_labels_are_written():
    vectors, labels = blobs()
    expected = metrics.silhouette(vectors, labels)
    names = np.array(["shirt", "bag", "coat", "boot", "dress", "sandal"])[labels]
    assert metrics.silhouette(vectors, names) == pytest.approx(expected)
    assert metrics.silhouette(vectors, names.astype(object)) == pytest.approx(expected)
    assert metrics.silhouette(vectors, labels - 1) == pytest.approx(expected)  # -1 is a label like any other


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 0, 0, 0], "labels must hold 2 to 3 distinct values for a silhouette of 4 items, got 1"),
        ([0, 1, 2, 3], "labels must hold 2 to 3 distinct values for a silhouette of 4 items, got 4"),
        ([0, 1, 1], "labels must have one entry per item, expected 4, got 3"),
        ([[0], [1], [1], [0]], r"labels must have shape \(N,\), got \(4, 1\)"),
        ([0.5, 1, 1, 0], "labels must be integers or strings, got dtype float64"),
        (["a", None, "b", "a"], "labels must be integers or strings, got dtype object; filter out missing labels"),
        (["a", float("nan"), "b", "a"], "labels must be integers or strings, got dtype object; filter out missing"),
        (["a", 1, "b", "a"], "labels must be integers or strings, got dtype object"),
        ([["a"], ["b", "c"]], r"labels must have shape \(N,\), got lists of different lengths"),
    ],
)
def test_bad_labels_are_named(labels, message):
    with pytest.raises(InputError, match=message):
        metrics.silhouette(np.eye(4), labels)


def test_bad_silhouette_arguments_are_named():
    with pytest.raises(InputError, match="metric must be one of cosine, euclidean, got 'cosin'; did you mean 'cosine'"):
        metrics.silhouette(np.eye(4), [0, 0, 1, 1], "cosin")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="got 1 zero rows of 3"):
        metrics.silhouette([[1, 0], [0, 0], [0, 1]], [0, 0, 1])
    assert metrics.silhouette([[1, 0], [0, 0], [0, 1]], [0, 0, 1], "euclidean") < 0.5  # zero is a place on a map


def test_accuracy_by_hand():
    truth, guess = ["cat", "cat", "cat", "dog", "dog"], [7, 7, 3, 3, 9]
    assert metrics.clustering_accuracy(truth, guess) == pytest.approx(3 / 5)  # cat = 7, dog = 3 or 9
    assert metrics.clustering_accuracy([0, 0, 1, 1], ["b", "b", "a", "a"]) == 1
    # The best match as a whole is not the greedy one: 0-b and 1-a hold 4 of 7, 0-a with 1-b holds 3.
    assert metrics.clustering_accuracy([0] * 5 + [1] * 2, list("aaabb") + list("aa")) == pytest.approx(4 / 7)


def test_accuracy_is_that_of_the_best_of_all_matches():
    draw = np.random.default_rng(0)
    truth, guess = draw.integers(0, 4, 50), draw.integers(0, 5, 50)
    best = max(np.mean(np.asarray(match)[truth] == guess) for match in itertools.permutations(range(5), 4))
    assert metrics.clustering_accuracy(np.array(list("abcd"))[truth], guess) == best


def test_label_agreement_equals_scikit_learn():
    draw = np.random.default_rng(0)
    truth, guess = draw.integers(0, 4, 200), draw.integers(0, 6, 200)
    guess[:120] = truth[:120]
    names = np.array(list("abcd"))[truth]
    for ours, theirs in [
        (metrics.normalized_mutual_information, sklearn.metrics.normalized_mutual_info_score),
        (metrics.adjusted_mutual_information, sklearn.metrics.adjusted_mutual_info_score),
        (metrics.adjusted_rand_index, sklearn.metrics.adjusted_rand_score),
    ]:
        assert ours(names, guess) == pytest.approx(theirs(truth, guess))
        assert ours(names, truth) == pytest.approx(1)
        with pytest.raises(InputError, match="labels_pred must have one entry per item, expected 200, got 199"):
            ours(truth, guess[1:])
    with pytest.raises(InputError, match="labels_true must not be empty"):
        metrics.clustering_accuracy(np.empty(0, int), np.empty(0, int))


@pytest.mark.parametrize("k", [1, 5, 15])
def test_trustworthiness_and_continuity_equal_scikit_learn(k):
    vectors, _ = blobs(300)
    coordinates = vectors[:, :2] + 0.5 * np.random.default_rng(1).standard_normal((300, 2))
    expected = sklearn_trustworthiness(vectors, coordinates, n_neighbors=k, metric="cosine")
    assert metrics.trustworthiness(vectors, coordinates, k) == pytest.approx(expected, abs=1e-6)
    unit = l2_normalize(vectors).astype(np.float64)  # on the sphere both distances order alike
    expected = sklearn_trustworthiness(coordinates, unit, n_neighbors=k)
    assert metrics.continuity(neighbors(vectors, 20), coordinates, k) == pytest.approx(expected, abs=1e-6)


def test_trustworthiness_by_hand():
    # Directions at 0, 10, 25, 45 and 70 degrees; the map puts the last beside the first.
    angles = np.radians([0, 10, 25, 45, 70])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    coordinates = np.array([[0.0], [1.0], [2.5], [4.5], [-0.5]])
    # k = 1: map neighbours 4, 0, 1, 2, 0 have ranks 4, 1, 1, 1, 4: excess 3 + 3; N k (2N - 3k - 1) = 30.
    assert metrics.trustworthiness(vectors, coordinates, 1) == pytest.approx(1 - 2 * 6 / 30)
    assert metrics.neighborhood_preservation(neighbors(vectors, 1), coordinates, 1) == pytest.approx(3 / 5)
    # True neighbours 1, 0, 1, 2, 3 have ranks on the map 2, 1, 1, 1, 4: excess 1 + 3.
    assert metrics.continuity(neighbors(vectors, 1), coordinates, 1) == pytest.approx(1 - 2 * 4 / 30)


def test_copies_are_ties_wherever_they_stand():
    """A product of matrices may round equal rows differently: they still get one rank, the better one."""
    draw = np.random.default_rng(0)
    copies = draw.permutation(np.repeat(np.arange(10), 50))
    vectors, points = draw.normal(size=(10, 384))[copies], draw.normal(size=(500, 2))
    unit = l2_normalize(vectors).astype(np.float64)
    distances = np.round(1 - unit @ unit.T, 9)
    np.fill_diagonal(distances, np.inf)
    nearby = metrics.map_neighbors(points, 15)
    ranks = 1 + (distances[:, None, :] < np.take_along_axis(distances, nearby, 1)[:, :, None]).sum(axis=2)
    expected = 1 - 2 * np.maximum(ranks - 15, 0).sum(axis=1) / (15 * (2 * 500 - 3 * 15 - 1))
    np.testing.assert_allclose(metrics.trustworthiness_samples(vectors, points, 15), expected, atol=1e-9)


def test_a_perfect_map_scores_one_and_a_random_one_half():
    angles = np.random.default_rng(0).uniform(0, np.pi, 400)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    graph = neighbors(vectors, 15)
    assert metrics.trustworthiness(vectors, vectors) == 1
    assert metrics.continuity(graph, vectors) == 1
    assert metrics.neighborhood_preservation(graph, vectors) == 1
    noise = np.random.default_rng(1).standard_normal((400, 2))
    assert metrics.trustworthiness(vectors, noise) == pytest.approx(0.5, abs=0.05)
    assert metrics.continuity(graph, noise) == pytest.approx(0.5, abs=0.05)
    assert metrics.neighborhood_preservation(graph, noise) == pytest.approx(15 / 399, abs=0.02)


def test_points_hidden_behind_duplicates_on_the_map_keep_k_neighbours():
    vectors, _ = blobs(60)
    found = metrics.map_neighbors(np.zeros((60, 2)), 5)
    assert found.shape == (60, 5)
    assert not (found == np.arange(60)[:, None]).any()
    assert 0 <= metrics.trustworthiness(vectors, np.zeros((60, 2)), 5) <= 1


def test_a_sample_of_rows_estimates_the_whole(monkeypatch):
    vectors, _ = blobs(1000)
    coordinates, graph = vectors[:, :2], neighbors(vectors, 15)
    whole = metrics.trustworthiness(vectors, coordinates, sample=None)
    assert metrics.trustworthiness(vectors, coordinates, sample=1000) == whole
    part = metrics.trustworthiness(vectors, coordinates, sample=500, seed=1)
    assert part != whole
    assert part == pytest.approx(whole, abs=0.02)
    assert metrics.trustworthiness(vectors, coordinates, sample=500, seed=1) == part
    assert metrics.trustworthiness(vectors, coordinates, sample=500, seed=2) != part
    monkeypatch.setattr(maps_module, "_BLOCK_BYTES", 8 * 1000 * 17)
    assert metrics.trustworthiness(vectors, coordinates, sample=None) == whole
    assert metrics.continuity(graph, coordinates, sample=None) == pytest.approx(
        metrics.continuity(graph, coordinates, sample=500), abs=0.02
    )


def test_neighborhood_preservation_equals_the_definition():
    vectors, _ = blobs(200)
    coordinates = vectors[:, :2]
    gaps = cdist(coordinates, coordinates) + np.diag(np.full(200, np.inf))
    graph = neighbors(vectors, 10)
    shares = [
        len(set(np.argsort(row)[:7]) & set(near)) / 7
        for row, near in zip(gaps, graph.indices[:, :7].tolist(), strict=True)
    ]
    assert metrics.neighborhood_preservation(graph, coordinates, 7) == pytest.approx(np.mean(shares))


def test_bad_maps_are_named():
    vectors, _ = blobs(20)
    with pytest.raises(InputError, match="coordinates must have one row per vector, expected 20, got 19"):
        metrics.trustworthiness(vectors, vectors[:19], 5)
    with pytest.raises(InputError, match=r"k must be .* between 1 and 9 \(less than half of the 20 points\); got 10"):
        metrics.trustworthiness(vectors, vectors, 10)
    with pytest.raises(InputError, match="coordinates must have at least 3 rows, got 2"):
        metrics.trustworthiness(np.eye(2), np.eye(2), 1)
    with pytest.raises(InputError, match="the graph holds 3 neighbours per row, 5 are needed"):
        metrics.continuity(neighbors(vectors, 3), vectors, 5)
    with pytest.raises(InputError, match="sample must be a whole number, 1 or more; got 0"):
        metrics.trustworthiness(vectors, vectors, 5, sample=0)


def test_effective_rank():
    assert metrics.effective_rank(np.eye(5)) == pytest.approx(5)
    assert metrics.effective_rank(np.outer(np.arange(1, 9), np.ones(6))) == pytest.approx(1, abs=1e-9)
    vectors, _ = blobs(100)
    for array in (vectors, vectors.T):
        values = np.linalg.svd(array, compute_uv=False)
        share = values / values.sum()
        assert metrics.effective_rank(array) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-9)
    with pytest.raises(InputError, match="vectors must not all be zero"):
        metrics.effective_rank(np.zeros((3, 2)))


def test_hubness_is_the_skewness_of_occurrences():
    graph = neighbors(blobs(300)[0], 10)
    occurrences = np.bincount(graph.indices.ravel(), minlength=300)
    assert metrics.hubness(graph) == pytest.approx(skew(occurrences))
    ring = np.array([[1], [2], [3], [0]], np.int32)
    assert metrics.hubness(NeighborGraph(ring, np.ones((4, 1), np.float32))) == 0
