"""Where images come from: folders, arrays, data sets.

A source lists its images (`items`) and decodes one of them (`load`); a bad image raises `ImageError` with the reason
when it is loaded, so that rows stay aligned. Everything comes out as (H, W, 3) uint8 RGB: upright, alpha laid on white.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dinoscope.decode import ReducedImage, check_images, read_image, read_reduced
from dinoscope.errors import InputError, SourceError, did_you_mean

__all__ = [
    "SUFFIXES",
    "ArraySource",
    "FolderSource",
    "ImageSource",
    "Item",
    "digest",
    "load_reduced",
    "open_source",
    "select",
]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
Labels: TypeAlias = Sequence[Any] | NDArray[Any]
_SPLITS = frozenset({"train", "test", "val", "valid", "validation"})


@dataclass(frozen=True, slots=True)
class Item:
    """One image of a source."""

    id: str  # a name that stays the same for people: "cats/7.jpg", "train/00042", "00042"
    key: str  # 16 hexadecimal digits that change when the content changes
    label: str | None = None
    split: str | None = None


@runtime_checkable
class ImageSource(Protocol):
    """A sequence of images in a fixed order."""

    @property
    def name(self) -> str:
        """Short name for people."""

    @property
    def kind(self) -> str:
        """One of "folder", "array" and "dataset"."""

    @property
    def items(self) -> Sequence[Item]:
        """What is known of each image before it is decoded."""

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one image to (H, W, 3) RGB; safe to call from several threads.

        Raises:
            ImageError: The image cannot be read; the message is the reason.
        """


@runtime_checkable
class _ReducingSource(Protocol):
    """A source of files, some of which can be decoded smaller than they are in less time."""

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one image, perhaps reduced; see `dinoscope.decode.read_reduced`."""


class FolderSource:
    """The images below a folder, in natural order of their relative paths ("2.png" before "10.png").

    Hidden files and folders, `__MACOSX` and `Thumbs.db` do not exist for it. Whatever has an image's suffix is an item,
    also when it turns out to be none. The first-level sub-folder is the label; where all first-level sub-folders are
    called train, test, val, valid or validation, they are the split and the second level is the label. `ignored` counts
    the files left out because of their suffix.

    Raises:
        SourceError: The folder cannot be listed or holds no images.
    """

    kind = "folder"

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(root)
        self.name = os.path.basename(self._root) or self._root
        found, self.ignored = _walk(self._root)
        if not found:
            expected = ", ".join(SUFFIXES)
            raise SourceError(f"no images in {os.fspath(root)!r} ({self.ignored} other files); expected {expected}")
        # a name that is no UTF-8 must still print and go into a Parquet file
        listed = [(os.fsencode(path).decode("utf-8", "backslashreplace"), path) for path in found]
        listed.sort(key=lambda pair: _natural(pair[0]))
        self._paths = [path for _, path in listed]
        tops = {name.split("/")[0].lower() for name, _ in listed if "/" in name}
        self.items: Sequence[Item] = [self._item(name, path, tops <= _SPLITS) for name, path in listed]

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one file; see `ImageSource.load`."""
        return read_image(os.path.join(self._root, self._paths[index]))

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one file, a large JPEG at reduced size; see `load_reduced`."""
        return read_reduced(os.path.join(self._root, self._paths[index]), least)

    def _item(self, name: str, path: str, has_splits: bool) -> Item:
        try:
            status = os.stat(os.path.join(self._root, path))
            stamp = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:  # a dangling link, or gone again: `load` will tell
            stamp = ""
        folders = name.split("/")[:-1]
        split = folders.pop(0).lower() if has_splits and folders else None
        return Item(name, digest(name, stamp), folders[0] if folders else None, split)


class ArraySource:
    """Images in one NumPy array.

    Args:
        images: (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4) with alpha; uint8, uint16 (65535 is white), bool
            or floats in 0..1. Other ranges are refused, since guessing one turns half of the greys upside down.
        labels: (N,) class names or numbers, None where unknown.
        name: Short name for people.

    Raises:
        InputError: Shape, type, range or number of labels do not fit.
    """

    kind = "array"

    def __init__(self, images: NDArray[Any], labels: Labels | None = None, *, name: str = "array") -> None:
        if images.ndim == 3 and images.shape[2] in (3, 4):
            raise InputError(f"images must have shape (N, H, W[, C]), got one image {images.shape}? pass images[None]")
        check_images(images)
        if labels is not None and len(labels) != len(images):
            raise InputError(f"labels must be as many as the images: expected {len(images)}, got {len(labels)}")
        self.name, self._images = name, images
        known = [None] * len(images) if labels is None else [None if each is None else str(each) for each in labels]
        self.items: Sequence[Item] = [
            Item(f"{row:05d}", digest(images.dtype.str, str(image.shape), image.tobytes()), label)
            for row, (image, label) in enumerate(zip(images, known, strict=True))
        ]

    def load(self, index: int) -> NDArray[np.uint8]:
        """Convert one image; see `ImageSource.load`."""
        return read_image(self._images[index])


class _Subset:
    """Some items of another source, in that source's order."""

    def __init__(self, source: ImageSource, rows: Sequence[int]) -> None:
        self.name, self.kind = source.name, source.kind
        self.items: Sequence[Item] = [source.items[row] for row in rows]
        self._source, self._rows = source, rows

    def load(self, index: int) -> NDArray[np.uint8]:
        return self._source.load(self._rows[index])

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        return load_reduced(self._source, self._rows[index], least)


def load_reduced(source: ImageSource, index: int, least: tuple[int, int]) -> ReducedImage:
    """Decode one image of a source, at reduced size where the source can do so and enough is left.

    Args:
        source: The images; only one with a method of this name reduces, the others give whole images.
        index: Which one.
        least: What must be left of the shortest and of the longest side, in pixels.

    Raises:
        ImageError: The image cannot be read; the message is the reason.
    """
    if isinstance(source, _ReducingSource):
        return source.load_reduced(index, least)
    return ReducedImage.whole(source.load(index))


def open_source(
    source: str | os.PathLike[str] | NDArray[Any] | ImageSource,
    *,
    labels: Labels | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> ImageSource:
    """Open what a person names as a source of images.

    Args:
        source: A data set's name (it wins over a folder of that name; write "./name" for the folder), a folder, a
            `.npy` file, a `.npz` file with `images` and perhaps `labels`, an array, or a source.
        labels: (N,) labels of an array or array file.
        data_dir: Where a data set's files are looked for first.
        limit: Keep this many images, chosen at random. A larger limit keeps those of a smaller one, and images that are
            added to the source later displace few.
        seed: Seed of that choice.

    Raises:
        SourceError: Nothing is there, or it holds no images.
        InputError: An array, `labels` or `limit` does not fit.
        DownloadError: A data set's files are neither here nor to be had.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    opened = _open(source, labels, data_dir)
    if limit is None or limit >= len(opened.items):
        return opened
    ranks = [digest(str(seed), item.id) for item in opened.items]
    return select(opened, sorted(sorted(range(len(ranks)), key=ranks.__getitem__)[:limit]))


def select(source: ImageSource, indices: Sequence[int]) -> ImageSource:
    """Return a source of some images of another one, by their places in it, in the order given."""
    return _Subset(source, indices)


def digest(*parts: str | bytes) -> str:
    """Return 16 hexadecimal digits that stand for these parts."""
    data = [part.encode() if isinstance(part, str) else part for part in parts]
    lengths = " ".join(str(len(part)) for part in data)  # ("ab", "c") is not ("a", "bc")
    return hashlib.blake2b(b"".join([lengths.encode(), *data]), digest_size=8).hexdigest()


def _open(source: Any, labels: Labels | None, data_dir: str | os.PathLike[str] | None) -> ImageSource:
    from dinoscope.datasets import DATASETS, load_array_file, load_dataset  # it stands on this module

    path = os.path.expanduser(source) if isinstance(source, str | os.PathLike) else None
    if isinstance(source, np.ndarray):
        return ArraySource(source, labels)
    if path is not None and path.endswith((".npy", ".npz")) and os.path.isfile(path):
        return load_array_file(path, labels)
    if labels is not None:
        raise InputError("labels go with an array; a folder's labels are the names of its sub-folders")
    if isinstance(source, ImageSource):
        return source
    if path is None:
        raise InputError(f"expected a path, a data set's name, an array or a source, got {type(source).__name__}")
    if isinstance(source, str) and source in DATASETS:
        return load_dataset(source, data_dir)
    if os.path.isdir(path):
        return FolderSource(path)
    possible = f"expected a folder of images, a .npy or .npz file, or a data set ({', '.join(DATASETS)})"
    if os.path.exists(path):
        raise SourceError(f"{path!r} is a single file; {possible}")
    raise SourceError(f"nothing is called {path!r}; {possible}{did_you_mean(path.lower(), DATASETS)}")


def _walk(root: str) -> tuple[list[str], int]:
    """List the relative POSIX paths with an image's suffix below a folder, and count the other files."""
    found, ignored = [], 0
    seen: set[str] = set()  # each folder once, or links that form a loop would never end
    folders: list[str] = [""]
    links: list[str] = []  # followed last: an image goes by its own path before it goes by a link's
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        place = os.path.realpath(os.path.join(root, folder))
        if place in seen:
            continue
        seen.add(place)
        try:
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            raise SourceError(f"cannot list the folder {folder or root!r}: {error.strerror}") from error
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in ("__macosx", "thumbs.db"):
                continue
            path = folder + entry.name
            if entry.name.lower().endswith(SUFFIXES):
                found.append(path)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path + "/")
            elif entry.is_symlink() and os.path.isdir(entry.path):
                links.append(path + "/")
            else:
                ignored += 1
    return found, ignored


def _natural(path: str) -> tuple[list[list[str | int]], str]:
    """Sort key: component by component, numbers by value, upper beside lower case."""
    split = (re.split(r"([0-9]+)", part) for part in path.casefold().split("/"))
    return [[int(piece) if odd % 2 else piece for odd, piece in enumerate(pieces)] for pieces in split], path
