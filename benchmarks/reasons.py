"""Whether ``search --why`` points at what two images have in common: ``python -m benchmarks.reasons --data DIR``.

Into 1,000 photographs of Tiny-ImageNet, at 64 pixels, 500 others are pasted, each into two of them: at a random
place, or in a random corner, which no guess at the middle finds. Where one of the two is among the ten most like the
other, does the heat lie on what was pasted? AUC over 16 x 16 places. "Patches": similarity of the image's patch tokens
to the mean of the query's. "Another query": the heat of the same image for one that has nothing to do with it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from dinoscope.analysis.explain.occlusion import CELLS, heat_map, hide_squares
from dinoscope.models.catalogue import get_model
from dinoscope.models.encoder import Encoder

_PAIRS, _SIDE, _MOST = 500, 64, 250  # pairs, pixels, images explained


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with Tiny-ImageNet's Parquet files")
    parser.add_argument("--model", default="mini")
    arguments = parser.parse_args()
    from benchmarks.weights import parquet

    photos, _, held_out = parquet("tiny-imagenet", arguments.data)
    side = get_model(arguments.model).resolution_for(_SIDE)  # at which a collection of these would be seen
    encoder, took = Encoder(arguments.model, resolution=side), []
    print("| pasted | images | heat | patches | the middle | another query |")
    print("| --- | --- | --- | --- | --- | --- |")
    for share in (0.5, 0.65):
        for corner in (False, True):
            images, places = paste(photos[-held_out:], share, corner)
            vectors = encoder.encode(images)
            alike = vectors @ vectors.T
            np.fill_diagonal(alike, -1)
            partner = np.arange(len(images)) ^ 1
            rank = (alike >= alike[np.arange(len(images)), partner][:, None]).sum(axis=1)
            found: dict[str, list[float]] = {"heat": [], "patches": [], "middle": [], "other": []}
            for at in np.flatnonzero(rank <= 10)[:_MOST].tolist():
                image, place = images[partner[at]], places[partner[at]]
                began = time.perf_counter()
                seen = encoder.encode([image, *hide_squares(image)])
                took.append(time.perf_counter() - began)
                other = (at + _PAIRS) % len(images)
                for name, query in (("heat", vectors[at]), ("other", vectors[other])):
                    similarity = seen @ query
                    found[name].append(auc(heat_map(similarity[0] - similarity[1:]), place))
                found["patches"].append(auc(patch_heat(encoder, image, images[at]), place))
                found["middle"].append(auc(_MIDDLE, place))
            where = "in a corner" if corner else "anywhere"
            cells = [f"{np.mean(values):.2f}" for values in found.values()]
            print(f"| {share:.0%} of the side, {where} | {len(found['heat'])} | {' | '.join(cells)} |", flush=True)
    print(f"\nan image: {1000 * np.median(took):.0f} ms")


def paste(photos: NDArray[np.uint8], share: float, corner: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return images, two and two with the same thing in them, and where it is (N, 16, 16)."""
    random = np.random.default_rng(0)
    order = random.permutation(len(photos))[: 3 * _PAIRS]
    side = round(_SIDE * share)
    images = photos[order[_PAIRS:]].copy().reshape(_PAIRS, 2, _SIDE, _SIDE, 3)
    places = np.zeros((_PAIRS, 2, _SIDE, _SIDE), bool)
    for pair, at in enumerate(order[:_PAIRS].tolist()):
        thing = np.asarray(Image.fromarray(photos[at]).resize((side, side), Image.Resampling.LANCZOS))
        for which in range(2):
            top, left = random.integers(0, 2, 2) * (_SIDE - side) if corner else random.integers(0, _SIDE - side + 1, 2)
            images[pair, which, top : top + side, left : left + side] = thing
            places[pair, which, top : top + side, left : left + side] = True
    cells = places.reshape(2 * _PAIRS, CELLS, _SIDE // CELLS, CELLS, _SIDE // CELLS).mean(axis=(2, 4)) > 0.5
    return images.reshape(2 * _PAIRS, _SIDE, _SIDE, 3), cells


def patch_heat(encoder: Encoder, image: NDArray[np.uint8], query: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the similarity of an image's patch tokens to the mean of the query's (16, 16)."""
    patches, asked = encoder.patches([image, query])
    side = round(len(patches) ** 0.5)
    heat = (patches / np.linalg.norm(patches, axis=1, keepdims=True)) @ asked.mean(axis=0)
    larger: NDArray[np.float32] = np.kron(heat.reshape(side, side), np.ones((CELLS // side, CELLS // side), np.float32))
    return larger


def auc(heat: NDArray[np.floating], place: NDArray[np.bool_]) -> float:
    """Return how surely a place in the thing is hotter than one outside."""
    return float(roc_auc_score(place.ravel(), heat.ravel()))


_MIDDLE = -np.hypot(*np.mgrid[: 1.0 * CELLS, : 1.0 * CELLS] - (CELLS - 1) / 2)

if __name__ == "__main__":
    main()
