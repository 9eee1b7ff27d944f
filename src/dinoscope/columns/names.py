"""Names of columns: those of files, reserved ones, and those that a person wants."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass

from dinoscope.base.text import did_you_mean
from dinoscope.columns.kinds import Kind
from dinoscope.errors import InputError

__all__ = ["BUILT_IN", "FILE_COLUMNS", "PRIVATE", "ColumnChoice", "file_column", "free_name"]

# What a picture's file says, and what decoding it tells; see `dinoscope.sources.pixels.facts`.
FILE_COLUMNS: dict[str, Kind] = {
    "date": "date",
    "camera": "category",
    "lens": "category",
    "focal_length": "number",
    "exposure": "number",
    "f_number": "number",
    "iso": "number",
    "latitude": "number",
    "longitude": "number",
    "format": "category",
    "width": "number",
    "height": "number",
    "aspect": "number",
    "size": "number",
    "folder": "category",
}
PRIVATE = ("latitude", "longitude")
BUILT_IN = ("label", "split", "tag", "cluster", "id", "caption")  # names that a condition knows in every collection
_STORED = ("row", "generation")  # beside the columns, in their file
_ALL, _NONE = "all", "none"


@dataclass(frozen=True)
class ColumnChoice:
    """Which columns a person wants.

    Attributes:
        names: Their names; None is all.
    """

    names: tuple[str, ...] | None = None

    def takes(self, name: str) -> bool:
        """Tell whether a column is wanted."""
        return self.names is None or name in self.names

    def check(self, known: Iterable[str]) -> None:
        """Check that there is a column of each name.

        Raises:
            InputError: There is none.
        """
        there = list(known)
        wrong = next((name for name in self.names or () if name not in there), None)
        if wrong is not None:
            near = did_you_mean(wrong, there) or f"; there are {', '.join(there)}"
            raise InputError(f"there is no column {wrong!r}{near}")

    @classmethod
    def of(cls, wanted: str | Sequence[str]) -> ColumnChoice:
        """Return what "all", "none", "a,b,c" or a list of names says.

        Raises:
            InputError: A name is empty.
        """
        if wanted == _ALL:
            return cls()
        if wanted == _NONE:
            return cls(())
        names = [each.strip() for each in wanted.split(",")] if isinstance(wanted, str) else list(wanted)
        if not all(names):
            raise InputError(f"expected all, none, or names of columns with commas between them, got {wanted!r}")
        return cls(tuple(dict.fromkeys(names)))


def free_name(name: str, origin: str, taken: Container[str] = ()) -> str:
    """Return a free name for a column, none of ``taken``. If its name is reserved, it gets its origin in brackets."""
    free = f"{name} ({origin})" if name in (*BUILT_IN, *_STORED) or name in taken else name
    return free_name(free, origin, taken) if free in taken else free


def file_column(name: str) -> str | None:
    """Return which of ``FILE_COLUMNS`` has this name, as ``free_name`` may have changed it; None for none of them."""
    plain = name.partition(" (file)")[0]
    return plain if plain in FILE_COLUMNS else None
