"""What whole numbers of 8 bits do to the bundled networks: ``python -m benchmarks.int8 --data DIR``.

Speed on one thread by processor time, networks in turn. The k-NN accuracy is of images that no training saw, each left
out in turn.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.weights import colour, fashion_mnist, knn_accuracy, parquet, resized, unit
from dinoscope.models.catalogue import get_model, read_ranges, read_weights
from dinoscope.models.graphs.int8 import quantized
from dinoscope.models.runtime import Graph, Runtime, open_runtime

__all__ = ["main"]

_BATCH, _ROUNDS = 64, 21


def _vectors(runtime: Runtime, images: NDArray[np.uint8], batch: int = _BATCH) -> NDArray[np.float32]:
    parts = [runtime.run(["cls"], images[at : at + batch])[0] for at in range(0, len(images), batch)]
    return unit(np.concatenate(parts))


def _open(name: str) -> dict[str, Runtime]:
    """Return a bundled network on one thread, on both runtimes and in both precisions."""
    row = get_model(name)
    exact = read_weights(row)
    weights = {"fp32": exact, "int8": quantized(exact, read_ranges(row, hashlib.sha256(exact).hexdigest()))}
    devices = {"ONNX Runtime": "cpu", "OpenVINO": "openvino-fp32"}
    return {
        f"{precision}, {title}": open_runtime(Graph(name, proto, small=True), device, threads=1)
        for precision, proto in weights.items()
        for title, device in devices.items()
    }


def _milliseconds(networks: dict[str, Runtime], images: NDArray[np.uint8]) -> dict[str, float]:
    """Return the milliseconds of processor time an image, medians of rounds in turn."""
    taken: dict[str, list[float]] = {title: [] for title in networks}
    for _ in range(_ROUNDS):
        for title, network in networks.items():
            began = time.process_time()
            _vectors(network, images[: 4 * _BATCH])
            taken[title].append((time.process_time() - began) / (4 * _BATCH))
    return {title: 1e3 * statistics.median(each) for title, each in taken.items()}


def _sets(name: str, data: Path, count: int) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Return images of no training, with their labels."""
    if name == "mini-fashion":
        pixels, labels = fashion_mnist("t10k", data)
        return {"Fashion-MNIST": (colour(pixels[:count]), labels[:count])}
    found = {}
    for title, key in (("CIFAR-10", "cifar10"), ("Tiny-ImageNet", "tiny-imagenet")):
        pixels, labels, held_out = parquet(key, data)
        unseen = slice(len(pixels) - min(count, held_out), None)
        side = get_model(name).resolution_for(min(pixels.shape[1:3]))
        found[title] = resized(pixels[unseen], side), labels[unseen]
    return found


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the Parquet files")
    parser.add_argument("--count", type=int, default=10_000, help="images whose neighbours vote")
    arguments = parser.parse_args()
    for name in ("mini", "mini-fashion"):
        sets = _sets(name, arguments.data, arguments.count)
        networks = _open(name)
        first = next(iter(sets.values()))[0]
        times = _milliseconds(networks, first)
        print(f"\n| {name} | ms an image | {' | '.join(f'k-NN, {each}' for each in sets)} | cosine | one by one |")
        print("| --- " * (len(sets) + 4) + "|")
        usual: NDArray[np.float32] | None = None
        for title, network in networks.items():
            found = [_vectors(network, images) for images, _ in sets.values()]
            usual = found[0] if usual is None else usual
            scores = [
                knn_accuracy(each, labels, each, labels) for each, (_, labels) in zip(found, sets.values(), strict=True)
            ]
            alone = _vectors(network, first[:64], batch=1)
            print(
                f"| {title} | {times[title]:.2f} | {' | '.join(f'{each:.4f}' for each in scores)} | "
                f"{float((found[0] * usual).sum(axis=1).mean()):.4f} | {np.abs(alone - found[0][:64]).max():.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
