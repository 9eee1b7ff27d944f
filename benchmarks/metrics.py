"""How fast the silhouettes are, and how near every metric is to scikit-learn: ``python -m benchmarks.metrics``."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn.metrics
from numpy.typing import NDArray
from sklearn.manifold import trustworthiness as sklearn_trustworthiness

from dinoscope.analysis import metrics
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.vectors import l2_normalize

Array = NDArray[Any]


def main() -> None:
    """Measure and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small arrays: a smoke test, not a measurement")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the fast ones; the median is shown")
    arguments = parser.parse_args()
    count = 2_000 if arguments.quick else 70_000
    print_speed(count, arguments.repeats)
    print()
    print_agreement(500 if arguments.quick else 3_000)


def print_speed(count: int, repeats: int) -> None:
    """Print the time of both silhouettes of ``count`` vectors with 10 labels, and the peak memory of ours."""
    vectors, labels = blobs(count, 384)
    plane, _ = blobs(count, 2)
    cosine, _ = seconds(lambda: metrics.silhouette(vectors, labels), repeats)
    ours, score = seconds(lambda: metrics.silhouette(plane, labels, "euclidean"), repeats)
    theirs, expected = seconds(lambda: sklearn.metrics.silhouette_score(plane, labels), 1)
    # Apart from the timed runs, because tracing slows them down.
    peaks = [peak(lambda: metrics.silhouette(vectors, labels))]
    peaks += [peak(lambda: metrics.silhouette(plane, labels, "euclidean"))]
    print(f"| silhouette of {count:,} vectors, 10 labels | seconds | peak MB beyond the input |")
    print("|---|---|---|")
    print(f"| cosine, 384-D, dinoscope | {cosine:.2f} | {peaks[0]:.0f} |")
    print(f"| euclidean, 2-D, dinoscope | {ours:.2f} | {peaks[1]:.0f} |")
    print(f"| euclidean, 2-D, scikit-learn | {theirs:.2f} | |")
    print(f"\nThe last is {theirs / ours:.1f} times slower; the two differ by {abs(score - expected):.1e}.")


def print_agreement(count: int) -> None:
    """Print the largest difference of each metric from scikit-learn over ``count`` vectors."""
    vectors, labels = blobs(count, 64)
    vectors = vectors.astype(np.float64)  # scikit-learn computes in the precision of its input
    draw = np.random.default_rng(1)
    guess = np.where(draw.random(count) < 0.3, draw.integers(0, 12, count), labels)
    coordinates = vectors[:, :2] + draw.standard_normal((count, 2))
    unit = l2_normalize(vectors).astype(np.float64)
    pairs: dict[str, tuple[Any, Any]] = {
        "silhouette_samples, cosine": (
            metrics.silhouette_samples(vectors, labels),
            sklearn.metrics.silhouette_samples(vectors, labels, metric="cosine"),
        ),
        "silhouette_samples, euclidean, 64-D": (
            metrics.silhouette_samples(vectors, labels, "euclidean"),
            sklearn.metrics.silhouette_samples(vectors, labels),
        ),
        "silhouette_samples, euclidean, 2-D": (
            metrics.silhouette_samples(coordinates, labels, "euclidean"),
            sklearn.metrics.silhouette_samples(coordinates, labels),
        ),
        "trustworthiness, k 15": (
            metrics.trustworthiness(vectors, coordinates),
            sklearn_trustworthiness(vectors, coordinates, n_neighbors=15, metric="cosine"),
        ),
        "continuity, k 15 (trustworthiness with both spaces exchanged)": (
            metrics.continuity(neighbors(vectors, 15), coordinates),
            sklearn_trustworthiness(coordinates, unit, n_neighbors=15),
        ),
        "normalized_mutual_information": (
            metrics.normalized_mutual_information(labels, guess),
            sklearn.metrics.normalized_mutual_info_score(labels, guess),
        ),
        "adjusted_mutual_information": (
            metrics.adjusted_mutual_information(labels, guess),
            sklearn.metrics.adjusted_mutual_info_score(labels, guess),
        ),
        "adjusted_rand_index": (
            metrics.adjusted_rand_index(labels, guess),
            sklearn.metrics.adjusted_rand_score(labels, guess),
        ),
    }
    print(f"| metric, {count:,} vectors | largest difference from scikit-learn |")
    print("|---|---|")
    for name, (ours, theirs) in pairs.items():
        print(f"| {name} | {np.abs(np.asarray(ours) - np.asarray(theirs)).max():.1e} |")
    print(
        "\nContinuity reads the neighbour graph, which is float32: it may swap two neighbours that are equal to 1e-7."
    )


def blobs(count: int, width: int) -> tuple[Array, Array]:
    """Return seeded vectors (count, width) in 10 overlapping groups, float32, and their labels."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 10, count)
    vectors = draw.standard_normal((count, width), dtype=np.float32)
    vectors += 2 * draw.standard_normal((10, width), dtype=np.float32)[labels]
    return vectors, labels


def seconds(run: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the median wall time of ``run`` and its last result."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return statistics.median(times), result


def peak(run: Callable[[], Any]) -> float:
    """Return the most megabytes that NumPy and Python held at once for ``run``."""
    tracemalloc.start()
    run()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 1e6


if __name__ == "__main__":
    main()
