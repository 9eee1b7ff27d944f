"""Fonts for letters that matplotlib's own font lacks: Chinese, Japanese, Korean, emoji and others."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from dinoscope.base.text import remark

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.font_manager import FontEntry
    from matplotlib.text import Text

__all__ = ["choose_families", "drawable", "dress", "font_files", "lacks_letters"]

# Families that hold many letters and look like the default, before any other that is installed.
_PREFERRED: tuple[str, ...] = (
    "Noto Sans CJK",
    "Noto Sans",
    "Source Han Sans",
    "PingFang",
    "Hiragino Sans",
    "Apple SD Gothic",
)
_PREFERRED += ("Yu Gothic", "Microsoft YaHei", "Meiryo", "Malgun Gothic", "WenQuanYi", "Droid Sans Fallback")
_PREFERRED += ("Segoe UI", "Arial Unicode", "Arial", "Apple Symbols", "Noto Emoji", "Symbola")
_NO_FONT = "Last Resort"  # has a box for everything
_found: dict[str, str | None] = {}  # letter -> family, None for those that no font has
_finding = Lock()
# a regular font does for bold letters, too
logging.getLogger("matplotlib.font_manager").addFilter(lambda record: "font weight" not in record.getMessage())


def drawable(text: str) -> str:
    """Return a text with a box for every letter that no installed font has; that this is so is said once a font."""
    missing = [letter for letter in dict.fromkeys(text) if not _is_usual(letter)]
    if not missing:
        return text
    _look_for(missing)
    return "".join(letter if _is_known(letter) else _stand_in(letter) for letter in text)


def dress(*artists: Artist) -> None:
    """Let the texts of figures, or texts, use further fonts for the letters that need them."""
    for artist in artists:
        for text in _texts(artist):
            families = choose_families(text.get_text())
            if families:
                text.set_fontfamily([*_default_families(), *families])


def _texts(artist: Artist) -> Iterator[Text]:
    """Yield the texts of an artist that are drawn; an axis that is off would make its ticks if it was asked."""
    from matplotlib.axis import Axis
    from matplotlib.text import Text

    if isinstance(artist, Text):
        yield artist
    if not (isinstance(artist, Axis) and not artist.axes.axison):
        for child in artist.get_children():
            yield from _texts(child)


def lacks_letters(text: bytes) -> bool:
    """Tell whether a box stood for a letter of a text (UTF-8): a font that is installed later would draw it."""
    with _finding:
        boxes = [letter for letter, family in _found.items() if family is None and _stand_in(letter)]
    return any(letter.encode("utf-8", "surrogatepass") in text for letter in boxes)


def font_files(text: str) -> list[tuple[str, str]]:
    """Return a text in pieces, each with the file of a font that has its letters."""
    pieces: list[tuple[str, str]] = []
    for letter in text:
        file = _file_of(_found.get(letter))
        if pieces and pieces[-1][1] == file:
            pieces[-1] = (pieces[-1][0] + letter, file)
        else:
            pieces.append((letter, file))
    return pieces


def choose_families(text: str) -> list[str]:
    """Return the families that a text needs besides the default one."""
    drawable(text)
    return list(dict.fromkeys(family for letter in text if (family := _found.get(letter)) is not None))


def _look_for(letters: Iterable[str]) -> None:
    with _finding:
        left = [letter for letter in letters if letter not in _found]
        for entry in _installed() if left else ():
            known = _letters(entry.fname)
            _found.update({letter: entry.name for letter in left if ord(letter) in known})
            left = [letter for letter in left if letter not in _found]
            if not left:
                return
        told = {_advice(letter) for letter, family in _found.items() if family is None and _stand_in(letter)}
        _found.update(dict.fromkeys(left))
        for letter in filter(_stand_in, left):
            if (advice := _advice(letter)) not in told:
                remark(f"no installed font has the letter {letter}: a box stands for it; install {advice}")
                told.add(advice)


def _installed() -> Iterator[FontEntry]:
    """Yield the upright regular fonts, those preferred first, also ones installed after matplotlib listed all."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    listed = {entry.fname for entry in fontManager.ttflist}
    for file in sorted(set(findSystemFonts()) - listed):
        try:
            fontManager.addfont(file)
        except Exception:  # noqa: S112  # one that matplotlib cannot read, such as a font of bitmaps
            continue
    usual = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight == 400 and not entry.name.startswith(_NO_FONT)
    ]
    ranks = {name: rank for rank, name in enumerate(_PREFERRED)}

    def rank(entry: FontEntry) -> tuple[int, str]:
        known = [ranks[name] for name in _PREFERRED if entry.name.startswith(name)]
        return min(known, default=len(ranks)), entry.name

    yield from sorted(usual, key=rank)


def _letters(file: str) -> Mapping[int, int]:
    from matplotlib.font_manager import get_font

    return get_font(file).get_charmap()


@cache
def _file_of(family: str | None) -> str:
    """Return the file of a family's font, of the default one for None."""
    from matplotlib.font_manager import FontProperties, findfont

    return str(findfont(FontProperties(family=family) if family else FontProperties()))


@cache
def _default_letters() -> Mapping[int, int]:
    return _letters(_file_of(None))


def _default_families() -> list[str]:
    from matplotlib.font_manager import FontProperties

    return list(FontProperties().get_family())


def _is_known(letter: str) -> bool:
    return _is_usual(letter) or _found.get(letter) is not None


def _is_usual(letter: str) -> bool:
    return letter.isspace() or ord(letter) in _default_letters()


def _stand_in(letter: str) -> str:
    """Return a box, and nothing for what only changes the letter before it."""
    return "" if unicodedata.category(letter) in ("Cf", "Mn") else "▯"


def _advice(letter: str) -> str:
    name = unicodedata.name(letter, "")
    if name.startswith(("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "FULLWIDTH", "IDEOGRAPHIC")):
        return "Noto Sans CJK (package fonts-noto-cjk)"
    if unicodedata.category(letter) == "So":
        return "Noto Emoji or Symbola (package fonts-symbola)"
    return "Noto Sans (package fonts-noto-core)"
