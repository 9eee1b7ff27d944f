"""Images in an array, or in a file that holds one."""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import shown
from dinoscope.base.digests import digest_bytes
from dinoscope.base.paths import named_path
from dinoscope.errors import InputError, SourceError, UnreadableError
from dinoscope.sources.base import PictureSource
from dinoscope.sources.items import Item, Items
from dinoscope.sources.pixels.decode import ReducedImage
from dinoscope.sources.pixels.levels import check_shape
from dinoscope.sources.pixels.memory import MOST_PACKED, packed_too_small

__all__ = ["ArraySource", "Labels", "has_several", "hot_columns", "label_text", "load_array_file", "read_labels"]


Labels: TypeAlias = Sequence[object] | NDArray[np.generic]
_MISSING = ("nan", "<NA>", "NaT")  # what NumPy and pandas have instead of a label, as text


class ArraySource(PictureSource):
    """Images in one NumPy array.

    Args:
        images: (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4) with alpha; uint8, bool, or other whole numbers
            and floats, which are scaled by one range: the collection's, or else uint16 with 65535 as white and floats
            in 0..1, and no others.
        labels: (N,) class names or numbers, None (or NaN as in pandas) if unknown. Or a list of them for each.
        name: Short name for people.

    Raises:
        InputError: Shape, type or number of labels do not fit.
    """

    kind = "array"

    def __init__(self, images: NDArray[np.generic], labels: Labels | None = None, *, name: str = "array") -> None:
        if images.ndim == 3 and images.shape[2] in (3, 4):
            raise InputError(f"images must have shape (N, H, W[, C]), got one image {images.shape}? pass images[None]")
        check_shape(images)
        if labels is not None and not isinstance(labels, Sized):
            raise InputError(f"labels must be a list of texts or numbers (N,), got {shown(labels)}")
        if getattr(labels, "ndim", 1) not in (1, 2):
            raise InputError(f"labels must be a list (N,), or 0 and 1 for each label (N, L), got {shown(labels)}")
        if labels is not None and len(labels) != len(images):
            raise InputError(f"labels must be as many as the images: expected {len(images)}, got {len(labels)}")
        self.name, self._images = name, images
        self.has_labels, self.has_splits = labels is not None, False
        known, sets = read_labels([None] * len(images) if labels is None else labels)
        self.items: Sequence[Item] = Items(
            Item(f"{row:05d}", digest_bytes(images.dtype.str, str(image.shape), image.tobytes()), label, labels=held)
            for row, (image, label, held) in enumerate(zip(images, known, sets, strict=True))
        )

    def picture(self, index: int) -> NDArray[np.generic]:
        """Return one image as it is in the array; see `ImageSource.picture`."""
        image: NDArray[np.generic] = self._images[index]
        return image

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Return what `load` gives, also that of a class made from this one; see `ImageSource.load_reduced`."""
        return ReducedImage.whole(self.load(index))


def load_array_file(path: str | os.PathLike[str], labels: Labels | None = None) -> ArraySource:
    """Open a `.npy` file of images, or a `.npz` file with `images` and perhaps `labels`.

    Args:
        path: The file.
        labels: (N,) labels instead of the file's own.

    Raises:
        SourceError: The file cannot be read as such.
        InputError: Its arrays are not images, or the labels do not fit; see `ArraySource`.
    """
    path = named_path(path)
    images: NDArray[np.generic]
    try:
        if path.suffix == ".npy":
            mapped = np.lib.format.open_memmap(path, mode="r")
            plain = mapped.flags.c_contiguous and mapped.ndim > 0
            images = cast(NDArray[np.generic], _NpyFile(path, mapped)) if plain else np.array(mapped)
        else:
            with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
                if "images" not in archive:
                    held = ", ".join(archive) or "none"
                    raise SourceError(f"{path.name} must hold an array called 'images', got {held}")
                _check_packing(archive, path.name)
                images = archive["images"]
                labels = archive["labels"] if labels is None and "labels" in archive else labels
    except MemoryError:
        raise SourceError(f"{path.name} says that it holds more than there is memory for: save it as .npy") from None
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # one is: encrypted
        raise SourceError(f"{path.name} is not a readable NumPy file: {str(error).partition(chr(10))[0]}") from error
    return ArraySource(images, labels, name=path.stem)


def _check_packing(archive: np.lib.npyio.NpzFile, name: str) -> None:
    for member in archive.zip.infolist() if archive.zip is not None else ():
        if packed_too_small(member.file_size, member.compress_size):
            raise SourceError(
                f"{member.filename} in {name} unpacks to {member.file_size >> 20:,} MB from "
                f"{member.compress_size >> 10:,} kB, expected at most {MOST_PACKED} times as much: save it as .npy"
            )


class _NpyFile:
    """The images of a `.npy` file, each read when it is asked for: a file that shrinks while it is mapped ends us.

    Of an array it has what `ArraySource` needs.
    """

    def __init__(self, path: Path, mapped: np.memmap[tuple[int, ...], np.dtype[np.generic]]) -> None:
        self._path, self._offset = path, mapped.offset
        self.shape: tuple[int, ...] = mapped.shape
        self.dtype, self.ndim = mapped.dtype, mapped.ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> NDArray[np.generic]:
        count = math.prod(self.shape[1:])
        offset = self._offset + index * count * self.dtype.itemsize
        try:
            pixels = np.fromfile(self._path, self.dtype, count, offset=offset)
        except OSError as error:
            raise UnreadableError(error.strerror or str(error)) from None
        if len(pixels) < count:
            raise UnreadableError(f"{self._path.name} has become shorter")
        return pixels.reshape(self.shape[1:])

    def __iter__(self) -> Iterator[NDArray[np.generic]]:
        return map(self.__getitem__, range(len(self)))

    def __reduce__(self) -> tuple[object, ...]:  # on another machine there is no such file
        return np.stack, (list(self),)

    def min(self) -> float:
        return float(np.min([each.min() for each in self]))

    def max(self) -> float:
        return float(np.max([each.max() for each in self]))


def label_text(value: object) -> str | None:
    """Return a label as text; None if it is missing, which is None or NaN."""
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # a tensor of one number
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    return None if value is None or (text in _MISSING and not isinstance(value, str)) else text


def hot_columns(label: object) -> list[int] | None:
    """Return where an array or tensor (L,) of 0 and 1 is 1, as in data sets with several labels; otherwise None."""
    if getattr(label, "ndim", None) != 1 or not hasattr(label, "__array__"):
        return None
    values = np.asarray(label)
    is_hot = values.size > 1 and values.dtype.kind in "biuf" and bool(np.isin(values, (0, 1)).all())
    return np.flatnonzero(values).tolist() if is_hot else None


def has_several(label: object) -> TypeGuard[Iterable[object]]:
    """Tell whether a label is a list of labels."""
    return isinstance(label, list | tuple | set | frozenset) or (isinstance(label, np.ndarray) and label.ndim == 1)


def read_labels(labels: Labels) -> tuple[list[str | None], list[tuple[str, ...]]]:
    """Return the label of each image (N,), or its labels (N,), from what a person holds."""
    if getattr(labels, "ndim", 1) == 2:
        return [None] * len(labels), _sets_of_rows(labels)
    labels = _without_floats(labels)
    several = list(map(has_several, labels))
    sets = [_several(each) if more else () for each, more in zip(labels, several, strict=True)]
    known = [None if more else label_text(each) for each, more in zip(labels, several, strict=True)]
    if any(sets):  # a text among lists is a list of one
        sets = [held or ((label,) if label is not None else ()) for held, label in zip(sets, known, strict=True)]
        known = [None] * len(sets)
    return known, sets


def _without_floats(labels: Labels) -> Labels:
    """Return whole numbers of which pandas made floats because one is missing as whole numbers."""
    gone = [not has_several(each) and label_text(each) is None for each in labels]
    known = [each for each, missing in zip(labels, gone, strict=True) if not missing]
    if not any(gone) or not all(isinstance(each, float) and each.is_integer() for each in known):
        return labels
    return [None if missing else int(cast("float", each)) for each, missing in zip(labels, gone, strict=True)]


def _sets_of_rows(labels: Any) -> list[tuple[str, ...]]:
    """Return the labels of each row of 0 and 1 (N, L): the names of the columns with 1, or their numbers."""
    rows = np.asarray(labels)
    if rows.dtype == object:
        rows = rows.astype(np.float64)
    if not (rows.dtype.kind in "biuf" and np.isin(rows, (0, 1)).all()):
        raise InputError(f"labels of several columns must be 0 or 1 in each, got {shown(rows)}; pass a label an image")
    if not hasattr(labels, "columns") and (rows.sum(1) == 1).all():
        raise InputError(f"labels must have shape (N,), got {rows.shape}; of one-hot rows, pass argmax(1)")
    names = list(map(str, getattr(labels, "columns", range(rows.shape[1]))))
    return [tuple(names[column] for column in np.flatnonzero(row)) for row in rows]


def _several(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(label for each in values if (label := label_text(each)) is not None)
