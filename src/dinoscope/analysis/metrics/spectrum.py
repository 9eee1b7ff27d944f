"""What the vectors themselves are like: effective rank and hubness."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dinoscope.analysis.neighbors import NeighborGraph, check_graph
from dinoscope.base.checks import check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["effective_rank", "hubness"]

_BLOCK_BYTES = 1 << 26  # of rows that are brought to length 1 at once


def effective_rank(vectors: ArrayLike) -> float:
    """Return how many directions the vectors use, 1 to min(N, D): exp of the entropy of their singular values.

    The singular values of the given vectors count as a distribution (Roy and Vetterli 2007). They come from
    the eigenvalues of the smaller product of the matrix with itself, in float64; below about 3e-7 of the largest,
    which is the noise of that way and of float32 vectors, they count as zero.

    Raises:
        InputError: See ``check_vectors``; or all vectors are zero.
    """
    array = check_vectors(vectors)
    array = array.T if len(array) < array.shape[1] else array
    product = np.zeros((array.shape[1],) * 2)
    for rows in row_blocks(len(array), _BLOCK_BYTES // (8 * array.shape[1])):
        block = array[rows].astype(np.float64)
        product += block.T @ block
    values = np.linalg.eigvalsh(product)
    if values[-1] <= 0:
        raise InputError("vectors must not all be zero, got only zero rows; recompute the embedding")
    values = np.sqrt(values[values > values[-1] * len(values) * np.finfo(np.float64).eps])
    share = values / values.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def hubness(graph: NeighborGraph) -> float:
    """Return the skewness of how often a point is among the neighbours of others (Radovanovic et al. 2010).

    Near 0 no point is favoured; above about 2 a few hubs turn up in everybody's list. 0 where all are equal.

    Raises:
        InputError: See ``check_graph``.
    """
    occurrences = np.bincount(check_graph(graph, len(graph)).indices.ravel(), minlength=len(graph)).astype(np.float64)
    deviations = occurrences - occurrences.mean()
    spread = deviations.std()
    return float((deviations**3).mean() / spread**3) if spread > 0 else 0.0
