"""How long ``compare`` takes, and what each of its columns costs: ``python -m benchmarks.comparison``.

The three contenders that are always at hand, ``mini``, ``pixels`` and ``untrained``, on 2,000 Fashion-MNIST test
images; the columns on the vectors of ``mini``, median of three runs. The speed itself is measured for 1.5 s a model.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from dinoscope.analysis import metrics
from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.analysis.labels.voting import knn_accuracy
from dinoscope.analysis.neighbors import neighbors
from dinoscope.analysis.ranking import found_again, mean_average_precision, neighbor_agreement, stratified_sample
from dinoscope.comparison import compare_models
from dinoscope.models.encoder import Encoder
from dinoscope.sources.augmentation import AugmentedSource
from dinoscope.sources.opening import open_source
from dinoscope.sources.selection import select

__all__ = ["main"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 images: a smoke test, not a measurement")
    count = 200 if parser.parse_args().quick else 2_000
    source = open_source("fashion-mnist-test")
    seconds = timed(lambda: compare_models(source, ["mini"], sample=count))
    print(f"`compare` of three on {count:,} images: {seconds:.1f} s\n\n| column | seconds a model |\n|---|---|")
    sample = select(source, stratified_sample([item.label for item in source.items], count).tolist())
    images = [sample.load(row) for row in range(count)]
    labels = np.asarray([item.label for item in sample.items])
    encoder = Encoder("mini")
    vectors = encoder.encode(images)
    graph = neighbors(vectors, 20)
    copies = AugmentedSource(sample)
    changed = [copies.load(row) for row in range(count // 2)]
    seen = encoder.encode(changed)
    other = neighbors(np.stack(images).reshape(count, -1).astype(np.float32) + 1, 20)
    columns: dict[str, Callable[[], Any]] = {
        "vectors": lambda: encoder.encode(images),
        "found again: half of the images changed": lambda: [copies.load(row) for row in range(count // 2)],
        "found again: their vectors": lambda: encoder.encode(changed),
        "found again: the search": lambda: found_again(vectors, seen, np.arange(len(seen))),
        "neighbours, of which k-NN, hubness, agreement": lambda: neighbors(vectors, 20),
        "k-NN accuracy": lambda: knn_accuracy(graph, labels, k=20),
        "mAP": lambda: mean_average_precision(vectors, labels),
        "NMI, silhouette of the clusters: k-means": lambda: kmeans(vectors, 10),
        "silhouette of the labels": lambda: metrics.silhouette(vectors, labels),
        "effective rank": lambda: metrics.effective_rank(vectors),
        "hubness": lambda: metrics.hubness(graph),
        "agreement, for each other model": lambda: neighbor_agreement(graph, other),
    }
    for name, work in columns.items():
        print(f"| {name} | {statistics.median(timed(work) for _ in range(3)):.3f} |", flush=True)


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that ``work`` took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
