"""Columns of tables, and of tables beside images."""

import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope.sources.opening import open_source
from tests.pictures import encoded, photo


def columns(source):
    return {name: values.to_pylist() for name, values in source.columns().items()}


@pytest.fixture
def photos(tmp_path):
    for name in ("a/0.png", "a/1.png", "b/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        photo(16).save(tmp_path / name)
    return tmp_path


def test_all_but_images_labels_splits_and_captions(tmp_path):
    table = {
        "image": [{"bytes": encoded(photo(8), "PNG"), "path": "x.png"}] * 2,
        "label": ["a", "b"],
        "split": ["train", "test"],
        "caption": ["one", "two"],
        "price": [1, None],
        "tags": [["x", "y"], []],
        "box": [{"left": 1}, {"left": 2}],
        "mask": [b"x", b"y"],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    assert columns(open_source(tmp_path / "t.parquet")) == {"price": [1, None], "tags": [["x", "y"], []]}


def test_several_tables_with_other_columns_and_types(photos):
    (photos / "one.csv").write_text("path,price,shop\na/0.png,1,x\n")
    (photos / "two.csv").write_text("path,price,year\na/1.png,2,2024\nb/0.png,,2025\n")
    source = open_source(str(photos / "{one,two}.csv"))
    assert columns(source) == {"price": ["1", "2", None], "shop": ["x", None, None], "year": [None, "2024", "2025"]}
    for number, value in enumerate((1, "one")):
        held = {"image": [encoded(photo(8), "PNG")], "price": [value]}
        pq.write_table(pa.table(held), photos / f"{number}.parquet")
    assert columns(open_source(str(photos / "{0,1}.parquet"))) == {"price": ["1", "one"]}


def test_a_sample_has_the_values_of_its_images(photos):
    (photos / "t.csv").write_text("path,price\na/0.png,1\na/1.png,2\nb/0.png,3\n")
    source = open_source(photos / "t.csv", limit=2)
    prices = {"a/0.png": "1", "a/1.png": "2", "b/0.png": "3"}
    assert columns(source)["price"] == [prices[item.id] for item in source.items]


def test_the_nearest_table_beside_images_has_the_last_word(photos):
    (photos / "metadata.csv").write_text("file_name,price,shop\na/0.png,1,x\na/1.png,2,y\nb/0.png,3,z\n")
    (photos / "b" / "metadata.jsonl").write_text('{"file_name": "0.png", "price": 30, "year": 2024}\n')
    source = open_source(photos)
    assert [item.id for item in source.items] == ["a/0.png", "a/1.png", "b/0.png"]
    assert columns(source) == {"price": ["1", "2", "30"], "shop": ["x", "y", "z"], "year": [None, None, 2024]}


def test_a_table_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("0.png", encoded(photo(8), "PNG"))
        archive.writestr("1.png", encoded(photo(8), "PNG"))
        archive.writestr("metadata.csv", "file_name,price\n1.png,5\n")
    assert columns(open_source(tmp_path / "t.zip")) == {"price": [None, "5"]}


def test_what_a_program_holds(tmp_path):
    photo(8).save(tmp_path / "0.png")
    table = pa.table({"path": [str(tmp_path / "0.png")], "price": [2.5]})
    assert columns(open_source(table)) == {"price": [2.5]}
    assert columns(open_source([Image.new("RGB", (8, 8))])) == {}
