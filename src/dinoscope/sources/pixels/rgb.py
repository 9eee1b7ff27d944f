"""A loaded picture of any mode as RGB, upright, alpha on white, in sRGB: strip by strip, for copies are large."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.sources.pixels.levels import ValueRange, check_images, is_deep, to_uint8
from dinoscope.sources.pixels.profiles import to_srgb

__all__ = ["as_rgb", "is_turned", "is_upright"]

_STRIP = 16_000_000  # pixels that are converted at once
_View = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
# Of each EXIF orientation: a view of the upright picture that lies as the file does.
_AS_FILED: dict[int, _View] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


def as_rgb(image: Image.Image, value_range: ValueRange | None) -> NDArray[np.uint8]:
    """Return the pixels (H, W, 3) of a loaded image.

    Args:
        image: Of any mode, with what its file says about transparency, orientation and colours.
        value_range: What is black and what is white in a picture of more than 8 bits.

    Raises:
        InputError: The range of its values is not certain; see ``check_images``.
    """
    width, height = image.size
    orientation = _orientation(image)
    upright = np.empty((width, height, 3) if orientation in _TURNED else (height, width, 3), np.uint8)
    as_filed = _AS_FILED[orientation](upright) if orientation in _AS_FILED else upright
    is_16_bit = image.mode == "I" and _is_16_bit(image)  # 32 bits wide for a 16-bit file
    rows = max(1, _STRIP // width)
    for top in range(0, height, rows):
        strip = image if rows >= height else image.crop((0, top, width, min(top + rows, height)))
        as_filed[top : top + rows] = np.asarray(_strip_as_rgb(strip, value_range, is_16_bit))
    return upright


def is_upright(image: Image.Image) -> bool:
    """Tell whether a picture is shown as its file holds it."""
    return _orientation(image) not in _AS_FILED


def is_turned(image: Image.Image) -> bool:
    """Tell whether width and height of a picture change places."""
    return _orientation(image) in _TURNED


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged notes about a photograph do not spoil the photograph
        return 1


def _is_16_bit(image: Image.Image) -> bool:
    least, most = image.getextrema()
    return isinstance(least, int) and isinstance(most, int) and least >= 0 and most <= 65535


def _strip_as_rgb(image: Image.Image, value_range: ValueRange | None, is_16_bit: bool) -> Image.Image:
    if is_deep(image):
        greys = np.asarray(image).astype(np.uint16) if is_16_bit else np.asarray(image)
        check_images(greys[None], value_range)
        levels = to_uint8(greys, value_range)
        if isinstance(clear := image.info.get("transparency"), int):  # of a 16-bit PNG: one grey that is none
            levels[greys == clear] = 255
        image = Image.fromarray(levels)
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        picture = to_srgb(image if image.mode == "RGBA" else image.convert("RGBA"), profile)
        image = Image.new("RGB", picture.size, "white")
        image.paste(picture, mask=picture)
        return image
    if image.mode not in ("L", "LA", "1", "CMYK"):  # greys mean the same in all profiles, or nearly so
        image = image if image.mode == "RGB" else image.convert("RGB")
    image = to_srgb(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")
