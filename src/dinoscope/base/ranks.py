"""Ranks of numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["average_ranks"]


def average_ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Return the rank of each number (N,), 1 for the smallest; equal ones share the mean of theirs.

    It is what ``scipy.stats.rankdata`` does, but loading scipy.stats takes half a second.

    Args:
        values: Numbers (N,), finite.
    """
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks
