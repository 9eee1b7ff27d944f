"""Which images belong to a collection: what it is made of, and the row of every image ever seen.

``images.parquet`` cannot be made anew, because nothing else says which row is which image, so it has a copy,
``images.parquet.bak``. The copy is written after the table and before any part that knows its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope import store
from dinoscope.errors import CollectionError
from dinoscope.images import ImageSource, content_of
from dinoscope.locks import LOCK_FILES
from dinoscope.progress import PROGRESS_FILE

__all__ = [
    "FORMAT", "check_folder", "choose_model", "count_missing", "list_models", "no_collection", "no_vectors",
    "read_manifest", "read_model", "set_shown", "stored_contents", "synchronise",
]  # fmt: skip

FORMAT = 1
_COLUMNS = ("row", "id", "key", "label", "split", "removed")


def read_manifest(path: Path) -> dict[str, Any]:
    """Read collection.json.

    Raises:
        CollectionError: If it is damaged, or of a format that this version of dinoscope does not know.
    """
    file = path / "collection.json"
    held: Any = store.read_json(file)
    manifest: dict[str, Any] = held if isinstance(held, dict) else {}
    form = manifest.get("format")
    if not isinstance(form, int) or not isinstance(manifest.get("source"), dict):
        raise store.DamagedError(file, "it does not say what the collection is")
    if form > FORMAT:
        raise CollectionError(
            f"{path} has format {form}, this version of dinoscope reads {FORMAT}: install the newer version that wrote "
            "it ('pip install --upgrade dinoscope'), or embed the images again into a new folder"
        )
    return manifest


def list_models(path: Path) -> list[str]:
    """Return the keys of the models that were begun; each has a folder, perhaps without a vector yet."""
    return sorted(file.parent.name for file in (path / "vectors").glob("*/model.json"))


def read_model(path: Path, key: str) -> dict[str, Any]:
    """Return what ``Encoder.describe`` said of a model.

    Raises:
        DamagedError: If the file is damaged.
    """
    model: dict[str, Any] = store.read_json(path / "vectors" / key / "model.json")
    return model


def choose_model(path: Path, shown: str | None, model: str | None) -> str:
    """Return the key of a model.

    Args:
        path: The collection.
        shown: The key that it shows.
        model: A model's name or key; by default the one that is shown.

    Raises:
        CollectionError: If the collection has no vectors of it.
    """
    keys = list_models(path)
    if model is not None:
        names, damage = {}, None
        for key in keys:
            try:
                names[key] = str(read_model(path, key)["model"])
            except store.DamagedError as error:  # of another model, if this one is found
                damage = error
        keys = [key for key in keys if model in (names.get(key), key)]
        if not keys and damage is not None:
            raise damage
        if not keys:
            raise CollectionError(
                f"{path} has no vectors of {model!r} (it has: {', '.join(sorted(set(names.values()))) or 'none'}): "
                f"embed them with 'dinoscope embed SOURCE -o {path} --model {model}'"
            )
    if not keys:
        raise no_vectors(path)
    return shown if shown in keys else keys[-1]


def no_vectors(path: Path) -> CollectionError:
    """Return the error of a collection that was begun only."""
    return CollectionError(f"{path} has no vectors yet: run 'dinoscope embed' again, it continues where it stopped")


def no_collection(path: Path) -> CollectionError:
    """Return the error of a path that is no collection, with the command that works for what stands there."""
    if not _is_foreign(path):
        return CollectionError(f"{path} is no collection: make one with 'dinoscope embed SOURCE -o {path}'")
    if not path.is_dir():
        return CollectionError(f"{path} is no collection: expected the folder that 'dinoscope embed SOURCE -o' made")
    named = path if path.name.strip(".") else path.resolve()  # "." has no name of its own
    return CollectionError(
        f"{path} is a folder but no collection: embed it with 'dinoscope embed {path} -o {named}.dino'"
    )


def count_missing(path: Path, removed: NDArray[np.bool_], rows: NDArray[np.int64]) -> int:
    """Count the images of the source that are neither embedded nor known to be unreadable.

    Args:
        path: The collection.
        removed: Whether each row is no longer in the source (R,).
        rows: The rows that have a vector.

    Raises:
        DamagedError: If what decoding gave is damaged.
    """
    missing = ~removed
    missing[rows] = False
    if not missing.any():
        return 0
    failed = np.zeros(len(missing), bool)
    for columns in store.read_parts(path / "details", ["row", "error"]):
        bad = np.asarray([error is not None for error in columns["error"]], bool)
        known = columns["row"] < len(failed)  # a process that embeds meanwhile may have just written more
        failed[columns["row"][known]] = bad[known]  # a later part overrides an earlier one
    return int((missing & ~failed).sum())


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


def set_shown(path: Path, key: str) -> None:
    """Make the vectors of this key the ones that a collection shows."""
    manifest = read_manifest(path)
    if manifest.get("vectors") != key:
        store.write_json(path / "collection.json", {**manifest, "vectors": key}, checked=True)


def _is_foreign(path: Path) -> bool:
    """Tell whether something stands there that no embedding made."""
    if not path.exists() or (path / "images.parquet").exists() or _backup(path).exists():
        return False
    ours = (*LOCK_FILES, "collection.json")  # and what a run that was killed as it began left unfinished
    return not path.is_dir() or any(p.name not in ours and not store.is_leftover(p) for p in path.iterdir())


def _held_source(path: Path) -> dict[str, str] | None:
    """Return name and kind of the source of a collection, from its table of images if collection.json is damaged."""
    try:
        source: dict[str, str] = read_manifest(path)["source"]
        return source
    except (FileNotFoundError, NotADirectoryError, store.DamagedError):
        pass
    for file in (path / "images.parquet", _backup(path)):
        try:
            known: dict[str, str] | None = store.read_table(file, ["row"])[1].get("source")
            return known
        except (FileNotFoundError, NotADirectoryError, store.DamagedError):
            continue
    return None


def _mend_manifest(path: Path, source: ImageSource) -> None:
    file = path / "collection.json"
    try:
        read_manifest(path)
        return
    except FileNotFoundError:
        pass
    except store.DamagedError as error:
        store.remark(f"{file} was damaged ({error.reason}) and is written anew")
    described = {"format": FORMAT, "source": {"kind": source.kind, "name": source.name}}
    store.write_json(file, described, checked=True)


def _set_aside_notes(path: Path) -> None:
    """Rename what people decided, such as dismissed.json, where it is damaged: nobody can make it anew."""
    for file in path.glob("*.json"):
        if file.name in ("collection.json", PROGRESS_FILE, *LOCK_FILES):
            continue
        try:
            store.read_json(file)
        except store.DamagedError as error:
            aside = file.with_name(f"{file.name}.damaged")
            file.replace(aside)
            store.remark(f"{file} was damaged ({error.reason}) and is now called {aside.name}: what it said is lost")


def _known_rows(table: dict[str, list[Any]], source: ImageSource) -> NDArray[np.int64]:
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


def _recognise(path: Path, table: dict[str, list[Any]], source: ImageSource, rows: NDArray[np.int64]) -> bool:
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
        candidates = rows_of.get(content_of(source, index) or "")
        if candidates:
            item = source.items[index]
            row = next((each for each in candidates if table["id"][each] == item.id), candidates[0])
            candidates.remove(row)
            table["id"][row], table["key"][row], rows[index] = item.id, item.key, row
            found = True
    return found


def stored_contents(path: Path, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Yield the rows wanted (a bit for each) with the digest of their files, where it was stored."""
    for part in store.list_parts(path / "details"):
        try:
            columns = store.read_table(part, ["row", "content"])[0]
        except store.DamagedError:  # it is made anew later
            continue
        for row, content in zip(columns["row"].tolist(), columns.get("content", ()), strict=False):
            if content is not None and row < len(wanted) and wanted[row]:
                yield row, content


def _assign(table: dict[str, list[Any]], source: ImageSource, rows: NDArray[np.int64]) -> bool:
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


def _backup(path: Path) -> Path:
    return path / "images.parquet.bak"


def _copy(path: Path) -> None:
    store.write_bytes(_backup(path), (path / "images.parquet").read_bytes())


def _write_images(path: Path, table: dict[str, list[Any]], source: ImageSource) -> None:
    import pyarrow as pa

    columns: dict[str, Any] = {
        "row": np.asarray(table["row"], np.int64),
        "removed": np.asarray(table["removed"], bool),
    }
    columns |= {name: pa.array(table[name], pa.string()) for name in ("id", "key", "label", "split")}
    meta = {"source": {"kind": source.kind, "name": source.name}}
    store.write_table(path / "images.parquet", columns, meta)
    _copy(path)


def _read_images(path: Path) -> dict[str, list[Any]]:
    """Read images.parquet, from its copy where it is damaged or gone."""
    file, reasons = path / "images.parquet", []
    for candidate in (file, _backup(path)):
        try:
            store.check_table(candidate)
            columns = {name: list(values) for name, values in store.read_table(candidate)[0].items()}
        except FileNotFoundError:
            continue
        except store.DamagedError as error:
            reasons.append(f"{candidate.name}: {error.reason}")
            continue
        if candidate != file:
            store.remark(f"{file} was {'damaged' if reasons else 'gone'} and is restored from its copy")
            store.write_bytes(file, candidate.read_bytes())
        return {name: columns[name] for name in _COLUMNS}
    if reasons or any(path.glob("vectors/*/part-*.parquet")):
        raise CollectionError(
            f"{path} has lost its table of images and the copy ({'; '.join(reasons) or 'both are gone'}), and with it "
            "which vector belongs to which image: embed the images again into a new folder"
        )
    return {name: [] for name in _COLUMNS}
