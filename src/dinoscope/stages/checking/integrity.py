"""Check a collection: every byte of its files, and whether its tables agree with each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.machine import cores
from dinoscope.base.types import Columns
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.storage.annotations import ANNOTATIONS, read_history
from dinoscope.storage.columns import COLUMNS, check_columns
from dinoscope.storage.files import has_checksum, is_leftover, read_json
from dinoscope.storage.manifest import JSON_FILES, no_collection, read_model
from dinoscope.storage.parts import is_known
from dinoscope.storage.progress import read_progress
from dinoscope.storage.result_files import stale_results
from dinoscope.storage.schema import schema_of
from dinoscope.storage.tables import check_table, list_parts, read_table

__all__ = ["Check", "Verification", "verify_collection"]


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name: What was checked.
        found: How much of it there is.
        damage: What is wrong, one text per file or fact; empty if all is well.
        note: A remark that is not damage: "no checksum", "3 stale".
    """

    name: str
    found: str
    damage: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """The outcome of ``verify_collection``."""

    checks: tuple[Check, ...]

    @property
    def damage(self) -> tuple[str, ...]:
        """All that is wrong, with the names of files relative to the collection."""
        return tuple(text for check in self.checks for text in check.damage)


@dataclass(frozen=True)
class _Files:
    whole: list[Path]
    check: Check


def verify_collection(path: Path) -> Verification:
    """Check every checksum and every row of a collection in any state.

    Raises:
        CollectionError: If the folder is not a collection, or of a newer format.
    """
    if not (path / "collection.json").exists() and not (path / "images.parquet").exists():
        raise no_collection(path)
    running = read_progress(path) is not None
    folders = sorted(each for each in (path / "vectors").glob("*") if each.is_dir())
    # vectors before details before images: the reverse of the order in which another process may be writing them
    vectors = {folder.name: _check_files(path, f"vectors {folder.name}", list_parts(folder)) for folder in folders}
    details = _check_files(path, "details", list_parts(path / "details"))
    copies = [each for each in [path / "images.parquet.bak"] if each.exists()]
    images = _check_files(path, "images.parquet", [path / "images.parquet", *copies])
    begun = [folder for folder in folders if any(each.suffix for each in folder.iterdir() if not is_leftover(each))]
    models = [folder / "model.json" for folder in begun]  # a killed run may leave an empty folder
    results = sorted((path / "results").glob("*/*.parquet"))
    notes = [each for each in (path / "answers.json", path / "dismissed.json") if each.exists()]
    manifest = _manifest(path, notes)
    checks = [manifest.check, images.check, details.check]
    checks += [
        _check_files(path, name, [path / name]).check for name in (ANNOTATIONS, COLUMNS) if (path / name).exists()
    ]
    checks += [_check_files(path, "model.json", models).check, *(each.check for each in vectors.values())]
    stored = _check_files(path, "results", results)
    checks.append(stored.check)
    surveys = sorted((path / "results").glob("survey/**/*.parquet"))
    checks += [_check_files(path, "surveys", surveys).check] if surveys else []
    if path / "images.parquet" in images.whole:
        checks += _check_rows(path, details.whole, {name: each.whole for name, each in vectors.items()}, running)
    if not any(check.damage for check in checks):
        checks[checks.index(stored.check)] = _with_stale(path, stored)
    return Verification(tuple(checks))


def _check_files(path: Path, name: str, files: Sequence[Path]) -> _Files:
    """Check every byte of some files, in parallel on all cores."""
    with ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="verify") as pool:
        states = list(pool.map(_check_file, files))
    damage = tuple(
        f"{file.relative_to(path).as_posix()}: {state}"
        for file, state in zip(files, states, strict=True)
        if isinstance(state, str)
    )
    unchecked = sum(state is False for state in states)
    note = f"{unchecked} without a checksum" if unchecked else ""
    whole = [file for file, state in zip(files, states, strict=True) if not isinstance(state, str)]
    return _Files(whole, Check(name, _count(len(files), "file"), damage, note))


def _check_file(file: Path) -> bool | str:
    """Return whether a file has a checksum, or what is wrong with it."""
    try:
        if file.suffix != ".json":
            checked = check_table(file)
            if file.name == ANNOTATIONS:
                read_history(file.parent)
            if file.name == COLUMNS:
                check_columns(file.parent)
            if schema_of(file) is not None:
                read_table(file)
            return checked
        read_json(file, JSON_FILES.get(file.name, object))
        return has_checksum(file)
    except DamagedError as error:
        return error.reason
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _manifest(path: Path, others: list[Path]) -> _Files:
    """Check collection.json, which also names the format, and the JSON files that no other check covers."""
    from dinoscope.storage.manifest import read_manifest

    file = path / "collection.json"
    found = _check_files(path, "collection.json", sorted({file, *others}))
    if file in found.whole:
        try:
            read_manifest(path)
        except DamagedError as error:
            check = Check("collection.json", found.check.found, (f"collection.json: {error.reason}",))
            return _Files([], check)
    return found


def _with_stale(path: Path, results: _Files) -> Check:
    """Count the results that belong to an earlier state of the collection."""
    stale = len(stale_results(path))
    note = "; ".join(filter(None, [results.check.note, f"{stale} of an earlier state" if stale else ""]))
    return Check("results", results.check.found, (), note)


def _check_rows(path: Path, details: list[Path], vectors: dict[str, list[Path]], running: bool) -> list[Check]:
    images, _ = read_table(path / "images.parquet", ["row", "removed", "generation"])
    number = len(images["row"])
    active = ~np.asarray(images["removed"], bool)
    checks = [Check("rows of images", f"{number:,}, {int(active.sum()):,} of them in the source")]
    if not np.array_equal(images["row"], np.arange(number)):
        checks = [Check("rows of images", f"{number:,}", ("images.parquet: its rows are not 0, 1, 2, ...",))]
    read, failed, wrong = _details(details, images)
    checks.append(Check("rows of details", f"{int(read.sum()):,} read, {int(failed.sum()):,} unreadable", wrong))
    for key, parts in vectors.items():
        checks.append(_vectors(path, key, parts, images, read, failed, running))
    return checks


def _details(parts: Iterable[Path], images: Columns) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[str, ...]]:
    """Return which rows were decoded, which are failures, and what is wrong."""
    number = len(images["row"])
    times, failed = np.zeros(number, np.int64), np.zeros(number, bool)
    read, twice = np.zeros(number, bool), np.zeros(number, bool)
    strangers = foreign = 0
    for part in parts:
        columns, _ = read_table(part, ["row", "error", "generation"])
        rows, bad = columns["row"], np.asarray([error is not None for error in columns["error"]], bool)
        known = is_known(columns, images)
        strangers += int(((rows < 0) | (rows >= number)).sum())
        foreign += int((~known).sum())
        np.add.at(times, rows[known & ~bad], 1)
        read |= times > 0
        twice |= times > 1
        times[rows[known & bad]] = 0  # an image that one model could not read may be read again for another
        failed[rows[known]] = bad[known]  # a later part overrides an earlier one
    return read, failed, _texts("details", twice=int(twice.sum()), strangers=strangers, foreign=foreign - strangers)


def _vectors(
    path: Path,
    key: str,
    parts: list[Path],
    images: Columns,
    read: NDArray[np.bool_],
    failed: NDArray[np.bool_],
    running: bool,
) -> Check:
    active = ~np.asarray(images["removed"], bool)
    times = np.zeros(len(active), np.int64)
    strangers = foreign = other = 0
    dim = _dim(path / "vectors" / key)
    for part in parts:
        columns, _ = read_table(part)
        rows, values = columns["row"], columns["vector"]
        known = is_known(columns, images)
        strangers += int(((rows < 0) | (rows >= len(active))).sum())
        foreign += int((~known).sum())
        np.add.at(times, rows[known], 1)
        other += values.shape[1] != (dim or values.shape[1])
    have = times > 0
    damage = _texts(
        f"vectors/{key}",
        twice=int((times > 1).sum()),
        strangers=strangers,
        foreign=foreign - strangers,
        other=other,
        lost=int((have & ~read & active).sum()),
    )
    missing = int((active & ~have & ~failed).sum())
    note = ""
    if missing:
        note = f"{missing:,} images not embedded yet" + (", a process is at it" if running else "")
    return Check(f"rows of vectors {key}", f"{int(have.sum()):,}", damage, note)


def _dim(folder: Path) -> int | None:
    try:
        return read_model(folder.parents[1], folder.name)["dim"]
    except (CollectionError, OSError):
        return None


def _texts(where: str, **counts: int) -> tuple[str, ...]:
    meanings = {
        "twice": "rows are there twice",
        "strangers": "rows are not in images.parquet",
        "foreign": "rows are of other images than images.parquet says",
        "other": "parts hold vectors of another length than model.json says",
        "lost": "vectors belong to images that have no details",
    }
    return tuple(f"{where}: {count:,} {meanings[name]}" for name, count in counts.items() if count)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
