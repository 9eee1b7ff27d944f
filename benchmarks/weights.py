"""How good the bundled weights are, against raw pixels and against the targets set for them.

``python -m benchmarks.weights`` reads the shipped ONNX files through ONNX Runtime alone and prints a Markdown table.
Nothing is fitted here and no image of a training run is asked about: Fashion-MNIST is judged on its test images, the
other sets on images that ``pretraining.sets`` holds out.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import silhouette_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.composing import compose
from dinoscope import umap
from dinoscope.analysis.ranking import found_again
from dinoscope.models.catalogue import DEFAULT_MODEL, MODELS
from dinoscope.sources.augmentation import augment
from pretraining.sets import FASHION_MNIST, get_set

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]

WEIGHTS = Path(__file__).parent.parent / "src" / "dinoscope" / "weights"


@dataclass(frozen=True)
class Target:
    """What a row of the table is measured against.

    Attributes:
        what: The measure, in words.
        cpu: What weights trained on two CPU cores should reach.
        accelerator: What weights trained on an accelerator should reach.
        lower: Whether less is better.
        style: Format of the figures.
    """

    what: str
    cpu: float
    accelerator: float
    lower: bool = False
    style: str = ".3f"


TARGETS = {
    "fashion-knn": Target("Fashion-MNIST k-NN, 60,000 references, 10,000 test images, k 20", 0.885, 0.92),
    "fashion-5000-knn": Target("Fashion-MNIST 5,000 images, stratified 4000/1000, k-NN cosine k 5", 0.86, 0.88),
    "fashion-5000-map": Target("same 5,000, silhouette of the UMAP map against the labels", 0.28, 0.40),
    "cifar10-knn": Target("CIFAR-10 k-NN, 40,000 references, 10,000 held out, k 20", 0.60, 0.80),
    "tiny-imagenet-knn": Target("Tiny-ImageNet k-NN, last tenth held out, k 20", 0.10, 0.25),
    "composed-thing": Target("clothes on 100 photographs, crossed, leave-one-out k-NN of the clothes", 0.214, 0.30),
    "composed-ground": Target("same 2,000 pictures, leave-one-out k-NN of the photograph", 0.95, 0.90, lower=True),
    "found-again": Target("Tiny-ImageNet, 2,000 held out, found again after crop, flip and other light", 0.96, 0.98),
    "images-a-second": Target("images/s on all cores, uint8 arrays to vectors", 700, 700, style=",.0f"),
    "images-a-second-64": Target("the same, of images of 64 pixels, seen at that size", 400, 400, style=",.0f"),
    "batch": Target("same image alone and in batches of 7 and 64, largest difference", 1e-4, 1e-4, True, ".1e"),
}
GROUPS = ("fashion", "cifar10", "tiny-imagenet", "composed", "found-again", "speed")


@dataclass(frozen=True)
class Row:
    """One measured figure.

    Attributes:
        key: A key of ``TARGETS``.
        what: The measure, in words.
        value: The figure.
        text: The figure, as printed.
        seconds: Time that it took to measure.
    """

    key: str
    what: str
    value: float
    text: str
    seconds: float


class Embedder(Protocol):
    """Whatever makes vectors of images."""

    name: str

    def embed(self, images: Pixels, side: int | None) -> Vectors:
        """Images uint8 (N, H, W) or (N, H, W, 3) -> rows of length 1 (N, D), seen at ``side`` pixels."""
        ...


class OnnxModel:
    """A shipped file, run by ONNX Runtime."""

    def __init__(self, path: Path) -> None:
        """Open the file."""
        self.name = path.stem
        options = ort.SessionOptions()
        options.intra_op_num_threads = os.cpu_count() or 1
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        fixed = self.session.get_inputs()[0].shape[1]
        self.flexible = not isinstance(fixed, int)
        recipe = json.loads(self.session.get_modelmeta().custom_metadata_map.get("recipe", "{}"))
        self.side: int = fixed if isinstance(fixed, int) else recipe.get("size", 32)
        row = MODELS.get(self.name, MODELS[DEFAULT_MODEL])  # a file that may ship instead is seen as what ships
        self.row = row if row.resolution == self.side else None

    def embed(self, images: Pixels, side: int | None = None, batch: int = 64) -> Vectors:
        """Embed images in batches, at the side at which dinoscope shows them to the model unless told otherwise."""
        usual = self.row.resolution_for(min(images.shape[1:3])) if self.row else self.side
        parts = []
        for start in range(0, len(images), batch):
            pixels = resized(images[start : start + batch], side or usual)
            parts.append(self.session.run(["cls"], {"pixels": colour(pixels)})[0])
        return unit(np.concatenate(parts))


class RawPixels:
    """The bar that any model must clear: the grey values themselves."""

    name = "raw pixels"

    def embed(self, images: Pixels, side: int | None = None) -> Vectors:
        """Flatten the images, at 32 pixels where they are larger."""
        pixels = resized(images, side or min(32, images.shape[1]))
        return unit(pixels.reshape(len(pixels), -1).astype(np.float32))


def unit(vectors: Vectors) -> Vectors:
    """Scale each row to length 1."""
    scaled: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
    return scaled


def colour(images: Pixels) -> Pixels:
    """Repeat grey images (N, H, W) to three channels."""
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=3)


def resized(images: Pixels, side: int) -> Pixels:
    """Bring images to a square of ``side`` pixels (bilinear, antialiased) unless they are that already."""
    if images.shape[1:3] == (side, side):
        return images
    return np.stack([np.asarray(Image.fromarray(i).resize((side, side), Image.Resampling.BILINEAR)) for i in images])


@cache
def fashion_mnist(part: str, folder: Path) -> tuple[Pixels, Labels]:
    """Read Fashion-MNIST, ``train`` or ``t10k``: uint8 (N, 28, 28) and class indices."""
    base = folder if (folder / f"{part}-images-idx3-ubyte.gz").exists() else FASHION_MNIST
    if not base.exists():
        raise FileNotFoundError(f"no Fashion-MNIST in {folder} or {base}: install Debian's dataset-fashion-mnist")
    pixels = gzip.decompress((base / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((base / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8).astype(np.int64),
    )


@cache
def parquet(name: str, folder: Path) -> tuple[Pixels, Labels, int]:
    """Read a set of Parquet files: uint8 (N, H, W, 3), class indices, and how many of the last ones are held out."""
    images: list[Pixels] = []
    names: list[str] = []
    for part in parts_of(name, folder):
        table = pq.read_table(part)
        images += [np.asarray(Image.open(io.BytesIO(c.as_py())).convert("RGB")) for c in table["image"]]
        names += table["label"].to_pylist()
    labels = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return np.stack(images), labels, get_set(name).held_out(len(images))


def parts_of(name: str, folder: Path) -> list[Path]:
    """Return the Parquet files of a set, in order."""
    prefix = get_set(name).prefix
    parts = sorted(folder.glob(f"{prefix}*.parquet"))
    if not parts:
        raise FileNotFoundError(f"no file {prefix}*.parquet in {folder}: pass the folder that holds it with --data")
    return parts


def knn_accuracy(references: Vectors, reference_labels: Labels, queries: Vectors, labels: Labels, k: int = 20) -> float:
    """k-NN accuracy by DINO's protocol (Caron et al. 2021): cosine, votes weighted exp(similarity / 0.07).

    Where queries and references are the same array, none votes for itself.
    """
    right = 0
    for start in range(0, len(queries), 500):
        similarity = queries[start : start + 500] @ references.T
        if queries is references:
            own = np.arange(len(similarity))
            similarity[own, start + own] = -np.inf
        near = np.argpartition(similarity, -k, axis=1)[:, -k:]
        weights = np.exp(np.take_along_axis(similarity, near, 1) / 0.07)
        votes = np.zeros((len(near), int(reference_labels.max()) + 1))
        np.add.at(votes, (np.arange(len(near))[:, None], reference_labels[near]), weights)
        right += int((votes.argmax(1) == labels[start : start + 500]).sum())
    return right / len(queries)


class Bench:
    """Measures one embedder after the other and keeps the rows."""

    def __init__(self, data: Path, sides: dict[str, int]) -> None:
        """Keep where the images are and at which side each set is seen (key ``""``: every other set)."""
        self.data, self.sides = data, sides

    def measure(self, embedder: Embedder, groups: tuple[str, ...]) -> list[Row]:
        """Measure the rows of these groups."""
        steps: dict[str, Callable[[Embedder], dict[str, float]]] = {
            "fashion": self.fashion,
            "cifar10": lambda e: self.held_out(e, "cifar10"),
            "tiny-imagenet": lambda e: self.held_out(e, "tiny-imagenet"),
            "composed": self.composed,
            "found-again": self.again,
            "speed": self.speed,
        }
        rows = []
        for group in groups:
            began = time.perf_counter()
            try:
                figures = steps[group](embedder)
            except FileNotFoundError as error:  # the images of a set are not on this machine
                print(f"left out: {error}", file=sys.stderr, flush=True)
                continue
            seconds = time.perf_counter() - began
            for key, value in figures.items():
                row = Row(key, TARGETS[key].what, value, format(value, TARGETS[key].style), round(seconds, 1))
                print(f"{embedder.name}: {row.what}: {row.text}", file=sys.stderr, flush=True)
                rows.append(row)
        return rows

    def _side(self, name: str) -> int | None:
        return self.sides.get(name, self.sides.get(""))

    def fashion(self, embedder: Embedder) -> dict[str, float]:
        """The three rows of Fashion-MNIST."""
        side = self._side("fashion-mnist")
        (images, labels), (test, test_labels) = (fashion_mnist(part, self.data) for part in ("train", "t10k"))
        vectors = embedder.embed(images, side)
        full = knn_accuracy(vectors, labels, embedder.embed(test, side), test_labels)
        chosen = np.random.default_rng(42).choice(60_000, 5_000, replace=False)
        some, classes = vectors[chosen], labels[chosen]
        fit, query, fit_labels, query_labels = train_test_split(
            some, classes, test_size=1_000, stratify=classes, random_state=42
        )
        nearest = KNeighborsClassifier(n_neighbors=5, metric="cosine").fit(fit, fit_labels)
        layout = umap(some)
        return {
            "fashion-knn": full,
            "fashion-5000-knn": float(nearest.score(query, query_labels)),
            "fashion-5000-map": float(silhouette_score(layout, classes)),
        }

    def held_out(self, embedder: Embedder, name: str) -> dict[str, float]:
        """k-NN accuracy on the images of a set that no training saw."""
        images, labels, held_out = parquet(name, self.data)
        vectors = embedder.embed(images, self._side(name))
        cut = len(images) - held_out
        return {f"{name}-knn": knn_accuracy(vectors[:cut], labels[:cut], vectors[cut:], labels[cut:])}

    def composed(self, embedder: Embedder) -> dict[str, float]:
        """Whether the clothes or the photograph behind them decide, of images that no training saw."""
        clothes, kinds = fashion_mnist("train", self.data)
        photographs, _, held_out = parquet("tiny-imagenet", self.data)
        unseen = get_set("fashion-mnist").held_out(len(clothes))
        pictures, shown, under = compose(clothes[-unseen:], kinds[-unseen:], photographs[-held_out:][:100])
        vectors = embedder.embed(pictures, self._side("tiny-imagenet"))
        return {
            "composed-thing": knn_accuracy(vectors, shown, vectors, shown),
            "composed-ground": knn_accuracy(vectors, under, vectors, under),
        }

    def again(self, embedder: Embedder) -> dict[str, float]:
        """What ``dinoscope compare`` asks where there are no labels."""
        photographs, _, held_out = parquet("tiny-imagenet", self.data)
        photographs, side = photographs[-held_out:][:2_000], self._side("tiny-imagenet")
        whole = photographs.shape[1]
        changed = np.concatenate([resized(augment(each, seed)[None], whole) for seed, each in enumerate(photographs)])
        return {"found-again": found_again(embedder.embed(photographs, side), embedder.embed(changed, side))}

    def speed(self, embedder: Embedder) -> dict[str, float]:
        """Images a second, best of three, and whether a vector depends on its batch."""
        side = self._side("fashion-mnist")
        images = colour(fashion_mnist("t10k", self.data)[0])
        rates = {"images-a-second": _rate(embedder, images[:4_000], side)}
        if not isinstance(embedder, OnnxModel) or embedder.flexible:
            rates["images-a-second-64"] = _rate(embedder, resized(images[:1_000], 64), 64)
        alone = embedder.embed(images[:1], side)[0]
        # The image at every place of the batch in turn would be the same test; first, middle and last are enough.
        worst = 0.0
        for size in (7, 64):
            for place in (0, size // 2, size - 1):
                batch = np.concatenate([images[1 : place + 1], images[:1], images[place + 1 : size]])
                worst = max(worst, float(np.abs(embedder.embed(batch, side)[place] - alone).max()))
        return {**rates, "batch": worst}


def _rate(embedder: Embedder, images: Pixels, side: int | None) -> float:
    """Images a second, best of three."""
    embedder.embed(images[:256], side)
    best = np.inf
    for _ in range(3):
        began = time.perf_counter()
        embedder.embed(images, side)
        best = min(best, time.perf_counter() - began)
    return len(images) / best


def markdown(measured: dict[str, list[Row]]) -> str:
    """The table: a row a measure, a column an embedder, and the targets; bold where the CPU target is reached."""
    head = ["Measure", *measured, "target (CPU)", "target (accelerator)"]
    lines = [head, ["---"] * len(head)]
    for key, target in TARGETS.items():
        found = {name: row for name, rows in measured.items() for row in rows if row.key == key}
        if not found:
            continue
        cells = []
        for name in measured:
            row = found.get(name)
            reached = row is not None and (row.value <= target.cpu if target.lower else row.value >= target.cpu)
            cells.append("" if row is None else f"**{row.text}**" if reached else row.text)
        lines.append([target.what, *cells, format(target.cpu, target.style), format(target.accelerator, target.style)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sides(values: list[str]) -> dict[str, int]:
    sides = {}
    for value in values:
        name, _, side = value.rpartition("=")
        if name:
            get_set(name)
        if not side.isdigit():
            raise ValueError(f"--size must look like 32 or cifar10=32, got {value!r}")
        sides[name] = int(side)
    return sides


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.weights", description=__doc__)
    parser.add_argument(
        "--model", type=Path, action="append", metavar="PATH", help="ONNX file; default: the bundled ones"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the Parquet files")
    parser.add_argument(
        "--size", action="append", default=[], metavar="[SET=]N", help="side of the input; default: as in 'embed'"
    )
    parser.add_argument("--rows", default=",".join(GROUPS), help="which rows; default %(default)s")
    parser.add_argument("--no-baseline", action="store_true", help="leave out the raw pixels")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, for the model card")
    return parser


def run(args: argparse.Namespace) -> dict[str, list[Row]]:
    """Measure what the command line asks for: embedder name -> rows."""
    groups = tuple(args.rows.split(","))
    if unknown := [group for group in groups if group not in GROUPS]:
        raise ValueError(f"unknown rows {unknown}: expected {', '.join(GROUPS)}")
    paths = args.model or sorted(WEIGHTS.glob("*.onnx"))
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"no file {', '.join(missing)}: make it with 'python -m pretraining export'")
    embedders: list[Embedder] = [OnnxModel(path) for path in paths]
    bench = Bench(args.data, _sides(args.size))
    measured = {each.name: bench.measure(each, groups) for each in embedders}
    if not args.no_baseline:
        raw = Bench(args.data, {})
        measured["raw pixels"] = raw.measure(RawPixels(), tuple(g for g in groups if g != "speed"))
    return measured


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table, and keep the figures if asked."""
    args = _parser().parse_args(argv)
    try:
        measured = run(args)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(markdown(measured))
    if args.json:
        machine: dict[str, Any] = {"cores": os.cpu_count(), "machine": platform.machine(), "runtime": ort.__version__}
        models = [{"name": name, "rows": [asdict(row) for row in rows]} for name, rows in measured.items()]
        args.json.write_text(json.dumps({"machine": machine, "models": models}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
