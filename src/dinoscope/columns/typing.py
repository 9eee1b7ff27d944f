"""The kind of a table's column: by its type, and for texts by their content."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.columns.kinds import Column
from dinoscope.columns.names import free_name

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["as_column", "as_columns", "table_without_views", "without_views"]

_NOTHING = frozenset({"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "-"})
_YES, _NO = frozenset({"true", "yes"}), frozenset({"false", "no"})
_PHOTO_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d)(?=$|[ T])")  # as cameras write it
_PLACES = frozenset({"latitude", "longitude", "lat", "lon", "lng"})
_MICROSECONDS = 1e6
_MOST_LETTERS = 200  # of a name


def as_columns(held: Iterable[tuple[str, pa.ChunkedArray | pa.Array]], origin: str) -> dict[str, Column]:
    """Return columns of a table by the names that they have in a collection; see ``free_name``.

    One without a name, as pandas calls an index, and one that is neither numbers nor texts are left out.
    """
    named = [(name, values) for name, values in held if 0 < len(name.strip()) <= _MOST_LETTERS]
    found = ((free_name(name, origin), as_column(name, values)) for name, values in named)
    return {name: column for name, column in found if column is not None}


def as_column(name: str, values: pa.ChunkedArray | pa.Array) -> Column | None:
    """Return a column of a table as what it is.

    A text column of numbers, dates or yes and no is one of these, if each text that says anything is such a value.

    Args:
        name: Its name: latitude and longitude are private.
        values: What the table holds (N,).

    Returns:
        The column; None for objects, lists of objects and bytes, which are neither numbers nor texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    values = without_views(values)
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind, private = values.type, name.lower() in _PLACES or name.lower().startswith("gps")
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    if pa.types.is_boolean(kind):
        return Column("boolean", _numbers(values.cast(pa.float64())), private)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Column("number", _numbers(values.cast(pa.float64(), safe=False)), private)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Column("date", _seconds(values), private)
    if pa.types.is_null(kind):
        return Column.of_texts([None] * len(values), "text", private=private)
    if _is_text(kind):
        return _of_texts(pc.utf8_trim_whitespace(values), private)
    if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and _is_text(kind.value_type):
        joined = [None if held is None else ", ".join(each for each in held if each) for held in values.to_pylist()]
        return Column.of_texts(joined, private=private)
    if pa.types.is_nested(kind) or _is_binary(kind):
        return None
    return Column.of_texts([None if each is None else str(each) for each in values.to_pylist()], private=private)


def without_views(values: pa.ChunkedArray | pa.Array) -> Any:
    """Return a column of texts or bytes that are views, as polars has them, as one that all functions of Arrow take."""
    import pyarrow as pa

    kind = _without_views(values.type)
    if kind == values.type:
        return values
    plain = pa.array(values.to_pylist(), kind)
    return pa.chunked_array([plain]) if isinstance(values, pa.ChunkedArray) else plain


def table_without_views(table: pa.Table) -> pa.Table:
    """Return a table whose columns all functions of Arrow take; see ``without_views``."""
    import pyarrow as pa

    if all(_without_views(kind) == kind for kind in table.schema.types):
        return table
    columns = list(map(without_views, table.columns))
    return pa.Table.from_arrays(columns, table.column_names, metadata=table.schema.metadata)


def _without_views(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    inside = kind.value_type if pa.types.is_dictionary(kind) or any(is_kind(kind) for is_kind in lists) else None
    if inside is None or (plain := _without_views(inside)) == inside:
        return kind
    return plain if pa.types.is_dictionary(kind) else pa.list_(plain)


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    known = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)
    return any(is_kind(kind) for is_kind in known)


def _of_texts(values: pa.Array, private: bool) -> Column:
    """Return trimmed texts as numbers, dates, booleans, or texts."""
    import pyarrow as pa

    texts = values.to_pylist()
    said = {text for text in texts if text is not None and text not in _NOTHING}
    if said:
        if {text.lower() for text in said} <= _YES | _NO:
            found = [np.nan if text is None or text in _NOTHING else text.lower() in _YES for text in texts]
            return Column("boolean", np.asarray(found, np.float64), private)
        plain = pa.array([text if text in said else None for text in texts], pa.string())
        try:
            return Column("number", _numbers(plain.cast(pa.float64())), private)
        except pa.ArrowInvalid:
            pass
        dates = pa.array([None if text is None else _PHOTO_DATE.sub(r"\1-\2-\3", text) for text in plain.to_pylist()])
        for zone in (None, "UTC"):
            try:
                return Column("date", _seconds(dates.cast(pa.timestamp("us", zone))), private)
            except pa.ArrowInvalid:
                continue
    return Column.of_texts(texts, private=private)


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    found = np.array(values.to_numpy(zero_copy_only=False), np.float64)
    found[~np.isfinite(found)] = np.nan
    return found


def _seconds(values: pa.Array) -> NDArray[np.float64]:
    import pyarrow as pa

    whole = values.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    return _numbers(whole.cast(pa.float64(), safe=False)) / _MICROSECONDS  # past 2255 there is no float for each
