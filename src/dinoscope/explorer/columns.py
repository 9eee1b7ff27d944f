"""The columns of a collection for the explorer's page: which there are, values as bytes, texts that match."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.columns.kinds import Column
from dinoscope.columns.names import file_column
from dinoscope.errors import InputError
from dinoscope.explorer.model_view import NO_CODE, Unknown
from dinoscope.explorer.types import ColumnInfo, Columns, ColumnText, ColumnValue, Positions
from dinoscope.stages.columns import read_all

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["column_at", "column_bytes", "describe_columns", "find_in_column", "texts_of_image"]

_DAY = 86400.0


def describe_columns(columns: dict[str, Column], of_source: Container[str] = ()) -> Columns:
    """Return what there is; a column's index is its place. ``of_source``: names of those that are not of files."""
    return Columns(columns=[_info(name, column, _of_file(name, of_source)) for name, column in columns.items()])


def column_at(collection: OpenedCollection, index: int) -> Column:
    """Return a column by its place.

    Raises:
        Unknown: There is none.
    """
    columns = list(read_all(collection).values())
    if index >= len(columns):
        raise Unknown(f"there is no column {index}: there are {len(columns)}")
    return columns[index]


def column_bytes(column: Column) -> NDArray[np.float32] | NDArray[np.float64]:
    """Return numbers float32 (N,), dates as days since 1970, or places among the values of a category; NaN: missing.

    Dates are float64: as float32, photographs of the same two minutes would have one and the same.

    Raises:
        InputError: It holds texts.
    """
    if column.kind == "text":
        raise InputError("a column of texts has no numbers: look for a text in it")
    if column.kind == "date":
        return (column.values.astype(np.float64) / _DAY).astype("<f8")
    if column.kind == "number":
        with np.errstate(over="ignore"):
            return column.values.astype("<f4")
    places = {text: place for place, (text, _) in enumerate(column.counts[:NO_CODE])}
    return np.asarray([places.get(text, np.nan) for text in column.texts], "<f4")  # type: ignore[arg-type]


def find_in_column(column: Column, text: str) -> Positions:
    """Return the positions of the images whose text holds another one; case does not count.

    Raises:
        InputError: It holds no texts.
    """
    if column.kind != "text":
        raise InputError(f"this column is of kind {column.kind}: only one of texts can be searched")
    wanted, texts = text.casefold(), enumerate(column.values.tolist())
    return Positions(rows=[place for place, held in texts if held is not None and wanted in held.casefold()])


def texts_of_image(collection: OpenedCollection, at: int) -> list[ColumnText]:
    """Return what the columns say about one image, by position; without those that say nothing."""
    of_source = collection.columns_of_source
    told = ((name, column.text(at)) for name, column in read_all(collection).items())
    return [
        ColumnText(name=name, text=text, of_file=_of_file(name, of_source)) for name, text in told if text is not None
    ]


def _of_file(name: str, of_source: Container[str]) -> str | None:
    """Return what a column says of the files: a table's column of the same name says something else."""
    return None if name in of_source else file_column(name)


def _info(name: str, column: Column, of_file: str | None) -> ColumnInfo:
    low, high = column.range or (None, None)
    listed = column.counts[:NO_CODE] if column.kind in ("category", "boolean") else []
    return ColumnInfo(
        name=name,
        kind=column.kind,
        missing=int(column.missing.sum()),
        distinct=column.distinct,
        low=low,
        high=high,
        values=[ColumnValue(value=value, count=count) for value, count in listed],
        private=column.private,
        of_file=of_file,
    )
