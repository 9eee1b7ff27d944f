import sys
from importlib.metadata import version
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from dinoscope.errors import InputError
from dinoscope.knn import neighbors
from dinoscope.metrics import silhouette, trustworthiness
from dinoscope.projection import umap


def blobs(count: int = 300, width: int = 16, groups: int = 4, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % groups
    return 3 * draw.standard_normal((groups, width))[labels] + draw.standard_normal((count, width)), labels


def test_the_map_keeps_groups_and_neighbours():
    vectors, labels = blobs()
    coordinates = umap(vectors)
    assert coordinates.shape == (300, 2)
    assert coordinates.dtype == np.float32
    assert silhouette(coordinates, labels, "euclidean") > 0.6
    assert trustworthiness(vectors, coordinates) > 0.85


def test_the_seed_decides_the_map():
    vectors, _ = blobs()
    first = umap(vectors, seed=3)
    np.testing.assert_array_equal(umap(vectors, seed=3), first)
    assert not np.array_equal(umap(vectors, seed=4), first)


def test_the_graph_given_is_the_one_used():
    vectors, _ = blobs()
    np.testing.assert_array_equal(umap(vectors, graph=neighbors(vectors, 30)), umap(vectors))
    other = neighbors(np.random.default_rng(9).standard_normal((300, 16)), 14)
    assert not np.array_equal(umap(vectors, graph=other), umap(vectors))


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((100, 4)),
        np.eye(60),
        np.repeat(np.random.default_rng(0).standard_normal((5, 8)), 20, axis=0),
        np.repeat(np.random.default_rng(0).standard_normal((40, 8)), 16, axis=0),
    ],
    ids=["all equal", "all at one distance", "few distinct", "cliques of duplicates"],
)
def test_degenerate_graphs_have_one_map_too(vectors):
    first = umap(vectors)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(umap(vectors), first)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 10, 15, 16])
def test_tiny_collections_have_a_map(count):
    coordinates = umap(np.random.default_rng(count).standard_normal((count, 5)))
    assert coordinates.shape == (count, 2)
    assert np.isfinite(coordinates).all()
    assert len(np.unique(coordinates, axis=0)) == count


def test_a_handful_is_laid_out_by_principal_components():
    # Two unit vectors at a right angle lie sqrt(2) apart, on one line.
    np.testing.assert_allclose(np.ptp(umap([[2, 0], [0, 3]]), axis=0), [np.sqrt(2), 0], atol=1e-6)
    coordinates = umap(np.eye(3))
    gaps = np.linalg.norm(coordinates[:, None] - coordinates, axis=2)
    np.testing.assert_allclose(gaps, np.sqrt(2) * (1 - np.eye(3)), atol=1e-6)


@pytest.mark.skipif(version("fastumap").startswith("0.1."), reason="fastumap 0.1 has two or three axes")
def test_more_axes():
    vectors, _ = blobs()
    assert umap(vectors, n_components=5).shape == (300, 5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_neighbors": 1}, "n_neighbors must be a whole number, 2 or more; got 1"),
        ({"min_dist": 1.5}, r"min_dist must lie between 0 and 1, got 1\.5"),
        ({"n_components": 17}, r"n_components .* between 1 and 16 \(the width of the vectors\); got 17"),
        ({"seed": -1}, "seed must be a whole number, between 0 and 4294967295; got -1"),
        ({"engine": "umap_learn"}, r"engine must be one of fastumap, umap-learn, got 'umap_learn'; did you mean 'umap"),
        ({"graph": neighbors(np.eye(16), 14)}, "graph must have one row a vector, expected 300, got 16"),
        ({"graph": neighbors(blobs()[0], 5)}, "the graph holds 5 neighbours a row, 14 are needed"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        umap(blobs()[0], **settings)


def test_a_missing_engine_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install 'dinoscope\[umap-learn\]'"):
        umap(blobs()[0], engine="umap-learn")


def test_fastumap_without_a_place_for_a_graph_gets_the_vectors(monkeypatch):
    """The 0.1 line, the only one for macOS."""

    def umap_project(matrix, dimensions=2, *, n_neighbors, min_dist, random_state, metric, init=None):
        assert (n_neighbors, min_dist, random_state, metric, init) == (15, 0.1, 42, "cosine", None)
        return matrix[:, :dimensions] * 2

    fake = ModuleType("fastumap")
    fake.umap_project = umap_project  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fastumap", fake)
    vectors = np.random.default_rng(0).standard_normal((300, 16))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(umap(vectors), 2 * unit[:, :2], rtol=1e-6)
    with pytest.raises(InputError, match=r"n_components must be 2 or 3 with fastumap 0\.1, got 5"):
        umap(vectors, n_components=5)


@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
def test_umap_learn_agrees():
    """Compiles for ten seconds or more."""
    pytest.importorskip("umap")
    vectors, labels = blobs(120)
    reference = umap(vectors, engine="umap-learn")
    np.testing.assert_array_equal(umap(vectors, engine="umap-learn"), reference)
    ours = umap(vectors)
    assert abs(trustworthiness(vectors, ours) - trustworthiness(vectors, reference)) < 0.05
    assert silhouette(reference, labels, "euclidean") > 0.6
    assert np.isfinite(umap(vectors[:9], engine="umap-learn")).all()
