"""The pictures that a collection was made of, found again in their source."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dinoscope.sources.base import PictureSource

if TYPE_CHECKING:
    from dinoscope.sources.base import ImageSource
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Originals", "ending_of"]

_ENDINGS = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


class Originals:
    """The images of a source, found for those of a collection by what they hold: files are copied, touched, renamed.

    Attributes:
        source: The source.
    """

    def __init__(self, source: ImageSource) -> None:
        self.source = source
        self._by_key = {(item.id, item.key): index for index, item in enumerate(source.items)}
        self._by_id = {item.id: index for index, item in enumerate(source.items)}
        self._by_content: dict[str, int] = {}  # of the files that were read for it
        self._compared: set[int] = set()
        self._comparing = threading.Lock()

    def count_lost(self, collection: OpenedCollection) -> int:
        """Count the images that the source lacks. Files of names that the collection does not know are read for it."""
        lost = [at for at, image_id in enumerate(collection.ids) if image_id not in self._by_id]
        if lost:
            known = set(collection.ids.tolist())
            self._compare([index for image_id, index in self._by_id.items() if image_id not in known])
        return sum(collection.contents[at] not in self._by_content for at in lost)

    def size(self, collection: OpenedCollection, position: int) -> int | None:
        """Return about how many bytes an image's file has, without reading it; None if there is none of its name."""
        index = self._by_id.get(collection.ids[position])
        if index is None:
            index = self._by_content.get(collection.contents[position])
        if index is None:
            return None
        path = self.source.path(index)
        if path is not None:
            file = Path(path)
            return file.stat().st_size if file.is_file() else None
        known = self.source.bytes_read(index) if isinstance(self.source, PictureSource) else 0
        width, height = collection.sizes[position]
        return known or int(width) * int(height)  # what has no file becomes a PNG of about a byte a pixel

    def index_of(self, collection: OpenedCollection, position: int, *, search: bool = True) -> int | None:
        """Return the place of an image in the source; None if the source does not hold what was embedded.

        ``search`` also looks into all files for one that is not where it was, which reads them all.
        """
        image_id, key = collection.ids[position], collection.content_keys[position]
        content = collection.contents[position]
        if content == key:  # no digest of its file was stored
            return self._by_key.get((image_id, key))
        index = self._by_id.get(image_id)
        if index is not None and self.source.content(index) == content:
            return index
        if search and content not in self._by_content:  # files may have changed their names among each other
            self._compare(list(self._by_id.values()))
        return self._by_content.get(content)

    def file(self, collection: OpenedCollection, position: int) -> bytes | None:
        """Return the bytes of an image's file as they are, a PNG of one that has none; None if it is not there.

        Raises:
            ImageError: If it cannot be read any more.
        """
        index = self.index_of(collection, position)
        if index is None:
            return None
        held = self.source.picture(index)
        if isinstance(held, bytes):
            return held
        if isinstance(held, str | os.PathLike):
            return Path(held).read_bytes()
        self.source.decoding = collection.decoding
        out = io.BytesIO()
        Image.fromarray(self.source.load(index)).save(out, "PNG")
        return out.getvalue()

    def _compare(self, indices: Sequence[int]) -> None:
        with self._comparing:
            for index in indices:
                if index not in self._compared:
                    self._compared.add(index)
                    content = self.source.content(index)
                    if content is not None:
                        self._by_content.setdefault(content, index)


def ending_of(picture: bytes, name: str) -> str:
    """Return how the name of a picture's file should end: as it does, else as its content says."""
    given = Path(name).suffix.lower()
    if given in (*_ENDINGS.values(), ".jpeg", ".tiff", ".avif", ".heic", ".heif"):
        return given
    try:
        with Image.open(io.BytesIO(picture)) as image:
            return _ENDINGS.get(image.format or "", ".png")
    except OSError:  # of a kind that an extra reads
        return ".bin"
