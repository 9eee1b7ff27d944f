"""What people wait for, beside what they should: ``python -m benchmarks.waiting``.

Wall seconds: of a new process the median of several, of duplicates and findings one run. ``--photographs DIR`` adds a
folder of photographs to a collection, beside the time that it takes to decode them and nothing else. ``--int8 DIR``
prints another table, and only that: a ViT-S/14 of random weights in 8 bits by OpenVINO's own recipe (``pip install
nncf``), calibrated and judged on photographs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.vit import make_weights
from dinoscope.base.machine import cores
from dinoscope.base.vectors import l2_normalize
from dinoscope.collection import Collection
from dinoscope.errors import DinoscopeError
from dinoscope.models.encoder import Encoder
from dinoscope.stages.cleaning.findings import duplicates

__all__ = ["main"]

_CALIBRATED, _CHUNK = 64, 4
_MAP = "import sys, numpy, dinoscope as ds; ds.umap(numpy.load(sys.argv[1]))"


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def cold_map(vectors: NDArray[np.float32], folder: Path, repeats: int) -> None:
    """Print how long a new process takes from vectors to a map."""
    np.save(folder / "vectors.npy", vectors)
    command = [sys.executable, "-c", _MAP, str(folder / "vectors.npy")]
    taken = [_seconds(lambda: subprocess.run(command, check=True)) for _ in range(repeats + 1)]
    print(f"| {len(vectors):,} vectors to a map, new process | {statistics.median(taken[1:]):.2f} | 2.5 |", flush=True)


def cleaning(folder: Path) -> None:
    """Print how long near-duplicates, and all findings, take."""
    for name, must in (("fashion-mnist-test", 1.5), ("fashion-mnist", 15)):
        try:
            opened = Collection.from_images(name, folder / name, model="mini-fashion")
        except DinoscopeError as error:
            print(f"| {name}: {error} | | |")
            continue
        opened.neighbors()
        alone = _seconds(lambda opened=opened: duplicates(opened))  # type: ignore[misc]
        rest = _seconds(opened.findings)
        print(f"| near-duplicates of {len(opened):,}, neighbours known | {alone:.2f} | {must} |")
        print(f"| with outliers and labels to check | {alone + rest:.2f} | |", flush=True)


def uint8_rates(repeats: int) -> None:
    """Print how many arrays a second become vectors on all cores."""
    images = np.random.default_rng(0).integers(0, 256, (4_096, 32, 32, 3), np.uint8)
    for precision, must in (("int8", "2,500"), ("fp32", "")):
        encoder = Encoder("mini", precision=precision)
        encoder.encode(images[:256])
        rate = len(images) / statistics.median(
            _seconds(lambda encoder=encoder: encoder.encode(images))  # type: ignore[misc]
            for _ in range(repeats)
        )
        print(f"| `mini`, {precision}, arrays of 32 pixels to vectors | {rate:,.0f} images/s | {must} |", flush=True)


def photographs(place: Path, folder: Path, repeats: int) -> None:
    """Print how long photographs take to a collection, and to decode."""
    files = [each for each in sorted(place.rglob("*")) if each.suffix.lower() in (".jpg", ".jpeg")]

    def decode() -> None:
        with ThreadPoolExecutor(cores()) as pool:
            for _ in pool.map(lambda file: np.asarray(Image.open(file).convert("RGB")), files):
                pass

    embedded, decoded = [], []
    for each in range(repeats):
        collection = str(folder / f"photographs-{each}")
        command = [sys.executable, "-m", "dinoscope", "embed", str(place), "-o", collection, "--model", "mini"]
        decoded.append(_seconds(decode))
        embedded.append(_seconds(lambda command=command: subprocess.run(command, check=True, capture_output=True)))  # type: ignore[misc]
    whole, bare = statistics.median(embedded), statistics.median(decoded)
    print(f"| {len(files):,} photographs to a collection, new process | {whole:.1f} | 8 |")
    print(
        f"| to decode them and nothing else, {cores()} threads; times as long | {bare:.1f}; {whole / bare:.1f} | 1.3 |"
    )


def official_int8(place: Path, folder: Path, repeats: int) -> None:
    """Print what 8 bits bring to a ViT-S/14 beside bfloat16, in the same program, in turn."""
    os.environ["NNCF_CI"] = "1"  # otherwise it reports its use to its makers
    import nncf  # type: ignore[import-not-found]
    import openvino

    from dinoscope.models.catalogue import get_model
    from dinoscope.models.loading import load_model
    from dinoscope.models.runtime import _on_disk

    make_weights(folder)
    weights = str(folder / "dinov2-small")
    encoder = Encoder(weights, device="openvino", resolution=224)
    pictures = [Image.open(file).convert("RGB") for file in sorted(place.rglob("*.jpg"))[: _CALIBRATED + 300]]
    squares = np.stack([encoder.preprocess(np.asarray(each), each.size) for each in pictures])
    core = openvino.Core()
    with _on_disk(load_model(get_model(weights), resolution=224).graph) as path:
        exact = core.read_model(path)
        whole = nncf.quantize(
            core.read_model(path),
            nncf.Dataset([each[None] for each in squares[:_CALIBRATED]]),
            preset=nncf.QuantizationPreset.MIXED,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=_CALIBRATED,
        )
        kinds = {"fp32": (exact, "f32"), "bf16": (exact, "bf16"), "int8, the rest bf16": (whole, "bf16")}
        networks = {
            name: core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": rest})
            for name, (model, rest) in kinds.items()
        }
    seen = squares[_CALIBRATED:]
    rates: dict[str, list[float]] = {name: [] for name in networks}
    vectors: dict[str, NDArray[np.float32]] = {}
    for _ in range(repeats + 1):
        for name, network in networks.items():
            began = time.perf_counter()
            vectors[name] = _run(openvino, network, seen)
            rates[name].append(len(seen) / (time.perf_counter() - began))
    print(f"| ViT-S/14, random weights, {len(seen)} photographs | images/s | cosine to fp32, mean; least |")
    print("| --- | --- | --- |")
    for name, found in vectors.items():
        cosine = (found * vectors["fp32"]).sum(axis=1)
        print(f"| {name} | {statistics.median(rates[name][1:]):.1f} | {cosine.mean():.4f}; {cosine.min():.4f} |")


def _run(openvino: Any, network: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    queue = openvino.AsyncInferQueue(network, network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
    port = next(each for each in network.outputs if "cls" in each.get_names())
    parts: dict[int, NDArray[np.float32]] = {}
    queue.set_callback(lambda request, at: parts.update({at: request.get_tensor(port).data.copy()}))
    for first in range(0, len(images), _CHUNK):
        queue.start_async({"pixels": images[first : first + _CHUNK]}, first)
    queue.wait_all()
    return l2_normalize(np.concatenate([parts[first] for first in sorted(parts)]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--photographs", type=Path, metavar="DIR")
    parser.add_argument("--int8", type=Path, metavar="DIR", help="photographs; prints no other table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.int8:
            official_int8(arguments.int8.resolve(), folder, arguments.repeats)
            return
        print("| what | seconds | must |\n| --- | --- | --- |")
        opened = Collection.from_images("fashion-mnist-test", folder / "demo", model="mini-fashion")
        cold_map(opened.vectors[:5_000], folder, arguments.repeats)
        cleaning(folder)
        uint8_rates(arguments.repeats)
        if arguments.photographs:
            photographs(arguments.photographs.resolve(), folder, arguments.repeats)


if __name__ == "__main__":
    main()
