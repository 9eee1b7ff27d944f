"""What is known of the images of a source before they are decoded, a million of them in little memory."""

from __future__ import annotations

import hashlib
import posixpath
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "SPLITS",
    "SUFFIXES",
    "Item",
    "Items",
    "describe_endings",
    "digest",
    "ending_of",
    "has_split_folders",
    "place_in_folders",
    "printable",
    "sort_naturally",
    "split_in_name",
]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SPLITS = frozenset({"train", "test", "val", "valid", "validation"})
_ENDING_LETTERS = 12  # a longer one is a part of the name
_ENDINGS = 5  # that are told


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a source."""

    id: str  # a name that stays the same for people: "cats/7.jpg", "train/00042", "00042"
    key: str  # 16 hexadecimal digits that change when the content changes
    label: str | None = None
    split: str | None = None


class Items(Sequence[Item]):
    """A sequence of items that holds their names as one block of bytes and all else as numbers.

    A million take about 50 MB, where as many objects take 350. An `Item` is made whenever one is asked for.
    """

    def __init__(self, items: Iterable[Item]) -> None:
        self._names, self._ends = bytearray(), array("Q", [0])
        self._keys, self._labels, self._splits = array("Q"), array("i"), array("i")
        self._texts: list[str | None] = [None]  # every label and split once
        codes: dict[str | None, int] = {None: 0}
        for item in items:
            self._names += item.id.encode()
            self._ends.append(len(self._names))
            self._keys.append(int(item.key, 16))
            for text, column in ((item.label, self._labels), (item.split, self._splits)):
                if text not in codes:
                    codes[text] = len(codes)
                    self._texts.append(text)
                column.append(codes[text])

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
        return Item(
            self.name(index), f"{self._keys[index]:016x}", texts[self._labels[index]], texts[self._splits[index]]
        )


def digest(*parts: str | bytes) -> str:
    """Return 16 hexadecimal digits that stand for these parts."""
    data = [part.encode() if isinstance(part, str) else part for part in parts]
    lengths = " ".join(str(len(part)) for part in data)  # ("ab", "c") is not ("a", "bc")
    return hashlib.blake2b(b"".join([lengths.encode(), *data]), digest_size=8).hexdigest()


def printable(name: str) -> str:
    """Return a file's name as text that prints and goes into a Parquet file, also when it is no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return name


def ending_of(name: str) -> str:
    """Return how a file's name ends, such as ".heic"; "" where what stands behind its last dot is only a part of it."""
    letters = posixpath.splitext(name)[1][1:].lower()
    told = letters.isalnum() and not letters.isdigit() and len(letters) <= _ENDING_LETTERS  # "scan.0042" has none
    return f".{letters}" if told else ""


def describe_endings(endings: Counter[str]) -> str:
    """Return how many files have which ending, the most frequent ones: "12 .heic, 3 .txt, 1 without an ending"."""
    ordered = sorted(endings.items(), key=lambda each: (-each[1], each[0]))
    told = [f"{count:,} {ending or 'without an ending'}" for ending, count in ordered[:_ENDINGS]]
    rest = sum(count for _, count in ordered[_ENDINGS:])
    return ", ".join([*told, f"{rest:,} with other endings"] if rest else told)


def sort_naturally(paths: list[str]) -> None:
    """Sort paths in place: component by component, numbers by value, upper beside lower case."""
    paths.sort(key=printable)
    paths.sort(key=_natural)


def _natural(path: str) -> str:
    # A text, because a list of pieces takes eight times the memory: a separator sorts before a number, a number before
    # a letter, and a longer number after a shorter one.
    return re.sub(r"[0-9]+", _by_value, printable(path).casefold()).replace("/", "\0")


def _by_value(digits: re.Match[str]) -> str:
    value = digits[0].lstrip("0")
    return f"\1{chr(len(value))}{value}"


def has_split_folders(names: Iterable[str]) -> bool:
    """Tell whether all first-level folders of some relative paths are called as splits are."""
    return {name.split("/")[0].lower() for name in names if "/" in name} <= SPLITS


def place_in_folders(name: str, has_splits: bool) -> tuple[str | None, str | None]:
    """Return the label and the split that an image's folders give it: the first level each, a split before a label."""
    folders = name.split("/")[:-1]
    split = folders.pop(0).lower() if has_splits and folders else None
    return folders[0] if folders else None, split


def split_in_name(name: str) -> str | None:
    """Return the split that the name of an archive or a table tells: "train-00000-of-00002.parquet" is of train."""
    return next((word for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS), None)
