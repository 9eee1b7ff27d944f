"""One image of a collection, and lists of images that a search gave."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from dinoscope.notebook.pieces import Tile, calls, heading, sentence, strip
from dinoscope.stages.queries.search import Match
from dinoscope.stages.queries.windows import Spot

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Answers", "Image", "tiles_of"]

Answer = TypeVar("Answer", bound=Match | Spot)


def tiles_of(collection: OpenedCollection, captions: Mapping[int, tuple[str, ...]]) -> list[Tile]:
    """Return the pictures of images: position -> the lines below it, of which empty ones are left out."""
    pictures = collection.thumbnails(list(captions))
    return [
        Tile(
            picture,
            tuple(line for line in lines if line),
            f"{collection.ids[at]} (row {collection.rows[at]})",
            (int(collection.sizes[at, 0]), int(collection.sizes[at, 1])),
        )
        for (at, lines), picture in zip(captions.items(), pictures, strict=True)
    ]


@dataclass(frozen=True)
class Image:
    """One image of a collection.

    Attributes:
        row: Its row number.
        id: Its id: the name of the file below the folder, mostly.
        label: Its label; None without one.
        split: Its split, such as "train"; None without one.
        caption: Its caption; None without one.
        width: In pixels, upright.
        height: In pixels, upright.
    """

    row: int
    id: str
    label: str | None
    split: str | None
    caption: str | None
    width: int
    height: int
    _collection: OpenedCollection = field(repr=False, compare=False)

    @classmethod
    def of(cls, collection: OpenedCollection, row: int) -> Image:
        """Return the image of a row.

        Raises:
            InputError: If there is no such row.
        """
        at = collection.position(row)
        label, split, caption = collection.labels[at], collection.splits[at], collection.captions[at]
        width, height = (int(side) for side in collection.sizes[at])
        return cls(int(row), str(collection.ids[at]), label, split, caption, width, height, collection)

    @property
    def vector(self) -> NDArray[np.float32]:
        """Its unit vector (D,)."""
        vector: NDArray[np.float32] = self._collection.vectors[self._collection.position(self.row)]
        return vector

    @property
    def thumbnail(self) -> PillowImage.Image:
        """The small picture that the collection keeps."""
        (held,) = self._collection.thumbnails([self._collection.position(self.row)])
        return PillowImage.open(io.BytesIO(held))

    def _repr_html_(self) -> str:
        known = {"label": self.label, "split": self.split, "caption": self.caption}
        facts = [f"{name}: {value}" for name, value in known.items() if value is not None]
        at = self._collection.position(self.row)
        tiles = tiles_of(self._collection, {at: (f"row {self.row}",)})
        said = sentence(" · ".join([*facts, f"{self.width} x {self.height} pixels"]))
        return heading(self.id) + strip(tiles) + said + calls([(f"c.search({self.row})", "the images most like it")])


class Answers(list[Answer]):
    """The answers of a search, the best first; a notebook shows their pictures."""

    def __init__(self, answers: Iterable[Answer], collection: OpenedCollection, query: object) -> None:
        """Hold answers.

        Args:
            answers: What was found.
            collection: Where it was found.
            query: What was searched by; a row number is shown in front.
        """
        super().__init__(answers)
        self._collection = collection
        self._row = int(query) if isinstance(query, int | np.integer) and not isinstance(query, bool) else None

    def _repr_html_(self) -> str:
        collection = self._collection
        asked = {} if self._row is None else {collection.position(self._row): ("your image",)}
        found = {collection.position(each.row): each for each in self}
        tiles = [replace(tile, strong=True) for tile in tiles_of(collection, asked)]
        told = {at: (f"{each.similarity:.3f}", collection.label_text(at)) for at, each in found.items()}
        tiles += [_with_part(tile, each) for tile, each in zip(tiles_of(collection, told), found.values(), strict=True)]
        return strip(tiles) if self else sentence("nothing was found")


def _with_part(tile: Tile, found: Match | Spot) -> Tile:
    if not isinstance(found, Spot) or found.box is None or not min(tile.size):
        return tile
    (left, top, across, down), (width, height) = found.box, tile.size
    box = (left / width, top / height, across / width, down / height)
    return replace(tile, box=box)
