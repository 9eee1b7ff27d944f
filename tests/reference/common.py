"""What the tests and the parity check share. Needs no torch.

Weights are not stored: a rule makes every value from the tensor's name. So a safetensors file of any size is no more
than its header, and the header that transformers or timm wrote is enough to have their file again, byte for byte.
"""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from dinoscope.models.checkpoint import Checkpoint
from dinoscope.models.graphs.vit import build_graph
from tests import ROOT

DATA = ROOT / "tests" / "data" / "vit"

# Of the tokens of patches, every fifth is stored: no grid there has a side that 5 divides, so all columns are met.
STRIDE = 5

# What "the same model" means: least cosine of a token, largest difference of a value.
COSINE, DIFFERENCE = 0.99999, 1e-3
ATTENTION = 1e-4  # largest difference of a weight, each between 0 and 1


def values(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Make a tensor's values from its name: nothing is 0 or 1 throughout, and every tensor has a say.

    They are whole numbers of -128..127 times a power of two, which float16 and bfloat16 hold exactly too.
    """
    count = math.prod(shape)
    raw = np.random.PCG64(zlib.crc32(name.encode())).random_raw(-(-count // 8))
    steps: NDArray[np.float32] = raw.astype("<u8").view(np.int8)[:count].reshape(shape).astype(np.float32)
    if name.endswith("bias"):
        scale = 2.0**-9
    elif len(shape) == 1:  # norms and layer scale: 0.5..1.5
        steps, scale = 128 + steps // 2, 2.0**-7
    elif "token" in name or "pos" in name:
        scale = 2.0**-7
    else:  # a layer's output is about twice as large as its input, so that attention has favourites
        scale = 2.0 ** -round(math.log2(37 * math.sqrt(math.prod(shape[1:]))))
    steps *= np.float32(scale)
    return steps


def pixels(resolution: int, images: int = 2) -> NDArray[np.uint8]:
    """Make images uint8 (N, R, R, 3) of blots, so that patches differ, under a ramp, so that places do."""
    raw = np.random.PCG64(resolution).random_raw(images * 49 * 3)
    blots: NDArray[np.uint8] = (raw % 160).reshape(images, 7, 7, 3).astype(np.uint8)
    place = np.arange(resolution)
    nearest, ramp = place * 7 // resolution, place * 47 // resolution
    slope = ramp[:, None, None] * np.array([2, 0, 1]) + ramp[:, None] * np.array([0, 2, 1])
    blots = blots[:, nearest][:, :, nearest]
    blots += slope.astype(np.uint8)
    return blots


def header(shapes: Mapping[str, tuple[int, ...]], kind: str = "F32") -> bytes:
    """Write the header of a safetensors file that holds tensors of these shapes, all of one type."""
    width = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}[kind]
    entries, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + math.prod(shape) * width
        entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    return json.dumps(entries).encode()


def shapes_of(header: bytes) -> dict[str, tuple[int, ...]]:
    """Read the names and shapes in a header, in the order of the file."""
    return {name: tuple(entry["shape"]) for name, entry in _entries(header)}


def write_by_rule(file: Path, header: bytes) -> Path:
    """Write the safetensors file of this header with the values of ``values``."""
    with file.open("wb") as stream:
        stream.write(len(header).to_bytes(8, "little") + header)
        for name, entry in _entries(header):
            stream.write(_encode(values(name, tuple(entry["shape"])), entry["dtype"]))
    return file


def _entries(header: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    entries = ((name, entry) for name, entry in json.loads(header).items() if name != "__metadata__")
    return iter(sorted(entries, key=lambda each: each[1]["data_offsets"]))


def _encode(array: np.ndarray, kind: str) -> bytes:
    if kind == "BF16":
        return (array.view(np.uint32) >> 16).astype("<u2").tobytes()
    return array.astype({"F64": "<f8", "F32": "<f4", "F16": "<f2"}[kind]).tobytes()


def run(checkpoint: Checkpoint, images: np.ndarray) -> dict[str, np.ndarray]:
    """Run our graph of a checkpoint: ``cls``, ``patches`` and ``attention`` of images uint8 (N, R, R, 3)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: as many as there are cores
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(checkpoint.file.parent)
    )
    graph = build_graph(checkpoint, images.shape[1])
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = ["cls", "patches", "attention"]
    return dict(zip(names, session.run(names, {"pixels": images}), strict=True))


def antialiased(checkpoint: Checkpoint) -> Checkpoint:
    """Interpolate the position embedding as timm does: always with antialiasing; upstream: only beside registers."""
    return replace(checkpoint, geometry=replace(checkpoint.geometry, antialias=True))


def cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the least cosine of a token (..., D) to the same token of the other."""
    a, b = (each.astype(np.float64) for each in (ours, theirs))
    return float(((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)).min())
