"""Checks that values from a JSON file have their annotated types."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints, is_typeddict

__all__ = ["Other", "Within", "mismatch", "parse_json"]


@dataclass(frozen=True)
class Within:
    """The range of a number, or of the length of a text or a list: ``Annotated[int, Within(1, 10)]``."""

    least: float
    most: float

    def __str__(self) -> str:
        return f"from {self.least:,} to {self.most:,}"

    def allows(self, value: Any) -> bool:
        """Tell whether a number, or the length of a text or a list, lies in the range."""
        return self.least <= (len(value) if isinstance(value, str | list) else value) <= self.most


@dataclass(frozen=True)
class Other:
    """A value that is not allowed: ``Annotated[str, Other("x")]``."""

    than: str

    def __str__(self) -> str:
        return f"other than {self.than!r}"

    def allows(self, value: object) -> bool:
        """Tell whether a value is another one."""
        return value != self.than


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: If it is not JSON, or is nested absurdly deep.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def mismatch(value: object, kind: object, where: str = "", *, nan: bool = False) -> str | None:
    """Return why a JSON value does not fit a type; None if it fits.

    Extra members of an object come from a newer version and are allowed.

    Args:
        value: What was read.
        kind: A typed dictionary, a dataclass, or what their members may be annotated with.
        where: What the message calls the value.
        nan: Whether numbers may be NaN or infinite.
    """
    return next(_mismatches(value, kind, where, nan), None)


def _mismatches(value: object, kind: object, where: str, nan: bool) -> Iterator[str]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is NotRequired:
        yield from _mismatches(value, inner[0], where, nan)
    elif origin is Annotated:
        wrong = list(_mismatches(value, inner[0], where, nan))
        limits = () if wrong else [each for each in inner[1:] if not each.allows(value)]
        yield from (*wrong, *(_said(value, str(each), where) for each in limits))
    elif origin in (Union, UnionType):
        if all(mismatch(value, each, where, nan=nan) for each in inner):
            yield _said(value, " or ".join(map(_name, inner)), where)
    elif is_typeddict(kind) or is_dataclass(kind):
        yield from _members(value, kind, where, nan)
    elif (parts := _inside(value, origin, inner)) is not None:
        for name, held, each in parts:
            yield from _mismatches(held, each, f"{where}.{name}" if where else str(name), nan)
    elif origin is tuple and isinstance(value, list):
        yield f"{where or 'it'} should be a list of {len(inner)}, got a list of {len(value)}"
    elif not _is(value, kind, nan):
        yield _said(value, _name(kind), where)


def _inside(value: object, origin: object, inner: tuple[object, ...]) -> list[tuple[object, object, object]] | None:
    """Return name, value and type of each member of a list or an object; None if it should be something else."""
    if isinstance(value, dict) and origin in (dict, Mapping):
        return [(name, held, inner[1]) for name, held in value.items()]
    if isinstance(value, list) and (origin is list or (origin is tuple and inner[-1] is Ellipsis)):
        return [(at, held, inner[0]) for at, held in enumerate(value)]
    if isinstance(value, list) and origin is tuple and len(value) == len(inner):
        return [(at, held, each) for at, (held, each) in enumerate(zip(value, inner, strict=True))]
    return None


def _members(value: object, kind: object, where: str, nan: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _said(value, "an object", where)
        return
    hints = get_type_hints(kind, include_extras=True)
    for name, each in hints.items():
        place = f"{where}.{name}" if where else name
        if name in value:
            yield from _mismatches(value[name], each, place, nan)
        elif get_origin(each) is not NotRequired:
            yield f"{place} is missing"


def _is(value: object, kind: object, nan: bool) -> bool:
    if kind in (Any, object):
        return True
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind in (None, NoneType):
        return value is None
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**1000
        return is_number or (nan and isinstance(value, float) and not math.isfinite(value))
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(kind, type) and isinstance(value, kind)


def _said(value: object, expected: str, where: str) -> str:
    plain: dict[type, str] = {list: "a list", dict: "an object"}
    shown = plain.get(type(value)) or repr(value)
    return f"{where or 'it'} should be {expected}, got {shown if len(shown) < 40 else shown[:36] + '...'}"


def _name(kind: object) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    names: dict[object, str] = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    names |= {NoneType: "null", list: "a list", tuple: "a list", dict: "an object", Mapping: "an object"}
    return names.get(get_origin(kind) or kind, "an object")
