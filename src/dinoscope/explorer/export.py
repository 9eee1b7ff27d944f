"""Selected images as a file to take away, or as a collection of their own."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.errors import CollectionError, InputError
from dinoscope.explorer.model_view import NO_CODE, ModelData, position_of
from dinoscope.filing.names import is_reserved
from dinoscope.storage.annotations import History, append_act
from dinoscope.storage.columns import write_columns
from dinoscope.storage.details import FACTS, LOOK, QUALITY
from dinoscope.storage.files import csv_text, remove_leftover_folders, temporary, write_json
from dinoscope.storage.manifest import FORMAT, read_manifest
from dinoscope.storage.parts import draw_generation
from dinoscope.storage.tables import write_table

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["as_csv", "as_list", "safe_name", "write_collection"]

_LONGEST = 80  # characters of a name
_GROUP = 256  # details that are read together, as an embedding writes them
_log = logging.getLogger("dinoscope")


def as_csv(data: ModelData, rows: Sequence[int]) -> str:
    """Return images as CSV: row, id, label, split, cluster, predicted, probability.

    Raises:
        Unknown: If a row is not in the collection.
    """
    collection = data.collection
    positions = [position_of(collection, row) for row in rows]
    known = [column for column in data.view().columns if column.name in ("cluster", "predicted", "probability")]
    values = {column.name: data.column(column.name) for column in known}
    names = {column.name: column.values for column in known if column.kind == "category"}
    names["cluster"] = [str(number) for number in range(len(names.get("cluster", ())))]  # as every command calls it
    lines = []
    for row, at in zip(rows, positions, strict=True):
        label = " | ".join(collection.label_sets[at]) or collection.labels[at]
        cells = [collection.ids[at], label, collection.splits[at]]
        for name, column in values.items():
            if name in names:
                cells.append(None if column[at] == NO_CODE else names[name][column[at]])
            else:
                cells.append(f"{column[at]:.4f}")
        lines.append([row, *cells])
    return csv_text(["row", "id", "label", "split", *values], lines)


def as_list(collection: OpenedCollection, rows: Sequence[int]) -> str:
    """Return the ids of images, one a line; a line break in one is written with a backslash.

    Raises:
        Unknown: If a row is not in the collection.
    """
    names = [str(collection.ids[position_of(collection, row)]) for row in rows]
    return "".join(name.replace("\r", "\\r").replace("\n", "\\n") + "\n" for name in names)


def safe_name(name: str) -> str:
    """Return a name that is one of a file or folder on every system, made of what was asked for.

    Raises:
        InputError: If nothing is left of it.
    """
    kept = re.sub(r"[^\w .-]+", "-", name, flags=re.ASCII).strip(" .-")[:_LONGEST].rstrip(" .-")
    if not kept:
        raise InputError("a name needs letters or digits of the English alphabet")
    return f"{kept}_" if is_reserved(kept) else kept


def write_collection(collection: OpenedCollection, key: str, rows: Sequence[int], name: str) -> str:
    """Write images with their vectors and thumbnails as a collection beside this one; return its name.

    The copy has everything that is known about them: labels of the source and of people, columns, and facts from their
    files.
    It is a source of its own: embedding the old source into it again would bring everything back, and is refused.

    Args:
        collection: The collection.
        key: Key of the vectors.
        rows: Which images, each once; they get new row numbers, in this order.
        name: Name of its folder; see ``safe_name``.

    Raises:
        InputError: If there are none, a row is not in the collection, or nothing is left of the name.
        CollectionError: If there is something of this name, thumbnails are lost, or it cannot be written.
    """
    name = safe_name(name)
    positions = list(dict.fromkeys(position_of(collection, row) for row in rows))
    if not positions:
        raise InputError("rows must name at least one image")
    place = collection.path.resolve().parent
    if (place / name).exists():
        raise CollectionError(f"there is something called {name!r} already: choose another name")
    remove_leftover_folders(place)
    part = temporary(place / name)
    try:
        part.mkdir(0o700)
        _write(collection, key, positions, name, part)
        part.rename(place / name)
    except OSError as error:
        _log.warning("%s", error)  # with the path, which is nothing for the page
        raise CollectionError(f"cannot write the collection {name!r}: {_reason(error)}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return name


def _write(collection: OpenedCollection, key: str, positions: list[int], name: str, folder: Path) -> None:
    import pyarrow as pa

    rows = np.arange(len(positions), dtype=np.int64)
    sizes = collection.sizes[positions].astype(np.int32)
    source = {"kind": collection.kind, "name": name}
    keys = [collection.content_keys[at] for at in positions]
    # of what has no file, the key stands for the content already
    contents = [None if (held := collection.contents[at]) == collection.content_keys[at] else held for at in positions]
    texts = {"id": collection.ids, "label": collection.source_labels, "split": collection.splits}
    if any(collection.captions[positions]):
        texts["caption"] = collection.captions
    sets = [list(held) or None for held in collection.source_label_sets[positions]]
    generation = np.full(len(rows), draw_generation(), np.int64)
    columns: dict[str, object] = {
        "row": rows,
        "generation": generation,
        "removed": np.zeros(len(rows), bool),
        "key": pa.array(keys, pa.string()),
    }
    columns |= {column: pa.array(values[positions].tolist(), pa.string()) for column, values in texts.items()}
    columns |= {"labels": pa.array(sets, pa.list_(pa.string()))} if any(sets) else {}
    write_table(folder / "images.parquet", columns, {"source": source})
    shutil.copyfile(folder / "images.parquet", folder / "images.parquet.bak")
    write_table(
        folder / "details" / "part-00000.parquet",
        {
            "row": rows,
            "generation": generation,
            "width": sizes[:, 0],
            "height": sizes[:, 1],
            "thumbnail": pa.array(collection.thumbnails(positions), pa.binary()),
            "error": pa.array([None] * len(rows), pa.string()),
            "transient": np.zeros(len(rows), bool),
            "content": pa.array(contents, pa.string()),
            **_told_by_files(collection, positions),
        },
        group=_GROUP,
    )
    write_json(folder / "vectors" / key / "model.json", collection.model, checked=True)
    vectors = {"row": rows, "generation": generation, "vector": collection.vectors[positions]}
    write_table(folder / "vectors" / key / "part-00000.parquet", vectors)
    known = {name: each.take(np.asarray(positions)) for name, each in collection.stored_columns.items()}
    write_columns(folder, columns, known)
    said = collection.history().held
    holding = [collection.contents[at] for at in positions]
    of_these = {content: said[content] for content in holding if content in said}
    append_act(folder, History(), "set", of_these)
    kept = {name: value for name, value in read_manifest(collection.path).items() if name in ("range", "columns")}
    manifest = {"format": FORMAT, "source": source, "vectors": key, **kept}
    write_json(folder / "collection.json", manifest, checked=True)


def _told_by_files(collection: OpenedCollection, positions: list[int]) -> dict[str, object]:
    """Return what decoding told about images: the quality and look of their pictures, and what their files say."""
    import pyarrow as pa

    kinds = QUALITY | LOOK | FACTS
    found: dict[str, object] = {}
    for name, held in (collection.qualities | collection.looks | collection.file_facts).items():
        values = held[positions]
        if kinds[name] == "U":
            found[name] = pa.array(values.tolist(), pa.string())
        else:
            gone = np.isnan(values)
            found[name] = pa.array(np.where(gone, 0, values).astype(kinds[name]), mask=gone)
    return found


def _reason(error: OSError) -> str:
    """Return why something could not be written, without the path; a WriteError knows it from the error before it."""
    number = error.errno or getattr(error.__context__, "errno", None)
    return os.strerror(number) if number else "the terminal of the server says why"
