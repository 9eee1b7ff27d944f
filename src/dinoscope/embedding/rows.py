"""The row of every image ever seen: ``images.parquet`` brought to the state of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import remark
from dinoscope.base.typed import mismatch
from dinoscope.base.types import Columns, SourceDescription
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.sources.base import ImageSource
from dinoscope.storage.details import stored_contents
from dinoscope.storage.files import read_json, write_bytes, write_json
from dinoscope.storage.manifest import FORMAT, JSON_FILES, _backup, _is_foreign, read_manifest
from dinoscope.storage.tables import check_table, read_table, write_table

__all__ = ["check_folder", "synchronise"]

_Table: TypeAlias = dict[str, list[Any]]  # images.parquet: numbers, texts, bits
_COLUMNS = ("row", "id", "key", "label", "split", "removed")


def check_folder(path: Path, source: ImageSource) -> None:
    """Check, before anything is written, that a folder is new or a collection of this source.

    Raises:
        CollectionError: If it is neither.
    """
    held = _held_source(path)
    if held is not None and (held["kind"], held["name"]) != (source.kind, source.name):
        raise CollectionError(
            f"{path} holds the {held['kind']} {held['name']!r}, got the {source.kind} {source.name!r}: "
            "name another folder with -o"
        )
    if held is None and _is_foreign(path):
        raise CollectionError(f"{path} exists and is no collection: name a new or an empty folder with -o")


def synchronise(path: Path, source: ImageSource) -> tuple[NDArray[np.int64], int, bool]:
    """Give every image of the source its row in images.parquet; the lock must be held.

    A file that is new by name, size or time, but has the bytes of one that is gone, is that one: it was renamed, moved
    or only touched, and keeps its row.

    Returns:
        The row of each image of the source (N,), how many rows are newly marked as removed, and whether anything of
        the table changed.

    Raises:
        CollectionError: If the table and its copy are both lost.
    """
    _mend_manifest(path, source)
    _set_aside_notes(path)
    table = _read_images(path)
    rows = _known_rows(table, source)
    changed = _recognise(path, table, source, rows)
    changed |= _assign(table, source, rows)
    gone = np.ones(len(table["row"]), bool)
    gone[rows] = False
    before = np.asarray(table["removed"], bool)
    changed |= bool((gone != before).any())
    if changed:
        table["removed"] = gone.tolist()
        _write_images(path, table, source)
    elif not _backup(path).exists() or _backup(path).read_bytes() != (path / "images.parquet").read_bytes():
        _copy(path)  # a kill between the two, or a collection from before there was a copy
    return rows, int(np.count_nonzero(gone & ~before)), changed


def _held_source(path: Path) -> SourceDescription | None:
    """Return name and kind of the source of a collection, from its table of images if collection.json is damaged."""
    try:
        return read_manifest(path)["source"]
    except (FileNotFoundError, NotADirectoryError, DamagedError):
        pass
    for file in (path / "images.parquet", _backup(path)):
        try:
            known = read_table(file, ["row"])[1].get("source")
            if mismatch(known, SourceDescription) is None:
                return cast(SourceDescription, known)
        except (FileNotFoundError, NotADirectoryError, DamagedError):
            continue
    return None


def _mend_manifest(path: Path, source: ImageSource) -> None:
    file = path / "collection.json"
    try:
        read_manifest(path)
        return
    except FileNotFoundError:
        pass
    except DamagedError as error:
        remark(f"{file} was damaged ({error.reason}) and is written anew")
    described = {"format": FORMAT, "source": {"kind": source.kind, "name": source.name}}
    write_json(file, described, checked=True)


def _set_aside_notes(path: Path) -> None:
    """Rename what people decided, dismissed.json and answers.json, where it is damaged: nobody can make it anew.

    Other files in the folder are a person's own, such as a plan that was edited.
    """
    for file in (path / "dismissed.json", path / "answers.json"):
        try:
            read_json(file, JSON_FILES[file.name])
        except FileNotFoundError:
            continue
        except DamagedError as error:
            aside = file.with_name(f"{file.name}.damaged")
            file.replace(aside)
            remark(f"{file} was damaged ({error.reason}) and is now called {aside.name}: what it said is lost")


def _known_rows(table: _Table, source: ImageSource) -> NDArray[np.int64]:
    """Return the row of each image (N,), -1 for one whose id and key the table does not hold together.

    Hashes in an array: a dictionary of a million pairs would take 300 MB.
    """
    count = len(table["row"])
    if count == 0:
        return np.full(len(source.items), -1, np.int64)
    hashes = np.fromiter(map(hash, zip(table["id"], table["key"], strict=True)), np.int64, count)
    order = np.argsort(hashes, kind="stable")
    wanted = np.fromiter((hash((item.id, item.key)) for item in source.items), np.int64, len(source.items))
    nearest = order[np.minimum(np.searchsorted(hashes[order], wanted), count - 1)]
    return np.where(hashes[nearest] == wanted, nearest, -1)


def _recognise(path: Path, table: _Table, source: ImageSource, rows: NDArray[np.int64]) -> bool:
    """Give new images the rows of lost ones with the same bytes; return whether there were any."""
    unknown = np.flatnonzero(rows < 0).tolist()
    lost = np.ones(len(table["row"]), bool)
    lost[rows[rows >= 0]] = False
    if not unknown or not lost.any():
        return False
    rows_of: dict[str, list[int]] = {}
    for row, content in stored_contents(path, lost):
        rows_of.setdefault(content, []).append(row)
    found = False
    for index in unknown if rows_of else ():
        candidates = rows_of.get(source.content(index) or "")
        if candidates:
            item = source.items[index]
            row = next((each for each in candidates if table["id"][each] == item.id), candidates[0])
            candidates.remove(row)
            table["id"][row], table["key"][row], rows[index] = item.id, item.key, row
            found = True
    return found


def _assign(table: _Table, source: ImageSource, rows: NDArray[np.int64]) -> bool:
    """Bring the table to the state of the source, with new rows for new images; return whether it changes."""
    changed = False
    for index, item in enumerate(source.items):
        row = int(rows[index])
        if row < 0:
            rows[index] = row = len(table["row"])
            for name, value in zip(_COLUMNS, (row, item.id, item.key, item.label, item.split, False), strict=True):
                table[name].append(value)
            changed = True
        elif (table["label"][row], table["split"][row]) != (item.label, item.split):
            table["label"][row], table["split"][row] = item.label, item.split
            changed = True
    return changed


def _copy(path: Path) -> None:
    write_bytes(_backup(path), (path / "images.parquet").read_bytes())


def _write_images(path: Path, table: _Table, source: ImageSource) -> None:
    import pyarrow as pa

    columns: Columns = {"row": np.asarray(table["row"], np.int64), "removed": np.asarray(table["removed"], bool)}
    columns |= {name: pa.array(table[name], pa.string()) for name in ("id", "key", "label", "split")}
    meta = {"source": {"kind": source.kind, "name": source.name}}
    write_table(path / "images.parquet", columns, meta)
    _copy(path)


def _read_images(path: Path) -> _Table:
    """Read images.parquet, from its copy where it is damaged or gone."""
    file, reasons = path / "images.parquet", []
    for candidate in (file, _backup(path)):
        try:
            check_table(candidate)
            columns = {name: list(values) for name, values in read_table(candidate)[0].items()}
        except FileNotFoundError:
            continue
        except DamagedError as error:
            reasons.append(f"{candidate.name}: {error.reason}")
            continue
        if candidate != file:
            remark(f"{file} was {'damaged' if reasons else 'gone'} and is restored from its copy")
            write_bytes(file, candidate.read_bytes())
        return {name: columns[name] for name in _COLUMNS}
    if reasons or any(path.glob("vectors/*/part-*.parquet")):
        raise CollectionError(
            f"{path} has lost its table of images and the copy ({'; '.join(reasons) or 'both are gone'}), and with it "
            "which vector belongs to which image: embed the images again into a new folder"
        )
    return {name: [] for name in _COLUMNS}
