"""Images in an array, or in a file that holds one."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import shown
from dinoscope.base.digests import digest_bytes
from dinoscope.errors import InputError, SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.decode import check_images, read_image
from dinoscope.sources.items import Item, Items

__all__ = ["ArraySource", "load_array_file"]


Labels: TypeAlias = Sequence[object] | NDArray[np.generic]
_MISSING = ("nan", "<NA>", "NaT")  # what NumPy and pandas have in place of a label, as text


class ArraySource(ImageSource):
    """Images in one NumPy array.

    Args:
        images: (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4) with alpha; uint8, uint16 (65535 is white), bool
            or floats in 0..1. Other ranges are refused, since guessing one turns half of the greys upside down.
        labels: (N,) class names or numbers; None, or NaN as pandas has it, where unknown.
        name: Short name for people.

    Raises:
        InputError: Shape, type, range or number of labels do not fit.
    """

    kind = "array"

    def __init__(self, images: NDArray[np.generic], labels: Labels | None = None, *, name: str = "array") -> None:
        if images.ndim == 3 and images.shape[2] in (3, 4):
            raise InputError(f"images must have shape (N, H, W[, C]), got one image {images.shape}? pass images[None]")
        check_images(images)
        if labels is not None and not isinstance(labels, Sized):
            raise InputError(f"labels must be a list of texts or numbers (N,), got {shown(labels)}")
        if getattr(labels, "ndim", 1) != 1:
            raise InputError(
                f"labels must have shape (N,), got {getattr(labels, 'shape', ())}; of one-hot rows, pass argmax(1)"
            )
        if labels is not None and len(labels) != len(images):
            raise InputError(f"labels must be as many as the images: expected {len(images)}, got {len(labels)}")
        self.name, self._images = name, images
        known = [None] * len(images) if labels is None else [_label(each) for each in labels]
        self.items: Sequence[Item] = Items(
            Item(f"{row:05d}", digest_bytes(images.dtype.str, str(image.shape), image.tobytes()), label)
            for row, (image, label) in enumerate(zip(images, known, strict=True))
        )

    def load(self, index: int) -> NDArray[np.uint8]:
        """Convert one image; see `ImageSource.load`."""
        return read_image(self._images[index])


def load_array_file(path: str | os.PathLike[str], labels: Labels | None = None) -> ArraySource:
    """Open a `.npy` file of images, or a `.npz` file with `images` and perhaps `labels`.

    Args:
        path: The file.
        labels: (N,) labels in place of the file's own.

    Raises:
        SourceError: The file cannot be read as such.
        InputError: Its arrays are not images, or the labels do not fit; see `ArraySource`.
    """
    path = Path(path)
    images: NDArray[np.generic]
    try:
        if path.suffix == ".npy":
            images = np.lib.format.open_memmap(path, mode="r")
        else:
            with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as archive:
                if "images" not in archive:
                    held = ", ".join(archive) or "none"
                    raise SourceError(f"{path.name} must hold an array called 'images', got {held}")
                images = archive["images"]
                labels = archive["labels"] if labels is None and "labels" in archive else labels
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:  # one is: encrypted
        raise SourceError(f"{path.name} is no readable NumPy file: {str(error).partition(chr(10))[0]}") from error
    return ArraySource(images, labels, name=path.stem)


def _label(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    return None if value is None or (text in _MISSING and not isinstance(value, str)) else text
