"""A table whose checksums are right, and whose columns are not what its place in a collection asks for."""

from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dinoscope import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.files import write_json
from dinoscope.storage.tables import read_table, write_table

N = 30


@pytest.fixture(scope="module")
def source():
    return ArraySource(load_dataset("fashion-mnist-test").pixels[:N])


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion")


@pytest.fixture
def folder(tmp_path, source, encoder):
    embed_source(source, tmp_path / "c", encoder)
    return tmp_path / "c"


def the_file(folder, kind):
    return folder / kind if kind == "images.parquet" else next((folder / kind).rglob("*.parquet"))


def read_all(folder):
    opened = Collection(folder)
    return opened.findings(), opened.dismissed()


def rewrite(file, **changes: Any) -> None:
    table, meta = pq.read_table(file), read_table(file)[1]
    stored = {name: table.column(name) for name in table.column_names}
    columns = {name: values for name, values in {**stored, **changes}.items() if values is not None}
    write_table(file, columns, meta)


ROWS = np.arange(N)
ODD: list[tuple[str, str, Any, str]] = [
    ("images.parquet", "key", None, "its column 'key' is missing"),
    ("images.parquet", "id", ROWS, "its column 'id' holds int64, expected string"),
    ("images.parquet", "id", [None, *map(str, ROWS[1:])], "its column 'id' lacks a value"),
    ("images.parquet", "label", ["x" * 40_000] * N, "its column 'label' holds a text of more than 32,768 letters"),
    ("images.parquet", "row", ROWS[::-1], "its rows are not 0, 1, 2, ..."),
    ("images.parquet", "removed", ROWS, "its column 'removed' holds int64, expected bool"),
    ("images.parquet", "caption", ROWS, "its column 'caption' holds int64, expected string"),
    ("images.parquet", "labels", [["a", None]] * N, "its column 'labels' holds a list with null, or with a text of"),
    ("images.parquet", "generation", np.zeros(N), "its column 'generation' holds double, expected int64"),
    ("details", "quality", np.full(N, np.inf, np.float32), "its column 'quality' holds an infinite number"),
    ("details", "bytes", ["x"] * N, "its column 'bytes' holds string, expected int64"),
    ("details", "row", ROWS - 1, "its column 'row' holds a number below 0"),
    ("details", "width", np.zeros(N, np.int32), "an image that could be read has no size"),
    ("details", "height", ROWS.astype(float), "its column 'height' holds double, expected int32"),
    ("vectors", "row", ROWS - 1, "its column 'row' holds a number below 0"),
    ("vectors", "vector", np.full((N, 256), np.nan, np.float32), "30 vectors are not finite and of length 1"),
    ("vectors", "vector", np.eye(N, 256), "its column 'vector' holds fixed_size_list<double>, expected fixed_size_li"),
]


@pytest.mark.parametrize(("kind", "column", "values", "said"), ODD)
def test_it_is_named_and_embedding_mends_it(folder, source, encoder, kind, column, values, said):
    vectors = Collection(folder).vectors
    rewrite(the_file(folder, kind), **{column: values})
    with pytest.raises(DamagedError) as caught:
        _ = Collection(folder).sizes, Collection(folder).qualities
    assert said in str(caught.value)
    assert any(said in each for each in verify_collection(folder).damage)
    embed_source(source, folder, encoder)
    assert verify_collection(folder).damage == ()
    np.testing.assert_allclose(Collection(folder).vectors, vectors, atol=1e-6)


def test_vectors_of_another_length_are_made_anew(folder, source, encoder):
    rewrite(the_file(folder, "vectors"), vector=np.eye(N, 40, dtype=np.float32))
    with pytest.raises(DamagedError, match="vectors of length 40 and 256 are under one key"):
        Collection(folder)
    embed_source(source, folder, encoder)
    assert Collection(folder).vectors.shape == (N, 256)


def test_rows_that_stand_there_twice_or_are_not_known_count_once_or_not_at_all(folder):
    before = Collection(folder)
    rewrite(the_file(folder, "vectors"), row=np.append(np.arange(N - 2), [3, 99]))
    opened = Collection(folder)
    assert opened.rows.tolist() == list(range(N - 2))
    np.testing.assert_array_equal(opened.vectors, before.vectors[: N - 2])


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("collection.json", {"format": 1, "source": {"kind": 3, "name": "x"}}, "source.kind should be a text, got 3"),
        ("collection.json", {"format": True, "source": {}}, "format should be a whole number, got True"),
        ("model.json", {"model": "mini", "dim": "x"}, "dim should be a whole number, got 'x'"),
        ("dismissed.json", {"keys": [3]}, "keys.0 should be a text, got 3"),
        ("answers.json", {"answers": [{"images": ["a"], "same": True}]}, "answers.0.images should be a list of 2"),
        (
            "answers.json",
            {"answers": [], "pictures": [{"image": "x", "kind": "duplicates", "yes": True}]},
            "pictures.0.kind should be other than 'duplicates', got 'duplicates'",
        ),
        (
            "answers.json",
            {"answers": [], "pictures": [{"image": "x", "kind": ["dark"], "yes": True}]},
            "pictures.0.kind should be a text, got a list",
        ),
    ],
)
def test_an_object_of_another_shape_is_named_and_mended(folder, source, encoder, name, value, said):
    file = next(iter(folder.rglob(name)), folder / name)
    write_json(file, value, checked=True)
    with pytest.raises(CollectionError, match=said):
        read_all(folder)
    assert any(said in each for each in verify_collection(folder).damage)
    embed_source(source, folder, encoder)
    assert verify_collection(folder).damage == ()
    read_all(folder)


@pytest.mark.parametrize("name", ["answers.json", "dismissed.json"])
def test_half_a_letter_is_damage(folder, name):
    texts = {"answers.json": '{"answers": [{"images": ["\\ud800", "x"], "same": true}]}'}
    (folder / name).write_text(texts.get(name, '{"keys": ["\\ud800"]}'))
    collection = Collection(folder)
    with pytest.raises(DamagedError, match="half a letter"):
        collection.forget_answers() if name in texts else collection.dismiss("outliers-" + "0" * 16)
    (folder / name).write_text(texts.get(name, '{"keys": ["\\ud800"]}').replace("ud800", "ud83d\\ude00"))
    assert collection.forget_answers() == 1 if name in texts else collection.dismissed() == {"\U0001f600"}


def test_deep_json_is_damage(folder):
    (folder / "dismissed.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(DamagedError, match="nested too deep"):
        Collection(folder).dismissed()


def test_what_a_person_put_there_is_neither_damage_nor_renamed(folder, source, encoder):
    (folder / "plan.json").write_text("{ edited")
    (folder / "answers.json").write_text("{ edited")
    assert [each.split(":")[0] for each in verify_collection(folder).damage] == ["answers.json"]
    embed_source(source, folder, encoder)
    assert (folder / "plan.json").read_text() == "{ edited"
    assert sorted(each.name for each in folder.glob("*.damaged")) == ["answers.json.damaged"]


RESULTS: dict[str, tuple[Any, Any]] = {
    "neighbors": (lambda c: c.neighbors(5).indices, lambda c, m: ({**c, "indices": c["indices"] + N}, m)),
    "map": (lambda c: c.map(method="pca"), lambda c, m: ({"coordinates": c["coordinates"][:9]}, m)),
    "clusters": (lambda c: c.clusters(3).labels, lambda c, m: (c, {**m, "medoids": [0, 1]})),
    "clusters of texts": (lambda c: c.clusters(3).labels, lambda c, m: ({"labels": list(map(str, c["labels"]))}, m)),
    "outliers": (lambda c: c.findings().outliers.factors, lambda c, m: ({}, {**m, "result": {"tree": 3}})),
    "duplicates": (lambda c: c.findings().duplicates.copy_of, lambda c, m: ({}, m)),
    "scores": (lambda c: [each.value for each in c.scores(3)], lambda c, m: (c, {**m, "scores": [["x"]]})),
    "properties": (lambda c: c.properties()["contrast"], lambda c, m: ({**c, "contrast": ["x"] * N}, m)),
}


@pytest.mark.parametrize("stage", RESULTS)
def test_a_result_that_is_none_is_computed_again(folder, stage, caplog):
    ask, change = RESULTS[stage]
    expected = ask(Collection(folder))
    file = next((folder / "results" / stage.split()[0]).glob("*.parquet"))
    write_table(file, *change(*read_table(file)))
    np.testing.assert_array_equal(ask(Collection(folder)), expected)
    assert "is computed again" in caplog.text
    caplog.clear()
    np.testing.assert_array_equal(ask(Collection(folder)), expected)
    assert caplog.text == ""
