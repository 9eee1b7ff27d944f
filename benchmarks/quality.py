"""How well poor pictures are found: ``python -m benchmarks.quality [--data DIR]``.

Among 5,000 pictures (Fashion-MNIST's test images, and with ``--data`` the first 5,000 photographs of Tiny-ImageNet) 200
of each of seven kinds are planted. Blurred: a Gaussian of 2.5% to 6% of the side, at least a pixel. Dark: 8% to 20% of
the light. Blown out: 1.2 times the light and 175 more. Empty: one colour and noise of 2 levels. Framed: 12% at each
edge. Odd size: a fifth or five times the side. Odd shape: three to five times as wide. What is found of a kind and was
not planted as one counts as wrong, whatever the picture really is, with two exceptions, which count as neither: a
blown-out picture that came out white is empty, and one that was made five times as large is blurred.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageFilter, ImageOps

from dinoscope.analysis.cleaning.pictures import PICTURE_KINDS, PictureKind, PoorPictures, find_poor_pictures
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.pixels.decode import read_reduced
from dinoscope.sources.pixels.quality import measure_look

_COUNT, _EACH = 5_000, 200
Plant = Callable[[Image.Image, Generator], Image.Image]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of tiny-imagenet-train-0.parquet")
    parser.add_argument("--quick", action="store_true", help="1,400 pictures, 20 of each kind: a smoke test")
    arguments = parser.parse_args()
    count, each = (1_400, 20) if arguments.quick else (_COUNT, _EACH)
    print("| pictures | kind | precision | recall | of the pictures as they are |\n| --- | --- | --- | --- | --- |")
    measure("Fashion-MNIST", garments(count), each)
    if arguments.data is not None:
        measure("Tiny-ImageNet", photographs(arguments.data, count), each)


def garments(count: int) -> list[Image.Image]:
    """Return Fashion-MNIST's first test images."""
    return [Image.fromarray(each).convert("RGB") for each in load_dataset("fashion-mnist-test").pixels[:count]]


def photographs(folder: Path, count: int) -> list[Image.Image]:
    """Return the first photographs of Tiny-ImageNet."""
    import pyarrow.parquet as pq

    found: list[Image.Image] = []
    for batch in pq.ParquetFile(folder / "tiny-imagenet-train-0.parquet").iter_batches(500, columns=["image"]):
        held = [each["bytes"] if isinstance(each, dict) else each for each in batch.column(0).to_pylist()]
        found += [Image.open(io.BytesIO(each)).convert("RGB") for each in held]
        if len(found) >= count:
            break
    return found[:count]


def blurred(image: Image.Image, generator: Generator) -> Image.Image:
    """Blur by a part of the side."""
    return image.filter(ImageFilter.GaussianBlur(max(1.0, generator.uniform(0.025, 0.06) * min(image.size))))


def dark(image: Image.Image, generator: Generator) -> Image.Image:
    """Take most of the light away."""
    share = generator.uniform(0.08, 0.2)
    return image.point(lambda value: int(value * share))


def blown_out(image: Image.Image, _: Generator) -> Image.Image:
    """Add light until most is white."""
    return image.point(lambda value: min(255, int(1.2 * value + 175)))


def empty(image: Image.Image, generator: Generator) -> Image.Image:
    """Return one colour with a little noise."""
    noise = generator.normal(0, 2, (image.height, image.width, 3))
    return Image.fromarray(np.clip(generator.integers(0, 256, 3) + noise, 0, 255).astype(np.uint8))


def framed(image: Image.Image, generator: Generator) -> Image.Image:
    """Put a frame of one colour around the picture, of the same size in all."""
    width, height = image.size
    across, down = max(1, round(0.12 * width)), max(1, round(0.12 * height))
    colour = tuple(generator.integers(0, 256, 3).tolist())
    return ImageOps.expand(image.resize((width - 2 * across, height - 2 * down)), border=(across, down), fill=colour)


def odd_size(image: Image.Image, generator: Generator) -> Image.Image:
    """Make it five times as large, or a fifth."""
    factor = 5 if generator.random() < 0.5 else 0.2
    return image.resize((max(3, round(image.width * factor)), max(3, round(image.height * factor))))


def odd_shape(image: Image.Image, generator: Generator) -> Image.Image:
    """Cut a strip out of it."""
    height = max(3, round(image.height / generator.uniform(3, 5)))
    top = (image.height - height) // 2
    return image.crop((0, top, image.width, top + height))


PLANTED: dict[PictureKind, Plant] = {
    "blurred": blurred,
    "dark": dark,
    "blown out": blown_out,
    "empty": empty,
    "framed": framed,
    "odd size": odd_size,
    "odd shape": odd_shape,
}


def measure(name: str, pictures: list[Image.Image], each: int) -> None:
    """Plant poor pictures among these, and print how many are found."""
    generator = np.random.default_rng(0)
    order = generator.permutation(len(pictures))
    planted = np.full(len(pictures), -1)
    shown = list(pictures)
    for number, kind in enumerate(PICTURE_KINDS):
        for at in order[number * each : (number + 1) * each].tolist():
            planted[at] = number
            shown[at] = PLANTED[kind](pictures[at], generator)
    found, plain = find(shown), find(pictures)
    for number, kind in enumerate(PICTURE_KINDS):
        listed = np.asarray([at for at, _ in found.of(kind)], np.int64)
        right = planted[listed] == number
        also = {"empty": "blown out", "blurred": "odd size"}.get(kind)
        neither = planted[listed] == PICTURE_KINDS.index(also) if also else np.zeros(len(listed), bool)
        precision = right.sum() / max(1, (~neither).sum())
        alarms = "its style" if kind in plain.common else f"{len(plain.of(kind)):,}"
        print(f"| {name} | {kind} | {precision:.2f} | {right.sum() / each:.2f} | {alarms} |", flush=True)


def find(pictures: list[Image.Image]) -> PoorPictures:
    """Return what is found in pictures, each decoded as a file is."""
    looks = [asdict(measure_look(read_reduced(each).pixels)) for each in pictures]
    return find_poor_pictures(
        {name: np.asarray([each[name] for each in looks]) for name in looks[0]}, [each.size for each in pictures]
    )


if __name__ == "__main__":
    main()
