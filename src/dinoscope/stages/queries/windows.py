"""Searching inside a collection's images, for what fills only a part of one, and by a part of an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.explain.windows import COUNT, WHOLE, Box, best_windows, check_box, window_boxes
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.errors import InputError
from dinoscope.sources.pixels.decode import Query, read_image
from dinoscope.stages.queries.search import load_encoder, query_vector, resolve_query
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Spot", "crop_vector", "search_inside", "windows"]

_PART = 1024  # images whose windows are stored together: what a kill loses at most
_MOST_BYTES = 2_000_000_000  # of all windows' vectors: 290,000 images with vectors of length 384
_GROUP = 64  # images whose windows are prepared at once


@dataclass(frozen=True)
class Spot:
    """Where something like the query is.

    Attributes:
        row: Row of the image in the collection.
        id: Its id.
        label: Its label.
        similarity: Cosine similarity of the query to the part, 1 is the same.
        box: The part: left, top, width and height in pixels of the image; None for the image as a whole.
    """

    row: int
    id: str
    label: str | None
    similarity: float
    box: Box | None


def search_inside(
    collection: OpenedCollection,
    query: Query,
    k: int = 10,
    *,
    weights: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Spot]:
    """Find the images that hold something like an image, the most similar first.

    See ``Collection.search_inside``.
    """
    vector, own = resolve_query(collection, query, k, weights)
    held = windows(collection, weights=weights, on_progress=on_progress)
    similarities, chosen = best_windows(collection.vectors, held, vector)
    if own is not None:
        similarities[own] = -np.inf
    order = np.argsort(-similarities, kind="stable")[: min(k, len(collection) - (own is not None))]
    return [_spot(collection, at, float(similarities[at]), int(chosen[at])) for at in order.tolist()]


def crop_vector(
    collection: OpenedCollection, query: Query, box: ArrayLike, weights: str | None = None
) -> NDArray[np.float32]:
    """Return the vector (D,) of a part of an image, to search by.

    See ``Collection.crop_vector``.
    """
    if not isinstance(query, int | np.integer):
        picture = read_image(query, collection.decoding)
        return query_vector(collection, _cut(picture, check_box(box, picture.shape[1], picture.shape[0])), weights)
    at = collection.position(int(query))
    picture = read_image(collection.thumbnails([at])[0])
    width, height = collection.sizes[at].tolist()
    left, top, across, down = check_box(box, width, height)
    x, y = picture.shape[1] / width, picture.shape[0] / height
    first = min(int(left * x), picture.shape[1] - 1), min(int(top * y), picture.shape[0] - 1)
    return query_vector(
        collection, _cut(picture, (*first, max(1, round(across * x)), max(1, round(down * y)))), weights
    )


def windows(
    collection: OpenedCollection,
    *,
    weights: str | None = None,
    encoder: Encoder | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float16]:
    """Return unit vectors of each image's windows (N, 9, D), embedded when they are first asked for.

    See ``Collection.window_vectors``.
    """
    return collection.held("windows", lambda: _all_windows(collection, weights, encoder, on_progress))


def _all_windows(
    collection: OpenedCollection,
    weights: str | None,
    encoder: Encoder | None,
    on_progress: Callable[[int, int], None] | None,
) -> NDArray[np.float16]:
    count, dim = collection.vectors.shape
    if (size := 2 * count * COUNT * dim) > _MOST_BYTES:
        raise InputError(
            f"looking inside {count:,} images would take {size / 1e9:.1f} GB of memory, expected at most "
            f"{_MOST_BYTES / 1e9:g}: embed a part of them into a collection of its own (dinoscope embed --limit)"
        )
    held = np.empty((count, COUNT, dim), np.float16)
    for rows in row_blocks(count, _PART):

        def compute(rows: slice = rows) -> Computed:
            return {"windows": _embed(collection, rows, encoder or load_encoder(collection, weights), report)}, {}

        def report(done: int, rows: slice = rows) -> None:
            if on_progress is not None:
                on_progress(rows.start + done, count)

        columns, _ = collection.results.run("windows", {"first": rows.start, "images": _PART}, compute)
        held[rows] = columns["windows"].reshape(-1, COUNT, dim)
        report(rows.stop - rows.start)
    return held


def _cut(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    left, top, across, down = box
    return np.ascontiguousarray(picture[top : top + down, left : left + across])


def _embed(
    collection: OpenedCollection, rows: slice, encoder: Encoder, report: Callable[[int], None]
) -> NDArray[np.float16]:
    """Return the windows' vectors of the images at some positions (n, 9 D)."""

    def squares(picture: bytes) -> NDArray[np.uint8]:
        pixels = read_image(picture)
        boxes = window_boxes(pixels.shape[1], pixels.shape[0])
        return np.stack([encoder.preprocess(_cut(pixels, box)) for box in boxes])

    found = np.empty((rows.stop - rows.start, COUNT * collection.vectors.shape[1]), np.float16)
    for group in row_blocks(len(found), _GROUP):
        pictures = collection.thumbnails(np.arange(rows.start + group.start, rows.start + group.stop))
        prepared = np.concatenate(in_threads(squares, pictures))
        starts = range(0, len(prepared), encoder.batch_size)
        vectors = [encoder.run(prepared[start : start + encoder.batch_size]) for start in starts]
        found[group] = np.concatenate(vectors).reshape(group.stop - group.start, -1)
        report(group.stop)
    return found


def _spot(collection: OpenedCollection, at: int, similarity: float, window: int) -> Spot:
    box = None
    if window != WHOLE:
        width, height = collection.sizes[at].tolist()
        box = window_boxes(width, height)[window]
    return Spot(int(collection.rows[at]), collection.ids[at], collection.labels[at], min(1.0, similarity), box)
