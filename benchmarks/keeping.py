"""Which of two copies `clean` keeps: ``python -m benchmarks.keeping PARQUET``.

Photographs of a Parquet file are scaled to four fifths, so that what an earlier program did to them is gone, and saved
as originals. Of each a worse copy of the same size is made. Counted is how often the original is kept. What decides was
chosen on the photographs with even numbers; the table shows both halves.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageFilter

from dinoscope.analysis.cleaning.keeping import FileFacts, choose_keeper
from dinoscope.sources.pixels.decode import read_image, read_reduced, thumbnail
from dinoscope.stages.cleaning.copies import Seen
from dinoscope.storage.details import QUALITY

_SCALE = 0.8
_SOFT = 8  # pixels of blur that leave a picture without edges, as out of focus
_LEAST = (224, 224)  # what a model sees: large JPEGs are decoded at a half or less, as in a collection
Maker = Callable[[Image.Image, np.random.Generator], tuple[bytes, bytes]]


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """Save as JPEG."""
    return _saved(picture, "JPEG", quality=quality)


def png(picture: Image.Image) -> bytes:
    """Save as PNG."""
    return _saved(picture, "PNG")


def reopened(content: bytes) -> Image.Image:
    """Decode a file."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def noisy(picture: Image.Image, chance: np.random.Generator, sigma: float) -> Image.Image:
    """Add noise of so many grey levels."""
    pixels = np.asarray(picture, np.float32)
    return Image.fromarray((pixels + chance.normal(0, sigma, pixels.shape)).round().clip(0, 255).astype(np.uint8))


def _saved(picture: Image.Image, form: str, **options: int) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def _noisy_jpeg(of: int, quality: int, sigma: float) -> Maker:
    def make(picture: Image.Image, chance: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(picture, of)
        return original, jpeg(noisy(reopened(original), chance, sigma), quality)

    return make


def _noisy_png(of: int, sigma: float) -> Maker:
    def make(picture: Image.Image, chance: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(picture, of)
        return original, png(noisy(reopened(original), chance, sigma))

    return make


def _compressed(of: int, quality: int, grain: float = 0.0) -> Maker:
    def make(picture: Image.Image, chance: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(noisy(picture, chance, grain), of)
        return original, jpeg(reopened(original), quality)

    return make


def _hidden(of: int | None, quality: int) -> Maker:
    def make(picture: Image.Image, _: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(picture, of) if of else png(picture)
        return original, png(reopened(jpeg(reopened(original), quality)))

    return make


def _saved_twice(of: int, low: int, high: int) -> Maker:
    def make(picture: Image.Image, _: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(picture, of)
        return original, jpeg(reopened(jpeg(reopened(original), low)), high)

    return make


def _blurred(of: int, quality: int | None, radius: float) -> Maker:
    def make(picture: Image.Image, _: np.random.Generator) -> tuple[bytes, bytes]:
        original = jpeg(picture, of)
        worse = reopened(original).filter(ImageFilter.GaussianBlur(radius))
        return original, jpeg(worse, quality) if quality else png(worse)

    return make


def _soft(of: int | None, quality: int, sigma: float) -> Maker:
    def make(picture: Image.Image, chance: np.random.Generator) -> tuple[bytes, bytes]:
        soft = picture.filter(ImageFilter.GaussianBlur(_SOFT))
        original = jpeg(soft, of) if of else png(soft)
        return original, jpeg(noisy(reopened(original), chance, sigma), quality)

    return make


KINDS: dict[str, Maker] = {
    "JPEG 60 of a JPEG 95": _compressed(95, 60),
    "JPEG 85 of a JPEG 92": _compressed(92, 85),
    "JPEG 85 of a grainy JPEG 92": _compressed(92, 85, 6),
    "JPEG 75 of a grainy JPEG 95": _compressed(95, 75, 8),
    "noise of 8 levels, JPEG 92, of a JPEG 85": _noisy_jpeg(85, 92, 8),
    "noise of 12 levels, JPEG 95, of a JPEG 80": _noisy_jpeg(80, 95, 12),
    "noise of 8 levels, PNG, of a JPEG 95": _noisy_png(95, 8),
    "noise of 8 levels, PNG, of a JPEG 85": _noisy_png(85, 8),
    "JPEG 60 hidden in a PNG, of a JPEG 95": _hidden(95, 60),
    "JPEG 75 hidden in a PNG, of a JPEG 90": _hidden(90, 75),
    "JPEG 60 hidden in a PNG, of a PNG": _hidden(None, 60),
    "JPEG 95 of a JPEG 60 of a JPEG 90": _saved_twice(90, 60, 95),
    "blurred by 0.7, JPEG 85, of a JPEG 85": _blurred(85, 85, 0.7),
    "blurred by 1, JPEG 85, of a JPEG 85": _blurred(85, 85, 1),
    "blurred by 1.5, JPEG 85, of a JPEG 85": _blurred(85, 85, 1.5),
    "blurred by 1.5, JPEG 95, of a JPEG 85": _blurred(85, 95, 1.5),
    "blurred by 2, PNG, of a JPEG 85": _blurred(85, None, 2),
    "blurred by 3, PNG, of a JPEG 85": _blurred(85, None, 3),
    "noise of 5 levels, JPEG 85, of a soft PNG": _soft(None, 85, 5),
    "noise of 10 levels, JPEG 85, of a soft PNG": _soft(None, 85, 10),
    "noise of 10 levels, JPEG 50, of a soft PNG": _soft(None, 50, 10),
    "noise of 10 levels, JPEG 30, of a soft PNG": _soft(None, 30, 10),
    "noise of 10 levels, JPEG 85, of a soft JPEG 92": _soft(92, 85, 10),
    "noise of 10 levels, JPEG 50, of a soft JPEG 92": _soft(92, 50, 10),
}


def facts(content: bytes, pixels: int) -> FileFacts:
    """Return what a collection knows of a file; not its age."""
    read = read_reduced(content, _LEAST)
    assert read.quality is not None
    measured = {name: getattr(read.quality, name) for name in QUALITY if name != "modified"}
    return Seen.of(read_image(thumbnail(read.pixels))).facts(pixels, measured)


def right(make: Maker, picture: Image.Image, seed: int) -> bool:
    """Tell whether the original of a pair is kept."""
    original, worse = make(picture, np.random.default_rng(seed))
    pair = [facts(worse, 1), facts(original, 1)]
    return choose_keeper(pair)[0] == 1


def photographs(path: str, count: int) -> list[Image.Image]:
    """Return photographs spread over a table, scaled."""
    values = pq.read_table(path, columns=["image"]).column("image").to_pylist()
    found = [reopened(value) for value in values[:: max(1, len(values) // count)][:count]]
    return [each.resize([round(side * _SCALE) for side in each.size], Image.Resampling.LANCZOS) for each in found]


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", help="files of photographs in a column called image")
    parser.add_argument("--count", type=int, default=96)
    arguments = parser.parse_args()
    pictures = photographs(arguments.parquet, arguments.count)
    half = len(pictures) // 2
    print(f"| the copy | original kept, of {half} chosen on | of {len(pictures) - half} others |\n| --- | --- | --- |")
    for kind, make in KINDS.items():
        kept = [right(make, picture, number) for number, picture in enumerate(pictures)]
        print(f"| {kind} | {sum(kept[::2])} | {sum(kept[1::2])} |", flush=True)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
