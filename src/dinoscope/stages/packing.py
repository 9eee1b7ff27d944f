"""Dataclasses as columns and JSON, and back: the form in which results are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import Columns

__all__ = ["Packed", "pack", "plain", "unpack"]

Result = TypeVar("Result")
Packed = tuple[Columns, dict[str, Any]]  # columns of equal length, and JSON values


def pack(result: object) -> Packed:
    """Return a dataclass, or a tuple of some, as columns and JSON values.

    The arrays of one length, of the length that holds most, become columns; everything else becomes JSON.
    """
    arrays: dict[str, NDArray[np.generic]] = {}
    seen: dict[int, str] = {}

    def walk(value: object, path: str) -> object:
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
        for path, array in arrays.items()
        if path not in columns
    }
    return columns, {"result": {"tree": tree, "arrays": listed}}


def unpack(kind: type[Result], packed: Packed) -> Result:
    """Return what ``pack`` packed, of the type that was packed."""
    columns, meta = packed
    result: Result = _Reader(meta["result"], columns).build(kind, meta["result"]["tree"])
    return result


def plain(value: object) -> Any:
    """Return settings as JSON has them: a number of NumPy is a number."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _fits(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size > 0


class _Reader:
    """Makes a result again out of what ``pack`` made of it."""

    def __init__(self, packed: dict[str, Any], columns: Columns) -> None:
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

    def _array(self, path: str) -> NDArray[np.generic]:
        if path in self._columns:
            return np.asarray(self._columns[path])
        listed = self._listed[path]
        dtype = object if listed["dtype"] == "|O" else np.dtype(listed["dtype"])
        return np.asarray(listed["values"], dtype).reshape(listed["shape"])
