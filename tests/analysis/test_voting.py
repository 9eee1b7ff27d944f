import tracemalloc
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from dinoscope.analysis.labels.voting import knn_accuracy, knn_accuracy_split, knn_predict, label_votes
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError


def graph_of(indices: Any, similarities: Any) -> NeighborGraph:
    return NeighborGraph(np.array(indices, np.int32), np.array(similarities, np.float32))


def blobs(count: int = 400, width: int = 6, groups: int = 5, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, groups, count)
    return draw.standard_normal((groups, width))[labels] + draw.standard_normal((count, width)), labels


def test_votes_by_hand():
    graph = graph_of([[0, 1, 2], [3, 1, 2]], [[0.9, 0.8, 0.8], [0.5, 0.1, 0.0]])
    found = knn_predict(graph, ["cat", "dog", "dog", "cat"], k=3, temperature=0.1)
    # Row 0: cat e^9, dog 2 e^8, and e > 2. Row 1: cat e^5, dog e^1 + 1.
    assert found.labels.tolist() == ["cat", "cat"]
    np.testing.assert_allclose(found.scores, [np.e / (np.e + 2), np.exp(5) / (np.exp(5) + np.e + 1)], rtol=1e-6)
    warm = knn_predict(graph, ["cat", "dog", "dog", "cat"], k=3, temperature=1)
    assert warm.labels.tolist() == ["dog", "dog"]  # now the two outweigh the nearest


def test_equal_votes_go_to_the_nearest_and_only_k_vote():
    graph = graph_of([[1, 0, 2, 3]], [[0.5, 0.5, 0.5, 0.5]])
    found = knn_predict(graph, [4, 9, 4, 9], k=4)
    assert (found.labels.tolist(), found.scores.tolist()) == ([9], [0.5])
    assert knn_predict(graph, [4, 9, 4, 4], k=1).labels.tolist() == [9]
    assert knn_predict(graph, [4, 9, 4, 4], k=3).labels.tolist() == [4]


def test_the_smallest_temperature_does_not_overflow():
    found = knn_predict(graph_of([[0, 1]], [[1.0, -1.0]]), ["a", "b"], temperature=1e-4)
    assert (found.labels.tolist(), found.scores.tolist()) == (["a"], [1.0])


def caron(similarities: Any, labels: Any, k: int, temperature: float) -> Any:
    """The protocol as published: scatter the weights of the top k over one-hot classes, take the argmax."""
    predictions = []
    for row in similarities:
        votes = np.zeros(labels.max() + 1)
        for nearest in np.argsort(-row)[:k]:
            votes[labels[nearest]] += np.exp(row[nearest] / temperature)
        predictions.append(votes.argmax())
    return np.asarray(predictions)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_accuracy_is_that_of_the_protocol(k):
    vectors, labels = blobs()
    unit = l2_normalize(vectors).astype(np.float64)
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    expected = (caron(similarities, labels, k, 0.07) == labels).mean()
    assert 0.3 < expected < 0.95
    assert knn_accuracy(neighbors(vectors, 20), labels, k=k) == pytest.approx(expected)

    reference = np.arange(len(labels)) % 4 > 0
    similarities = unit[~reference] @ unit[reference].T
    expected = (caron(similarities, labels[reference], k, 0.07) == labels[~reference]).mean()
    assert knn_accuracy_split(vectors, labels, reference, k=k) == pytest.approx(expected)
    names = np.array(list("vwxyz"))[labels]
    assert knn_accuracy_split(vectors, names, reference, k=k) == pytest.approx(expected)


def test_a_high_temperature_is_the_plain_vote_of_scikit_learn():
    vectors, labels = blobs()
    found = knn_predict(query_neighbors(vectors[:300], vectors[300:], 5), labels[:300], k=5, temperature=1e9)
    plain = KNeighborsClassifier(5, metric="cosine").fit(vectors[:300], labels[:300])
    shares = plain.predict_proba(vectors[300:])
    clear = (shares == shares.max(axis=1, keepdims=True)).sum(axis=1) == 1  # ties are broken differently
    assert clear.sum() > 50
    np.testing.assert_array_equal(found.labels[clear], plain.predict(vectors[300:])[clear])
    np.testing.assert_allclose(found.scores, shares.max(axis=1), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.07, float("inf")])
def test_votes_of_every_label_agree_with_the_winner(temperature):
    vectors, labels = blobs()
    names = np.array(list("vwxyz"))[labels[:300]]
    graph = query_neighbors(vectors[:300], vectors[300:], 7)
    votes = label_votes(graph, names, k=7, temperature=temperature)
    found = knn_predict(graph, names, k=7, temperature=temperature)
    assert votes.shares.shape == (100, 5)
    np.testing.assert_allclose(votes.shares.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(votes.names[votes.winners], found.labels)  # ties, which are many, go the same way
    np.testing.assert_allclose(votes.shares.max(axis=1), found.scores, atol=1e-12)
    weights = np.exp(graph.similarities[0].astype(float) / temperature)
    by_hand = [weights[names[graph.indices[0]] == name].sum() / weights.sum() for name in votes.names]
    np.testing.assert_allclose(votes.shares[0], by_hand, atol=1e-6)
    some = votes.take(votes.winners == 2)
    assert len(some) == (votes.winners == 2).sum()
    assert (some.winners == 2).all()


def test_memory_does_not_grow_with_the_square_of_the_voters_nor_with_the_labels():
    graph = NeighborGraph(np.tile(np.arange(200, dtype=np.int32), (1_500, 1)), np.ones((1_500, 200), np.float32))
    tracemalloc.start()
    knn_predict(graph, np.arange(200) % 7, k=200)  # 60 million pairs of voters
    voters = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    label_votes(graph, np.arange(20_000), k=200)  # the answer alone has 30 million numbers
    labels = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert voters < 40e6
    assert labels < 1.8 * 240e6


def test_a_small_collection_lets_everyone_vote():
    vectors, labels = blobs(8)
    assert knn_accuracy(neighbors(vectors, 20), labels, k=20) == knn_accuracy(neighbors(vectors, 7), labels, k=7)
    assert knn_accuracy_split([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], ["a", "b", "a"], [True, True, False]) == 1


def test_bad_arguments_are_named():
    vectors, labels = blobs(40)
    graph = neighbors(vectors, 10)
    with pytest.raises(InputError, match="the graph holds 10 neighbours per row, 20 are needed"):
        knn_accuracy(graph, labels)
    with pytest.raises(InputError, match="labels must have one entry per item, expected 40, got 39"):
        knn_accuracy(graph, labels[1:], k=5)
    with pytest.raises(InputError, match="labels must cover every neighbour, expected at least 40, got 3"):
        knn_predict(graph, labels[:3], k=2)
    with pytest.raises(InputError, match="temperature must be above 0, got 0"):
        knn_predict(graph, labels, k=5, temperature=0)
    with pytest.raises(InputError, match=r"is_reference must be booleans of shape \(40,\), got int64 of shape \(40,\)"):
        knn_accuracy_split(vectors, labels, labels)
    with pytest.raises(InputError, match="is_reference must leave rows on both sides, got 40 True of 40"):
        knn_accuracy_split(vectors, labels, labels >= 0)
