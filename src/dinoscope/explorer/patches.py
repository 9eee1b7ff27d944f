"""What the model sees in an image of the collection and in its nearest neighbours, for the explorer."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import similar_patches
from dinoscope.explorer.model_view import ModelData, position_of
from dinoscope.explorer.types import PatchImage, PatchView
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.queries.patches import Look, look

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder

__all__ = ["patch_view"]

_NEIGHBORS = 4  # the patches of each are compared with those of the image


def patch_view(data: ModelData, row: int, encoder: Encoder) -> PatchView:
    """Return what the model sees in an image and in its four nearest neighbours.

    Raises:
        Unknown: If no image with vectors has this row number.
        ModelError: If the model gives no patches.
    """
    collection = data.collection
    at = position_of(collection, row)
    near = neighbor_graph(collection).indices[at, :_NEIGHBORS].tolist() if len(collection) > 1 else []
    rows = [row, *(int(collection.rows[each]) for each in near)]
    looks = look(collection, rows, encoder=encoder)
    return PatchView(
        images=[_image(each, found, looks[0]) for each, found in zip(rows, looks, strict=True)],
        bundled=encoder.model.family == "bundled",
        basis=looks[0].basis,
    )


def _image(row: int, found: Look, asked: Look) -> PatchImage:
    similarity = similar_patches(found.tokens, asked.tokens)
    return PatchImage(
        row=row,
        rows=found.tokens.shape[0],
        columns=found.tokens.shape[1],
        colours=found.colours.ravel().tolist(),
        foreground=np.rint(255 * found.foreground.shares(*found.tokens.shape[:2])).astype(int).ravel().tolist(),
        sure=found.foreground.sure,
        clear=found.foreground.clear,
        parts=found.parts.ravel().tolist(),
        attention=None if found.attention is None else _levels(found.attention).ravel().tolist(),
        similar=base64.b64encode(np.rint(255 * np.clip(similarity, 0, 1)).astype(np.uint8).tobytes()).decode(),
    )


def _levels(values: NDArray[np.float32]) -> NDArray[np.int64]:
    low, high = float(values.min()), float(values.max())
    levels: NDArray[np.int64] = np.rint(255 * (values - low) / max(high - low, 1e-12)).astype(np.int64)
    return levels
