"""A collection of 70,000, from vectors to all scores, in one process: ``python -m benchmarks.large``.

The vectors are drawn: 384 dimensions, 40 directions that matter, ten overlapping groups.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.scores import compute_scores
from dinoscope.base.vectors import l2_normalize

__all__ = ["draw", "main"]


def draw(count: int, dim: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.object_]]:
    """Return unit vectors (N, D) in ten groups, and the name of each one's group."""
    random = np.random.default_rng(seed)
    groups = random.integers(0, 10, count)
    inner = random.normal(size=(10, 40))[groups] + 0.9 * random.normal(size=(count, 40))
    vectors = inner @ random.normal(size=(40, dim)) + 0.5 * random.normal(size=(count, dim))
    return l2_normalize(vectors), np.asarray([f"group {group}" for group in groups], object)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=70_000)
    parser.add_argument("--dim", type=int, default=384)
    arguments = parser.parse_args()
    vectors, labels = draw(arguments.count, arguments.dim)
    print(f"| {arguments.count:,} x {arguments.dim} | seconds |\n| --- | --- |")
    began = last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal last
        print(f"| {name} | {time.perf_counter() - last:.1f} |", flush=True)
        last = time.perf_counter()

    graph = neighbors(vectors, 30)
    lap("neighbour graph, k 30, exact (recall 1)")
    coordinates = umap(vectors, graph=graph)
    lap("UMAP")
    clusters = kmeans(vectors, 10).labels
    lap("k-means, k 10")
    compute_scores(vectors, graph, coordinates, clusters, labels, np.full(len(vectors), None, object))
    lap("all scores")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| all (must: 90 s, 2,000 MB; peak {memory:,.0f} MB) | {time.perf_counter() - began:.1f} |")


if __name__ == "__main__":
    main()
