import math
from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn import metrics as reference

from dinoscope.analysis.clusters.clustering import cluster, kmeans
from dinoscope.analysis.clusters.quality import (
    agreement,
    best_match,
    cluster_silhouettes,
    find_in_nulls,
    judge,
    purity,
    shuffled_features,
    stability,
    weak_clusters,
)
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError
from dinoscope.models.baselines import pixel_vectors, redraw_weights, untrained_vectors
from dinoscope.models.catalogue import get_model, read_weights
from dinoscope.sources.datasets.named import load_dataset


def blobs(sizes=(60, 100, 80), width=12, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return 2 * draw.standard_normal((len(sizes), width))[labels] + 0.3 * draw.standard_normal(
        (sum(sizes), width)
    ), labels


def sphere(count=600, width=6, seed=0):
    return l2_normalize(np.random.default_rng(seed).standard_normal((count, width)))


def three(vectors):
    return kmeans(vectors, 3).labels


def test_cluster_silhouettes_are_the_mean_silhouette_of_the_members():
    vectors, _ = blobs()
    codes = np.random.default_rng(1).integers(0, 4, len(vectors))
    scores = reference.silhouette_samples(l2_normalize(vectors), codes, metric="cosine")
    np.testing.assert_allclose(
        cluster_silhouettes(vectors, codes), [scores[codes == each].mean() for each in range(4)], atol=1e-6
    )


def test_what_has_no_cluster_does_not_count():
    vectors, truth = blobs()
    codes = np.where(truth == 2, -1, truth)
    np.testing.assert_allclose(
        cluster_silhouettes(vectors, codes), cluster_silhouettes(vectors[truth < 2], truth[truth < 2]), atol=1e-9
    )
    quality = judge(vectors, codes)
    assert quality.sizes.tolist() == [60, 100]
    scores = reference.silhouette_score(l2_normalize(vectors[truth < 2]), truth[truth < 2], metric="cosine")
    assert quality.silhouette == pytest.approx(scores, abs=1e-6)


def test_an_empty_cluster_has_no_quality():
    vectors, truth = blobs((30, 40))
    quality = judge(vectors, truth * 2, truth.astype(str).astype(object), find=lambda v: kmeans(v, 2).labels)
    assert quality.sizes.tolist() == [30, 0, 40]
    for values in (quality.cohesion, quality.stability, quality.purity):
        assert np.isfinite(values).tolist() == [True, False, True]
    assert weak_clusters(quality, [judge(sphere(60), kmeans(sphere(60), 3).labels)]).tolist() == [False, True, False]


@pytest.mark.parametrize("codes", [[0], [-1]])
def test_a_single_image(codes):
    quality = judge([[1.0, 2.0]], codes, ["a"], find=lambda v: np.zeros(len(v), np.int32))
    assert math.isnan(quality.silhouette)
    assert quality.purity.tolist() == [1.0] * (codes[0] + 1)
    assert quality.stability.tolist() == [1.0] * (codes[0] + 1)


def test_equal_vectors_are_one_stable_cluster():
    quality = judge(np.ones((2, 3)), [0, 0], find=lambda v: kmeans(v).labels)
    assert quality.stability.tolist() == [1]
    assert np.isnan(quality.cohesion).all()


def test_stability_by_its_definition():
    vectors, truth = blobs((20, 30), seed=3)
    swaps = np.random.default_rng(0).random(50) < 0.3
    codes = np.where(swaps, 1 - truth, truth)
    draw, total = np.random.default_rng(7), np.zeros(2)
    for _ in range(5):
        rows = sorted(set(draw.integers(0, 50, 50).tolist()))
        found = kmeans(vectors[rows], 2).labels
        new = [{row for row, each in zip(rows, found, strict=True) if each == number} for number in range(2)]
        for number in range(2):
            old = {row for row in rows if codes[row] == number}
            total[number] += max(len(old & other) / len(old | other) for other in new)
    stable = stability(vectors, codes, lambda v: kmeans(v, 2).labels, resamples=5, seed=7)
    np.testing.assert_allclose(stable, total / 5, atol=1e-6)


def test_clear_clusters_are_found_again_and_the_seed_decides():
    vectors, _ = blobs()
    assert stability(vectors, three(vectors), three).tolist() == [1, 1, 1]
    even = sphere(200)
    first = stability(even, three(even), three, sample=80)
    np.testing.assert_array_equal(first, stability(even, three(even), three, sample=80))
    assert not np.array_equal(first, stability(even, three(even), three, sample=80, seed=1))
    assert first.max() < 0.9


def test_resamples_that_cannot_be_clustered_are_passed_over():
    found = stability(np.eye(3), [0, 1, 2], three, resamples=3, seed=0)  # a draw rarely holds all three
    assert np.isnan(found).all() or found.min() == 1


def test_nothing_found_again_is_not_stable():
    vectors, truth = blobs()
    assert stability(vectors, truth, lambda v: np.full(len(v), -1, np.int32), resamples=2).tolist() == [0, 0, 0]


def test_purity_counts_labelled_members():
    codes = [0, 0, 0, 1, 1, -1, 2]
    labels = ["a", "a", "b", "b", None, "a", None]
    share = Counter(["a", "a", "b"]).most_common(1)[0][1] / 3
    assert purity(codes, labels)[:2].tolist() == pytest.approx([share, 1.0], abs=1e-6)
    assert math.isnan(purity(codes, labels)[2])


def test_agreement_equals_scikit_learn():
    draw = np.random.default_rng(0)
    codes, labels = draw.integers(-1, 4, 90), draw.integers(0, 3, 90).astype(str).astype(object)
    labels[:10] = None
    found = agreement(codes, labels)
    truth = labels[10:].astype(str)
    assert found["nmi"] == pytest.approx(reference.normalized_mutual_info_score(truth, codes[10:]), abs=1e-6)
    assert found["ami"] == pytest.approx(reference.adjusted_mutual_info_score(truth, codes[10:]), abs=1e-6)
    assert found["ari"] == pytest.approx(reference.adjusted_rand_score(truth, codes[10:]), abs=1e-6)
    assert agreement([0, 1], [None, None]) == {}


def test_best_match_is_the_largest_jaccard():
    assert best_match([0, 0, 0, 1, 1, -1], [5, 5, 1, 1, 1, 0]).tolist() == pytest.approx([2 / 3, 2 / 3])
    assert best_match([0, 0], [-1, -1]).tolist() == [0]


def test_shuffled_features_keep_each_column_up_to_the_length_of_rows():
    unit = l2_normalize(blobs()[0])
    shuffled = shuffled_features(unit, seed=3)
    np.testing.assert_allclose(np.linalg.norm(shuffled, axis=1), 1, atol=1e-6)
    expected = np.random.default_rng(3).permuted(unit, axis=0)
    np.testing.assert_array_equal(np.sort(expected, axis=0), np.sort(unit, axis=0))
    np.testing.assert_allclose(shuffled, l2_normalize(expected), atol=1e-6)
    assert shuffled_features(np.eye(6)).shape == (6, 6)  # a row of zeros stays as it was
    np.testing.assert_allclose(np.linalg.norm(shuffled_features(np.eye(6)), axis=1), 1)


@pytest.mark.parametrize("stable", [None, 5])
def test_clear_clusters_are_strong(stable):
    vectors, truth = blobs()
    codes = three(vectors)
    nulls = find_in_nulls(vectors, codes, three, truth.astype(str).astype(object), resamples=stable)
    quality = judge(vectors, codes, find=three if stable else None)
    assert [null.name for null in nulls] == ["shuffled features"] * 2
    assert not weak_clusters(quality, [null.quality for null in nulls]).any()
    assert all(null.agreement["ami"] < 0.2 for null in nulls)


@pytest.mark.parametrize("method", ["kmeans", "ward"])
def test_an_even_sphere_has_only_weak_clusters(method):
    def find(vectors):
        return cluster(vectors, 8, method=method).labels

    vectors = sphere()
    codes = find(vectors)
    nulls = find_in_nulls(vectors, codes, find, resamples=5)
    assert weak_clusters(judge(vectors, codes, find=find), [null.quality for null in nulls]).all()


def test_other_vectors_tell_which_clusters_need_no_model():
    vectors, truth = blobs()
    other = vectors + np.where(truth[:, None] == 2, 0, 3 * np.random.default_rng(0).standard_normal(vectors.shape))
    codes = np.asarray(truth, np.int32)
    null = find_in_nulls(vectors, codes, three, others={"same": vectors, "noisy": other}, shuffles=0)
    np.testing.assert_allclose(null[0].match, 1)
    assert null[1].match[0] < 1
    with pytest.raises(InputError, match=r"others\['short'\] must have one row per vector, expected 240, got 5"):
        find_in_nulls(vectors, codes, three, others={"short": vectors[:5]})


def test_a_null_in_which_nothing_is_found_is_beaten():
    vectors, truth = blobs()
    empty = judge(vectors, np.full(240, -1))
    assert empty.sizes.shape == (0,)
    assert not weak_clusters(judge(vectors, truth), [empty]).any()
    assert weak_clusters(empty, [judge(vectors, truth)]).tolist() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v: judge(v, [0, 1]), "clusters must have one entry per item, expected 240, got 2"),
        (lambda v: judge(v, np.full(240, -2)), r"clusters must be whole numbers from -1 \(no cluster\) up, got -2"),
        (lambda v: judge(v, np.full(240, "a")), "clusters must be whole numbers from -1 .*, got dtype"),
        (
            lambda v: judge(v, np.zeros(240, int), ["a"]),
            r"labels must have one entry per item, expected shape \(240,\)",
        ),
        (lambda v: judge(np.full((3, 2), np.nan), [0, 0, 1]), "vectors must be finite"),
        (lambda v: stability(v, np.zeros(240, int), three, resamples=0), "resamples must be a whole number, 1 or more"),
        (lambda v: weak_clusters(judge(v, np.zeros(240, int)), []), "nulls must hold at least one, got none"),
        (lambda v: best_match([0], [0, 1]), "clusters must have one entry per item, expected 1, got 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(blobs()[0])


def test_an_untrained_network_has_the_scale_of_the_weights_and_none_of_their_values():
    weights = read_weights(get_model("mini-fashion"))
    redrawn = redraw_weights(weights, seed=1)
    assert redrawn == redraw_weights(weights, seed=1)
    assert redrawn != redraw_weights(weights, seed=2)
    pairs = zip(*(onnx.load_model_from_string(each).graph.initializer for each in (weights, redrawn)), strict=True)
    for old, new in ((numpy_helper.to_array(one), numpy_helper.to_array(other)) for one, other in pairs):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        if old.size < 16:
            np.testing.assert_array_equal(old, new)
        elif old.size > 5_000:
            assert new.astype(float).std() == pytest.approx(old.astype(float).std(), rel=0.1)
            assert not np.array_equal(old, new)


def test_vectors_without_training():
    pixels = np.repeat(load_dataset("fashion-mnist-test").pixels[:12, :, :, None], 3, axis=3)
    vectors = untrained_vectors(list(pixels))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors, untrained_vectors(list(pixels)))
    assert len(np.unique(vectors, axis=0)) == 12
    flat = pixel_vectors([*pixels, np.zeros((4, 9, 3), np.uint8)], side=28)
    assert flat.shape == (13, 3 * 28 * 28)
    np.testing.assert_array_equal(flat[:12], pixels.reshape(12, -1).astype(np.float32) + 1)
    assert flat[12].tolist() == [1] * (3 * 28 * 28)
