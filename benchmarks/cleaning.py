"""How well planted copies and planted wrong labels are found: ``python -m benchmarks.cleaning``.

Copies: 200 of the 10,000 Fashion-MNIST test images, 50 saved as JPEG of quality 60, 50 enlarged to 42 pixels, 50
shifted by a pixel, 50 made brighter, are embedded beside the originals. A pair is right when it was planted.
Fashion-MNIST holds copies of its own; pairs found between two originals count as wrong here, and are told apart.

Altered copies: 30 each, turned by quarters, mirrored, or in a frame of 5 % and 15 % of a side, all saved as
JPEG of quality 85.

Labels to check: 2% of the labels are changed to any other class. The self-test does not know these. What it says is
the recall: how many labels changed on purpose are among the first 200 of the list.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dinoscope.analysis.cleaning.altered import inside_frames
from dinoscope.analysis.cleaning.duplicates import find_duplicates
from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.analysis.labels.label_errors import find_label_errors, self_test
from dinoscope.analysis.neighbors import NeighborGraph, neighbors
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

Pixels = NDArray[np.uint8]

_EACH = 50  # copies of a kind
_ALTERED = 30
_LISTED = 200

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
    arguments = parser.parse_args()
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
