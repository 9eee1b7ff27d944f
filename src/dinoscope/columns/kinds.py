"""A column: values of one kind, one per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import InputError

__all__ = ["KINDS", "Column", "Kind", "text_of"]

Kind = Literal["number", "date", "category", "text", "boolean"]
KINDS: tuple[Kind, ...] = ("number", "date", "category", "text", "boolean")
NUMERIC = ("number", "date", "boolean")
_MOST_CATEGORIES = 200  # different texts of a table that people choose among
_FEW = 20  # different texts that count as categories even with few images
_LONG = 80  # letters on average: such a text is read, not chosen
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, eq=False)
class Column:
    """One value per image.

    Attributes:
        kind: "number", "date" (with or without a time), "category" (one of few texts), "text" or "boolean".
        values: (N,). Numbers and dates are float64, and so are booleans (1 and 0); NaN is missing. Dates are seconds
            since 1970 as they are written, in UTC where a time zone is written. Texts are objects; None is missing.
        private: Whether it is left out of what others get, unless that is asked for.
    """

    kind: Kind
    values: NDArray[np.float64] | NDArray[np.object_]
    private: bool = False

    def __post_init__(self) -> None:
        """Check that the values are of the kind."""
        wanted = np.float64 if self.kind in NUMERIC else np.object_
        if self.kind not in KINDS or self.values.ndim != 1 or self.values.dtype != wanted:
            raise InputError(
                f"a column is of kind {', '.join(KINDS)} and has values of shape (N,); "
                f"got kind {self.kind!r}, shape {self.values.shape}, {self.values.dtype}"
            )

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def missing(self) -> NDArray[np.bool_]:
        """Which images have no value (N,)."""
        if self.kind in NUMERIC:
            return np.isnan(self.values.astype(np.float64))
        return np.asarray([value is None for value in self.values.tolist()], bool)

    @cached_property
    def counts(self) -> list[tuple[str, int]]:
        """The different texts of a category, text or boolean, and how many images have each, the most common first."""
        if self.kind == "boolean":
            numbers = self.values.astype(np.float64)
            pairs = [("yes", int((numbers == 1).sum())), ("no", int((numbers == 0).sum()))]
            return sorted((pair for pair in pairs if pair[1]), key=lambda pair: -pair[1])
        found = Counter(value for value in self.values.tolist() if value is not None)
        return sorted(((str(text), count) for text, count in found.items()), key=lambda pair: (-pair[1], pair[0]))

    @property
    def distinct(self) -> int:
        """How many different values there are."""
        if self.kind in ("category", "text"):
            return len(self.counts)
        return len(np.unique(self.values[~self.missing]))

    @property
    def range(self) -> tuple[float, float] | None:
        """The least and the largest number or date; None where there is none."""
        if self.kind not in ("number", "date") or self.missing.all():
            return None
        known = self.values[~self.missing].astype(np.float64)
        return float(known.min()), float(known.max())

    @property
    def texts(self) -> list[str | None]:
        """The values as people read them (N,), None where there is none."""
        return [
            None if gone else text_of(self.kind, value) for value, gone in zip(self.values, self.missing, strict=True)
        ]

    def text(self, at: int) -> str | None:
        """Return one value as people read it; None where there is none."""
        return None if self.missing[at] else text_of(self.kind, self.values[at])

    def take(self, positions: NDArray[np.int64] | NDArray[np.bool_]) -> Column:
        """Return the column of some images."""
        return replace(self, values=self.values[positions])

    def same_as(self, other: Column) -> bool:
        """Tell whether another column holds the same."""
        return (
            (self.kind, self.private, len(self)) == (other.kind, other.private, len(other))
            and bool((self.missing == other.missing).all())
            and bool((self.values[~self.missing] == other.values[~other.missing]).all())
        )

    def goes_with(self, other: Column) -> bool:
        """Tell whether both are of one kind, or both of texts, of which all values tell whether they are categories."""
        return self.kind == other.kind or {self.kind, other.kind} == {"text", "category"}

    @classmethod
    def of_rows(cls, like: Column, places: NDArray[np.int64], count: int, before: Column | None = None) -> Column:
        """Return a longer column (count,) with the values of another at some places.

        Args:
            like: Its kind, and values (N,).
            places: Where each goes (N,).
            count: How long it is.
            before: What is at all other places, by default nothing. Its kind ``goes_with`` this one; all texts tell
                whether they are categories.
        """
        if before is not None:
            values = before.values.copy()
        elif like.kind in NUMERIC:
            values = np.full(count, np.nan)
        else:
            values = np.full(count, None, object)
        values[places] = like.values
        if before is not None and before.kind != like.kind:
            return cls.of_texts(values.tolist(), private=like.private)
        return cls(like.kind, values, like.private)

    @classmethod
    def of_texts(cls, texts: Sequence[str | None], kind: Kind | None = None, *, private: bool = False) -> Column:
        """Return a column of texts; without a kind, a category where few are different and short."""
        values = np.empty(len(texts), object)
        values[:] = [text or None for text in texts]
        return cls(kind or _kind_of_texts(values.tolist()), values, private)


def text_of(kind: Kind, value: object) -> str:
    """Return an existing value as text for people: 1.5, 2024-05-17 12:00:00, yes."""
    if kind == "boolean":
        return "yes" if value else "no"
    if kind == "number":
        number = float(value)  # type: ignore[arg-type]
        return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else f"{number:.6g}"
    if kind == "date":
        return _date_text(float(value))  # type: ignore[arg-type]
    return str(value)


def _date_text(seconds: float) -> str:
    try:
        when = _EPOCH + timedelta(seconds=round(seconds))
    except OverflowError:  # beyond the year 9999
        return f"{seconds:.0f} s after 1970"
    return f"{when:%Y-%m-%d}" if seconds % 86400 == 0 else f"{when:%Y-%m-%d %H:%M:%S}"


def _kind_of_texts(texts: Sequence[str | None]) -> Kind:
    known = [text for text in texts if text is not None]
    different = set(known)
    few = len(different) <= _MOST_CATEGORIES and (len(different) <= _FEW or 2 * len(different) <= len(known))
    repeated = len(different) < len(known)
    short = sum(map(len, different)) <= _LONG * max(1, len(different))
    return "category" if few and repeated and short else "text"
