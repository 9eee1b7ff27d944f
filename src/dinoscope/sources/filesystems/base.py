"""What all file systems have in common, and which files do not exist for a source."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLLECTION",
    "MARKS",
    "MAX_BYTES",
    "Listing",
    "OpenFiles",
    "Storage",
    "is_hidden",
    "is_pattern",
    "is_remote",
    "split_pattern",
]

COLLECTION = frozenset({"collection.json", "images.parquet"})
MARKS = COLLECTION | {"images.parquet.bak"}  # one alone may be anybody's, and a damaged collection may lack some
MAX_BYTES = 5 << 27  # of one image file that is read whole, 640 MiB: 100 million pixels of 16-bit RGB take 572
_WILD = re.compile(r"[*?{]|\[[^/\\]+\]")
Opened = TypeVar("Opened")
Listing: TypeAlias = tuple[list[str], Iterable[str], Counter[str]]  # names, stamps, endings of the other files
# What macOS, Windows, Synology, QNAP and Linux put beside a person's files: no images, or copies of them.
_SYSTEM = frozenset(
    {
        *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
        *("recycler", "system volume information", "@eadir", "#recycle", "@recycle", "#snapshot", "lost+found"),
    }
)


class Storage(Protocol):
    """The files below one folder; their names are relative, with "/"."""

    @property
    def name(self) -> str:
        """The folder's own name, for people: no path of a machine, no credentials."""

    @property
    def place(self) -> str:
        """Where it is, for messages that are never stored."""

    def below(self, path: str) -> str | None:
        """Return the name of a file that is given by its whole path or URI; None if it is not in this folder."""

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """List the files that end with one of the suffixes, in natural order.

        Hidden ones do not exist, nor does a folder that is a collection: its pictures are results.

        Returns:
            Their names, the stamp of each (see `stamps`), and how many other files have which ending.

        Raises:
            SourceError: The folder cannot be listed.
        """

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """Yield size and time of each file, as a text that changes when it is written again; "" if it is gone."""

    def picture(self, name: str) -> str | bytes:
        """Return the path of a file of this machine, the bytes of any other.

        Raises:
            ImageError: It cannot be read.
        """

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading anywhere (`read_at(nbytes, offset)`, from several threads) as pyarrow's NativeFile.

        Raises:
            SourceError: It cannot be read.
        """


class OpenFiles(Generic[Opened]):
    """Files by their names, each opened when it is first asked for; a pickled copy, of a worker, opens its own."""

    def __init__(self, opener: Callable[[str], Opened], most: int | None = None) -> None:
        """Say what opens one, and how many are held open: the last thread that reads a dropped one closes it."""
        self._arguments = (opener, most)
        self._open = lru_cache(most)(opener)

    def __call__(self, name: str) -> Opened:
        """Return the open file; what opens it may raise."""
        return self._open(name)

    def __reduce__(self) -> tuple[object, ...]:
        return OpenFiles, self._arguments


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name does not exist for a source."""
    return name.startswith(".") or name.lower() in _SYSTEM


def is_pattern(path: str) -> bool:
    """Tell whether a path names several files: "shards/*.tar", "shards/{0000..0099}.tar"."""
    return _WILD.search(path) is not None


def split_pattern(path: str) -> tuple[str, str]:
    """Split a pattern, with "/", into the folder before the first part with a mark and the rest."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if is_pattern(part))
    return "/".join(parts[:first]) + ("/" if first else "") or ".", "/".join(parts[first:])


def is_remote(source: str) -> bool:
    """Tell whether a name is a URI: "s3://bucket/photos"."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", source) is not None
