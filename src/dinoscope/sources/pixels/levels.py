"""What the values of a picture mean: which is black and which is white."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.errors import InputError

__all__ = [
    "DeepValues",
    "ValueRange",
    "check_images",
    "check_range",
    "check_shape",
    "fit_range",
    "is_deep",
    "sample_values",
    "to_uint8",
]

ValueRange: TypeAlias = tuple[float, float]  # what is black, and what is white
DeepValues: TypeAlias = tuple[NDArray[np.float64], bool]  # of a picture, and whether they are whole numbers
_SAMPLE = 4096  # values of one picture
_OUTSIDE = 0.1  # percent of the values that may lie below a range, and above it
_FILLED = 0.5  # of the usual range: a picture that fills less of it gets a range of its own


def is_deep(picture: Image.Image | NDArray[np.generic]) -> bool:
    """Tell whether a picture has other values than 0..255 or false and true, so that its range must be known."""
    if isinstance(picture, np.ndarray):
        return picture.dtype.kind != "b" and picture.dtype != np.uint8
    return picture.mode == "F" or picture.mode.startswith("I")


def check_range(value_range: Sequence[float]) -> ValueRange:
    """Return a range as two numbers.

    Raises:
        InputError: It is not two finite numbers, the lower first.
    """
    values = [float(each) for each in value_range]
    if len(values) != 2 or not all(map(math.isfinite, values)) or values[0] >= values[1]:
        given = ",".join(f"{each:g}" for each in values)
        raise InputError(f"a range must be two numbers, black before white, such as 0,4095; got {given}")
    return values[0], values[1]


def check_shape(images: NDArray[np.generic]) -> None:
    """Refuse an array (N, H, W[, C]) that does not hold images."""
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3, 4)):
        last = "; move the channels last" if images.ndim == 4 and images.shape[1] in (1, 3, 4) else ""
        raise InputError(f"images must have shape (N, H, W) or (N, H, W, 1 | 3 | 4), got {images.shape}{last}")
    if 0 in images.shape:
        raise InputError(f"images must have pixels, got shape {images.shape}")
    if images.dtype.kind not in "buif":
        raise InputError(f"pixels must be whole numbers, bool or floats, got {images.dtype}")


def check_images(images: NDArray[np.generic], value_range: ValueRange | None = None) -> None:
    """Refuse an array (N, H, W[, C]) that does not hold images, or has an uncertain range of values."""
    check_shape(images)
    if value_range is not None or not is_deep(images):
        return
    if images.dtype.kind == "f":
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):  # also true of NaN
            raise InputError(f"float pixels must lie in 0..1, got {low:g}..{high:g}; scale them, or pass uint8")
    elif images.dtype.str[1:] != "u2":
        raise InputError(f"pixels must be uint8, uint16, bool or floats in 0..1, got {images.dtype}")


def to_uint8(pixels: NDArray[Any], value_range: ValueRange | None = None) -> NDArray[np.uint8]:
    """Scale checked pixels of any accepted type to 0..255.

    Args:
        pixels: Of any shape; uint8 and bool are what they are.
        value_range: What is black and what is white; by default 0 and 65535 of whole numbers, 0 and 1 of floats.
    """
    if pixels.dtype == np.uint8:
        return pixels
    if value_range is None or pixels.dtype.kind == "b":
        white = 65535 if pixels.dtype.kind == "u" else 1
        return np.rint(pixels * np.float32(255 / white)).astype(np.uint8)
    low, high = value_range
    levels = (pixels.astype(np.float64) - low) * (255 / (high - low))
    levels = np.nan_to_num(levels, nan=0.0, posinf=255.0, neginf=0.0)
    scaled: NDArray[np.uint8] = np.rint(levels.clip(0, 255)).astype(np.uint8)
    return scaled


def sample_values(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return finite values (V,) of a picture, spread over it evenly; none of one that is black all over."""
    flat = pixels.reshape(-1)
    values = flat[:: max(1, len(flat) // _SAMPLE)].astype(np.float64)
    values = values[np.isfinite(values)]
    return values if values.any() else values[:0]


def fit_range(values: NDArray[np.float64], whole: bool) -> ValueRange | None:
    """Return the range of a collection's pictures, from a sample of their values.

    It is the usual one, 0 to 2^b - 1 of b bits or 0 to 1 of floats, where the values fill half of it or more. So 12
    bits in a file of 16 are recognized, and dark pictures stay dark. Otherwise the range contains the values, except
    for one in a thousand on either side.

    Args:
        values: See ``sample_values`` (V,), of all pictures together.
        whole: Whether they are whole numbers.

    Returns:
        What is black and what is white; None where no value differs from another.
    """
    if not len(values):
        return None
    low, high = map(float, np.percentile(values, [_OUTSIDE, 100 - _OUTSIDE]))
    white = 1.0 if high <= 1 and not whole else 2.0 ** max(8, math.ceil(math.log2(max(high, 0) + 1))) - 1
    if low >= 0 and high <= white and high - low >= _FILLED * white:
        return 0.0, white
    return (low, high) if low < high else None
