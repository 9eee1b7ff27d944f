"""Is dinoscope still as fast as it was, beside what else does the same work: ``make bench-gate``, under 90 s.

Each figure is a ratio: the processor time of a reference by that of dinoscope, in the same process, in turn, so that it
means the same on another machine and beside other work. The median of the pairs must not fall below its floor. What
does is measured again: other work can hit one side of a pair, and a change that is slow is slow every time.
"""

from __future__ import annotations

import argparse
import gc
import io
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.metrics
from matplotlib.figure import Figure as Plot
from numpy.typing import NDArray
from PIL import Image

from benchmarks.large import draw
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.metrics.silhouette import silhouette
from dinoscope.analysis.neighbors import neighbors, query_neighbors
from dinoscope.collection import Collection
from dinoscope.explorer.sheets import COLUMNS, draw_sheet
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

__all__ = ["Figure", "figures", "main", "ratio_of"]

Work = Callable[[], object]


@dataclass(frozen=True)
class Figure:
    """A ratio that is watched.

    Attributes:
        name: What is compared with what.
        reference: The work of the other.
        work: The same work of dinoscope.
        floor: What the ratio must reach.
        pairs: How often both are run.
    """

    name: str
    reference: Work
    work: Work
    floor: float
    pairs: int


def ratio_of(figure: Figure, clock: Callable[[], float] = time.process_time) -> float:
    """Return the median, over the pairs, of the reference's time by dinoscope's; a first pair warms up."""
    ratios = []
    for _ in range(figure.pairs + 1):
        times = []
        for work in (figure.reference, figure.work):
            gc.collect()
            began = clock()
            work()
            times.append(clock() - began)
        ratios.append(times[0] / times[1])
    return statistics.median(ratios[1:])


def figures(folder: Path, small: bool) -> list[Figure]:
    """Prepare the five figures; what either side needs once, such as umap-learn's compiler, is done here."""
    count = 300 if small else 3_000
    pairs = 1 if small else 3
    vectors = draw(count, 64)[0]
    graph = neighbors(vectors, 15)
    plane, groups = draw(2 * count, 2)
    many = draw(500 if small else 20_000, 256)[0]
    queries = many[:300] + np.float32(0.01)
    photos, encoder = make_photos(folder / "photos", 8 if small else 120), Encoder("mini")
    shown = _with_report(folder, 60 if small else 1_000)
    umap(vectors[:50])
    _reference_map(vectors[:50], neighbors(vectors[:50], 15))
    places = iter(range(1_000))
    return [
        Figure(
            "map, umap-learn warm",
            lambda: _reference_map(vectors, graph),
            lambda: umap(vectors, graph=graph),
            2.2,
            pairs,
        ),
        Figure(
            "silhouette, scikit-learn",
            lambda: sklearn.metrics.silhouette_score(plane, groups),
            lambda: silhouette(plane, groups, "euclidean"),
            5.0,
            pairs,
        ),
        Figure(
            "embedding photographs, a bare loop of decoding and running",
            lambda: _bare_embedding(photos, encoder),
            lambda: Collection.from_images(photos[0].parent, folder / f"{next(places)}.dino", model=encoder),
            0.36,
            pairs,
        ),
        Figure(
            "search, a bare product of NumPy",
            lambda: _bare_search(many, queries, 15),
            lambda: query_neighbors(many, queries, 15),
            0.8,
            3 * pairs,
        ),
        Figure(
            "report, its thumbnails and three plain scatter plots",
            lambda: _bare_report(shown),
            lambda: shown.report(folder / f"{next(places)}.html"),  # the same one would be up to date
            0.25,
            pairs,
        ),
    ]


def make_photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write JPEGs of 400 x 533 pixels with detail at every scale."""
    folder.mkdir()
    chance = np.random.default_rng(seed)
    files = [folder / f"{number:03d}.jpg" for number in range(count)]
    for file in files:
        scene = np.full((533, 400, 3), 128, np.float32)
        for side in (3, 12, 40, 130):
            rough = chance.normal(128, 30, (side * 4 // 3, side, 3)).clip(0, 255).astype(np.uint8)
            scene += np.asarray(Image.fromarray(rough).resize((400, 533), Image.Resampling.BICUBIC), np.float32) - 128
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return files


def _reference_map(vectors: NDArray[np.float32], graph: Any) -> None:
    umap(vectors, graph=graph, engine="umap-learn")


def _bare_embedding(files: list[Path], encoder: Encoder) -> None:
    """Decode, scale and run, with nothing checked, measured or kept."""
    side, squares = encoder.resolution, []
    for file in files:
        image = Image.open(io.BytesIO(file.read_bytes()))
        image.draft("RGB", (side * 3, side * 3))
        squares.append(np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)))
    for first in range(0, len(squares), encoder.batch_size):
        encoder.run(np.stack(squares[first : first + encoder.batch_size]))


def _bare_search(vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int) -> None:
    products = queries @ vectors.T
    best = np.argpartition(-products, k, axis=1)[:, :k]
    np.take_along_axis(best, np.argsort(-np.take_along_axis(products, best, axis=1), axis=1), axis=1)


def _with_report(folder: Path, count: int) -> Collection:
    """Return a collection whose every stage that the report needs is stored."""
    images = load_dataset("fashion-mnist-test")
    shown = Collection.from_images(images.pixels[:count], folder / "shown.dino", model="mini-fashion")
    shown.report(folder / "report.html")
    return shown


def _bare_report(collection: Collection) -> None:
    """Draw what takes a report longest, with nothing around it."""
    pictures, places = collection.thumbnails(np.arange(len(collection))), collection.map()
    for first in range(0, len(pictures), COLUMNS**2):
        draw_sheet(pictures[first : first + COLUMNS**2], 28)
    for _ in range(3):
        figure = Plot(figsize=(10, 7.5), dpi=120)
        figure.subplots().scatter(places[:, 0], places[:, 1], s=4)
        figure.savefig(io.BytesIO(), format="png")


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 if a ratio is below its floor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small inputs, no floors: a smoke test")
    quick = parser.parse_args(arguments).quick
    warnings.simplefilter("ignore")
    slow = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print("| dinoscope beside | times as fast | floor |\n| --- | --- | --- |")
        for figure in figures(folder, quick):
            ratio = ratio_of(figure)
            if ratio < figure.floor and not quick:
                ratio = max(ratio, ratio_of(figure), ratio_of(figure))
            print(f"| {figure.name} | {ratio:.2f} | {figure.floor} |", flush=True)
            if ratio < figure.floor and not quick:
                slow.append(figure.name)
    if slow:
        print(f"below the floor: {', '.join(slow)}", file=sys.stderr)
    return bool(slow)


if __name__ == "__main__":
    sys.exit(main())
