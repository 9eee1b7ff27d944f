"""The weights of a DINO ViT: one set of names for what transformers, timm and the original code each call otherwise.

cls, registers, position, patch.weight, patch.bias, norm.weight, norm.bias
N.norm1.*  N.q.* N.k.* N.v.* N.proj.*  N.scale1  N.norm2.*  N.up.* N.gate.* N.down.*  N.scale2       (block N)
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dinoscope.errors import ModelError
from dinoscope.models.processor import read_beside
from dinoscope.models.safetensors import Tensor, read_tensors

__all__ = ["Checkpoint", "Geometry", "read_checkpoint"]

_ROPE_BASE = 100.0
_LARGEST_EPS = 1e-5  # of a DINO; below it, vectors do not depend on it
# Wrappers around the model itself, in the names of its tensors.
_PREFIX = re.compile(r"^(?:(?:module|model|backbone|encoder|vit|dinov2|dinov2_with_registers|dinov3_vit)\.)+")
_BLOCK = re.compile(r"^(?:blocks|layers?)\.(\d+)\.(.+)$")
# What is not part of the features: masking and pretraining heads, the pooler (untrained in DINO), constants of RoPE.
_UNUSED = re.compile(
    r"^(?:embeddings\.)?mask_token$|^(?:pooler|head|fc_norm|classifier|rope_embed|rope|local_cls_norm)\b"
)
_OUTER = {
    "cls_token": "cls",
    "register_tokens": "registers",
    "reg_token": "registers",
    "storage_tokens": "registers",
    "position_embeddings": "position",
    "pos_embed": "position",
    "patch_embeddings.projection": "patch",
    "patch_embeddings": "patch",
    "patch_embed.proj": "patch",
    "layernorm": "norm",
    "norm": "norm",
}
_INNER = {
    # norms and layer scale
    "norm1": "norm1",
    "layernorm_before": "norm1",
    "norm2": "norm2",
    "layernorm_after": "norm2",
    "layer_scale1.lambda1": "scale1",
    "ls1.gamma": "scale1",
    "gamma_1": "scale1",
    "layer_scale2.lambda1": "scale2",
    "ls2.gamma": "scale2",
    "gamma_2": "scale2",
    # attention
    "attention.attention.query": "q",
    "attention.attention.key": "k",
    "attention.attention.value": "v",
    "attention.q_proj": "q",
    "attention.k_proj": "k",
    "attention.v_proj": "v",
    "attn.qkv": "qkv",
    "attn.qkv.bias_mask": "qkv.mask",
    "attn.q_bias": "q.bias",
    "attn.v_bias": "v.bias",
    "attention.output.dense": "proj",
    "attention.o_proj": "proj",
    "attn.proj": "proj",
    # MLP
    "intermediate.dense": "up",
    "mlp.fc1": "up",
    "mlp.up_proj": "up",
    "mlp.fc1_x": "up",
    "mlp.gate_proj": "gate",
    "mlp.fc1_g": "gate",
    "mlp.weights_in": "up",
    "mlp.w12": "up",
    "mlp.w1": "gate",
    "mlp.w2": "up",
    "output.dense": "down",
    "mlp.fc2": "down",
    "mlp.down_proj": "down",
    "mlp.weights_out": "down",
    "mlp.w3": "down",
}


@dataclass(frozen=True)
class Geometry:
    """The shape of a ViT.

    Attributes:
        dim: Length of a token.
        depth: Number of blocks.
        heads: Number of attention heads.
        patch: Side of a patch, in pixels.
        registers: Number of register tokens.
        grid: Side of the grid that the position embedding was learned for, in patches; 0 for RoPE.
        gated: Whether the MLP is gated by SiLU (SwiGLU); otherwise it has a GELU.
        layer_scale: Whether each branch has a learned scale.
        eps: Of the layer norms.
        rope_base: Base of the periods of RoPE.
        antialias: Whether the position embedding is interpolated with antialiasing.
    """

    dim: int
    depth: int
    heads: int
    patch: int
    registers: int
    grid: int
    gated: bool
    layer_scale: bool
    eps: float
    rope_base: float = _ROPE_BASE
    antialias: bool = False

    @property
    def family(self) -> str:
        """``dino``, ``dinov2`` or ``dinov3``, recognized by what only it has."""
        return "dinov3" if not self.grid else "dinov2" if self.layer_scale else "dino"

    @property
    def told(self) -> str:
        """What config.json says about the computation and the tensors do not, where it is not usual: ``4heads``."""
        heads = f"{self.heads}heads" if self.heads != self.dim // 64 else ""
        rope = f"rope{self.rope_base:g}" if not self.grid and self.rope_base != _ROPE_BASE else ""
        return "-".join(filter(None, (heads, rope, f"eps{self.eps:g}" if self.eps > _LARGEST_EPS else "")))


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a ViT: its geometry, its tensors by their one name, and the file they are in."""

    geometry: Geometry
    tensors: dict[str, Tensor]
    file: Path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what a safetensors file says about itself; the values stay where they are.

    The number of heads and the epsilon of the norms cannot be seen from the weights: they are taken from the
    config.json beside the file, where transformers put one, else as DINO has them (64 dimensions a head).

    Args:
        path: The file.

    Raises:
        ModelError: If the file is damaged, or holds something else than a DINO ViT.
    """
    stored = read_tensors(path)
    tensors: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        known = _rename(name)
        if known is None:
            raise ModelError(
                f"{path.name} holds {name!r}, which no DINO ViT has: expected the weights of DINO, DINOv2 or DINOv3 "
                "(ViT) in the names of transformers or timm"
            )
        if known in tensors:
            raise ModelError(
                f"{path.name} holds {name!r} beside another tensor of that place: expected the weights of one model"
            )
        if known:
            tensors[known] = tensor
    numbers = {int(name.partition(".")[0]) for name in tensors if name[0].isdigit()}
    depth = len(numbers)
    if numbers != set(range(depth)):
        missing = min(set(range(depth)) - numbers)
        raise ModelError(f"{path.name} is incomplete: its blocks go to number {max(numbers)}, but {missing} is missing")
    try:
        for block in range(depth):
            _split_fused(tensors, block)
        geometry = _geometry(path, tensors, depth, _read_config(path))
        _check_complete(path, tensors, geometry)
    except IndexError:
        raise ModelError(f"{path.name} holds no DINO ViT: one of its tensors has too few dimensions") from None
    return Checkpoint(geometry, tensors, Path(next(iter(stored.values())).file))


def _rename(name: str) -> str | None:
    """Return the one name of a tensor, "" for one that is not needed, None for one that is not known."""
    bare = _PREFIX.sub("", name)
    if _UNUSED.match(bare):
        return ""
    block = _BLOCK.match(bare)
    table, key = (_INNER, block.group(2)) if block else (_OUTER, bare.removeprefix("embeddings."))
    stem, _, leaf = key.rpartition(".")
    if key in table:
        found = table[key]
    elif stem in table and leaf in ("weight", "bias"):
        found = f"{table[stem]}.{leaf}"
    else:
        return None
    return f"{block.group(1)}.{found}" if block else found


def _split_fused(tensors: dict[str, Tensor], block: int) -> None:
    """Take apart what some keep in one tensor: query, key and value; gate and up."""
    for leaf in ("weight", "bias"):
        fused = tensors.pop(f"{block}.qkv.{leaf}", None)
        if fused is not None and fused.shape[0] % 3 == 0:
            third = fused.shape[0] // 3
            for part, name in enumerate("qkv"):
                tensors[f"{block}.{name}.{leaf}"] = fused.rows(part * third, (part + 1) * third)
    # Meta's DINOv3 ignores the bias of the keys
    if tensors.pop(f"{block}.qkv.mask", None):
        tensors.pop(f"{block}.k.bias", None)
    up, down = tensors.get(f"{block}.up.weight"), tensors.get(f"{block}.down.weight")
    if up is not None and down is not None and up.shape[0] == 2 * down.shape[1]:
        half = down.shape[1]
        for leaf in ("weight", "bias"):
            both = tensors.get(f"{block}.up.{leaf}")
            if both is not None:
                tensors[f"{block}.gate.{leaf}"], tensors[f"{block}.up.{leaf}"] = (
                    both.rows(0, half),
                    both.rows(half, 2 * half),
                )


def _read_config(path: Path) -> dict[str, Any]:
    """Read the config.json of transformers beside the weights; timm's says nothing that is needed here."""
    config = read_beside(path, "config.json")
    if "hidden_size" not in config:
        return {}
    for name in ("hidden_size", "num_attention_heads", "layer_norm_eps", "rope_theta"):
        if not isinstance(config.get(name, 0), int | float) or not abs(config.get(name, 0)) < 1e9:
            raise ModelError(f"config.json beside {path.name}: {name} must be a number, got {config[name]!r}")
    return config


def _geometry(path: Path, tensors: dict[str, Tensor], depth: int, config: dict[str, Any]) -> Geometry:
    try:
        dim, patch = tensors["cls"].shape[-1], tensors["patch.weight"].shape[-1]
    except (KeyError, IndexError):
        raise ModelError(f"{path.name} holds no ViT: expected a CLS token and a patch embedding") from None
    if config and config["hidden_size"] != dim:
        raise ModelError(
            f"config.json does not belong to {path.name}: it says hidden_size {config['hidden_size']}, the weights "
            f"have {dim}"
        )
    heads = config.get("num_attention_heads") or dim // 64
    if heads < 1 or dim % heads:
        raise ModelError(
            f"{path.name}: {dim} dimensions do not divide into {heads} heads; put the config.json of transformers, "
            "which names num_attention_heads, beside the weights"
        )
    gated, grid = any(".gate." in name for name in tensors), _grid(path, tensors.get("position"))
    # transformers' gated DINOv2 always takes SiLU
    expected = "gelu" if grid or not gated else "silu"
    if config.get("hidden_act", expected) != expected:
        raise ModelError(
            f"{path.name}: expected the activation {expected!r}, config.json says {config['hidden_act']!r}"
        )
    registers = tensors["registers"].shape[1] if "registers" in tensors else 0
    return Geometry(
        dim,
        depth,
        int(heads),
        patch,
        registers,
        grid,
        gated=gated,
        layer_scale=any(".scale" in name for name in tensors),
        eps=float(config.get("layer_norm_eps", 1e-6 if grid else 1e-5)),
        rope_base=float(config.get("rope_theta", _ROPE_BASE)),
        # as upstream: the models with registers were published with the antialiased interpolation
        antialias=bool(grid and registers),
    )


def _grid(path: Path, position: Tensor | None) -> int:
    """Return the side of the learned grid. timm keeps no position for CLS where there are registers."""
    if position is None:
        return 0
    count = position.shape[1]
    for patches in (count - 1, count):
        if patches > 0 and math.isqrt(patches) ** 2 == patches:
            return math.isqrt(patches)
    raise ModelError(f"{path.name}: a position embedding of {count} tokens belongs to no square grid")


def _check_complete(path: Path, tensors: dict[str, Tensor], geometry: Geometry) -> None:
    """Refuse weights of which some are missing or of a wrong shape, before the runtime trips over them."""
    dim, patch = geometry.dim, geometry.patch
    expected: dict[str, tuple[int, ...]] = {
        "cls": (1, 1, dim),
        "patch.weight": (dim, 3, patch, patch),
        "patch.bias": (dim,),
        "norm.weight": (dim,),
        "norm.bias": (dim,),
    }
    hidden = tensors["0.up.weight"].shape[0] if "0.up.weight" in tensors else 4 * dim
    expected |= {name: (1, tensors[name].shape[1], dim) for name in ("position", "registers") if name in tensors}
    for block in range(geometry.depth):
        layers: dict[str, tuple[int, ...]] = dict.fromkeys(("q", "k", "v", "proj"), (dim, dim))
        layers |= {"up": (hidden, dim), "down": (dim, hidden)}
        if geometry.gated:
            layers["gate"] = (hidden, dim)
        shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": shape for name, shape in layers.items()}
        for name, shape in layers.items():
            # only DINOv3 leaves biases out, some of the attention: which ones, each library sees in its own way
            if geometry.grid or name not in "qkv" or f"{block}.{name}.bias" in tensors:
                shapes[f"{name}.bias"] = shape[:1]
        shapes |= {f"{name}.{leaf}": (dim,) for name in ("norm1", "norm2") for leaf in ("weight", "bias")}
        if geometry.layer_scale or not geometry.grid:
            shapes |= {"scale1": (dim,), "scale2": (dim,)}
        expected |= {f"{block}.{name}": shape for name, shape in shapes.items()}
    for name, shape in expected.items():
        found = tensors.get(name)
        if found is None or found.shape != shape:
            got = "nothing" if found is None else str(found.shape)
            raise ModelError(f"{path.name} is incomplete or no DINO ViT: expected {name} of shape {shape}, got {got}")
    if not geometry.depth:
        raise ModelError(f"{path.name} holds no ViT: it has no blocks")
