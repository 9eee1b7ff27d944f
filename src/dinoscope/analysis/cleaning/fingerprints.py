"""Fingerprints: small pictures by which images are compared pixel by pixel, and how far two of them agree."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.parallel import in_threads, row_blocks

__all__ = ["centred", "fingerprints", "flatness", "picture_agreement"]

_SIDE = 32  # of a fingerprint, in pixels
_CELL = 4  # pixels of a fingerprint averaged for a first look
_FINE = 14  # candidates an image whose fingerprints are compared in full
_NEAREST = 4  # of them those whose vectors are nearest; the others by the first look
_BAND = (1.0, 3.0)  # blurs between which detail lies: less is lost when a picture is made smaller, more is shape
_NOISE = 2.0  # grey levels of structure below which there is nothing to compare
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
            prints[at] = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), reduce))

    in_threads(fill, row_blocks(len(pictures), 256))
    grey = (prints == prints[..., :1]).all()
    return np.ascontiguousarray(prints[..., :1]) if grey else prints


def picture_agreement(prints: NDArray[np.uint8], indices: NDArray[np.integer]) -> NDArray[np.float32]:
    """Compare each picture with some others, whatever their brightness and contrast and up to a shift of a pixel.

    The product of two normalised correlations: of the whole picture, and of its detail alone (what is left after a
    blur of one pixel and gone after one of three), each the largest over nine shifts. Only the most likely are
    compared so, by nearness and by a first look at a quarter of the size; the others get -1. A part without structure
    (within two grey levels) agrees with its like; but a flat picture agrees with none that has structure, and with
    another flat one only as far as their colours do: a hue in common is no evidence.

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
    shifts = [(y, x) for y in range(3) for x in range(3)]

    def compare(rows: slice) -> None:
        near = np.einsum("nd,nkd->nk", coarse[rows], coarse[indices[rows]])
        near[:, :_NEAREST] = 2  # whatever they look like from afar: thin lines, moved, may not
        best = np.argsort(-near, axis=1, kind="stable")[:, :fine]
        others = np.take_along_axis(indices[rows], best, axis=1)
        apart = np.abs(colours[rows, None] - colours[others]).max(axis=2)
        apart = np.clip((apart - _COLOUR[0]) / (_COLOUR[1] - _COLOUR[0]), 0, 1)
        one, other = flat[rows, None], flat[others]
        result = (1 - np.abs(one - other)) * (1 - one * other * apart)
        for part in (prints, detail):
            middle = centred(part[rows, 1:-1, 1:-1].astype(np.float32))
            candidates = part[others.ravel()].astype(np.float32)
            found = np.full(others.shape, -1, np.float32)
            for y, x in shifts:
                moved = centred(candidates[:, y : y + _SIDE - 2, x : x + _SIDE - 2])
                found = np.maximum(found, np.einsum("nd,nkd->nk", middle, moved.reshape(*others.shape, -1)))
            result *= np.maximum(found, 0)
        block = agreement[rows]
        np.put_along_axis(block, best, np.minimum(result, 1), axis=1)

    in_threads(compare, row_blocks(len(indices), 64))
    return agreement


def flatness(prints: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how flat each picture is (N,): 1 without structure, 0 with much."""
    flat = np.empty(len(prints), np.float32)
    for rows in row_blocks(len(prints), 1024):
        spread = (prints[rows] - prints[rows].mean(axis=(1, 2), keepdims=True, dtype=np.float32)) ** 2
        flat[rows] = _NOISE**2 / (_NOISE**2 + spread.mean(axis=(1, 2, 3)))
    return flat


def _detail(prints: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the band of detail, in float16: half the memory, and finer than the grey levels of a picture."""
    from scipy.ndimage import gaussian_filter

    detail = np.empty(prints.shape, np.float16)

    def fill(rows: slice) -> None:
        whole = prints[rows].astype(np.float32)
        fine, rough = (gaussian_filter(whole, (0, blur, blur, 0)) for blur in _BAND)
        detail[rows] = fine - rough

    in_threads(fill, row_blocks(len(prints), 256))
    return detail


def centred(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take each picture's mean away and scale to length 1, with one more coordinate that flat pictures share."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    noise = np.float32(_NOISE * math.sqrt(flat.shape[1]))
    length = np.sqrt(np.einsum("nd,nd->n", flat, flat) + noise**2)
    unit: NDArray[np.float32] = np.hstack([flat, np.full((len(flat), 1), noise)]) / length[:, None]
    return unit
