"""What is known about the images of a source before they are decoded, a million of them in little memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

__all__ = ["Item", "Items"]


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a source."""

    id: str  # a name that stays the same for people: "cats/7.jpg", "train/00042", "00042"
    key: str  # 16 hexadecimal digits that change when the content changes
    label: str | None = None
    split: str | None = None
    caption: str | None = None  # a text about this image alone, which is not a label
    labels: tuple[str, ...] = ()  # where images have several; `label` is then None


class Items(Sequence[Item]):
    """A sequence of items that holds their names as one block of bytes and all else as numbers.

    A million take about 50 MB, where as many objects take 350. An `Item` is made whenever one is asked for.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._names, self._ends = bytearray(), array("Q", [0])
        self._keys, self._labels, self._splits = array("Q"), array("i"), array("i")
        self._texts: list[str | None] = [None]  # every label and split once
        self._captions, self._caption_ends = bytearray(), array("Q", [0])
        self._sets: list[tuple[str, ...]] = [()]
        self._sets_of = array("i")  # every set of labels once, and which an image has
        codes: dict[str | None, int] = {None: 0}
        sets: dict[tuple[str, ...], int] = {(): 0}
        for item in items:
            self._names += item.id.encode()
            self._ends.append(len(self._names))
            self._keys.append(int(item.key, 16))
            self._captions += (item.caption or "").encode()
            self._caption_ends.append(len(self._captions))
            for text, column in ((item.label, self._labels), (item.split, self._splits)):
                if text is not None and text not in codes:
                    same = normalize("NFC", text)  # as macOS writes a name, and as all else does: one label
                    if same not in codes:
                        codes[same] = len(self._texts)
                        self._texts.append(same)
                    codes[text] = codes[same]
                column.append(codes[text])
            held = tuple(sorted({normalize("NFC", label) for label in item.labels}))
            if held not in sets:
                sets[held] = len(self._sets)
                self._sets.append(held)
            self._sets_of.append(sets[held])
        if len(self._sets) > 1 and all(len(each) < 2 for each in self._sets):  # one label each after all
            self._make_single()

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self._item(each) for each in range(len(self))[index]]
        return self._item(range(len(self))[index])

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, range(len(self)))

    def name(self, index: int) -> str:
        """Return the id of one item, alone."""
        return self._names[self._ends[index] : self._ends[index + 1]].decode()

    def doubled(self) -> NDArray[np.int64]:
        """Return the places of the items whose id another item has too, in order (N,)."""
        hashes = np.fromiter((hash(self.name(index)) for index in range(len(self))), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")
        same = np.flatnonzero(np.diff(hashes[order]) == 0)
        return np.unique(order[np.concatenate([same, same + 1])])

    def _item(self, index: int) -> Item:
        texts = self._texts
        caption = self._captions[self._caption_ends[index] : self._caption_ends[index + 1]].decode() or None
        label, split = texts[self._labels[index]], texts[self._splits[index]]
        several = self._sets[self._sets_of[index]]
        return Item(self.name(index), f"{self._keys[index]:016x}", label, split, caption, several)

    def _make_single(self) -> None:
        start = len(self._texts) - 1
        self._texts += [each[0] for each in self._sets[1:]]
        self._labels = array("i", (start + code if code else 0 for code in self._sets_of))
        self._sets, self._sets_of = [()], array("i", bytes(4 * len(self._sets_of)))
