"""UMAP's layout, all points at once: the same map on any number of threads, fast without a compiler.

UMAP (McInnes et al. 2018, arXiv:1802.03426) moves two points at a time, one pair behind the other. Here every epoch
adds up the same forces for all points and takes one step of Adam (Kingma and Ba 2015, arXiv:1412.6980). Neighbours pull
with their expected weight, none is drawn. What pushes a point away are the points that follow it at a few random
distances in a random order. These distances are the same for all points, so the points that push are read as slices.
At first neighbours pull more strongly, as in t-SNE (van der Maaten and Hinton 2008), so that groups find their places.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.machine import cores
from dinoscope.base.parallel import row_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Curve", "lay_out"]

_Floats = NDArray[np.float32]

_PUSHES = 5  # of a point for each unit of the weights of its edges, as in UMAP
_NEAR = np.float32(0.001)  # keeps the push of near points finite, as in UMAP
_MOST = np.float32(4)  # push of one point along one axis, as in UMAP
_FIRST_SHIFTS, _LAST_SHIFTS = 4, 32  # points that push in the first and in the last epoch: noise first, then precision
_EARLY, _EARLY_PULL = 0.3, np.float32(4)  # share of the epochs in which neighbours pull this many times as strongly
_RATE = 5.0  # map units of the first steps; they shrink to 0 by the square of what is left
_MEAN, _SQUARE = 0.5, 0.9  # shares of Adam's averages that are kept from one epoch to the next
_TINY = np.float32(1e-12)
_ROWS = 4096  # of a block: what is computed of it stays in the cache of a core


@dataclass(frozen=True)
class Curve:
    """How far two points on the map count as neighbours at a distance r: 1 / (1 + a r^(2 b))."""

    a: float
    b: float


def lay_out(
    weights: csr_array,
    start: NDArray[np.floating],
    curve: Curve,
    *,
    epochs: int,
    seed: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Move points until neighbours lie close and others do not.

    Args:
        weights: Weights (N, N) of the edges, symmetric, up to 1; every point has an edge.
        start: Where the points start (N, C), no two at the same place.
        curve: What a distance on the map means.
        epochs: Steps.
        seed: Seed of the order and of the distances in it.
        on_progress: Told how many steps of how many are done; what it raises ends the work.

    Returns:
        The map (N, C), float32; the same bit for bit on any number of threads.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(start))
    field = _Field(weights[order][:, order], start[order].T.astype(np.float32), curve)
    blocks = [_Block(field, rows) for rows in row_blocks(len(start), _ROWS)]
    with ThreadPoolExecutor(min(cores(), len(blocks))) as pool:
        for epoch in range(epochs):
            left = 1 - epoch / epochs
            shifts = draw.integers(1, len(start), round(_LAST_SHIFTS + (_FIRST_SHIFTS - _LAST_SHIFTS) * left))
            pull = _EARLY_PULL if epoch < _EARLY * epochs else np.float32(1)
            step = partial(_Block.step, shifts=shifts, rate=_RATE * left**2, epoch=epoch, pull=pull)
            # No block reads what another one has moved in the same epoch.
            field.settle(list(pool.map(step, blocks)))
            if on_progress is not None:
                on_progress(epoch + 1, epochs)
    places = np.empty(start.shape, np.float32)
    places[order] = field.places.T
    return places


class _Field:
    """Where all points are, and what acts between them."""

    def __init__(self, weights: csr_array, places: _Floats, curve: Curve) -> None:
        self.ends = weights.indptr
        self.tails = weights.indices.astype(np.int32)
        self.weights = weights.data.astype(np.float32)
        self.curve = curve
        self.twice = np.concatenate([places, places], axis=1)  # a slice at any distance needs no second one

    @property
    def places(self) -> _Floats:
        """The places (C, N)."""
        return self.twice[:, : self.twice.shape[1] // 2]

    def settle(self, moved: list[_Floats]) -> None:
        """Take the new places of all blocks."""
        np.concatenate(moved * 2, axis=1, out=self.twice)


class _Block:
    """Some points that follow each other, and what Adam remembers of them."""

    def __init__(self, field: _Field, rows: slice) -> None:
        self.field, self.rows = field, rows
        edges = slice(field.ends[rows.start], field.ends[rows.stop])
        self.tails, weights = field.tails[edges], field.weights[edges]
        counts = np.diff(field.ends[rows.start : rows.stop + 1])
        self.heads = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int32), counts)
        self.starts = field.ends[rows] - field.ends[rows.start]
        a, b = np.float32(field.curve.a), np.float32(field.curve.b)
        self.a, self.b, self.pulls = a, b, -4 * a * b * weights  # of both ends
        self.pushed = 2 * b * _PUSHES * np.add.reduceat(weights, self.starts)
        self.mean = np.zeros((len(field.twice), len(counts)), np.float32)
        self.square = np.zeros_like(self.mean)

    def step(self, *, shifts: NDArray[np.int64], rate: float, epoch: int, pull: np.float32) -> _Floats:
        """Return the places (C, B) of the points after an epoch."""
        force = pull * self._pull() + self._push(shifts)
        self.mean += np.float32(1 - _MEAN) * (force - self.mean)
        self.square += np.float32(1 - _SQUARE) * (force * force - self.square)
        mean = self.mean * np.float32(rate / (1 - _MEAN ** (epoch + 1)))
        size = np.sqrt(self.square * np.float32(1 / (1 - _SQUARE ** (epoch + 1)))) + np.float32(1e-6)
        moved: _Floats = self.field.places[:, self.rows] + mean / size
        return moved

    def _pull(self) -> _Floats:
        """Return the sum (C, B) of what the neighbours do."""
        gaps = np.take(self.field.twice, self.heads, axis=1) - np.take(self.field.twice, self.tails, axis=1)
        square, power = self._powers(gaps)
        gaps *= self.pulls * power / (square * (1 + self.a * power))
        pulls: _Floats = np.add.reduceat(gaps, self.starts, axis=1)
        return pulls

    def _push(self, shifts: NDArray[np.int64]) -> _Floats:
        """Return the sum (C, B) of what other points do."""
        own = self.field.twice[:, None, self.rows]
        first, last = self.rows.start, self.rows.stop
        others = np.stack([self.field.twice[:, first + shift : last + shift] for shift in shifts], axis=1)
        gaps = own - others
        square, power = self._powers(gaps)
        # The clip is that of one push of UMAP, and a shift stands for many.
        gaps *= 2 * self.b / ((_NEAR + square) * (1 + self.a * power))
        np.clip(gaps, -_MOST, _MOST, out=gaps)
        pushes: _Floats = gaps.sum(axis=1) * (self.pushed / (2 * self.b * np.float32(len(shifts))))
        return pushes

    def _powers(self, gaps: _Floats) -> tuple[_Floats, _Floats]:
        """Return r^2 and r^(2 b) of gaps (axes of the map, ...)."""
        square = np.einsum("c...,c...->...", gaps, gaps) + _TINY
        return square, np.exp(self.b * np.log(square))  # of what NumPy computes many at once, unlike powers
