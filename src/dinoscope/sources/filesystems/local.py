"""A folder of this machine."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from dinoscope.base.paths import named_path
from dinoscope.base.text import printable
from dinoscope.errors import SourceError
from dinoscope.sources.filesystems.base import MARKS, Listing, is_hidden
from dinoscope.sources.names import ending_of, sort_naturally

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LocalStorage"]

_FOLDERS = frozenset({"details", "vectors"})


class LocalStorage:
    """A folder of this machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(named_path(root))
        self.name = printable(os.path.basename(self._root)) or self._root
        self.place = printable(self._root)

    @property
    def above(self) -> str:
        """The folder above it."""
        return os.path.dirname(self._root)

    def below(self, path: str) -> str | None:
        """See `Storage.below`; a path may lead through links."""
        if not os.path.isabs(path):
            return None
        for whole, root in (
            (os.path.normpath(path), self._root),
            (os.path.realpath(path), os.path.realpath(self._root)),
        ):
            with suppress(ValueError):  # of two drives
                if os.path.commonpath([whole, root]) == root:
                    return os.path.relpath(whole, root).replace(os.sep, "/")
        return None

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """See `Storage.list`; links are followed, each folder once."""
        found, ignored = _walk(self._root, suffixes)
        sort_naturally(found)
        return found, self.stamps(found), ignored

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """See `Storage.stamps`."""
        for name in names:
            try:
                status = os.stat(os.path.join(self._root, name))
            except (OSError, ValueError):  # a dangling link, or gone again: `load` will tell
                yield ""
            else:
                yield f"{status.st_size} {status.st_mtime_ns}"

    def picture(self, name: str) -> str:
        """See `Storage.picture`."""
        return os.path.join(self._root, name)

    def open(self, name: str) -> pa.NativeFile:
        """See `Storage.open`."""
        import pyarrow as pa

        path = os.path.join(self._root, name)
        if not os.path.isfile(path):  # opening a pipe would wait forever
            raise SourceError(f"{printable(name)!r} is not a regular file")
        try:
            return pa.OSFile(path)
        except UnicodeEncodeError:
            raise SourceError(f"{printable(name)!r} has a name that is not UTF-8: rename it") from None
        except OSError as error:  # its own text holds the whole path
            reason = os.strerror(error.errno) if error.errno else "the system refuses it"
            raise SourceError(f"{name!r} cannot be read: {reason}") from None


def _walk(root: str, suffixes: tuple[str, ...]) -> tuple[list[str], Counter[str]]:
    """List the relative POSIX paths with one of the suffixes below a folder, and count the endings of other files."""
    found: list[str] = []
    ignored: Counter[str] = Counter()
    seen: set[str] = set()  # each folder once, or links that form a loop would never end
    folders: list[str] = [""]
    links: list[str] = []  # followed last: an image goes by its own path before it goes by a link's
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        place = os.path.realpath(os.path.join(root, folder))
        if place in seen:
            continue
        seen.add(place)
        below: list[str] = []
        linked: list[str] = []
        others: Counter[str] = Counter()
        begin, marks, folders_of_one = len(found), 0, 0
        try:
            with os.scandir(place) as listing:
                for entry in listing:
                    if is_hidden(entry.name):
                        continue
                    path = folder + entry.name
                    marks += entry.name in MARKS
                    folders_of_one += entry.name in _FOLDERS
                    if entry.name.lower().endswith(suffixes):
                        found.append(path)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(path + "/")
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        linked.append(path + "/")
                    else:
                        others[ending_of(entry.name)] += 1
        except OSError as error:
            raise SourceError(f"cannot list the folder {printable(folder) or root!r}: {error.strerror}") from error
        if marks and marks + folders_of_one > 1:  # known only now: the order of a folder is anybody's guess
            del found[begin:]
            continue
        ignored.update(others)
        folders += sorted(below)
        links += sorted(linked)
    return found, ignored
