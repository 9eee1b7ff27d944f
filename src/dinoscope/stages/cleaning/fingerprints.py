"""Small pictures for finding copies and measuring properties, made once while a collection is open.

They are not stored: 3 kB an image is more than most vectors have, and making them takes a fifth of a millisecond.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.base.parallel import row_blocks
from dinoscope.stages.opened import OpenedCollection

__all__ = ["all_prints", "print_blocks"]

_BLOCK_ROWS = 8192  # thumbnails in memory at once
_MOST_HELD = 50_000  # most images to hold them for, 150 MB; for more they are made again


def print_blocks(collection: OpenedCollection) -> list[NDArray[np.uint8]]:
    """Return the fingerprints of all images in blocks of rows, each (B, 32, 32, C), C 1 where the block is all grey."""
    if len(collection) > _MOST_HELD:
        return _make(collection)
    return collection.held("fingerprints", lambda: _make(collection))


def all_prints(collection: OpenedCollection) -> NDArray[np.uint8]:
    """Return the fingerprints of all images (N, 32, 32, C), C 1 where all of them are grey."""
    blocks = print_blocks(collection)
    channels = max(block.shape[3] for block in blocks)
    return np.concatenate([np.broadcast_to(block, (*block.shape[:3], channels)) for block in blocks])


def _make(collection: OpenedCollection) -> list[NDArray[np.uint8]]:
    return [
        fingerprints(collection.thumbnails(np.arange(rows.start, rows.stop)))
        for rows in row_blocks(len(collection), _BLOCK_ROWS)
    ]
