"""Captions distinguished from labels: texts about one image each, which name no group."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import east_asian_width

__all__ = ["MOST_LETTERS", "describe_captions", "look_like_captions"]

MOST_LETTERS = 100  # of a label in a text file
_LETTERS = 24  # of a caption on average; a wide one, such as a Chinese one, counts twice
_WORDS = 3  # of a caption on average
_SAMPLE = 1000  # texts that are measured


def look_like_captions(texts: Iterable[str | None]) -> bool:
    """Tell whether texts are captions: more than half as many different ones as images that have one, and long ones."""
    known = [text for text in texts if text]
    if len(known) < 2 or len(set(known)) <= len(known) / 2:
        return False
    return _mean_letters(known) >= _LETTERS or sum(len(text.split()) for text in known) >= _WORDS * len(known)


def describe_captions(where: str, texts: Iterable[str | None]) -> str:
    """Return a sentence that says why texts are taken for captions."""
    known = [text for text in texts if text]
    return (
        f"{where} are captions ({len(set(known)):,} different ones for {len(known):,} images, "
        f"{_mean_letters(known):.0f} letters on average): they are kept as such, and are not labels"
    )


def _mean_letters(known: list[str]) -> float:
    some = known[:: max(1, len(known) // _SAMPLE)]
    wide = sum(east_asian_width(letter) in "WF" for text in some for letter in text)
    return (sum(map(len, some)) + wide) / len(some)
