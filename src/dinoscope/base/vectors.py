"""Lengths of vectors, and vectors of length 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_vectors
from dinoscope.errors import InputError

__all__ = ["l2_normalize", "row_lengths"]

_ROUNDING = 5e-7  # largest error in the length of a float32 unit vector


def row_lengths(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return the euclidean length of each row of (N, D), (N,), computed in float64.

    Raises:
        InputError: See ``check_vectors``; or a row is all zeros and has no direction, or too long for a float64.
    """
    array = check_vectors(vectors)
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("nd,nd->n", array, array, dtype=np.float64))
    if np.isinf(lengths.max()):
        raise InputError(f"vectors must have numbers below 1e150, got row {lengths.argmax()} beyond; scale them down")
    zero = np.flatnonzero(lengths == 0)
    if len(zero):
        raise InputError(
            f"vectors must not be zero, got {len(zero)} zero rows of {len(array)} (first: row {zero[0]}); "
            "a zero vector has no direction: drop those rows"
        )
    return lengths


def l2_normalize(vectors: ArrayLike) -> NDArray[np.float32]:
    """Scale each row of (N, D) to length 1, float32; errors as in ``row_lengths``.

    Float32 rows that already have this length are returned without a copy: a million of them take 1.5 GB.
    """
    array = check_vectors(vectors)
    lengths = row_lengths(array)
    if array.dtype == np.float32 and np.abs(lengths - 1).max() < _ROUNDING:
        return array
    unit = np.empty(array.shape, np.float32)
    np.divide(array, lengths[:, None], out=unit, casting="same_kind")
    return unit
