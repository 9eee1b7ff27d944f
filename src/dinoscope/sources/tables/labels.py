"""What the columns of labels and splits of a table say: a text for each image, or several."""

from __future__ import annotations

import ast
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dinoscope.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["is_hot", "is_list", "sets_in_texts", "sets_of_hot", "sets_of_texts", "texts"]

_ONES = frozenset(("1", "1.0", "true"))
_ZEROS = frozenset(("0", "0.0", "-1", "-1.0", "false", "none", "nan", ""))
_WHOLE = re.compile(r"-?\d+\.0")
_PLURAL = re.compile(r"(labels|tags|classes|categories|genres|attributes|findings?|objects|species)s?$")
_NUMPY = re.compile(r"(?<=['\"])\s+(?=['\"])")  # between the texts of an array as NumPy prints it


def texts(column: pa.ChunkedArray, classes: Sequence[str] | None = None) -> list[str | None]:
    """Return the values of a label or split column as texts (N,), None where there is none.

    Raises:
        SourceError: The column holds lists or the like.
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise SourceError(
            f"a column of labels or splits holds {kind}, expected texts or numbers: name another with --label-column "
            "or --split-column, or none"
        )
    values = column.unique().to_pylist()
    known: dict[object, str | None] = {None: None}
    # pandas makes floats of whole numbers where one is missing
    floats = None in values and all(value is None or _WHOLE.fullmatch(str(value)) for value in values)
    for value in values:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if classes is not None and isinstance(number, int):
            known[value] = classes[number] if 0 <= number < len(classes) else None  # -1: not labelled
        elif isinstance(number, float):
            known[value] = None if math.isnan(number) else str(kind.to_pandas_dtype()(number))  # 0.1 also as float32
        elif value is not None:
            known[value] = (str(number).removesuffix(".0") if floats else str(number)) or None
    return [known.get(value) for value in column.to_pylist()]


def sets_of_texts(column: pa.ChunkedArray, classes: Sequence[str] | None = None) -> list[tuple[str, ...]]:
    """Return the lists of a column of labels (N,), as texts."""
    import pyarrow as pa

    lists = column.to_pylist()
    flat = pa.chunked_array([pa.array([each for held in lists for each in held or ()], column.type.value_type)])
    names = iter(texts(flat, classes))
    return [tuple(name for _ in held or () if (name := next(names)) is not None) for held in lists]


def sets_of_hot(columns: Sequence[pa.ChunkedArray], names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the names of the columns that hold 1 in each row (N,)."""
    rows = zip(*(column.to_pylist() for column in columns), strict=True)
    return [tuple(name for name, value in zip(names, row, strict=True) if _plain(value) in _ONES) for row in rows]


def is_hot(column: pa.ChunkedArray) -> bool:
    """Tell whether a column says yes or no: 1 and 0, 1 and -1, or true and false; nothing is no."""
    import pyarrow as pa

    if pa.types.is_nested(column.type):  # of which Arrow cannot tell the different ones
        return False
    values = set(map(_plain, column.unique().to_pylist()))
    return bool(values & _ONES) and values <= _ONES | _ZEROS and len(column) > 1


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a column holds lists."""
    import pyarrow as pa

    kinds = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
    return any(getattr(pa.types, each)(kind) for each in kinds if hasattr(pa.types, each))


def sets_in_texts(values: Sequence[str | None], column: str) -> tuple[list[tuple[str, ...]], str] | None:
    """Return the labels of each image (N,) where its text holds several, and how they are written; None: it holds one.

    Texts are lists as JSON or Python writes them, or parts with "|", ";" or "," between them. Parts are labels unless
    all texts have the same number of them, as a path of classes has ("animal|cat"). With a comma they are labels
    where the column's name is a plural, where no space follows it, or where each part is also found elsewhere.
    """
    known = sorted({value for value in values if value})
    if not known:
        return None
    listed = {value: _parse_list(value) for value in known}
    if all(parts is not None for parts in listed.values()):
        return [listed[value] or () if value else () for value in values], "as lists"
    is_plural = _PLURAL.search(column.lower()) is not None
    for separator in ("|", ";", ","):
        parts = {value: tuple(filter(None, map(str.strip, value.split(separator)))) for value in known}
        counts = set(map(len, parts.values()))
        if max(counts) < 2 or not (is_plural or len(counts) > 1):
            continue
        if separator != "," or is_plural or _is_made_of_labels(parts):
            return [parts[value] if value else () for value in values], f"with {separator!r} between them"
    return None


def _is_made_of_labels(parts: dict[str, tuple[str, ...]]) -> bool:
    several = [value for value in parts if len(parts[value]) > 1]
    if not any(", " in value for value in several):
        return True
    found: dict[str, int] = defaultdict(int, Counter(each for held in parts.values() for each in set(held)))
    return all(found[each] > 1 for value in several for each in parts[value])


def _parse_list(text: str) -> tuple[str, ...] | None:
    """Return what a text holds that is a list of texts or numbers; None if it is none."""
    if text[0] + text[-1] not in ("[]", "()", "{}"):
        return None
    for read in (json.loads, lambda each: ast.literal_eval(_NUMPY.sub(", ", each))):
        try:
            held = read(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # a set of lists is none
            continue
        if isinstance(held, list | tuple | set) and all(isinstance(each, str | int | float) for each in held):
            return tuple(map(str, sorted(held, key=str) if isinstance(held, set) else held))
    return None


def _plain(value: object) -> str:
    return str(value).strip().lower()
