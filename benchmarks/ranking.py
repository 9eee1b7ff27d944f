"""How well scores that need no labels order models: ``python -m benchmarks.ranking --data DIR``.

On samples of three labelled sets many ways to see are scored without labels, and each score's order is compared with
that by k-NN accuracy: Kendall's tau; of the pairs whose accuracies differ by more than 0.02, the share that it puts in
the right order; and what it costs on average to take the first of five random ones. The ways to see are the bundled
models at several resolutions, untrained networks, random ViTs, pixels, edges, colours ("models"), and, of five of them,
worse and other versions: few principal components, whitened, noisy, most dimensions dropped, the first components
dropped ("all"). ``compare`` ranks by the first score of the table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau, rankdata

from benchmarks.weights import WEIGHTS, OnnxModel, colour, fashion_mnist, parquet, unit
from dinoscope.analysis import metrics
from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.analysis.labels.voting import knn_accuracy
from dinoscope.analysis.neighbors import NeighborGraph, neighbors, query_neighbors
from dinoscope.analysis.ranking import found_again, neighbor_agreement
from dinoscope.models.baselines import UntrainedEncoder
from dinoscope.models.encoder import Encoder
from dinoscope.models.preprocess import prepare, preprocessing_of
from dinoscope.sources.augmentation import augment
from tests.checkpoints import random_vit, write_tensors

__all__ = ["main"]

IMAGES, CHANGED, K = 2_000, 1_000, 15
GAP = 0.02  # of accuracy, from which an order is right or wrong
CLASSES = 20  # of Tiny-ImageNet: with all 202 every model is nearly as bad as the others
ALTERED = ("mini 32", "mini-fashion 28", "pixels 16", "edges", "untrained 0")

Images = list[NDArray[np.uint8]]
Vectors = NDArray[np.float32]
Embed = Callable[[Images], Vectors]


@dataclass
class Way:
    """A way to see, on one set: its vectors of the images, then of changed copies of the first of them."""

    name: str
    family: str
    vectors: Vectors
    changed: Vectors
    altered: bool = False
    accuracy: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)
    graph: NeighborGraph | None = None


def sets(data: Path, count: int) -> Iterator[tuple[str, Images, NDArray[np.int64]]]:
    """Return samples of images that no training saw: name, images, labels."""
    for name in ("fashion-mnist", "cifar10", "tiny-imagenet"):
        try:
            if name == "fashion-mnist":
                images, labels = fashion_mnist("t10k", data)
            else:
                images, labels, held_out = parquet(name, data)
                images, labels = images[-held_out:], labels[-held_out:]
        except FileNotFoundError as error:
            print(f"left out: {error}", file=sys.stderr)
            continue
        draw = np.random.default_rng(0)
        rows = draw.permutation(len(images))
        if name == "tiny-imagenet":
            rows = rows[np.isin(labels[rows], draw.permutation(np.unique(labels))[:CLASSES])]
        rows = rows[:count]
        yield name, list(colour(images[rows])), labels[rows]


def ways_to_see(folder: Path, quick: bool) -> dict[str, tuple[str, Embed]]:
    """Return what makes the vectors, by name, each with its family: settings of one model are one family."""
    ways: dict[str, tuple[str, Embed]] = {f"pixels {side}": ("pixels", partial(flat, side)) for side in (32, 16, 4)}
    ways |= {"edges": ("edges", edges), "colours": ("colours", colours)}
    for name, sides in (("mini", (16, 24, 32, 48)), ("mini-fashion", (16, 28, 40))):
        model = OnnxModel(WEIGHTS / f"{name}.onnx")
        for side in sides[1:3] if quick else sides:
            ways[f"{name} {side}"] = (name, partial(seen_at, model, side))
    for seed in range(1 if quick else 2):
        ways[f"untrained {seed}"] = ("untrained", UntrainedEncoder(seed=seed).encode)
        place = folder / f"vit-{seed}"
        write_tensors(place / "model.safetensors", random_vit(dim=128, depth=4, seed=seed))
        for pooling in ("cls", "cls+mean"):
            encoder = Encoder(str(place), resolution=32, pooling=pooling, device="cpu")
            ways[f"random ViT {seed} {pooling}"] = (f"vit {seed}", encoder.encode)
    return ways


def squares(images: Images, side: int) -> NDArray[np.uint8]:
    """Bring images to squares."""
    return np.stack([prepare(image, preprocessing_of("bundled"), side, None) for image in images])


def flat(side: int, images: Images) -> Vectors:
    """Lay out small images in rows."""
    return unit(squares(images, side).reshape(len(images), -1).astype(np.float32) + 1)


def seen_at(model: OnnxModel, side: int, images: Images) -> Vectors:
    """Embed images with a bundled model at a resolution of choice."""
    return model.embed(squares(images, side), side)


def edges(images: Images, bins: int = 9) -> Vectors:
    """Return histograms of the directions of edges in 4 x 4 cells (Dalal and Triggs 2005, without their blocks)."""
    grey = squares(images, 32).astype(np.float32).mean(3)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    bin_of = np.minimum((np.arctan2(down, right) % np.pi / np.pi * bins).astype(int), bins - 1)
    cells = [(strength * (bin_of == each)).reshape(-1, 4, 8, 4, 8).sum((2, 4)) for each in range(bins)]
    return unit(np.sqrt(np.stack(cells, -1).reshape(len(grey), -1)).astype(np.float32) + 1e-3)


def colours(images: Images) -> Vectors:
    """Return histograms of 64 colours."""
    parts = squares(images, 32).astype(int) // 64
    codes = parts @ np.asarray([16, 4, 1])
    return unit(np.sqrt([np.bincount(code.ravel(), minlength=64) for code in codes]).astype(np.float32))


def versions(way: Way) -> Iterator[Way]:
    """Return worse and other versions of a way to see."""
    both = np.concatenate([way.vectors, way.changed]).astype(np.float64)
    centred = both - way.vectors.mean(0)
    values, axes = np.linalg.eigh(np.cov(centred[: len(way.vectors)].T))
    values, axes = np.maximum(values[::-1], 1e-12), axes[:, ::-1]
    draw = np.random.default_rng(0)
    made = {f"{size} components": centred @ axes[:, :size] for size in (4, 16, 64)}
    made["whitened"] = centred @ axes[:, :256] / np.sqrt(values[:256])
    made["without the first 16"] = centred @ axes[:, 16:]
    deviation = np.sqrt(values.mean())
    made |= {f"noise {size}": both + draw.normal(0, size * deviation, both.shape) for size in (0.5, 1, 2)}
    made |= {f"{size} dimensions": both[:, draw.permutation(both.shape[1])[:size]] for size in (8, 32)}
    for name, rows in made.items():
        rows = unit(rows.astype(np.float32) + np.float32(1e-9))
        yield Way(f"{way.name}, {name}", way.family, rows[: len(way.vectors)], rows[len(way.vectors) :], altered=True)


def score(way: Way, labels: NDArray[np.int64]) -> None:
    """Add every score that needs no other way to see, and the accuracy."""
    graph = neighbors(way.vectors, 20)
    way.graph, way.accuracy = graph, knn_accuracy(graph, labels, k=20)
    runs = [kmeans(way.vectors, 10, seed=seed) for seed in range(3)]
    partners = [(0, 1), (0, 2), (1, 2)]
    own = np.arange(len(way.changed))
    near = query_neighbors(way.vectors, way.changed, K + 1).indices
    kept = [len(np.intersect1d(copy[copy != row][:K], graph.indices[row, :K])) / K for row, copy in enumerate(near)]
    nearest = query_neighbors(runs[0].centers, way.changed, 1).indices[:, 0]
    way.scores = {
        "found again": found_again(way.vectors, way.changed, own),
        "neighbours kept in the copy": float(np.mean(kept)),
        "clusters kept in the copy (NMI)": metrics.normalized_mutual_information(runs[0].labels[own], nearest),
        "LiDAR": lidar(way.vectors[own], way.changed),
        "effective rank (RankMe)": metrics.effective_rank(way.vectors),
        "spectrum falls as 1 / n (alpha-ReQ)": -abs(power_of_spectrum(way.vectors) - 1),
        "hubness, least first": -metrics.hubness(graph),
        "silhouette of k-means": runs[0].silhouette,
        "k-means agrees over seeds (NMI)": float(
            np.mean([metrics.normalized_mutual_information(runs[a].labels, runs[b].labels) for a, b in partners])
        ),
    }


def lidar(vectors: Vectors, changed: Vectors) -> float:
    """Return LiDAR (Thilak et al. 2024, arXiv:2312.04000) of two views an image.

    It is the effective rank of the between-image covariance, whitened by the within-image one.
    """
    views = np.stack([vectors, changed]).astype(np.float64)
    means = views.mean(0)
    inside = (views - means).reshape(-1, views.shape[2])
    values, axes = np.linalg.eigh(inside.T @ inside / len(inside) + 1e-4 * np.eye(views.shape[2]))
    whitened = (means - means.mean(0)) @ (axes / np.sqrt(values))
    found = np.maximum(np.linalg.eigvalsh(whitened.T @ whitened / len(whitened)), 1e-12)
    share = found / found.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def power_of_spectrum(vectors: Vectors) -> float:
    """Return a for which the eigenvalues of the covariance fall as n^-a (Agrawal et al. 2022, alpha-ReQ)."""
    values = np.linalg.svd(vectors - vectors.mean(0), compute_uv=False)[3:100] ** 2
    values = values[values > 1e-9 * values.max(initial=0)] if len(values) else values
    if len(values) < 3:
        return 0.0
    return float(-np.polyfit(np.log(np.arange(4, 4 + len(values))), np.log(values), 1)[0])


def add_consensus(ways: list[Way]) -> None:
    """Add the share of neighbours that the models of other families find too, and ``compare``'s former score."""
    for way in ways:
        shares: dict[str, list[float]] = {}
        for other in ways:
            if other.family != way.family and not other.altered and way.graph and other.graph:
                shares.setdefault(other.family, []).append(neighbor_agreement(way.graph, other.graph, K))
        way.scores["neighbours shared with other models"] = float(np.mean([np.mean(each) for each in shares.values()]))
    columns = ("silhouette of k-means", "neighbours shared with other models")
    ranks = np.mean([rankdata([way.scores[name] for way in ways]) for name in columns], axis=0)
    for way, rank in zip(ways, ranks, strict=True):
        way.scores["silhouette and shared neighbours (mean of ranks)"] = float(rank)


def order(ways: list[Way], name: str, *, close: float = 0.0) -> tuple[float, float, int]:
    """Return tau, the share of pairs in the right order (equals count half), and their number.

    Pairs whose scores differ by less than ``close`` are left out.
    """
    accuracy, values = (np.asarray(each) for each in ([w.accuracy for w in ways], [w.scores[name] for w in ways]))
    first, second = np.triu_indices(len(ways), 1)
    truth, guess = accuracy[first] - accuracy[second], values[first] - values[second]
    counts = (np.abs(truth) > GAP) & (np.abs(guess) >= close)
    right = (1 + np.sign(truth[counts]) * np.sign(guess[counts])) / 2
    tau = float(kendalltau(values, accuracy).statistic)
    return tau, float(right.mean()) if len(right) else np.nan, int(counts.sum())


def lost(ways: list[Way], name: str) -> float:
    """Return how much accuracy it costs to take the first of five random ways, mean of 1,000 draws."""
    accuracy, values = (np.asarray(each) for each in ([w.accuracy for w in ways], [w.scores[name] for w in ways]))
    draw = np.random.default_rng(0)
    groups = np.stack([draw.choice(len(ways), 5, replace=False) for _ in range(1_000)])
    taken = groups[np.arange(len(groups)), values[groups].argmax(1)]
    return float((accuracy[groups].max(1) - accuracy[taken]).mean())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the Parquet files")
    parser.add_argument("--verbose", action="store_true", help="print every way to see with its scores")
    parser.add_argument("--quick", action="store_true", help="300 images: a smoke test, not a measurement")
    arguments = parser.parse_args()
    results: dict[str, list[Way]] = {}
    for name, images, labels in sets(arguments.data, 300 if arguments.quick else IMAGES):
        copies = [augment(image, (0, row)) for row, image in enumerate(images[: len(images) * CHANGED // IMAGES])]
        ways: list[Way] = []
        with TemporaryDirectory() as folder:
            for title, (family, embed) in ways_to_see(Path(folder), arguments.quick).items():
                ways.append(Way(title, family, embed(images), embed(copies)))
        ways += [version for way in ways if way.name in ALTERED for version in versions(way)]
        for way in ways:
            score(way, labels)
        add_consensus(ways)
        results[name] = ways
        print(f"{name}: {len(images):,} images, {len(ways)} ways to see", file=sys.stderr, flush=True)
        if arguments.verbose:
            for way in sorted(ways, key=lambda way: -way.accuracy):
                print(f"{way.name}: {way.accuracy:.3f}", {key: round(value, 3) for key, value in way.scores.items()})
    print_orders(results)
    print_certainty(results)


def print_orders(results: dict[str, list[Way]]) -> None:
    """Print how well each score orders the models, and all."""
    heads = [f"{name}, {kind}" for name in results for kind in ("models", "all")]
    print(f"| score without labels: tau, pairs in order, lost | {' | '.join(heads)} |\n{'|---' * (len(heads) + 1)}|")
    for key in next(iter(results.values()))[0].scores:
        cells = []
        for ways in results.values():
            for some in ([way for way in ways if not way.altered], ways):
                tau, right, _ = order(some, key)
                cells.append(f"{tau:+.2f}, {right:.2f}, {lost(some, key):.3f}")
        print(f"| {key} | {' | '.join(cells)} |")


def print_certainty(results: dict[str, list[Way]]) -> None:
    """Print how often "found again" is right where two models differ in it by much."""
    print('\n| models differ in "found again" by at least |' + "|".join(f" {name} " for name in results) + "|")
    print("|---" * (len(results) + 1) + "|")
    for close in (0.0, 0.02, 0.05, 0.1):
        cells = []
        for ways in results.values():
            _, right, pairs = order([way for way in ways if not way.altered], "found again", close=close)
            cells.append(f"{right:.2f} of {pairs}")
        print(f"| {close:g} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
