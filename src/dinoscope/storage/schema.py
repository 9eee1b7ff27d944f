"""What the tables of a collection must contain, from any writer: columns, types, ranges; see docs/format.md.

A checksum shows that a file is unchanged, but anybody can write one. So each table is checked once when it is read, and
later code can rely on it: no row number is below 0, and a vector has length 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MOST_LETTERS", "Schema", "check_types", "check_values", "schema_of"]

_UNIT = 1e-3  # how far the length of a vector may be from 1
MOST_LETTERS = 1 << 15  # letters of an id, a label, a reason
_MOST_ROWS = 100_000_000  # rows of a table, more than a machine can show: a few bytes can encode any number


@dataclass(frozen=True)
class Column:
    """A column: the types of Arrow that it may have, whether it may hold null, and whether older tables lack it."""

    types: tuple[str, ...]
    null: bool = False
    late: bool = False


Schema: TypeAlias = Mapping[str, Column]
_WHOLE, _PIXELS, _FLAG = Column(("int64",)), Column(("int32",)), Column(("bool",))
_DRAWN, _REAL = Column(("int64",), late=True), Column(("float",), null=True, late=True)
_PRECISE = Column(("double",), null=True, late=True)
_BYTES, _VECTOR = Column(("binary",), null=True), Column(("fixed_size_list<float>",))
_TEXT, _MAYBE = Column(("string", "large_string")), Column(("string", "large_string", "null"), null=True)
_LATE, _TEXTS = Column(_MAYBE.types, null=True, late=True), Column(("list<string>",), null=True, late=True)
_IMAGES = {"row": _WHOLE, "id": _TEXT, "key": _TEXT, "label": _MAYBE, "split": _MAYBE, "removed": _FLAG}
_IMAGES |= {"generation": _DRAWN, "caption": _LATE, "labels": _TEXTS}
_DETAILS = {"row": _WHOLE, "width": _PIXELS, "height": _PIXELS, "thumbnail": _BYTES, "error": _MAYBE}
_DETAILS |= {"transient": _FLAG, "content": _LATE, "note": _LATE, "generation": _DRAWN}
_DETAILS |= dict.fromkeys(("quality", "noise", "detail", "grain"), _REAL)
_DETAILS |= dict.fromkeys(("darkest", "lightest", "contrast", "sharpness", "frame", "ruled"), _REAL)
_DETAILS |= dict.fromkeys(("format", "camera", "lens"), _LATE)
_DETAILS |= dict.fromkeys(("date", "focal_length", "exposure", "f_number", "iso", "latitude", "longitude"), _PRECISE)
# numbers of which some are null become double, when a program reads and writes them
_DETAILS |= {"reduced": Column(("int32", "double"), null=True, late=True)}
_DETAILS |= {name: Column(("int64", "double"), null=True, late=True) for name in ("bytes", "modified")}
_VECTORS = {"row": _WHOLE, "vector": _VECTOR, "generation": _DRAWN}
_TAGS = Column(("list<string>", "null"), null=True)
_ANNOTATIONS = {"act": _WHOLE, "kind": _TEXT, "content": _MAYBE, "label": _MAYBE, "tags": _TAGS}
_ANNOTATIONS |= {"how": _TEXT, "who": _TEXT, "when": _WHOLE}
_ANY = "*"  # stands for each column that a schema does not name
_COLUMNS = {"row": _WHOLE, "generation": _WHOLE}
_COLUMNS |= {_ANY: Column(("double", "timestamp[us]", "bool", "string"), null=True)}


def schema_of(path: Path) -> Schema | None:
    """Return what a table of a collection holds, by its place; None for results, which differ from stage to stage."""
    if path.name in ("images.parquet", "images.parquet.bak"):
        return _IMAGES
    if path.name == "annotations.parquet":
        return _ANNOTATIONS
    if path.name == "columns.parquet":
        return _COLUMNS
    if path.parent.name == "details":
        return _DETAILS
    return _VECTORS if path.parent.parent.name == "vectors" else None


def check_types(table: pa.Schema, rows: int, schema: Schema, wanted: Sequence[str] | None) -> list[str]:
    """Check the columns of a table by its footer, before a value is read.

    Returns:
        The columns to read: those wanted, by default all that the schema names, and no others.

    Raises:
        ValueError: If one is missing or of another type.
    """
    if rows > _MOST_ROWS:
        raise ValueError(f"it has {rows:,} rows, expected at most {_MOST_ROWS:,}")
    chosen = []
    known = [*(name for name in schema if name != _ANY), *(table.names if _ANY in schema else ())]
    for name in dict.fromkeys(known) if wanted is None else [each for each in wanted if each in schema]:
        column = _told(schema, name)
        places = table.get_all_field_indices(name)
        if not places and column.late:
            continue
        if len(places) != 1:
            raise ValueError(f"its column {name!r} is {'missing' if not places else 'there twice'}")
        kind = _kind(table.field(places[0]).type)
        if kind not in column.types:
            raise ValueError(f"its column {name!r} holds {kind}, expected {column.types[0]}")
        chosen.append(name)
    return chosen


def check_values(table: pa.Table, values: Mapping[str, Any], schema: Schema, *, whole: bool) -> None:
    """Check what was read of a table; ``whole``, if that is all of its rows.

    Raises:
        ValueError: If something is out of its range.
    """
    for name in table.column_names:
        column = _told(schema, name)
        if table.column(name).null_count and not column.null:
            raise ValueError(f"its column {name!r} lacks a value")
        wrong = _out_of_range(values[name], column)
        if wrong:
            raise ValueError(f"its column {name!r} holds {wrong}")
    if schema is _IMAGES and whole and "row" in values and not _counts_up(values["row"]):
        raise ValueError("its rows are not 0, 1, 2, ...")
    if schema is _VECTORS and "vector" in values:
        lengths = np.sqrt(np.einsum("nd,nd->n", values["vector"], values["vector"]))
        odd = int((~(np.abs(lengths - 1) <= _UNIT)).sum())  # NaN and infinity fail this as well
        if odd:
            raise ValueError(f"{odd:,} vectors are not finite and of length 1")
    if schema is _DETAILS and {"width", "height", "error"} <= values.keys():
        read = np.asarray([error is None for error in values["error"]], bool)
        if (read & ((values["width"] < 1) | (values["height"] < 1))).any():
            raise ValueError("an image that could be read has no size")


def _told(schema: Schema, name: str) -> Column:
    return schema[name] if name in schema else schema[_ANY]


def _kind(kind: pa.DataType) -> str:
    text = str(kind)
    if text.startswith("fixed_size_list<") and kind.list_size > 0:
        return f"fixed_size_list<{kind.value_type}>"
    if text.startswith("list<"):
        return f"list<{kind.value_type}>"
    return text


def _held(texts: Iterable[str | None]) -> Iterable[str]:
    return (each for each in texts if each is not None)


def _out_of_range(values: Any, column: Column) -> str:
    """Return what a column holds and may not; empty if there is nothing."""
    if column in (_TEXT, _MAYBE, _LATE) and any(len(each) > MOST_LETTERS for each in _held(values)):
        return f"a text of more than {MOST_LETTERS:,} letters"
    if "list<string>" in column.types and any(each is None or len(each) > MOST_LETTERS for each in _inside(values)):
        return f"a list with null, or with a text of more than {MOST_LETTERS:,} letters"
    if column in (_WHOLE, _PIXELS) and values.min(initial=0) < 0:
        return "a number below 0"
    return "an infinite number" if column in (_REAL, _PRECISE) and np.isinf(values).any() else ""


def _inside(lists: Iterable[Sequence[str | None] | None]) -> Iterable[str | None]:
    return (each for held in lists for each in held or ())


def _counts_up(rows: NDArray[np.int64]) -> bool:
    return bool((rows == np.arange(len(rows))).all())
