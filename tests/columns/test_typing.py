"""Which kind a column of a table is, and what its values are."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pytest

from dinoscope.columns import Column
from dinoscope.columns.names import ColumnChoice, free_name
from dinoscope.columns.typing import as_column, as_columns, without_views
from dinoscope.errors import InputError

NAN = float("nan")
NOON = 1704110400.0  # of 2024-01-01, UTC


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, None, 3]), "number", [1, NAN, 3]),
        (pa.array([1.5, float("inf"), float("nan")]), "number", [1.5, NAN, NAN]),
        (pa.array([decimal.Decimal("1.25")]), "number", [1.25]),
        (pa.array([True, None, False]), "boolean", [1, NAN, 0]),
        (pa.array([datetime.date(1970, 1, 2), None]), "date", [86400, NAN]),
        (pa.array([datetime.datetime(2024, 1, 1, 12)]), "date", [NOON]),
        (pa.array(["1", " 2.5 ", "", "NA", None, "1e3"]), "number", [1, 2.5, NAN, NAN, NAN, 1000]),
        (pa.array(["yes", "No", "", None]), "boolean", [1, 0, NAN, NAN]),
        (pa.array(["true", "FALSE"]), "boolean", [1, 0]),
        (pa.array(["2024-01-01", "", "2024-01-02"]), "date", [NOON - 43200, NAN, NOON + 43200]),
        (pa.array(["2024-01-01 12:00", "2024-01-01T12:00:00.5"]), "date", [NOON, NOON + 0.5]),
        (pa.array(["2024-01-01T14:00:00+02:00", "2024-01-01T12:00:00Z"]), "date", [NOON, NOON]),
        (pa.array(["2024:01:01 12:00:00"]), "date", [NOON]),
        (pa.array(["a", "b", "a", None]).dictionary_encode(), "category", ["a", "b", "a", None]),
        (pa.array(["a", "b", "a", " "]), "category", ["a", "b", "a", None]),
        (pa.array(["a", "b", "c"]), "text", ["a", "b", "c"]),
        (pa.array(["a" * 90, "a" * 90]), "text", ["a" * 90] * 2),
        (pa.array([["a", "b"], None, []]), "text", ["a, b", None, None]),
        (pa.chunked_array([["1"], ["2"]]), "number", [1, 2]),
        (pa.array([], pa.string()), "text", []),
        (pa.nulls(2), "text", [None, None]),
        (pa.array(["a", "b", "a", " "], pa.string_view()), "category", ["a", "b", "a", None]),
        (pa.array([["a", "b"], None], pa.list_(pa.string_view())), "text", ["a, b", None]),
        (pa.array([datetime.date(9999, 12, 31)]), "date", [253402214400]),
        (pa.array(["9999-12-31", ""]), "date", [253402214400, NAN]),
        (pa.array(["1", "b", "b"]), "category", ["1", "b", "b"]),
        (pa.array(["2024-01-01", "soon", "soon"]), "category", ["2024-01-01", "soon", "soon"]),
    ],
)
def test_kinds(values, kind, expected):
    found = as_column("x", values)
    assert found is not None
    assert (found.kind, found.private) == (kind, False)
    if kind in ("category", "text"):
        assert found.values.tolist() == expected
    else:
        np.testing.assert_allclose(found.values, expected)


def test_many_different_texts_are_no_categories():
    several = pa.array([f"name {number // 2}" for number in range(100)])
    many = pa.array([f"name {number // 2}" for number in range(1000)])
    found, other = as_column("x", several), as_column("x", many)
    assert (found and found.kind, other and other.kind) == ("category", "text")


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(1), pa.binary_view()])
def test_bytes_of_any_length_are_no_columns(kind):
    assert as_column("x", pa.array([b"x", None], kind)) is None


@pytest.mark.parametrize("values", [pa.array([b"x"]), pa.array([{"a": 1}]), pa.array([[1, 2]])])
def test_bytes_and_objects_are_no_columns(values):
    assert as_column("x", values) is None


@pytest.mark.parametrize("name", ["latitude", "Longitude", "lat", "lng", "GPSAltitude", "gps_lat"])
def test_places_are_private(name):
    found = as_column(name, pa.array([1.5]))
    assert found is not None
    assert found.private


@pytest.mark.parametrize("kind", [pa.string_view(), pa.binary_view(), pa.list_(pa.string_view())])
def test_views_become_what_all_functions_take(kind):
    values = ["a", None, "b"]
    given = pa.array([[each] for each in values] if pa.types.is_list(kind) else values, kind)
    found = without_views(pa.chunked_array([given]))
    assert found.to_pylist() == given.to_pylist()
    assert found.take(pa.array([2, None])).to_pylist() == [given.to_pylist()[2], None]


def test_columns_without_a_name_or_a_kind_are_left_out():
    held = {"": pa.array([0]), " ": pa.array([0]), "x" * 201: pa.array([0]), "b": pa.array([b"x"]), "id": pa.array([1])}
    assert list(as_columns(held.items(), "table")) == ["id (table)"]


def test_values_as_people_read_them():
    assert Column("number", np.asarray([3.0, 0.1 + 0.2, NAN, 1e20])).texts == ["3", "0.3", None, "1e+20"]
    assert Column("date", np.asarray([0.0, NOON, NAN])).texts == ["1970-01-01", "2024-01-01 12:00:00", None]
    assert Column("boolean", np.asarray([1.0, 0, NAN])).texts == ["yes", "no", None]
    assert Column("date", np.asarray([1e15])).texts == ["1000000000000000 s after 1970"]


def test_counts_and_ranges():
    texts = Column.of_texts(["b", "a", "b", None])
    assert (texts.counts, texts.distinct, texts.range) == ([("b", 2), ("a", 1)], 2, None)
    numbers = Column("number", np.asarray([2.0, NAN, 1, 2]))
    assert (numbers.distinct, numbers.range) == (2, (1.0, 2.0))
    with pytest.raises(InputError, match="got kind 'number'"):
        Column("number", np.asarray(["a"], object))


def test_a_choice_of_columns():
    assert ColumnChoice.of("all").takes("x")
    assert not ColumnChoice.of("none").takes("x")
    assert ColumnChoice.of(" a, b,a").names == ("a", "b")
    with pytest.raises(InputError, match="expected all, none, or names"):
        ColumnChoice.of("a,,b")
    assert [free_name(name, "table", ("size",)) for name in ("id", "size", "x")] == ["id (table)", "size (table)", "x"]
