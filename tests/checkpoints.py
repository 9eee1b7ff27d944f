"""Weights of tiny ViTs that several tests make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DIM, PATCH, GRID = 64, 8, 4


def write_tensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> Path:
    """Write float32 arrays as a safetensors file, by the definition of the format."""
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(each.tobytes() for each in tensors.values()))
    return path


def random_vit(
    family: str = "dinov2", *, dim: int = DIM, depth: int = 2, patch: int = PATCH, seed: int = 0
) -> dict[str, NDArray[np.float32]]:
    """Make random weights in timm's names, such that images differ in their vectors."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int, scale: float = 0.1) -> NDArray[np.float32]:
        return rng.normal(0, scale, shape).astype(np.float32)

    tensors = {
        "cls_token": draw(1, 1, dim),
        "patch_embed.proj.weight": draw(dim, 3, patch, patch),
        "patch_embed.proj.bias": draw(dim),
        "norm.weight": 1 + draw(dim),
        "norm.bias": draw(dim),
    }
    if family == "dinov3":
        tensors["reg_token"] = draw(1, 4, dim)
    else:
        tensors["pos_embed"] = draw(1, 1 + GRID * GRID, dim, scale=0.5)
    for block in range(depth):
        shapes = {
            "norm1.weight": (dim,),
            "norm1.bias": (dim,),
            "attn.qkv.weight": (3 * dim, dim),
            "attn.qkv.bias": (3 * dim,),
            "attn.proj.weight": (dim, dim),
            "attn.proj.bias": (dim,),
            "norm2.weight": (dim,),
            "norm2.bias": (dim,),
            "mlp.fc1.weight": (4 * dim, dim),
            "mlp.fc1.bias": (4 * dim,),
            "mlp.fc2.weight": (dim, 4 * dim),
            "mlp.fc2.bias": (dim,),
        }
        if family != "dino":
            shapes |= {"ls1.gamma": (dim,), "ls2.gamma": (dim,)}
        for name, shape in shapes.items():
            one = name.endswith((".gamma", "norm1.weight", "norm2.weight"))
            tensors[f"blocks.{block}.{name}"] = one + draw(*shape)
    return tensors


def save_vit(folder: Path, family: str = "dinov2", *, dim: int = DIM, depth: int = 2, patch: int = PATCH) -> Path:
    """Save such weights as a folder that ``--model`` takes; returns the folder."""
    write_tensors(folder / "model.safetensors", random_vit(family, dim=dim, depth=depth, patch=patch))
    return folder
