"""What the tests of the recipe share: its modules, small pictures, and a short run."""

import importlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

# By name, so that the type checker needs no torch where there is none.
_MODULES = (
    "arithmetic augment card __main__ export images losses monitor networks projection recipes restore sets train"
)
(
    arithmetic,
    augment,
    card,
    command,
    export,
    images,
    losses,
    monitor,
    networks,
    projection,
    recipes,
    restore,
    sets,
    train,
) = (importlib.import_module(f"pretraining.{name}") for name in _MODULES.split())

SHAPES = ("disc", "square", "bar", "ring")


def draw(rng: np.random.Generator, shape: str, side: int = 32) -> np.ndarray:
    """Draw one shape in its colour, somewhere, under noise."""
    y, x = np.mgrid[:side, :side] - rng.uniform(0.4, 0.6, 2)[:, None, None] * side
    radius = rng.uniform(0.2, 0.35) * side
    distance = np.hypot(x, y)
    mask = {
        "disc": distance < radius,
        "square": np.maximum(abs(x), abs(y)) < radius,
        "bar": abs(y) < radius / 3,
        "ring": abs(distance - radius) < side / 12,
    }[shape]
    colour = np.eye(3)[SHAPES.index(shape) % 3] * 160 + 60
    picture: np.ndarray = mask[..., None] * colour + rng.uniform(0, 40, (side, side, 3))
    return picture.clip(0, 255).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


RECIPE = recipes.Recipe(
    backbone="resnet-tiny",
    shares={"cifar10": 1.0},
    size=16,
    local_size=8,
    batch=32,
    steps=80,
    ema=0.9,
    warmup=0.3,
    seed=1,
)


# No trial of what is fastest: it takes time, and may choose otherwise the next time.
QUIET = {"arithmetic": arithmetic.Arithmetic(), "report": lambda line: None}


def fit(recipe: Any, sets: Any, path: Path, **options: Any) -> Any:
    run = train.Run(recipe)
    assert train.train(run, sets, path, **{**QUIET, **options})
    return run
