"""How good and how fast the engines of UMAP are beside each other: ``python -m benchmarks.umap_quality``.

All engines get the same neighbour graph and settings through ``dinoscope.umap``. The first map of a process includes
what umap-learn compiles, because a user waits for that too; later ones (``--repeats``) do not.
"""

from __future__ import annotations

import argparse
import gzip
import statistics
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

import dinoscope
from dinoscope.analysis.maps.engines import Engine
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.metrics.maps import trustworthiness
from dinoscope.analysis.metrics.silhouette import silhouette
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.vectors import l2_normalize

_DATA = Path(dinoscope.__file__).parent / "data"


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, help=".npy of shape (N, D) of the first N Fashion-MNIST test images")
    parser.add_argument("--count", type=int, default=5_000, help="vectors to map")
    parser.add_argument("--repeats", type=int, default=3, help="maps an engine, each with its own seed")
    parser.add_argument("--quick", action="store_true", help="500 vectors, one map: a smoke test, not a measurement")
    arguments = parser.parse_args()
    count, repeats = (500, 1) if arguments.quick else (arguments.count, arguments.repeats)
    labels = read_idx("t10k-labels-idx1-ubyte.gz", 8)[:count]
    if arguments.vectors:
        vectors = np.load(arguments.vectors)[:count]
    else:
        vectors = read_idx("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 784)[:count]
    print_table(l2_normalize(vectors), labels[: len(vectors)], repeats)


def print_table(vectors: NDArray[np.float32], labels: NDArray[Any], repeats: int) -> None:
    """Print time, trustworthiness and silhouette of each engine's maps."""
    start = time.perf_counter()
    graph = neighbors(vectors, 15)
    print(f"{len(vectors):,} vectors of {vectors.shape[1]}; their graph took {time.perf_counter() - start:.1f} s.\n")
    print("| engine | first map, s | later maps, median s | trustworthiness, k 15 | silhouette, euclidean, labels |")
    print("|---|---|---|---|---|")
    for engine in get_args(Engine):
        times, trust, separation = [], [], []
        for seed in range(42, 42 + repeats):
            start = time.perf_counter()
            coordinates = umap(vectors, graph=graph, seed=seed, engine=engine)
            times.append(time.perf_counter() - start)
            trust.append(trustworthiness(vectors, coordinates, sample=None))
            separation.append(silhouette(coordinates, labels, "euclidean"))
        later = f"{statistics.median(times[1:]):.1f}" if len(times) > 1 else ""
        print(f"| {engine} | {times[0]:.1f} | {later} | {spread(trust)} | {spread(separation)} |", flush=True)


def spread(values: list[float]) -> str:
    """Return the median and, of several, the range."""
    median = f"{statistics.median(values):.3f}"
    return f"{median} ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else median


def read_idx(name: str, header: int) -> NDArray[np.uint8]:
    """Return the bytes of a bundled IDX file after its header."""
    with gzip.open(_DATA / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


if __name__ == "__main__":
    main()
