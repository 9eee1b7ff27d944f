"""What whole numbers of 8 bits do to the bundled network: ``python -m benchmarks.int8 --data DIR``.

The network is quantised statically: the ranges of what its layers put out are read from 512 images of Tiny-ImageNet.
Its vectors are compared with those of the network as it ships, by the k-NN accuracy of 10,000 images, each left out in
turn.
Weights of 7 bits are for processors without VNNI, on which sums of products of 8 bits overflow.
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow.parquet as pq
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image

import dinoscope
from dinoscope.base.vectors import l2_normalize

__all__ = ["main", "quantise", "vectors_of"]

_WEIGHTS = Path(dinoscope.__file__).parent / "weights" / "mini.onnx"
_SIDE, _BATCH, _CALIBRATION = 32, 32, 512
_LAYERS = ["Conv", "MatMul", "Gemm"]


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # it has no types
    """Hands out batches of images."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.batches: Iterator[NDArray[np.uint8]] = iter(np.array_split(images, max(1, len(images) // _BATCH)))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next batch by the name of the input."""
        batch = next(self.batches, None)
        return None if batch is None else {"pixels": batch}


@dataclass(frozen=True)
class Measured:
    """What a network gave: vectors (N, D) and milliseconds of processor time an image."""

    vectors: NDArray[np.float32]
    milliseconds: float


def quantise(weights: Path, target: Path, images: NDArray[np.uint8], *, seven_bits: bool) -> None:
    """Write a network with layers of whole numbers.

    Args:
        weights: The network; what it holds as float16 is made float32 first.
        target: The file to write.
        images: Images (N, R, R, 3) that tell the ranges.
        seven_bits: Take 7 bits for the weights in place of 8.
    """
    folded = target.with_suffix(".folded.onnx")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    quantize_static(
        str(folded),
        str(target),
        _Reader(images),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=_LAYERS,
        per_channel=True,
        reduce_range=seven_bits,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def vectors_of(weights: Path, images: NDArray[np.uint8], batch: int = _BATCH) -> Measured:
    """Return the vectors of images by a network on one thread, and the median time of its batches by their size."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    network = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    vectors, times = [], []
    for first in range(0, len(images), batch):
        began = time.process_time()
        vectors.append(network.run(["cls"], {"pixels": images[first : first + batch]})[0])
        times.append((time.process_time() - began) / len(vectors[-1]))
    return Measured(l2_normalize(np.concatenate(vectors)), 1e3 * statistics.median(times))


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


def read_images(file: Path, count: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return the first images (N, R, R, 3) of a Parquet file, and their labels."""
    table = pq.read_table(file).slice(0, count)
    pictures = [
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BICUBIC))
        for each in table["image"].to_pylist()
    ]
    return np.stack(pictures), np.array(table["label"].to_pylist())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the Parquet files")
    parser.add_argument("--count", type=int, default=10_000, help="images whose neighbours vote")
    arguments = parser.parse_args()
    calibration, _ = read_images(arguments.data / "tiny-imagenet-train-1.parquet", _CALIBRATION)
    sets = [
        read_images(arguments.data / name, arguments.count)
        for name in ("cifar10-train.parquet", "tiny-imagenet-train-2.parquet")
    ]
    print("| network | ms an image | k-NN, CIFAR-10 | k-NN, Tiny-ImageNet | cosine | one by one | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    usual: NDArray[np.float32] | None = None
    with tempfile.TemporaryDirectory() as folder:
        files = {"as it ships": _WEIGHTS}
        for name, seven_bits in (("int8", False), ("int8, weights of 7 bits", True)):
            files[name] = Path(folder) / f"{len(files)}.onnx"
            quantise(_WEIGHTS, files[name], calibration, seven_bits=seven_bits)
        for name, file in files.items():
            found = [vectors_of(file, images) for images, _ in sets]
            usual = found[0].vectors if usual is None else usual
            cosine = float((found[0].vectors * usual).sum(axis=1).mean())
            alone = vectors_of(file, sets[0][0][:64], batch=1).vectors
            scores = [accuracy(each.vectors, labels) for each, (_, labels) in zip(found, sets, strict=True)]
            print(
                f"| {name} | {found[0].milliseconds:.2f} | {scores[0]:.4f} | {scores[1]:.4f} | {cosine:.4f} | "
                f"{np.abs(alone - found[0].vectors[:64]).max():.1e} | {file.stat().st_size / 1e6:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
