"""Some images of another source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dinoscope.sources.base import ImageSource
from dinoscope.sources.decode import Decoding, Picture, ReducedImage
from dinoscope.sources.items import Items

__all__ = ["select"]


class _Subset(ImageSource):
    """Some items of another source, in that source's order."""

    def __init__(self, source: ImageSource, rows: Sequence[int]) -> None:
        self.name, self.kind = source.name, source.kind
        chosen = (source.items[row] for row in rows)
        self.items = Items(chosen) if isinstance(source.items, Items) else list(chosen)
        self.random_access, self.notes = source.random_access, source.notes
        self.ignored_endings, self.folder_rule = source.ignored_endings, source.folder_rule
        self._source, self._rows = source, rows

    @property
    def decoding(self) -> Decoding:
        return self._source.decoding

    @decoding.setter
    def decoding(self, how: Decoding) -> None:
        self._source.decoding = how

    def load(self, index: int) -> NDArray[np.uint8]:
        return self._source.load(self._rows[index])

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        return self._source.load_reduced(self._rows[index], least)

    def picture(self, index: int) -> Picture | None:
        return self._source.picture(self._rows[index])

    def content(self, index: int) -> str | None:
        return self._source.content(self._rows[index])


def select(source: ImageSource, indices: Sequence[int]) -> ImageSource:
    """Return a source of some images of another one, by their places in it, in the order given."""
    return _Subset(source, indices)
