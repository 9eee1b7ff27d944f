"""What decoded pixels say about a picture: compression, noise, sharpness, light, a frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from dinoscope.sources.pixels.blocks import LUMINANCE, measure_blocks

__all__ = [
    "LOSSLESS",
    "UNKNOWN_LOSS",
    "Look",
    "Quality",
    "describe_quality",
    "jpeg_quality",
    "measure_look",
    "measure_looks",
    "measure_sharpness",
]

LOSSLESS = 101.0  # quality of a file that holds every pixel as it was
UNKNOWN_LOSS = 75.0  # of WebP, AVIF and HEIC, which do not say it
_FEW_COLOURS = 50.0  # of a palette
_SURE = 5.0  # qualities by which an earlier file must have been worse
_SIDE = 384  # pixels of the middle that are measured
_LAPLACIAN_GAIN = 6.0  # of independent noise
_MEDIAN_TO_SIGMA = 0.6745
_EDGES, _NOISE_AT_EDGES = 0.99, 2.576  # quantile of the strongest edges, and what noise alone has there, in sigmas
_SAMPLED = 60_000  # pixels that light and frame are measured on, about
_DARKEST, _LIGHTEST = 5, 99  # percentiles of the lightness
_FINENESS = 8  # parts of a grey level in which lightness is counted
_COUNTED = 4096  # values from which counting them takes less time than sorting them
_STRONGEST = 99  # percentile of the edges
_LEAST_CONTRAST = 4.0  # grey levels: below it there is nothing whose edges could be sharp
_RULED_PIXELS = 240_000  # on which even and busy places are looked for, about
_FEWEST_LINES = 96  # pixels a side: no screen has fewer
_PIECE, _BUSY, _BETWEEN = 16, 48, 12  # pixels of a place, grey levels within a busy one, lines to the next even one
_LEAST_BUSY = 0.02  # share of the places: an empty picture has no lines
_SAME = 12  # grey levels by which a frame may differ from its own colour, as JPEG leaves it
_STANDARD = (  # sum of the luminance table that JPEG's quality is a scale of
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29),
    *(51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121),
    *(120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What anybody sees of a picture.

    Attributes:
        darkest: Lightness that 5% of the pixels are below, 0 to 255.
        lightest: Lightness that 1% of the pixels are above, 0 to 255.
        contrast: Standard deviation of the lightness.
        sharpness: Strength of the strongest edges by the contrast: the 99th percentile of the Laplacian's size.
        frame: Width of a frame of one colour at each edge, as a share of height or width; the thinnest one.
        ruled: Which share of the busy pieces of lines lies between even ones, as text on a screen does.
    """

    darkest: float
    lightest: float
    contrast: float
    sharpness: float
    frame: float
    ruled: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known about a picture's file.

    Attributes:
        quality: From 1 to 100 as JPEG has it, `LOSSLESS` for a file without loss; None for a picture without a file.
        noise: Grey levels, see `measure_sharpness`.
        detail: Grey levels, see `measure_sharpness`.
        grain: Grey levels, see `measure_blocks`.
        reduced: At which part of its size it was measured: 1, or 8 for an eighth.
        bytes: Size of the file.
        modified: When it was written, in nanoseconds, where it lies on this machine.
        darkest: See `Look`, and so are the five after it.
        lightest: See `Look`.
        contrast: See `Look`.
        sharpness: See `Look`.
        frame: See `Look`.
        ruled: See `Look`.
    """

    quality: float | None
    noise: float
    detail: float
    grain: float
    reduced: int
    bytes: int | None = None
    modified: int | None = None
    darkest: float | None = None
    lightest: float | None = None
    contrast: float | None = None
    sharpness: float | None = None
    frame: float | None = None
    ruled: float | None = None


def describe_quality(image: Image.Image, form: str | None, pixels: NDArray[np.uint8], reduced: int) -> Quality:
    """Return what an image and its pixels (H, W, 3), decoded at a part of its size, say.

    A picture that was a JPEG of lower quality before it was saved in its file has that one's quality.
    """
    quality: float | None = None
    if isinstance(image, JpegImagePlugin.JpegImageFile) and image.quantization:
        quality = jpeg_quality(next(iter(image.quantization.values())))
    elif form in ("PNG", "BMP", "TIFF", "GIF"):
        lossy = image.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
        quality = UNKNOWN_LOSS if lossy else _FEW_COLOURS if image.mode in ("P", "PA") else LOSSLESS
    elif form is not None:
        quality = UNKNOWN_LOSS
    grain, steps = measure_blocks(pixels, stepped=quality is not None and reduced == 1)
    if quality is not None and steps is not None:
        before = _quality(100 * steps)
        quality = before if before < quality - _SURE else quality
    return Quality(quality, *measure_sharpness(pixels), grain, reduced, **asdict(measure_look(pixels)))


def measure_look(pixels: NDArray[np.uint8]) -> Look:
    """Return how light, contrasty, sharp and framed a picture (H, W, 3) is."""
    return measure_looks(pixels[None])[0]


def measure_looks(pictures: NDArray[np.uint8]) -> list[Look]:
    """Return how light, contrasty, sharp and framed pictures of one size (N, H, W, 3) are.

    Light and frame are measured on every n-th pixel of every n-th line, sharpness in the middle at full size. Of small
    pictures, many at once take a tenth of the time.
    """
    count, height, width = pictures.shape[:3]
    step = max(1, math.isqrt(height * width // _SAMPLED))
    some = np.ascontiguousarray(pictures[:, ::step, ::step])
    light = (some.reshape(-1, 3).astype(np.float32) @ LUMINANCE).reshape(count, -1)
    shades = np.rint(light * _FINENESS).astype(np.int16)
    darkest, lightest = _percentiles(shades, _DARKEST, _LIGHTEST) / _FINENESS
    contrast, sharpness = light.std(axis=1).astype(np.float64), np.zeros(count)
    grey = _middle(pictures)
    if min(grey.shape[1:]) >= 3:
        around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
        (edges,) = _percentiles(np.abs(around - 4 * grey[:, 1:-1, 1:-1]).reshape(count, -1), _STRONGEST)
        sharpness = edges / np.maximum(contrast, _LEAST_CONTRAST)
    measured = np.stack([darkest, lightest, contrast, sharpness, _frames(some), _ruled(pictures)], axis=1)
    return [Look(*each) for each in measured.tolist()]


def _ruled(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return which share of the busy places of pictures (N, H, W, 3) lies between even ones, above and below; (N,).

    A place is a piece of a line. On a screen and in a chart many are of exactly one value: the ground between lines of
    text, bars, buttons. In a photograph hardly any are, and where its light is cut off, nothing busy lies between them.
    Pictures of less than ``_FEWEST_LINES`` pixels a side have 0: they are icons, not screenshots.
    """
    height, width = pictures.shape[1:3]
    step = max(1, math.isqrt(height * width // _RULED_PIXELS))  # no pixel is mixed with others
    grey = pictures[:, ::step, ::step, 1]
    count, lines, across = grey.shape
    if min(lines, across) < _FEWEST_LINES:
        return np.zeros(count)
    darkest = lightest = np.ascontiguousarray(grey[:, :, : across // _PIECE * _PIECE])
    for _ in range(_PIECE.bit_length() - 1):  # by halves: a tenth of the time of max() over so few
        darkest = np.minimum(darkest[:, :, ::2], darkest[:, :, 1::2])
        lightest = np.maximum(lightest[:, :, ::2], lightest[:, :, 1::2])
    spread = lightest - darkest
    busy = spread > _BUSY
    so_far = np.cumsum(np.pad(spread == 0, ((0, 0), (_BETWEEN + 1, _BETWEEN), (0, 0))), axis=1, dtype=np.int32)
    above = so_far[:, _BETWEEN : _BETWEEN + lines] - so_far[:, :lines]
    below = so_far[:, -lines:] - so_far[:, _BETWEEN + 1 : _BETWEEN + 1 + lines]
    between = busy & (above > 0) & (below > 0)
    places = np.maximum(busy.sum(axis=(1, 2)), _LEAST_BUSY * busy[0].size)
    shares: NDArray[np.float64] = between.sum(axis=(1, 2)) / places
    return shares


def _percentiles(values: NDArray[np.int16], *wanted: int) -> NDArray[np.float64]:
    """Return percentiles (P, N) of the rows of values (N, V), none below 0, as np.percentile does."""
    places = np.array(wanted, np.float64) / 100 * (values.shape[1] - 1)
    below, above = np.floor(places).astype(int), np.ceil(places).astype(int)
    if values.shape[1] < _COUNTED:
        ordered = np.sort(values, axis=1)  # of 16 bits each: faster than parting them
        first, second = (ordered[:, at].T.astype(np.float64) for at in (below, above))
    else:
        up_to = [np.bincount(row).cumsum() for row in values]  # how many values are as small
        first, second = (
            np.array([each.searchsorted(at, "right") for each in up_to], np.float64).T for at in (below, above)
        )
    found: NDArray[np.float64] = first + (places - below)[:, None] * (second - first)
    return found


def _frames(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the width of the thinnest side of each picture's frame (N, H, W, 3), as a share of height or width."""
    edges = np.concatenate((pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1]), axis=1)
    even = np.flatnonzero((edges.max(axis=1) - edges.min(axis=1) <= 2 * _SAME).all(axis=1))  # few: most have no frame
    edges = edges[even]
    colours = np.rint(2 * np.median(edges, axis=1)).astype(np.int16)[:, None]  # twice: a median may be a half
    widths = np.zeros(len(pictures))
    is_framed = ~_differ(edges, colours).any(axis=1)
    framed = even[is_framed]
    other = _differ(pictures[framed], colours[is_framed, None])
    rows: NDArray[np.bool_] = np.any(other, axis=2)
    columns: NDArray[np.bool_] = np.any(other, axis=1)
    sides = (rows, rows[:, ::-1], columns, columns[:, ::-1])
    shares = [np.where(np.any(side, axis=1), side.argmax(axis=1) / side.shape[1], 1.0) for side in sides]
    widths[framed] = np.min(shares, axis=0)
    return widths


def _differ(pixels: NDArray[np.uint8], twice: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Tell which pixels (..., 3) are of another colour than the one that is given, each of its values twice."""
    far = np.abs(2 * pixels.astype(np.int16) - twice) > 2 * _SAME
    differ: NDArray[np.bool_] = far[..., 0] | far[..., 1] | far[..., 2]  # a tenth of the time of any()
    return differ


def _middle(pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the middle of a picture (H, W, 3), or of each of some, in grey."""
    height, width = pixels.shape[-3:-1]
    top, left = max(0, (height - _SIDE) // 2), max(0, (width - _SIDE) // 2)
    # green is most of the luminance, and whole numbers take a tenth of the time
    return pixels[..., top : top + _SIDE, left : left + _SIDE, 1].astype(np.int16)


def jpeg_quality(table: Sequence[int]) -> float:
    """Return the quality, 1 to 100, whose quantisation of luminance is about that of a table (64)."""
    return _quality(100 * sum(table) / sum(_STANDARD))


def _quality(scale: float) -> float:
    """Return the quality with steps of this many percent of the standard ones."""
    return float(np.clip((200 - scale) / 2 if scale <= 100 else 5000 / scale, 1, 100))


def measure_sharpness(pixels: NDArray[np.uint8]) -> tuple[float, float]:
    """Return noise and detail of a picture (H, W, 3), in grey levels, from its middle.

    Noise is the usual size of a Laplacian, which has no edges in most places (Immerkaer 1996). Detail is its size at
    the strongest edges, less what noise alone would have there: blur takes it away.
    """
    grey = _middle(pixels)
    if min(grey.shape) < 3:
        return 0.0, 0.0
    across = grey[:, :-2] - 2 * grey[:, 1:-1] + grey[:, 2:]
    counts = np.bincount(np.abs(across[:-2] - 2 * across[1:-1] + across[2:]).ravel())
    usual, edges = np.interp([0.5, _EDGES], counts.cumsum() / counts.sum(), np.arange(len(counts))) / _LAPLACIAN_GAIN
    noise = float(usual) / _MEDIAN_TO_SIGMA
    return noise, math.sqrt(max(0.0, float(edges) ** 2 - (_NOISE_AT_EDGES * noise) ** 2))
