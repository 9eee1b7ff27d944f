"""Tables that a Python program holds: of pandas, polars and Arrow, or as dictionaries."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

from dinoscope.columns.typing import table_without_views
from dinoscope.errors import InputError, SourceError
from dinoscope.sources.tables.columns import NO_COLUMN, TableColumns, check_wanted, is_plain
from dinoscope.sources.tables.files import column_of
from dinoscope.sources.tables.labels import sets_of_hot

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FramePictures", "as_table", "pictures_in_frame"]

_LABELS = ("label", "labels", "class", "target")


class FramePictures(NamedTuple):
    """The pictures of a data frame: image and label of each row, its split, and its other columns."""

    rows: list[dict[str, object]]
    splits: list[object] | None
    columns: dict[str, pa.Array]


def pictures_in_frame(source: Any, wanted: TableColumns) -> FramePictures | None:
    """Return the rows of a data frame with a column of Pillow's pictures or of arrays; None of another one.

    Raises:
        SourceError: Several columns hold pictures, or one that a person named is missing.
    """
    if not _is_frame(source) or not all(isinstance(name, str | int) for name in source.columns) or not len(source):
        return None
    names = {str(name): name for name in source.columns}
    held = {name: next((each for each in source[names[name]] if each is not None), None) for name in names}
    kinds = {name: isinstance(value, Image.Image) or getattr(value, "ndim", 0) > 1 for name, value in held.items()}
    images = [name for name in names if kinds[name] and wanted.image in (None, name)]
    if not images:
        return None
    if len(images) > 1:
        raise SourceError(f"several columns of table hold images ({', '.join(images)}): name one, --image-column")
    check_wanted(wanted, list(names), "table", ", ".join(names))
    label = wanted.label or next((name for name in names if name.lower() in _LABELS), None)
    split = wanted.split if wanted.split in names else None
    told = [label] if label in names else label.split(",") if label and label != NO_COLUMN else []
    taken = {*images, *told, split}
    others = [name for name in names if not kinds[name] and name not in taken]
    columns = {name: values for name in others if (values := _column(source, names[name])) is not None}
    pictures = list(source[names[images[0]]])
    labels: Sequence[object] = [None] * len(pictures) if not told else list(source[names[told[0]]])
    if len(told) > 1:
        labels = sets_of_hot([_frame(source[[names[name]]]).column(0) for name in told], told)
    return FramePictures(
        [{"image": picture, "label": each} for picture, each in zip(pictures, labels, strict=True)],
        None if split is None else list(source[names[split]]),
        {name: values.combine_chunks() for name, values in columns.items() if is_plain(values.type)},
    )


def _column(source: Any, name: str | int) -> pa.ChunkedArray | None:
    """Return a column of a data frame; None if it is of objects that a table cannot hold."""
    try:
        return _frame(source[[name]]).column(0)
    except SourceError:
        return None


def as_table(source: Any) -> pa.Table | None:
    """Return a data frame, a dictionary of columns or a list of dictionaries with paths as a table; otherwise None.

    Raises:
        InputError: Columns are not of one length.
    """
    if hasattr(source, "collect_schema") and hasattr(source, "collect"):  # polars has not read it yet
        source = source.collect()
    return _frame(source) if _is_frame(source) else _as_columns(source)


def _as_columns(source: object) -> pa.Table | None:
    import pyarrow as pa

    columns: dict[str, list[object]]
    if isinstance(source, Mapping) and source and all(isinstance(each, list | tuple) for each in source.values()):
        columns = {str(name): list(values) for name, values in source.items()}
        counts = {name: len(values) for name, values in columns.items()}
        if len(set(counts.values())) > 1:
            raise InputError(f"the columns of a table must be of one length, got {counts}")
    elif isinstance(source, list | tuple) and source and all(isinstance(each, Mapping) for each in source):
        plain = (str, int, float, list, tuple, set, os.PathLike, type(None))
        if not all(isinstance(value, plain) for value in source[0].values()):
            return None
        names = dict.fromkeys(name for each in source for name in each)
        columns = {str(name): [each.get(name) for each in source] for name in names}
    else:
        return None
    first = {name: next((each for each in values if each is not None), None) for name, values in columns.items()}
    if not any(isinstance(value, str | os.PathLike) for value in first.values()):
        return None
    return pa.table({name: column_of(list(map(_plain, values))) for name, values in columns.items()})


def _frame(source: Any) -> pa.Table:
    import pyarrow as pa

    try:
        table = pa.table(source)
    except (pa.ArrowException, TypeError):  # a column of Path objects, or a pandas from before the protocol
        table = pa.table({str(name): column_of(list(map(_plain, source[name]))) for name in source.columns})
    return table_without_views(table)


def _plain(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and value != value else value  # pandas has NaN for what is missing


def _is_frame(source: object) -> bool:
    """Tell whether it is a table of pandas, polars or Arrow; a series of theirs has no columns."""
    known = hasattr(source, "__arrow_c_stream__") or hasattr(source, "__dataframe__")
    return known and hasattr(source, "columns")
