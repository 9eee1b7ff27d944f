import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dinoscope import Collection
from dinoscope.analysis import hnsw
from dinoscope.analysis.hnsw import SearchIndex
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages import neighbors as analysis_neighbors


def clustered(count, width=32, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(20, width))[random.integers(0, 20, count)] + 0.5 * random.normal(size=(count, width))


def recall(graph, exact):
    """Definition: the share of the exact neighbours that the graph has, row by row."""
    pairs = zip(graph.indices.tolist(), exact.indices.tolist(), strict=True)
    return np.mean([len(set(found) & set(true)) / len(true) for found, true in pairs])


@pytest.fixture(scope="module")
def index():
    return SearchIndex(clustered(3000))


def test_the_graph_is_nearly_the_exact_one(index):
    vectors = clustered(3000)
    graph, exact = index.neighbors(15), neighbors(vectors, 15)
    assert graph.indices.shape == (3000, 15)
    assert (graph.indices.dtype.name, graph.similarities.dtype.name) == ("int32", "float32")
    assert recall(graph, exact) > 0.99
    assert not (graph.indices == np.arange(3000)[:, None]).any()
    assert all(len(set(row)) == 15 for row in graph.indices.tolist())
    unit = l2_normalize(vectors)
    true = np.einsum("nkd,nd->nk", unit[graph.indices], unit)
    np.testing.assert_allclose(graph.similarities, true, atol=1e-6)  # exact, whatever the candidates came from
    assert (np.diff(graph.similarities, axis=1) <= 0).all()


def test_recall_is_measured_not_assumed(index, monkeypatch):
    from dinoscope.analysis import hnsw as search_index

    graph = index.neighbors(10)
    assert graph.recall == pytest.approx(recall(graph, neighbors(clustered(3000), 10)), abs=0.01)
    assert graph.top(3).recall == graph.recall
    assert neighbors(clustered(50), 3).recall == 1
    monkeypatch.setattr(search_index, "_LINKS", 2)
    monkeypatch.setattr(search_index, "_BUILD_WIDTH", 2)
    monkeypatch.setattr(search_index, "_GRAPH_WIDTH", 2)
    monkeypatch.setattr(search_index, "_SPARE", 1)
    noise = np.random.default_rng(0).normal(size=(3000, 64))
    poor, exact = SearchIndex(noise).neighbors(10), neighbors(noise, 10)
    assert poor.recall is not None
    assert poor.recall < 0.9
    assert poor.recall == pytest.approx(recall(poor, exact), abs=0.05)


def test_the_same_vectors_give_the_same_index_and_graph(index):
    again = SearchIndex(clustered(3000))
    assert again.dump() == index.dump()
    np.testing.assert_array_equal(again.neighbors(15).indices, index.neighbors(15).indices)


def test_a_stored_index_answers_alike(index):
    restored = SearchIndex(clustered(3000), index.dump())
    queries = clustered(40, seed=1)
    found, expected = restored.query(queries, 7), index.query(queries, 7)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.similarities, expected.similarities)
    assert recall(found, query_neighbors(clustered(3000), queries, 7)) > 0.99  # though they lie far from all vectors
    np.testing.assert_array_equal(index.query(queries[:1], 7).indices, expected.indices[:1])
    with pytest.raises(InputError, match=r"the index holds 3000 vectors of 32 numbers, expected \(2999, 32\)"):
        SearchIndex(clustered(2999), index.dump())
    with pytest.raises(InputError, match="the stored index cannot be read"):
        SearchIndex(clustered(3000), b"of another usearch")


def test_threads_may_ask_at_once(index):
    queries = clustered(64, seed=2)
    expected = index.query(queries, 5).indices
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda at: index.query(queries[at : at + 1], 5).indices[0], list(range(64)) * 3))
    np.testing.assert_array_equal(found, np.tile(expected, (3, 1)))


@pytest.mark.parametrize("count", [2, 3, 40])
def test_few_vectors(count):
    vectors = clustered(count)
    graph, exact = SearchIndex(vectors).neighbors(30), neighbors(vectors, 30)
    np.testing.assert_array_equal(graph.indices, exact.indices)
    np.testing.assert_array_equal(SearchIndex(vectors).query(vectors[:1], 99).indices.shape, (1, count))


def test_copies_are_neighbours_of_each_other():
    vectors = np.repeat(clustered(3), 500, axis=0)
    graph = SearchIndex(vectors).neighbors(10)
    assert graph.recall == 1
    assert (graph.similarities > 1 - 1e-6).all()
    assert (graph.indices // 500 == np.arange(1500)[:, None] // 500).all()
    assert not (graph.indices == np.arange(1500)[:, None]).any()


def test_bad_arguments_are_named(index):
    with pytest.raises(InputError, match=r"expected \(M, 32\), got \(2, 3\)"):
        index.query(np.ones((2, 3)))
    with pytest.raises(InputError, match="k must be a whole number, 1 or more; got 0"):
        index.neighbors(0)
    with pytest.raises(InputError, match="vectors must have at least 2 rows, got 1"):
        SearchIndex(np.ones((1, 3)))


def test_unit_rows_are_not_copied():
    unit = l2_normalize(clustered(50))
    assert l2_normalize(unit) is unit
    assert l2_normalize(unit * np.float32(1.00001)) is not unit
    np.testing.assert_allclose(np.linalg.norm(l2_normalize(unit * np.float32(1.00001)), axis=1), 1, atol=1e-6)


def test_a_model_runs_after_an_index_was_made():
    """In a process of its own: what was loaded first decides."""
    code = """
import numpy as np
from dinoscope.analysis.hnsw import SearchIndex
from dinoscope.models.encoder import Encoder
SearchIndex(np.eye(50)).neighbors(3)
print(Encoder("mini-fashion").run(np.zeros((2, 28, 28, 3), np.uint8)).shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "(2, 256)\n")


def test_a_collection_takes_the_index_from_a_number_on(tmp_path, monkeypatch):
    path = tmp_path / "c"
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:300], path, model="mini-fashion")
    exact = Collection(path)
    graph, answers = exact.neighbors(10), exact.search(5, 10)
    assert graph.recall == 1
    assert "index" not in exact.stages
    monkeypatch.setattr(hnsw, "APPROXIMATE_FROM", 300)
    large = Collection(path)
    assert [match.row for match in large.search(5, 10)] == [match.row for match in answers]
    assert not large.stages["index"].stored
    assert recall(large.neighbors(11).top(10), graph) > 0.99
    opened = Collection(path)
    found = opened.neighbors(11)
    assert opened.stages["neighbors"].stored
    assert found.recall == large.neighbors(11).recall
    nearest = opened.search(opened.vectors[7], 300)
    assert opened.stages["index"].stored
    assert nearest[0].row == 7
    assert len(nearest) == len({match.row for match in nearest}) == 300
    assert len(opened.search(5, 999)) == 299
    unreadable = iter([b"of another usearch"])
    monkeypatch.setattr(
        analysis_neighbors, "SearchIndex", lambda *given: SearchIndex(given[0], *unreadable if given[1:] else ())
    )
    assert [match.row for match in Collection(path).search(5, 10)] == [match.row for match in answers]
    assert NeighborGraph(graph.indices, graph.similarities).recall == 1


def test_a_large_collection_needs_no_index(tmp_path, monkeypatch, caplog):
    path = tmp_path / "c"
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:300], path, model="mini-fashion")
    for module in (hnsw, analysis_neighbors):
        monkeypatch.setattr(module, "APPROXIMATE_FROM", 300)
    monkeypatch.setattr(hnsw, "find_spec", lambda _name: None)
    opened = Collection(path)
    graph, exact = opened.neighbors(10), neighbors(opened.vectors, 10)
    np.testing.assert_array_equal(graph.indices, exact.indices)
    assert "300 images are compared each with each; pip install 'dinoscope[large]'" in caplog.text
    assert opened.search(5, 10)[0].row == graph.indices[5, 0]
    other = Collection.from_images(
        load_dataset("fashion-mnist-test").pixels[:301], tmp_path / "d", model="mini-fashion"
    )
    both = other.overlap(opened, 5)  # of the larger one, a part is compared
    np.testing.assert_array_equal(both.neighbors.first, exact.top(5).indices)
    assert both.neighbors.shared == 5
    assert "index" not in opened.stages


def test_an_index_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(InputError, match=r"pip install 'dinoscope\[large\]'"):
        SearchIndex(clustered(300))
