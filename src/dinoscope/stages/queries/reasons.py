"""Why images are like another: the part of each without which it would be less so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.explain.occlusion import heat_map, hide_squares, square_boxes
from dinoscope.analysis.explain.windows import Box
from dinoscope.sources.pixels.decode import Query, read_image
from dinoscope.stages.queries.search import load_encoder, resolve_query

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Reason", "find_reasons"]


@dataclass(frozen=True, eq=False)
class Reason:
    """What makes an image like a query.

    Attributes:
        row: Row of the image.
        similarity: Cosine similarity of its thumbnail to the query.
        without: The same while the square is hidden that matters most.
        box: That square: left, top, width and height in pixels of the image.
        heat: How much each place adds to the similarity (16, 16), from top to bottom; see ``heat_map``.
    """

    row: int
    similarity: float
    without: float
    box: Box
    heat: NDArray[np.float32]


def find_reasons(
    collection: OpenedCollection,
    query: Query,
    rows: Sequence[int],
    *,
    weights: str | None = None,
    encoder: Encoder | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Reason]:
    """Return, for images of the collection, what in each makes it like a query: see ``heat_map``.

    See ``Collection.reasons``.
    """
    positions = [collection.position(row) for row in rows]
    vector, _ = resolve_query(collection, query, 1, weights)
    model = encoder or load_encoder(collection, weights)
    found = []
    for number, (row, at) in enumerate(zip(rows, positions, strict=True), 1):
        picture = read_image(collection.thumbnails([at])[0])
        similarities = model.encode([picture, *hide_squares(picture)]) @ vector
        falls = similarities[0] - similarities[1:]
        worst = int(falls.argmax())
        width, height = collection.sizes[at].tolist()
        left, top, across, down = square_boxes(width, height)[worst].tolist()
        found.append(
            Reason(
                int(row),
                float(similarities[0]),
                float(similarities[1 + worst]),
                (left, top, across, down),
                heat_map(falls),
            )
        )
        if on_progress is not None:
            on_progress(number, len(positions))
    return found
