"""Properties of images that anybody can name: how bright, colourful, detailed, wide or early each is.

They are measured on pictures of one small size, so that they can be compared. They miss what only a larger picture
shows (slight blur, noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.errors import InputError

__all__ = ["PROPERTIES", "Property", "image_properties", "in_a_word", "in_words", "print_properties"]

_BORDER = 2  # pixels at every edge, of 32
_FLAT = (2 / 255) ** 2  # variance of a picture without structure: two grey levels, as JPEG leaves them
_DIGITS = 4  # a 40th of a grey level: what is equal to the eye is equal
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class Property:
    """What one number says about an image: its name, words for little and less, much and more, how it is measured."""

    name: str
    low: tuple[str, str]
    high: tuple[str, str]
    meaning: str


# One row a property, in the order of the columns of `image_properties`.
PROPERTIES = {
    each.name: each
    for each in (
        Property("brightness", ("dark", "darker"), ("bright", "brighter"), "mean lightness (luma), 0 to 1"),
        Property(
            "contrast",
            ("low contrast", "flatter"),
            ("high contrast", "higher in contrast"),
            "standard deviation of the lightness",
        ),
        Property(
            "colourfulness",
            ("grey", "greyer"),
            ("colourful", "more colourful"),
            "spread and mean of the opponent colours",
        ),
        Property("warmth", ("bluish", "bluer"), ("reddish", "redder"), "mean red less mean blue, -1 to 1"),
        Property(
            "greenness",
            ("purplish", "less green"),
            ("green", "greener"),
            "mean green less the mean of red and blue, -1 to 1",
        ),
        Property(
            "detail",
            ("smooth", "smoother"),
            ("detailed", "more detailed"),
            "share of the variance of the lightness in fine structure",
        ),
        Property(
            "symmetry",
            ("not symmetric", "less symmetric"),
            ("symmetric", "more symmetric"),
            "correlation with the mirror image, -1 to 1",
        ),
        Property(
            "border brightness",
            ("dark border", "darker at the border"),
            ("bright border", "brighter at the border"),
            "mean lightness at the edges",
        ),
        Property(
            "border contrast",
            ("plain border", "plainer at the border"),
            ("busy border", "busier at the border"),
            "standard deviation of the lightness at the edges",
        ),
        Property("aspect", ("tall", "taller"), ("wide", "wider"), "width by height"),
        Property("size", ("small", "smaller"), ("large", "larger"), "pixels of the image"),
        Property("order", ("early", "earlier"), ("late", "later"), "place in the source"),
    )
}


def image_properties(
    pictures: Sequence[bytes | NDArray[np.uint8]], sizes: ArrayLike, order: ArrayLike | None = None
) -> dict[str, NDArray[np.float32]]:
    """Measure what ``PROPERTIES`` lists.

    Colourfulness is M of Hasler and Süsstrunk 2003 ("Measuring colourfulness in natural images", for RGB in 0..1).
    Detail is the share of the variance that a mean of 3 x 3 pixels takes away, in pictures of 32 x 32.

    Args:
        pictures: The images (N), encoded or uint8 (H, W) or (H, W, 3): a thumbnail is enough.
        sizes: Width and height (N, 2) of the images themselves, in pixels.
        order: Place of each image in its source (N,), by default the order given.

    Returns:
        For each property one number per image, float32 (N,).

    Raises:
        InputError: If the arrays do not fit each other, or a size is not positive.
    """
    return print_properties(fingerprints(pictures), sizes, order)


def print_properties(
    prints: NDArray[np.uint8], sizes: ArrayLike, order: ArrayLike | None = None
) -> dict[str, NDArray[np.float32]]:
    """Measure what ``PROPERTIES`` lists on what ``fingerprints`` made (N, 32, 32, C); see ``image_properties``."""
    count, size = len(prints), np.asarray(sizes, np.float64)
    if size.shape != (count, 2) or (size <= 0).any():
        raise InputError(f"sizes must be positive, of shape ({count}, 2), width and height, got shape {size.shape}")
    place = np.arange(count) if order is None else np.asarray(order)
    if place.shape != (count,):
        raise InputError(f"order must have shape ({count},), one for each picture, got {place.shape}")
    found = {name: np.empty(count, np.float32) for name in PROPERTIES}
    found["aspect"][:], found["size"][:], found["order"][:] = size[:, 0] / size[:, 1], size.prod(axis=1), place

    def fill(rows: slice) -> None:
        for name, values in _measure(prints[rows]).items():
            found[name][rows] = values

    in_threads(fill, row_blocks(count, _BLOCK_ROWS))
    return found


def in_words(name: str, superiority: float) -> str:
    """Say that images exceed a share of all others in a property: "brighter than 93%"."""
    return f"{_side(name, superiority)[1]} than {max(superiority, 1 - superiority):.0%}"


def in_a_word(name: str, superiority: float) -> str:
    """Say what images are that exceed a share of all others in a property: "bright"."""
    return _side(name, superiority)[0]


def _side(name: str, superiority: float) -> tuple[str, str]:
    return PROPERTIES[name].high if superiority > 0.5 else PROPERTIES[name].low


def _measure(pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return what the pixels of pictures (B, H, W, 1 or 3) show."""
    with LOADING:
        from scipy.ndimage import uniform_filter

    red, green, blue = np.moveaxis(np.broadcast_to(pictures, (*pictures.shape[:3], 3)).astype(np.float32) / 255, 3, 0)
    light = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R BT.601, as in Pillow
    mean, variance = _moments(light)
    light -= mean[:, None, None]
    red_green, yellow_blue = _moments(red - green), _moments((red + green) / 2 - blue)
    spread, lean = np.sqrt(red_green[1] + yellow_blue[1]), np.hypot(red_green[0], yellow_blue[0])
    fine = np.square(light - uniform_filter(light, size=(0, 3, 3), mode="nearest")).mean(axis=(1, 2))
    mirrored = (light * light[:, :, ::-1]).mean(axis=(1, 2))
    inside = np.zeros(light.shape[1:], bool)
    inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
    border = light[:, ~inside]
    found = {
        "brightness": mean,
        "contrast": np.sqrt(variance),
        "colourfulness": spread + 0.3 * lean,
        "warmth": _moments(red - blue)[0],
        "greenness": _moments(green - (red + blue) / 2)[0],
        "detail": fine / (variance + _FLAT),
        "symmetry": mirrored / (variance + _FLAT),
        "border brightness": mean + border.mean(axis=1),
        "border contrast": border.std(axis=1),
    }
    return {name: np.round(values, _DIGITS) for name, values in found.items()}


def _moments(plane: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return mean and variance of each picture."""
    mean = plane.mean(axis=(1, 2))
    return mean, np.square(plane - mean[:, None, None]).mean(axis=(1, 2))
