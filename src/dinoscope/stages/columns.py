"""The columns of a collection (from tables, from files, and added by people), and conditions on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import did_you_mean
from dinoscope.columns.conditions import Sets, parse_condition
from dinoscope.columns.kinds import Column
from dinoscope.columns.names import FILE_COLUMNS, PRIVATE, free_name
from dinoscope.columns.typing import as_columns, without_views
from dinoscope.errors import InputError, SourceError
from dinoscope.sources.tables.columns import check_names
from dinoscope.stages.clusters import newest_clusters
from dinoscope.storage.columns import StoredColumn, read_columns, write_columns
from dinoscope.storage.locks import locked
from dinoscope.storage.parts import read_images

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Frame", "add_columns", "matching", "narrow", "public_columns", "public_condition", "read_all"]

Frame: TypeAlias = Any  # a table of pandas, polars or Arrow, or a dictionary of columns: what ``pyarrow.table`` takes


def read_all(collection: OpenedCollection) -> dict[str, Column]:
    """Return all columns of a collection; see ``Collection.columns``."""
    return collection.held("columns", lambda: _read_all(collection))


def public_columns(collection: OpenedCollection, *, private: bool = False) -> dict[str, Column]:
    """Return the columns that others may see; all with ``private``."""
    return {name: column for name, column in read_all(collection).items() if private or not column.private}


def public_condition(collection: OpenedCollection, *, private: bool = False) -> str | None:
    """Return the condition of all images in the form that others may see; None without one.

    A condition on a private column is shown as dots, because it could reveal values. ``private`` shows it.
    """
    text = collection.condition
    if text is None or private:
        return text
    hidden = {*PRIVATE, *(name for name, column in read_all(collection).items() if column.private)}
    named = {name.casefold() for name in parse_condition(text).names}
    return "..." if named & {name.casefold() for name in hidden} else text


def matching(collection: OpenedCollection, condition: str) -> NDArray[np.bool_]:
    """Return which images meet a condition (N,); see ``Collection.matching``."""
    asked = parse_condition(condition)
    columns: dict[str, Column | Sets] = dict(read_all(collection))
    clusters = _clusters(collection)
    columns |= _built_in(collection)
    if clusters is not None:
        columns["cluster"] = clusters
    elif "cluster" in asked.names:
        raise InputError(f"{collection.path} has no clusters yet: run 'dinoscope cluster {collection.path}' first")
    return asked.matches(columns)


def narrow(collection: OpenedCollection, condition: str) -> None:
    """Leave out the images that do not meet a condition."""
    collection.narrow(matching(collection, condition), condition)


def add_columns(collection: OpenedCollection, table: Frame) -> list[str]:
    """Add columns of a person's own; see ``Collection.add_columns``."""
    import pyarrow as pa

    try:
        held = pa.table(table)
    except Exception as error:  # a program may pass anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"expected a table of pandas, polars or Arrow, or a dictionary of columns: {reason}") from None
    try:
        check_names(held.column_names, "the table")
    except SourceError as error:
        raise InputError(str(error)) from None
    if "id" not in held.column_names:
        raise InputError(f"the table needs a column 'id' with the images' ids; it has {', '.join(held.column_names)}")
    places = {name: place for place, name in enumerate(map(str, held.column("id").to_pylist()))}
    taken = [places.get(name) for name in collection.ids.tolist()]
    if not any(place is not None for place in taken):
        first = next(iter(places), "")
        near = did_you_mean(first, collection.ids.tolist())
        raise InputError(f"no image of the collection is called {first!r}, and so with all ids of the table{near}")
    order = pa.array(taken, pa.int64())
    own = ((name, without_views(held.column(name))) for name in held.column_names if name != "id")
    found = as_columns(((name, values.take(order)) for name, values in own), "own")
    with locked(collection.path, 60.0):
        images = read_images(collection.path)
        known = read_columns(collection.path, images)
        for name, column in found.items():
            if name in known and known[name].origin == "source":
                raise InputError(f"the source of the images has a column {name!r} already: give yours another name")
            before = known[name].column if name in known and collection.condition is not None else None
            placed = _among_others(name, column, before, collection.rows, len(images["row"]))
            known[name] = StoredColumn(placed, "own")
        write_columns(collection.path, images, known)
    collection.forget_columns()
    return list(found)


def _among_others(name: str, column: Column, before: Column | None, rows: NDArray[np.int64], count: int) -> Column:
    """Return the values of some images among those of the others, which stay.

    Raises:
        InputError: If the others have values of another kind.
    """
    if before is None or before.goes_with(column):
        return Column.of_rows(column, rows, count, before)
    others = ~before.missing
    others[rows] = False
    if others.any():
        raise InputError(
            f"column {name!r} holds values of kind {before.kind} for the other images, got {column.kind}: open the "
            "collection without a condition, and give all values"
        )
    return Column.of_rows(column, rows, count)


def _read_all(collection: OpenedCollection) -> dict[str, Column]:
    wanted = collection.wanted_columns
    found = dict(collection.columns_of_source)
    told = {name: column for name, column in _of_files(collection).items() if wanted.takes(name)}
    return found | {free_name(name, "file", found): column for name, column in told.items()}


def _of_files(collection: OpenedCollection) -> dict[str, Column]:
    """Return what files say and what decoding found. A column without a value is left out."""
    held: dict[str, Any] = dict(collection.file_facts)
    size = collection.sizes.astype(np.float64)
    held |= {"width": size[:, 0], "height": size[:, 1], "aspect": size[:, 0] / size[:, 1]}
    held["size"] = collection.qualities["bytes"]
    held["folder"] = _folders(collection)
    columns = {name: Column(kind, held[name], name in PRIVATE) for name, kind in FILE_COLUMNS.items()}
    return {name: column for name, column in columns.items() if not column.missing.all()}


def _folders(collection: OpenedCollection) -> NDArray[np.object_]:
    """Return the folder of each image, None where it lies in none."""
    folders = np.full(len(collection), None, object)
    if collection.kind in ("folder", "archive"):
        folders[:] = [name.rpartition("/")[0] or None for name in collection.ids.tolist()]
    return folders


def _built_in(collection: OpenedCollection) -> Mapping[str, Column | Sets]:
    several = any(collection.label_sets)
    labels: Column | Sets = Column("category", _texts(collection.labels))
    if several:
        own = [(label,) if label is not None else () for label in collection.labels.tolist()]
        sets = np.empty(len(collection), object)
        sets[:] = [held or one for held, one in zip(collection.label_sets.tolist(), own, strict=True)]
        labels = Sets(sets, none_is_missing=True)
    said = collection.history().held
    tags = np.empty(len(collection), object)
    tags[:] = [()] * len(collection)
    if said:
        tags[:] = [said[key].tags if key in said else () for key in collection.contents]
    return {
        "label": labels,
        "split": Column("category", _texts(collection.splits)),
        "tag": Sets(tags),
        "id": Column("text", _texts(collection.ids)),
        "caption": Column("text", _texts(collection.captions)),
    }


def _texts(values: NDArray[np.object_]) -> NDArray[np.object_]:
    found = np.empty(len(values), object)
    found[:] = [None if value is None else str(value) for value in values.tolist()]
    return found


def _clusters(collection: OpenedCollection) -> Column | None:
    """Return the number of each image's cluster in the latest clustering; None if there is none."""
    labels = newest_clusters(collection)
    return None if labels is None else Column("number", np.where(labels < 0, np.nan, labels).astype(np.float64))
