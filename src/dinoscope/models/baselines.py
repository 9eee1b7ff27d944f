"""What vectors would be without training: the pixels themselves, and an untrained network's.

Models have to beat them in ``compare``; clusters are judged against them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.types import ModelDescription
from dinoscope.base.vectors import l2_normalize
from dinoscope.models.catalogue import Model, read_weights
from dinoscope.models.encoder import Encoder
from dinoscope.models.preprocess import Preprocessing, prepare, preprocessing_of
from dinoscope.models.runtime import Graph, open_runtime

__all__ = ["PixelEncoder", "UntrainedEncoder", "pixel_vectors", "redraw_weights", "untrained_vectors"]

_FEWEST = 16  # numbers of a tensor from which it is a weight, not the scale of the pixels


class PixelEncoder:
    """The images themselves, small, as vectors. Has the attributes of an ``Encoder``, see there."""

    resolution, precision, device, batch_size, key = 32, "fp32", "cpu", 256, "pixels"
    preprocessing: Preprocessing = preprocessing_of("bundled")

    def __init__(self) -> None:
        """Make one."""
        self.dim = self.resolution**2 * 3
        self.model = Model("pixels", "baseline", "bundled", resolution=self.resolution, dim=self.dim)

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Scale and crop to 32 pixels."""
        return prepare(image, self.preprocessing, self.resolution, size)

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the pixels of each square as a row of length 1."""
        return l2_normalize(pixel_vectors(list(pixels), self.resolution))

    def describe(self) -> ModelDescription:
        """Return what is stored beside the vectors."""
        return {"model": self.key, "dim": self.dim, "resolution": self.resolution, "weights_sha256": "", "licence": ""}


class UntrainedEncoder(Encoder):
    """A bundled network with weights drawn at random: what its shape alone sees."""

    def __init__(self, model: str = "mini", *, seed: int = 0) -> None:
        """Draw the weights.

        Raises:
            ModelError: If the model is unknown, or not a bundled one.
        """
        super().__init__(model, device="cpu")
        weights = redraw_weights(read_weights(self.model), seed)
        self._runtime = open_runtime(Graph(f"untrained {model}", weights, small=True), "cpu")
        self.model = replace(self.model, name="untrained", description="baseline", megabytes=0.0)
        self.weights_sha256, self.key = "", f"untrained-{model}-{seed}"


def untrained_vectors(
    images: Sequence[NDArray[np.uint8]], model: str = "mini-fashion", *, seed: int = 0
) -> NDArray[np.float32]:
    """Embed images with a bundled network whose weights are drawn at random, see ``redraw_weights``.

    Args:
        images: uint8 (H, W, 3) of any sizes, one or more.
        model: A bundled model.
        seed: Seed of the weights.

    Returns:
        Unit vectors float32 (N, D).

    Raises:
        ModelError: If the model is unknown.
        InputError: If an array is not an image.
    """
    return UntrainedEncoder(model, seed=seed).encode(images)


def redraw_weights(proto: bytes, seed: int = 0) -> bytes:
    """Return an ONNX model with each weight tensor drawn again, normal, with the mean and deviation that it had.

    So the network keeps its shape and the scale of its layers, and forgets all that it learned. Tensors of fewer than
    16 numbers stay: they scale and centre pixels.

    Args:
        proto: A serialised model with its weights inside.
        seed: Seed of the draws.
    """
    import onnx
    from onnx import numpy_helper

    draw = np.random.default_rng(seed)
    model = onnx.load_model_from_string(proto)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype.kind == "f" and values.size >= _FEWEST:
            mean, deviation = values.mean(dtype=np.float64), values.std(dtype=np.float64)
            drawn = draw.normal(mean, deviation, values.shape).astype(values.dtype)
            tensor.CopyFrom(numpy_helper.from_array(drawn, tensor.name))
    redrawn: bytes = model.SerializeToString()
    return redrawn


def pixel_vectors(images: Sequence[NDArray[np.uint8]], side: int = 16) -> NDArray[np.float32]:
    """Return each image, scaled to a small square, as a row of pixels (N, 3 * side * side), 1 to 256.

    Black is 1, not 0, because a row of zeros has no direction.

    Args:
        images: uint8 (H, W, 3) of any sizes.
        side: Side of the square in pixels.
    """
    rows = [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BOX)) for image in images]
    return np.stack(rows).reshape(len(rows), -1).astype(np.float32) + 1
