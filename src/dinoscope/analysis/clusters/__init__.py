"""Clusters of vectors and how good they are."""

from dinoscope.analysis.clusters.clustering import ClusterCount, Clustering, choose_k, cluster, kmeans
from dinoscope.analysis.clusters.methods import NO_CLUSTER
from dinoscope.analysis.clusters.quality import ClusterQuality, find_in_nulls, judge, stability

__all__ = [
    "NO_CLUSTER",
    "ClusterCount",
    "ClusterQuality",
    "Clustering",
    "choose_k",
    "cluster",
    "find_in_nulls",
    "judge",
    "kmeans",
    "stability",
]
