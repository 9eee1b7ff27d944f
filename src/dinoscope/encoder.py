"""From decoded images to vectors: preprocessing, the ONNX Runtime session, batches."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.errors import InputError, ModelError
from dinoscope.models import DEFAULT_MODEL, get_model, read_weights

__all__ = ["Encoder"]

# Part of every key of stored vectors: raise it when the same images and settings would give other vectors.
_VERSION = 1


class Encoder:
    """A loaded model that turns images into vectors.

    Attributes:
        model: Its row of the model table.
        dim: Length of a vector.
        resolution: Side of the square that the model sees, in pixels.
        batch_size: Images in one run of the model.
        key: Names the vectors it makes: two encoders of one key make the same vectors.
        weights_sha256: SHA-256 of the weights, for the record.
    """

    def __init__(self, model: str = DEFAULT_MODEL, *, batch_size: int = 64, threads: int | None = None) -> None:
        """Load a model.

        Args:
            model: A name of the model table.
            batch_size: Images in one run of the model; the vectors do not depend on it.
            threads: Threads of the runtime, by default one for each core.

        Raises:
            ModelError: If the model is unknown or does not load.
            InputError: If ``batch_size`` or ``threads`` is not positive.
        """
        if batch_size < 1 or (threads is not None and threads < 1):
            raise InputError(f"batch_size and threads must be at least 1, got {batch_size} and {threads}")
        self.model = get_model(model)
        self.dim, self.resolution, self.batch_size = self.model.dim, self.model.resolution, batch_size
        weights = read_weights(self.model)
        self.weights_sha256 = hashlib.sha256(weights).hexdigest()
        self.key = f"{self.model.name}-{self.resolution}px-{self.weights_sha256[:8]}-v{_VERSION}"
        self._session = _session(weights, threads or os.cpu_count() or 1, self.model.name)

    def __repr__(self) -> str:
        return f"Encoder({self.model.name!r}, dim={self.dim}, resolution={self.resolution})"

    def preprocess(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bring one image to the square that the model sees.

        The shortest side is scaled to the resolution (bicubic, antialiased) and the middle is cut out.

        Args:
            image: uint8 (H, W, 3), as ``read_image`` gives it.

        Returns:
            uint8 (resolution, resolution, 3); the image itself where it already has that size.

        Raises:
            InputError: If the array is no such image.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
            raise InputError(
                f"an image must be uint8 of shape (H, W, 3), got {image.dtype} {image.shape}: use dinoscope.read_image"
            )
        side = self.resolution
        height, width = image.shape[:2]
        if (height, width) == (side, side):
            return image
        short = min(height, width)
        left, top = (width - short) / 2, (height - short) / 2
        # One call that crops and scales: the part outside the square is never resampled.
        square = Image.fromarray(image).resize(
            (side, side), Image.Resampling.BICUBIC, box=(left, top, left + short, top + short), reducing_gap=3.0
        )
        return np.asarray(square)

    def encode(self, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed decoded images.

        Args:
            images: uint8 arrays (H, W, 3) of any sizes, or one array (N, H, W, 3).

        Returns:
            float32 (N, dim), each row of length 1.

        Raises:
            InputError: If an array is no image.
        """
        out = np.empty((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            out[start : start + len(batch)] = self.run(np.stack([self.preprocess(image) for image in batch]))
        return out

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the model once: preprocessed uint8 (B, resolution, resolution, 3) to rows of length 1 (B, dim)."""
        (features,) = self._session.run(["cls"], {"pixels": np.ascontiguousarray(pixels)})
        norms = np.linalg.norm(features, axis=1, keepdims=True)
        vectors: NDArray[np.float32] = features / np.maximum(norms, np.float32(1e-12))
        return vectors

    def patches(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embed the patches of decoded images: float32 (N, T, dim), row by row from the top left, not normalised."""
        pixels = np.stack([self.preprocess(image) for image in images])
        (tokens,) = self._session.run(["patches"], {"pixels": pixels})
        result: NDArray[np.float32] = tokens
        return result


def _session(weights: bytes, threads: int, name: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own that share no base but Exception
        reason = str(error).splitlines()[0]
        raise ModelError(f"the weights of {name!r} do not load ({reason}): reinstall dinoscope") from None
