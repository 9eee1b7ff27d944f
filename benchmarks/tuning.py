"""Seconds of a tuning, and the three kinds of map in figures: ``python -m benchmarks.tuning``.

``--check`` also makes every map of the grid with all seeds and UMAP's own number of epochs, without a shortcut, and
says what would be recommended then.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope import Collection
from dinoscope.analysis.maps.projection import pca, tsne, umap
from dinoscope.analysis.maps.quality import label_silhouette, map_quality
from dinoscope.analysis.maps.tuning import MIN_DIST, N_NEIGHBORS, pareto_front, tune
from dinoscope.analysis.metrics.maps import draw_rows, neighborhood_preservation
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.parallel import in_threads

_TARGET = 240  # seconds


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--collection", help="where Fashion-MNIST's test images are embedded; otherwise it is done first"
    )
    parser.add_argument("--check", action="store_true", help="compare with the whole grid, without shortcuts")
    parser.add_argument("--quick", action="store_true", help="300 images: a smoke test, not a measurement")
    arguments = parser.parse_args()
    count = 300 if arguments.quick else 5_000
    with TemporaryDirectory() as folder:
        if arguments.collection:
            collection = Collection(arguments.collection)
        else:
            limit = count if arguments.quick else None
            collection = Collection.from_images("fashion-mnist-test", folder, model="mini-fashion", limit=limit)
        rows = draw_rows(len(collection), count, 0)
        vectors, labels = collection.vectors[rows], collection.labels[rows]
    print_tuning(vectors, labels)
    print()
    print_methods(vectors, labels)
    if arguments.check:
        print_whole_grid(vectors, labels)


def print_tuning(vectors: NDArray[np.float32], labels: NDArray[Any]) -> None:
    """Print the seconds of ``tune`` and what it says."""
    seconds, found = timed(lambda: tune(vectors, labels))
    print(f"`tune` of {len(vectors):,} images, {len(found.settings)} settings: {seconds:.0f} s (target {_TARGET} s).")
    print(found.verdict)


def print_methods(vectors: NDArray[np.float32], labels: NDArray[Any]) -> None:
    """Print how good and how fast the maps of the three methods are, from one graph."""
    graph = neighbors(vectors, 90)
    print("| map | seconds | neighbours kept, of 15 | trustworthiness | continuity | rank correlation | silhouette |")
    print("|---|---|---|---|---|---|---|")
    methods: list[tuple[str, Callable[..., Any]]] = [("UMAP", umap), ("t-SNE", tsne), ("PCA", pca)]
    for name, layout in methods:
        seconds, coordinates = timed(partial(layout, vectors, graph=graph))
        quality = map_quality(vectors, coordinates, graph=graph, labels=labels)
        figures = (quality.neighbors_kept, quality.trustworthiness, quality.continuity, quality.rank_correlation)
        cells = " | ".join(f"{figure:.3f}" for figure in (*figures, quality.silhouette_map or 0.0))
        print(f"| {name} | {seconds:.1f} | {cells} |", flush=True)
    print(f"\nSilhouette of the labels in the embedding: {label_silhouette(vectors, labels, 'cosine'):.3f}.")


def print_whole_grid(vectors: NDArray[np.float32], labels: NDArray[Any]) -> None:
    """Print the recommendation of all maps with all seeds at UMAP's own number of epochs."""
    graph = neighbors(vectors, max(N_NEIGHBORS))
    grid = list(itertools.product(N_NEIGHBORS, MIN_DIST))

    def aims(job: tuple[tuple[int, float], int]) -> tuple[float, float]:
        (size, dist), seed = job
        made = umap(vectors, graph=graph, n_neighbors=size, min_dist=dist, seed=seed)
        return neighborhood_preservation(graph, made), label_silhouette(made, labels, "euclidean") or 0.0

    seconds, found = timed(lambda: in_threads(aims, list(itertools.product(grid, range(3)))))
    means = np.asarray(found).reshape(len(grid), 3, 2).mean(axis=1)
    far = np.linalg.norm((means.max(axis=0) - means) / np.ptp(means, axis=0), axis=1)
    best = grid[int(np.where(pareto_front(means), far, np.inf).argmin())]
    print(f"\nThe whole grid without shortcuts: {seconds:.0f} s, n_neighbors {best[0]}, min_dist {best[1]:g}.")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that ``work`` took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


if __name__ == "__main__":
    main()
