"""How the authors of weights prepare images: the configuration of their image processor, beside the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dinoscope.base.typed import parse_json
from dinoscope.errors import ModelError
from dinoscope.models.catalogue import IMAGENET, Normalization
from dinoscope.models.preprocess import FILTERS, Filter, Preprocessing

__all__ = ["PROCESSOR", "Processor", "read_beside", "read_processor"]

PROCESSOR = "preprocessor_config.json"  # of transformers; timm says it in config.json
_RESAMPLE: dict[int | str, Filter] = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
    5: "hamming",
    **{name: name for name in FILTERS},
}
_SAME = 1e-6  # numbers that were stored as float32 are still those that they were


@dataclass(frozen=True)
class Processor:
    """What is beside weights, or was assumed in its place.

    Attributes:
        normalization: How pixels are scaled and centred.
        preprocessing: How an image becomes a square.
        assumed: What no file says and was assumed, as a text for people; empty if nothing was.
    """

    normalization: Normalization
    preprocessing: Preprocessing
    assumed: str = ""


def read_processor(file: Path, family: Preprocessing) -> Processor:
    """Read how images are prepared for some weights.

    Args:
        file: The weights.
        family: What is assumed where no file says it.

    Raises:
        ModelError: If numbers beside the weights are none.
    """
    held = read_beside(file, PROCESSOR)
    if held:
        found = _normalization(held, file)
        square = _square(held, family)
        if square is None:
            return Processor(found, family, f"the scaling of images that is usual for such models ({family.key})")
        return Processor(found, square)
    told = read_beside(file, "config.json").get("pretrained_cfg")
    if isinstance(told, Mapping) and "mean" in told:
        return Processor(_normalization({"image_mean": told["mean"], "image_std": told.get("std")}, file), family)
    assumed = f"ImageNet's mean and deviation of colours, and the scaling that is usual for such models ({family.key})"
    return Processor(IMAGENET, family, assumed)


def read_beside(file: Path, name: str) -> dict[str, Any]:
    """Return the JSON object of a file beside weights, or above the folder of an ONNX file; empty if there is none."""
    for folder in (file.parent, file.parent.parent)[: 2 if file.suffix == ".onnx" else 1]:
        try:
            held = parse_json((folder / name).read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(held, dict):
            return held
    return {}


def _normalization(held: Mapping[str, Any], file: Path) -> Normalization:
    """Return the mean and deviation of colours in 0..1, with the factor that pixels are scaled by in them."""
    factor = held.get("rescale_factor", 1 / 255) if held.get("do_rescale", True) else 1.0
    mean, std = held.get("image_mean"), held.get("image_std")
    if not held.get("do_normalize", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    elif mean is None and std is None:
        return IMAGENET
    numbers = [_three(each) for each in (mean, std)]
    scale = _number(factor) * 255
    if None in numbers or not 0 < scale < math.inf or min(numbers[1] or (0,)) <= 0:
        raise ModelError(
            f"{PROCESSOR} or config.json beside {file.name}: expected three numbers each for mean and deviation and a "
            f"factor, got {mean!r}, {std!r} and {factor!r}"[:400]
        )
    scale = 1.0 if abs(scale - 1) < _SAME else scale
    first, second = (tuple(each / scale for each in three or ()) for three in numbers)
    found = Normalization(first, second)  # type: ignore[arg-type]  # three numbers each
    near = max(abs(a - b) for a, b in zip((*first, *second), (*IMAGENET.mean, *IMAGENET.std), strict=True))
    return IMAGENET if near < _SAME else found


def _square(held: Mapping[str, Any], family: Preprocessing) -> Preprocessing | None:
    """Return how an image becomes a square; None where that is said in a way that is not known."""
    if not held.get("do_resize", True) or "size" not in held:
        return None
    size, crop = held["size"], held.get("crop_size")
    crops = held.get("do_center_crop", crop is not None)
    side, kind = _side(size)
    if isinstance(size, int) and crops:  # before sizes had names
        kind = "crop"
    kept = _side(crop)[0] if crops else side
    if not 0 < kept <= side:
        return None
    resample = held.get("resample")
    name = family.filter if resample is None else _RESAMPLE.get(resample if isinstance(resample, int | str) else "")
    if name is None:
        return None
    return replace(family, resize=kind, scale=side / kept, filter=name)


def _side(size: object) -> tuple[float, Literal["crop", "squash"]]:
    """Return the side of a square in pixels (0: it is none), and whether the aspect is kept on the way to it."""
    if isinstance(size, Mapping):
        if set(size) == {"shortest_edge"}:
            return _number(size["shortest_edge"]), "crop"
        height, width = _number(size.get("height")), _number(size.get("width"))
        return (height if height == width else 0), "squash"
    return _number(size), "squash"


def _three(value: object) -> tuple[float, ...] | None:
    """Return three finite numbers, or None if they are none."""
    if not isinstance(value, list | tuple):
        return None
    numbers = tuple(map(_number, value)) if len(value) == 3 else ()
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _number(value: object) -> float:
    """Return a number, or NaN if it is none."""
    try:
        return float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return math.nan
