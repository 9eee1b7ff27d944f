"""Fingerprints: small pictures by which images are compared pixel by pixel, and how far two of them agree."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_threads, one_thread_each, row_blocks

__all__ = ["centred", "fingerprints", "flatness", "picture_agreement"]

_SIDE = 32  # of a fingerprint, in pixels
_CELL = 4  # pixels of a fingerprint averaged for a first look
_FINE = 14  # candidates per image with fully compared fingerprints
_NEAREST = 4  # of these, how many come from the nearest vectors; the first look gives the others
_BAND = (1.0, 3.0)  # blurs between which detail lies: less is lost when a picture is made smaller, more is shape
_LEVEL = 1 / 64  # grey levels of a step of the detail, which is stored in whole numbers
_NOISE = 2.0  # grey levels of structure below which there is nothing to compare
_SHOWN = _SIDE - 2  # pixels of a side that every shift shows
_SHIFTS = tuple((y, x) for y in range(3) for x in range(3))
_COLOUR = (4.0, 32.0)  # grey levels by which flat pictures may differ, and from which they have nothing in common


def fingerprints(pictures: Sequence[bytes | NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Bring pictures to 32 x 32 pixels, grey where all of them are.

    Args:
        pictures: Encoded, or uint8 (H, W) or (H, W, 3), of any sizes.

    Returns:
        uint8 (N, 32, 32, 1) or (N, 32, 32, 3).
    """
    prints = np.empty((len(pictures), _SIDE, _SIDE, 3), np.uint8)

    def fill(rows: slice) -> None:
        for at in range(rows.start, rows.stop):
            picture = pictures[at]
            image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
            reduce = Image.Resampling.BOX if max(image.size) > 2 * _SIDE else Image.Resampling.BICUBIC
            small = np.asarray((image if image.mode == "L" else image.convert("RGB")).resize((_SIDE, _SIDE), reduce))
            prints[at] = small[..., None] if small.ndim == 2 else small

    in_threads(fill, row_blocks(len(pictures), 256))
    grey = (prints == prints[..., :1]).all()
    return np.ascontiguousarray(prints[..., :1]) if grey else prints


def picture_agreement(prints: NDArray[np.uint8], indices: NDArray[np.integer]) -> NDArray[np.float32]:
    """Compare each picture with some others, regardless of brightness and contrast, up to a shift of one pixel.

    The product of two normalised correlations: of the whole picture, and of its detail alone (what is left after a
    blur of one pixel and gone after one of three), each the largest over nine shifts. Only the most likely are
    compared so, by nearness and by a first look at a quarter of the size; the others get -1. A part without structure
    (within two grey levels) agrees with another such part. But a flat picture agrees with no picture that has
    structure, and with another flat one only as far as their colours do: a common hue is not evidence.

    Args:
        prints: What ``fingerprints`` made, (N, 32, 32, C).
        indices: Whom to compare the first M with (M, k).

    Returns:
        The agreements (M, k), float32, -1 to 1; 1 is the same.
    """
    cells = prints.reshape(len(prints), _SIDE // _CELL, _CELL, _SIDE // _CELL, _CELL, -1)
    coarse = centred(cells.mean(axis=(2, 4), dtype=np.float32))
    detail = _detail(prints)
    colours = prints.mean(axis=(1, 2), dtype=np.float32)
    flat = flatness(prints)
    agreement = np.full(indices.shape, -1, np.float32)
    fine = min(_FINE, indices.shape[1])
    parts = [(part, level, _moved_sizes(part, level)) for part, level in ((prints, 1.0), (detail, _LEVEL))]

    def compare(rows: slice) -> None:
        near = np.einsum("nd,nkd->nk", coarse[rows], coarse[indices[rows]])
        near[:, :_NEAREST] = 2  # even if they look different from afar, as shifted thin lines may
        best = np.argsort(-near, axis=1, kind="stable")[:, :fine]
        others = np.take_along_axis(indices[rows], best, axis=1)
        apart = np.abs(colours[rows, None] - colours[others]).max(axis=2)
        apart = np.clip((apart - _COLOUR[0]) / (_COLOUR[1] - _COLOUR[0]), 0, 1)
        one, other = flat[rows, None], flat[others]
        result = (1 - np.abs(one - other)) * (1 - one * other * apart)
        for part, level, sizes in parts:
            result *= np.maximum(_best_correlation(part, level, sizes, rows, others), 0)
        block = agreement[rows]
        np.put_along_axis(block, best, np.minimum(result, 1), axis=1)

    with one_thread_each():  # the blocks share the cores
        in_threads(compare, row_blocks(len(indices), 64))
    return agreement


def _moved_sizes(pictures: NDArray[np.integer], level: float) -> NDArray[np.float32]:
    """Return how long what each shift shows of each picture is in the form of ``centred``, in grey levels (N, 9)."""
    sizes = np.empty((len(pictures), len(_SHIFTS)), np.float32)

    def fill(rows: slice) -> None:
        whole = pictures[rows].astype(np.float32)
        whole *= level
        whole -= whole.mean(axis=(1, 2, 3), keepdims=True)  # near 0 their squares lose no digits
        for at, (y, x) in enumerate(_SHIFTS):
            shown = whole[:, y : y + _SHOWN, x : x + _SHOWN].reshape(len(whole), -1)
            squares = np.einsum("nd,nd->n", shown, shown) - shown.sum(axis=1) ** 2 / shown.shape[1]
            sizes[rows, at] = np.sqrt(np.maximum(squares, 0) + _NOISE**2 * shown.shape[1])

    in_threads(fill, row_blocks(len(pictures), 256))
    return sizes


def _best_correlation(
    pictures: NDArray[np.integer], level: float, sizes: NDArray[np.float32], rows: slice, others: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return the largest correlation (M, k) of the middle of each of ``rows`` with any shift of its ``others``.

    The middle has mean 0, so its product with what a shift shows needs no mean of that. A product of matrices gives all
    shifts of all others at once: the middle is at each place of the shifts, with zeros around it.
    """
    middle = level * pictures[rows, 1:-1, 1:-1].astype(np.float32)
    middle -= middle.mean(axis=(1, 2, 3), keepdims=True)
    placed = np.zeros((len(middle), len(_SHIFTS), *pictures.shape[1:]), np.float32)
    for at, (y, x) in enumerate(_SHIFTS):
        placed[:, at, y : y + _SHOWN, x : x + _SHOWN] = middle
    whole = pictures[others.ravel()].astype(np.float32).reshape(*others.shape, -1)
    products = whole @ placed.reshape(*placed.shape[:2], -1).transpose(0, 2, 1)
    noise = _NOISE**2 * middle[0].size  # that of both: the coordinate that flat pictures share
    own = np.sqrt(np.einsum("nyxc,nyxc->n", middle, middle) + noise)
    products *= level  # fewer numbers than there are pixels
    best: NDArray[np.float32] = ((products + noise) / sizes[others]).max(axis=2) / own[:, None]
    return best


def flatness(prints: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how flat each picture is (N,): 1 without structure, 0 with much."""
    flat = np.empty(len(prints), np.float32)
    for rows in row_blocks(len(prints), 1024):
        spread = (prints[rows] - prints[rows].mean(axis=(1, 2), keepdims=True, dtype=np.float32)) ** 2
        flat[rows] = _NOISE**2 / (_NOISE**2 + spread.mean(axis=(1, 2, 3)))
    return flat


def _detail(prints: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the band of detail in steps of ``_LEVEL``: half the memory of floats, and read in half of the time."""
    detail = np.empty(prints.shape, np.int16)

    def fill(rows: slice) -> None:
        whole = np.moveaxis(prints[rows], 3, 1).astype(np.float32)
        fine, rough = (blur @ whole @ blur.T for blur in _blurs())
        detail[rows] = np.moveaxis(np.rint((fine - rough) / _LEVEL), 1, 3)

    in_threads(fill, row_blocks(len(prints), 256))
    return detail


@cache
def _blurs() -> list[NDArray[np.float32]]:
    """Return what blurs each line of a fingerprint: by a product of matrices in a fifth of a filter's time."""
    with LOADING:
        from scipy.ndimage import gaussian_filter1d

    return [gaussian_filter1d(np.eye(_SIDE), blur, axis=0).astype(np.float32) for blur in _BAND]


def centred(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take each picture's mean away and scale to length 1, with one more coordinate that flat pictures share."""
    flat = pictures.reshape(len(pictures), -1)
    unit = np.empty((len(flat), flat.shape[1] + 1), np.float32)
    level = np.subtract(flat, flat.mean(axis=1, keepdims=True), out=unit[:, :-1])
    unit[:, -1] = noise = np.float32(_NOISE * math.sqrt(flat.shape[1]))
    unit /= np.sqrt(np.einsum("nd,nd->n", level, level) + noise**2)[:, None]
    return unit
