"""Where the files are that a table names: as people write paths, and as the files are called."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence

from dinoscope.sources.names import SUFFIXES

__all__ = ["find_files"]

_AMBIGUOUS = ""
_ON_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def find_files(
    names: Sequence[str], missing: Iterable[int], files: Sequence[str], *, foreign: bool = False
) -> tuple[list[str], int]:
    """Return names as the files have them, and how many of these lie in another folder than the table says.

    A file may be written otherwise in the table: its accents in the other Unicode form, its backslashes as slashes, its
    letters small or large, and without its ending, where no name in the table has one. Of whole paths on another
    machine or drive, a file is the one with a path that ends like the name, if there is only one, and no other name has
    it.

    Args:
        names: Relative paths, with "/".
        missing: The places of those that are not there.
        files: What is there.
        foreign: Whether the names are paths of another machine.
    """
    found, wanted = list(names), list(missing)
    is_bare = not any(name.lower().endswith(SUFFIXES) for name in names)
    listed = {_plain(file, is_bare): file for file in files}
    loosely = _unique((_plain(file, is_bare).casefold(), file) for file in files)
    left = []
    for index in wanted:
        plain = _plain(names[index])
        file = listed.get(plain) or loosely.get(plain.casefold())
        if file:
            found[index] = file
        else:
            left.append(index)
    if not foreign and not any(map(_ON_DRIVE.match, names)):
        return found, 0
    return _by_ends(found, left, files, is_bare)


def _by_ends(found: list[str], left: Sequence[int], files: Sequence[str], is_bare: bool) -> tuple[list[str], int]:
    """Give the names that are left the files whose paths end like them; a file is that of one name at most.

    Of several names that end like a file, it is that with the longest such end, and no one's where two are as long.
    """
    ends = _unique((end, file) for file in files for end in _ends(_plain(file, is_bare).casefold()))
    claims: dict[str, dict[str, int]] = defaultdict(dict)  # of each file: the names that end like it, and how far
    places: dict[str, list[int]] = defaultdict(list)  # of each name, which a table may have in several rows
    for index in left:
        name = _plain(found[index]).casefold()
        places[name].append(index)
        end = next((end for end in _ends(name) if end in ends), "")
        if ends.get(end):
            claims[ends[end]][name] = end.count("/")
    not_found = set(left)
    taken = {file for index, file in enumerate(found) if index not in not_found}
    moved = 0
    for file, names in claims.items():
        best = [name for name, depth in names.items() if depth == max(names.values())]
        if file not in taken and len(best) == 1:
            for index in places[best[0]]:
                found[index] = file
                moved += 1
    return found, moved


def _unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return which file each name is of; "" where it is of several."""
    found: dict[str, str] = {}
    for name, file in pairs:
        found[name] = file if found.get(name, file) == file else _AMBIGUOUS
    return found


def _ends(path: str) -> Iterable[str]:
    """Yield the path, and the path without its first folder, and so on."""
    parts = path.split("/")
    return ("/".join(parts[depth:]) for depth in range(len(parts)))


def _plain(name: str, is_bare: bool = False) -> str:
    plain = unicodedata.normalize("NFC", posixpath.normpath(name.replace("\\", "/")))
    return posixpath.splitext(plain)[0] if is_bare else plain
