"""Properties of images that anybody can name: how bright, colourful, detailed, wide or early each is.

They are measured on pictures of one small size, whatever the sizes of the images, so that they can be compared; what
only a larger picture shows (slight blur, noise) is not in them.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dinoscope.errors import InputError
from dinoscope.knn import in_threads, row_blocks

__all__ = ["PROPERTIES", "Property", "image_properties", "in_words"]

_SIDE = 64  # of the pictures that are measured
_BORDER = 4  # pixels at every edge
_LUMA = np.asarray([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
_FLAT = (2 / 255) ** 2  # variance of a picture without structure: two grey levels, as JPEG leaves them
_BLOCK_ROWS = 128


@dataclass(frozen=True)
class Property:
    """What one number says of an image: its name, the words for little and for much of it, how it is measured."""

    name: str
    low: str
    high: str
    meaning: str


# One row a property, in the order of the columns of `image_properties`.
PROPERTIES = {
    each.name: each
    for each in (
        Property("brightness", "darker", "brighter", "mean lightness (luma), 0 to 1"),
        Property("contrast", "flatter", "higher in contrast", "standard deviation of the lightness"),
        Property("colourfulness", "greyer", "more colourful", "spread and mean of the opponent colours"),
        Property("warmth", "bluer", "redder", "mean red less mean blue, -1 to 1"),
        Property("greenness", "less green", "greener", "mean green less the mean of red and blue, -1 to 1"),
        Property("detail", "smoother", "more detailed", "share of the variance of the lightness in fine structure"),
        Property("symmetry", "less symmetric", "more symmetric", "correlation with the mirror image, -1 to 1"),
        Property("border brightness", "darker at the border", "brighter at the border", "mean lightness at the edges"),
        Property("border contrast", "plainer at the border", "busier at the border",
                 "standard deviation of the lightness at the edges"),
        Property("aspect", "taller", "wider", "width by height"),
        Property("size", "smaller", "larger", "pixels of the image"),
        Property("order", "earlier", "later", "place in the source"),
    )
}  # fmt: skip


def image_properties(
    pictures: Sequence[bytes | NDArray[np.uint8]], sizes: ArrayLike, order: ArrayLike | None = None
) -> dict[str, NDArray[np.float32]]:
    """Measure what ``PROPERTIES`` lists.

    Colourfulness is M of Hasler and Süsstrunk 2003 ("Measuring colourfulness in natural images", for RGB in 0..1).
    Detail is the share of the variance that a mean of 5 x 5 pixels takes away, in pictures of 64 x 64.

    Args:
        pictures: The images (N), encoded or uint8 (H, W) or (H, W, 3): a thumbnail is enough.
        sizes: Width and height (N, 2) of the images themselves, in pixels.
        order: Place of each image in its source (N,), by default the order given.

    Returns:
        For each property one number an image, float32 (N,).

    Raises:
        InputError: If the arrays do not fit each other, or a size is not positive.
    """
    count, size = len(pictures), np.asarray(sizes, np.float64)
    if size.shape != (count, 2) or (size <= 0).any():
        raise InputError(f"sizes must be positive, of shape ({count}, 2), width and height, got shape {size.shape}")
    place = np.arange(count) if order is None else np.asarray(order)
    if place.shape != (count,):
        raise InputError(f"order must have shape ({count},), one for each picture, got {place.shape}")
    found = {name: np.empty(count, np.float32) for name in PROPERTIES}
    found["aspect"][:], found["size"][:], found["order"][:] = size[:, 0] / size[:, 1], size.prod(axis=1), place

    def fill(rows: slice) -> None:
        for name, values in _measure(np.stack([_small(picture) for picture in pictures[rows]])).items():
            found[name][rows] = values

    in_threads(fill, row_blocks(count, _BLOCK_ROWS))
    return found


def in_words(name: str, superiority: float) -> str:
    """Say that images exceed a share of all others in a property: "brighter than 93%"."""
    told = PROPERTIES[name]
    return f"{told.high if superiority > 0.5 else told.low} than {max(superiority, 1 - superiority):.0%}"


def _small(picture: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
    smooth = Image.Resampling.BOX if max(image.size) > 2 * _SIDE else Image.Resampling.BILINEAR
    plain = image if image.mode in ("L", "RGB") else image.convert("RGB")
    return np.asarray(plain.resize((_SIDE, _SIDE), smooth).convert("RGB"))


def _measure(pictures: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return the properties of pictures (B, 64, 64, 3) that their pixels show."""
    from scipy.ndimage import uniform_filter

    colour = pictures.astype(np.float32) / 255
    light = np.matmul(colour, _LUMA, dtype=np.float32)
    red, green, blue = np.moveaxis(colour, 3, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    across = (1, 2)
    spread = np.sqrt(red_green.var(axis=across) + yellow_blue.var(axis=across))
    mean = np.sqrt(red_green.mean(axis=across) ** 2 + yellow_blue.mean(axis=across) ** 2)
    centred = light - light.mean(axis=across, keepdims=True)
    variance = np.square(centred).mean(axis=across)
    fine = np.square(centred - uniform_filter(centred, size=(0, 5, 5), mode="nearest")).mean(axis=across)
    inside = np.zeros((_SIDE, _SIDE), bool)
    inside[_BORDER:-_BORDER, _BORDER:-_BORDER] = True
    border = light[:, ~inside]
    return {
        "brightness": light.mean(axis=across), "contrast": np.sqrt(variance), "colourfulness": spread + 0.3 * mean,
        "warmth": (red - blue).mean(axis=across), "greenness": (green - (red + blue) / 2).mean(axis=across),
        "detail": fine / (variance + _FLAT), "border brightness": border.mean(axis=1),
        "border contrast": border.std(axis=1),
        "symmetry": (centred * centred[:, :, ::-1]).mean(axis=across) / (variance + _FLAT),
    }  # fmt: skip
