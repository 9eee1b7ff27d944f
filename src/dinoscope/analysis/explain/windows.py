"""Parts of images: an image is cut into overlapping windows, so that what fills only a part of it can be found.

The vector of a whole image says little of a small thing in it; the vector of a window that holds little else does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import is_list_of_whole, shown
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["COUNT", "WHOLE", "Box", "best_windows", "check_box", "window_boxes"]

Box = tuple[int, int, int, int]  # left, top, width, height, in pixels
_ACROSS = 3  # windows beside each other, and below each other
COUNT = _ACROSS**2
WHOLE = -1  # instead of a window's number: the image as a whole
_BLOCK_ROWS = 4096


def window_boxes(width: int, height: int) -> tuple[Box, ...]:
    """Return nine windows of an image, row by row: squares of half its longest side, or less in a narrow image.

    They overlap by half, more across the short side, so that whatever fills a quarter of a square image in about a
    square has at least 9/16 of it in one of them.

    Args:
        width: Of the image, in pixels.
        height: Likewise.
    """
    side = max(1, min(width, height, (max(width, height) + 1) // 2))
    lefts = np.rint(np.linspace(0, width - side, _ACROSS)).astype(int).tolist()
    tops = np.rint(np.linspace(0, height - side, _ACROSS)).astype(int).tolist()
    return tuple((left, top, side, side) for top in tops for left in lefts)


def check_box(box: ArrayLike, width: int, height: int) -> Box:
    """Check a part of an image.

    Args:
        box: Left, top, width and height in pixels.
        width: Of the image.
        height: Likewise.

    Raises:
        InputError: If it is not part of the image.
    """
    if is_list_of_whole(box) and len(box) == 4:
        left, top, across, down = (int(each) for each in box)
        if left >= 0 and top >= 0 and across >= 1 and down >= 1 and left + across <= width and top + down <= height:
            return left, top, across, down
    raise InputError(
        f"a part must be left, top, width and height in whole pixels, inside an image of {width} x {height}, got "
        f"{','.join(map(str, box)) if is_list_of_whole(box) else shown(box)}"
    )


def best_windows(
    vectors: NDArray[np.float32], windows: NDArray[np.floating], query: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the largest similarity of each image or of a window of it to a query (N,), and which one it is (N,).

    Args:
        vectors: Unit vectors of the images (N, D).
        windows: Unit vectors of their windows (N, W, D).
        query: Unit vector (D,).

    Returns:
        Cosine similarities, float32, and numbers of windows, ``WHOLE`` for the image itself.
    """
    similarities, chosen = vectors @ query, np.full(len(vectors), WHOLE, np.int64)
    for rows in row_blocks(len(vectors), _BLOCK_ROWS):
        inside = windows[rows].astype(np.float32) @ query
        best = inside.argmax(axis=1)
        highest = np.take_along_axis(inside, best[:, None], axis=1)[:, 0]
        better = highest > similarities[rows]
        similarities[rows] = np.where(better, highest, similarities[rows])
        chosen[rows] = np.where(better, best, WHOLE)
    return similarities, chosen
