"""What a model sees of one image, patch by patch: tokens of the whole picture, and where its last block looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.errors import InputError, ModelError
from dinoscope.models.catalogue import Model
from dinoscope.models.graphs.finer import FINER
from dinoscope.models.preprocess import FILTERS, Preprocessing
from dinoscope.sources.pixels.decode import ReducedImage

__all__ = ["BUNDLED_SIDE", "Run", "Seen", "bundled_maps", "bundled_side", "longest_needed", "see"]

_BUNDLED_PATCH = 8  # pixels between two tokens of the convolutional networks
# Of 96, 128 and 160 pixels: see docs/benchmarks.md. They were trained at 32, and see single strokes beyond this.
BUNDLED_SIDE = 128
_LARGEST_SIDE = 1024
_DECODED = 3  # pixels a side of the decoded image for each pixel that the model sees
# The picture goes on beyond its edges, mirrored: else the edges of the network show in its tokens. Convolutions with
# stride 2 look at the first pixel, not between the first two. So the tokens that a pixel changes lie too far down and
# right, by 0.9 pixels in mini and 2.3 in mini-fashion. A margin that is narrower by 2 puts them right within 1.1.
_MARGIN, _OFF = 4 * _BUNDLED_PATCH, 2
_FEWEST = 3  # patches a side: with fewer, all of them are at the border
_LONGEST = 4  # times the side, of a bundled model: a panorama beyond that is squeezed
Run = Callable[[Sequence[str], NDArray[np.uint8]], list[NDArray[np.float32]]]


@dataclass(frozen=True, eq=False)
class Seen:
    """One image as a model saw it.

    Attributes:
        picture: What the model saw of it, without bars: the whole image, uint8 (h, w, 3).
        tokens: Its patch tokens float32 (H, W, D), from the top left, as the model gives them.
        attention: How the last block's CLS token and then each register spreads its attention over these patches,
            by head: float32 (heads, 1 + registers, H, W). None where the model tells none.
        finer: What a convolutional network sees before it halves its grid for the last time, float32 (2H, 2W, C). It
            knows less of what a place shows, and better where it ends. None of other models.
    """

    picture: NDArray[np.uint8]
    tokens: NDArray[np.float32]
    attention: NDArray[np.float32] | None
    finer: NDArray[np.float32] | None = None


def longest_needed(model: Model, side: int, resolution: int | None) -> int:
    """Return how small an image may be decoded for ``see``: its longest side in pixels."""
    return _DECODED * (resolution or (BUNDLED_SIDE if model.family == "bundled" else side))


def see(
    image: ReducedImage,
    model: Model,
    side: int,
    how: Preprocessing,
    run: Run,
    outputs: frozenset[str],
    resolution: int | None = None,
) -> Seen:
    """Show a model one whole image; see ``Encoder.look``.

    Args:
        image: The image.
        model: The model.
        side: Side of the square that its graph takes.
        how: How images are prepared for it.
        run: Runs its graph.
        outputs: What the graph gives.
        resolution: See ``Encoder.look``.
    """
    if "patches" not in outputs:
        raise ModelError(f"{model.name} gives one vector per image, no patches: take another model, such as mini")
    if model.family == "bundled":
        return _see_as_it_is(image, how, run, outputs, bundled_side(resolution))
    if resolution not in (None, side):
        raise InputError(f"{model.name} was loaded for {side} pixels, got a resolution of {resolution}: load it again")
    return _see_padded(image, model, side, how, run, outputs)


def bundled_side(resolution: int | None) -> int:
    """Return the side in pixels of what a bundled model sees patch by patch, by default 128.

    Raises:
        InputError: If it is not a multiple of 8, too small or too large.
    """
    if resolution is None:
        return BUNDLED_SIDE
    if resolution % _BUNDLED_PATCH or not _FEWEST * _BUNDLED_PATCH <= resolution <= _LARGEST_SIDE:
        near = min(max(round(resolution / _BUNDLED_PATCH), _FEWEST), _LARGEST_SIDE // _BUNDLED_PATCH) * _BUNDLED_PATCH
        raise InputError(
            f"the resolution must be a multiple of {_BUNDLED_PATCH} from {_FEWEST * _BUNDLED_PATCH} to "
            f"{_LARGEST_SIDE}, got {resolution}: try {near}"
        )
    return resolution


def _see_as_it_is(image: ReducedImage, how: Preprocessing, run: Run, outputs: frozenset[str], side: int) -> Seen:
    """Show the image in its own shape, about as many pixels as a square of this side has."""
    width, height = image.size
    aspect = min(max(width / height, 1 / _LONGEST**2), _LONGEST**2)
    across, down = (
        max(_FEWEST, round(side * math.sqrt(each) / _BUNDLED_PATCH)) * _BUNDLED_PATCH for each in (aspect, 1 / aspect)
    )
    picture = _scaled(image, (across, down), how)
    tokens, finer = bundled_maps(picture[None], run, outputs)
    return Seen(picture, tokens[0], None, None if finer is None else finer[0])


def bundled_maps(
    pixels: NDArray[np.uint8], run: Run, outputs: frozenset[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Show a bundled model pictures that go on beyond their edges.

    Args:
        pixels: uint8 (B, h, w, 3), both sides multiples of 8.
        run: Runs its graph.
        outputs: What the graph gives.

    Returns:
        Tokens (B, h / 8, w / 8, D), and the finer map (B, h / 4, w / 4, C) where the graph gives it; not normalised.
    """
    count, down, across = pixels.shape[:3]
    margin = (_MARGIN - _OFF, _MARGIN + _OFF)
    wider = np.pad(pixels, ((0, 0), margin, margin, (0, 0)), mode="reflect")
    names = [name for name in ("patches", FINER) if name in outputs]
    found = dict(zip(names, run(names, wider), strict=True))
    rows, columns = ((each + 2 * _MARGIN) // _BUNDLED_PATCH for each in (down, across))
    edge = _MARGIN // _BUNDLED_PATCH
    inside, finely = slice(edge, -edge), slice(2 * edge, -2 * edge)
    tokens = found["patches"].reshape(count, rows, columns, -1)[:, inside, inside]
    return tokens, found[FINER].transpose(0, 2, 3, 1)[:, finely, finely] if FINER in found else None


def _see_padded(
    image: ReducedImage, model: Model, side: int, how: Preprocessing, run: Run, outputs: frozenset[str]
) -> Seen:
    """Show the image with bars that are whole patches wide, and leave those out of what comes back."""
    count = side // (model.patch or 1)
    if not model.patch:
        count = math.isqrt(run(["patches"], np.zeros((1, side, side, 3), np.uint8))[0].shape[1])
    if count < _FEWEST:
        raise InputError(
            f"{model.name} sees {count} x {count} patches at {side} pixels, and dinoscope needs {_FEWEST} x {_FEWEST}: "
            f"pass a resolution of {_FEWEST * (side // max(count, 1))} or more"
        )
    patch = side // count
    width, height = (max(_FEWEST, round(count * each / max(image.size))) for each in image.size)
    left, top = (count - width) // 2, (count - height) // 2
    edge = side - count * patch  # of an export whose square is not a whole number of patches
    picture = _scaled(image, (width * patch + edge * (width == count), height * patch + edge * (height == count)), how)
    colour = [min(max(round(255 * each), 0), 255) for each in how.normalization.mean]
    square = np.full((1, side, side, 3), colour, np.uint8)
    square[0, top * patch : top * patch + picture.shape[0], left * patch : left * patch + picture.shape[1]] = picture
    names = [name for name in ("patches", "attention") if name in outputs]
    found = dict(zip(names, run(names, square), strict=True))
    inside = slice(top, top + height), slice(left, left + width)
    tokens = found["patches"][0, -count * count :].reshape(count, count, -1)[inside]
    if "attention" not in found:
        return Seen(picture, tokens, None)
    attention = found["attention"][0]
    return Seen(picture, tokens, attention.reshape(*attention.shape[:2], count, count)[:, :, *inside])


def _scaled(image: ReducedImage, size: tuple[int, int], how: Preprocessing) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image.pixels).resize(size, FILTERS[how.filter], reducing_gap=3.0))
