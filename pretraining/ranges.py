"""Read off what whole numbers of 8 bits need: ``python -m pretraining.ranges --data DIR``.

Writes ``ranges.json`` beside the weights: the least and the greatest value that each tensor takes on training images,
and the SHA-256 of those weights. Make it again when the weights change: dinoscope refuses it otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

import dinoscope
from dinoscope.models.catalogue import RANGES, Model, get_model
from dinoscope.models.graphs.int8 import ranged
from pretraining.images import load

__all__ = ["main", "value_ranges"]

_WEIGHTS = Path(dinoscope.__file__).parent / "weights"
_IMAGES, _BATCH = 1_024, 32


def value_ranges(weights: bytes, sets: Iterable[NDArray[np.uint8]]) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest value of what the convolutions of a network take and give.

    Args:
        weights: Serialised ONNX model.
        sets: Training images (N, R, R, 3), of one side in each set.
    """
    names = ranged(weights)
    model = onnx.load_from_string(weights)
    model.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    network = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: dict[str, tuple[float, float]] = {}
    batches = (images[first : first + _BATCH] for images in sets for first in range(0, len(images), _BATCH))
    for batch in batches:
        for name, values in zip(names, network.run(names, {"pixels": batch}), strict=True):
            low, high = found.get(name, (np.inf, -np.inf))
            found[name] = min(low, float(values.min())), max(high, float(values.max()))
    return found


def _seen(name: str, folder: Path, row: Model) -> NDArray[np.uint8]:
    """Return the first training images of a set as a model sees them, (N, R, R, 3)."""
    pixels = load(name, folder, held_out=0, limit=_IMAGES).images.permute(0, 2, 3, 1).numpy()
    side = row.resolution_for(pixels.shape[1])
    pictures = [Image.fromarray(each if each.shape[2] == 3 else each.repeat(3, axis=2)) for each in pixels]
    return np.stack([np.asarray(each.resize((side, side), Image.Resampling.BICUBIC)) for each in pictures])


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training images")
    parser.add_argument("--out", type=Path, default=_WEIGHTS / RANGES)
    arguments = parser.parse_args()
    found = {}
    for name, sets in {"mini": ("tiny-imagenet", "cifar10"), "mini-fashion": ("fashion-mnist",)}.items():
        weights, row = (_WEIGHTS / f"{name}.onnx").read_bytes(), get_model(name)
        found[name] = {
            "weights_sha256": hashlib.sha256(weights).hexdigest(),
            "ranges": {
                tensor: [float(f"{value:.5g}") for value in ends]
                for tensor, ends in value_ranges(weights, (_seen(each, arguments.data, row) for each in sets)).items()
            },
        }
    arguments.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
