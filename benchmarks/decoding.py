"""How fast large JPEGs become squares, then vectors; what reduced decoding costs: ``python -m benchmarks.decoding``.

The second table feeds ViTs of true size and random weights: decoding alone, the model alone, both together.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.parallel import one_thread_each
from dinoscope.collection import Collection
from dinoscope.models.encoder import Encoder
from dinoscope.models.preprocess import Preprocessing, prepare, preprocessing_of
from dinoscope.sources.pixels.decode import read_image, read_reduced, thumbnail
from tests.checkpoints import save_vit

__all__ = ["main", "make_photos"]

WIDTH, HEIGHT = 4000, 3000
_DISTINCT = 4  # making one takes far longer than decoding it
_DINOV2 = preprocessing_of("dinov2")
_SETTINGS = (
    ("bundled, 32", preprocessing_of("bundled"), 32),
    ("dino, 224", preprocessing_of("dino"), 224),
    ("dinov2, 224", _DINOV2, 224),
    ("dinov2, 518", _DINOV2, 518),
    ("dinov3, 224", preprocessing_of("dinov3"), 224),
    ("dinov2 --pad, 224", preprocessing_of("dinov2", pad=True), 224),
)


def make_photos(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write JPEGs of 12 megapixels and 4 to 6 MB with the detail of photographs: as much at every scale, and grain."""
    random = np.random.default_rng(seed)
    files = []
    for index in range(min(count, _DISTINCT)):
        scene = 128 + 6 * random.standard_normal((HEIGHT, WIDTH, 3), np.float32)
        for side in (4, 12, 40, 120, 400, 1200):
            detail = random.normal(0, 20, (side * 3 // 4, side, 3)).clip(-60, 60) + 128
            layer = Image.fromarray(detail.astype(np.uint8)).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            scene += np.asarray(layer, np.float32) - 128
        files.append(folder / f"{index:03d}.jpg")
        Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(files[-1], quality=92)
    for index in range(len(files), count):
        files.append(folder / f"{index:03d}.jpg")
        files[-1].write_bytes(files[index % _DISTINCT].read_bytes())
    return files


def _rate(work: Callable[[Path], object], files: list[Path], threads: int, repeats: int) -> float:
    """Return images a second: the median of some runs over all files."""
    seconds = []
    with ThreadPoolExecutor(threads) as pool, one_thread_each():  # as it is while a collection is embedded
        for _ in range(repeats):
            began = time.perf_counter()
            for _ in pool.map(work, files):
                pass
            seconds.append(time.perf_counter() - began)
    return len(files) / statistics.median(seconds)


def _whole(how: Preprocessing, resolution: int) -> Callable[[Path], NDArray[np.uint8]]:
    def work(file: Path) -> NDArray[np.uint8]:
        image = read_image(file)
        thumbnail(image)
        return prepare(image, how, resolution)

    return work


def _reduced(how: Preprocessing, resolution: int) -> Callable[[Path], NDArray[np.uint8]]:
    def work(file: Path) -> NDArray[np.uint8]:
        image = read_reduced(file, how.least(resolution))
        thumbnail(image.pixels)
        return prepare(image.pixels, how, resolution, image.size)

    return work


def _fed(files: list[Path], name: str, dim: int, device: str, threads: int) -> None:
    """Print a line: seconds of decoding alone, of the model alone, and of an embedding, where they share the cores."""
    with tempfile.TemporaryDirectory() as folder:
        weights = save_vit(Path(folder) / "weights", dim=dim, depth=12, patch=14)
        encoder = Encoder(str(weights), resolution=224, device=device)
        decoding = len(files) / _rate(_reduced(encoder.preprocessing, 224), files, threads, 1)
        batch = np.zeros((encoder.batch_size, 224, 224, 3), np.uint8)
        encoder.run(batch)
        began = time.perf_counter()
        for _ in range(0, len(files), encoder.batch_size):
            encoder.run(batch)
        model = time.perf_counter() - began
        began = time.perf_counter()
        Collection.from_images(files[0].parent, Path(folder) / "collection", model=encoder)
        both = time.perf_counter() - began
    slower, faster = max(decoding, model), min(decoding, model)
    # Where decoding keeps every core busy as the model does, nothing can be faster than one behind the other.
    in_turn = (slower + faster) / slower
    print(
        f"| {name} | {decoding:.1f} | {model:.1f} | {both:.1f} | {both / slower:.2f} | {in_turn:.2f} | 1.15 |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=3, help="runs over all images; the median is shown")
    parser.add_argument("--fed", type=int, default=200, help="images that models are fed with")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = make_photos(Path(folder), arguments.images)
        megabytes = statistics.mean(file.stat().st_size for file in files) / 1e6
        print(
            f"{len(files)} JPEGs of {WIDTH} x {HEIGHT} pixels, {megabytes:.1f} MB each; {arguments.threads} threads.\n"
        )
        decoding = _rate(read_image, files, arguments.threads, arguments.repeats)
        print(f"Decoding alone, at full size: {decoding:.1f} images a second.\n")
        print(
            "| square and thumbnail | images/s, full size | images/s, reduced | times | mean difference, grey levels |"
        )
        print("| --- | --- | --- | --- | --- |")
        for name, how, resolution in _SETTINGS:
            whole, reduced = _whole(how, resolution), _reduced(how, resolution)
            slow, fast = (_rate(work, files, arguments.threads, arguments.repeats) for work in (whole, reduced))
            apart = [np.abs(whole(file).astype(int) - reduced(file)).mean() for file in files[:_DISTINCT]]
            print(
                f"| {name} | {slow:.1f} | {fast:.1f} | {fast / slow:.1f} | {statistics.mean(apart):.2f} |", flush=True
            )
    with tempfile.TemporaryDirectory() as folder:
        files = make_photos(Path(folder), arguments.fed)
        print(f"\n{len(files)} of the same JPEGs to vectors, 224 pixels; seconds.\n")
        print("| model | decoding alone | model alone | together | to the slower | one after the other | must |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for name, dim, device in (("ViT-S/14", 384, "cpu"), ("ViT-B/14", 768, "cpu"), ("ViT-S/14", 384, "openvino")):
            if device == "cpu" or find_spec("openvino") is not None:
                _fed(files, f"{name}, {device}", dim, device, arguments.threads)


if __name__ == "__main__":
    main()
