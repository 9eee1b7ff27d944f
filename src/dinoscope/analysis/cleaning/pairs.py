"""Pairs of images, each with its score."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "each_once"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Candidate pairs, each once, by descending score.

    Attributes:
        first: Lower position of each pair (P,).
        second: Higher position (P,).
        similarities: Cosine similarity of the vectors (P,).
        agreements: Agreement of the pictures (P,), NaN where none were given.
        scores: How far the pair stands out (P,), at most 1: a copy; 0: no nearer than the other look-alikes.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    similarities: NDArray[np.float64]
    agreements: NDArray[np.float64]
    scores: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Pairs:
        """Return the pairs that a mask (P,) marks, or those at positions (Q,), in their order."""
        return Pairs(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    def descending(self) -> Pairs:
        """Return the pairs by descending score."""
        return self.where(np.argsort(-self.scores, kind="stable"))


def each_once(first: NDArray[np.int64], second: NDArray[np.int64], scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return where each pair stands with its best score (Q,), of pairs (P,) that may be listed several times."""
    order = np.lexsort((-scores, second, first))
    is_new = [np.diff(each[order], prepend=-1) != 0 for each in (first, second)]
    once: NDArray[np.intp] = order[is_new[0] | is_new[1]]
    return once
