"""The images below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from dinoscope.base.digests import digest_bytes
from dinoscope.base.text import printable
from dinoscope.errors import SourceError
from dinoscope.sources.base import PictureSource
from dinoscope.sources.filesystems import Listing, LocalStorage, Storage
from dinoscope.sources.folders import BY_NAMES, FolderLabels, FolderRule, read_folders
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import SUFFIXES, describe_endings
from dinoscope.sources.pixels.decode import Picture

__all__ = ["FolderSource"]


class FolderSource(PictureSource):
    """The images below a folder, in natural order of their relative paths ("2.png" before "10.png").

    Hidden files and folders, what systems put beside a person's files (`__MACOSX`, `Thumbs.db`, `$RECYCLE.BIN`,
    `@eaDir`...) and dinoscope's own collections do not exist for it. Every file with an image's suffix is an item, even
    if it turns out to be no image. `read_folders` says which folders are labels and splits. `ignored` counts the files
    left out because of their suffix, `ignored_endings` says how many have which.

    Raises:
        SourceError: The folder cannot be listed or holds no images.
    """

    kind = "folder"

    def __init__(
        self, root: str | os.PathLike[str] | Storage, listed: Listing | None = None, rule: FolderRule = BY_NAMES
    ) -> None:
        self._storage: Storage = LocalStorage(root) if isinstance(root, str | os.PathLike) else root
        self.name = self._storage.name
        names, stamps, self.ignored_endings = listed or self._storage.list(SUFFIXES)
        if not names:
            others = describe_endings(self.ignored_endings) or "nor other files"
            raise SourceError(f"no images in {self.name!r} ({others}); expected {', '.join(SUFFIXES)}")
        folders = read_folders(map(printable, names), rule)
        self.notes = folders.notes
        self.items = self._items = Items(_file_items(map(printable, names), stamps, folders))
        self._odd = {index: name for index, name in enumerate(names) if printable(name) != name}  # no UTF-8

    def picture(self, index: int) -> Picture:
        """Return the path of one file, or its bytes; see `ImageSource.picture`."""
        return self._storage.picture(self._odd.get(index) or self._items.name(index))

    def path(self, index: int) -> str | None:
        """Return one file; see `ImageSource.path`."""
        return str(self.picture(index)) if isinstance(self._storage, LocalStorage) else None


def _file_items(names: Iterable[str], stamps: Iterable[str], folders: FolderLabels) -> Iterator[Item]:
    for name, stamp in zip(names, stamps, strict=True):
        yield Item(name, digest_bytes(name, stamp), *folders[name])
