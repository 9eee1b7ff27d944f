"""The images below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_bytes
from dinoscope.base.text import printable
from dinoscope.errors import SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.decode import ReducedImage
from dinoscope.sources.filesystems import Listing, LocalStorage, Storage
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import SUFFIXES, describe_endings, has_split_folders, place_in_folders

__all__ = ["FolderSource"]


class FolderSource(ImageSource):
    """The images below a folder, in natural order of their relative paths ("2.png" before "10.png").

    Hidden files and folders, what systems put beside a person's files (`__MACOSX`, `Thumbs.db`, `$RECYCLE.BIN`,
    `@eaDir`...) and dinoscope's own collections do not exist for it. Whatever has
    an image's suffix is an item, also when it turns out to be none. The first-level sub-folder is the label; where all
    first-level sub-folders are called train, test, val, valid or validation, they are the split and the second level is
    the label. `ignored` counts the files left out because of their suffix, `ignored_endings` says how many have which.

    Raises:
        SourceError: The folder cannot be listed or holds no images.
    """

    kind = "folder"

    def __init__(self, root: str | os.PathLike[str] | Storage, listed: Listing | None = None) -> None:
        self._storage: Storage = LocalStorage(root) if isinstance(root, str | os.PathLike) else root
        self.name = self._storage.name
        names, stamps, self.ignored_endings = listed or self._storage.list(SUFFIXES)
        if not names:
            others = describe_endings(self.ignored_endings) or "nor other files"
            raise SourceError(f"no images in {self.name!r} ({others}); expected {', '.join(SUFFIXES)}")
        has_splits = has_split_folders(map(printable, names))
        self.items = self._items = Items(_file_items(map(printable, names), stamps, has_splits))
        self._odd = {index: name for index, name in enumerate(names) if printable(name) != name}  # no UTF-8

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one file; see `ImageSource.load`."""
        return self._storage.load(self._path(index), None).pixels

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one file, a large JPEG at reduced size; see `ImageSource.load_reduced`."""
        return self._storage.load(self._path(index), least)

    def content(self, index: int) -> str | None:
        """Return the digest of one file's bytes; see `ImageSource.content`."""
        return self._storage.content(self._path(index))

    def _path(self, index: int) -> str:
        return self._odd.get(index) or self._items.name(index)


def _file_items(names: Iterable[str], stamps: Iterable[str], has_splits: bool) -> Iterator[Item]:
    for name, stamp in zip(names, stamps, strict=True):
        yield Item(name, digest_bytes(name, stamp), *place_in_folders(name, has_splits))
