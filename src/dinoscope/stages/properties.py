"""What can be said of a collection's images by looking at them, and what that has to do with its map and clusters.

Every function is a method of ``Collection``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError
from dinoscope.stages.results import Computed, keep, run_stage

if TYPE_CHECKING:
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.collection import Collection

__all__ = ["explanation", "properties"]

_BLOCK_ROWS = 8192  # thumbnails in memory at once


def properties(collection: Collection) -> dict[str, NDArray[np.float32]]:
    """Return how bright, colourful, detailed, wide... each image is: name -> (N,); see ``analysis.explain.properties``.

    They are measured on the stored thumbnails.

    Raises:
        CollectionError: If a part of the collection was deleted.
    """
    from dinoscope.analysis.explain.properties import image_properties

    def compute() -> Computed:
        found = []
        for rows in row_blocks(len(collection), _BLOCK_ROWS):
            pictures = collection.thumbnails(np.arange(rows.start, rows.stop))
            found.append(image_properties(pictures, collection.sizes[rows], collection.rows[rows]))
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}, {}

    return run_stage(collection, "properties", {}, compute)[0]


def explanation(
    collection: Collection, *, cluster_settings: Mapping[str, Any] | None = None,
    map_settings: Mapping[str, Any] | None = None,
) -> Explanation:  # fmt: skip
    """Return how far those properties go along with map, clusters, vectors and labels.

    See ``dinoscope.analysis.explain.explanation.explain``.

    Args:
        collection: The collection, of 20 images or more.
        cluster_settings: Of ``clusters``, such as ``{"k": 10}``.
        map_settings: Of ``map``, such as ``{"method": "tsne"}``; for two axes.

    Raises:
        InputError: If there are too few images, or see ``clusters`` and ``map``.
    """
    from dinoscope.analysis.explain.explanation import FEWEST, Explanation, explain

    if len(collection) < FEWEST:
        raise InputError(f"what a map is made of can be told of {FEWEST} images or more, got {len(collection)}")
    found, coordinates = collection.clusters(**(cluster_settings or {})), collection.map(**(map_settings or {}))
    settings = {
        "clusters": collection.stages["clusters"].settings, "map": collection.stages["map"].settings,
        "labels": collection.label_state,
    }  # fmt: skip

    def compute() -> Explanation:
        return explain(
            collection.vectors, collection.properties(), coordinates, graph=collection.neighbors(),
            labels=collection.labels, clusters=found.labels, unseen=("order",),
        )  # fmt: skip

    return keep(collection, "explanation", settings, Explanation, compute)
