"""How well planted copies and planted wrong labels are found: ``python -m benchmarks.cleaning``.

Copies: 200 of the 10,000 Fashion-MNIST test images, 50 saved as JPEG of quality 60, 50 enlarged to 42 pixels, 50
shifted by a pixel, 50 made brighter, are embedded beside the originals. A pair is right when it was planted.
Fashion-MNIST holds copies of its own; pairs found between two originals count as wrong here, and are told apart.

Altered copies: 30 each, turned by quarters, mirrored, or in a frame of 5% and 15% of a side, all saved as
JPEG of quality 85.

Crops, with ``--crops PARQUET`` alone: of photographs, 30 crops each that lack 15, 25 and 40% of the area, saved as JPEG
of quality 85, are looked for among all photographs. Which photographs may hold them is told by `mini`.

Labels to check: 2% of the labels are changed to any other class. The self-test does not know these. What it says is
the recall: how many labels changed on purpose are among the first 200 of the list.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from benchmarks.keeping import photographs
from dinoscope.analysis.cleaning.altered import inside_frames
from dinoscope.analysis.cleaning.duplicates import find_duplicates
from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.analysis.labels.label_errors import find_label_errors, self_test
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.collection import Collection
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

Pixels = NDArray[np.uint8]

_EACH = 50  # copies of a kind
_ALTERED = 30
_LISTED = 200
_LACKING = (0.15, 0.25, 0.40)  # of the area, in a crop

ALTERATIONS: dict[str, Callable[[Pixels], Pixels]] = {
    "turned by 90": lambda image: np.rot90(image),
    "turned by 180": lambda image: np.rot90(image, 2),
    "turned by 270": lambda image: np.rot90(image, 3),
    "mirrored": lambda image: image[:, ::-1],
    "white frame, 5 %": lambda image: framed(image, 0.05, 255),
    "grey frame, 15 %": lambda image: framed(image, 0.15, 200),
}


def main() -> None:
    """Measure and print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["mini-fashion", "mini"])
    parser.add_argument("--seeds", type=int, default=5, help="planted sets of wrong labels")
    parser.add_argument("--quick", action="store_true", help="1,000 images: a smoke test, not a measurement")
    parser.add_argument("--crops", metavar="PARQUET", help="measure crops of photographs in a column called image")
    arguments = parser.parse_args()
    if arguments.crops:
        print_crops(photographs(arguments.crops, 10_000))
        return
    dataset = load_dataset("fashion-mnist-test")
    count = 1_000 if arguments.quick else len(dataset.pixels)
    images = list(dataset.pixels[:count])
    labels = np.asarray([str(item.label) for item in dataset.items[:count]])
    chosen, copies = plant_copies(images)
    prints = fingerprints(images + copies)
    vectors = {name: embed(images + copies, name) for name in arguments.models}
    print("| planted copies found | threshold | recall | precision | of the wrong pairs, between originals | must |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, rows in vectors.items():
        print_copies(f"`{name}`, vectors and pictures", rows, chosen, prints)
        print_copies(f"`{name}`, vectors alone", rows, chosen, None)
    print_altered(images, arguments.models[0])
    print("\n| planted wrong labels, seed | precision of the first 200 | recall | recall by the self-test | must |")
    print("| --- | --- | --- | --- | --- |")
    for name, rows in vectors.items():
        graph = neighbors(rows[:count])
        for seed in range(arguments.seeds):
            print_label_errors(f"`{name}`, {seed}", graph, labels, seed)


def plant_copies(images: list[Pixels]) -> tuple[NDArray[np.int64], list[Pixels]]:
    """Return which images are copied, and the copies, 50 of each kind."""
    chosen = np.random.default_rng(31).choice(len(images), 4 * _EACH, replace=False)
    kinds = [saved, enlarged, shifted, brightened]
    return chosen, [kinds[number // _EACH](images[at]) for number, at in enumerate(chosen.tolist())]


def saved(image: Pixels, quality: int = 60) -> Pixels:
    """Save as JPEG and open again."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def enlarged(image: Pixels) -> Pixels:
    """Enlarge to 42 pixels a side."""
    return np.asarray(Image.fromarray(image).resize((42, 42), Image.Resampling.BICUBIC))


def shifted(image: Pixels) -> Pixels:
    """Move by one pixel to the right."""
    return np.concatenate([np.zeros_like(image[:, :1]), image[:, :-1]], axis=1)


def brightened(image: Pixels) -> Pixels:
    """Raise the contrast by a fifth and the brightness by ten levels."""
    bright: Pixels = np.clip(image * 1.2 + 10, 0, 255).round().astype(np.uint8)
    return bright


def framed(image: Pixels, share: float, level: int) -> Pixels:
    """Put a frame around an image, its width a share of the side."""
    return np.asarray(ImageOps.expand(Image.fromarray(image), max(1, round(share * len(image))), level))


def print_altered(images: list[Pixels], name: str) -> None:
    """Print how many altered copies of each kind are found, and the pairs that nobody planted."""
    chosen = np.random.default_rng(5).choice(len(images), _ALTERED * len(ALTERATIONS), replace=False).tolist()
    kinds = [kind for kind in ALTERATIONS for _ in range(_ALTERED)]
    copies = [
        saved(np.ascontiguousarray(ALTERATIONS[kind](images[at])), 85) for kind, at in zip(kinds, chosen, strict=True)
    ]
    everything = images + copies
    prints = fingerprints(everything)
    found = find_duplicates(embed(everything, name), prints=prints, inside=inside_frames(everything, prints))
    pairs = {(a, b) for group in found.groups for a in group for b in group if a < b}
    planted = {(at, len(images) + number): kind for number, (at, kind) in enumerate(zip(chosen, kinds, strict=True))}
    print("\n| altered copies | found |\n| --- | --- |")
    for kind in ALTERATIONS:
        right = sum(pair in pairs for pair, each in planted.items() if each == kind)
        print(f"| {kind} | {right} of {_ALTERED} |", flush=True)
    print(f"| pairs that nobody planted | {len(pairs - planted.keys())} |", flush=True)


def print_crops(pictures: list[Image.Image]) -> None:
    """Print how many crops of each size are found, how many pairs nobody planted, and the seconds that it takes."""
    chance = np.random.default_rng(7)
    chosen = chance.choice(len(pictures), _ALTERED * len(_LACKING), replace=False).tolist()
    lacking = [share for share in _LACKING for _ in range(_ALTERED)]
    copies = range(len(pictures), len(pictures) + len(chosen))
    planted = dict(zip(chosen, zip(copies, lacking, strict=True), strict=True))
    everything = [np.asarray(picture.convert("RGB")) for picture in pictures]
    everything += [cut(everything[at], share, chance) for at, (_, share) in planted.items()]
    with TemporaryDirectory() as folder:
        opened = Collection.from_images(everything, Path(folder) / "c.dino", model="mini")
        start = time.perf_counter()
        found = opened.crops()
        seconds = time.perf_counter() - start
        copied = [set(group) for group in opened.findings().duplicates.groups]
    pairs = {frozenset(pair) for pair in zip(found.parts.tolist(), found.wholes.tolist(), strict=True)}
    print(f"\n| crops among {len(pictures):,} photographs, `mini` | found, of {_ALTERED} |\n| --- | --- |")
    for share in _LACKING:
        of_it = [{at, copy} for at, (copy, each) in planted.items() if each == share]
        right = sum(pair in pairs for pair in of_it)
        also = sum(any(pair <= group for group in copied) for pair in of_it)
        print(f"| without {share:.0%} of the area | {right}, and {also} as duplicates |")
    wrong = pairs - {frozenset((at, copy)) for at, (copy, _) in planted.items()}
    print(f"| pairs that nobody planted | {len(wrong)} |\n| seconds for {len(everything):,} images | {seconds:.0f} |")
    print("not planted:", sorted(map(sorted, wrong))[:20])


def cut(image: Pixels, lacking: float, chance: np.random.Generator) -> Pixels:
    """Return a part of an image at random that lacks a share of its area, saved as JPEG of quality 85."""
    (height, width), side = image.shape[:2], (1 - lacking) ** 0.5
    stretch = chance.uniform(max(side, 0.95), min(1 / side, 1.05))
    across, down = min(width, round(width * side * stretch)), min(height, round(height * side / stretch))
    left, top = chance.integers(0, width - across + 1), chance.integers(0, height - down + 1)
    return saved(np.ascontiguousarray(image[top : top + down, left : left + across]), 85)


def embed(images: list[Pixels], name: str) -> NDArray[np.float32]:
    """Embed grey images of any sizes."""
    return Encoder(name).encode([np.repeat(image[:, :, None], 3, axis=2) for image in images])


def print_copies(what: str, vectors: NDArray[Any], chosen: NDArray[np.int64], prints: Pixels | None) -> None:
    """Print the row of one way to find copies, at the threshold that it suggests."""
    found = find_duplicates(vectors, prints=prints)
    count = len(vectors) - len(chosen)
    planted = {(int(at), count + number) for number, at in enumerate(chosen)}
    pairs = {(a, b) for group in found.groups for a in group for b in group if a < b}
    right, own = len(pairs & planted), sum(b < count for _, b in pairs)
    must = "0.95, 0.95" if prints is not None else ""
    precision = f"{right / max(len(pairs), 1):.3f}"
    print(
        f"| {what} | {found.threshold:.2f} | {right / len(planted):.3f} | {precision} | "
        f"{own} of {len(pairs) - right} | {must} |",
        flush=True,
    )


def print_label_errors(what: str, graph: NeighborGraph, labels: NDArray[np.str_], seed: int) -> None:
    """Print the row of one planted set of errors."""
    draw = np.random.default_rng(2000 + seed)
    names, codes = np.unique(labels, return_inverse=True)
    wrong = draw.choice(len(codes), round(0.02 * len(codes)), replace=False)
    codes[wrong] = (codes[wrong] + draw.integers(1, len(names), len(wrong))) % len(names)
    found = find_label_errors(graph, names[codes])
    precision = float(np.isin(found.positions[:_LISTED], wrong).mean())
    recall = float(np.isin(wrong, found.positions[:_LISTED]).mean())
    test = self_test(graph, names[codes], listed=_LISTED)
    said = test.found / test.flipped
    print(f"| {what} | {precision:.3f} | {recall:.3f} | {said:.3f} | precision 0.6, recall within 0.1 |", flush=True)


if __name__ == "__main__":
    main()
