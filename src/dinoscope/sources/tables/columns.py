"""Which columns of a table hold the images, the labels and the splits, and what the labels are called."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dinoscope.base.text import did_you_mean
from dinoscope.errors import SourceError
from dinoscope.sources.names import SUFFIXES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "NO_COLUMN",
    "ChosenColumns",
    "TableColumns",
    "check_names",
    "choose_columns",
    "is_list",
    "is_plain",
    "joined",
    "read_names",
    "sets_of_hot",
    "sets_of_texts",
    "texts",
]

NO_COLUMN = "none"
_LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "fine_label", "coarse_label")
_SPLIT = "split"
_ONES = (1, "1", "1.0", "True", True)
_CAPTIONS = ("caption", "text", "txt", "prompt")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_PREVIEW = 20  # first rows that tell what a column holds


@dataclass(frozen=True)
class TableColumns:
    """The columns that a person names; None leaves the choice to `choose_columns`, "none" is to have none.

    `root` is the folder that paths in the table are below, where it is not the table's own.
    """

    image: str | None = None
    label: str | None = None
    split: str | None = None
    root: str | None = None


@dataclass(frozen=True)
class ChosenColumns:
    """The columns of one table.

    Attributes:
        image: Name of the column of images.
        form: What it holds: "bytes", "struct" (Hugging Face: bytes and path) or "path".
        label: Name of the column of labels, if any.
        classes: Names of the label numbers, where the table has them.
        split: Name of the column of splits, if any.
        others: Further columns that look like images.
        caption: Name of the column of captions, if any.
        hot: Names of columns that say with 1 or 0 whether an image has the label of their name.
        told: Whether a person named the column of labels.
    """

    image: str
    form: str
    label: str | None
    classes: tuple[str, ...] | None
    split: str | None
    others: tuple[str, ...] = ()
    caption: str | None = None
    told: bool = False
    hot: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """One line that says what was chosen."""
        also = f" ({', '.join(self.others)} would do, too: --image-column)" if self.others else ""
        label, split = self.label or "none", self.split or "none"
        if self.hot:
            label = f"those of 0 and 1 ({', '.join(self.hot)})"
        caption = f"; caption column: {self.caption}" if self.caption else ""
        return f"image column: {self.image}{also}; label column: {label}; split column: {split}{caption}"


def check_names(names: Iterable[str], table: str) -> None:
    """Check that no two columns of a table have one name.

    Raises:
        SourceError: Some have: which is meant cannot be said.
    """
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise SourceError(f"{table} has several columns called {', '.join(map(repr, doubled))}: give each its own name")


def read_names(fields: pa.Schema | pa.DataType) -> None:
    """Read the names of all columns and of what is in them, since pyarrow reads each only when it is asked for.

    Raises:
        UnicodeDecodeError: One is no UTF-8.
    """
    import pyarrow as pa

    for index in range(len(fields) if isinstance(fields, pa.Schema) else fields.num_fields):
        field = fields.field(index)
        if field.name is not None:
            read_names(field.type)


def choose_columns(preview: pa.Table, wanted: TableColumns, table: str) -> ChosenColumns:
    """Choose columns by name and content.

    Args:
        preview: The first rows, with the metadata of the schema.
        wanted: What a person named.
        table: The table's name.

    Raises:
        SourceError: A column is missing or there twice, or several would do.
    """
    schema = preview.schema
    check_names(schema.names, table)
    listed = ", ".join(f"{field.name} ({field.type})" for field in schema)
    for option, name in (("image", wanted.image), ("label", wanted.label), ("split", wanted.split)):
        several = option == "label" and name is not None and set(name.split(",")) <= set(schema.names)
        if name is not None and not several and name not in schema.names and (name != NO_COLUMN or option == "image"):
            near = did_you_mean(name, schema.names)
            raise SourceError(f"{table} has no column {name!r} for --{option}-column; it has {listed}{near}")
    forms = {name: form for name in schema.names if (form := _image_form(preview.column(name))) is not None}
    image, others = _image_column(forms, wanted.image, table, listed)
    form = forms.get(image) or _named_form(schema.field(image).type)
    if form is None:
        raise SourceError(f"column {image!r} of {table} holds {schema.field(image).type}, expected bytes or paths")
    features = _features(schema)
    label = _label_column([name for name in schema.names if name != image], features, wanted.label, table)
    split = wanted.split or next((name for name in schema.names if name.lower() == _SPLIT), None)
    split = None if split == NO_COLUMN and NO_COLUMN not in schema.names else split
    hot = _hot_columns(preview, wanted.label, (image, label, split)) if label is None else ()
    names = _class_names(features.get(label, {})) if label else None
    classes = tuple(map(str, names)) if names and isinstance(names, list) else None
    free = [name for name in schema.names if name not in (image, label, split) and _is_text(schema.field(name).type)]
    caption = next((name for name in free if name.lower() in _CAPTIONS and name not in others), None)
    return ChosenColumns(image, form, label, classes, split, others, caption, wanted.label is not None, hot)


def texts(column: pa.ChunkedArray, classes: Sequence[str] | None = None) -> list[str | None]:
    """Return the values of a label or split column as texts (N,), None where there is none.

    Raises:
        SourceError: The column holds lists or the like.
    """
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or _is_binary(kind):
        raise SourceError(f"a column of labels or splits holds {kind}, expected texts or numbers")
    known: dict[object, str | None] = {None: None}
    for value in column.unique().to_pylist():
        # pandas makes floats of whole numbers where one is missing
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if classes is not None and isinstance(number, int):
            known[value] = classes[number] if 0 <= number < len(classes) else None  # -1: not labelled
        elif isinstance(number, float):
            known[value] = None if math.isnan(number) else str(kind.to_pandas_dtype()(number))  # 0.1 also as float32
        elif value is not None:
            known[value] = str(number) or None
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
    return [tuple(name for name, value in zip(names, row, strict=True) if value in _ONES) for row in rows]


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a column holds lists."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_plain(kind: pa.DataType) -> bool:
    """Tell whether a column holds numbers, dates, texts or lists of texts: neither bytes nor objects."""
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return _is_text(kind.value_type) if is_list(kind) else not (pa.types.is_nested(kind) or _is_binary(kind))


def joined(pieces: Sequence[pa.Array]) -> pa.Array:
    """Return the values of several tables one behind the other; where they are of several types, as texts."""
    import pyarrow as pa

    pieces = [each.cast(each.type.value_type) if pa.types.is_dictionary(each.type) else each for each in pieces]
    types = {each.type for each in pieces if not pa.types.is_null(each.type)}
    if len(types) > 1:
        return pa.array([None if each is None else str(each) for piece in pieces for each in piece.to_pylist()])
    kind = next(iter(types), pa.null())
    return pa.concat_arrays([pa.nulls(len(each), kind) if pa.types.is_null(each.type) else each for each in pieces])


def _hot_columns(preview: pa.Table, wanted: str | None, taken: Sequence[str | None]) -> tuple[str, ...]:
    """Return the columns of 0 and 1: those that a person names, else all where there are two or more."""
    if wanted is not None and wanted != NO_COLUMN:
        return tuple(wanted.split(","))
    found = [
        name
        for name in preview.column_names
        if name not in taken and not is_list(preview.schema.field(name).type) and _is_hot(preview.column(name))
    ]
    return tuple(found) if wanted is None and len(found) > 1 else ()


def _is_hot(column: pa.ChunkedArray) -> bool:
    values = set(map(str, column.unique().to_pylist()))
    return values <= {"0", "1", "True", "False", "0.0", "1.0"} and len(column) > 1


def _class_names(feature: Mapping[str, object]) -> object:
    inner = feature.get("feature")
    return feature.get("names") or (inner.get("names") if isinstance(inner, Mapping) else None)


def _image_column(forms: dict[str, str], wanted: str | None, table: str, listed: str) -> tuple[str, tuple[str, ...]]:
    if wanted is not None:
        return wanted, ()
    for held in (("bytes", "struct"), ("path",)):  # bytes are the picture itself
        found = [name for name, form in forms.items() if form in held]
        named = [name for name in found if name.lower() in ("image", "img", "file_name", "filename", "path")]
        if len(found) == 1 or len(named) == 1:
            image = (named or found)[0] if len(named) == 1 else found[0]
            return image, tuple(name for name in found if name != image)
        if found:
            raise SourceError(f"several columns of {table} hold images ({', '.join(found)}): name one, --image-column")
    raise SourceError(
        f"no column of {table} holds images (bytes of a file, or paths that end with {', '.join(SUFFIXES)}); "
        f"it has {listed}: name one with --image-column"
    )


def _label_column(
    names: Sequence[str], features: dict[str, dict[str, object]], wanted: str | None, table: str
) -> str | None:
    if wanted is not None:
        return None if wanted not in names else wanted  # none, or several
    found = [name for name in names if features.get(name, {}).get("_type") == "ClassLabel" and name != _SPLIT]
    found = found or [name for name in names if name.lower() in _LABELS]
    named = [name for name in found if name.lower() == "label"]
    if len(found) > 1 and len(named) != 1:
        raise SourceError(
            f"several columns of {table} may hold the labels ({', '.join(found)}): "
            f"name one with --label-column, or --label-column {NO_COLUMN}"
        )
    return next(iter(named or found), None)


def _features(schema: pa.Schema) -> dict[str, dict[str, object]]:
    """Read Hugging Face's description of the columns."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        return {name: held for name, held in features.items() if isinstance(held, dict)}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _image_form(column: pa.ChunkedArray) -> str | None:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_struct(kind):
        fields = {kind.field(index).name for index in range(kind.num_fields)}
        return "struct" if fields >= {"bytes", "path"} and _is_binary(kind.field("bytes").type) else None
    first = [value for value in column.slice(0, _PREVIEW).to_pylist() if value]
    if _is_binary(kind):
        return "bytes" if any(value.startswith(_MAGIC) or value[4:8] == b"ftyp" for value in first) else None
    if _is_text(kind) and any(str(value).lower().endswith(SUFFIXES) for value in first):
        return "path"
    return None


def _named_form(kind: pa.DataType) -> str | None:
    """Tell by its type what a column holds that a person named."""
    return "bytes" if _is_binary(kind) else "path" if _is_text(kind) else None


def _is_binary(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
