"""What looking inside images finds: ``python -m benchmarks.inside --data DIR``.

Into 1,000 photographs of Tiny-ImageNet, at 128 pixels, 1,000 others are pasted, one each, at a random place and of a
given side. The questions are 300 of the pasted photographs, each cropped, mirrored or lit otherwise: which image holds
it? Compared are the vectors of whole images, and the best of nine windows besides.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.sources.augmentation import augment

Images = NDArray[np.uint8]

_COUNT, _ASKED, _SIDE = 1_000, 300, 128


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny-ImageNet's Parquet files")
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    from benchmarks.weights import parquet

    photos, _, held_out = parquet("tiny-imagenet", arguments.data)
    photos = photos[-held_out:][: 2 * _COUNT]
    print("| pasted at | whole images: first | in ten | with windows: first | in ten | a search |")
    print("| --- | --- | --- | --- | --- | --- |")
    seconds = 0.0
    for share in (0.3, 0.4, 0.5, 0.65, 0.8):
        with tempfile.TemporaryDirectory() as folder:
            pasted = _paste(photos, share)
            collection = Collection.from_images(pasted, Path(folder) / "pasted", model=arguments.model)
            began = time.perf_counter()
            collection.window_vectors()
            seconds += time.perf_counter() - began
            places: dict[str, list[int]] = {"whole": [], "inside": []}
            took = []
            for row in range(_ASKED):
                vector = collection.query_vector(augment(photos[_COUNT + row], row))
                places["whole"].append(_place([m.row for m in collection.search(vector, 10)], row))
                began = time.perf_counter()
                found = collection.search_inside(vector, 10)
                took.append(time.perf_counter() - began)
                places["inside"].append(_place([m.row for m in found], row))
            cells = [f"{np.mean(np.asarray(at) < most):.2f}" for at in places.values() for most in (1, 10)]
            print(f"| {share:.0%} of the side | {' | '.join(cells)} | {1000 * np.median(took):.0f} ms |", flush=True)
    print(f"\nwindows: {5 * 9 * _COUNT / seconds:,.0f} a second")


def _paste(photos: Images, share: float) -> Images:
    draw, side = np.random.default_rng(0), round(share * _SIDE)
    out = []
    for row in range(_COUNT):
        ground = Image.fromarray(photos[row]).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
        piece = Image.fromarray(photos[_COUNT + row]).resize((side, side), Image.Resampling.BICUBIC)
        ground.paste(piece, tuple(draw.integers(0, _SIDE - side + 1, 2).tolist()))
        out.append(np.asarray(ground))
    return np.stack(out)


def _place(rows: list[int], wanted: int) -> int:
    return rows.index(wanted) if wanted in rows else len(rows)


if __name__ == "__main__":
    main()
