"""Some images of another source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dinoscope.sources.base import ImageSource, content_of, load_reduced
from dinoscope.sources.decode import ReducedImage
from dinoscope.sources.items import Item, Items

__all__ = ["select"]


class _Subset:
    """Some items of another source, in that source's order."""

    def __init__(self, source: ImageSource, rows: Sequence[int]) -> None:
        self.name, self.kind = source.name, source.kind
        chosen = (source.items[row] for row in rows)
        self.items: Sequence[Item] = Items(chosen) if isinstance(source.items, Items) else list(chosen)
        self.random_access: bool = getattr(source, "random_access", True)
        self.ignored: int = getattr(source, "ignored", 0)
        self.ignored_endings: Counter[str] = getattr(source, "ignored_endings", None) or Counter()
        self.notes: Sequence[str] = getattr(source, "notes", ())
        self._source, self._rows = source, rows

    def load(self, index: int) -> NDArray[np.uint8]:
        return self._source.load(self._rows[index])

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        return load_reduced(self._source, self._rows[index], least)

    def content(self, index: int) -> str | None:
        return content_of(self._source, self._rows[index])


def select(source: ImageSource, indices: Sequence[int]) -> ImageSource:
    """Return a source of some images of another one, by their places in it, in the order given."""
    return _Subset(source, indices)
