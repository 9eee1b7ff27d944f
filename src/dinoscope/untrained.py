"""What vectors would be without training: an untrained network's, and the pixels themselves. Nulls for clusters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["pixel_vectors", "redraw_weights", "untrained_vectors"]

_FEWEST = 16  # numbers of a tensor from which it is a weight, not the scale of the pixels


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
        InputError: If an array is no image.
    """
    from dinoscope.encoder import Encoder
    from dinoscope.knn import l2_normalize, row_blocks
    from dinoscope.models import get_model, read_weights
    from dinoscope.runtime import Graph, open_runtime

    trained = Encoder(model)  # for its preprocessing
    graph = Graph(f"untrained {model}", redraw_weights(read_weights(get_model(model)), seed), small=True)
    runtime = open_runtime(graph, "cpu")
    pixels = np.stack([trained.preprocess(image) for image in images])
    return l2_normalize(
        np.concatenate([runtime.run(["cls"], pixels[rows])[0] for rows in row_blocks(len(pixels), trained.batch_size)])
    )


def redraw_weights(proto: bytes, seed: int = 0) -> bytes:
    """Return an ONNX model with each weight tensor drawn anew, normal, with the mean and deviation that it had.

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
