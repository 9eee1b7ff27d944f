"""The model table: one frozen row a model. Listing, command line, documentation and tests read this table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from dinoscope.errors import ModelError, did_you_mean

__all__ = ["DEFAULT_MODEL", "MODELS", "Model", "get_model", "read_weights"]

DEFAULT_MODEL = "mini"


@dataclass(frozen=True)
class Model:
    """What must be known of a model before it is loaded.

    Attributes:
        name: What people type.
        description: One line: what it is and what it saw.
        file: Its ONNX file in ``dinoscope/weights``. Input ``pixels`` uint8 (B, S, S, 3); outputs ``cls`` (B, D), the
            image feature, and ``patches`` (B, T, D). Centring and scaling of the pixels are inside the graph.
        resolution: Side S of the square input, in pixels.
        dim: Length D of a vector.
        licence: Licence of the weights.
        gated: Whether the weights must be asked for upstream.
    """

    name: str
    description: str
    file: str
    resolution: int
    dim: int
    licence: str
    gated: bool = False


MODELS: dict[str, Model] = {
    row.name: row
    for row in (
        Model(
            name="mini",
            description="bundled; for photographs of all kinds, at thumbnail size; saw 189,000 images of three sets",
            file="mini.onnx",
            resolution=32,
            dim=256,
            licence="Apache-2.0",
        ),
        Model(
            name="mini-fashion",
            description="bundled; for small grey pictures of clothes; saw 58,000 Fashion-MNIST training images",
            file="mini-fashion.onnx",
            resolution=28,
            dim=256,
            licence="Apache-2.0",
        ),
    )
}


def get_model(name: str) -> Model:
    """Return the row of a model.

    Raises:
        ModelError: If there is no model of that name.
    """
    if name not in MODELS:
        known = ", ".join(MODELS)
        raise ModelError(f"unknown model {name!r}{did_you_mean(name, MODELS)} (known: {known}; see 'dinoscope models')")
    return MODELS[name]


def read_weights(model: Model) -> bytes:
    """Return the bytes of a bundled model's ONNX file.

    Raises:
        ModelError: If the file is missing from this installation.
    """
    path = files("dinoscope") / "weights" / model.file
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"the weights of {model.name!r} are missing from this installation: reinstall with 'pip install "
            "--force-reinstall dinoscope'"
        ) from None
