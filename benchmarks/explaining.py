"""What ``explain`` says of planted changes: ``python -m benchmarks.explaining [--data DIR]``.

4,000 of Fashion-MNIST's test images and, where ``--data`` has them, of CIFAR-10's held out. In one half of them, drawn
at random, one thing is changed. How alike neighbours in the embedding are in the property that was changed should go by
how alike they are in having been changed, which no user knows: high where the model sees the change, lower than before
where it looks through it. Then a shortcut, all images of five of ten labels are changed: the property should be told
by the labels. And values dealt out at random, of which one in a hundred may be called alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from dinoscope.analysis.explain.explanation import Explanation, explain, morans_i
from dinoscope.analysis.explain.properties import image_properties
from dinoscope.analysis.maps.projection import umap
from dinoscope.analysis.neighbors import neighbors
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset

Images = NDArray[np.uint8]

_COUNT, _DEALS = 4_000, 500


def main() -> None:
    """Measure and print two Markdown tables a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with CIFAR-10's Parquet file")
    arguments = parser.parse_args()
    dataset = load_dataset("fashion-mnist-test")
    clothes = np.repeat(dataset.pixels[:_COUNT, :, :, None], 3, axis=3)
    sets = [("Fashion-MNIST, `mini-fashion`", "mini-fashion", clothes, [str(i.label) for i in dataset.items[:_COUNT]])]
    if arguments.data:
        from benchmarks.weights import parquet

        photos, names, _ = parquet("cifar10", arguments.data)
        sets.append(("CIFAR-10, `mini`", "mini", np.asarray(photos[-_COUNT:]), [str(n) for n in names[-_COUNT:]]))
    began = time.perf_counter()
    for title, model, images, labels in sets:
        print("\n".join(_planted(title, Encoder(model), images, np.asarray(labels))), flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s with embedding and maps")


def _brighter(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + 40, 0, 255).astype(np.uint8))


def _framed(image: Image.Image) -> Image.Image:
    pixels = np.array(image)
    pixels[:2], pixels[-2:], pixels[:, :2], pixels[:, -2:] = 200, 200, 200, 200
    return Image.fromarray(pixels)


def _redder(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.clip(np.asarray(image) * [1.2, 1.0, 0.8], 0, 255).astype(np.uint8))


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(1))


def _mirrored(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image)
    left = pixels[:, : pixels.shape[1] // 2]
    return Image.fromarray(np.ascontiguousarray(np.concatenate([left, left[:, ::-1]], axis=1)))


_PLANTS: dict[str, tuple[str, Callable[[Image.Image], Image.Image]]] = {
    "40 levels lighter": ("brightness", _brighter),
    "a light frame": ("border brightness", _framed),
    "warmer light": ("warmth", _redder),
    "blurred": ("detail", _blurred),
    "right half mirrors the left": ("symmetry", _mirrored),
}


def _explained(encoder: Encoder, images: Images, labels: NDArray[np.str_]) -> tuple[Explanation, NDArray[np.int32]]:
    vectors = encoder.encode(list(images))
    graph = neighbors(vectors, 15)
    properties = image_properties(list(images), [images.shape[2:0:-1]] * len(images))
    coordinates = umap(vectors, graph=graph)
    return explain(vectors, properties, coordinates, graph=graph, labels=labels, unseen=("order",)), graph.indices


def _alike(found: Explanation) -> dict[str, float]:
    return {**dict.fromkeys(found.constant, 0.0), **{each.name: each.embedding for each in found.properties}}


def _planted(title: str, encoder: Encoder, images: Images, labels: NDArray[np.str_]) -> list[str]:
    plain, indices = _explained(encoder, images, labels)
    before = _alike(plain)
    lines = [f"\n| {title} | property | before | after | alike in the change |", f"| {' | '.join(['---'] * 5)} |"]
    shortcuts = [
        f"\n| {title}: a shortcut | by labels, before | after | guessed from properties, before | after |",
        f"| {' | '.join(['---'] * 5)} |",
    ]
    kinds = np.unique(labels)
    for what, (name, change) in _PLANTS.items():
        chosen = np.random.default_rng(0).permutation(len(images)) < len(images) // 2
        found, near = _explained(encoder, _changed(images, chosen, change), labels)
        after = _alike(found)
        truth = morans_i(chosen.astype(float), near)
        lines.append(f"| {what} | {name} | {before[name]:.2f} | {after[name]:.2f} | {truth:.2f} |")
        given, _ = _explained(encoder, _changed(images, np.isin(labels, kinds[::2]), change), labels)
        shortcuts.append(
            f"| {what} | {_by_labels(plain, name):.0%} | {_by_labels(given, name):.0%} | "
            f"{plain.named_by_properties:.0%} | {given.named_by_properties:.0%} |"
        )
    deals = np.random.default_rng(1).standard_normal((_DEALS, len(images)))
    beyond = sum(abs(morans_i(each, indices)) > plain.chance for each in deals)
    return [*lines, *shortcuts, f"\n{beyond} of {_DEALS} random values are called alike ({plain.chance:.3f})"]


def _changed(images: Images, chosen: NDArray[np.bool_], change: Callable[[Image.Image], Image.Image]) -> Images:
    out = images.copy()
    for at in np.flatnonzero(chosen):
        out[at] = np.asarray(change(Image.fromarray(images[at])))
    return out


def _by_labels(found: Explanation, name: str) -> float:
    return next((each.by_labels or 0.0 for each in found.properties if each.name == name), 0.0)


if __name__ == "__main__":
    main()
