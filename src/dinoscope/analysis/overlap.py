"""Two sets of vectors of the same images: which neighbours both find, and which images' neighbours changed most."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors
from dinoscope.base.checks import check_count, check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["NeighborOverlap", "neighbor_overlap"]

_BLOCK_BYTES = 1 << 26
_TIE = 1e-6  # similarities this close are equal: the rounding of float32 products


@dataclass(frozen=True, eq=False)
class NeighborOverlap:
    """How far two models agree on what lies near each image.

    Attributes:
        first: The ``k`` nearest neighbours of each image by the first vectors (N, k), the nearest first.
        second: The same by the second vectors.
        kept: Share of each image's neighbours that both find (N,), 0 to 1.
        excess: How much farther the neighbours of one lie from each image by the other (N,): 0 is as near as the
            other's own neighbours, 1 is as far as that image's mean distance to all others. The mean of both
            directions.
    """

    first: NDArray[np.int32]
    second: NDArray[np.int32]
    kept: NDArray[np.float32]
    excess: NDArray[np.float32]

    @property
    def k(self) -> int:
        """Neighbours an image."""
        return int(self.first.shape[1])

    @property
    def shared(self) -> float:
        """How many of the ``k`` neighbours both find, mean over the images."""
        return self.k * float(self.kept.mean(dtype=np.float64))

    @property
    def shared_by_chance(self) -> float:
        """The same if the neighbours of one were drawn at random: k * k / (N - 1)."""
        return self.k**2 / (len(self.kept) - 1)

    @cached_property
    def order(self) -> NDArray[np.intp]:
        """The images (N,), first those whose neighbours changed most: by ``kept``, then by ``excess``."""
        return np.lexsort((-self.excess, self.kept))


def neighbor_overlap(
    first: ArrayLike, second: ArrayLike, *, k: int = 10, graphs: tuple[NeighborGraph, NeighborGraph] | None = None
) -> NeighborOverlap:
    """Compare what two sets of vectors of the same images hold to be near.

    Args:
        first: Vectors (N, D) of one model, N >= 2, of any scale.
        second: Vectors (N, E) of the same images in the same order.
        k: Neighbours an image; with fewer others, all N - 1.
        graphs: The neighbours by either, if they are known: at least ``k`` an image.

    Raises:
        InputError: See ``neighbors``; or the numbers of vectors differ, or the graphs do not fit.
    """
    one, two = (l2_normalize(check_vectors(each, at_least=2)) for each in (first, second))
    if len(one) != len(two):
        raise InputError(
            f"both sets must be of the same images in the same order, got {len(one)} and {len(two)} vectors"
        )
    k = min(check_count(k, "k"), len(one) - 1)
    found = graphs or (neighbors(one, k), neighbors(two, k))
    mine, theirs = (check_graph(each, len(one)).top(k).indices for each in found)
    kept = np.empty(len(one), np.float32)
    for rows in row_blocks(len(one), max(1, _BLOCK_BYTES // (k * k))):
        kept[rows] = (mine[rows, :, None] == theirs[rows, None, :]).any(axis=2).mean(axis=1)
    excess = (_excess(one, mine, theirs) + _excess(two, theirs, mine)) / 2
    return NeighborOverlap(mine, theirs, kept, excess.astype(np.float32))


def _excess(unit: NDArray[np.float32], own: NDArray[np.int32], other: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return how much farther than its own neighbours the other's lie from each image (N,); 1 is its mean distance."""
    count, dims = unit.shape
    total = unit.sum(axis=0, dtype=np.float64)
    usual = (unit @ total - 1) / (count - 1)  # each image's own: an outlier is far from all
    near, far = np.empty(count), np.empty(count)
    for rows in row_blocks(count, max(1, _BLOCK_BYTES // (4 * dims * own.shape[1]))):
        near[rows] = np.einsum("nd,nkd->n", unit[rows], unit[own[rows]]) / own.shape[1]
        far[rows] = np.einsum("nd,nkd->n", unit[rows], unit[other[rows]]) / own.shape[1]
    farther = near - far
    return np.where(np.abs(farther) > _TIE, farther / np.maximum(near - usual, _TIE), 0)
