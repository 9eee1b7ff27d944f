"""Read off what whole numbers of 8 bits need: ``python -m pretraining.ranges --data DIR``.

Writes ``ranges.json`` beside the weights: the least and the greatest value that each tensor takes on training images.
Make it again when the weights change.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

import dinoscope
from dinoscope.models.graphs.int8 import ranged
from pretraining.sets import FASHION_MNIST

__all__ = ["main", "read_photographs", "value_ranges"]

_WEIGHTS = Path(dinoscope.__file__).parent / "weights"
_IMAGES, _BATCH = 1_024, 32


def value_ranges(weights: bytes, images: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest value of what the convolutions of a network take and give.

    Args:
        weights: Serialised ONNX model.
        images: Training images (N, R, R, 3).
    """
    names = ranged(weights)
    model = onnx.load_from_string(weights)
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    network = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: dict[str, tuple[float, float]] = {}
    for first in range(0, len(images), _BATCH):
        for name, values in zip(names, network.run(names, {"pixels": images[first : first + _BATCH]}), strict=True):
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(values.min())), max(high, float(values.max()))
    return found


def read_photographs(file: Path, first: int, count: int, side: int) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return images (N, R, R, 3) of a Parquet file and their labels, from a row on."""
    table = pq.read_table(file).slice(first, count)
    pictures = [
        np.asarray(Image.open(io.BytesIO(each)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
        for each in table["image"].to_pylist()
    ]
    return np.stack(pictures), np.array(table["label"].to_pylist())


def _clothes(folder: Path) -> NDArray[np.uint8]:
    name = "train-images-idx3-ubyte.gz"
    file = folder / name if (folder / name).exists() else FASHION_MNIST / name
    pixels = np.frombuffer(gzip.decompress(file.read_bytes()), np.uint8, offset=16)
    return pixels.reshape(-1, 28, 28, 1)[:_IMAGES].repeat(3, axis=3)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training images")
    parser.add_argument("--out", type=Path, default=_WEIGHTS / "ranges.json")
    arguments = parser.parse_args()
    photographs = [
        read_photographs(arguments.data / f"{name}.parquet", 0, _IMAGES, 32)[0]
        for name in ("tiny-imagenet-train-0", "cifar10-train")
    ]
    images = {"mini": np.concatenate(photographs), "mini-fashion": _clothes(arguments.data)}
    found = {
        name: {
            tensor: [float(f"{value:.5g}") for value in ends]
            for tensor, ends in value_ranges((_WEIGHTS / f"{name}.onnx").read_bytes(), squares).items()
        }
        for name, squares in images.items()
    }
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
