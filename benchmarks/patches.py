"""What patches tell of images: ``python -m benchmarks.patches --data DIR``.

Foreground: 200 pictures whose mask is known, clothes of Fashion-MNIST and round cuts of CIFAR-10 on photographs of
Tiny-ImageNet, at 128 pixels; intersection over union of the mask found and the true one. They are made of every second
image of each set; the others made the pictures by which the method was chosen (--chosen). Matches: 200 photographs and
their copies, turned by 15 degrees, scaled to 0.8, cropped and otherwise lit; how many matches lie within one patch of
the truth. Vectors: clothes of ten kinds on ten photographs, crossed; which share of a
picture's neighbours names its clothes, or its photograph. And photographs of clothes, clothes-photos.parquet (image,
label). The null has the same network with random weights. No image of a training run is asked.
"""

from __future__ import annotations

import argparse
import importlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from benchmarks.composing import compose
from benchmarks.hovering import print_hover
from benchmarks.painting import print_colours
from benchmarks.weights import knn_accuracy, parts_of
from dinoscope.analysis.patches import find_foreground, match_patches, token_similarities, unit_tokens
from dinoscope.analysis.patches.foreground import FOREGROUND_METHODS
from dinoscope.base.parallel import in_threads
from dinoscope.collection import Collection
from dinoscope.models.encoder import Encoder
from dinoscope.models.loading import LoadedModel, load_model
from dinoscope.sources.datasets.named import load_dataset
from pretraining.sets import get_set

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
_SIDE, _INK, _MOST, _SEEN = 128, 8, 1000, 300
_ANGLE, _SCALE, _CROP = 15.0, 0.8, 8  # degrees, factor, pixels off every side


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the Parquet files of both sets")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--pictures", type=int, default=200, help="pictures of the foreground and of the matches")
    parser.add_argument("--chosen", action="store_true", help="take the half by which the method was chosen")
    parser.add_argument(
        "--only", choices=("foreground", "matches", "vectors", "tokens", "colours", "hover"), help="one table alone"
    )
    arguments = parser.parse_args()
    data = arguments.data
    encoder, null = Encoder(arguments.model), random_encoder(arguments.model)
    tables: dict[str, Callable[[], None]] = {
        "foreground": lambda: print_foreground(encoder, null, data, arguments.pictures, arguments.chosen),
        "matches": lambda: print_matches(encoder, null, data, arguments.pictures),
        "vectors": lambda: print_vectors(encoder, data),
        "tokens": lambda: print_tokens(encoder, data),
        "colours": lambda: print_colours(held_out("tiny-imagenet", data)),
        "hover": lambda: print_hover(held_out("tiny-imagenet", data)[:_SEEN]),
    }
    for name, table in tables.items():
        if arguments.only in (None, name):
            table()


def print_foreground(encoder: Encoder, null: Encoder, data: Path, count: int, chosen: bool) -> None:
    """Print how well each way finds the foreground, and how well "how sure" tells that."""
    clothes = load_dataset("fashion-mnist-test").pixels
    photos, cuts = (held_out(name, data) for name in ("tiny-imagenet", "cifar10"))
    halves = [slice(start, None, 2) for start in (0, 1)]
    of_choice, of_test = (composed(clothes[half], cuts[half], photos[half], count) for half in halves)
    (pictures, masks), other = (of_choice, of_test[1]) if chosen else (of_test, of_choice[1])
    guess = best_guess(other)
    guessed = np.mean([overlap(guess, each) for each in masks])
    print(f"the same mask for every picture, the best of the other half: {guessed:.3f}\n")
    print("| foreground | side | trained | random weights | sureness and IoU, correlation | clear | IoU of these |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for way, side in [("border, finer map", each) for each in (64, 96, 128, 224)] + [
        (each, 128) for each in FOREGROUND_METHODS
    ]:
        found, drawn = (iou(each, pictures, masks, side, way) for each in (encoder, null))
        clear = found[:, 2] > 0
        print(
            f"| {way} | {side} | {found[:, 0].mean():.3f} | {drawn[:, 0].mean():.3f} | "
            f"{np.corrcoef(found[:, 0], found[:, 1])[0, 1]:.2f} | {clear.mean():.0%} | {found[clear, 0].mean():.3f} |",
            flush=True,
        )


def print_matches(encoder: Encoder, null: Encoder, data: Path, count: int) -> None:
    """Print how many matches between a photograph and its changed copy are right."""
    print("\n| matches: ratio | way back within | a picture | within a patch of the truth | random weights |")
    print("| --- | --- | --- | --- | --- |")
    scenes = [enlarged(each) for each in held_out("tiny-imagenet", data)[-count:]]
    pairs = [matched_tokens(each, scenes) for each in (encoder, null)]
    for ratio, cycle in ((1.0, 36), (1.0, 1), (1.0, 0), (0.95, 0), (0.9, 0), (0.8, 0)):
        shares = [matched(each, ratio, cycle) for each in pairs]
        back = "not asked" if cycle > 1 else f"{cycle}"
        print(f"| {ratio} | {back} | {shares[0][1]:.0f} | {shares[0][0]:.2f} | {shares[1][0]:.2f} |", flush=True)


def print_vectors(encoder: Encoder, data: Path) -> None:
    """Print what the neighbours of a vector have in common: the thing, or the photograph under it."""
    print("\n| vectors | k-NN of the clothes | of the photograph | k-NN of clothes on photographs |")
    print("| --- | --- | --- | --- |")
    clothes, photos = load_dataset("fashion-mnist-test"), held_out("tiny-imagenet", data)
    kinds = np.unique([item.label for item in clothes.items], return_inverse=True)[1].astype(np.int64)
    pictures, *answers = compose(clothes.pixels, kinds, photos[:10], times=6)
    table = pq.read_table(data / "clothes-photos.parquet", columns=["image", "label"])
    worn = [np.asarray(Image.open(io.BytesIO(each.as_py())).convert("RGB")) for each in table["image"]]
    names = np.unique(table["label"].to_pylist(), return_inverse=True)[1].astype(np.int64)
    focused = Encoder(encoder.model.name, focus="foreground")
    stored = Encoder(encoder.model.name, resolution=encoder.model.sides[-1])  # all of these pictures are large enough
    ways: dict[str, Callable[[Sequence[Pixels]], NDArray[np.float32]]] = {
        "of the whole picture, as stored": stored.encode,
        "mean of all patches": lambda images: mean_of_patches(encoder, images),
        "--focus foreground": focused.encode,
    }
    for name, embed in ways.items():
        vectors, of_photos = embed(list(pictures)), embed(worn)
        cells = [knn_accuracy(vectors, labels, vectors, labels) for labels in answers]
        cells.append(knn_accuracy(of_photos, names, of_photos, names))
        print(f"| {name} | {' | '.join(f'{each:.3f}' for each in cells)} |", flush=True)


def print_tokens(encoder: Encoder, data: Path) -> None:
    """Print what keeping tokens was told to take and took, and how long a search takes among those of 10,000 images."""
    with TemporaryDirectory() as place:
        made = Collection.from_images(held_out("tiny-imagenet", data)[:300], Path(place, "c"), model=encoder)
        told_at: list[float] = []
        plan = made.keep_tokens(on_plan=lambda _: told_at.append(time.perf_counter()))
        seconds = time.perf_counter() - told_at[0]
        size = sum(each.stat().st_size for each in (made.path / "results" / "tokens").iterdir())
        print("\n| tokens of 300 images | told | taken |\n| --- | --- | --- |")
        print(f"| MB | {plan.size / 1e6:.1f} | {size / 1e6:.1f} |\n| s | {plan.seconds:.1f} | {seconds:.1f} |")
        for row in (0, 1, 2, 3):
            began = time.perf_counter()
            made.search_patch(row, (0.5, 0.5))
            print(f"search {row}: {time.perf_counter() - began:.3f} s")
    draw = np.random.default_rng(0)
    parts = [draw.standard_normal((65_536, 256), np.float32).astype(np.float16) for _ in range(39)]
    asked = draw.standard_normal(256).astype(np.float32)
    times, worked = [], []
    for _ in range(7):
        began, before = time.perf_counter(), time.process_time()
        in_threads(lambda part: token_similarities(part, asked), parts)
        times.append(time.perf_counter() - began)
        worked.append(time.process_time() - before)
    print(f"2.6 million tokens of 256 numbers, 10,000 images: {np.median(times):.2f} s (least {min(times):.2f})")
    print(f"of these on all cores together: {np.median(worked):.2f} s")


def held_out(name: str, folder: Path) -> Pixels:
    """Return images (1000, H, W, 3) that no training run saw, the last ones; only these are decoded."""
    column = pa.concat_tables([pq.read_table(part, columns=["image"]) for part in parts_of(name, folder)])["image"]
    count = min(get_set(name).held_out(len(column)), _MOST)
    pictures = (Image.open(io.BytesIO(each.as_py())) for each in column[-count:])
    return np.stack([np.asarray(each.convert("RGB")) for each in pictures])


def random_encoder(name: str) -> Encoder:
    """Return a bundled network with random weights of the usual size (He et al. 2015)."""
    module = importlib.import_module("dinoscope.models.encoder")

    def load(*values: object, **settings: object) -> LoadedModel:
        found: LoadedModel = original(*values, **settings)
        model, draw = onnx.load_from_string(found.graph.proto), np.random.default_rng(0)
        for weight in model.graph.initializer:
            shape = tuple(weight.dims)
            if len(shape) >= 2 and np.prod(shape) > 1000:
                fan = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
                values_ = draw.standard_normal(shape) * np.sqrt(2 / fan)
                kind = onnx.helper.tensor_dtype_to_np_dtype(weight.data_type)
                weight.CopyFrom(onnx.numpy_helper.from_array(values_.astype(kind), weight.name))
        return replace(found, graph=replace(found.graph, proto=model.SerializeToString()))

    original: Callable[..., LoadedModel] = load_model
    with patch.object(module, "load_model", load):
        return Encoder(name)


def composed(clothes: Pixels, cuts: Pixels, photos: Pixels, count: int) -> tuple[list[Pixels], list[Mask]]:
    """Return pictures of things on photographs, and where the thing is."""
    draw = np.random.default_rng(0)
    pictures, masks = [], []
    for number in range(count):
        ground = Image.fromarray(enlarged(photos[draw.integers(len(photos))]))
        size = int(_SIDE * draw.uniform(0.45, 0.65))
        left, top = draw.integers(0, _SIDE - size + 1, 2).tolist()
        if number % 2:
            thing = clothes[draw.integers(len(clothes))]
            over = Image.fromarray((thing[..., None] * draw.uniform(0.4, 1, 3)).astype(np.uint8))
            inside = Image.fromarray(((thing > _INK) * 255).astype(np.uint8)).resize((size, size))
        else:
            over = Image.fromarray(cuts[draw.integers(len(cuts))])
            inside = Image.new("L", (size, size))
            ImageDraw.Draw(inside).ellipse((0, 0, size - 1, size - 1), fill=255)
        ground.paste(over.resize((size, size), Image.Resampling.BICUBIC), (left, top), inside)
        mask = Image.new("L", (_SIDE, _SIDE))
        mask.paste(inside, (left, top))
        pictures.append(np.asarray(ground))
        masks.append(np.asarray(mask) > 127)
    return pictures, masks


def enlarged(photo: Pixels) -> Pixels:
    """Return a photograph at 128 pixels."""
    return np.asarray(Image.fromarray(photo).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))


def overlap(found: Mask, truth: Mask) -> float:
    """Return the intersection of two masks over their union."""
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def best_guess(masks: list[Mask]) -> Mask:
    """Return the mask that fits best without a look at any picture: where enough of these have the thing."""
    mean = np.mean(masks, axis=0)
    guesses = [mean > level for level in np.linspace(0.05, 0.6, 23)]
    return max(guesses, key=lambda guess: np.mean([overlap(guess, each) for each in masks]))


def iou(encoder: Encoder, pictures: list[Pixels], masks: list[Mask], side: int, way: str) -> NDArray[np.float64]:
    """Return the overlap (IoU) of each picture, how sure its foreground is, and whether it is clear (N, 3)."""
    found = []
    for picture, mask in zip(pictures, masks, strict=True):
        seen = encoder.look(picture, side)
        finer = seen.finer if "finer" in way else None
        ground = find_foreground(unit_tokens(seen.tokens)[0], way.split(",")[0], finer)  # type: ignore[arg-type]
        full = np.asarray(Image.fromarray(ground.mask).resize((_SIDE, _SIDE), Image.Resampling.NEAREST))
        found.append((overlap(full, mask), ground.sure, ground.clear))
    return np.asarray(found)


def warped(picture: Pixels, seed: int) -> tuple[Pixels, NDArray[np.float64]]:
    """Return a copy, turned, scaled, cropped and otherwise lit, and what brings its pixels back (2, 3)."""
    draw = np.random.default_rng(seed)
    angle = np.deg2rad(draw.choice([-_ANGLE, _ANGLE]))
    middle, kept = (_SIDE - 1) / 2, _SIDE - 2 * _CROP
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / _SCALE
    # a place of the copy, from its middle, and where it was
    back = np.concatenate([turn, (middle - turn @ np.full(2, (kept - 1) / 2))[:, None]], axis=1)
    image = Image.fromarray(np.pad(picture, ((_SIDE, _SIDE), (_SIDE, _SIDE), (0, 0)), mode="reflect"))
    corner = back[:, 2] + _SIDE + 0.5 - turn @ np.full(2, 0.5)
    copy = image.transform(
        (kept, kept), Image.Transform.AFFINE, (*turn[0], corner[0], *turn[1], corner[1]), Image.Resampling.BICUBIC
    )
    lit = ImageEnhance.Contrast(ImageEnhance.Brightness(copy).enhance(draw.uniform(0.7, 1.3)))
    return np.asarray(lit.enhance(draw.uniform(0.8, 1.2))), back


Grids = list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]]


def matched_tokens(encoder: Encoder, scenes: list[Pixels]) -> Grids:
    """Return the unit tokens of each picture and of its copy, and how places of the copy come back."""
    found = []
    for seed, scene in enumerate(scenes):
        copy, back = warped(scene, seed)
        first, second = (unit_tokens(encoder.look(each, len(each)).tokens)[0] for each in (scene, copy))
        found.append((first, second, back))
    return found


def matched(grids: Grids, ratio: float, cycle: int) -> tuple[float, float]:
    """Return the share of matches within one patch of the truth, and how many matches a picture has."""
    right, count = 0, 0
    for first, second, back in grids:
        found = match_patches(first, second, ratio=ratio, cycle=cycle)
        places = 8 * found.second[:, ::-1] + 3.5  # x and y in the copy
        truth = places @ back[:, :2].T + back[:, 2]
        misses = np.abs(8 * found.first[:, ::-1] + 3.5 - truth).max(axis=1)
        right += int((misses <= 8).sum())
        count += len(misses)
    return right / max(count, 1), count / len(grids)


def mean_of_patches(encoder: Encoder, pictures: Sequence[Pixels]) -> NDArray[np.float32]:
    """Return unit vectors (N, D): the mean of all patches of each picture, seen at 128 pixels."""
    rows = np.stack([encoder.look(each).tokens.mean(axis=(0, 1)) for each in pictures])
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


if __name__ == "__main__":
    main()
