"""What fitting to a sample costs in quality and saves in memory: ``python -m benchmarks.survey``.

Quality: 10,000 Fashion-MNIST vectors of ``mini-fashion``, surveyed from samples of several sizes, against the map and
the clusters of all of them. With ``--vectors FILE`` (a .npy file (N, D), as ``benchmarks.million`` draws it), instead
time, disk and peak memory of a survey of so many, and how good maps of samples are for others.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.million import _peak
from dinoscope.analysis.maps.quality import map_quality
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.vectors import l2_normalize
from dinoscope.collection import Collection
from dinoscope.storage.files import write_json
from dinoscope.storage.tables import write_table
from dinoscope.survey.fit import apply_fit, fit_sample
from dinoscope.survey.survey import survey

__all__ = ["main"]

_PART = 4_096
_OTHERS = 10_000  # images that a map of others is judged by


def _inertia(vectors: NDArray[np.float32], labels: NDArray[np.int32]) -> float:
    """Return the sum of squared distances from the means of the clusters."""
    groups = [vectors[labels == each].astype(np.float64) for each in np.unique(labels)]
    return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups))


def quality(folder: Path) -> None:
    """Print how good surveys from samples are."""
    opened = Collection.from_images("fashion-mnist-test", folder, model="mini-fashion")
    graph = opened.neighbors()
    full = _inertia(opened.vectors, opened.clusters(10).labels)

    def line(name: str, coordinates: ArrayLike, inertia: float) -> None:
        judged = map_quality(opened.vectors, coordinates, graph=graph, sample=None)
        figures = f"{judged.trustworthiness:.3f} | {judged.continuity:.3f} | {judged.neighbors_kept:.3f}"
        print(f"| {name} | {figures} | {inertia / full:.4f} |", flush=True)

    print("| fitted to | trustworthiness | continuity | neighbours kept | k-means inertia / full |")
    print("| --- | --- | --- | --- | --- |")
    line("all 10,000", opened.map(), full)
    for sample in (5_000, 2_000, 1_000, 500):
        placed = survey(folder, sample=sample, k=10).load()
        line(f"{sample:,}", placed.coordinates, _inertia(opened.vectors, placed.clusters))


def memory(folder: Path, vectors: Path, sample: int) -> None:
    """Print time and peak memory of the steps of a survey with clusters and neighbours."""
    # in a process of its own: the file that it reads would count as memory of this one
    writing = multiprocessing.get_context("spawn").Process(target=_write_collection, args=(folder, vectors))
    writing.start()
    writing.join()
    if writing.exitcode:
        sys.exit("the collection could not be written")
    steps: dict[str, list[float]] = {}

    def tell(step: str, done: int, total: int) -> None:
        times = steps.setdefault(step, [time.perf_counter(), 0.0, 0.0])
        times[1:] = [time.perf_counter(), _peak()]

    made = survey(folder, sample=sample, k=20, neighbors=15, on_progress=tell)
    disk = {name: sum(each.stat().st_size for each in (folder / name).rglob("*")) for name in ("vectors", "results")}
    print(f"| {made.images:,}, sample {made.sample:,} | seconds | peak MB so far |\n| --- | --- | --- |")
    began = next(iter(steps.values()))[0]
    for name, (_, ended, peak) in steps.items():
        print(f"| {name}, to the end | {ended - began:,.1f} | {peak:,.0f} |")
    print(f"\nrecall of the graph at 15: {made.recall:.4f}")
    print(f"on disk: vectors {disk['vectors'] / 1e9:.1f} GB, results {disk['results'] / 1e9:.1f} GB\n")


def quality_of_many(vectors: Path) -> None:
    """Print how good maps of samples are for 10,000 others.

    Quality is that among the 10,000 alone, whose neighbours are farther off than those among all.
    """
    many = np.load(vectors, mmap_mode="r")
    rows = np.random.default_rng(1).permutation(len(many))
    others = l2_normalize(many[np.sort(rows[:_OTHERS])])
    graph = neighbors(others, 30)
    print("| fitted to | trustworthiness | continuity | neighbours kept | seconds to fit | seconds to place 10,000 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for sample in (2_000, 5_000, 20_000, 50_000):
        began = time.perf_counter()
        fitted = fit_sample(many[np.sort(rows[_OTHERS : _OTHERS + sample])], 20)
        done = time.perf_counter()
        coordinates, _ = apply_fit(fitted, others)
        placed = time.perf_counter()
        judged = map_quality(others, coordinates, graph=graph, sample=None)
        print(
            f"| {sample:,} | {judged.trustworthiness:.3f} | {judged.continuity:.3f} | {judged.neighbors_kept:.3f} "
            f"| {done - began:.1f} | {placed - done:.1f} |",
            flush=True,
        )


def _write_collection(folder: Path, file: Path) -> None:
    import pyarrow as pa

    vectors = np.load(file, mmap_mode="r")
    count, width = vectors.shape
    manifest = {"format": 1, "source": {"kind": "array", "name": "synthetic"}, "vectors": "synthetic"}
    write_json(folder / "collection.json", manifest, checked=True)
    described = {"model": "synthetic", "dim": width, "resolution": 32}
    write_json(folder / "vectors" / "synthetic" / "model.json", described, checked=True)
    texts, nothing = pa.array(map(str, range(count))), pa.nulls(count, pa.string())
    columns = {"row": np.arange(count), "id": texts, "key": texts, "label": nothing, "split": nothing}
    write_table(folder / "images.parquet", {**columns, "removed": np.zeros(count, bool)})
    for number, first in enumerate(range(0, count, _PART)):
        rows = np.arange(first, min(first + _PART, count))
        part = folder / "vectors" / "synthetic" / f"part-{number:05}.parquet"
        write_table(part, {"row": rows, "vector": np.asarray(vectors[rows[0] : rows[-1] + 1])})


def main() -> None:
    """Measure one or the other, in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, help="measure time and memory on these")
    parser.add_argument("--sample", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if arguments.vectors is None:
            quality(Path(name) / "c")
        else:
            memory(Path(name) / "c", arguments.vectors, arguments.sample)
            quality_of_many(arguments.vectors)
    sys.exit(0)


if __name__ == "__main__":
    main()
