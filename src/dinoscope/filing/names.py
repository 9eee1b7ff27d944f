"""Names of files and folders that every system takes, and that lead nowhere else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

__all__ = ["FreeNames", "folder_names", "is_inside", "is_link_to", "is_reserved", "safe_path"]

_FORBIDDEN = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._]+")
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))}
_LONGEST = 100  # characters of a folder's name
_LONGEST_PART, _ENDING = 180, 20  # characters of a part of a path, and of its end, which says what kind of file it is


def is_inside(name: str) -> bool:
    """Tell whether a relative name with "/" stays below the folder that it is relative to."""
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name if os.name == "nt" else False
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name and not odd


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
    used: set[str] = set()
    for text in sorted(dict.fromkeys(texts), key=lambda text: forbidden.search(text) is not None):  # as it is first
        name = forbidden.sub(instead, text)[:_LONGEST].strip().rstrip(".") or instead
        if is_reserved(name) or name.startswith("."):
            name = f"_{name}"
        stem, number = name, 1
        while name.casefold() in used:
            number += 1
            name = numbered.format(stem, number)
        used.add(name.casefold())
        names[text] = name
    return names


def safe_path(name: str) -> str:
    """Return a relative path, with "/", that every system takes and that leads nowhere else, made of any name."""
    parts = []
    for text in name.split("/"):
        part = _FORBIDDEN.sub("-", text).strip().rstrip(" .")
        if len(part) > _LONGEST_PART:
            part = part[: _LONGEST_PART - _ENDING] + part[-_ENDING:]
        if part:
            parts.append(f"_{part}" if is_reserved(part) else part)
    return "/".join(parts) or "-"


class FreeNames:
    """Gives files names that nothing has yet: "cat.jpg", else "cat (2).jpg"; below a folder, if one is named."""

    def __init__(self, into: Path | None = None) -> None:
        self._into, self._used = into, set[str]()

    def take(self, name: str) -> str:
        """Return a relative name, with "/", that is free: this one, or one made of it."""
        path = PurePosixPath(name)
        found, number = path, 1
        while str(found).casefold() in self._used or (self._into and os.path.lexists(self._into / found)):
            number += 1
            found = path.with_name(f"{path.stem} ({number}){path.suffix}")
        self._used.add(str(found).casefold())
        return str(found)
