"""Some images of another source, or all of them with other labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import shown
from dinoscope.errors import InputError
from dinoscope.sources.array import Labels, label_text, read_labels
from dinoscope.sources.base import ImageSource
from dinoscope.sources.items import Item, Items
from dinoscope.sources.pixels.decode import Decoding, Picture, ReducedImage

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["give_labels", "select"]


class _Subset(ImageSource):
    """Some items of another source, in that source's order."""

    def __init__(self, source: ImageSource, rows: Sequence[int]) -> None:
        self.name, self.kind = source.name, source.kind
        chosen = (source.items[row] for row in rows)
        self.items = Items(chosen) if isinstance(source.items, Items) else list(chosen)
        self.random_access, self.notes = source.random_access, source.notes
        self.ignored_endings, self.folder_rule = source.ignored_endings, source.folder_rule
        self.has_labels, self.has_splits = source.has_labels, source.has_splits
        self.column_choice = source.column_choice
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

    def columns(self) -> Mapping[str, pa.Array]:
        import pyarrow as pa

        rows = pa.array(self._rows, pa.int64())
        return {name: values.take(rows) for name, values in self._source.columns().items()}

    def picture(self, index: int) -> Picture | None:
        return self._source.picture(self._rows[index])

    def path(self, index: int) -> str | None:
        return self._source.path(self._rows[index])

    def file_size(self, index: int) -> int | None:
        return self._source.file_size(self._rows[index])

    def content(self, index: int) -> str | None:
        return self._source.content(self._rows[index])


def select(source: ImageSource, indices: Sequence[int]) -> ImageSource:
    """Return a source of some images of another one, by their places in it, in the order given."""
    return _Subset(source, indices)


def give_labels(source: ImageSource, labels: Labels | None, splits: Labels | None) -> ImageSource:
    """Return a source with these labels and splits, (N,) each, instead of its own; None leaves those.

    Raises:
        InputError: They are not as many as the images.
    """
    for name, values in (("label", labels), ("split", splits)):
        if values is not None:
            _check_count(name, values, len(source.items))
    given = select(source, range(len(source.items)))
    items: Iterable[Item] = source.items
    if labels is not None:
        told = zip(items, *read_labels(labels), strict=True)
        items = (replace(item, label=label, labels=several) for item, label, several in told)
    if splits is not None:
        items = (replace(item, split=label_text(split)) for item, split in zip(items, splits, strict=True))
    given.items = Items(items)
    given.has_labels, given.has_splits = (
        source.has_labels or labels is not None,
        source.has_splits or splits is not None,
    )
    return given


def _check_count(name: str, values: object, count: int) -> None:
    if isinstance(values, Sized) and not isinstance(values, str | Mapping):
        shape = getattr(values, "shape", None)
        got: object = (len(values),) if shape is None else tuple(shape)
    else:
        got = shown(values)
    is_hot = name == "label" and isinstance(got, tuple) and len(got) == 2 and got[0] == count
    if got != (count,) and not is_hot:
        raise InputError(
            f"{name}s must be as many as the images: expected {count}, got {got}; a column of a table is named by "
            f"{name}_column"
        )
