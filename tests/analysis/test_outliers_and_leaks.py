from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor

from dinoscope.analysis.cleaning.duplicates import find_duplicates
from dinoscope.analysis.cleaning.leaks import Leak, find_leaks
from dinoscope.analysis.cleaning.outliers import find_outliers
from dinoscope.analysis.neighbors import neighbors
from dinoscope.errors import InputError


def cloud(count: int = 300, width: int = 6, seed: int = 0) -> Any:
    draw = np.random.default_rng(seed)
    return draw.standard_normal((3, width))[draw.integers(0, 3, count)] + 0.3 * draw.standard_normal((count, width))


@pytest.mark.parametrize("k", [1, 5, 20])
def test_factors_are_those_of_scikit_learn(k):
    vectors = cloud()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    reference = LocalOutlierFactor(k, metric="precomputed").fit(np.maximum(1 - unit @ unit.T, 0))
    found = find_outliers(neighbors(vectors, 20), k=k)
    np.testing.assert_allclose(found.factors, -reference.negative_outlier_factor_, rtol=2e-3)


def test_listed_is_what_lies_far_above_the_median():
    vectors = np.hstack([cloud(), np.zeros((300, 1))])
    vectors[17] = np.eye(7)[6]
    found = find_outliers(neighbors(vectors, 20))
    middle = np.median(found.factors)
    z_scores = (found.factors - middle) / (1.4826 * np.median(np.abs(found.factors - middle)))
    np.testing.assert_allclose(found.z_scores, z_scores)
    assert set(found.positions) == set(np.flatnonzero(z_scores >= 3.5))
    assert found.positions[0] == 17
    assert (np.diff(found.factors[found.positions]) <= 0).all()
    np.testing.assert_array_equal(found.neighbors, neighbors(vectors, 20).indices[found.positions])
    assert len(find_outliers(neighbors(vectors, 20), z_score=1e9)) == 0


def test_images_that_are_all_alike_are_no_outliers():
    found = find_outliers(neighbors(np.ones((40, 3)), 30))
    assert len(found) == 0
    np.testing.assert_allclose(found.factors, 1)
    assert len(find_outliers(neighbors(np.eye(2), 1))) == 0


@pytest.mark.parametrize("noise", [0, 1e-5])
def test_what_lies_beside_many_copies_of_a_picture_is_no_outlier(noise):
    vectors = cloud()
    plain = find_outliers(neighbors(vectors))
    copies = vectors[:1] + noise * np.random.default_rng(1).standard_normal((40, 6))
    found = find_outliers(neighbors(np.concatenate([vectors, copies])))
    assert found.factors.max() < 2 * plain.factors.max()
    assert set(plain.positions[:3]) <= set(found.positions)


def test_a_short_graph_must_be_that_of_a_small_collection():
    assert len(find_outliers(neighbors(cloud(8), 30)).factors) == 8
    with pytest.raises(InputError, match="the graph holds 5 neighbours per row, 20 are needed"):
        find_outliers(neighbors(cloud(), 5))
    with pytest.raises(InputError, match="k must be a whole number, 1 or more; got 0"):
        find_outliers(neighbors(cloud(), 5), k=0)


def test_leaks_are_the_groups_in_several_splits():
    vectors = np.eye(5)[[0, 0, 1, 1, 2, 2, 3, 3]]
    found = find_duplicates(vectors)
    assert found.groups == ((0, 1), (2, 3), (4, 5), (6, 7))
    splits = np.array(["train", "test", "train", "train", None, "test", "val", "test"], object)
    assert find_leaks(found, splits) == (Leak((0, 1), ("test", "train"), 1.0), Leak((6, 7), ("test", "val"), 1.0))
    assert find_leaks(found, np.full(8, None)) == ()
    with pytest.raises(InputError, match="splits must have one entry per image, expected 8, got 3"):
        find_leaks(found, splits[:3])
