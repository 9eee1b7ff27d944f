import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from dinoscope.analysis.labels.label_errors import find_label_errors, self_test, vote_shares
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.errors import InputError
from dinoscope.wording.findings import tell_self_test


def blobs(count: int = 2000, groups: int = 6, spread: float = 0.25, seed: int = 0) -> tuple[Any, Any]:
    """Classes of which the last two lie close together."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, groups, count)
    centers = np.eye(groups, 8)
    centers[-1] = centers[-2] + 0.4 * centers[-1]
    return centers[labels] + spread * draw.standard_normal((count, 8)), labels


def flip(labels: Any, share: float, seed: int = 1) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    wrong = draw.choice(len(labels), round(share * len(labels)), replace=False)
    changed, classes = labels.copy(), labels.max() + 1
    changed[wrong] = (changed[wrong] + draw.integers(1, classes, len(wrong))) % classes
    return changed, wrong


def by_definition(graph: NeighborGraph, codes: Any, k: int) -> list[tuple[int, int, float, float]]:
    """Position, suggested class, its share and score, written out image by image."""
    classes = codes.max() + 1
    shares = np.zeros((len(codes), classes))
    for row in range(len(codes)):
        weights = np.exp(graph.similarities[row, :k].astype(float) / 0.07)
        for other, weight in zip(graph.indices[row, :k], weights, strict=True):
            shares[row, codes[other]] += weight / weights.sum()
    usual = [
        np.mean([shares[row, label] for row in range(len(codes)) if codes[row] == label]) for label in range(classes)
    ]
    found = []
    for row, label in enumerate(codes):
        reached = [other for other in range(classes) if other != label and shares[row, other] >= usual[other]]
        if reached:
            best = max(reached, key=lambda other: shares[row, other])
            if shares[row, best] > shares[row, label]:
                half = 0.5 / k
                score = math.log((shares[row, best] + half) / (shares[row, label] + half))
                found.append((row, best, shares[row, best], score))
    return sorted(found, key=lambda each: -each[3])


@pytest.mark.parametrize("k", [5, 30])
def test_the_list_is_that_of_the_definition(k):
    vectors, labels = blobs(300)
    labels, _ = flip(labels, 0.1)
    graph = neighbors(vectors, 30)
    found, expected = find_label_errors(graph, labels, k=k), by_definition(graph, labels, k)
    assert len(found) == len(expected) > 20
    np.testing.assert_allclose(found.scores, [each[3] for each in expected], rtol=1e-5)
    assert set(found.positions) == {each[0] for each in expected}
    clear = np.flatnonzero(np.diff(found.scores) < -1e-6)  # what no rounding can exchange
    np.testing.assert_array_equal(found.positions[clear[:-1] + 1][:1], [expected[clear[0] + 1][0]])
    suggested = {row: label for row, label, _, _ in expected}
    assert [suggested[row] for row in found.positions.tolist()] == found.suggested.tolist()
    np.testing.assert_array_equal(found.given, labels[found.positions])
    np.testing.assert_array_equal(found.neighbors, graph.indices[found.positions, :k])
    row, _, share = vote_shares(graph, labels, k=k)
    np.testing.assert_allclose(np.bincount(row, share), 1)


def test_planted_errors_lead_the_list():
    vectors, truth = blobs()
    labels, wrong = flip(truth, 0.02)
    found = find_label_errors(neighbors(vectors), np.array(list("uvwxyz"))[labels])
    assert np.isin(found.positions[:20], wrong).mean() >= 0.9
    assert found.suggested.dtype.kind == "U"
    sure = np.isin(found.positions, wrong) & (found.probabilities > 0.9)
    right = np.array(list("uvwxyz"))[truth[found.positions]] == found.suggested
    assert right[sure].mean() > 0.95


@pytest.mark.parametrize("share", [0.01, 0.03, 0.06])
def test_the_self_test_tells_the_recall_of_planted_errors(share):
    vectors, labels = blobs(4000)
    labels, wrong = flip(labels, share)
    graph = neighbors(vectors)
    found = find_label_errors(graph, labels)
    test = self_test(graph, labels, listed=120)
    recall = np.isin(wrong, found.positions[:120]).mean()
    assert test.found / test.flipped == pytest.approx(recall, abs=2 / math.sqrt(len(wrong)))
    assert (test.listed, test.flipped) == (120, 800)
    assert 0 < test.recovered <= 1
    assert test == self_test(graph, labels, listed=120)
    assert test != self_test(graph, labels, listed=120, seed=1)


def test_the_self_test_is_no_claim_about_the_list():
    """Two kinds that look the same give a long list of right labels: nothing that is told may call them wrong."""
    vectors, labels = blobs(2000)
    labels = np.where(labels == 5, np.where(np.arange(2000) % 2, 5, 6), labels)
    test = self_test(neighbors(vectors), labels, listed=100)
    told = tell_self_test(test)
    assert f"find {test.found / test.flipped:.0%}" in told
    assert "random errors" not in told
    assert told.count("%") == 1


def test_memory_does_not_grow_with_the_number_of_labels():
    graph = neighbors(np.random.default_rng(0).standard_normal((3000, 4)))
    labels = np.arange(3000) // 2
    tracemalloc.start()
    find_label_errors(graph, labels)
    self_test(graph, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # a table of images and labels has 36 MB


def test_a_list_of_nothing_is_tested():
    vectors, labels = blobs(2000, spread=0.1)
    graph = neighbors(vectors)
    test = self_test(graph, labels, listed=50)
    assert test.listed == len(find_label_errors(graph, labels)) < 50


def test_small_and_uniform_collections():
    graph = neighbors(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]))
    assert len(find_label_errors(graph, ["a", "a", "b", "b"])) == 0
    two = find_label_errors(neighbors(np.eye(2)), ["a", "b"])
    assert (two.suggested.tolist(), two.probabilities.tolist()) == (["b", "a"], [1.0, 1.0])
    same = self_test(neighbors(np.ones((60, 3))), ["a", "b"] * 30)
    assert 0 <= same.found <= same.flipped


def test_bad_arguments_are_named():
    vectors, labels = blobs(60)
    graph = neighbors(vectors)
    with pytest.raises(InputError, match="labels must be of two classes or more, got 1"):
        find_label_errors(graph, ["a"] * 60)
    with pytest.raises(InputError, match="labels must have one entry per item, expected 60, got 59"):
        find_label_errors(graph, labels[1:])
    with pytest.raises(InputError, match="filter out missing labels first"):
        find_label_errors(graph, np.array([None, *["a"] * 59]))
    with pytest.raises(InputError, match="k must be a whole number, 1 or more; got 0"):
        find_label_errors(graph, labels, k=0)
    for bad in (0, 1, float("nan")):
        with pytest.raises(InputError, match="share must be above 0 and below 1"):
            self_test(graph, labels, share=bad)
    with pytest.raises(InputError, match="listed must be a whole number"):
        self_test(graph, labels, listed=0)


def test_labels_with_one_or_two_images_are_left_out():
    vectors, labels = blobs(400)
    labels, _ = flip(labels, 0.05)
    before = find_label_errors(neighbors(vectors, 30), labels)
    few = labels.astype("<U8")
    few[[0, 1, 2]] = ["one", "two", "two"]
    graph = neighbors(vectors, 30)
    found = find_label_errors(graph, few, fewest=3)
    assert not set(found.positions) & {0, 1, 2}
    assert not set(found.suggested) & {"one", "two"}
    assert len(found) >= len(before) - 3
    assert self_test(graph, few, fewest=3).flipped == 10 * round(0.02 * 397)
    with pytest.raises(InputError, match="two classes or more must have at least 3 images each, got 1"):
        find_label_errors(graph, np.where(np.arange(400) < 398, "a", "b"), fewest=3)
