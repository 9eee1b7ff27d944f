"""Stages: results computed from a collection's vectors, stored once under the key of what they were made from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_json
from dinoscope.base.text import remark
from dinoscope.errors import WriteError
from dinoscope.storage.checksums import DamagedError
from dinoscope.storage.files import remove_leftovers
from dinoscope.storage.manifest import list_models
from dinoscope.storage.tables import read_parts, read_table, write_table

if TYPE_CHECKING:
    from dinoscope.collection import Collection

__all__ = ["Stage", "is_current", "keep", "label_state_of", "run_stage", "stale_results", "state_of", "stored_settings"]

# Raise a stage's number when the same input and settings would give another result, or its dataclass other fields.
_VERSIONS = {
    "neighbors": 1, "map": 1, "map_quality": 1, "tuning": 2, "layout": 1, "clusters": 1, "cluster_quality": 1,
    "stability": 2, "nulls": 2, "scores": 1, "predictions": 1, "evaluation": 1, "duplicates": 3, "outliers": 2,
    "label_errors": 1, "index": 1, "verdicts": 1, "properties": 1, "explanation": 1,
    "windows": 1,
}  # fmt: skip
Result = TypeVar("Result")
Computed = tuple[dict[str, Any], dict[str, Any]]  # columns of equal length, and JSON values


@dataclass(frozen=True)
class Stage:
    """How a result came to be: the settings, the seconds it took when it was computed, and whether it was stored."""

    name: str
    settings: dict[str, Any]
    seconds: float
    stored: bool


def run_stage(collection: Collection, name: str, settings: dict[str, Any], compute: Callable[[], Computed]) -> Computed:
    """Return a stored result, or compute and store it; see ``Collection.stage``."""
    settings = _plain(settings)
    path = collection.path / "results" / name / _file_name(collection.state, name, settings)
    known = _read(path)
    if known is not None:
        columns, meta = known
    else:
        began, before = time.perf_counter(), collection.seconds_computing
        columns, meta = compute()
        # the time of stages that this one asked for is theirs
        own = time.perf_counter() - began - (collection.seconds_computing - before)
        meta = {**meta, "seconds": round(max(0.0, own), 3), "settings": settings}
        _store(path, columns, meta)
        collection.seconds_computing += meta["seconds"]
        collection.computed.add(path)
    stored = path not in collection.computed  # asked again, it is still this run that computed it
    collection.stages[name] = Stage(name, settings, meta["seconds"], stored)
    return columns, meta


def keep(
    collection: Collection, name: str, settings: dict[str, Any], kind: type[Result], compute: Callable[[], Result]
) -> Result:
    """Return a result, a dataclass or a tuple of some, as ``run_stage`` does.

    The arrays of one length, of the length that holds most, become columns; everything else is kept as JSON.
    """
    columns, meta = run_stage(collection, name, settings, lambda: _pack(compute()))
    result: Result = _Reader(meta["result"], columns).build(kind, meta["result"]["tree"])
    return result


def stored_settings(collection: Collection, name: str) -> list[dict[str, Any]]:
    """Return the settings of the results that a stage has stored for the collection as it is now, the newest first."""
    found = []
    for path in (collection.path / "results" / name).glob("*.parquet"):
        try:
            modified, settings = path.stat().st_mtime_ns, _settings_of(path)
        except (DamagedError, FileNotFoundError):  # the latter: removed meanwhile
            continue
        if _belongs(path, settings, collection.state, collection.label_state):
            found.append((modified, settings))
    return [settings for _, settings in sorted(found, key=lambda each: -each[0])]


def is_current(collection: Collection, path: Path) -> bool:
    """Tell whether a stored result is of the collection as it is now.

    Raises:
        DamagedError: If it is damaged.
    """
    return _belongs(path, _settings_of(path), collection.state, collection.label_state)


def stale_results(folder: Path) -> list[Path]:
    """Return the stored results of a collection that are of none of its models' vectors as they are now.

    Raises:
        DamagedError: If vectors or images are damaged.
    """
    results = sorted((folder / "results").glob("*/*.parquet"))
    if not results:
        return []
    rows = {key: [part["row"] for part in read_parts(folder / "vectors" / key, ["row"])]
            for key in list_models(folder)}  # fmt: skip
    images, _ = read_table(folder / "images.parquet", ["key", "label", "split", "removed"])  # the parts first
    removed = np.asarray(images["removed"], bool)
    states = []
    for key, parts in rows.items():
        held = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        held = held[~removed[held]]
        labels, splits = ([images[column][row] for row in held.tolist()] for column in ("label", "split"))
        states.append((state_of(key, images["key"], held), label_state_of(labels, splits)))
    stale = []
    for path in results:
        try:
            settings = _settings_of(path)
        except (DamagedError, FileNotFoundError):
            continue
        if not any(_belongs(path, settings, *state) for state in states):
            stale.append(path)
    return stale


def state_of(key: str, contents: Sequence[str], rows: NDArray[np.int64]) -> str:
    """Return a digest of vectors: of their key and of what the images of these rows are (see ``images.parquet``)."""
    return digest_json(key, [contents[row] for row in rows.tolist()])


def label_state_of(labels: Sequence[str | None], splits: Sequence[str | None]) -> str:
    """Return a digest of all labels and splits."""
    return digest_json(labels, splits)


def _settings_of(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = read_table(path, [])[1].get("settings", {})
    return settings


def _belongs(path: Path, settings: dict[str, Any], state: str, label_state: str) -> bool:
    """Tell whether a result with these settings is of this state."""
    name = path.parent.name
    return (
        name in _VERSIONS
        and path.name == _file_name(state, name, settings)
        and settings.get("labels", label_state) == label_state
    )


def _plain(value: Any) -> Any:
    """Return settings as JSON has them: a number of NumPy is a number."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _read(path: Path) -> Computed | None:
    """Return a stored result; one that is damaged is made anew."""
    try:
        return read_table(path)
    except FileNotFoundError:
        return None
    except DamagedError as error:
        remark(f"{path} was damaged ({error.reason}) and is computed again")
        return None


def _store(path: Path, columns: dict[str, Any], meta: dict[str, Any]) -> None:
    """Store a result; that this cannot be done, in a folder that is read only, is no reason to lose it."""
    remove_leftovers(path.parent)
    try:
        write_table(path, columns, meta)
    except WriteError as error:
        remark(f"{error}; the result is used, and computed again next time")


def _file_name(state: str, name: str, settings: dict[str, Any]) -> str:
    return f"{digest_json(name, _VERSIONS[name], state, settings)}.parquet"


def _pack(result: Any) -> Computed:
    arrays: dict[str, NDArray[Any]] = {}
    seen: dict[int, str] = {}

    def walk(value: Any, path: str) -> Any:
        if is_dataclass(value):
            if seen.setdefault(id(value), path) != path:  # the recommended setting is one of the settings
                return {"same": seen[id(value)]}
            return {each.name: walk(getattr(value, each.name), f"{path}.{each.name}") for each in fields(value)}
        if isinstance(value, np.ndarray):
            arrays[path[1:]] = value
            return {"array": path[1:]}
        if isinstance(value, Mapping):
            return {name: walk(each, f"{path}.{name}") for name, each in value.items()}
        if isinstance(value, tuple | list):
            return [walk(each, f"{path}.{at}") for at, each in enumerate(value)]
        return value.item() if isinstance(value, np.generic) else value

    tree = walk(result, "")
    numbers: Counter[int] = Counter()
    for array in arrays.values():
        if _fits(array):
            numbers[len(array)] += array.size
    rows = max(numbers, key=lambda length: (numbers[length], length), default=-1)
    columns = {path: array for path, array in arrays.items() if _fits(array) and len(array) == rows}
    listed = {
        path: {"values": array.tolist(), "dtype": array.dtype.str, "shape": array.shape}
        for path, array in arrays.items() if path not in columns
    }  # fmt: skip
    return columns, {"result": {"tree": tree, "arrays": listed}}


def _fits(array: NDArray[Any]) -> bool:
    return array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size > 0


class _Reader:
    """Makes a result again out of what ``_pack`` made of it."""

    def __init__(self, packed: dict[str, Any], columns: dict[str, Any]) -> None:
        self._listed, self._columns = packed["arrays"], columns
        self._built: dict[str, Any] = {}  # dataclasses by their path

    def build(self, kind: Any, value: Any, path: str = "") -> Any:
        """Return a value of the type that is annotated."""
        if value is None:
            return None
        if get_origin(kind) in (Union, UnionType):
            kind = next(each for each in get_args(kind) if each is not NoneType)
        if isinstance(value, dict):
            return self._from_dict(kind, value, path)
        if get_origin(kind) is tuple:
            inner = get_args(kind)
            kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
            pairs = zip(kinds, value, strict=True)
            return tuple(self.build(each, one, f"{path}.{at}") for at, (each, one) in enumerate(pairs))
        return value

    def _from_dict(self, kind: Any, value: dict[str, Any], path: str) -> Any:
        if value.keys() == {"array"}:
            return self._array(value["array"])
        if value.keys() == {"same"}:
            return self._built[value["same"]]
        if is_dataclass(kind):
            kinds = get_type_hints(kind)
            members = {name: self.build(kinds[name], each, f"{path}.{name}") for name, each in value.items()}
            self._built[path] = kind(**members)  # type: ignore[operator]
            return self._built[path]
        return {name: self.build(get_args(kind)[1], each, f"{path}.{name}") for name, each in value.items()}

    def _array(self, path: str) -> NDArray[Any]:
        if path in self._columns:
            return np.asarray(self._columns[path])
        listed = self._listed[path]
        dtype = object if listed["dtype"] == "|O" else np.dtype(listed["dtype"])
        return np.asarray(listed["values"], dtype).reshape(listed["shape"])
