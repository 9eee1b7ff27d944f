"""Columns of images beside their labels: ``columns.parquet``, one line for each row of the table of images."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.typed import Within, mismatch
from dinoscope.base.types import Columns
from dinoscope.columns.kinds import NUMERIC, Column, Kind
from dinoscope.errors import DamagedError
from dinoscope.storage.parts import is_known
from dinoscope.storage.schema import MOST_LETTERS
from dinoscope.storage.tables import read_table, write_table

__all__ = ["COLUMNS", "StoredColumn", "changed_columns", "check_columns", "read_columns", "write_columns"]

COLUMNS = "columns.parquet"
_KEPT_APART = ("row", "generation")
_MICROSECONDS = 1e6


class _Described(TypedDict):
    """What the file's metadata says about a column."""

    name: Annotated[str, Within(1, MOST_LETTERS)]
    kind: Kind
    private: bool
    origin: Literal["source", "own"]


class _Meta(TypedDict):
    columns: list[_Described]


@dataclass(frozen=True, eq=False)
class StoredColumn:
    """A column of all rows (R,), and where it is from.

    Attributes:
        column: Its values, by row.
        origin: "source": from the source of the images, and embedding updates it. "own": a person added it, and it
            stays.
    """

    column: Column
    origin: Literal["source", "own"] = "source"

    def take(self, positions: NDArray[np.int64]) -> StoredColumn:
        """Return the column of some rows."""
        return StoredColumn(self.column.take(positions), self.origin)


def changed_columns(path: Path) -> tuple[int, int]:
    """Return a state that changes with the file of the columns: its time and size."""
    try:
        found = (path / COLUMNS).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def read_columns(path: Path, images: Columns) -> dict[str, StoredColumn]:
    """Return the stored columns by name; none without a file.

    Args:
        path: The collection.
        images: Columns of images.parquet, removed and generation among them: what is of other rows is missing.

    Raises:
        DamagedError: If the file is damaged, or its content is impossible.
    """
    file = path / COLUMNS
    try:
        held, meta = read_table(file)
    except FileNotFoundError:
        return {}
    wrong = mismatch(meta, _Meta)
    described = cast(_Meta, meta)["columns"] if wrong is None else []
    if wrong is None and [each["name"] for each in described] != [name for name in held if name not in _KEPT_APART]:
        wrong = "its columns are not those that it says"
    if wrong is not None:
        raise DamagedError(file, wrong)
    known, rows, count = is_known(held, images), held["row"], len(images["removed"])
    found = {}
    for each in described:
        try:
            values = _values(each["kind"], held[each["name"]])
        except (TypeError, ValueError):
            raise DamagedError(file, f"its column {each['name']!r} is of no {each['kind']}") from None
        placed = np.full(count, np.nan if each["kind"] in NUMERIC else None, values.dtype)
        placed[rows[known]] = values[known]
        found[each["name"]] = StoredColumn(Column(each["kind"], placed, each["private"]), each["origin"])
    return found


def check_columns(path: Path) -> None:
    """Check that the file of the columns is valid, for any state of the table of images.

    Raises:
        DamagedError: It is not.
    """
    read_columns(path, {"removed": np.zeros(0, bool)})


def write_columns(path: Path, images: Columns, columns: Mapping[str, StoredColumn]) -> bool:
    """Write columns of all rows (R,) if they differ from the stored ones; return whether anything was written.

    The caller holds the collection's lock.

    Raises:
        WriteError: If it cannot be written.
    """
    file = path / COLUMNS
    with suppress(DamagedError):  # then it is written again
        known = read_columns(path, images)
        same = list(known) == list(columns) and all(
            known[name].origin == each.origin and known[name].column.same_as(each.column)
            for name, each in columns.items()
        )
        if same and (columns or not file.exists()):
            return False
    if not columns:
        file.unlink(missing_ok=True)
        return True
    count = len(images["removed"])
    described = [
        _Described(name=name, kind=each.column.kind, private=each.column.private, origin=each.origin)
        for name, each in columns.items()
    ]
    rows = {"row": np.arange(count, dtype=np.int64), "generation": np.asarray(images["generation"], np.int64)}
    write_table(
        file, rows | {name: _stored(each.column) for name, each in columns.items()}, {"columns": described}, within=path
    )
    return True


def _stored(column: Column) -> Any:
    """Return values in Arrow's types, so that other programs see numbers, dates and texts."""
    import pyarrow as pa

    gone = column.missing
    if column.kind == "boolean":
        return pa.array(column.values == 1, pa.bool_(), mask=gone)
    if column.kind == "number":
        return pa.array(column.values, pa.float64(), mask=gone)
    if column.kind == "date":
        whole = np.rint(np.where(gone, 0, column.values.astype(np.float64)) * _MICROSECONDS).astype(np.int64)
        return pa.array(whole, pa.timestamp("us"), mask=gone)
    return pa.array([value and value[:MOST_LETTERS] for value in column.values.tolist()], pa.string())


def _values(kind: Kind, held: Any) -> Any:
    """Return what was read from a column in the form of its kind.

    Raises:
        TypeError, ValueError: It holds something else.
    """
    if kind in NUMERIC:
        wanted = {"boolean": "bO", "number": "f", "date": "f"}[kind]
        if getattr(held, "dtype", np.dtype(object)).kind not in wanted:
            raise TypeError("no numbers")
        values = np.asarray(held, np.float64)  # null of booleans becomes NaN
        if np.isinf(values).any() or (kind == "boolean" and not np.isin(values[~np.isnan(values)], (0, 1)).all()):
            raise ValueError("impossible numbers")
        return values
    if any(each is not None and (not isinstance(each, str) or len(each) > MOST_LETTERS) for each in held):
        raise TypeError("no texts")
    values = np.empty(len(held), object)
    values[:] = held
    return values
