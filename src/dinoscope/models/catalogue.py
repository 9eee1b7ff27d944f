"""The model table: one frozen row a model. Listing, command line, documentation and tests read this table."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dinoscope.base.package import PACKAGE
from dinoscope.base.paths import named_path
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError, ModelError

__all__ = [
    "AUTO",
    "AUTO_ORDER",
    "DEFAULT_MODEL",
    "IMAGENET",
    "LICENCE_LINKS",
    "MODELS",
    "RANGES",
    "Model",
    "Normalization",
    "get_model",
    "get_published",
    "read_ranges",
    "read_weights",
    "stronger_model",
]

DEFAULT_MODEL = "mini"
RANGES = "ranges.json"  # beside the bundled weights
_REINSTALL = "reinstall with 'pip install --force-reinstall dinoscope'"
AUTO = "auto"  # instead of a name: the best model on this machine, see ``choice``
LICENCE_LINKS = {
    "Apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "DINOv3": "https://ai.meta.com/resources/models-and-libraries/dinov3-license/",
}


@dataclass(frozen=True)
class Normalization:
    """How pixels are centred and scaled: mean and standard deviation of red, green and blue, in 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalization((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # of every DINO that saw photographs


@dataclass(frozen=True)
class Model:
    """What must be known about a model before it is loaded.

    Attributes:
        name: What people type.
        description: One line: what it is and what it saw.
        family: ``bundled``, ``dino``, ``dinov2``, ``dinov3``: decides the preprocessing; empty for weights that are
            named by a path or a hub id, whose family is seen when they are read.
        file: The weights: in ``dinoscope/weights`` for a bundled model, else in the hub's repository.
        resolution: Default side S of the square input, in pixels; 0 where it is seen when the weights are read.
        larger_resolution: The same for a collection whose images usually have sides of this many pixels or more; 0
            where it is no other. See ``dinoscope.embedding.resolution``.
        dim: Length D of a vector; 0 where it is seen when the weights are read.
        patch: Side of a patch in pixels; the resolution must be a multiple of it. 0 where there are none, or unknown.
        licence: Licence of the weights; empty where unknown.
        megabytes: Size of the download.
        repo: Hub id of the repository with the weights; None for bundled ones and for a path.
        revision: Commit of that repository that is asked for; None stands for its main branch.
        path: A file or folder on this machine that holds the weights.
        gated: Whether the weights must be asked for upstream.
        open_model: For a gated model: the nearest one that is open.
        normalization: How pixels are scaled before the weights see them; None where the graph does it itself.
        images_per_second: What ONNX Runtime made of it on two cores in fp32, where it was measured; see
            docs/benchmarks.md.
    """

    name: str
    description: str
    family: str
    file: str = "model.safetensors"
    resolution: int = 0
    larger_resolution: int = 0
    dim: int = 0
    patch: int = 0
    licence: str = ""
    megabytes: float = 0.0
    repo: str | None = None
    revision: str | None = None
    path: str | None = None
    gated: bool = False
    open_model: str | None = None
    normalization: Normalization | None = IMAGENET
    images_per_second: float | None = None

    @property
    def sides(self) -> tuple[int, ...]:
        """The default resolutions, of thumbnails and of larger images; one where it is the same for all."""
        return (self.resolution, self.larger_resolution) if self.larger_resolution else (self.resolution,)

    def resolution_for(self, shortest: float) -> int:
        """Return the default resolution of images whose shortest side usually has this many pixels."""
        return self.larger_resolution if 0 < self.larger_resolution <= shortest else self.resolution


def _bundled(name: str, resolution: int, megabytes: float, description: str, larger_resolution: int = 0) -> Model:
    return Model(
        name,
        f"bundled; {description}",
        "bundled",
        f"{name}.onnx",
        resolution,
        larger_resolution,
        dim=256,
        licence="Apache-2.0",
        megabytes=megabytes,
        normalization=None,
    )


def _dino(name: str, repo: str, patch: int, dim: int, megabytes: float, description: str) -> Model:
    return Model(
        name,
        f"DINO (2021), {description}; saw ImageNet-1k",
        "dino",
        resolution=224,
        dim=dim,
        patch=patch,
        licence="Apache-2.0",
        megabytes=megabytes,
        repo=repo,
    )


def _dinov2(size: str, dim: int, megabytes: float, description: str) -> tuple[Model, Model]:
    plain = Model(
        f"dinov2-{size}",
        f"DINOv2 (2023), {description}; saw 142 million images",
        "dinov2",
        resolution=224,
        dim=dim,
        patch=14,
        licence="Apache-2.0",
        megabytes=megabytes,
        repo=f"facebook/dinov2-{size}",
    )
    registers = Model(
        f"dinov2-with-registers-{size}",
        f"DINOv2 with registers (2023), {description}; cleaner patches",
        "dinov2",
        resolution=224,
        dim=dim,
        patch=14,
        licence="Apache-2.0",
        megabytes=megabytes,
        repo=f"facebook/dinov2-with-registers-{size}",
    )
    return plain, registers


def _dinov3(size: str, dim: int, megabytes: float, description: str, open_model: str) -> Model:
    return Model(
        f"dinov3-{size}",
        f"DINOv3 (2025), {description}; saw 1,689 million images",
        "dinov3",
        resolution=224,
        dim=dim,
        patch=16,
        licence="DINOv3",
        megabytes=megabytes,
        repo=f"facebook/dinov3-{size}-pretrain-lvd1689m",
        gated=True,
        open_model=open_model,
    )


_SMALL, _BASE, _LARGE, _GIANT = (
    _dinov2(*row)
    for row in (
        ("small", 384, 88.2, "ViT-S/14"),
        ("base", 768, 346.3, "ViT-B/14"),
        ("large", 1024, 1217.5, "ViT-L/14"),
        ("giant", 1536, 4546.0, "ViT-g/14"),
    )
)
MODELS: dict[str, Model] = {
    row.name: row
    for row in (
        _bundled(
            "mini",
            32,
            7.2,
            "for photographs of all kinds, at thumbnail size; saw 189,000 images of three sets",
            larger_resolution=40,
        ),
        _bundled(
            "mini-fashion", 28, 4.7, "for small grey pictures of clothes; saw 58,000 Fashion-MNIST training images"
        ),
        *(pair[0] for pair in (_SMALL, _BASE, _LARGE, _GIANT)),
        *(pair[1] for pair in (_SMALL, _BASE, _LARGE, _GIANT)),
        _dino("dino-vits16", "timm/vit_small_patch16_224.dino", 16, 384, 86.7, "ViT-S/16"),
        _dino("dino-vits8", "timm/vit_small_patch8_224.dino", 8, 384, 86.7, "ViT-S/8, four times the patches"),
        _dino("dino-vitb16", "timm/vit_base_patch16_224.dino", 16, 768, 343.2, "ViT-B/16"),
        _dino("dino-vitb8", "timm/vit_base_patch8_224.dino", 8, 768, 343.2, "ViT-B/8, four times the patches"),
        _dinov3("vits16", 384, 86.4, "ViT-S/16", "dinov2-small"),
        _dinov3("vits16plus", 384, 114.8, "ViT-S+/16", "dinov2-small"),
        _dinov3("vitb16", 768, 342.7, "ViT-B/16", "dinov2-base"),
        _dinov3("vitl16", 1024, 1212.5, "ViT-L/16", "dinov2-large"),
        _dinov3("vith16plus", 1280, 3362.0, "ViT-H+/16", "dinov2-giant"),
    )
}
# What the hub allows: an owner and a name, of letters, digits, dots, dashes and underscores.
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)
_MEASURED = {
    "mini": 1436,
    "mini-fashion": 2053,
    "dinov2-small": 14,
    "dinov2-base": 3.6,
    "dino-vits16": 18,
    "dino-vitb16": 4.9,
}
MODELS.update({name: replace(MODELS[name], images_per_second=rate) for name, rate in _MEASURED.items()})
# Best first: DINOv3 and DINOv2 before DINO; then the larger size, the newer generation, registers, the smaller patch.
# Models above 400 MB are left out: a processor needs hours for what these do in minutes, so they run for those who name
# them.
AUTO_ORDER = (
    "dinov3-vitb16",
    "dinov2-with-registers-base",
    "dinov2-base",
    "dinov3-vits16plus",
    "dinov3-vits16",
    "dinov2-with-registers-small",
    "dinov2-small",
    "dino-vitb8",
    "dino-vitb16",
    "dino-vits8",
    "dino-vits16",
)
_STRONGER = "dinov2-small"


def get_model(name: str | os.PathLike[str], revision: str | None = None) -> Model:
    """Return what is known about the model that a person names.

    Args:
        name: A name of the table; a folder or file with weights (``./dinov2-small``, ``weights.safetensors``,
            ``model.onnx``); or the hub id of a repository with the weights of a DINO model (``timm/...``).
        revision: Commit, tag or branch of its repository; by default the main branch.

    Raises:
        ModelError: If there is no model of that name.
        InputError: If it comes from no repository, and so has no revisions; or that is not a name of one.
    """
    model = _named(os.fspath(name))  # also a pathlib.Path
    if revision is None:
        return model
    if model.repo is None:
        raise InputError(f"--revision is for models that come from a hub, and {model.name} does not: leave it out")
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise InputError(f"a revision is a commit, a tag or a branch of {model.repo}, got {revision[:100]!r}")
    return replace(model, revision=revision)


def _named(name: str) -> Model:
    if (row := _row(name)) is not None:
        return row
    path = os.path.abspath(named_path(name))
    if name and os.path.exists(path):
        from dinoscope.base.text import printable

        stem = Path(path).name.removesuffix(".safetensors").removesuffix(".onnx")
        return Model(printable(stem), "local", "", path=path)
    looks_local = name.startswith((".", "~", os.sep)) or name.endswith((".safetensors", ".onnx"))
    if _HUB_ID.fullmatch(name) and not looks_local:
        return Model(name, "from the hub", "", repo=name)
    if looks_local or os.sep in name:
        raise ModelError(f"no weights at {name!r}: expected a .safetensors or .onnx file, or a folder that holds one")
    raise ModelError(f"unknown model {name!r}{did_you_mean(name, MODELS)}; 'dinoscope models' lists them")


def stronger_model() -> Model:
    """Return the model to fetch where the bundled ones see too little: open, small, quick enough for a processor."""
    return MODELS[_STRONGER]


def get_published(name: str) -> Model:
    """Return what is known about a model by a name that a file holds: the writer of that file must not name a path.

    Args:
        name: A name of the table, or the hub id of a repository.

    Raises:
        ModelError: If it is neither.
    """
    if (row := _row(name)) is not None:
        return row
    if _HUB_ID.fullmatch(name):
        return Model(name, "from the hub", "", repo=name)
    raise ModelError(
        f"{name[:100]!r} is neither a model of 'dinoscope models' nor the id of a repository (OWNER/NAME): say where "
        "its weights are (--weights)"
    )


def _row(name: str) -> Model | None:
    """Return the row of a model by its name or its repository's."""
    return MODELS.get(name) or next((row for row in MODELS.values() if row.repo == name), None)


def read_weights(model: Model) -> bytes:
    """Return the bytes of a bundled model's ONNX file.

    Raises:
        ModelError: If the file is missing from this installation.
    """
    return _read_shipped(model.file, model.name)


def read_ranges(model: Model, sha256: str) -> dict[str, tuple[float, float]]:
    """Return the least and the greatest value of each tensor of a bundled model, for whole numbers of 8 bits.

    Args:
        model: Its row.
        sha256: SHA-256 of its weights: the ranges must be those of the same weights.

    Raises:
        ModelError: If the file is missing or damaged, or belongs to other weights.
    """
    try:
        held = json.loads(_read_shipped(RANGES, model.name))[model.name]
        ranges = {str(name): (float(low), float(high)) for name, (low, high) in held["ranges"].items()}
        made_for = str(held["weights_sha256"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{RANGES} of this installation cannot be read: {_REINSTALL}") from None
    if made_for != sha256:
        raise ModelError(
            f"{RANGES} of this installation belongs to other weights of {model.name!r} (SHA-256 {made_for[:12]}..., "
            f"expected {sha256[:12]}...): {_REINSTALL}"
        )
    return ranges


def _read_shipped(file: str, name: str) -> bytes:
    try:
        return (PACKAGE / "weights" / file).read_bytes()
    except FileNotFoundError:
        raise ModelError(f"the weights of {name!r} are missing from this installation: {_REINSTALL}") from None
