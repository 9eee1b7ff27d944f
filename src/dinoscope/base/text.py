"""Text for people: what a terminal can show, and remarks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches

__all__ = ["counted", "did_you_mean", "duration", "printable", "remark"]

_HALVES = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # of a letter, which stand for no byte of a file's name


def duration(seconds: float) -> str:
    """Return a duration for people: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    tenths, whole = round(seconds, 1), round(seconds)  # rounded first: 59.7 seconds are a minute
    if tenths < 10:
        return f"{tenths:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def counted(count: int, noun: str = "image") -> str:
    """Return "1 image", "2 images"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def did_you_mean(name: str, known: Iterable[str], show: Callable[[str], str] = str) -> str:
    """Return ``"; did you mean 'x'?"`` for the names nearest to ``name``, as ``show`` has them, or an empty string."""
    near = get_close_matches(name, list(known), n=2, cutoff=0.6)
    return f"; did you mean {' or '.join(repr(show(each)) for each in near)}?" if near else ""


def remark(text: str) -> None:
    """Report something that was dealt with: on stderr, unless the calling program directs its log."""
    logging.getLogger("dinoscope").warning(text)


def printable(name: str) -> str:
    """Return a name, or a text of JSON, as text that can be printed and stored in Parquet, even if it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", name)
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name
