"""Which part of an image makes it like another one: its similarity, measured again while a square of it is hidden.

Occlusion sensitivity (Zeiler and Fergus 2014), which needs nothing of a model but its vectors.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.errors import InputError

__all__ = ["CELLS", "COUNT", "heat_map", "hide_squares", "square_boxes"]

CELLS = 16  # of a heat map, across and down
_ACROSS = 7  # squares beside each other, and below each other
COUNT = _ACROSS**2
_SIDE = 0.375  # of a square, as a share of the image's


def square_boxes(width: int, height: int) -> NDArray[np.int64]:
    """Return left, top, width and height of the squares in pixels (49, 4), row by row.

    They lie at even distances from corner to corner, so that those at the edges are partly outside, and cut off.

    Args:
        width: Of the image, in pixels.
        height: Likewise.
    """
    edges = np.clip(_edges()[None] * np.array([[[width]], [[height]]]), 0, np.array([[[width]], [[height]]]))
    starts, ends = np.floor(edges[..., 0]).astype(int), np.ceil(edges[..., 1]).astype(int)
    return np.asarray(
        [
            (starts[0, x], starts[1, y], ends[0, x] - starts[0, x], ends[1, y] - starts[1, y])
            for y in range(_ACROSS)
            for x in range(_ACROSS)
        ]
    )


def hide_squares(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image with each of the squares painted in the colour of its edge, which most often is the ground's.

    Args:
        image: uint8 (H, W, 3).

    Returns:
        uint8 (49, H, W, 3).
    """
    hidden = np.repeat(image[None], COUNT, axis=0)
    edge = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
    colour = np.median(edge, axis=0).astype(np.uint8)
    for picture, (left, top, width, height) in zip(hidden, square_boxes(image.shape[1], image.shape[0]), strict=True):
        picture[top : top + height, left : left + width] = colour
    return hidden


def heat_map(falls: ArrayLike) -> NDArray[np.float32]:
    """Return how much each place of an image adds to its similarity: the mean fall of the squares that hide it.

    Args:
        falls: By how much the similarity falls when each square is hidden (49,).

    Returns:
        float32 (16, 16); below 0 where the image would be more similar without the place.

    Raises:
        InputError: If there are not as many.
    """
    values = np.asarray(falls, np.float64)
    if values.shape != (COUNT,):
        raise InputError(f"falls must have shape ({COUNT},), one a square, got {values.shape}")
    cells = np.linspace(0, 1, CELLS + 1)
    low, high = _edges().T
    covers = np.minimum(high[:, None], cells[1:]) - np.maximum(low[:, None], cells[:-1])
    covers = np.maximum(covers, 0) * CELLS  # share of each column of cells that a square hides (7, 16)
    total = np.einsum("yx,yj,xi->ji", values.reshape(_ACROSS, _ACROSS), covers, covers)
    found: NDArray[np.float32] = (total / np.outer(covers.sum(axis=0), covers.sum(axis=0))).astype(np.float32)
    return found


def _edges() -> NDArray[np.float64]:
    """Return where the squares begin and end, as shares of a side (7, 2); the outer ones beyond it."""
    middles = np.linspace(0, 1, _ACROSS)
    return np.stack([middles - _SIDE / 2, middles + _SIDE / 2], axis=1)
