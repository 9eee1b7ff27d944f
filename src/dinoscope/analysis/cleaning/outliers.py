"""Outliers: images that stand alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import NeighborGraph, check_graph
from dinoscope.base.checks import check_count

__all__ = ["Outliers", "find_outliers"]

_COPY = 1e-5  # distance below which two vectors are of the same picture
_TYPICAL = 3.5  # robust z-score from which a value is usually called an outlier (Iglewicz and Hoaglin 1993)


@dataclass(frozen=True, eq=False)
class Outliers:
    """Images that stand alone, the loneliest first.

    Attributes:
        positions: Where the images stand (M,).
        factors: The local outlier factor of every image (N,): about 1 among similar images, 2 at half the density.
        z_scores: How far each factor lies from the median, in robust standard deviations (N,).
        neighbors: Positions of the nearest of each image listed (M, k).
    """

    positions: NDArray[np.int64]
    factors: NDArray[np.float64]
    z_scores: NDArray[np.float64]
    neighbors: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)


def find_outliers(graph: NeighborGraph, *, k: int = 20, z_score: float = _TYPICAL) -> Outliers:
    """List the images whose surroundings are much sparser than those of their neighbours.

    The local outlier factor (Breunig et al. 2000) over cosine distances: the mean density of the neighbours, divided
    by the image's own; density is the inverse of the mean reachability distance max(d(a, b), k-distance(b)). A
    scattered class is therefore not an outlier as a whole. Among many copies of one picture the density has no bound,
    and every image near them would be an outlier. So an image with only copies as neighbours gets the median density.
    (scikit-learn's LocalOutlierFactor has no place for that rule; without copies both agree.) The list holds the images
    whose factor lies ``z_score`` robust standard deviations (1.4826 times the median absolute deviation) or more above
    the median.

    Args:
        graph: Neighbours (N, k or more); if it contains all other images, fewer than ``k`` are enough.
        k: Neighbours that make the density.
        z_score: How far out an image must lie to be listed.

    Raises:
        InputError: The graph holds too few neighbours, or ``k`` is not positive.
    """
    check_graph(graph, len(graph))
    everyone = graph.k >= len(graph) - 1
    graph = graph.top(min(check_count(k, "k"), graph.k) if everyone else k)
    distances = np.maximum(graph.distances.astype(np.float64), 0)
    reach = np.maximum(distances, distances[graph.indices, -1])
    density = 1 / (reach.mean(axis=1) + 1e-10)
    copied = distances[:, -1] < _COPY
    if copied.any() and not copied.all():
        density[copied] = np.median(density[~copied])
    factors = density[graph.indices].mean(axis=1) / density
    middle = np.median(factors)
    spread = 1.4826 * np.median(np.abs(factors - middle))
    z_scores = (factors - middle) / max(float(spread), 1e-6)
    far = np.flatnonzero(z_scores >= z_score)
    positions = far[np.argsort(-factors[far], kind="stable")]
    return Outliers(positions, factors, z_scores, graph.indices[positions].astype(np.int64))
