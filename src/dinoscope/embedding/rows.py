"""The row of every image ever seen: ``images.parquet`` brought to the state of a source."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import counted, remark
from dinoscope.base.typed import mismatch
from dinoscope.base.types import Columns, SourceDescription
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.items import Item
from dinoscope.storage.annotations import ANNOTATIONS, read_history
from dinoscope.storage.details import stored_contents
from dinoscope.storage.files import read_json, write_bytes, write_json
from dinoscope.storage.manifest import (
    FORMAT,
    JSON_FILES,
    _backup,
    _is_foreign,
    is_range,
    read_manifest,
    update_manifest,
)
from dinoscope.storage.parts import draw_generation, is_known
from dinoscope.storage.schema import MOST_LETTERS
from dinoscope.storage.tables import check_table, keep_lines, list_parts, read_table, write_table

__all__ = ["Synchronised", "check_folder", "stored_rule", "synchronise"]

_Table: TypeAlias = dict[str, Any]  # images.parquet: lists of numbers, texts and bits; an array of generations
_COLUMNS = ("row", "id", "key", "label", "split", "removed")
_OPTIONAL = ("caption", "labels")  # stored where any image has one
_SAID = ("label", "split", *_OPTIONAL)  # may change while an image stays the same


class Synchronised(NamedTuple):
    """What a table of images is now.

    Attributes:
        rows: The row of each image of the source (N,).
        generations: The generation of each row (R,).
        removed: How many rows are newly marked as removed.
        relabelled: How many rows have another label or split than before.
        changed: Whether anything of the table changed.
    """

    rows: NDArray[np.int64]
    generations: NDArray[np.int64]
    removed: int
    relabelled: int
    changed: bool


def check_folder(path: Path, source: ImageSource, moved: bool = False) -> None:
    """Check before any write that a folder is new or a collection of this source.

    A collection without a vector belongs to no source: a failed first run does not count.

    Args:
        path: The folder.
        source: The images.
        moved: Whether a source of another name or kind is accepted.

    Raises:
        CollectionError: If it is neither.
    """
    held = _held_source(path)
    if held is not None and held != _described(source) and not moved and _has_vectors(path):
        raise CollectionError(
            f"{path} holds the {held['kind']} {held['name']!r}, got the {source.kind} {source.name!r}: if these are "
            f"the same images under a new name or in a new place, 'dinoscope embed SOURCE -o {path} --moved' keeps "
            "their vectors; otherwise name another folder with -o"
        )
    if held is None and _is_foreign(path):
        raise CollectionError(f"{path} exists and is not a collection: name a new or an empty folder with -o")


def stored_rule(path: Path) -> FolderRule | None:
    """Return what a collection keeps of how the names of folders become labels and splits; None without a choice."""
    try:
        held = read_manifest(path).get("folders")
    except (FileNotFoundError, NotADirectoryError, DamagedError):
        return None
    return None if held is None else FolderRule.from_json(held)


def synchronise(path: Path, source: ImageSource, *, moved: bool = False, replace: bool = False) -> Synchronised:
    """Give every image of the source its row in images.parquet; the lock must be held.

    A file that is new by name, size or time, but has the bytes of a missing one, is that file: it was renamed, moved or
    only touched, and keeps its row. Unknown rows are removed from the parts first, so that a new row is beyond all rows
    of the parts.

    Args:
        path: The collection.
        source: The images.
        moved: Whether a source of another name or kind is accepted.
        replace: Whether a source that shares no image with the collection is welcome.

    Raises:
        CollectionError: If the table and its copy are both lost, or the collection holds other images.
    """
    check_folder(path, source, moved)  # again, for the process that was waited for may have made it
    held = _held_source(path)
    if held not in (None, _described(source)) and not _has_vectors(path):
        _forget(path)
    _mend_manifest(path, source)
    _set_aside_notes(path)
    table = _read_images(path)
    _drop_unknown(path, table)
    rows = _known_rows(table, source)
    changed = _recognise(path, table, source, rows)
    if not replace and _has_vectors(path):
        _check_shared(path, table, source, rows)
    changed |= _rename_source(path, source)
    new = int(np.count_nonzero(rows < 0))
    relabelled, other = _assign(table, source, rows)
    changed |= bool(new or relabelled or other)
    gone = np.ones(len(table["row"]), bool)
    gone[rows] = False
    before = np.asarray(table["removed"], bool)
    changed |= bool((gone != before).any())
    if changed:
        table["removed"] = gone.tolist()
        _write_images(path, table, source)
    elif not _backup(path).exists() or _backup(path).read_bytes() != (path / "images.parquet").read_bytes():
        _copy(path)  # a kill between the two, or a collection from before there was a copy
    return Synchronised(rows, table["generation"], int(np.count_nonzero(gone & ~before)), relabelled, changed)


def _drop_unknown(path: Path, table: _Table) -> None:
    """Remove from the parts what does not belong to images of the table, and vectors that are there twice.

    This happens in a folder that was copied during a write, restored, or merged from two copies.
    """
    for folder in (path / "details", *(path / "vectors").glob("*")):
        seen = np.zeros(len(table["removed"]), bool)
        for part in list_parts(folder):
            try:
                lines = read_table(part, ["row", "generation"])[0]
                keep = is_known(lines, table)
                if folder.parent.name == "vectors":  # of details, a later part overrides an earlier one
                    keep[keep] = ~seen[lines["row"][keep]]
                seen[lines["row"][keep]] = True
                if not keep.all():
                    keep_lines(part, keep)
                    count = int((~keep).sum())
                    remark(f"{part} had {count:,} lines of another copy or collection: they are dropped")
            except DamagedError:  # made again when it is needed, and never trusted until then
                continue


def _described(source: ImageSource) -> SourceDescription:
    return {"kind": source.kind, "name": source.name}


def _has_vectors(path: Path) -> bool:
    return any(path.glob("vectors/*/part-*.parquet"))


def _forget(path: Path) -> None:
    """Delete what a run that embedded nothing left, so that the rows of another source begin at 0."""
    for folder in ("vectors", "details"):
        shutil.rmtree(path / folder, ignore_errors=True)
    for file in (path / "images.parquet", _backup(path), path / "collection.json"):
        file.unlink(missing_ok=True)


def _check_shared(path: Path, table: _Table, source: ImageSource, rows: NDArray[np.int64]) -> None:
    """Check that the source has at least one of the images that the collection shows."""
    held = ~np.asarray(table["removed"], bool)
    if held.any() and not held[rows[rows >= 0]].any():
        count = int(held.sum())
        raise CollectionError(
            f"{path} holds {counted(count)}, and the {source.kind} {source.name!r} has none of them among its "
            f"{counted(len(rows))}: {count:,} of {count:,} would leave the collection. If that is meant, add "
            "--replace; otherwise name another folder with -o"
        )


def _rename_source(path: Path, source: ImageSource) -> bool:
    """Write down the source's new name or kind; return whether it has one."""
    if read_manifest(path)["source"] == _described(source):
        return False
    update_manifest(path, source=_described(source))
    return True


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
        remark(f"{file} was damaged ({error.reason}) and is written again")
    write_json(
        file, {"format": FORMAT, "source": _described(source), **_said_in_parts(path)}, checked=True, within=path
    )


def _said_in_parts(path: Path) -> dict[str, object]:
    """Return what the parts of details repeat of a manifest that was lost: how their pictures were decoded."""
    for part in list_parts(path / "details"):
        with suppress(DamagedError):
            meta = read_table(part, ["row"])[1]
            return {"range": meta["range"]} if "range" in meta and is_range(meta["range"]) else {}
    return {}


def _set_aside_notes(path: Path) -> None:
    """Rename damaged files of people's decisions: nobody can make them again.

    Other files in the folder are a person's own, such as a plan that was edited.
    """
    for file in (path / "dismissed.json", path / "answers.json", path / ANNOTATIONS):
        try:
            if file.name == ANNOTATIONS:
                read_history(path)
            else:
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
    for row, content in stored_contents(path, table, lost):
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


def _assign(table: _Table, source: ImageSource, rows: NDArray[np.int64]) -> tuple[int, bool]:
    """Bring the table to the state of the source, with new rows for new images.

    Returns:
        How many images have another label or split, and whether anything else has changed.
    """
    relabelled, other = 0, False
    before = len(table["row"])
    kept = {"label": not source.has_labels, "labels": not source.has_labels, "split": not source.has_splits}
    told = [name for name in _SAID if not kept.get(name, False)]
    for index, item in enumerate(source.items):
        row = int(rows[index])
        if row < 0:
            rows[index] = row = len(table["row"])
            for name, value in (("row", row), ("id", item.id), ("key", item.key), ("removed", False)):
                table[name].append(value)
            for name in _SAID:
                table[name].append(_said(item, name))
            continue
        said = [_said(item, name) for name in told]
        was = [table[name][row] for name in told]
        if said != was:
            differ = {name for name, new, old in zip(told, said, was, strict=True) if new != old}
            relabelled += differ != {"caption"}
            other = True
            for name, new in zip(told, said, strict=True):
                table[name][row] = new
    new_rows = np.full(len(table["row"]) - before, draw_generation(), np.int64)
    table["generation"] = np.concatenate([table["generation"], new_rows])
    return relabelled, other


def _said(item: Item, name: str) -> str | list[str] | None:
    said = getattr(item, name, None)
    if isinstance(said, tuple):
        return [each[:MOST_LETTERS] for each in said] or None
    return said and said[:MOST_LETTERS]  # of a longer one, such as a story, the rest is left out


def _copy(path: Path) -> None:
    write_bytes(_backup(path), (path / "images.parquet").read_bytes(), within=path)


def _write_images(path: Path, table: _Table, source: ImageSource) -> None:
    import pyarrow as pa

    columns: Columns = {"row": np.asarray(table["row"], np.int64), "removed": np.asarray(table["removed"], bool)}
    columns |= {name: pa.array(table[name], pa.string()) for name in ("id", "key", "label", "split")}
    columns["generation"] = table["generation"]
    kinds = {"caption": pa.string(), "labels": pa.list_(pa.string())}
    columns |= {name: pa.array(table[name], kinds[name]) for name in _OPTIONAL if any(table[name])}
    write_table(path / "images.parquet", columns, {"source": _described(source)}, within=path)
    _copy(path)


def _read_images(path: Path) -> _Table:
    """Read images.parquet, from its copy where it is damaged or gone."""
    file, reasons = path / "images.parquet", []
    for candidate in (file, _backup(path)):
        try:
            check_table(candidate)
            columns = read_table(candidate)[0]
        except FileNotFoundError:
            continue
        except DamagedError as error:
            reasons.append(f"{candidate.name}: {error.reason}")
            continue
        if candidate != file:
            remark(f"{file} was {'damaged' if reasons else 'gone'} and is restored from its copy")
            write_bytes(file, candidate.read_bytes(), within=path)
        count = len(columns["row"])
        generations = columns.get("generation", np.zeros(count, np.int64))
        known = {name: list(columns[name]) for name in _COLUMNS} | {"generation": generations}
        return known | {name: list(columns.get(name, [None] * count)) for name in _OPTIONAL}
    if reasons or _has_vectors(path):
        raise CollectionError(
            f"{path} has lost its table of images and the copy ({'; '.join(reasons) or 'both are gone'}), and with it "
            "which vector belongs to which image: embed the images again into a new folder"
        )
    return {name: [] for name in (*_COLUMNS, *_OPTIONAL)} | {"generation": np.zeros(0, np.int64)}
