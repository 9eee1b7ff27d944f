"""Images as they might also have been taken: cropped, mirrored, in other light. For ``compare`` without labels."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from dinoscope.sources.base import ImageSource
from dinoscope.sources.pixels.decode import Decoding, Picture, ReducedImage

__all__ = ["AugmentedSource", "augment"]

_LEAST_AREA = 0.4  # of the image that a crop keeps
_ASPECT = 4 / 3  # by which a crop may be wider or taller than the image
_LIGHT = 0.4  # by which brightness, contrast and colour change at most


def augment(image: NDArray[np.uint8], seed: int | tuple[int, ...] = 0) -> NDArray[np.uint8]:
    """Crop an image, mirror it every other time, and change brightness, contrast and colour; all drawn at random.

    The crop keeps 0.4 to 1 of the area, at up to 4 / 3 of the aspect; the light changes by up to 0.4: gentler than
    what models of the DINO family are trained with.

    Args:
        image: uint8 (H, W, 3).
        seed: The same seed changes an image in the same way.

    Returns:
        uint8 (H', W', 3), 1 <= H' <= H, 1 <= W' <= W.
    """
    draw = np.random.default_rng(seed)
    high, wide = image.shape[:2]
    area, aspect = draw.uniform(_LEAST_AREA, 1), math.exp(draw.uniform(-1, 1) * math.log(_ASPECT))
    rows = min(high, max(1, round(high * math.sqrt(area / aspect))))
    columns = min(wide, max(1, round(wide * math.sqrt(area * aspect))))
    top, left = int(draw.integers(high - rows + 1)), int(draw.integers(wide - columns + 1))
    changed = image[top : top + rows, left : left + columns]
    if draw.random() < 0.5:
        changed = changed[:, ::-1]
    picture = Image.fromarray(np.ascontiguousarray(changed))
    for light in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = light(picture).enhance(draw.uniform(1 - _LIGHT, 1 + _LIGHT))
    return np.asarray(picture)


class AugmentedSource(ImageSource):
    """The images of another source, each changed by ``augment``."""

    def __init__(self, source: ImageSource, seed: int = 0) -> None:
        """Wrap a source; the seed draws the changes."""
        self._source, self._seed = source, seed
        self.name, self.kind, self.items = source.name, source.kind, source.items

    @property
    def decoding(self) -> Decoding:
        """How the pictures are decoded before they are changed."""
        return self._source.decoding

    @decoding.setter
    def decoding(self, how: Decoding) -> None:
        self._source.decoding = how

    def picture(self, index: int) -> Picture | None:
        """Return one image before it is decoded and changed; see ``ImageSource.picture``."""
        return self._source.picture(index)

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode and change one image; see ``ImageSource.load``."""
        return augment(self._source.load(index), (self._seed, index))

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Do so with an image decoded at reduced size, of which a crop leaves enough."""
        short, long = (math.ceil(side / math.sqrt(_LEAST_AREA / _ASPECT)) for side in least)
        image = self._source.load_reduced(index, (short, long))
        return ReducedImage.whole(augment(image.pixels, (self._seed, index)))
