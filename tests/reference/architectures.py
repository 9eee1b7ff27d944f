"""The reference: every architecture of the DINO family as transformers and timm build it. Needs both, and torch."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing is fetched: all weights are made here

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.reference import torchvision_operators  # noqa: F401
from tests.reference.common import write_by_rule

# isort: split
import timm
import transformers
from safetensors.torch import load_file, save_file
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

transformers.utils.logging.disable_progress_bar()

_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "g": (1536, 40, 24), "H": (1280, 32, 20)}


@dataclass(frozen=True)
class Architecture:
    """One architecture at one size; ``timm`` is the name timm has for its kind."""

    name: str
    timm: str
    dim: int
    depth: int
    heads: int
    patch: int
    native: int
    resolutions: tuple[int, ...]
    registers: int = 0
    gated: bool = False

    @property
    def family(self) -> str:
        return next(each for each in ("dinov3", "dinov2", "dino") if each in self.timm)


@dataclass(frozen=True)
class Case:
    """An architecture as one of the libraries names its tensors, stored as one type."""

    architecture: Architecture
    naming: str
    kind: str = "F32"

    @property
    def name(self) -> str:
        return "-".join([self.architecture.name, self.naming, *([self.kind.lower()] if self.kind != "F32" else [])])


def tiny_cases() -> list[Case]:
    """All architectures at tiny size, each at its native, a smaller and a larger resolution."""
    tiny: dict[str, Any] = {"dim": 128, "depth": 2, "heads": 2}
    v1, v2, v3 = (
        {"patch": patch, "native": native, "resolutions": (native, *others), **tiny}
        for patch, native, others in ((16, 64, (48, 96)), (14, 98, (56, 126)), (16, 64, (48, 112)))
    )
    small = {**v1, "patch": 8, "resolutions": (64, 48, 88)}
    plain = Architecture("dinov2", "vit_small_patch14_dinov2", **v2)
    rotary = Architecture("dinov3", "vit_small_patch16_dinov3", registers=4, **v3)
    every = [
        Architecture("dino16", "vit_small_patch16_224.dino", **v1),
        Architecture("dino8", "vit_small_patch8_224.dino", **small),
        plain,
        Architecture("dinov2-swiglu", "vit_giant_patch14_dinov2", gated=True, **v2),
        Architecture("dinov2-registers", "vit_small_patch14_reg4_dinov2", registers=4, **v2),
        rotary,
        Architecture("dinov3-gated", "vit_small_plus_patch16_dinov3", registers=4, gated=True, **v3),
    ]
    return [
        *(Case(each, naming) for each in every for naming in ("transformers", "timm")),
        Case(rotary, "timm-qkvb"),
        Case(rotary, "transformers", "BF16"),
        Case(plain, "timm", "F16"),
    ]


def real_cases(*, large: bool) -> list[Case]:
    """Real sizes, the largest of each kind with four blocks; or, where ``large``, what takes too long for every day."""
    every: list[Architecture] = []

    def add(name: str, kind: str, size: str, *, native: int = 224, blocks: int | None = None, **more: Any) -> None:
        dim, depth, heads = _SIZES[size]
        patch = int(kind.split("_patch")[1].split("_")[0])
        resolutions = (native, 224) if size == "S" and native != 224 else (224,)
        name = f"{name}, {blocks} blocks" if blocks else name
        every.append(Architecture(name, kind, dim, blocks or depth, heads, patch, native, resolutions, **more))

    plain: dict[str, Any] = {"native": 518}
    registers: dict[str, Any] = {"native": 518, "registers": 4}
    gated: dict[str, Any] = {"registers": 4, "gated": True}
    if large:
        add("DINOv2 L/14 registers", "vit_large_patch14_reg4_dinov2", "L", **registers)
        add("DINOv2 g/14 registers", "vit_giant_patch14_reg4_dinov2", "g", **registers, gated=True)
    else:
        for size, word in (("S", "small"), ("B", "base")):
            for patch in (16, 8):
                add(f"DINO {size}/{patch}", f"vit_{word}_patch{patch}_224.dino", size)
            add(f"DINOv2 {size}/14 registers", f"vit_{word}_patch14_reg4_dinov2", size, **registers)
            add(f"DINOv2 {size}/14", f"vit_{word}_patch14_dinov2", size, **plain)
            add(f"DINOv3 {size}/16", f"vit_{word}_patch16_dinov3", size, registers=4)
        add("DINOv3 S+/16", "vit_small_plus_patch16_dinov3", "S", **gated)
    cut = None if large else 4
    add("DINOv2 L/14", "vit_large_patch14_dinov2", "L", **plain, blocks=cut)
    add("DINOv3 L/16", "vit_large_patch16_dinov3", "L", registers=4, blocks=cut)
    add("DINOv2 g/14", "vit_giant_patch14_dinov2", "g", **plain, gated=True, blocks=cut)
    add("DINOv3 H+/16", "vit_huge_plus_patch16_dinov3", "H", **gated, blocks=cut)
    return [Case(each, naming) for each in every for naming in ("transformers", "timm")]


def save(case: Case, folder: Path) -> Path:
    """Save a case's weights as its library saves them, with the values of the rule; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "model.safetensors"
    with _without_initialisation():
        model = _build(case).to(_TYPES[case.kind])
    if case.naming == "transformers":
        model.save_pretrained(folder, max_shard_size="100GB")
    else:
        save_file(model.state_dict(), file)
    del model
    gc.collect()
    write_by_rule(file, read_header(file))
    return file


def read_header(file: Path) -> bytes:
    """Return the header of a safetensors file, as it stands there."""
    with file.open("rb") as stream:
        return stream.read(int.from_bytes(stream.read(8), "little"))


def load(case: Case, file: Path) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    """Load a file into its library's model; return what gives ``cls`` and ``patches`` of images.

    Those are (N, R, R, 3). transformers also gives ``attention``, as our graph does.
    """
    shape = case.architecture
    with _without_initialisation():
        model = _build(case) if case.naming != "transformers" else None
    if model is None:
        # eager: the one way of transformers that gives the attention away
        model = _transformers_class(shape).from_pretrained(
            file.parent, dtype=torch.float32, attn_implementation="eager"
        )
    else:
        model.load_state_dict({name: each.float() for name, each in load_file(file).items()}, assign=True)
    model.eval()
    settings = {"interpolate_pos_encoding": True} if shape.family == "dino" else {}

    def features(images: np.ndarray) -> dict[str, np.ndarray]:
        scaled = (images / 255 - IMAGENET_DEFAULT_MEAN) / IMAGENET_DEFAULT_STD
        x = torch.from_numpy(scaled.astype(np.float32)).permute(0, 3, 1, 2)
        front = 1 + shape.registers
        found = {}
        with torch.inference_mode():
            if case.naming == "transformers":
                output = model(pixel_values=x, output_attentions=True, **settings)
                tokens = output.last_hidden_state
                found["attention"] = output.attentions[-1][:, :, :front, front:].numpy()
            else:
                tokens = model.forward_features(x)
        return {"cls": tokens[:, 0].numpy(), "patches": tokens[:, front:].numpy(), **found}

    return features


def _build(case: Case) -> torch.nn.Module:
    shape = case.architecture
    if case.naming == "transformers":
        return _transformers_class(shape)(_transformers_config(shape))
    settings = {"embed_dim": shape.dim, "depth": shape.depth, "num_heads": shape.heads, "num_classes": 0}
    if shape.family != "dinov3":  # which is without a native resolution
        settings |= {"img_size": shape.native, "dynamic_img_size": True}
    return timm.create_model(shape.timm + ("_qkvb" if case.naming == "timm-qkvb" else ""), **settings)


def _transformers_class(shape: Architecture) -> Any:
    if shape.family == "dinov2":
        return transformers.Dinov2WithRegistersModel if shape.registers else transformers.Dinov2Model
    return transformers.ViTModel if shape.family == "dino" else transformers.DINOv3ViTModel


def _transformers_config(shape: Architecture) -> transformers.PretrainedConfig:
    settings = {
        "hidden_size": shape.dim,
        "num_hidden_layers": shape.depth,
        "num_attention_heads": shape.heads,
        "patch_size": shape.patch,
        "image_size": shape.native,
    }
    if shape.family == "dino":
        return transformers.ViTConfig(**settings, intermediate_size=4 * shape.dim)
    if shape.family == "dinov2":
        settings |= {"use_swiglu_ffn": shape.gated}
        if shape.registers:
            return transformers.Dinov2WithRegistersConfig(**settings, num_register_tokens=shape.registers)
        return transformers.Dinov2Config(**settings)
    return transformers.DINOv3ViTConfig(
        **settings,
        intermediate_size=4 * shape.dim,
        num_register_tokens=shape.registers,
        use_gated_mlp=shape.gated,
        hidden_act="silu" if shape.gated else "gelu",
    )


@contextmanager
def _without_initialisation() -> Iterator[None]:
    """Leave weights as they come: the rule overwrites them, and drawing a billion numbers takes a minute."""
    names = ("trunc_normal_", "normal_", "uniform_", "kaiming_uniform_", "xavier_uniform_")
    kept = {name: getattr(torch.nn.init, name) for name in names}
    try:
        for name in names:
            setattr(torch.nn.init, name, lambda tensor, *_args, **_settings: tensor)
        yield
    finally:
        for name, function in kept.items():
            setattr(torch.nn.init, name, function)
