from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from scipy.spatial import procrustes
from scipy.spatial.distance import cdist, pdist
from scipy.stats import ortho_group, spearmanr
from sklearn.manifold import trustworthiness as sklearn_trustworthiness

from dinoscope.analysis.maps.quality import label_silhouette, map_difference, map_quality, rank_correlation
from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.scores import compute_scores
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError


def crooked(count: int = 200, seed: int = 0) -> tuple[Any, Any, Any]:
    """Return vectors, a map of them that is right in part, and labels."""
    draw = np.random.default_rng(seed)
    labels = np.array(["bag", "boot", "coat", "dress"])[np.arange(count) % 4]
    vectors = draw.standard_normal((4, 8))[np.arange(count) % 4] * 2 + draw.standard_normal((count, 8))
    return vectors, vectors[:, :2] + 0.5 * draw.standard_normal((count, 2)), labels


@pytest.mark.parametrize("k", [1, 7, 15])
def test_every_figure_equals_its_reference(k):
    vectors, coordinates, labels = crooked()
    unit = l2_normalize(vectors).astype(np.float64)
    found = map_quality(vectors, coordinates, labels=labels, k=k)
    assert found.k == k
    assert found.trustworthiness == pytest.approx(
        sklearn_trustworthiness(vectors, coordinates, n_neighbors=k, metric="cosine"), abs=1e-6
    )
    assert found.continuity == pytest.approx(sklearn_trustworthiness(coordinates, unit, n_neighbors=k), abs=1e-6)
    expected = spearmanr(pdist(vectors, "cosine"), pdist(coordinates)).statistic
    assert found.rank_correlation == pytest.approx(expected, abs=1e-6)
    assert found.silhouette_map == pytest.approx(sklearn.metrics.silhouette_score(coordinates, labels), abs=1e-6)
    expected = sklearn.metrics.silhouette_score(vectors, labels, metric="cosine")
    assert found.silhouette_embedding == pytest.approx(expected, abs=1e-6)


def test_every_image_is_judged_by_the_definition():
    vectors, coordinates, _ = crooked(60)
    k, count = 5, 60
    spaces = [cdist(vectors, vectors, "cosine"), cdist(coordinates, coordinates)]
    for distances in spaces:
        np.fill_diagonal(distances, -1)  # an image is its own first neighbour, of rank 0
    ranks = [distances.argsort(axis=1).argsort(axis=1) for distances in spaces]
    graph = neighbors(vectors, 12)
    images = map_quality(vectors, coordinates, graph=graph, k=k).images
    worst = k * (2 * count - 3 * k - 1) / 2
    for i in range(count):
        true, near = ({j for j in range(count) if j != i and rank[i, j] <= k} for rank in ranks)
        assert images.kept[i] == pytest.approx(len(true & near) / k)
        assert images.torn[i] == pytest.approx(sum(ranks[1][i, j] - k for j in true - near) / worst)
        assert images.glued[i] == pytest.approx(sum(ranks[0][i, j] - k for j in near - true) / worst)
        assert set(graph.indices[i, :k][images.lost[i]]) == true - near
        assert set(images.nearby[i]) == near
        assert set(images.nearby[i][images.gained[i]]) == near - true


def test_an_image_in_the_wrong_place_is_found():
    vectors, _, _ = crooked(100)
    coordinates = l2_normalize(vectors)[:, :8].copy()
    coordinates[17] = 100
    images = map_quality(vectors, coordinates).images
    assert images.torn.argmax() == 17
    assert images.kept.argmin() == 17


def test_a_perfect_map_and_noise():
    vectors, _, labels = crooked()
    unit = l2_normalize(vectors)
    best = map_quality(vectors, unit, labels=labels)
    assert (best.trustworthiness, best.continuity, best.neighbors_kept) == (1, 1, 1)
    assert best.rank_correlation == pytest.approx(1, abs=1e-9)
    assert not best.images.lost.any()
    assert not best.images.gained.any()
    noise = map_quality(vectors, np.random.default_rng(1).standard_normal((200, 2)), labels=labels)
    assert noise.rank_correlation == pytest.approx(0, abs=0.05)
    assert noise.trustworthiness == pytest.approx(0.5, abs=0.06)


def test_the_seed_draws_the_images_and_pairs():
    vectors, coordinates, _ = crooked(300)
    first = map_quality(vectors, coordinates, sample=100, seed=1)
    again = map_quality(vectors, coordinates, sample=100, seed=1)
    np.testing.assert_array_equal(first.images.torn, again.images.torn)
    assert np.isfinite(first.images.torn).sum() == np.isfinite(first.images.glued).sum() == 100
    assert np.isfinite(first.images.kept).all()
    whole = map_quality(vectors, coordinates)
    judged = np.isfinite(first.images.torn)
    np.testing.assert_allclose(first.images.torn[judged], whole.images.torn[judged])
    assert first.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.05)
    drawn = rank_correlation(vectors, coordinates, pairs=9_000, seed=4)
    assert drawn == rank_correlation(vectors, coordinates, pairs=9_000, seed=4)
    assert drawn != rank_correlation(vectors, coordinates, pairs=9_000, seed=5)
    assert drawn == pytest.approx(rank_correlation(vectors, coordinates), abs=0.03)


def test_silhouettes_leave_out_images_without_a_label():
    vectors, coordinates, labels = crooked()
    some = labels.astype(object)
    some[:50] = None
    found = map_quality(vectors, coordinates, labels=some)
    expected = sklearn.metrics.silhouette_score(coordinates[50:], labels[50:])
    assert found.silhouette_map == pytest.approx(expected, abs=1e-6)
    nothings: list[Any] = [[None] * 200, ["bag"] * 200, [str(i) for i in range(200)], ["a", "b"] + [None] * 198]
    for nothing in nothings:
        assert label_silhouette(coordinates, nothing, "euclidean") is None
    assert map_quality(vectors, coordinates).silhouette_map is None
    with pytest.raises(InputError, match="filter out missing labels first"):
        label_silhouette(coordinates, np.asarray(["a", "b", np.nan, None] * 50, object), "euclidean")


def test_the_score_table_says_how_many_neighbours_voted():
    vectors, coordinates, labels = crooked()
    splits = np.where(np.arange(200) < 3, "train", "test")
    unit, names = l2_normalize(vectors), labels.astype(str).astype(object)
    clusters = (np.arange(200) % 4).astype(np.int32)
    table = compute_scores(unit, neighbors(unit, 30), coordinates.astype(np.float32), clusters, names, splits)
    said = {each.name: each.meaning for each in table}
    assert "their 20 nearest neighbours, each image" in said["labels: k-NN accuracy"]
    assert "their 3 nearest neighbours among the training" in said["labels: k-NN accuracy, train to test"]


def test_few_images_and_a_short_graph_lower_k():
    assert map_quality(np.eye(3), np.eye(3)[:, :2]).k == 1
    vectors, coordinates, _ = crooked(20)
    assert map_quality(vectors, coordinates).k == 9
    assert map_quality(vectors, coordinates, graph=neighbors(vectors, 4)).k == 4


def test_equal_vectors_and_equal_places_have_figures():
    found = map_quality(np.ones((10, 3)), np.zeros((10, 2)), labels=["a", "b"] * 5)
    assert np.isnan(found.rank_correlation)
    assert found.trustworthiness == found.continuity == 1  # ties get the better rank
    assert found.silhouette_map == pytest.approx(0)
    assert np.isnan(rank_correlation(np.eye(2), [[0, 0], [1, 1]]))  # one pair


@pytest.mark.parametrize(
    ("vectors", "coordinates", "settings", "message"),
    [
        (np.eye(2), np.eye(2), {}, "vectors must have at least 3 rows, got 2"),
        (np.eye(4), np.eye(3), {}, "coordinates must have one row per vector, expected 4, got 3"),
        (np.eye(4), np.full((4, 2), np.nan), {}, "coordinates must be finite"),
        (np.eye(4), np.eye(4), {"graph": neighbors(np.eye(5), 2)}, "graph must have one row per vector, expected 4"),
        (np.eye(4), np.eye(4), {"labels": ["a", "b"]}, r"labels must have shape \(4,\), one an image, got \(2,\)"),
        (np.eye(4), np.eye(4), {"k": 0}, "k must be a whole number, 1 or more; got 0"),
        (np.eye(4), np.eye(4), {"sample": 0}, "sample must be a whole number, 1 or more; got 0"),
    ],
)
def test_what_does_not_fit_is_named(vectors, coordinates, settings, message):
    with pytest.raises(InputError, match=message):
        map_quality(vectors, coordinates, **settings)


@pytest.mark.parametrize("axes", [2, 3])
def test_the_difference_of_maps_is_the_disparity_of_scipy_and_ignores_how_they_lie(axes):
    draw = np.random.default_rng(0)
    one = draw.standard_normal((50, axes))
    two = one + draw.standard_normal((50, axes))
    difference = map_difference(one, two)
    assert difference == pytest.approx(procrustes(one, two)[2], abs=1e-9)
    assert map_difference(two, one) == pytest.approx(difference)
    rotation = ortho_group.rvs(axes, random_state=1)
    mirror = np.diag([-1.0] + [1.0] * (axes - 1))
    for moved in (one @ rotation, one @ mirror, 7 * one, one + 3, -0.2 * one @ rotation @ mirror - 9):
        assert map_difference(one, moved) == pytest.approx(0, abs=1e-9)
        assert map_difference(moved, two) == pytest.approx(difference, abs=1e-9)


def test_the_difference_of_maps_at_its_ends():
    line = np.array([[0.0, 0], [1, 0], [2, 0]])
    assert map_difference(np.zeros((3, 2)), np.ones((3, 2))) == 0
    assert map_difference(np.zeros((3, 2)), line) == 1
    with pytest.raises(InputError, match=r"the maps must have one shape, got \(3, 2\) and \(2, 2\)"):
        map_difference(line, line[:2])
