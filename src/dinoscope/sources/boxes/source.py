"""The objects in pictures as a source of images."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import ImageError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.boxes.annotations import Box
from dinoscope.sources.filesystems import LocalStorage
from dinoscope.sources.items import Item, Items
from dinoscope.sources.pixels.decode import Decoding, ReducedImage

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AnnotationFiles", "BoxSource", "read_file"]

_WHOLE = (1 << 30, 1 << 30)  # what must be left of a picture: all of it
_KEPT_BYTES = 256_000_000  # of pictures whose objects are being cut out
_SKEW = 0.02  # by which the shape of a picture may differ from that of the annotations, which round its sides


class AnnotationFiles(NamedTuple):
    """Where objects were read from: a folder, and the file with the names of YOLO's classes, if there is one."""

    storage: LocalStorage
    names: str | None


def read_file(storage: LocalStorage, name: str) -> bytes:
    """Return a file of annotations.

    Raises:
        SourceError: If it cannot be read.
    """
    with storage.open(name) as opened:
        held: bytes = opened.read()
    return held


@dataclass
class _Held:
    """A picture that several threads may want: the first decodes it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    image: ReducedImage | None = None


class BoxSource(ImageSource):
    """Each object that was marked in the pictures of another source, cut out: "street.jpg#3".

    Where several files of annotations have an object of the same name, the second is "street.jpg#3#2".
    The objects of a picture follow each other, so that it is decoded once.

    Attributes:
        boxes: The objects, in the order of the items.
        files: Where they were read from.
    """

    kind = "boxes"
    random_access = False

    def __init__(
        self,
        name: str,
        pictures: ImageSource,
        boxes: Sequence[tuple[int, Box]],
        splits: Sequence[str | None],
        files: AnnotationFiles,
    ) -> None:
        """Cut objects out of pictures.

        Args:
            name: What people call it.
            pictures: Where the pictures are.
            boxes: For each object, the place of its picture in ``pictures``, and the object (N,).
            splits: The split of each (N,), for pictures that have none.
            files: Where they were read from.
        """
        self.name, self.files = name, files
        order = sorted(range(len(boxes)), key=lambda at: boxes[at][0])
        self.boxes = [boxes[at][1] for at in order]
        self._pictures = pictures
        self._of = np.array([boxes[at][0] for at in order], np.int64)
        self._again = _count_again(zip(self._of.tolist(), map(_told, self.boxes), strict=True))
        named = zip(self._of.tolist(), (box.number for box in self.boxes), strict=True)
        self.items = Items(
            self._item(at, splits[place], again)
            for at, (place, again) in enumerate(zip(order, _count_again(named), strict=True))
        )
        self.has_splits = any(item.split is not None for item in self.items)
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._turn = threading.Lock()
        self._digested: tuple[int, str | None] | None = None  # the last picture, and the digest of its file

    @property
    def decoding(self) -> Decoding:
        """How the pictures are decoded before objects are cut out."""
        return self._pictures.decoding

    @decoding.setter
    def decoding(self, how: Decoding) -> None:
        self._pictures.decoding = how

    def load(self, index: int) -> NDArray[np.uint8]:
        """Cut one object out of its picture; see `ImageSource.load`."""
        return self.load_reduced(index, _WHOLE).pixels

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Cut one object out of its picture, at full size; see `ImageSource.load_reduced`."""
        picture = self._picture(int(self._of[index]))
        box = self.boxes[index]
        left, top, right, bottom = _pixels(box, picture.size)
        pixels = picture.pixels[top:bottom, left:right]
        return ReducedImage(
            np.ascontiguousarray(pixels),
            (right - left, bottom - top),
            self._content(picture.content, index),
            picture.note,
            facts=picture.facts,
        )

    def columns(self) -> Mapping[str, pa.Array]:
        """Return the columns of the pictures, and of which picture each object is; see `ImageSource.columns`."""
        import pyarrow as pa

        places = pa.array(self._of)
        held = {name: values.take(places) for name, values in self._pictures.columns().items()}
        return {**held, "picture": pa.array([self._pictures.items[at].id for at in self._of.tolist()])}

    def content(self, index: int) -> str | None:
        """Return a digest of the image file and of the box; see `ImageSource.content`."""
        place, digested = int(self._of[index]), self._digested
        if digested is None or digested[0] != place:  # the objects of a picture follow each other
            digested = self._digested = place, self._pictures.content(place)
        return self._content(digested[1], index)

    def _content(self, picture: str | None, index: int) -> str | None:
        """Return the digest of an object, which tells it from another with the same box in the same picture."""
        return None if picture is None else digest_bytes(picture, self._box_told(index))

    def _box_told(self, index: int) -> str:
        told, again = _told(self.boxes[index]), self._again[index]
        return f"{told} {again}" if again > 1 else told

    def _item(self, at: int, split: str | None, again: int) -> Item:
        held, box = self._pictures.items[int(self._of[at])], self.boxes[at]
        name = f"{held.id}#{box.number}" + (f"#{again}" if again > 1 else "")
        return Item(name, digest_bytes(held.key, self._box_told(at)), box.label, held.split or split)

    def _picture(self, at: int) -> ReducedImage:
        """Return a whole picture. The last ones are kept for their next objects."""
        with self._turn:
            held = self._held.setdefault(at, _Held())
            self._held.move_to_end(at)
        with held.lock:
            if held.image is None:
                held.image = self._pictures.load_reduced(at, _WHOLE)
                self._drop()
            return held.image

    def _drop(self) -> None:
        with self._turn:
            sizes = {at: each.image.pixels.nbytes for at, each in self._held.items() if each.image is not None}
            for at in list(sizes)[:-1]:
                if sum(sizes.values()) > _KEPT_BYTES:
                    del self._held[at], sizes[at]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_held": OrderedDict(), "_turn": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._turn = threading.Lock()


def _told(box: Box) -> str:
    return repr((box.corners, box.size))


def _count_again(values: Iterable[Hashable]) -> list[int]:
    """Return how often each value has come up so far (N,), with itself."""
    counts = Counter[Hashable]()
    found = []
    for value in values:
        counts[value] += 1
        found.append(counts[value])
    return found


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the corners of a box in whole pixels of a picture, inside it.

    Raises:
        ImageError: If it lies outside, holds less than a pixel, or was drawn on a picture of another shape.
    """
    wide, high = size
    across, down = (1.0, 1.0) if box.size is None else (wide / box.size[0], high / box.size[1])
    if box.size not in (None, (1.0, 1.0)) and abs(across / down - 1) > _SKEW:
        assert box.size is not None
        raise ImageError(
            f"its box was drawn on a picture of {box.size[0]:g} x {box.size[1]:g} pixels, and this one has "
            f"{wide} x {high}, upright"
        )
    left, top, right, bottom = (
        round(value * scale) for value, scale in zip(box.corners, (across, down, across, down), strict=True)
    )
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, wide), min(bottom, high)
    if right <= left or bottom <= top:
        raise ImageError("its box is empty, or lies outside the picture")
    return left, top, right, bottom
