"""What a source of images is."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_bytes, digest_file
from dinoscope.columns.names import ColumnChoice
from dinoscope.errors import ImageError
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.items import Item
from dinoscope.sources.pixels.decode import WHOLE_BYTES, Decoding, Picture, ReducedImage, read_reduced
from dinoscope.sources.pixels.memory import LARGE_BYTES, decoders

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ImageSource", "PictureSource", "as_source"]


class ImageSource(ABC):
    """A sequence of images in a fixed order. A source of your own gives ``name``, ``kind``, ``items`` and ``load``.

    Attributes:
        name: Short name for people.
        kind: One of "folder", "archive", "table", "array" and "dataset".
        items: What is known about each image before it is decoded.
        random_access: Whether the order of loading is free; False keeps the source's order.
        ignored_endings: How many files were left out because of what their names end with, by that ending.
        notes: Sentences about the source that a person should read.
        has_labels: Whether it says what the labels are; where it does not, a collection keeps those that it has.
        has_splits: The same for splits.
        decoding: How its pictures are decoded.
        folder_rule: What a person wants of the names of folders; None: nothing was said, or it has no folders.
        column_choice: Which columns a person wants; None: nothing was said.
        columns_beside: Columns that tables beside the images have: name -> (N,).
    """

    name: str
    kind: str
    items: Sequence[Item]
    random_access: bool = True
    ignored_endings: Counter[str] = Counter()  # noqa: RUF012  replaced, never changed
    notes: Sequence[str] = ()
    has_labels: bool = True
    has_splits: bool = True
    decoding: Decoding = Decoding()
    folder_rule: FolderRule | None = None
    column_choice: ColumnChoice | None = None
    columns_beside: Mapping[str, pa.Array] = MappingProxyType({})

    @abstractmethod
    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one image to (H, W, 3) RGB; safe to call from several threads.

        Raises:
            ImageError: The image cannot be read; the message is the reason.
        """

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one image, at reduced size where the source can do so and enough is left.

        Args:
            index: Which one.
            least: What must be left of the shortest and of the longest side, in pixels.

        Raises:
            ImageError: The image cannot be read; the message is the reason.
        """
        return ReducedImage.whole(self.load(index))

    def picture(self, index: int) -> Picture | None:
        """Return one image before it is decoded: a path, a file's bytes or an array; None if there is no such thing.

        Raises:
            ImageError: It cannot be read.
        """
        return None

    def path(self, index: int) -> str | None:
        """Return the file of an image on this machine, which nothing is read for; None if there is none."""
        return None

    def file_size(self, index: int) -> int | None:
        """Return about how many bytes an image's file has, which nothing is read for; None where that is not known."""
        path = self.path(index)
        return os.path.getsize(path) if path is not None and os.path.isfile(path) else None

    def content(self, index: int) -> str | None:
        """Return the digest of the bytes of an image's file; it tells a renamed file from a new one.

        None if there is no file, or it would cost too much. The same as ``ReducedImage.content``.
        """
        return None

    def columns(self) -> Mapping[str, pa.Array]:
        """Return what is known besides label, split and caption: name -> values (N,), read when needed.

        Raises:
            SourceError: It cannot be read.
        """
        return self.columns_beside

    @property
    def ignored(self) -> int:
        """How many files were left out because of what their names end with."""
        return sum(self.ignored_endings.values())


class PictureSource(ImageSource):
    """A source that says where each picture is; what is done with it is the same for all."""

    @abstractmethod
    def picture(self, index: int) -> Picture:
        """Return one image as it is before decoding; see `ImageSource.picture`."""

    def bytes_read(self, index: int) -> int:
        """Return how many bytes `picture` reads into memory, so that large ones are read one at a time."""
        return 0

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one image; see `ImageSource.load`."""
        return self._load(index, None, measured=False).pixels

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one image, a large JPEG at reduced size; see `ImageSource.load_reduced`."""
        return self._load(index, least)

    def _load(self, index: int, least: tuple[int, int] | None, *, measured: bool = True) -> ReducedImage:
        with decoders.alone(self.bytes_read(index) > LARGE_BYTES):
            return read_reduced(self.picture(index), least, self.decoding, measured=measured)

    def content(self, index: int) -> str | None:
        """Return the digest of the bytes of an image's file; see `ImageSource.content`."""
        try:
            held = self.picture(index)
            if isinstance(held, str) and os.path.isfile(held) and os.path.getsize(held) <= WHOLE_BYTES:
                return digest_file(held)
        except (ImageError, OSError):  # `load` will tell
            return None
        return digest_bytes(held) if isinstance(held, bytes) else None


@runtime_checkable
class _LikeASource(Protocol):
    name: str
    kind: str
    items: Sequence[Item]

    def load(self, index: int) -> NDArray[np.uint8]: ...


class _Wrapped(ImageSource):
    """Somebody's object with the four things that a source needs."""

    def __init__(self, source: _LikeASource) -> None:
        self.name, self.kind, self.items = source.name, source.kind, source.items
        self.random_access = getattr(source, "random_access", True)
        self.has_labels = any(item.label is not None or getattr(item, "labels", ()) for item in source.items)
        self.has_splits = any(item.split is not None for item in source.items)
        self._source = source

    def load(self, index: int) -> NDArray[np.uint8]:
        return self._source.load(index)


def as_source(source: object) -> ImageSource | None:
    """Return what is a source, or has the four things that one needs, as a source; None for anything else."""
    if isinstance(source, ImageSource):
        return source
    return _Wrapped(source) if isinstance(source, _LikeASource) else None
