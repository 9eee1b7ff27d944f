"""Which columns of a table hold the images, the labels and the splits, and what the labels are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dinoscope.base.splits import named_splits
from dinoscope.base.text import did_you_mean
from dinoscope.base.typed import parse_json
from dinoscope.errors import SourceError
from dinoscope.sources.names import SUFFIXES
from dinoscope.sources.tables.labels import is_hot, is_list

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "NO_COLUMN",
    "ChosenColumns",
    "TableColumns",
    "check_names",
    "choose_columns",
    "is_plain",
    "joined",
    "read_names",
]

NO_COLUMN = "none"
_LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "fine_label", "coarse_label")
_OTHER_LABELS = (  # where there is none of the former
    *("tag", "tags", "classes", "categories", "label_name", "label_names", "labelname", "class_label", "class_id"),
    *("species", "breed", "emotion", "finding_labels", "diagnosis", "variety", "cultivar", "style", "genre"),
)
_SPLIT = "split"
_OTHER_SPLITS = ("splits", "set", "subset", "partition", "usage", "phase", "data_split", "dataset_split", "fold")
_PATHS = ("file_name", "filename", "file_path", "filepath", "image_path", "path", "image", "img", "image_id", "id")
_CAPTIONS = ("caption", "text", "txt", "prompt")
_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_PREVIEW = 20  # first rows that tell what a column holds
_SUGGESTED = 2  # columns that may be labels


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
        may_be_labels: Names of columns whose values repeat, where no column was taken for the labels.
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
    may_be_labels: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """One line that says what was chosen."""
        also = f" ({', '.join(self.others)} would do, too: --image-column)" if self.others else ""
        label, split = self.label or "none", self.split or "none"
        if self.hot:
            label = f"those of 0 and 1 ({', '.join(self.hot)})"
        if self.may_be_labels:
            label = f"none ({' or '.join(self.may_be_labels)} could be: --label-column)"
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


def check_wanted(wanted: TableColumns, names: Sequence[str], table: str, listed: str) -> None:
    """Check that a table has the columns that a person named.

    Args:
        wanted: What a person named.
        names: The columns that it has.
        table: The table's name.
        listed: Its columns as people read them.

    Raises:
        SourceError: One is missing.
    """
    for option, name in (("image", wanted.image), ("label", wanted.label), ("split", wanted.split)):
        several = option == "label" and name is not None and set(name.split(",")) <= set(names)
        if name is not None and not several and name not in names and (name != NO_COLUMN or option == "image"):
            near = did_you_mean(name, names)
            raise SourceError(f"{table} has no column {name!r} for --{option}-column; it has {listed}{near}")


def read_names(fields: pa.Schema | pa.DataType) -> None:
    """Read the names of all columns and of what is in them, since pyarrow reads each only when it is asked for.

    Raises:
        UnicodeDecodeError: If one is not UTF-8.
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
    check_wanted(wanted, schema.names, table, listed)
    forms = {name: form for name in schema.names if (form := _image_form(preview.column(name))) is not None}
    if not forms and wanted.image is None:  # names without endings
        known = {_plain(name): name for name in schema.names if _is_text(schema.field(name).type)}
        forms = {known[name]: "path" for name in [each for each in _PATHS if each in known][:1]}
    image, others = _image_column(forms, wanted.image, table, listed)
    form = forms.get(image) or _named_form(schema.field(image).type)
    if form is None:
        raise SourceError(f"column {image!r} of {table} holds {schema.field(image).type}, expected bytes or paths")
    features = _features(schema)
    label = _label_column([name for name in schema.names if name != image], features, wanted.label, table)
    split = wanted.split or _split_column(preview, (image, label))
    split = None if split == NO_COLUMN and NO_COLUMN not in schema.names else split
    hot = _hot_columns(preview, wanted.label, (image, label, split)) if label is None else ()
    names = _class_names(features.get(label, {})) if label else None
    classes = tuple(map(str, names)) if names and isinstance(names, list) else None
    free = [name for name in schema.names if name not in (image, label, split) and _is_text(schema.field(name).type)]
    caption = next((name for name in free if name.lower() in _CAPTIONS and name not in others), None)
    may_be = [name for name in free if name not in (*others, caption) and _repeats(preview.column(name))]
    may_be = [] if label is not None or hot or wanted.label is not None else may_be[:_SUGGESTED]
    return ChosenColumns(
        image, form, label, classes, split, others, caption, wanted.label is not None, hot, tuple(may_be)
    )


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
        if name not in taken and not is_list(preview.schema.field(name).type) and is_hot(preview.column(name))
    ]
    return tuple(found) if wanted is None and len(found) > 1 else ()


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
    if not found:
        others = [name for name in names if _plain(name) in _OTHER_LABELS]
        return others[0] if len(others) == 1 else None
    named = [name for name in found if name.lower() == "label"]
    if len(found) > 1 and len(named) != 1:
        raise SourceError(
            f"several columns of {table} may hold the labels ({', '.join(found)}): "
            f"name one with --label-column, or --label-column {NO_COLUMN}"
        )
    return next(iter(named or found), None)


def _split_column(preview: pa.Table, taken: Sequence[str | None]) -> str | None:
    """Return the column called "split", or another usual name where its values are splits."""
    names: list[str] = [name for name in preview.column_names if name not in taken]
    for name in names:
        if name.lower() == _SPLIT:
            return name
    for name in names:
        if _plain(name) in _OTHER_SPLITS and _is_text(preview.schema.field(name).type):
            values = {value for value in preview.column(name).to_pylist() if value}
            if values and values <= named_splits(values).keys():
                return name
    return None


def _repeats(column: pa.ChunkedArray) -> bool:
    """Tell whether some values of a column are there several times, and not all are the same."""
    known = column.drop_null()
    return 1 < len(known.unique()) <= len(known) / 2


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def _features(schema: pa.Schema) -> dict[str, dict[str, object]]:
    """Read Hugging Face's description of the columns."""
    try:
        features = parse_json((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
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
