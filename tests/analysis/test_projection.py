import sys
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from dinoscope.analysis.maps import projection
from dinoscope.analysis.maps.projection import pca, transform, tsne, umap
from dinoscope.analysis.metrics.maps import trustworthiness
from dinoscope.analysis.metrics.silhouette import silhouette
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset

METHODS = [umap, tsne, pca]


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
        (
            {"engine": "umap_learn"},
            r"engine must be one of dinoscope, fastumap, umap-learn, got 'umap_learn'; did you mean 'umap",
        ),
        ({"graph": neighbors(np.eye(16), 14)}, "graph must have one row per vector, expected 300, got 16"),
        ({"graph": neighbors(blobs()[0], 5)}, "the graph holds 5 neighbours per row, 14 are needed"),
    ],
)
def test_bad_arguments_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        umap(blobs()[0], **settings)


@pytest.mark.parametrize(("engine", "module"), [("umap-learn", "umap"), ("fastumap", "fastumap")])
def test_a_missing_engine_says_what_to_install(monkeypatch, engine, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=rf"pip install 'dinoscope\[{engine}\]', or use engine='dinoscope'"):
        umap(blobs()[0], engine=engine)


def test_fastumap_lays_out_the_same_graph():
    pytest.importorskip("fastumap")
    vectors, labels = blobs()
    found = umap(vectors, engine="fastumap")
    assert found.shape == (300, 2)
    assert silhouette(found, labels, metric="euclidean") > 0.8


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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axes", [2, 3])
def test_every_method_has_the_same_conventions(method, axes):
    vectors, labels = blobs(120)
    graph = neighbors(vectors, 119)
    first = method(vectors, graph=graph, n_components=axes, seed=3)
    assert first.shape == (120, axes)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(method(vectors, n_components=axes, seed=3), first)
    np.testing.assert_array_equal(method(5 * vectors, graph=graph, n_components=axes, seed=3), first)
    assert silhouette(first, labels, "euclidean") > 0.4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_every_method_maps_a_handful(method, count):
    coordinates = method(np.random.default_rng(count).standard_normal((count, 5)))
    assert coordinates.shape == (count, 2)
    assert np.isfinite(coordinates).all()
    assert np.isfinite(method(np.ones((count, 5)))).all()


@pytest.mark.parametrize("vectors", [np.ones((40, 4)), np.eye(30), np.repeat(np.eye(4), 10, axis=0)])
@pytest.mark.parametrize("method", [tsne, pca])
def test_every_method_maps_vectors_that_say_little(method, vectors):
    first = method(vectors)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(method(vectors), first)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("vectors", "settings", "message"),
    [
        (np.ones((1, 4)), {}, "vectors must have at least 2 rows, got 1"),
        ([[1, np.nan], [1, 0], [0, 1]], {}, "vectors must be finite, got NaN or infinity in 1 of 3 rows"),
        ([[1, 1], [0, 0], [0, 1]], {}, "vectors must not be zero"),
        (np.eye(9), {"seed": -1}, "seed must be a whole number"),
        (np.eye(9), {"n_components": 10}, "n_components must be a whole number, between 1 and 9"),
        (np.eye(9), {"graph": neighbors(np.eye(8), 3)}, "graph must have one row per vector, expected 9, got 8"),
    ],
)
def test_every_method_names_what_cannot_work(method, vectors, settings, message):
    with pytest.raises(InputError, match=message):
        method(vectors, **settings)


def test_tsne_is_as_good_as_that_of_scikit_learn():
    vectors, labels = blobs(300)
    reference = TSNE(metric="euclidean", init="pca", random_state=0).fit_transform(l2_normalize(vectors))
    ours = tsne(vectors)
    assert trustworthiness(vectors, ours) == pytest.approx(trustworthiness(vectors, reference), abs=0.02)
    expected = silhouette(reference, labels, "euclidean")
    assert silhouette(ours, labels, "euclidean") == pytest.approx(expected, abs=0.1)


def test_tsne_takes_its_neighbours_from_the_graph():
    vectors, _ = blobs(150)
    graph = neighbors(vectors, 30)
    # what the graph does not offer lowers the perplexity to a third of what it does
    np.testing.assert_array_equal(tsne(vectors, graph=graph), tsne(vectors, perplexity=10))
    np.testing.assert_array_equal(tsne(vectors, graph=graph, perplexity=5), tsne(vectors, perplexity=5))
    assert not np.array_equal(tsne(vectors), tsne(vectors, perplexity=10))
    other = neighbors(np.random.default_rng(9).standard_normal((150, 16)), 30)
    assert not np.array_equal(tsne(vectors, graph=other), tsne(vectors, graph=graph))


def test_bad_arguments_of_tsne_are_named(monkeypatch):
    vectors, _ = blobs(20)
    with pytest.raises(InputError, match=r"perplexity must be 1 or more, got 0\.5"):
        tsne(vectors, perplexity=0.5)
    with pytest.raises(InputError, match=r"between 1 and 3 \(what t-SNE can lay out\); got 4"):
        tsne(vectors, n_components=4)
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(InputError, match="pip install openTSNE"):
        tsne(vectors)


def test_epochs_reach_the_layout():
    vectors, _ = blobs(100)
    np.testing.assert_array_equal(umap(vectors, epochs=500), umap(vectors))
    assert not np.array_equal(umap(vectors, epochs=100), umap(vectors))
    with pytest.raises(InputError, match="epochs must be a whole number, between 1 and 1000000; got 0"):
        umap(vectors, epochs=0)


@pytest.mark.parametrize("axes", [1, 2, 3, 16])
def test_pca_is_that_of_scikit_learn_with_fixed_signs(axes):
    vectors, _ = blobs(100)
    unit = l2_normalize(vectors).astype(np.float64)
    expected = PCA(axes, svd_solver="full").fit_transform(unit)
    found = pca(vectors, n_components=axes)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-6)
    assert (found[np.abs(found).argmax(axis=0), np.arange(axes)] > 0).all()


def test_new_vectors_are_projected_exactly_on_a_map_by_pca(monkeypatch):
    monkeypatch.setattr(projection, "_BLOCK", 30)
    vectors, _ = blobs(120)
    old, new = vectors[:100], vectors[100:]
    model = PCA(3, svd_solver="full").fit(l2_normalize(old).astype(np.float64))
    found = transform(new, old, pca(old, n_components=3), method="pca")
    np.testing.assert_allclose(np.abs(found), np.abs(model.transform(l2_normalize(new))), atol=1e-6)
    np.testing.assert_array_equal(transform(old, old, pca(old), method="pca"), pca(old))
    with pytest.raises(InputError, match="coordinates must be the map of these vectors by pca"):
        transform(new, old, umap(old), method="pca")
    with pytest.raises(InputError, match="coordinates must be the map of these vectors by pca"):
        transform([[1, 0]], np.eye(2), np.zeros((2, 3)), method="pca")


@pytest.mark.parametrize(("layout", "method"), [(umap, "umap"), (tsne, "tsne")])
def test_new_vectors_land_where_a_joint_map_would_have_them(layout, method):
    """Held-out images keep nearly as many of their true neighbours around them as on a map made with them."""
    vectors = load_dataset("fashion-mnist-test").pixels[:300].reshape(300, -1).astype(np.float32)
    old, new = vectors[:250], vectors[250:]
    alone, joint = layout(old), layout(vectors)
    true = query_neighbors(old, new, 15).indices

    def kept(places: Any, where: Any) -> float:
        found = np.asarray(cKDTree(where).query(places, 15)[1])
        return float(np.mean([len({*a} & {*b}) / 15 for a, b in zip(found.tolist(), true.tolist(), strict=True)]))

    assert kept(transform(new, old, alone, method=method), alone) > 0.85 * kept(joint[250:], joint[:250])
    assert kept(np.random.default_rng(0).permutation(alone)[:50], alone) < 0.15


@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_a_copy_is_placed_on_its_original_and_a_place_is_the_weighted_median(method):
    vectors, _ = blobs(60)
    coordinates = np.random.default_rng(1).standard_normal((60, 3)).astype(np.float32)
    np.testing.assert_array_equal(transform(vectors[:20], vectors, coordinates, method=method), coordinates[:20])
    # two vectors near the new one against one far from it: the median is one of the two, not between
    angles = np.radians([[0.0], [10.0], [60.0]])
    old = np.hstack([np.cos(angles), np.sin(angles)])
    new = np.array([[np.cos(np.radians(5)), np.sin(np.radians(5))]])
    assert transform(new, old, np.array([[1, 1], [1.5, 2], [90, 90]]), method=method, k=9).tolist() in (
        [[1, 1]],
        [[1.5, 2]],
    )


def test_what_cannot_be_placed_is_named():
    vectors, _ = blobs(10)
    with pytest.raises(InputError, match="queries must have the width of vectors"):
        transform(np.eye(3), vectors, np.zeros((10, 2)))
    with pytest.raises(InputError, match="coordinates must have one row per vector, expected 10, got 9"):
        transform(vectors, vectors, np.zeros((9, 2)))
    with pytest.raises(InputError, match="method must be one of umap, tsne, pca, got 't-sne'; did you mean 'tsne'"):
        transform(vectors, vectors, np.zeros((10, 2)), method="t-sne")  # type: ignore[arg-type]
