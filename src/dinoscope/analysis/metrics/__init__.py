"""Scores of vectors, maps and clusters, as plain functions over arrays."""

from dinoscope.analysis.metrics.agreement import (
    adjusted_mutual_information,
    adjusted_rand_index,
    clustering_accuracy,
    normalized_mutual_information,
)
from dinoscope.analysis.metrics.maps import (
    continuity,
    continuity_samples,
    draw_rows,
    map_neighbors,
    neighborhood_preservation,
    trustworthiness,
    trustworthiness_samples,
)
from dinoscope.analysis.metrics.silhouette import Metric, silhouette, silhouette_samples
from dinoscope.analysis.metrics.spectrum import effective_rank, hubness

__all__ = [
    "Metric",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "clustering_accuracy",
    "continuity",
    "continuity_samples",
    "draw_rows",
    "effective_rank",
    "hubness",
    "map_neighbors",
    "neighborhood_preservation",
    "normalized_mutual_information",
    "silhouette",
    "silhouette_samples",
    "trustworthiness",
    "trustworthiness_samples",
]
