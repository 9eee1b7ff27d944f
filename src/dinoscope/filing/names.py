"""Names of files and folders that every system takes, and that lead nowhere else."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

__all__ = [
    "FreeNames",
    "folder_names",
    "is_inside",
    "is_link_to",
    "is_reserved",
    "is_within",
    "number_first",
    "safe_path",
]

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]+')
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._]+")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
_NUMBERED = re.compile(r"(.+)(\.[A-Za-z0-9]{1,5})((?:#[0-9]+)+)")
# bytes: systems take 255, of which a journal beside a folder, a temporary file's name and " (2)" need some
_LONGEST, _LONGEST_PART = 100, 180  # of a folder's name, of a part of a path
_ENDING = 20  # of an ending, which says what kind of file it is


def is_inside(name: str) -> bool:
    """Tell whether a relative name with "/" stays below the folder that it is relative to."""
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name if os.name == "nt" else False
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name and not odd


def is_within(path: Path, folder: Path) -> bool:
    """Tell whether a path is a folder or lies in it, after following links and ignoring how letters are written."""
    place = path.resolve()
    return any(each.samefile(folder) for each in (place, *place.parents) if each.exists())


def is_link_to(path: Path, target: Path) -> bool:
    """Tell whether a path is a symbolic link that says just this."""
    return path.is_symlink() and str(path.readlink()) == os.path.abspath(target)


def is_reserved(name: str) -> bool:
    """Tell whether Windows means a device by a name."""
    return name.split(".")[0].strip().lower() in _RESERVED


def folder_names(texts: Iterable[str], *, plain: bool = False) -> dict[str, str]:
    """Return a name of a folder for each text: itself where that is one, and never the same for two texts.

    Names that differ in upper and lower case alone are the same on some systems.

    Args:
        texts: The texts.
        plain: Use letters and digits of the English alphabet, dots and underscores alone.
    """
    forbidden, instead, numbered = (_NOT_PLAIN, "_", "{}_{}") if plain else (_FORBIDDEN, "-", "{} ({})")
    names: dict[str, str] = {}
    used = _Used()
    for text in sorted(dict.fromkeys(texts), key=lambda text: forbidden.search(text) is not None):  # as it is first
        name = _cut(forbidden.sub(instead, _visible(text)).strip(), _LONGEST).rstrip(" .") or instead
        if is_reserved(name) or name.startswith("."):
            name = f"_{name}"
        names[text] = used.take(name, numbered.format)
    return names


def safe_path(name: str) -> str:
    """Return a relative path, with "/", that every system takes and that leads nowhere else, made of any name."""
    parts = []
    for text in name.split("/"):
        part = _FORBIDDEN.sub("-", _visible(text)).strip().rstrip(" .")
        if len(part.encode()) > _LONGEST_PART:
            ending = PurePosixPath(part).suffix
            ending = ending if len(ending.encode()) <= _ENDING else ""
            part = _cut(part, _LONGEST_PART - len(ending.encode())).rstrip(" .") + ending
        if part:
            parts.append(f"_{part}" if is_reserved(part) else part)
    return "/".join(parts) or "-"


def number_first(name: str) -> str:
    """Return the name of an image that a source has several times with its ending last: "x.png#2" is "x#2.png"."""
    found = _NUMBERED.fullmatch(name)
    return name if found is None else found[1] + found[3] + found[2]


class FreeNames:
    """Gives files names that nothing has yet: "cat.jpg", else "cat (2).jpg"; below a folder, if one is named."""

    def __init__(self, into: Path | None = None) -> None:
        self._into, self._used = into, _Used()

    def take(self, name: str) -> str:
        """Return a relative name, with "/", that is free: this one, or one made of it."""
        path = PurePosixPath(name)
        return self._used.take(
            str(path),
            lambda _, number: str(path.with_name(f"{path.stem} ({number}){path.suffix}")),
            lambda found: self._into is not None and os.path.lexists(self._into / found),
        )


class _Used:
    """Names that were given, told apart as the systems do that take small for capital letters, and the next number."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(
        self, name: str, numbered: Callable[[str, int], str], is_there: Callable[[str], bool] = lambda _: False
    ) -> str:
        """Return a name that is free: this one, or one with a number."""
        first, found = _folded(name), name
        number = self._next.get(first, 1)
        if number > 1:
            found = numbered(name, number)
        while _folded(found) in self._next or is_there(found):
            number += 1
            found = numbered(name, number)
        self._next.setdefault(_folded(found), 2)
        self._next[first] = number + 1
        return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _visible(text: str) -> str:
    """Return a text without characters that nobody sees, such as one that turns the order of what follows."""
    return "".join(each for each in text if unicodedata.category(each) != "Cf")


def _cut(text: str, most: int) -> str:
    """Return as much of a text as fits into this many bytes."""
    return text.encode()[:most].decode(errors="ignore")
