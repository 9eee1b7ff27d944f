"""The file of the columns: what was written comes back, and one with right checksums and wrong values is refused."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dinoscope.columns import Column
from dinoscope.errors import DamagedError
from dinoscope.storage.columns import COLUMNS, StoredColumn, changed_columns, read_columns, write_columns
from dinoscope.storage.tables import write_table

N = 4
NAN = float("nan")
IMAGES = {"removed": np.zeros(N, bool), "generation": np.asarray([7, 7, 9, 9])}
TEXTS = np.empty(N, object)
TEXTS[:] = ["a", None, "b", "a"]
HELD = {
    "width": StoredColumn(Column("number", np.asarray([1.5, NAN, 3, 4]))),
    "date": StoredColumn(Column("date", np.asarray([0.0, 1704110400.5, NAN, -86400]))),
    "sold": StoredColumn(Column("boolean", np.asarray([1.0, 0, NAN, 1]))),
    "sort": StoredColumn(Column("category", TEXTS)),
    "note": StoredColumn(Column("text", TEXTS, private=True), "own"),
}


def test_what_is_written_comes_back(tmp_path):
    assert read_columns(tmp_path, IMAGES) == {}
    assert changed_columns(tmp_path) == (0, 0)
    assert write_columns(tmp_path, IMAGES, HELD)
    before = changed_columns(tmp_path)
    found = read_columns(tmp_path, IMAGES)
    assert list(found) == list(HELD)
    for name, each in HELD.items():
        assert found[name].column.same_as(each.column), name
        assert found[name].origin == each.origin
    assert not write_columns(tmp_path, IMAGES, found)
    assert changed_columns(tmp_path) == before
    assert write_columns(tmp_path, IMAGES, {})
    assert not (tmp_path / COLUMNS).exists()
    assert not write_columns(tmp_path, IMAGES, {})


def test_other_programs_read_numbers_dates_and_texts(tmp_path):
    write_columns(tmp_path, IMAGES, HELD)
    table = pq.read_table(tmp_path / COLUMNS)
    assert [str(table.schema.field(name).type) for name in HELD] == [
        "double",
        "timestamp[us]",
        "bool",
        "string",
        "string",
    ]
    assert table.column("width").to_pylist() == [1.5, None, 3, 4]
    assert str(table.column("date")[1]) == "2024-01-01 12:00:00.500000"


def test_lines_of_other_images_are_missing(tmp_path):
    write_columns(tmp_path, IMAGES, HELD)
    other = {"removed": np.zeros(3, bool), "generation": np.asarray([7, 7, 8])}
    width = read_columns(tmp_path, other)["width"].column
    assert width.missing.tolist() == [False, True, True]
    assert len(width) == 3


def described(**changes):
    return {"name": "x", "kind": "number", "private": False, "origin": "source"} | changes


@pytest.mark.parametrize(
    ("columns", "meta"),
    [
        ({"x": [1.0]}, None),
        ({"x": [1.0]}, {"columns": {}}),
        ({"x": [1.0]}, {"columns": []}),
        ({"x": [1.0]}, {"columns": [described(name="y")]}),
        ({"x": [1.0]}, {"columns": [described(), described()]}),
        ({"x": [1.0]}, {"columns": [described(kind="picture")]}),
        ({"x": [1.0]}, {"columns": [described(kind="text")]}),
        ({"x": [1.0]}, {"columns": [described(private=1)]}),
        ({"x": [1.0]}, {"columns": [described(origin="space")]}),
        ({"x": [float("inf")]}, {"columns": [described()]}),
        ({"x": ["a"]}, {"columns": [described()]}),
        ({"x": ["a"]}, {"columns": [described(kind="boolean")]}),
        ({"x": [3.0]}, {"columns": [described(kind="boolean")]}),
        ({"x": ["a" * 40_000]}, {"columns": [described(kind="text")]}),
        ({"x": [[1.0]]}, {"columns": [described()]}),
        ({"x": [b"a"]}, {"columns": [described(kind="text")]}),
        ({"x": [1]}, {"columns": [described()]}),
        ({"row": [-1], "x": [1.0]}, {"columns": [described()]}),
        ({"row": ["0"], "x": [1.0]}, {"columns": [described()]}),
        ({"generation": [None], "x": [1.0]}, {"columns": [described()]}),
    ],
)
def test_a_crafted_file_is_refused(tmp_path, columns, meta):
    held = {"row": np.zeros(1, np.int64), "generation": np.full(1, 7)} | columns
    if "generation" in columns:
        held["generation"] = pa.array([None], pa.int64())
    write_table(tmp_path / COLUMNS, held, meta)
    with pytest.raises(DamagedError):
        read_columns(tmp_path, IMAGES)
