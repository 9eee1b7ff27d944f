import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import average_precision_score

from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.ranking import (
    Contender,
    VectorScores,
    advise,
    certainty,
    found_again,
    mean_average_precision,
    neighbor_agreement,
    rank_agreement,
    rank_without_labels,
    score_vectors,
    stratified_sample,
)
from dinoscope.errors import InputError


def blobs(count=120, groups=4, dim=16, spread=0.6, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(groups, dim))
    labels = np.arange(count) % groups
    return (centres[labels] + spread * rng.normal(size=(count, dim))).astype(np.float32), labels.astype(str)


def contender(name, accuracy=0.5, speed=10.0, *, again=0.4, baseline=False):
    scores = VectorScores(accuracy, 0.4, 0.5, 0.1, 0.1, 20.0, 0.1)
    return Contender(name, 8, scores, 0.3, again, speed, 1.0, baseline)


def test_mean_average_precision_is_that_of_scikit_learn():
    vectors, labels = blobs(spread=1.5)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = [
        average_precision_score(np.delete(labels == labels[row], row), np.delete(unit @ unit[row], row))
        for row in range(len(unit))
    ]
    assert mean_average_precision(vectors, labels) == pytest.approx(np.mean(expected), abs=1e-6)


def test_mean_average_precision_leaves_lone_labels_out():
    vectors, labels = blobs(20)
    labels[0] = "alone"
    others = [
        average_precision_score(np.delete(labels == labels[row], row), np.delete(vectors @ vectors[row], row))
        for vectors in [vectors / np.linalg.norm(vectors, axis=1, keepdims=True)]
        for row in range(1, 20)
    ]
    assert mean_average_precision(vectors, labels) == pytest.approx(np.mean(others), abs=1e-6)
    assert math.isnan(mean_average_precision(vectors, np.arange(20)))


def test_agreement_by_its_definition():
    first, second = (neighbors(blobs(seed=seed)[0], 10) for seed in (0, 1))
    expected = np.mean([len(set(a[:7]) & set(b[:7])) / 7 for a, b in zip(first.indices, second.indices, strict=True)])
    assert neighbor_agreement(first, second, 7) == pytest.approx(expected)
    assert neighbor_agreement(first, first, 10) == 1
    with pytest.raises(InputError, match="of the same images, got 120 and 40"):
        neighbor_agreement(first, neighbors(blobs(40)[0], 10))


def test_scores_of_good_vectors_are_better():
    good, labels = blobs(spread=0.3)
    noise = np.random.default_rng(0).normal(size=good.shape)
    better, worse = score_vectors(good, labels), score_vectors(noise, labels)
    for name in ("knn_accuracy", "mean_average_precision", "nmi", "silhouette_labels", "silhouette_clusters"):
        assert getattr(better, name) > getattr(worse, name) + 0.2
    assert better.effective_rank < worse.effective_rank


@pytest.mark.parametrize("labels", [None, ["a"] * 6])
def test_without_two_labels_only_what_needs_none(labels):
    scores = score_vectors(np.random.default_rng(0).normal(size=(6, 4)), labels)
    assert math.isnan(scores.knn_accuracy)
    assert math.isnan(scores.nmi)
    assert scores.effective_rank > 1


def test_labels_of_one_image_each_are_none():
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_equal(score_vectors(vectors, np.arange(30)), score_vectors(vectors))


def test_odd_input():
    with pytest.raises(InputError, match="needs at least 3 images, got 2"):
        score_vectors(np.eye(2))
    same = score_vectors(np.ones((5, 4)), ["a", "b", "a", "b", "a"])  # all images alike
    assert math.isnan(same.silhouette_clusters) or same.silhouette_clusters <= 0
    with pytest.raises(InputError, match="labels"):
        score_vectors(np.eye(4), ["a", "b"])
    with pytest.raises(InputError, match="vectors"):
        score_vectors(np.full((4, 4), np.nan))


def test_found_again_by_its_definition():
    rng = np.random.default_rng(0)
    vectors, changed = rng.normal(size=(50, 6)), rng.normal(size=(30, 6))
    rows = rng.permutation(50)[:30]
    changed += 1.5 * vectors[rows]
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in vectors] for a in changed]
    expected = np.mean(np.argmax(cosine, axis=1) == rows)
    assert 0.2 < expected < 0.9
    assert found_again(vectors, changed, rows) == pytest.approx(expected)
    assert found_again(vectors, vectors) == 1


def test_images_that_look_the_same_to_a_model_share_what_is_found():
    vectors = np.concatenate([np.eye(3), np.eye(3)[:1]])  # the last is a copy of the first
    assert found_again(vectors, vectors) == pytest.approx((0.5 + 1 + 1 + 0.5) / 4)
    assert found_again(np.ones((8, 4)), np.ones((8, 4))) == pytest.approx(1 / 8)


@pytest.mark.parametrize("rows", [[0, 1], [0, 1, 5], [-1, 0, 1]])
def test_copies_of_no_image_are_refused(rows):
    with pytest.raises(InputError, match="rows must name the image of each of 3 copies among 5"):
        found_again(np.eye(5), np.eye(5)[:3], rows)


def test_order_without_labels_is_by_what_is_found_again():
    three = [contender("a", again=0.2), contender("b", again=math.nan), contender("c", again=0.9)]
    assert rank_without_labels(three) == [2, 0, 1]


def test_agreement_of_the_orders():
    same = [contender(str(i), 0.1 * i, again=0.1 * i) for i in range(5)]
    assert rank_agreement(same) == pytest.approx(1)
    turned = [replace(each, scores=replace(each.scores, knn_accuracy=-each.scores.knn_accuracy)) for each in same]
    assert rank_agreement(turned) == pytest.approx(-1)
    mixed = [
        contender(str(i), accuracy, again=again)
        for i, (accuracy, again) in enumerate([(0.5, 0.1), (0.6, 0.3), (0.9, 0.2), (0.2, 0.15)])
    ]
    expected = kendalltau([0.1, 0.3, 0.2, 0.15], [0.5, 0.6, 0.9, 0.2]).statistic
    assert rank_agreement(mixed) == pytest.approx(expected)
    assert certainty(mixed).startswith(f"The order without labels agrees with that by k-NN accuracy to {expected:.2f}")
    assert math.isnan(rank_agreement(same[:1]))
    for again in (0.5, math.nan):  # nothing is put in order, whatever comes first
        assert math.isnan(rank_agreement([replace(each, found_again=again) for each in same[::-1]]))
    assert certainty(same[:1]).startswith("There is nothing to put in order")


def test_advice_is_the_best_or_one_as_good_and_faster():
    slow, fast, poor = contender("slow", 0.90, 10), contender("fast", 0.895, 40), contender("poor", 0.7, 400)
    assert advise([slow, fast, poor]) == "Take fast: as good as the best (0.895; slow 0.900) and 4.0 times as fast."
    assert advise([slow, poor]) == "Take slow: it names the most images right (0.900)."
    assert advise([poor, contender("pixels", 0.75, baseline=True)]).startswith(
        "No model beats the baseline pixels (0.750; best model poor, 0.700)"
    )
    assert advise([contender("pixels", baseline=True)]).startswith("Only baselines")


def test_advice_without_labels():
    good, poor = contender("good", math.nan, again=0.9), contender("poor", math.nan, again=0.3)
    pixels = contender("pixels", math.nan, again=0.5, baseline=True)
    assert advise([poor, good, pixels]).startswith("Without labels good looks best")
    assert advise([poor, good, pixels]).endswith("(0.900).")
    assert advise([good, replace(good, name="twin", found_again=0.895), poor]).endswith(
        "; twin is as good, as far as these images show."
    )
    twins = [replace(good, name=name, found_again=0.895) for name in ("twin", "other")]
    assert advise([good, *twins, poor]).endswith("; twin, other are as good, as far as these images show.")
    assert advise([poor, pixels]).startswith(
        "No model beats the baseline pixels (0.500 of changed images found again; best model poor, 0.300)"
    )
    assert advise([contender("x", math.nan, again=math.nan)]).endswith("nothing can be advised.")
    assert certainty([good, poor]).startswith("On three labelled sets this order agreed")


def test_every_label_keeps_its_share_of_a_sample():
    labels: list[str | None] = ["a"] * 600 + ["b"] * 300 + [None] * 100
    rows = stratified_sample(labels, 100, seed=3)
    assert len(set(rows.tolist())) == 100
    assert (np.diff(rows) > 0).all()
    counts = [sum(labels[row] == name for row in rows) for name in ("a", "b", None)]
    assert np.abs(np.subtract(counts, [60, 30, 10])).max() <= 1
    assert stratified_sample(labels, 100, seed=3).tolist() == rows.tolist()
    assert stratified_sample(labels, 100, seed=4).tolist() != rows.tolist()
    assert stratified_sample(labels[:5], 100).tolist() == [0, 1, 2, 3, 4]


def test_small_labels_are_not_passed_over_in_a_sample():
    labels = [f"two {number // 2}" for number in range(2000)] + [f"three {number // 3}" for number in range(3000)]
    twos = (stratified_sample(labels, 1000) < 2000).mean()
    assert twos == pytest.approx(0.4, abs=0.05)
