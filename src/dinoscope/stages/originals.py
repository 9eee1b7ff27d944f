"""The pictures that a collection was made of, found again in their source."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from dinoscope.base.digests import digest_bytes

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

    def places(self, collection: OpenedCollection, position: int) -> list[int]:
        """Return where in the source an image may be, the likeliest first: by its name, by what was read already."""
        image_id, content = collection.ids[position], collection.contents[position]
        if content == collection.content_keys[position]:  # no digest of its file was stored
            found = [self._by_key.get((image_id, content))]
        else:
            found = [self._by_id.get(image_id), self._by_content.get(content)]
        return list(dict.fromkeys(index for index in found if index is not None))

    def find(self, collection: OpenedCollection, position: int) -> int | None:
        """Return where in the source an image seems to be; no file is read. None if there is none of its name."""
        for index in self.places(collection, position):
            path = self.source.path(index)
            if path is None or Path(path).is_file():
                return index
        return None

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
        """Return the bytes of an image's file, wherever it is by now; see ``read_from``. None if it is not there."""
        index = self.index_of(collection, position)
        return None if index is None else self.read_from(collection, position, index)

    def read_from(self, collection: OpenedCollection, position: int, index: int) -> bytes | None:
        """Return the bytes of an image's file at a place of the source, a PNG of one that has none; it is read once.

        None if it does not hold what was embedded.

        Raises:
            ImageError: If it cannot be read any more.
        """
        content = collection.contents[position]
        is_known = content == collection.content_keys[position]  # by its key, without a digest of its bytes
        held = self.source.picture(index)
        if isinstance(held, str | os.PathLike):
            held = Path(held).read_bytes()
        if isinstance(held, bytes):
            return held if is_known or digest_bytes(held) == content else None
        if not is_known and self.source.content(index) != content:
            return None
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
