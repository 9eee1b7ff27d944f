"""What looking inside images finds: ``python -m benchmarks.inside --data DIR``.

Into 1,000 photographs of Tiny-ImageNet, at 128 pixels, 1,000 others are pasted, one each, at a random place and of a
given side. The questions are 300 of the pasted photographs, each cropped, mirrored or lit otherwise: which image holds
it? Compared are the vectors of whole images, the best of nine windows besides, and patch tokens (--tokens): each token
of the question, seen at 64 pixels, counts by the most similar one of an image, seen at 128.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.analysis.patches import unit_tokens
from dinoscope.collection import Collection
from dinoscope.sources.augmentation import augment
from dinoscope.stages.queries.held_tokens import read_tokens

Images = NDArray[np.uint8]

_COUNT, _ASKED, _SIDE = 1_000, 300, 128
_SHARES = (0.3, 0.4, 0.5, 0.65, 0.8)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny-ImageNet's Parquet files")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--tokens", action="store_true", help="compare with patch tokens, too")
    parser.add_argument("--asked", type=int, default=_ASKED, help="number of questions")
    parser.add_argument("--shares", type=float, nargs="+", default=_SHARES, help="sides of what is pasted")
    arguments = parser.parse_args()
    from benchmarks.weights import parquet

    photos, _, held_out = parquet("tiny-imagenet", arguments.data)
    photos = photos[-held_out:][: 2 * _COUNT]
    head = "| pasted at | whole images: first | in ten | with windows: first | in ten | a search |"
    head += " with tokens: first | in ten | a search |" * arguments.tokens
    print(f"{head}\n|{' --- |' * (head.count('|') - 1)}")
    seconds = 0.0
    for share in arguments.shares:
        with tempfile.TemporaryDirectory() as folder:
            pasted = _paste(photos, share)
            collection = Collection.from_images(pasted, Path(folder) / "pasted", model=arguments.model)
            began = time.perf_counter()
            collection.window_vectors()
            seconds += time.perf_counter() - began
            places: dict[str, list[int]] = {"whole": [], "inside": []}
            took = []
            questions = [augment(photos[_COUNT + row], row) for row in range(arguments.asked)]
            for row, question in enumerate(questions):
                vector = collection.query_vector(question)
                places["whole"].append(_place([m.row for m in collection.search(vector, 10)], row))
                began = time.perf_counter()
                found = collection.search_inside(vector, 10)
                took.append(time.perf_counter() - began)
                places["inside"].append(_place([m.row for m in found], row))
            cells = [f"{np.mean(np.asarray(at) < most):.2f}" for at in places.values() for most in (1, 10)]
            cells.append(f"{1000 * np.median(took):.0f} ms")
            if arguments.tokens:
                cells += _by_tokens(collection, questions)
            print(f"| {share:.0%} of the side | {' | '.join(cells)} |", flush=True)
    print(f"\nwindows: {len(arguments.shares) * 9 * _COUNT / seconds:,.0f} a second")


def _by_tokens(collection: Collection, questions: list[NDArray[np.uint8]]) -> list[str]:
    """Return how often the right image is the first, and among ten, by patch tokens, and how long a search takes."""
    began = time.perf_counter()
    collection.keep_tokens()
    print(f"tokens: {_COUNT / (time.perf_counter() - began):,.0f} images a second")
    parts = [part.tokens.astype(np.float32) for part in read_tokens(collection, None)]
    held = np.concatenate(parts).reshape(_COUNT, -1, parts[0].shape[-1])
    places, took = [], []
    for row, question in enumerate(questions):
        asked = unit_tokens(collection.encoder().look(question, _SIDE // 2).tokens)[0]
        asked = asked.reshape(-1, asked.shape[-1])
        began = time.perf_counter()
        alike = np.concatenate([(each @ asked.T).max(axis=1) for each in np.array_split(held, 20)]).mean(axis=1)
        took.append(time.perf_counter() - began)
        places.append(_place(np.argsort(-alike)[:10].tolist(), row))
    return [*(f"{np.mean(np.asarray(places) < most):.2f}" for most in (1, 10)), f"{1000 * np.median(took):.0f} ms"]


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
