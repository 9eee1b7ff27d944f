"""What whole numbers of 8 bits do to the bundled networks: ``python -m benchmarks.int8 --data DIR``.

Speed on one thread by processor time, networks in turn. The k-NN accuracy is of images that no training saw, each left
out in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.vectors import l2_normalize
from dinoscope.models.catalogue import get_model, read_ranges, read_weights
from dinoscope.models.graphs.int8 import quantized
from dinoscope.models.runtime import Graph, Runtime, open_runtime
from dinoscope.sources.datasets.named import load_dataset
from pretraining.ranges import read_photographs

__all__ = ["main"]

_BATCH, _ROUNDS = 64, 21


def _vectors(runtime: Runtime, images: NDArray[np.uint8], batch: int = _BATCH) -> NDArray[np.float32]:
    parts = [runtime.run(["cls"], images[at : at + batch])[0] for at in range(0, len(images), batch)]
    return l2_normalize(np.concatenate(parts))


def accuracy(vectors: NDArray[np.float32], labels: NDArray[Any], k: int = 20) -> float:
    """Return the share of images whose label the ``k`` nearest others vote for, by exp(similarity / 0.07)."""
    codes = np.unique(labels, return_inverse=True)[1]
    right = 0
    for first in range(0, len(vectors), 1_000):
        rows = np.arange(first, min(first + 1_000, len(vectors)))
        near = vectors[rows] @ vectors.T
        near[np.arange(len(rows)), rows] = -1
        best = np.argpartition(-near, k, axis=1)[:, :k]
        votes = np.exp(np.take_along_axis(near, best, axis=1) / 0.07)
        said = [np.bincount(codes[others], weights=vote).argmax() for others, vote in zip(best, votes, strict=True)]
        right += int((np.array(said) == codes[rows]).sum())
    return right / len(vectors)


def _open(name: str) -> dict[str, Runtime]:
    """Return a bundled network on one thread, on both runtimes and in both precisions."""
    row = get_model(name)
    weights = {"fp32": read_weights(row), "int8": quantized(read_weights(row), read_ranges(row))}
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


def _sets(name: str, data: Path, count: int) -> dict[str, tuple[NDArray[np.uint8], NDArray[Any]]]:
    """Return images of no training, with their labels."""
    if name == "mini-fashion":
        found = load_dataset("fashion-mnist-test")
        labels = np.array([item.label for item in found.items])
        return {"Fashion-MNIST": (found.pixels[:count, :, :, None].repeat(3, axis=3), labels[:count])}
    return {
        "CIFAR-10": read_photographs(data / "cifar10-train.parquet", 50_000 - count, count, 32),
        "Tiny-ImageNet": read_photographs(data / "tiny-imagenet-train-3.parquet", 15_900, min(9_100, count), 32),
    }


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
            scores = [accuracy(each, labels) for each, (_, labels) in zip(found, sets.values(), strict=True)]
            alone = _vectors(network, first[:64], batch=1)
            print(
                f"| {title} | {times[title]:.2f} | {' | '.join(f'{each:.4f}' for each in scores)} | "
                f"{float((found[0] * usual).sum(axis=1).mean()):.4f} | {np.abs(alone - found[0][:64]).max():.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
