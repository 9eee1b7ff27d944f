"""What a map is made of, against definitions, scikit-learn and SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, rankdata
from sklearn.linear_model import LinearRegression

from dinoscope.analysis.explain.explanation import Explained, Explanation, explain, morans_i, variance_share
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError
from dinoscope.wording.explanation import conclusions, direction_in_words, traits_in_words

N = 240


@pytest.fixture(scope="module")
def planted() -> dict[str, Any]:
    """Vectors on a ring: the first property is the place on it, two labels halve it, the others mean nothing."""
    draw = np.random.default_rng(0)
    angle = draw.uniform(0, 2 * np.pi, N)
    vectors = np.column_stack([np.cos(angle), np.sin(angle), 0.1 * draw.standard_normal((N, 3))])
    coordinates = 5 * vectors[:, :2]
    properties = {"height": np.sin(angle) + 10, "noise": draw.standard_normal(N), "flat": np.full(N, 3.0)}
    labels = np.where(np.cos(angle) > 0, "east", "west").astype(object)
    return {"vectors": vectors, "coordinates": coordinates, "properties": properties, "labels": labels}


def found_for(planted: dict[str, Any], **more: Any) -> Explanation:
    given = {**planted, **more}
    return explain(given.pop("vectors"), given.pop("properties"), given.pop("coordinates"), **given)


def one(found: Explanation, name: str) -> Explained:
    return next(each for each in found.properties if each.name == name)


# --- the two statistics ----------------------------------------------------------------------------------------------


def test_morans_i_is_the_sum_over_all_pairs():
    draw = np.random.default_rng(1)
    graph = neighbors(draw.standard_normal((40, 4)), 6)
    values = draw.standard_normal(40)
    weights = np.zeros((40, 40))
    for at, near in enumerate(graph.indices):
        weights[at, near] = 1
    z = values - values.mean()
    expected = 40 / weights.sum() * sum(weights[i, j] * z[i] * z[j] for i in range(40) for j in range(40)) / (z @ z)
    assert morans_i(values, graph.indices) == pytest.approx(expected)
    assert morans_i(np.column_stack([values, values]), graph.indices) == pytest.approx(expected)


def test_morans_i_leaves_out_what_is_not_known():
    near = np.asarray([[1, 2], [0, 2], [0, 1], [0, 1]])
    values = [1.0, 3.0, np.nan, 5.0]
    pairs = [(0, 1), (1, 0), (3, 0), (3, 1)]
    z = {0: -2.0, 1: 0.0, 3: 2.0}
    expected = np.mean([z[i] * z[j] for i, j in pairs]) / np.mean([4, 0, 4])
    assert morans_i(values, near) == pytest.approx(expected)
    assert morans_i([2.0, 2.0, np.nan, 2.0], near) == 0


def test_variance_share_is_the_adjusted_r2_of_a_linear_fit():
    draw = np.random.default_rng(2)
    vectors, first, second = draw.standard_normal((60, 5)), draw.integers(0, 4, 60), draw.integers(0, 3, 60)
    vectors[:, 0] += first
    indicators = np.column_stack([first == i for i in range(4)] + [second == i for i in range(3)]).astype(float)
    fitted = LinearRegression().fit(indicators, vectors).predict(indicators)
    r2 = 1 - np.square(vectors - fitted).sum() / np.square(vectors - vectors.mean(axis=0)).sum()
    assert variance_share(vectors, [first, second]) == pytest.approx(1 - (1 - r2) * 59 / (59 - 3 - 2))
    means = np.stack([vectors[first == i].mean(axis=0) for i in range(4)])
    eta2 = np.square(means[first] - vectors.mean(axis=0)).sum() / np.square(vectors - vectors.mean(axis=0)).sum()
    assert variance_share(vectors, [first]) == pytest.approx(1 - (1 - eta2) * 59 / 56)
    assert variance_share(vectors, [np.arange(60)]) is None  # nothing is left to judge by


def test_groups_without_meaning_tell_nothing_on_average():
    draw = np.random.default_rng(3)
    shares = [variance_share(draw.standard_normal((80, 6)), [draw.integers(0, 10, 80)]) or 0.0 for _ in range(200)]
    assert abs(np.mean(shares)) < 0.01


# --- the whole -------------------------------------------------------------------------------------------------------


def test_the_property_that_the_map_follows_is_told_from_noise(planted):
    found = found_for(planted)
    assert [each.name for each in found.properties] == ["height", "noise"]
    assert found.constant == ("flat",)
    assert found.k == 15
    height, noise = found.properties
    assert height.embedding > 0.9
    assert height.map > 0.9
    assert height.variance > 0.4
    assert height.across == pytest.approx(1, abs=0.1)
    assert height.direction == pytest.approx((0, 1), abs=0.1)
    assert direction_in_words(height) == "rises to the top"
    assert abs(noise.embedding) < 2 * found.chance < 0.25
    assert abs(noise.variance) < 0.05
    assert direction_in_words(noise) == ""


def test_every_figure_of_a_property_is_of_its_ranks(planted):
    found, stretched = (
        found_for(planted),
        found_for(planted, properties={"height": np.exp(planted["properties"]["height"])}),
    )
    assert one(found, "height") == one(stretched, "height")
    graph = neighbors(planted["vectors"], 15)
    ranks = rankdata(planted["properties"]["height"])
    assert one(found, "height").embedding == pytest.approx(morans_i(ranks, graph.indices))
    plane = LinearRegression().fit(planted["coordinates"], ranks)
    assert one(found, "height").across == pytest.approx(plane.score(planted["coordinates"], ranks))
    left = ranks.copy()
    for label in ("east", "west"):
        left[planted["labels"] == label] -= ranks[planted["labels"] == label].mean()
    assert one(found, "height").within_labels == pytest.approx(morans_i(left, graph.indices))
    assert found.variance == pytest.approx(
        variance_share(
            planted["vectors"],
            [((rankdata(planted["properties"][name]) - 0.5) / N * 10).astype(int) for name in ("height", "noise")],
        )
    )


def test_labels_are_told_beside_the_properties(planted):
    found = found_for(planted)
    assert found.labels is not None
    graph = neighbors(planted["vectors"], 15)
    indicators = np.column_stack([planted["labels"] == "east", planted["labels"] == "west"])
    assert found.labels.embedding == pytest.approx(morans_i(indicators, graph.indices))
    assert found.labels.embedding > 0.7
    assert (found.labels.by_labels, found.labels.across, found.labels.direction) == (None, None, None)
    assert found.named_by_vectors is not None
    assert found.named_by_properties is not None
    assert found.named_by_vectors > 0.9
    assert found.named_by_properties < 0.7  # height says nothing of east and west
    east = float(np.mean(planted["labels"] == "east"))
    assert found.most_common == pytest.approx(max(east, 1 - east))
    told = found_for(planted, properties={"east": planted["coordinates"][:, 0]})
    assert told.named_by_properties == pytest.approx(1, abs=0.05)
    assert one(told, "east").by_labels == pytest.approx(0.75, abs=0.1)


def test_images_without_a_label_are_left_out_of_what_is_said_of_labels(planted):
    labels = planted["labels"].copy()
    labels[::3] = None
    found = found_for(planted, labels=labels)
    graph, known = neighbors(planted["vectors"], 15), np.asarray([label is not None for label in labels])
    indicator = np.where(known, labels == "east", np.nan).astype(float)
    assert found.labels is not None
    assert found.labels.embedding == pytest.approx(morans_i(indicator, graph.indices))
    assert found_for(planted, labels=[None] * N).labels is None
    only = found_for(planted, labels=["east"] * N)
    assert (only.labels, only.named_by_properties, only.most_common) == (None, None, None)
    assert only.properties[0].by_labels is None


def test_what_images_do_not_show_is_told_of_but_does_not_count(planted):
    properties = {**planted["properties"], "order": planted["coordinates"][:, 0]}
    found, without = found_for(planted, properties=properties, unseen=("order",)), found_for(planted)
    assert {each.name for each in found.properties} == {"height", "noise", "order"}
    assert (found.variance, found.named_by_properties) == (without.variance, without.named_by_properties)


def test_what_sets_a_cluster_apart(planted):
    height = planted["properties"]["height"]
    order = np.argsort(height)
    clusters = np.full(N, 2)
    clusters[order[:40]], clusters[order[-60:]], clusters[order[100:110]] = 0, 1, -1
    found = found_for(planted, clusters=clusters)
    assert found.sizes == (40, 60, 130)
    inside = clusters == 1
    pairs = mannwhitneyu(height[inside], height[~inside]).statistic / (60 * 180)
    assert [each.name for each in found.traits[1]] == ["height"]
    assert found.traits[1][0].superiority == pytest.approx(pairs)
    assert found.traits[0][0].superiority == 0
    assert found.traits[2] == ()
    lit = found_for(planted, clusters=clusters, properties={"brightness": height})
    assert traits_in_words(lit, 0) == "darker than 100%"
    assert traits_in_words(lit, 2) == ""


def test_a_cluster_of_two_is_not_described_by_chance(planted):
    found = 0
    for seed in range(40):
        clusters = np.zeros(N, int)
        clusters[np.random.default_rng(seed).choice(N, 2, replace=False)] = 1
        found += bool(found_for(planted, clusters=clusters, labels=None).traits[1])
    assert found == 0


def test_few_images_have_few_neighbours(planted):
    small = {name: value[:20] for name, value in planted.items() if name != "properties"}
    found = found_for(small, properties={"height": planted["properties"]["height"][:20]})
    assert found.k == 4
    assert "is more than chance" in " ".join(conclusions(found))


def test_sentences(planted):
    told = conclusions(found_for(planted))
    assert told[0].startswith("Simple properties such as brightness explain ")
    assert "of the variance of the vectors, your labels " in told[0]
    assert "of the labels can be guessed" in told[1]
    assert told[-1] == "The same in all images: flat."


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"vectors": np.ones((19, 3))}, "vectors must have at least 20 rows, got 19"),
        ({"coordinates": np.zeros((N, 3))}, r"finite numbers of shape \(240, 2\), got shape \(240, 3\)"),
        ({"properties": {"height": [1.0, 2.0]}}, r"height must be finite numbers of shape \(240,\), got shape \(2,\)"),
        ({"properties": {"height": np.full(N, np.nan)}}, "height must be finite numbers"),
        ({"labels": ["a"]}, "labels must have one entry per image, expected 240"),
        ({"clusters": np.full(N, -2)}, "clusters must be whole numbers from -1"),
        ({"clusters": [0, 1]}, r"clusters must be whole numbers from -1, of shape \(240,\)"),
        ({"k": 0}, "k must be a whole number, 1 or more"),
        ({"graph": neighbors(np.eye(N), 3)}, "the graph holds 3 neighbours per row, 15 are needed"),
    ],
)
def test_bad_input_is_refused(planted, more, message):
    with pytest.raises(InputError, match=message):
        found_for(planted, **more)
