from typing import Any

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, ImageError, InputError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.base import ImageSource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.pixels.decode import thumbnail
from dinoscope.storage.files import write_json

N = 240


@pytest.fixture(scope="module")
def source():
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    return ArraySource(dataset.pixels[:N], labels=labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, source):
    path = tmp_path_factory.mktemp("collections") / "c"
    embed_source(source, path, Encoder("mini-fashion"))
    return path


@pytest.fixture
def collection(folder):
    return Collection(folder)


def test_map_is_stored_and_seeded(folder, collection):
    coordinates = collection.map()
    assert coordinates.shape == (N, 2)
    again = Collection(folder)
    np.testing.assert_array_equal(again.map(), coordinates)
    assert again.stages["map"].stored
    assert again.stages["map"].seconds >= 0
    other = again.map(seed=1)
    assert np.abs(other - coordinates).max() > 1e-3


def test_a_new_map_setting_leaves_vectors_and_neighbours_alone(folder):
    collection = Collection(folder)
    collection.map()
    before = {p.name: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    collection.map(min_dist=0.5)
    after = {p.name: p.stat().st_mtime_ns for p in folder.rglob("*.parquet")}
    new = set(after) - set(before)
    assert len(new) == 1
    assert (folder / "results" / "map" / new.pop()).exists()
    assert {name: after[name] for name in before} == before


def test_neighbours_are_the_nearest(collection):
    graph = collection.neighbors()
    similarity = collection.vectors @ collection.vectors.T
    np.fill_diagonal(similarity, -np.inf)
    best = -np.sort(-similarity, axis=1)[:, :30]
    np.testing.assert_allclose(graph.similarities, best, atol=1e-5)


def test_clusters_come_back_from_the_folder_as_they_were(folder, collection):
    found, again = collection.clusters(5), Collection(folder).clusters(5)
    np.testing.assert_array_equal(found.labels, again.labels)
    np.testing.assert_array_equal(found.medoids, again.medoids)
    np.testing.assert_allclose(found.centers, again.centers)
    assert found.curve == again.curve == ()
    sizes = np.bincount(found.labels)
    assert sizes.tolist() == sorted(sizes.tolist(), reverse=True)
    assert (found.labels[found.medoids] == np.arange(5)).all()


def test_scores_agree_with_scikit_learn(collection):
    scores = {each.name: each.value for each in collection.scores(10)}
    labels = collection.labels.astype(str)
    clusters = collection.clusters(10).labels
    expected = {
        "labels: silhouette in the embedding": silhouette_score(collection.vectors, labels, metric="cosine"),
        "labels: silhouette on the map": silhouette_score(collection.map(), labels),
        "clusters: silhouette in the embedding": silhouette_score(collection.vectors, clusters, metric="cosine"),
        "clusters: silhouette on the map": silhouette_score(collection.map(), clusters),
    }
    for name, value in expected.items():
        assert scores[name] == pytest.approx(value, abs=1e-5), name
    for name in ("map: trustworthiness", "clusters and labels: NMI", "labels: k-NN accuracy"):
        assert 0 < scores[name] <= 1
    assert scores["labels: k-NN accuracy"] > 0.5
    assert all(each.meaning for each in collection.scores(10))


def test_images_without_a_label_do_not_vote(tmp_path, source):
    labels = [item.label if index % 4 else None for index, item in enumerate(source.items)]
    images = np.stack([source.load(i) for i in range(N)])
    collection = Collection.from_images(images, tmp_path / "c", model="mini-fashion", labels=labels)
    score = {each.name: each.value for each in collection.scores(5)}["labels: k-NN accuracy"]
    known = np.asarray([label is not None for label in labels])
    vectors, names = collection.vectors[known], collection.labels[known]
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    right = 0
    for row, truth in zip(similarity, names, strict=True):
        votes: dict[str, float] = {}
        for index in np.argsort(-row)[:20]:
            votes[names[index]] = votes.get(names[index], 0) + np.exp(row[index] / 0.07)
        right += max(votes, key=lambda label: votes[label]) == truth
    assert score == pytest.approx(right / len(names), abs=1 / len(names) + 1e-9)


def test_train_to_test_accuracy_where_there_are_splits(tmp_path, source):
    class Split(ImageSource):
        name, kind, load = "split", "array", source.load
        items = tuple(
            type(item)(item.id, item.key, item.label, "train" if index % 3 else "test")
            for index, item in enumerate(source.items)
        )

    embed_source(Split(), tmp_path / "c", Encoder("mini-fashion"))
    collection = Collection(tmp_path / "c")
    score = {each.name: each.value for each in collection.scores(5)}["labels: k-NN accuracy, train to test"]
    train = collection.splits == "train"
    similarity = collection.vectors[~train] @ collection.vectors[train].T
    right = 0
    for row, truth in zip(similarity, collection.labels[~train], strict=True):
        votes: dict[str, float] = {}
        for index in np.argsort(-row)[:20]:
            label = collection.labels[train][index]
            votes[label] = votes.get(label, 0) + np.exp(row[index] / 0.07)
        right += max(votes, key=lambda label: votes[label]) == truth
    assert score == pytest.approx(right / len(similarity), abs=1 / len(similarity) + 1e-9)


def test_search_by_row_leaves_the_image_out_and_sorts(collection):
    matches = collection.search(7, k=12)
    assert len(matches) == 12
    assert 7 not in [match.row for match in matches]
    similarities = [match.similarity for match in matches]
    assert similarities == sorted(similarities, reverse=True)
    best = collection.vectors @ collection.vectors[7]
    best[7] = -1
    assert matches[0].row == best.argmax()
    assert matches[0].similarity == pytest.approx(best.max(), abs=1e-6)


def test_search_by_file_array_and_vector_find_the_image_itself(tmp_path, collection, source):
    image = source.load(11)
    (tmp_path / "query.png").write_bytes(thumbnail(image))
    for query in (
        tmp_path / "query.png",
        str(tmp_path / "query.png"),
        image,
        image[..., 0],
        collection.vectors[11] * 3,
    ):
        match = collection.search(query, k=1)[0]
        assert match.row == 11
        assert match.similarity == pytest.approx(1, abs=1e-5)
        assert match.label == collection.labels[11]


def test_search_gives_no_more_than_there_is(collection):
    assert len(collection.search(0, k=1000)) == N - 1
    assert len(collection.search(collection.vectors[0], k=1000)) == N


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (N + 5, InputError, rf"row {N + 5} is not in this collection: rows go from 0 to {N - 1}"),
        (-1, InputError, "row -1 is not in this collection"),
        (np.zeros(3, np.float32), InputError, r"a query vector must have shape \(256,\), got \(3,\)"),
        (np.zeros(256, np.float32), InputError, "a query vector must be finite numbers, not all of them 0"),
        (np.full(256, np.nan), InputError, "a query vector must be finite numbers, not all of them 0"),
        ("nothing.jpg", ImageError, r"^nothing\.jpg: cannot be read: No such file[^(]*$"),
    ],
)
def test_queries_that_cannot_work(collection, query, error, message):
    with pytest.raises(error, match=message):
        collection.search(query)


def test_k_must_be_positive(collection):
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        collection.search(0, k=0)


def test_thumbnails_are_the_images(collection, source):
    assert collection.thumbnails([5, 3, 5]) == [thumbnail(source.load(i)) for i in (5, 3, 5)]
    assert collection.thumbnails([]) == []


def test_new_images_make_new_results(tmp_path, source):
    def take(n: int) -> Any:
        class Part(ImageSource):
            name, kind, load, items = "array", "array", source.load, source.items[:n]

        return Part()

    encoder = Encoder("mini-fashion")
    embed_source(take(100), tmp_path / "c", encoder)
    first = Collection(tmp_path / "c").map()
    embed_source(take(110), tmp_path / "c", encoder)
    grown = Collection(tmp_path / "c")
    assert grown.map().shape == (110, 2)
    assert not grown.stages["map"].stored
    embed_source(take(100), tmp_path / "c", encoder)
    back = Collection(tmp_path / "c")
    np.testing.assert_array_equal(back.map(), first)
    assert not back.stages["map"].stored  # results of earlier images are not kept


def test_one_command_makes_a_collection(tmp_path, source):
    collection = Collection.from_images(
        np.stack([source.load(i) for i in range(30)]), tmp_path / "c", model="mini-fashion"
    )
    assert len(collection) == 30
    assert collection.embedded is not None
    assert collection.embedded.embedded == 30
    assert collection.model["model"] == "mini-fashion"
    assert repr(collection) == "Collection('array', 30 images, model='mini-fashion')"


def test_what_is_no_collection_says_how_to_make_one(tmp_path):
    with pytest.raises(CollectionError, match="is not a collection: make one with 'dinoscope embed SOURCE -o"):
        Collection(tmp_path)


def test_missing_model_lists_what_there_is(folder):
    with pytest.raises(CollectionError, match=r"has no vectors of 'mini' \(it has: mini-fashion\)"):
        Collection(folder, model="mini")


def test_other_format_is_refused(tmp_path):
    write_json(tmp_path / "collection.json", {"format": 99, "source": {"kind": "array", "name": "x"}})
    with pytest.raises(CollectionError, match="has format 99, this version of dinoscope reads 1"):
        Collection(tmp_path)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 17])
def test_tiny_collections(tmp_path, source, n):
    class Tiny(ImageSource):
        name, kind, load, items = "array", "array", source.load, source.items[:n]

    embed_source(Tiny(), tmp_path / "c", Encoder("mini-fashion"))
    collection = Collection(tmp_path / "c")
    assert collection.search(collection.vectors[0])[0].row == 0
    if n == 1:
        with pytest.raises(InputError):
            collection.neighbors()
    else:
        assert np.isfinite(collection.map()).all()
        assert all(np.isfinite(each.value) for each in collection.scores())
    assert collection.report().read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
