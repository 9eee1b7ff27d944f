"""Questions to a collection: what is similar to an image, inside it or from elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import ImageError, InputError
from dinoscope.sources.pixels.decode import Picture, Query
from dinoscope.stages.neighbors import nearest

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Match", "load_encoder", "patch_encoder", "query_vector", "resolve_query", "search"]


@dataclass(frozen=True)
class Match:
    """A look-alike: its row in the collection, id, label, and cosine similarity to the query (1 is the same)."""

    row: int
    id: str
    label: str | None
    similarity: float


def search(collection: OpenedCollection, query: Query, k: int = 10, *, weights: str | None = None) -> list[Match]:
    """Find the images most like one image, by cosine similarity, the best first.

    See ``Collection.search``.
    """
    vector, own = resolve_query(collection, query, k, weights)
    return [
        Match(int(collection.rows[at]), collection.ids[at], collection.labels[at], float(min(1.0, similarity)))
        for at, similarity in zip(*nearest(collection, vector, k, own), strict=True)
    ]


def resolve_query(
    collection: OpenedCollection, query: Query, k: int, weights: str | None = None
) -> tuple[NDArray[np.float32], int | None]:
    """Return the vector (D,) of a query as ``search`` takes it, and its position if it is an image of the collection.

    Args:
        collection: The collection.
        query: See ``search``.
        k: Number of answers, checked before anything is computed.
        weights: See ``search``.

    Raises:
        ImageError, InputError, ModelError: See ``search``.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    if isinstance(query, int | np.integer):
        own = collection.position(int(query))
        return collection.vectors[own], own
    return query_vector(collection, query, weights), None


def load_encoder(collection: OpenedCollection, weights: str | None = None) -> Encoder:
    """Return the model that made the vectors, loaded once.

    See ``Collection.encoder``.
    """
    from dinoscope.models.encoder import Encoder

    if weights is not None:
        made = collection.held(
            ("encoder", weights),
            lambda: Encoder.from_description(collection.model, weights=weights, decoding=collection.decoding),
        )
        return collection.held("encoder", lambda: made)  # later calls need not name the weights
    return collection.held("encoder", lambda: Encoder.from_description(collection.model, decoding=collection.decoding))


def patch_encoder(collection: OpenedCollection, resolution: int | None, weights: str | None = None) -> Encoder:
    """Return the model of a collection, loaded for another resolution where one is asked for.

    Raises:
        DownloadError, InputError, ModelError: See ``Encoder.from_description``.
    """
    from dinoscope.models.catalogue import MODELS
    from dinoscope.models.encoder import Encoder

    row = MODELS.get(str(collection.model["model"]))
    if resolution is None or (row is not None and row.family == "bundled"):
        return load_encoder(collection, weights)
    return collection.held(
        ("encoder", weights, resolution),
        lambda: Encoder.from_description(
            collection.model, weights=weights, decoding=collection.decoding, resolution=resolution
        ),
    )


def query_vector(collection: OpenedCollection, query: Picture, weights: str | None = None) -> NDArray[np.float32]:
    """Return the vector (D,) of an image that need not be in the collection, by the model that made its vectors.

    See ``Collection.query_vector``.
    """
    if isinstance(query, np.ndarray) and query.ndim == 1:
        if query.shape != collection.vectors.shape[1:]:
            raise InputError(f"a query vector must have shape {collection.vectors.shape[1:]}, got {query.shape}")
        if query.dtype.kind not in "fiu" or not (np.isfinite(query).all() and query.any()):
            raise InputError("a query vector must be finite numbers, not all of them 0: embed the query again")
        vector: NDArray[np.float32] = l2_normalize(query[None])[0]
        return vector
    model = load_encoder(collection, weights)
    try:
        found: NDArray[np.float32] = model.encode([query])[0]
    except ImageError as error:
        name = os.fspath(query) if isinstance(query, str | os.PathLike) else "the image"
        raise ImageError(f"{name}: {error}") from None
    return found
