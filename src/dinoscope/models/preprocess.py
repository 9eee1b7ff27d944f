"""How an image becomes the square that a model sees: uint8 in, uint8 out, all arithmetic on pixels left to Pillow.

Each family gets what its own image processor does before it scales to 0..1 and centres (that happens in the graph).
tests/reference/preprocess.py holds the processors' results against which this is tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.checks import check_choice
from dinoscope.base.digests import digest_json
from dinoscope.models.catalogue import IMAGENET, Normalization

__all__ = [
    "FILTERS",
    "CropLoss",
    "Filter",
    "Preprocessing",
    "kept_fraction",
    "lost_to_crop",
    "prepare",
    "preprocessing_of",
]

Box = tuple[float, float, float, float]
Filter = Literal["bicubic", "bilinear", "nearest", "lanczos", "box", "hamming"]
FILTERS: dict[Filter, Image.Resampling] = {name: Image.Resampling[name.upper()] for name in get_args(Filter)}
_EVALUATION = 256 / 224  # the shortest side to 256, the middle 224 of it
# Where no processor is to be equalled, large images are first shrunk by whole factors, to 3 times the result.
_GAP = 3.0
# Scaling a 1:1000 panorama as a whole may take gigabytes: beyond this aspect only its middle is scaled.
_PANORAMA = 8
# A JPEG decoded at 1/2, 1/4 or 1/8 still has this many pixels a side for each pixel of the scaled image. Of 8 detailed
# photographs of 12 megapixels, DINOv2's square then differs from that of the whole by 0.4 to 0.8 grey levels on average
# (worst photograph 0.9; 1.6 to 2.1 with a margin of 1, 0.6 to 1.1 with 2, 0.3 to 0.6 with 3). 3 would just miss the 1/4
# that brings the usual 3000 lines near the 256 of DINOv2.
_MARGIN = 2.5
_NOTICEABLE = 0.01


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How an image becomes a square of ``resolution`` pixels a side.

    Attributes:
        resize: ``crop``: the shortest side to ``resolution * scale``, then the middle. ``squash``: both sides to
            ``resolution``, for any aspect. ``pad``: the longest side to ``resolution``, the rest in the mean colour.
        scale: The side that the image is scaled to before its middle is kept, in resolutions; 1 with ``pad``.
        filter: Filter of the scaling, antialiased.
        floats: Scale in floats and round once, instead of once a direction.
        normalization: How pixels are scaled and centred, which the graph does; bars are of its mean colour.
    """

    resize: Literal["crop", "squash", "pad"]
    scale: float = 1.0
    filter: Filter = "bicubic"
    floats: bool = False
    normalization: Normalization = IMAGENET

    @property
    def key(self) -> str:
        """Short name of the settings, for names of stored vectors: ``crop1.14-bicubic``."""
        scale = "" if self.scale == 1 else f"{self.scale:.3g}"
        how = f"{self.resize}{scale}-{self.filter}{'-float' if self.floats else ''}"
        return how if self.normalization == IMAGENET else f"{how}-{digest_json(asdict(self.normalization), length=8)}"

    def least(self, resolution: int) -> tuple[int, int]:
        """Return how small an image may be decoded for ``prepare``: its shortest and its longest side in pixels."""
        needed = math.ceil(_MARGIN * self.scale * resolution)
        return (0, needed) if self.resize == "pad" else (needed, needed)


_ROWS = {
    "bundled": Preprocessing("crop"),
    "dino": Preprocessing("squash", filter="bilinear"),
    "dinov2": Preprocessing("crop", _EVALUATION),
    "dinov3": Preprocessing("squash", filter="bilinear", floats=True),
}


@dataclass(frozen=True, slots=True)
class CropLoss:
    """What a crop leaves out of a collection.

    Attributes:
        images: Images that were looked at.
        cropped: Images of which at least 1% of the area is left out.
        mean: Share of the area that those lose on average, 0..1; 0 where there are none.
        worst: Largest share that one loses.
    """

    images: int
    cropped: int
    mean: float
    worst: float


def preprocessing_of(
    family: str, *, upstream: bool = False, pad: bool = False, published: Preprocessing | None = None
) -> Preprocessing:
    """Return the preprocessing of a model family.

    Args:
        family: ``bundled``, ``dino``, ``dinov2`` or ``dinov3``; empty for weights of unknown kind, which get that of
            DINOv2.
        upstream: Take the transform of the papers' evaluations (shortest side to 256, middle 224, bicubic) instead of
            the published image processor's. The bundled models have only one.
        pad: Show the whole image, with bars of the mean colour, instead of cropping or squashing it.
        published: What is beside the weights, instead of what is usual for the family.

    Raises:
        InputError: If there is no such family.
    """
    if family:
        check_choice(family, "family", _ROWS, what=" or empty")
    how = published or _ROWS[family or "dinov2"]
    if upstream and family != "bundled":
        how = replace(_ROWS["dinov2"], normalization=how.normalization)
    return replace(how, resize="pad", scale=1.0) if pad else how


def prepare(
    image: NDArray[np.uint8], how: Preprocessing, resolution: int, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Bring one image to the square that the model sees.

    Args:
        image: uint8 (H, W, 3), as ``read_image`` gives it.
        how: The settings.
        resolution: Side of the square in pixels.
        size: Width and height of the original, where the image was decoded at 1/2, 1/4 or 1/8 of it.

    Returns:
        uint8 (resolution, resolution, 3); the image itself where it has that size already and nothing is cut off.
    """
    if image.shape[:2] == (resolution, resolution) and how.scale == 1:
        return image
    picture = Image.fromarray(image)
    width, height = size or picture.size
    factor = round(max(width, height) / max(picture.size))
    if how.resize == "squash":
        across, down = width / factor, height / factor
        left, top = (side * (1 - 1 / how.scale) / 2 for side in (across, down))
        return _scale(picture, how, (resolution, resolution), (left, top, across - left, down - top))
    if how.resize == "pad":
        return _pad(picture, how, resolution, (width / factor, height / factor))
    if how.scale == 1:  # in one step: what lies outside the square is never scaled
        return _scale(picture, how, (resolution, resolution), _middle(width, height, factor), _GAP)
    return _scale_and_crop(picture, how, resolution, (width, height), factor)


def kept_fraction(width: int, height: int, how: Preprocessing) -> float:
    """Return the share of an image's area that the model sees, 0..1, except for rounding to whole pixels."""
    shape = min(width, height) / max(width, height) if how.resize == "crop" else 1.0
    return shape / how.scale**2


def lost_to_crop(sizes: Iterable[tuple[int, int]], how: Preprocessing) -> CropLoss:
    """Sum up what is left out of images of these sizes (width, height); sizes of 0, of bad files, do not count."""
    lost = np.array([1 - kept_fraction(width, height, how) for width, height in sizes if width and height])
    cropped = lost[lost >= _NOTICEABLE]
    if not len(cropped):
        return CropLoss(len(lost), 0, 0.0, 0.0)
    return CropLoss(len(lost), len(cropped), float(cropped.mean()), float(cropped.max()))


def _scale(
    picture: Image.Image, how: Preprocessing, size: tuple[int, int], box: Box, gap: float | None = None
) -> NDArray[np.uint8]:
    resample = FILTERS[how.filter]
    if not how.floats:
        return np.asarray(picture.resize(size, resample, box, gap))
    # one channel after another: as floats, an image takes four times its memory
    channels = [np.asarray(picture.getchannel(c).convert("F").resize(size, resample, box, gap)) for c in "RGB"]
    levels: NDArray[np.float32] = np.stack(channels, axis=2).clip(0, 255)
    return np.rint(levels).astype(np.uint8)


def _middle(width: int, height: int, factor: int) -> Box:
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    return left / factor, top / factor, (left + short) / factor, (top + short) / factor


def _pad(picture: Image.Image, how: Preprocessing, side: int, size: tuple[float, float]) -> NDArray[np.uint8]:
    width, height = (max(1, round(side * each / max(size))) for each in size)
    colour = [min(max(round(255 * each), 0), 255) for each in how.normalization.mean]  # 0 once the graph has centred it
    square = np.full((side, side, 3), colour, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = _scale(picture, how, (width, height), (0, 0, *size), _GAP)
    return square


def _scale_and_crop(
    picture: Image.Image, how: Preprocessing, side: int, size: tuple[int, int], factor: int
) -> NDArray[np.uint8]:
    """Scale the whole image, then cut: a `box` would give other bytes, since Pillow rounds it to single precision."""
    short = round(side * how.scale)
    width, height = (int(short * each / min(size)) for each in size)  # rounded down, as the processors do
    left, top = (width - side) // 2, (height - side) // 2
    across, down = size[0] / factor, size[1] / factor
    if max(size) <= _PANORAMA * min(size):
        return _scale(picture, how, (width, height), (0, 0, across, down))[top : top + side, left : left + side]
    x, y = across / width, down / height
    return _scale(picture, how, (side, side), (left * x, top * y, (left + side) * x, (top + side) * y))
