"""Conditions on columns: which images do they hold for?

A missing value makes a test neither true nor false, as in SQL: neither ``width > 5`` nor ``not width > 5`` holds for an
image without a width. ``is missing`` asks for it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import MAXYEAR, UTC, datetime
from typing import NamedTuple, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import did_you_mean
from dinoscope.columns.kinds import Column
from dinoscope.columns.parsing import And, Name, Node, Not, Or, Test, Value, parse, refuse
from dinoscope.errors import InputError

__all__ = ["Condition", "Sets", "parse_condition"]

_Bits: TypeAlias = NDArray[np.bool_]
_ORDERED = ("<", "<=", ">", ">=")
_DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?$")
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True, eq=False)
class Sets:
    """Several texts per image, such as its tags.

    Attributes:
        values: (N,) tuples.
        none_is_missing: Whether an image without a value is unknown, such as one without a label. To have no tag is
            not a missing value.
    """

    values: NDArray[np.object_]
    none_is_missing: bool = False

    @property
    def missing(self) -> _Bits:
        """Which images have none (N,)."""
        return np.asarray([not held for held in self.values.tolist()], bool)


class _Known(NamedTuple):
    """For which images something is true, and for which it is false."""

    yes: _Bits
    no: _Bits


class Condition:
    """A parsed condition. It may name columns that a collection lacks."""

    def __init__(self, text: str) -> None:
        """Parse a condition; see ``parse_condition``."""
        self.text, self._tree = text, parse(text)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    @property
    def names(self) -> list[str]:
        """The columns that it names, each once, in order."""
        return list(dict.fromkeys(name.text for name in _names(self._tree)))

    def matches(self, columns: Mapping[str, Column | Sets]) -> NDArray[np.bool_]:
        """Tell which images it holds for (N,).

        Args:
            columns: Name -> column (N,), or texts of which an image has several.

        Raises:
            InputError: If it names a missing column, or compares a column with an impossible value.
        """
        return self._evaluate(self._tree, columns).yes

    def _evaluate(self, node: Node, columns: Mapping[str, Column | Sets]) -> _Known:
        if isinstance(node, Not):
            inner = self._evaluate(node.inner, columns)
            return _Known(inner.no, inner.yes)
        if isinstance(node, And | Or):
            found = [self._evaluate(each, columns) for each in node.inner]
            yes, no = [each.yes for each in found], [each.no for each in found]
            if isinstance(node, And):
                return _Known(_every(yes), _some(no))
            return _Known(_some(yes), _every(no))
        column = self._column(node.name, columns)
        gone: _Bits = column.missing
        if node.how == "missing":
            return _Known(gone, ~gone)
        if isinstance(column, Sets):
            gone = gone & column.none_is_missing
            meets = self._in_sets(node, column) & ~gone
        else:
            meets = self._test(node, column) & ~gone
        return _Known(meets, ~meets & ~gone)

    def _column(self, name: Name, columns: Mapping[str, Column | Sets]) -> Column | Sets:
        if name.text in columns:
            return columns[name.text]
        same = [known for known in columns if known.casefold() == name.text.casefold()]
        if len(same) != 1:
            near = did_you_mean(name.text, columns) or f"; there are {', '.join(columns)}"
            self._wrong(name.at, f"there is no column {name.text!r}{near}")
        return columns[same[0]]

    def _test(self, test: Test, column: Column) -> _Bits:
        name = test.name.text
        if test.how == "":
            if column.kind != "boolean":
                self._wrong(test.name.at, f"column {name!r} is of kind {column.kind}: compare it with a value")
            return np.asarray(column.values == 1, bool)
        if test.how == "contains":
            if column.kind not in ("text", "category"):
                self._wrong(test.name.at, f"column {name!r} is of kind {column.kind}: 'contains' is for texts")
            part = test.values[0].text.casefold()
            return np.asarray([each is not None and part in each.casefold() for each in column.values.tolist()], bool)
        if test.how == "in":
            return _some([self._compare(test.name, column, "=", value) for value in test.values])
        return self._compare(test.name, column, test.how, test.values[0])

    def _compare(self, name: Name, column: Column, how: str, value: Value) -> _Bits:
        if column.kind in ("text", "category"):
            if how in _ORDERED:
                self._wrong(name.at, f"column {name.text!r} holds texts: compare them with =, !=, in or contains")
            same = np.asarray(column.values == value.text, bool)
            return same if how == "=" else ~same
        if column.kind == "boolean":
            said = value.text.lower()
            if said not in (*_YES, *_NO) or how in _ORDERED:
                self._wrong(value.at, f"column {name.text!r} holds yes and no: compare it with = yes or = no")
            same = np.asarray(column.values == float(said in _YES), bool)
            return same if how == "=" else ~same
        # a date stands for all of its day, month or year
        low, end = self._period(value) if column.kind == "date" else (self._number(name, value),) * 2
        values = column.values.astype(np.float64)
        below = values < low
        within = ~below & ((values < end) if end > low else (values == low))
        answers = {"=": within, "!=": ~within, "<": below, "<=": below | within, ">": ~below & ~within, ">=": ~below}
        return np.asarray(answers[how], bool)

    def _in_sets(self, test: Test, column: Sets) -> _Bits:
        if test.how in ("", *_ORDERED):
            self._wrong(test.name.at, f"{test.name.text!r} holds texts: compare it with =, !=, in or contains")
        if test.how == "contains":
            part = test.values[0].text.casefold()
            return np.asarray([any(part in each.casefold() for each in held) for held in column.values.tolist()], bool)
        wanted = {value.text for value in test.values}
        has = np.asarray([not wanted.isdisjoint(held) for held in column.values.tolist()], bool)
        return ~has if test.how == "!=" else has

    def _number(self, name: Name, value: Value) -> float:
        try:
            number = float(value.text)
        except ValueError:
            number = float("nan")
        if not np.isfinite(number):
            self._wrong(value.at, f"column {name.text!r} holds numbers, and {value.text!r} is none")
        return number

    def _period(self, value: Value) -> tuple[float, float]:
        """Return where a date begins and ends, in seconds since 1970."""
        found = _DATE.match(value.text)
        try:
            if found is None:
                raise ValueError
            year, *rest = (int(each) for each in found.groups() if each is not None)
            month, day, hour, minute, second = (*rest, *(1, 1, 0, 0, 0)[len(rest) :])
            start = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            begins = start.timestamp()
            if len(rest) < 2:
                month = month + 1 if rest else 13
                if start.year + (month > 12) > MAXYEAR:
                    return begins, float("inf")
                after = start.replace(year=start.year + (month > 12), month=(month - 1) % 12 + 1)
                return begins, after.timestamp()
        except ValueError:
            self._wrong(
                value.at, f"{value.text!r} is not a date: expected 2024, 2024-05, 2024-05-17 or '2024-05-17 12:30'"
            )
        return begins, begins + {2: 86400, 4: 60, 5: 1}[len(rest)]

    def _wrong(self, at: int, reason: str) -> NoReturn:
        refuse(self.text, at, reason)


def parse_condition(text: str) -> Condition:
    """Return a condition such as ``"width > 500 and camera = 'X'"``; see docs/columns.md.

    Raises:
        InputError: It is none: the message shows the place.
    """
    if not isinstance(text, str):
        raise InputError(f"a condition is a text, got {type(text).__name__}")
    return Condition(text)


def _every(bits: Sequence[_Bits]) -> _Bits:
    return np.asarray(np.logical_and.reduce(bits), bool)


def _some(bits: Sequence[_Bits]) -> _Bits:
    return np.asarray(np.logical_or.reduce(bits), bool)


def _names(node: Node) -> list[Name]:
    if isinstance(node, Test):
        return [node.name]
    inner = (node.inner,) if isinstance(node, Not) else node.inner
    return [name for each in inner for name in _names(each)]
