"""Dataclasses as columns and JSON, and back: the form in which results are stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.typed import mismatch
from dinoscope.base.types import Columns, JsonObject

__all__ = ["Packed", "pack", "plain", "unpack", "unpack_arrays"]

Result = TypeVar("Result")
Packed = tuple[Columns, dict[str, Any]]  # columns of equal length, and JSON values
_LONGEST = 1 << 18  # bytes of one value of an array


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
    """Return what ``pack`` packed, of the type that was packed.

    Raises:
        ValueError: If it is no such thing.
    """
    return _read(kind, packed)[0]


def unpack_arrays(kind: type[Result], packed: Packed) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of what ``pack`` packed, by their places in it.

    Raises:
        ValueError: If it is no such thing.
    """
    return _read(kind, packed)[1]


def _read(kind: type[Result], packed: Packed) -> tuple[Result, dict[str, NDArray[np.generic]]]:
    columns, meta = packed
    try:
        reader = _Reader(meta["result"], columns)
        return cast(Result, reader.build(kind, meta["result"]["tree"])), reader.arrays
    except (AttributeError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"it is not {getattr(kind, '__name__', kind)} ({error})") from None


def plain(settings: JsonObject) -> JsonObject:
    """Return settings as JSON has them: a number of NumPy is a number."""
    return {
        name: plain(each) if isinstance(each, dict) else each.item() if isinstance(each, np.generic) else each
        for name, each in settings.items()
    }


def _fits(array: NDArray[np.generic]) -> bool:
    return array.dtype.kind in "biuf" and array.ndim in (1, 2) and array.size > 0


class _Reader:
    """Makes a result again out of what ``pack`` made of it."""

    def __init__(self, packed: dict[str, Any], columns: Columns) -> None:
        self._listed, self._columns = packed["arrays"], columns
        self._built: dict[str, object] = {}  # dataclasses by their path
        self.arrays: dict[str, NDArray[np.generic]] = {}

    def build(self, kind: object, value: object, path: str = "") -> object:
        """Return a value of the type that is annotated."""
        if get_origin(kind) in (Union, UnionType):
            if value is None and NoneType in get_args(kind):
                return None
            kind = next(each for each in get_args(kind) if each is not NoneType)
        if isinstance(value, dict):
            return self._from_dict(kind, value, path)
        if get_origin(kind) is tuple and isinstance(value, list):
            inner = get_args(kind)
            kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
            pairs = zip(kinds, value, strict=True)
            return tuple(self.build(each, one, f"{path}.{at}") for at, (each, one) in enumerate(pairs))
        wrong = mismatch(value, kind, path[1:], nan=True)
        if wrong is not None:
            raise ValueError(wrong)
        return value

    def _from_dict(self, kind: object, value: dict[str, Any], path: str) -> object:
        if value.keys() == {"array"}:
            return self._array(kind, value["array"], path)
        if value.keys() == {"same"} and isinstance(kind, type) and isinstance(self._built[value["same"]], kind):
            return self._built[value["same"]]
        if is_dataclass(kind):
            kinds = get_type_hints(kind)
            members = {name: self.build(kinds[name], each, f"{path}.{name}") for name, each in value.items()}
            self._built[path] = kind(**members)  # type: ignore[operator]
            return self._built[path]
        if get_origin(kind) not in (dict, Mapping):
            raise TypeError(f"{path[1:]} is an object")
        return {name: self.build(get_args(kind)[1], each, f"{path}.{name}") for name, each in value.items()}

    def _array(self, kind: object, name: str, path: str) -> NDArray[np.generic]:
        if get_origin(kind) is not np.ndarray:
            raise TypeError(f"{path[1:]} is an array")
        if name in self._columns:
            array = np.asarray(self._columns[name])
        else:
            listed = self._listed[name]
            dtype = np.dtype(object if listed["dtype"] == "|O" else listed["dtype"])
            if dtype.kind not in "biufUO" or dtype.itemsize > _LONGEST:
                raise TypeError(f"{path[1:]} is of type {dtype}")
            array = np.asarray(listed["values"], dtype).reshape(listed["shape"])
        (expected,) = get_args(get_args(kind)[1])
        if not _is_kind(array.dtype, expected):
            raise TypeError(f"{path[1:]} holds {array.dtype}")
        self.arrays[path[1:]] = array
        return array


def _is_kind(dtype: np.dtype[np.generic], expected: type[np.generic]) -> bool:
    """Tell whether an array is as annotated, except for the number of its bits."""
    kinds = {np.bool_: "b", np.integer: "iu", np.floating: "f", np.str_: "U"}
    return dtype.kind in next((kinds[each] for each in kinds if issubclass(expected, each)), "biufUO")
