"""What the names of files say: endings, and their natural order."""

from __future__ import annotations

import posixpath
import re
from collections import Counter

from dinoscope.base.text import printable
from dinoscope.sources.pixels.formats import HEIC

__all__ = ["METADATA", "SUFFIXES", "describe_endings", "ending_of", "sort_naturally"]

_READ_BY_PILLOW = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff")
_HEIC = (".heic", ".heif", ".hif")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")  # tables that speak for the images beside them
SUFFIXES = _READ_BY_PILLOW + (_HEIC if HEIC else ())
_ENDING_LETTERS = 12  # a longer one is a part of the name
_ENDINGS = 5  # that messages name


def ending_of(name: str) -> str:
    """Return how a file's name ends, such as ".heic"; "" where what stands behind its last dot is only a part of it."""
    letters = posixpath.splitext(name)[1][1:].lower()
    told = letters.isalnum() and not letters.isdigit() and len(letters) <= _ENDING_LETTERS  # "scan.0042" has none
    return f".{letters}" if told else ""


def describe_endings(endings: Counter[str]) -> str:
    """Return how many files have which ending, the most frequent ones: "12 .heic, 3 .txt, 1 without an ending"."""
    ordered = sorted(endings.items(), key=lambda each: (-each[1], each[0]))
    told = [f"{count:,} {ending or 'without an ending'}" for ending, count in ordered[:_ENDINGS]]
    rest = sum(count for _, count in ordered[_ENDINGS:])
    text = ", ".join([*told, f"{rest:,} with other endings"] if rest else told)
    missing = not HEIC and any(ending in endings for ending in _HEIC)
    return f"{text}; pip install 'dinoscope[heic]' reads HEIC" if missing else text


def sort_naturally(paths: list[str]) -> None:
    """Sort paths in place: component by component, numbers by value, upper beside lower case."""
    paths.sort(key=printable)
    paths.sort(key=_natural)


def _natural(path: str) -> str:
    # A text, because a list of pieces takes eight times the memory: a separator sorts before a number, a number before
    # a letter, and a longer number after a shorter one.
    return re.sub(r"[0-9]+", _by_value, printable(path).casefold()).replace("/", "\0")


def _by_value(digits: re.Match[str]) -> str:
    value = digits[0].lstrip("0")
    return f"\1{chr(len(value))}{value}"
