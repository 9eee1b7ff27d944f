"""A million vectors on one machine: graph, map, k-means and search: ``python -m benchmarks.million``.

The vectors are synthetic, with the structure of real ones. Real are those of the bundled ``mini`` (CLS and the mean of
the patches, on their first 384 principal components) of the Fashion-MNIST images that are found on this machine and,
with ``--data DIR``, of Tiny-ImageNet (Parquet files that pretraining/README.md describes). Of these, 40,000 are drawn;
each new vector lies at a random place between one of them and one of its ten nearest, plus noise in all dimensions,
0.3 of the distance between the two.

``--crossover`` compares the exact graph with the approximate one at several sizes instead.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.base.parallel import row_blocks
from dinoscope.base.vectors import l2_normalize

__all__ = ["draw", "main", "measure", "real_vectors"]

_WIDTH = 384
_DRAWN = 40_000
_SAMPLE = 1_000  # rows that recall is measured on, and searches


def _images(data: Path | None) -> Iterator[NDArray[np.uint8]]:
    """Give decoded images."""
    from dinoscope.errors import DinoscopeError
    from dinoscope.sources.datasets.named import load_dataset

    try:
        pixels = load_dataset("fashion-mnist").pixels
    except DinoscopeError:  # it is not here; the test images are in the package
        pixels = load_dataset("fashion-mnist-test").pixels
    yield from (np.repeat(image[:, :, None], 3, axis=2) for image in pixels)
    if data is None:
        return
    import pyarrow.parquet as pq
    from PIL import Image

    for path in sorted(data.glob("tiny-imagenet-train-*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(1024, columns=["image"]):
            for content in batch.column(0).to_pylist():
                yield np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def real_vectors(data: Path | None) -> NDArray[np.float32]:
    """Return unit vectors (N, 384) of real images."""
    from dinoscope.models.encoder import Encoder

    encoder = Encoder("mini", pooling="cls+mean")
    parts: list[NDArray[np.float32]] = []
    squares: list[NDArray[np.uint8]] = []
    for image in _images(data):
        squares.append(encoder.preprocess(image, (image.shape[1], image.shape[0])))
        if len(squares) == 256:
            parts.append(encoder.run(np.stack(squares)))
            squares = []
    if squares:
        parts.append(encoder.run(np.stack(squares)))
    vectors = l2_normalize(np.concatenate(parts))
    mean = vectors.mean(axis=0)
    axes = np.linalg.eigh((vectors - mean).T @ (vectors - mean))[1][:, : -_WIDTH - 1 : -1]
    return l2_normalize(vectors @ axes)


def draw(real: NDArray[np.float32], count: int, path: Path, seed: int = 0) -> None:
    """Write ``count`` vectors between neighbouring real ones to a .npy file."""
    random = np.random.default_rng(seed)
    some = real[np.sort(random.permutation(len(real))[:_DRAWN])]
    near = neighbors(some, 10).indices
    file = np.lib.format.open_memmap(path, "w+", np.float32, (count, real.shape[1]))
    for rows in row_blocks(count, 50_000):
        size = rows.stop - rows.start
        start = random.integers(0, len(some), size)
        gap = some[near[start, random.integers(0, 10, size)]] - some[start]
        noise = random.standard_normal(gap.shape, np.float32)
        noise *= 0.3 * np.linalg.norm(gap, axis=1, keepdims=True) / np.linalg.norm(noise, axis=1, keepdims=True)
        file[rows] = l2_normalize(some[start] + random.random((size, 1), np.float32) * gap + noise)
    file.flush()


def _recall(found: NeighborGraph, exact: NeighborGraph) -> float:
    pairs = zip(found.indices.tolist(), exact.indices.tolist(), strict=True)
    return float(np.mean([len(set(one) & set(other)) / len(other) for one, other in pairs]))


def _without(graph: NeighborGraph, own: NDArray[np.int64]) -> NeighborGraph:
    """Return the graph without each row itself, one neighbour shorter."""
    order = np.argsort(graph.indices == own[:, None], axis=1, kind="stable")[:, :-1]
    return NeighborGraph(
        np.take_along_axis(graph.indices, order, axis=1), np.take_along_axis(graph.similarities, order, axis=1)
    )


def measure(path: Path) -> None:
    """Run all stages on the vectors of a file and print the table."""
    from dinoscope.analysis.clusters.clustering import kmeans
    from dinoscope.analysis.hnsw import SearchIndex
    from dinoscope.analysis.maps.projection import umap

    vectors = np.load(path)
    print(f"| {len(vectors):,} x {vectors.shape[1]} | seconds | peak MB so far |\n| --- | --- | --- |")
    spent = 0.0
    last = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal spent, last
        seconds = time.perf_counter() - last
        spent += seconds
        print(f"| {name} | {seconds:,.1f} | {_peak():,.0f} |", flush=True)
        last = time.perf_counter()

    index = SearchIndex(vectors)
    lap("search index, built by one thread")
    graph = index.neighbors(30)
    lap("neighbour graph, k 30, with its recall")
    umap(vectors, graph=graph)
    lap("UMAP")
    clusters = kmeans(vectors, 100)
    lap("k-means, k 100")
    content = index.dump()
    del index
    index = SearchIndex(vectors, content)
    lap("index to bytes and back")
    size, content = len(content), b""
    rows = np.sort(np.random.default_rng(1).choice(len(vectors), min(_SAMPLE, len(vectors)), replace=False))
    times = []
    for row in rows.tolist():
        began = time.perf_counter()
        index.query(vectors[row : row + 1], 10)
        times.append(1000 * (time.perf_counter() - began))
    lap(f"{len(rows):,} searches, one by one")
    print(f"| all (must: 1,800 s, 8,000 MB) | {spent:,.1f} | {_peak():,.0f} |\n")
    exact = _without(query_neighbors(vectors, vectors[rows], 16), rows)
    found = NeighborGraph(graph.indices[rows, :15], graph.similarities[rows, :15])
    began = time.perf_counter()
    for row in rows[:10]:
        np.argsort(-(vectors @ vectors[row]), kind="stable")[:10]
    brute = 100 * (time.perf_counter() - began)
    print("| what | figure | must |\n| --- | --- | --- |")
    print(f"| recall of the graph at 15, {len(rows):,} rows | {_recall(found, exact):.4f} | 0.95 |")
    print(f"| recall of the graph at 30, as it reports itself | {graph.recall:.4f} | |")
    answers = _without(index.query(vectors[rows], 11), rows)
    print(f"| recall of a search at 10 | {_recall(answers, exact.top(10)):.4f} | |")
    print(f"| one search, median, 99th percentile, ms | {np.median(times):.1f}, {np.percentile(times, 99):.1f} | 20 |")
    print(f"| the same exactly, ms | {brute:.0f} | |")
    print(f"| index on disk, before compression, MB | {size / 1e6:,.0f} | |")
    print(f"| silhouette of the clusters | {clusters.silhouette:.3f} | |")


def crossover(vectors: NDArray[np.float32]) -> None:
    """Compare the exact graph with the approximate one."""
    from dinoscope.analysis.hnsw import SearchIndex

    print("| vectors | exact, s | index, s | graph from it, s | recall at 30 |\n| --- | --- | --- | --- | --- |")
    for count in (20_000, 40_000, 70_000, 100_000):
        part = vectors[:count]
        times = [time.perf_counter()]
        neighbors(part, 30)
        times.append(time.perf_counter())
        index = SearchIndex(part)
        times.append(time.perf_counter())
        graph = index.neighbors(30)
        times.append(time.perf_counter())
        print(
            f"| {count:,} | {' | '.join(f'{each:.1f}' for each in np.diff(times))} | {graph.recall:.4f} |", flush=True
        )


def _peak() -> float:
    """Return the most memory that this process has held, in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # Linux counts what the parent held at the fork into ru_maxrss
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Draw the vectors, once, and measure in a process of its own, whose memory is that of the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--data", type=Path, help="folder of the Tiny-ImageNet Parquet files")
    parser.add_argument("--folder", type=Path, default=Path("runs/million"), help="where the vectors are kept")
    parser.add_argument("--crossover", action="store_true", help="exact against approximate, up to 100,000")
    parser.add_argument("--vectors", type=Path, help="measure these, a .npy file (N, D)")
    arguments = parser.parse_args()
    if arguments.vectors is not None:
        measure(arguments.vectors)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    base = arguments.folder / "real.npy"
    if not base.exists():
        np.save(base, real_vectors(arguments.data))
    count = 100_000 if arguments.crossover else arguments.count
    path = arguments.folder / f"{count}.npy"
    if not path.exists():
        draw(np.load(base), count, path)
    print(f"\n{count:,} vectors drawn between those of {len(np.load(base, mmap_mode='r')):,} images\n", flush=True)
    if arguments.crossover:
        crossover(np.load(path))
        return
    command = [sys.executable, "-m", "benchmarks.million", "--vectors", str(path)]
    sys.exit(subprocess.run(command, check=False).returncode)


if __name__ == "__main__":
    main()
