"""Colours of 16 bits a channel, of which Pillow keeps the upper half: the lower half is decoded beside it."""

from __future__ import annotations

import sys
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.sources.pixels.formats import identify
from dinoscope.sources.pixels.levels import ValueRange, to_uint8

__all__ = ["WHOLE", "has_wide_colours", "scale_colours", "wide_colours"]

WHOLE = (0.0, 65535.0)  # of which the upper half is all that 8 bits can show
_STRIP = 4_000_000  # pixels that are scaled at once
_NATIVE = {"little": ";16L", "big": ";16B"}[sys.byteorder]
_OTHER = {";16L": ";16B", ";16B": ";16L"}  # a reader for the other order of bytes takes the lower half


def has_wide_colours(image: Image.Image) -> bool:
    """Tell whether an image that was opened and not loaded yet has colours of 16 bits a channel."""
    modes = {_raw_mode(tile.args) for tile in getattr(image, "tile", ())}
    return bool(modes) and modes <= {f"{mode};16{order}" for mode in ("RGB", "RGBA") for order in "LBN"}


def wide_colours(image: Image.Image, file: IO[bytes]) -> NDArray[np.uint16]:
    """Return the values (H, W, 3 or 4) of an image that was loaded from a file and has wide colours."""
    file.seek(0)
    lower: Any = identify(file)
    lower.tile = [tile._replace(args=_swapped(tile.args)) for tile in lower.tile]
    lower.load()
    values: NDArray[np.uint16] = np.asarray(image).astype(np.uint16)
    values <<= np.uint16(8)
    values |= np.asarray(lower)
    return values


def scale_colours(image: Image.Image, file: IO[bytes], value_range: ValueRange) -> None:
    """Scale the colours of a loaded image with wide colours, in place; its alpha stays what it is."""
    values = wide_colours(image, file)
    rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, rows):
        strip = values[top : top + rows]
        levels = (strip >> 8).astype(np.uint8)
        levels[..., :3] = to_uint8(strip[..., :3], value_range)
        image.paste(Image.fromarray(levels), (0, top))


def _raw_mode(args: object) -> str:
    mode = args[0] if isinstance(args, tuple) and args else args
    return mode if isinstance(mode, str) else ""


def _swapped(args: tuple[object, ...] | str | None) -> tuple[object, ...] | str | None:
    mode, order = _raw_mode(args)[:-4], _raw_mode(args)[-4:]
    swapped = mode + _OTHER[_NATIVE if order == ";16N" else order]
    return (swapped, *args[1:]) if isinstance(args, tuple) else swapped
