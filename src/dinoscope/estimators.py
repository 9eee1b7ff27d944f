"""dinoscope's classifier and encoder for scikit-learn: pipelines, grid searches, cross-validation.

make_pipeline(Embedder("mini"), KNNClassifier()).fit(paths, labels).predict(other_paths)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.voting import label_votes
from dinoscope.analysis.neighbors import NeighborGraph, query_neighbors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import ImageError, InputError
from dinoscope.models.catalogue import DEFAULT_MODEL

with LOADING:
    from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.pixels.decode import Picture

__all__ = ["Embedder", "KNNClassifier"]

_BLOCK_BYTES = 1 << 26


class KNNClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """k-NN by cosine similarity. Votes count exp(similarity / temperature), as in ``analysis.labels.voting``.

    Args:
        k: Voters.
        temperature: Above 0. Small values trust only the nearest. With infinity all votes count the same.

    Attributes:
        classes_: The C labels, sorted.
        n_features_in_: Length of a vector.
    """

    def __init__(self, k: int = 20, temperature: float = 0.07) -> None:
        self.k = k
        self.temperature = temperature

    def fit(self, X: ArrayLike, y: ArrayLike) -> KNNClassifier:
        """Keep the vectors (N, D) and their labels (N,).

        Raises:
            ValueError: If they do not fit each other, or are not numbers and labels.
        """
        vectors, labels = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(labels)
        self.classes_, self._codes = np.unique(labels, return_inverse=True)
        self._vectors = vectors
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return each label's share of the votes (M, C) on vectors (M, D).

        Raises:
            InputError: A vector is zero, so that it has no direction, or a setting is out of range.
        """
        return self._votes(X)[0]

    def predict(self, X: ArrayLike) -> NDArray[np.generic]:
        """Return the label (M,) with the most votes; equal votes go to the label with the nearest neighbour."""
        winners = self._votes(X)[1]
        labels: NDArray[np.generic] = self.classes_[winners]
        return labels

    def _votes(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        check_is_fitted(self)
        queries = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        graph = _exact(query_neighbors(self._vectors, queries, self.k), self._vectors, queries)
        votes = label_votes(graph, self._codes, k=self.k, temperature=self.temperature)
        return votes.shares, votes.winners


class Embedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Images to vectors of a pretrained model. Nothing is learnt, so ``fit`` does nothing.

    Args:
        model: A name of the model table, a hub id or a path of weights.
        resolution: Side of the square that the model sees, in pixels; by default the model's own. "mini" takes 32, and
            sees larger images better at 40.
        pooling: ``cls`` or ``cls+mean``.
        focus: ``image`` or ``foreground``.
        device: ``auto``, ``cpu``, ``openvino``, ``openvino-fp32`` or ``cuda``.
        precision: ``auto``, ``fp32``, or ``int8`` for a bundled model in whole numbers of 8 bits.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        resolution: int | None = None,
        pooling: str = "cls",
        device: str = "auto",
        focus: str = "image",
        precision: str = "auto",
    ) -> None:
        self.model = model
        self.resolution = resolution
        self.pooling = pooling
        self.device = device
        self.focus = focus
        self.precision = precision

    def fit(self, X: object = None, y: object = None) -> Embedder:
        """Return the embedder: there is nothing to learn."""
        return self

    def transform(self, X: Sequence[Picture] | NDArray[np.generic]) -> NDArray[np.float32]:
        """Embed images.

        Args:
            X: M paths, or M images uint8 (H, W) or (H, W, 3) of any sizes, or one array of them.

        Returns:
            Vectors of length 1, float32 (M, D).

        Raises:
            ImageError: If a file is not an image.
            InputError: If there is no image, or an array is none.
            ModelError: If the model cannot be loaded.
        """
        indexed = hasattr(X, "__len__") and hasattr(X, "__getitem__") and not isinstance(X, str | bytes | Mapping)
        if not indexed or not len(X):
            raise InputError(
                "X must be a sequence of paths or images with at least one of them; put a path into a list"
            )
        encoder = self._encoder()
        squares = (_square(encoder, image, number) for number, image in enumerate(X))
        parts = []
        while batch := list(islice(squares, encoder.batch_size)):
            parts.append(encoder.run(np.stack(batch)))
        return np.concatenate(parts)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[np.object_]:
        """Return a name for each number of a vector (D,)."""
        return np.asarray([f"dino{index}" for index in range(self._encoder().dim)], dtype=object)

    def _encoder(self) -> Encoder:
        """Load the model once for these settings."""
        from dinoscope.models.encoder import Encoder

        settings = self.get_params()
        if getattr(self, "_loaded", (None, None))[0] != settings:
            self._loaded = (settings, Encoder(**settings))
        return self._loaded[1]

    def __getstate__(self) -> dict[str, object]:
        """Leave the loaded model out. A copy loads it again, also in another process."""
        state: dict[str, object] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_loaded"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit, tags.no_validation = False, True
        tags.input_tags.two_d_array, tags.input_tags.three_d_array, tags.input_tags.string = False, True, True
        return tags


def _square(encoder: Encoder, image: Picture, number: int) -> NDArray[np.uint8]:
    """Decode an image of X; an error names the image."""
    try:
        return encoder.square(image)
    except ImageError as error:
        name = os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {number} of X"
        raise type(error)(f"{name}: {error}") from None


def _exact(graph: NeighborGraph, vectors: NDArray[np.floating], queries: NDArray[np.floating]) -> NeighborGraph:
    """Recompute the similarities in float64, so that a vote does not depend on the rest of the batch."""
    exact = np.empty(graph.similarities.shape)
    for rows in row_blocks(len(graph), _BLOCK_BYTES // (8 * graph.k * vectors.shape[1])):
        near, asked = vectors[graph.indices[rows]].astype(np.float64), queries[rows].astype(np.float64)
        lengths = np.sqrt(np.einsum("mkd,mkd->mk", near, near) * np.einsum("md,md->m", asked, asked)[:, None])
        exact[rows] = np.einsum("mkd,md->mk", near, asked) / lengths
    order = np.argsort(-exact, axis=1, kind="stable")
    return NeighborGraph(
        np.take_along_axis(graph.indices, order, axis=1), np.take_along_axis(exact, order, axis=1).astype(np.float32)
    )
