from typing import Any

import numpy as np
import pytest

from dinoscope.analysis.cleaning.candidates import score_pairs
from dinoscope.analysis.cleaning.outliers import find_outliers
from dinoscope.analysis.explain.explanation import explain
from dinoscope.analysis.labels.classifier import Classifier
from dinoscope.analysis.labels.evaluation import evaluate
from dinoscope.analysis.labels.label_errors import find_label_errors
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.maps.quality import map_quality
from dinoscope.analysis.metrics import hubness
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.analysis.scores import compute_scores
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError


def random_vectors(count: int, width: int = 8, seed: int = 0) -> Any:
    return np.random.default_rng(seed).standard_normal((count, width))


def check_against_definition(
    graph: NeighborGraph, vectors: Any, queries: Any, k: int, *, exclude_self: bool = False
) -> None:
    """Sort every similarity in float64; float32 may swap only what is equal to its precision."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    similarities = asked @ unit.T
    if exclude_self:
        np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    expected = np.take_along_axis(similarities, order, axis=1)
    np.testing.assert_allclose(graph.similarities, expected, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(similarities, graph.indices, axis=1), expected, atol=1e-6)
    assert all(len(set(row)) == k for row in graph.indices.tolist())
    assert (graph.indices == order).mean() > 0.999
    assert graph.indices.dtype.name == "int32"
    assert graph.similarities.dtype.name == "float32"


@pytest.mark.parametrize(("count", "k"), [(2, 1), (7, 6), (40, 5), (900, 3), (900, 30)])
def test_neighbors_are_those_of_the_definition(count, k):
    vectors = random_vectors(count)
    check_against_definition(neighbors(vectors, k), vectors, vectors, k, exclude_self=True)


def test_small_blocks_give_the_same_graph(monkeypatch):
    vectors = random_vectors(333)
    expected = neighbors(vectors, 4)
    monkeypatch.setattr("dinoscope.analysis.neighbors._BLOCK_BYTES", 4 * 333 * 50)  # 50 rows a block, the last one 33
    graph = neighbors(vectors, 4)
    np.testing.assert_array_equal(graph.indices, expected.indices)
    np.testing.assert_allclose(graph.similarities, expected.similarities, atol=1e-6)


def test_queries_leave_nothing_out():
    vectors, queries = random_vectors(200), random_vectors(9, seed=1)
    check_against_definition(query_neighbors(vectors, queries, 7), vectors, queries, 7)
    assert query_neighbors(vectors, vectors[:5], 1).indices[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert query_neighbors(vectors[:3], queries, 30).indices.shape == (9, 3)


def test_a_duplicate_is_a_neighbour_and_the_row_itself_is_not():
    graph = neighbors([[1, 0], [0, 1], [1, 0], [5, 0]], 2)  # rows 0, 2 and 3 have one direction
    assert graph.indices.tolist() == [[2, 3], [0, 2], [0, 3], [0, 2]]
    assert graph.similarities.tolist() == [[1, 1], [0, 0], [1, 1], [1, 1]]


def test_ties_go_to_the_lower_row_even_across_the_folded_groups():
    count = 2000
    vectors = np.tile([[1.0, 0.0], [0.0, 1.0]], (count // 2, 1))
    graph = neighbors(vectors, 3)
    assert graph.indices[[0, 1, 4, 1999]].tolist() == [[2, 4, 6], [3, 5, 7], [0, 2, 6], [1, 3, 5]]
    assert (graph.similarities == 1).all()


def test_scale_and_number_type_do_not_matter():
    vectors = np.random.default_rng(0).integers(1, 200, (60, 5))
    expected = neighbors(vectors.astype(np.float64), 5).indices
    for same in (vectors.astype(np.uint8), vectors.astype(np.float16), vectors.tolist(), vectors * 1e-30):
        np.testing.assert_array_equal(neighbors(same, 5).indices, expected)


def test_k_is_cut_to_the_other_rows():
    assert neighbors(random_vectors(4), 30).k == 3


def test_graph_top_and_distances():
    graph = neighbors([[1, 0], [0, 1], [-1, 0]], 2)
    assert len(graph) == 3
    np.testing.assert_allclose(graph.distances, [[1, 2], [1, 1], [1, 2]], atol=1e-6)
    assert graph.top(1).indices.tolist() == [[1], [0], [1]]
    with pytest.raises(InputError, match="the graph holds 2 neighbours per row, 3 are needed"):
        graph.top(3)
    with pytest.raises(InputError, match=r"one shape \(N, k\), got \(3, 2\) and \(3, 1\)"):
        NeighborGraph(graph.indices, graph.similarities[:, :1])


def test_l2_normalize():
    unit = l2_normalize([[3, 4], [0, -2]])
    assert unit.dtype == np.float32
    np.testing.assert_allclose(unit, [[0.6, 0.8], [0.0, -1.0]], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(l2_normalize(np.full((2, 3), 1e30, np.float32)), axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones(512), r"vectors must have shape \(N, D\), got \(512,\)"),
        (np.ones((4, 0)), r"vectors must have shape \(N, D\), got \(4, 0\)"),
        (np.ones((1, 3)), "vectors must have at least 2 rows, got 1"),
        ([[1.0, np.nan], [1, 1], [np.inf, 0]], r"NaN or infinity in 2 of 3 rows \(first: row 0\)"),
        ([[1, 1], [0, 0]], r"got 1 zero rows of 2 \(first: row 1\)"),
        ([["a"], ["b"]], "vectors must hold real numbers, got dtype <U1"),
        ([[1.0, 2.0], [3.0]], r"vectors must have shape \(N, D\), got lists of different lengths"),
        ([[1.0, 2.0], [1e170, 0.0]], "vectors must have numbers below 1e150, got row 1 beyond; scale them down"),
    ],
)
def test_bad_vectors_are_named(vectors, message):
    with pytest.raises(InputError, match=message):
        neighbors(vectors, 1)


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match="k must be a whole number, 1 or more; got 0"):
        neighbors(np.eye(3), 0)
    with pytest.raises(InputError, match=r"k must be a whole number, 1 or more; got 2\.5"):
        neighbors(np.eye(3), 2.5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"expected \(M, 3\), got \(2, 2\)"):
        query_neighbors(np.eye(3), np.eye(2))
    with pytest.raises(InputError, match=r"queries must have shape \(N, D\), got \(3,\)"):
        query_neighbors(np.eye(3), np.ones(3))


LABELS = np.arange(24, dtype=np.int32) % 3
READERS: dict[str, Any] = {
    "verdicts": lambda vectors, graph: Classifier(vectors, LABELS, k=5, graph=graph),
    "evaluation": lambda vectors, graph: evaluate(vectors, LABELS, k=5, graph=graph),
    "scores": lambda vectors, graph: compute_scores(vectors, graph, vectors[:, :2], LABELS, LABELS, LABELS),
    "map": lambda vectors, graph: umap(vectors, graph=graph),
    "map quality": lambda vectors, graph: map_quality(vectors, vectors[:, :2], graph=graph),
    "duplicates": lambda vectors, graph: score_pairs(vectors, graph=graph),
    "explanation": lambda vectors, graph: explain(vectors, {"a": vectors[:, 0]}, vectors[:, :2], graph=graph),
}
AMONG_THEMSELVES: dict[str, Any] = {
    "outliers": find_outliers,
    "label errors": lambda graph: find_label_errors(graph, LABELS[: len(graph)]),
    "hubness": hubness,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("rows", [20, 30])
def test_a_graph_of_other_vectors_is_refused(name, rows):
    vectors = random_vectors(24)
    with pytest.raises(InputError, match=f"graph must have one row per vector, expected 24, got {rows}"):
        READERS[name](vectors, neighbors(random_vectors(rows), 20))


@pytest.mark.parametrize("name", AMONG_THEMSELVES)
def test_a_graph_that_points_beyond_its_rows_is_refused(name):
    graph = neighbors(random_vectors(30), 20)
    with pytest.raises(InputError, match="graph must hold row numbers from 0 to 23, got 0 to 29"):
        AMONG_THEMSELVES[name](NeighborGraph(graph.indices[:24], graph.similarities[:24]))


def test_what_the_scores_say_of_the_sample_is_what_was_judged():
    vectors = random_vectors(40)
    graph, points = neighbors(vectors, 20), vectors[:, :2]
    none = np.full(40, None)
    for sample, said in ((12, "nearest, of 12 random images"), (None, "nearest")):
        quality = map_quality(vectors, points, graph=graph, sample=sample)
        told = compute_scores(vectors, graph, points, np.arange(40, dtype=np.int32) % 3, none, none, quality)[0].meaning
        assert f"15 {said}" in told
        assert ("random" in told) == (sample is not None)
