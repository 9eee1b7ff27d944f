"""Vectors that were made elsewhere: checked, given to the right images, and shown like those of a model."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding.own_vectors import read_vectors
from dinoscope.errors import InputError, ModelError
from dinoscope.sources.opening import open_source
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.manifest import list_models
from tests.pictures import photograph
from tests.served import client
from tests.sources.archives.test_archive import picture

COUNT = 24
LABELS = [f"{'cat' if row % 2 else 'dog'}" for row in range(COUNT)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "photos"
    for row, label in enumerate(LABELS):
        path = root / label / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(10 * row))
    return root


@pytest.fixture(scope="module")
def ids(folder):
    return [item.id for item in open_source(folder).items]  # in natural order: dog/2.png before dog/10.png


@pytest.fixture(scope="module")
def vectors(ids):
    """Vectors (24, 5) of other lengths than 1; those of one label point the same way."""
    draw = np.random.default_rng(0).normal(0, 0.1, (COUNT, 5))
    return 7 * (draw + np.asarray([[1, 0, 0, 0, 0] if id.startswith("cat") else [0, 1, 0, 0, 0] for id in ids]))


@pytest.fixture(scope="module")
def collection(folder, vectors, tmp_path_factory):
    return Collection.from_vectors(vectors, tmp_path_factory.mktemp("own") / "c", images=folder, name="clip")


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_what_needs_no_model_works(collection, vectors, ids, tmp_path):
    assert collection.model["model"] == "own:clip"
    assert collection.ids.tolist() == ids
    np.testing.assert_allclose(collection.vectors, unit(vectors), atol=1e-6)
    assert collection.sizes.min() > 0
    assert len(collection.thumbnails(range(COUNT))) == COUNT
    assert verify_collection(collection.path).damage == ()
    assert collection.map().shape == (COUNT, 2)
    assert len(set(collection.clusters(2).labels.tolist())) == 2
    assert collection.evaluate().accuracy == 1
    assert collection.search(0, 3)[0].label == collection.labels[0]
    assert collection.search(vectors[5], 1)[0].row == 5  # by a vector of the same model, of any length
    assert collection.classify(vectors[:1])[0].label == collection.labels[0]
    page = collection.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "own:clip" in page
    assert "length 5, made elsewhere" in page


ASKED = {
    "search": lambda collection, file: collection.search(file),
    "search_inside": lambda collection, file: collection.search_inside(0),
    "classify": lambda collection, file: collection.classify(file),
    "reasons": lambda collection, file: collection.reasons(file, [0]),
    "crop_vector": lambda collection, file: collection.crop_vector(file, (0, 0, 4, 4)),
}


@pytest.mark.parametrize("ask", ASKED)
def test_what_needs_the_model_says_why_and_what_to_do(collection, folder, ask):
    told = r"own:clip are vectors that were made elsewhere, .*: search with a row, or with .*--model mini"
    with pytest.raises(ModelError, match=told):
        ASKED[ask](collection, folder / "cat" / "1.png")


def test_the_explorer_says_so_too(collection, folder):
    with client(collection.path) as server:
        key = server.get("/api/collection").json()["model"]
        assert server.get(f"/api/models/{key}/images/0").status_code == 200
        answer = server.post(f"/api/models/{key}/search", content=(folder / "cat" / "1.png").read_bytes())
    assert answer.status_code != 500
    assert "vectors that were made elsewhere" in answer.text


def test_a_second_run_does_nothing_and_new_vectors_supersede(folder, vectors, tmp_path):
    first = Collection.from_vectors(vectors, tmp_path / "c", images=folder, name="clip")
    again = Collection.from_vectors(vectors.tolist(), tmp_path / "c", images=folder, name="clip")
    assert again.embedded is not None
    assert (again.embedded.embedded, again.embedded.reused) == (0, COUNT)
    Collection.from_vectors(vectors, tmp_path / "c", images=folder, name="siglip")
    newer = Collection.from_vectors(vectors[:, ::-1], tmp_path / "c", images=folder, name="clip")
    np.testing.assert_allclose(newer.vectors, unit(vectors[:, ::-1]), atol=1e-6)
    assert len(list_models(tmp_path / "c")) == 2
    assert first.key not in list_models(tmp_path / "c")
    assert Collection(tmp_path / "c", "own:siglip").rows.tolist() == list(range(COUNT))


def test_beside_a_model_of_dinoscope(folder, vectors, tmp_path):
    Collection.from_images(folder, tmp_path / "c", model="mini")
    both = Collection.from_vectors(vectors, tmp_path / "c", images=folder, name="clip")
    np.testing.assert_allclose(both.vectors, unit(vectors), atol=1e-6)
    mini = Collection(tmp_path / "c", "mini")
    assert mini.search(folder / "cat" / "1.png", 1)[0].id == "cat/1.png"
    assert verify_collection(tmp_path / "c").damage == ()


def test_vectors_of_arrays_with_labels(tmp_path):
    images = [np.full((6, 9, 3), 20 * row, np.uint8) for row in range(4)]
    made = Collection.from_vectors(np.eye(4), tmp_path / "c", images=images, labels=list("xyxy"))
    assert (made.model["model"], made.labels.tolist()) == ("own:vectors", list("xyxy"))
    assert made.sizes.tolist() == [[9, 6]] * 4


def test_two_collections_of_one_model_are_compared(collection, vectors, folder, tmp_path):
    other = Collection.from_vectors(vectors + 0.01, tmp_path / "c", images=folder, name="clip")
    assert other.key != collection.key
    collection.difference(other)
    strange = Collection.from_vectors(vectors, tmp_path / "d", images=folder, name="siglip")
    with pytest.raises(InputError, match="must have vectors of one model, got own:clip"):
        collection.difference(strange)


def save(path, ids, vectors):
    if path.suffix == ".npz":
        np.savez(path, ids=np.asarray(ids), vectors=vectors)
    else:
        lists = pa.array(list(map(list, vectors)), pa.list_(pa.float32(), 5) if "fixed" in path.stem else None)
        pq.write_table(pa.table({"file_name": ids, "embedding": lists, "score": [0.5] * len(ids)}), path)
    return path


@pytest.mark.parametrize("name", ["clip.npz", "clip.parquet", "fixed.parquet"])
@pytest.mark.parametrize("above", ["", "photos/", "/data/photos/"])
def test_names_beside_the_vectors_decide(folder, vectors, ids, tmp_path, name, above):
    order = np.random.default_rng(1).permutation(COUNT)
    file = save(tmp_path / name, [above + ids[place] for place in order], vectors[order])
    made = Collection.from_vectors(file, tmp_path / "c", images=folder)
    np.testing.assert_allclose(made.vectors, unit(vectors), atol=1e-6)


def test_vectors_that_do_not_fit(folder, vectors, ids, tmp_path):
    def refused(held, match):
        with pytest.raises(InputError, match=match):
            Collection.from_vectors(held, tmp_path / "c", images=folder)
        assert not (tmp_path / "c").exists()

    refused(vectors[:-1], r"must be as many as the images: expected 24, for 'photos', got 23; or give their names")
    refused(vectors[0], r"vectors must have shape \(N, D\), got \(5,\)")
    refused([[1, 2], [1]], "lists of different lengths")
    bad = vectors.copy()
    bad[3, 2] = np.nan
    refused(bad, r"vectors must be finite, got NaN or infinity in 1 of 24 rows \(first: row 3\)")
    refused(vectors * (np.arange(COUNT) != 4)[:, None], r"must not be zero, got 1 zero rows of 24 \(first: row 4\)")
    refused(np.full((COUNT, 2), "a"), "must hold real numbers")
    refused(
        save(tmp_path / "a.npz", ids[1:], vectors[1:]), r"1 of 24 images in 'photos' have no vector, the first 'cat/1"
    )
    refused(save(tmp_path / "b.npz", [*ids[:-1], ids[0]], vectors), "1 of 24 images in 'photos' have no vector")
    refused(save(tmp_path / "c.npz", [*ids, ids[0]], np.vstack([vectors, vectors[:1]])), "got 1 names twice")
    np.savez(tmp_path / "d.npz", x=vectors, y=vectors)
    refused(tmp_path / "d.npz", r"d\.npz must hold vectors \(N, D\) called 'vectors', got x \(24, 5\), y \(24, 5\)")
    np.savez(tmp_path / "e.npz", vectors=vectors, ids=ids[:3])
    refused(tmp_path / "e.npz", "must name each of its 24 vectors, got 3 names")
    (tmp_path / "f.npy").write_bytes(b"no array")
    refused(tmp_path / "f.npy", r"f\.npy cannot be read as vectors")
    refused(tmp_path / "g.pt", r"come from a \.npy, \.npz or \.parquet file, got 'g\.pt'")


def test_a_broken_picture_keeps_its_place(folder, tmp_path):
    for row in range(3):
        Image.new("RGB", (5, 5), (row, 0, 0)).save(tmp_path / f"{row}.png")
    (tmp_path / "1.png").write_text("no picture")
    made = Collection.from_vectors(np.eye(3), tmp_path / "c.dino", images=tmp_path)
    assert made.rows.tolist() == [0, 2]
    assert made.vectors.tolist() == [[1, 0, 0], [0, 0, 1]]
    assert [failure.id for failure in made.failures] == ["1.png"]


def test_columns_of_the_files_are_those_that_a_model_finds(tmp_path):
    (tmp_path / "photos").mkdir()
    for row in range(3):
        shot = photograph(Image.new("RGB", (200, 150), (80 * row, 9, 9)), "2024:05:17 12:00:00", ("Canon", "EOS 5D"))
        (tmp_path / "photos" / f"{row}.jpg").write_bytes(shot)
    mine = Collection.from_vectors(np.eye(3), tmp_path / "own", images=tmp_path / "photos", name="clip").columns()
    other = Collection.from_images(tmp_path / "photos", tmp_path / "c", model="mini").columns()
    assert mine.keys() == other.keys() >= {"camera", "date", "format", "size", "width"}
    for name, column in mine.items():
        assert column.same_as(other[name]), name


def test_the_command_line(folder, vectors, ids, tmp_path, run):
    np.save(tmp_path / "clip.npy", vectors)
    code, _, err = run("embed", folder, "-o", tmp_path / "c", "--vectors", tmp_path / "clip.npy")
    assert code == 0
    assert f"its first vector is taken for {ids[0]}, its last for {ids[-1]}" in err
    assert "embedded 24 images with own:clip" in err
    code, out, _ = run("info", tmp_path / "c")
    assert (code, "own:clip, made elsewhere" in out, "resolution" in out) == (0, True, False)
    code, _, err = run("search", tmp_path / "c", folder / "cat" / "1.png")
    assert (code, "dinoscope has no model to embed another image with" in err) == (1, True)
    for more, told in (
        (["--device", "cpu"], "--device has no effect with --vectors"),
        (["--limit", "3"], "--limit has no effect with --vectors"),
        (["--vectors", "no.npy"], "--vectors expects a file, got 'no.npy'"),
    ):
        code, _, err = run("embed", folder, "-o", tmp_path / "d", "--vectors", tmp_path / "clip.npy", *more)
        assert (code, told in err) == (1, True)


def test_vectors_of_another_name_and_precision_in_a_file(tmp_path):
    np.savez(tmp_path / "a.npz", embeddings=np.eye(2, dtype=np.float16), names=["a", "b"])
    held = read_vectors(tmp_path / "a.npz")
    assert held.names == ("a", "b")
    assert np.asarray(held.vectors).shape == (2, 2)
