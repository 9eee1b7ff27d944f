"""Map and clusters of more vectors than memory holds: fitted to a sample, then applied to the rest piece by piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.checks import check_vectors
from dinoscope.base.parallel import row_blocks
from dinoscope.base.vectors import l2_normalize

__all__ = ["Fit", "apply_fit", "fit_sample", "nearest_centers"]

_BLOCK = 4_096  # vectors placed at once: the sample is made ready for each block again
_NEIGHBORS = 30  # of the sample's graph, as of a collection's


@dataclass(frozen=True, eq=False)
class Fit:
    """What is learnt from a sample.

    Attributes:
        vectors: The sample, unit vectors (S, D), float32.
        coordinates: Its UMAP (S, 2), float32.
        clusters: Its k-means clusters (S,), int32, cluster 0 the largest.
        centers: The means of the clusters (k, D), float32.
        silhouette: Mean cosine silhouette of the clusters in the sample; NaN where it is not defined.
    """

    vectors: NDArray[np.float32]
    coordinates: NDArray[np.float32]
    clusters: NDArray[np.int32]
    centers: NDArray[np.float32]
    silhouette: float


def fit_sample(
    vectors: ArrayLike, k: int | None = None, *, n_neighbors: int = 15, min_dist: float = 0.1, seed: int = 42
) -> Fit:
    """Map and cluster a sample.

    Args:
        vectors: Array (S, D), S >= 2.
        k: Number of clusters; without it the one that ``choose_k`` chooses.
        n_neighbors: Of UMAP.
        min_dist: Of UMAP.
        seed: Of UMAP and k-means.

    Raises:
        InputError: See ``projection.umap`` and ``clusters.kmeans``.
    """
    from dinoscope.analysis.clusters.clustering import kmeans
    from dinoscope.analysis.hnsw import SearchIndex, takes_index
    from dinoscope.analysis.maps.projection import umap

    unit = l2_normalize(check_vectors(vectors, at_least=2))
    found = kmeans(unit, k, seed=seed)
    size = max(_NEIGHBORS, n_neighbors)
    graph = SearchIndex(unit).neighbors(size) if takes_index(len(unit)) else neighbors(unit, size)
    coordinates = umap(unit, graph=graph, n_neighbors=n_neighbors, min_dist=min_dist, seed=seed)
    return Fit(unit, coordinates, found.labels, found.centers, found.silhouette)


def apply_fit(fit: Fit, vectors: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return places (M, 2) on the sample's map and clusters (M,) of vectors (M, D).

    Places are those of ``projection.transform``; a vector of the sample is put where it is. The cluster is that of the
    nearest centre.
    """
    from dinoscope.analysis.maps.projection import transform

    unit = l2_normalize(vectors)
    placed = [transform(unit[rows], fit.vectors, fit.coordinates) for rows in row_blocks(len(unit), _BLOCK)]
    return np.concatenate(placed), nearest_centers(unit, fit.centers)


def nearest_centers(vectors: NDArray[np.float32], centers: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the number of the centre (C, D) nearest to each vector (M, D) by euclidean distance, (M,)."""
    half = (centers.astype(np.float64) ** 2).sum(axis=1) / 2
    nearest = np.empty(len(vectors), np.int32)
    for rows in row_blocks(len(vectors), _BLOCK):
        nearest[rows] = (vectors[rows] @ centers.T - half).argmax(axis=1)
    return nearest
