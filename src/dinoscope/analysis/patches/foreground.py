"""What stands out from the ground of an image, found in its patch tokens without any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches.tokens import border, scaled
from dinoscope.base.checks import check_choice
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = [
    "FOREGROUND_METHODS",
    "Foreground",
    "ForegroundMethod",
    "border_ranking",
    "component",
    "find_foreground",
    "normalised_cut",
    "split",
]

ForegroundMethod = Literal["border", "cut", "component"]
FOREGROUND_METHODS: tuple[ForegroundMethod, ...] = ("border", "cut", "component")
_REACH, _FINE_REACH, _STAYS = 0.15, 0.05, 0.999
_SURE, _USUAL_SHARES = 0.8, (0.02, 0.8)  # from which a mask is relied on; see docs/benchmarks.md
_FINEST = 64  # places a side up to which a finer map is taken as it is: solving for more takes seconds
_ALIKE, _WEAKEST = 0.2, 1e-5  # TokenCut's: cosine from which two patches are tied, and the tie of all others


@dataclass(frozen=True, eq=False)
class Foreground:
    """What stands out in an image; h and w count its patches, or the places of a finer map.

    Attributes:
        strength: How much each place stands out (h, w), in the unit of the method.
        mask: Which places do (h, w).
        sure: How clearly the image falls into the two: share of the strength's variance that lies between them, 0..1.
            Of even noise it is about 0.64.
    """

    strength: NDArray[np.float32]
    mask: NDArray[np.bool_]
    sure: float

    @property
    def clear(self) -> bool:
        """Whether the mask is to be relied on: it is sure, and neither next to nothing nor nearly the whole image."""
        low, high = _USUAL_SHARES
        return self.sure >= _SURE and low <= float(self.mask.mean()) <= high

    def shares(self, rows: int, columns: int) -> NDArray[np.float32]:
        """Return which share of each patch is in the mask, 0..1, of a grid that parts the mask evenly (H, W)."""
        height, width = self.mask.shape
        parts = self.mask.reshape(rows, height // rows, columns, width // columns)
        found: NDArray[np.float32] = parts.mean(axis=(1, 3), dtype=np.float32)
        return found


def find_foreground(
    tokens: NDArray[np.float32], method: ForegroundMethod = "border", finer: NDArray[np.float32] | None = None
) -> Foreground:
    """Find the foreground of an image; the patches at its border are taken to be mostly ground.

    Args:
        tokens: Unit tokens (H, W, D).
        method: ``border``: how badly each patch is reached from the border, from patch to similar patch. ``cut``: the
            normalised cut of the graph of patches. ``component``: the first principal component of the image's own
            tokens. On pictures with a known foreground, ``border`` is best; see docs/benchmarks.md.
        finer: A finer map of the same image (2H, 2W, C), not normalised, which ``border`` takes instead of the tokens.
            One of more than 64 places a side is brought to H x W.

    Raises:
        InputError: If the image has fewer than 3 x 3 patches, or there is no such method.
    """
    if min(tokens.shape[:2]) < 3:
        raise InputError(f"a foreground needs 3 x 3 patches or more, got {tokens.shape[0]} x {tokens.shape[1]}")
    check_choice(method, "method", FOREGROUND_METHODS)
    if method != "border":
        strength = {"cut": normalised_cut, "component": component}[method](tokens)
    elif finer is None:
        strength = border_ranking(tokens)
    else:
        strength = border_ranking(_fine_tokens(finer), _FINE_REACH)
    edge = border(*strength.shape)
    if strength[edge].mean() > strength[~edge].mean():
        strength = -strength
    threshold, sure = split(strength)
    return Foreground(strength.astype(np.float32), strength > threshold, sure)


def _fine_tokens(finer: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = scaled(finer.astype(np.float64))
    if max(unit.shape[:2]) > _FINEST:
        rows, columns = unit.shape[0] // 2, unit.shape[1] // 2
        unit = scaled(unit.reshape(rows, 2, columns, 2, -1).mean(axis=(1, 3)))
    return unit.astype(np.float32)


def border_ranking(tokens: NDArray[np.float32], reach: float = _REACH) -> NDArray[np.float64]:
    """Return how badly each patch is reached from the border (H, W): manifold ranking (Yang et al. 2013).

    Patches that touch are tied by exp(-(1 - cosine) / reach), those at the border all with each other. D holds the sums
    of the ties W. From the patches y one reaches all others by (D - 0.999 W)^-1 y, scaled to at most 1. What no side of
    the border reaches is the product of 1 minus that, over the four sides. Where this is above the threshold that parts
    it best, the ranking starts a second time, and says how well each patch is reached from there.
    """
    with LOADING:
        from scipy.sparse import csc_matrix, diags
        from scipy.sparse.linalg import splu

    rows, columns = tokens.shape[:2]
    flat = tokens.reshape(rows * columns, -1).astype(np.float64)
    first, second = _touching(rows, columns)
    weight = np.exp((np.einsum("nd,nd->n", flat[first], flat[second]) - 1) / reach)
    ties = csc_matrix((weight, (first, second)), shape=(len(flat), len(flat)))
    solve = splu(csc_matrix(diags(np.asarray(ties.sum(axis=1)).ravel()) - _STAYS * ties)).solve
    unreached = np.ones((rows, columns))
    for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        start = np.zeros((rows, columns))
        start[side] = 1
        reached = solve(start.ravel()).reshape(rows, columns)
        unreached *= 1 - reached / reached.max()
    found: NDArray[np.float64] = solve((unreached > split(unreached)[0]).ravel().astype(np.float64))
    return found.reshape(rows, columns)


def _touching(rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of patches that touch, or are both at the border, in both directions."""
    number = np.arange(rows * columns).reshape(rows, columns)
    pairs = [
        (number[max(0, -y) : rows - max(0, y), max(0, -x) : columns - max(0, x)].ravel(), y * columns + x)
        for y, x in ((0, 1), (1, -1), (1, 0), (1, 1))
    ]
    near = np.concatenate([np.stack([start, start + step]) for start, step in pairs], axis=1)
    edge = number[border(rows, columns)]
    around = np.stack([each.ravel() for each in np.meshgrid(edge, edge)])
    every = np.unique(np.concatenate([near, near[::-1], around[:, around[0] != around[1]]], axis=1), axis=1)
    return every[0], every[1]


def component(tokens: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the place of each patch along the first principal component of the image's tokens (H, W)."""
    rows = tokens.reshape(-1, tokens.shape[-1]).astype(np.float64)
    centred = rows - rows.mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    found: NDArray[np.float64] = (centred @ axis).reshape(tokens.shape[:2])
    return found


def normalised_cut(tokens: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the second eigenvector of the graph of patches (H, W), as TokenCut (Wang et al. 2022) has it.

    Two patches are tied with weight 1 if their tokens, less the mean, have a cosine similarity above 0.2, all others
    with 1e-5. y solves (D - W) y = lambda D y for the second smallest lambda (Shi and Malik 2000); D holds the sums of
    W.
    """
    with LOADING:
        from scipy.sparse.linalg import eigsh

    rows = tokens.reshape(-1, tokens.shape[-1]).astype(np.float64)
    rows = rows - rows.mean(axis=0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    ties = np.where(rows @ rows.T > _ALIKE, 1.0, _WEAKEST)
    root = np.sqrt(ties.sum(axis=1))
    # the smallest of the Laplacian are the largest of this; a fixed start gives the same vector every time
    start = np.random.default_rng(0).standard_normal(len(ties))
    values, vectors = eigsh(ties / np.outer(root, root), k=2, which="LA", v0=start)
    found: NDArray[np.float64] = (vectors[:, values.argmin()] / root).reshape(tokens.shape[:2])
    return found


def split(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the threshold that parts numbers best, and the share of their variance that lies between the two sides.

    Otsu's (1979): the threshold with the largest variance between. All equal: that number, and 0.
    """
    ordered = np.sort(values, axis=None)
    count, variance = len(ordered), float(ordered.var())
    if variance <= 1e-18:
        return float(ordered[-1]), 0.0
    below = np.arange(1, count)
    sums = np.cumsum(ordered)
    difference = sums[:-1] / below - (sums[-1] - sums[:-1]) / (count - below)
    between = below * (count - below) * difference**2 / count**2
    best = int(between.argmax())
    return float(ordered[best] + ordered[best + 1]) / 2, min(1.0, float(between[best]) / variance)
