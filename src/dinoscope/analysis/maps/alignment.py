"""A map turned and mirrored onto another of the same images, so that the two can be compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_vectors
from dinoscope.errors import InputError

__all__ = ["best_turn"]


def best_turn(fixed: ArrayLike, moved: ArrayLike) -> NDArray[np.float64]:
    """Return the turn, with a mirroring where that fits better, that brings a map closest to another one.

    Orthogonal Procrustes (Schönemann 1966): both maps are centred, and the turn is U V' of the singular value
    decomposition of moved' fixed. Scale and place do not matter.

    Args:
        fixed: A map (N, C).
        moved: Another (N, C) of the same images in the same order.

    Returns:
        An orthogonal matrix (C, C): ``moved @ turn`` is the turned map.

    Raises:
        InputError: The shapes differ, or a map is not finite.
    """
    one, two = (check_vectors(each, "coordinates").astype(np.float64) for each in (fixed, moved))
    if one.shape != two.shape:
        raise InputError(
            f"the maps must have one shape, got {one.shape} and {two.shape}; align maps of the same images"
        )
    left, _, right = np.linalg.svd((two - two.mean(axis=0)).T @ (one - one.mean(axis=0)))
    return np.asarray(left @ right)
