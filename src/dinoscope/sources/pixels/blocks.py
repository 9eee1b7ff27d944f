"""What the blocks of 8 x 8 of a picture say: which JPEG it once was, and how grainy its flat places are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LUMINANCE", "measure_blocks"]

_SIDE = 384  # pixels of the middle that are measured
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
_LOW = 4  # frequencies of each direction that are computed
# The low frequencies, and JPEG's standard steps for them, of which a quality is a multiple.
_PLACES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))
_STANDARD = (11, 12, 14, 12, 10, 16, 14, 13, 14)
_GRAINY = _PLACES[2:]  # without the two that slow changes of light fill
_FLAT = 10  # percent of the blocks: the flattest
_STEPS = np.arange(2, 64)
_PERIODIC, _ENOUGH = 0.6, 30  # mean cosine of values that come in steps, and how many there must be
_BINS, _BIN = 1024, 0.25  # in which values are counted, and the width of one
_FINEST = 0.15  # of the standard steps: finer ones look like none


def measure_blocks(pixels: NDArray[np.uint8], *, stepped: bool = True) -> tuple[float, float | None]:
    """Return the grain of a picture (H, W, 3) and the steps in which its blocks were once rounded.

    Grain is the size of the low frequencies in the flattest tenth of the blocks, in grey levels. JPEG keeps it down to
    half of a step, so a picture that lacks the grain of another was not compressed from it. Values that come in steps
    were rounded by JPEG, in any kind of file (Fan and de Queiroz 2003).

    Args:
        pixels: The picture.
        stepped: Whether to look for steps, which are gone once a picture is reduced.

    Returns:
        The grain, and the steps as a multiple of JPEG's standard table: 1 of quality 50, 0.3 of quality 85; None where
        there are no steps.
    """
    values = _frequencies(pixels)
    if not len(values):
        return 0.0, None
    energy = np.mean([values[:, row, column] ** 2 for row, column in _GRAINY], axis=0)
    grain = float(np.sqrt(np.percentile(energy, _FLAT)))
    if not stepped:
        return grain, None
    steps = _steps(np.array([values[:, row, column] for row, column in _PLACES]))
    share = float(np.median(steps / _STANDARD))
    return grain, share if share >= _FINEST else None


def _frequencies(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the low frequencies of the luminance of the blocks in the middle: (B, 4, 4), by the cosine transform."""
    top, left = (max(0, (side - _SIDE) // 2) // 8 * 8 for side in pixels.shape[:2])
    middle = pixels[top : top + _SIDE, left : left + _SIDE]
    rows, columns = (side // 8 for side in middle.shape[:2])
    grey = middle[: 8 * rows, : 8 * columns].astype(np.float32) @ LUMINANCE
    across = grey.reshape(8 * rows, columns, 8) @ _COSINES.T
    both = _COSINES @ across.reshape(rows, 8, columns * _LOW)
    return both.reshape(rows, _LOW, columns, _LOW).swapaxes(1, 2).reshape(-1, _LOW, _LOW).astype(np.float32, copy=False)


def _steps(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return for each row of values (P, B) the largest step of which they are multiples; 1 if there is none."""
    bins = np.rint(np.abs(values) / _BIN).astype(np.int64).clip(0, _BINS - 1)
    counts = np.array([np.bincount(row, minlength=_BINS) for row in bins])
    of_step = counts @ _ABOVE_HALF
    periodic = (of_step >= _ENOUGH) & (counts @ _WAVES > _PERIODIC * of_step)
    found: NDArray[np.int64] = np.where(periodic, _STEPS, 1).max(axis=1)
    return found


def _cosines() -> NDArray[np.float32]:
    places, frequencies = np.arange(8), np.arange(_LOW)[:, None]
    rows = np.cos((2 * places + 1) * frequencies * np.pi / 16) / 2
    rows[0] /= np.sqrt(2)
    return rows.astype(np.float32)


_COSINES = _cosines()
_VALUES = np.arange(_BINS)[:, None] * _BIN
_ABOVE_HALF = (_VALUES > _STEPS / 2).astype(np.float64)  # smaller values are rounded to none
_WAVES = _ABOVE_HALF * np.cos(2 * np.pi * _VALUES / _STEPS)
