"""What is in archives, seen as a folder: for the tables inside, which name the images beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dinoscope.errors import ImageError, SourceError
from dinoscope.sources.archives.source import ArchiveSource
from dinoscope.sources.filesystems import Listing

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArchiveStorage"]


class ArchiveStorage:
    """The images and tables in archives as the files of a folder, by their ids; see `Storage`."""

    def __init__(self, source: ArchiveSource) -> None:
        self._source, self.name, self.place = source, source.name, source.name
        self._places = {item.id: index for index, item in enumerate(source.items)}

    def below(self, path: str) -> str | None:
        """Return None, as no path of a machine leads into an archive; see `Storage.below`."""
        return None

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """List the members that end with one of the suffixes; see `Storage.list`."""
        names = [name for name in (*self._places, *self._source.tables) if name.lower().endswith(suffixes)]
        return names, self.stamps(names), Counter()

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """Yield a text for each member that is there, "" for others; see `Storage.stamps`."""
        return ("there" if name in self._places or name in self._source.tables else "" for name in names)

    def picture(self, name: str) -> bytes:
        """Return the bytes of an image; see `Storage.picture`."""
        if name not in self._places:
            raise ImageError("is missing: it is not in the archive")
        return self._source.picture(self._places[name])

    def open(self, name: str) -> pa.NativeFile:
        """Open a table; see `Storage.open`."""
        import pyarrow as pa

        try:
            return pa.BufferReader(self._source.table(name))
        except ImageError as error:
            raise SourceError(f"{name} {error}") from None
