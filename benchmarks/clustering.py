"""How well each recipe clusters the 10,000 Fashion-MNIST test images: ``python -m benchmarks.clustering``.

Fixed beforehand, without labels: k = 10 (HDBSCAN finds its own), the UMAP of Lowe et al. 2024 (30 neighbours, min_dist
0), four starts of k-means and of the mixture, whose 15 neighbours were set on training images, Ward from 2,000 small
groups, HDBSCAN with at least 0.5% a cluster. Labels only score. The last line says which recipe each silhouette, which
needs no labels, would have chosen, among those with ten clusters.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis import metrics
from dinoscope.analysis.clusters.clustering import cluster, umap_space
from dinoscope.analysis.clusters.methods import Method
from dinoscope.analysis.neighbors import NeighborGraph, neighbors

__all__ = ["main"]

_TARGETS = "ACC 0.75 and NMI 0.72 (N2D, McConville et al. 2019: 0.672 and 0.684)"


@dataclass(frozen=True)
class Run:
    """What one recipe gave with one seed."""

    clusters: int
    left_out: float
    accuracy: float
    nmi: float
    ami: float
    ari: float
    in_embedding: float
    in_space: float
    seconds: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", help="a .npy file (10000, D) to use instead of mini-fashion's vectors")
    parser.add_argument("--dims", type=int, nargs="*", default=[2, 10, 20, 50], help="axes of the UMAPs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--slow", action="store_true", help="HDBSCAN in the embedding too, which takes minutes")
    parser.add_argument("--quick", action="store_true", help="1,000 images, one seed: a smoke test")
    arguments = parser.parse_args()
    vectors, labels = load(arguments.vectors)
    seeds, dims = (1, [2]) if arguments.quick else (arguments.seeds, arguments.dims)
    if arguments.quick:
        vectors, labels = vectors[:1_000], labels[:1_000]
    graph = neighbors(vectors, 30)
    print(f"{len(vectors):,} images, {seeds} seeds, median (range). Targets: {_TARGETS}.\n")
    print(
        "| method | space | clusters | left out | ACC | NMI | AMI | ARI | silhouette, embedding | silhouette, space "
        "| layout, s | clusters, s |"
    )
    print("|---" * 12 + "|")
    results: dict[str, list[Run]] = {}
    for axes in [0, *dims]:
        began = time.perf_counter()
        layouts = [layout_of(vectors, graph, axes, seed) for seed in range(seeds)]
        seconds = (time.perf_counter() - began) / seeds
        space = f"UMAP, {axes} dims" if axes else "embedding"
        for method in get_args(Method):
            if method == "hdbscan" and not axes and not arguments.slow:
                continue
            runs = [measure(vectors, labels, layout, method, seed) for seed, layout in enumerate(layouts)]
            results[f"{method}, {space}"] = runs
            print(line(method, space, runs, seconds), flush=True)
    print_choices(results)


def load(path: str | None) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the vectors and labels of the 10,000 test images."""
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.datasets.named import load_dataset

    dataset = load_dataset("fashion-mnist-test")
    labels = np.asarray([item.label for item in dataset.items])
    if path:
        return np.load(path), labels
    return Encoder("mini-fashion").encode(np.repeat(np.asarray(dataset.pixels)[..., None], 3, axis=3)), labels


def layout_of(vectors: NDArray[np.float32], graph: NeighborGraph, axes: int, seed: int) -> NDArray[np.float32] | None:
    """Return the UMAP with so many axes, or None for the embedding itself."""
    return umap_space(vectors, graph=graph, dims=axes, seed=seed) if axes else None


def measure(
    vectors: NDArray[np.float32], labels: NDArray[Any], layout: NDArray[np.float32] | None, method: Method, seed: int
) -> Run:
    """Run one recipe with one seed."""
    began = time.perf_counter()
    k = None if method == "hdbscan" else len(np.unique(labels))
    found = cluster(
        vectors, k, method=method, space="umap" if layout is not None else "embedding", layout=layout, seed=seed
    )
    seconds = time.perf_counter() - began
    kept = found.labels >= 0
    in_space = found.silhouette
    if layout is not None and len(found.medoids) > 1:
        in_space = metrics.silhouette(layout[kept], found.labels[kept], "euclidean")
    return Run(
        len(found.medoids),
        float(1 - kept.mean()),
        metrics.clustering_accuracy(labels, found.labels),
        metrics.normalized_mutual_information(labels, found.labels),
        metrics.adjusted_mutual_information(labels, found.labels),
        metrics.adjusted_rand_index(labels, found.labels),
        found.silhouette,
        in_space,
        seconds,
    )


def line(method: str, space: str, runs: list[Run], seconds: float) -> str:
    """Return one row of the table."""
    scores = [
        spread([getattr(run, name) for run in runs])
        for name in ("accuracy", "nmi", "ami", "ari", "in_embedding", "in_space")
    ]
    clusters = "-".join(str(each) for each in sorted({min(r.clusters for r in runs), max(r.clusters for r in runs)}))
    left_out = f"{statistics.median(run.left_out for run in runs):.0%}"
    took = f"{statistics.median(run.seconds for run in runs):.1f}"
    layout = "" if space == "embedding" else f"{seconds:.0f}"
    return f"| {method} | {space} | {clusters} | {left_out} | {' | '.join(scores)} | {layout} | {took} |"


def spread(values: list[float]) -> str:
    """Return the median and, of several, the range."""
    median = f"{statistics.median(values):.3f}"
    return f"{median} ({min(values):.3f}-{max(values):.3f})" if len(values) > 1 else median


def print_choices(results: dict[str, list[Run]]) -> None:
    """Say what each criterion without labels would have chosen, and how well it orders the runs by AMI."""
    from scipy.stats import spearmanr

    ten = {name: runs for name, runs in results.items() if not name.startswith("hdbscan")}
    best = max(ten, key=lambda name: statistics.median(run.ami for run in ten[name]))
    print(f"\nBest AMI of those with a given k: {best}.")
    every = [(name, run) for name, runs in ten.items() for run in runs]
    umaps = [(name, run) for name, run in every if "UMAP" in name]
    for title, field, among in (
        ("silhouette in the embedding", "in_embedding", every),
        ("silhouette in its UMAP", "in_space", umaps),
    ):
        choice, run = max(among, key=lambda pair: getattr(pair[1], field))
        order = spearmanr([getattr(each, field) for _, each in among], [each.ami for _, each in among]).statistic
        print(
            f"By {title}: {choice}, ACC {run.accuracy:.3f}, NMI {run.nmi:.3f}, AMI {run.ami:.3f} "
            f"(rank correlation with AMI over {len(among)} runs: {order:.2f})."
        )


if __name__ == "__main__":
    main()
