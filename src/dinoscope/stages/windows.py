"""Searching inside a collection's images, for what fills only a part of one, and by a part of an image.

Every public function is a method of ``Collection``, ``windows`` as ``window_vectors``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.explain.windows import COUNT, WHOLE, Box, best_windows, check_box, window_boxes
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.errors import InputError
from dinoscope.sources.decode import read_image
from dinoscope.stages.results import Computed, run_stage
from dinoscope.stages.search import resolve_query

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.models.encoder import Encoder

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
    collection: Collection, query: int | str | os.PathLike[str] | NDArray[Any], k: int = 10, *,
    weights: str | None = None, on_progress: Callable[[int, int], None] | None = None,
) -> list[Spot]:  # fmt: skip
    """Find the images that hold something like an image, the most similar first.

    Each image counts by the best of itself and nine overlapping windows of half its size. The windows are cut out of
    the stored thumbnails and embedded when they are first needed: nine times as much work as embedding the images,
    once.

    Args:
        collection: The collection.
        query: A row number (the image itself is left out of the answer), an image file, a decoded image uint8 (H, W)
            or (H, W, 3), or a vector float (D,), such as that of a part of an image (``crop_vector``).
        k: Number of answers.
        weights: See ``search``.
        on_progress: Called with how many images' windows are there, and how many there will be.

    Raises:
        InputError: If there is no such row or ``k`` is not positive.
        ImageError: If the file is no image.
        ModelError: If the model that made the vectors is not to be had.
    """
    vector, own = resolve_query(collection, query, k, weights)
    held = windows(collection, weights=weights, on_progress=on_progress)
    similarities, chosen = best_windows(collection.vectors, held, vector)
    if own is not None:
        similarities[own] = -np.inf
    order = np.argsort(-similarities, kind="stable")[: min(k, len(collection) - (own is not None))]
    return [_spot(collection, at, float(similarities[at]), int(chosen[at])) for at in order.tolist()]


def crop_vector(
    collection: Collection, query: int | str | os.PathLike[str] | NDArray[Any], box: ArrayLike,
    weights: str | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Return the vector (D,) of a part of an image, to search by.

    Args:
        collection: The collection, whose model is used.
        query: An image file, a decoded image uint8 (H, W) or (H, W, 3), or a row number; of a row, the thumbnail is
            what is at hand.
        box: Left, top, width and height of the part, in pixels of the image.
        weights: See ``search``.

    Raises:
        InputError: If there is no such row, or the box is no part of the image.
        ImageError: If the file is no image.
        ModelError: If the model that made the vectors is not to be had.
    """
    if not isinstance(query, int | np.integer):
        picture = read_image(query)
        return collection.query_vector(_cut(picture, check_box(box, picture.shape[1], picture.shape[0])), weights)
    at = collection.position(int(query))
    picture = read_image(collection.thumbnails([at])[0])
    width, height = collection.sizes[at].tolist()
    left, top, across, down = check_box(box, width, height)
    x, y = picture.shape[1] / width, picture.shape[0] / height
    first = min(int(left * x), picture.shape[1] - 1), min(int(top * y), picture.shape[0] - 1)
    return collection.query_vector(_cut(picture, (*first, max(1, round(across * x)), max(1, round(down * y)))), weights)


def windows(
    collection: Collection, *, weights: str | None = None, encoder: Encoder | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float16]:  # fmt: skip
    """Return unit vectors of each image's windows (N, 9, D), embedded when they are first asked for.

    A run that is stopped goes on where it was, but for the last thousand images.

    Args:
        collection: The collection.
        weights: See ``search``.
        encoder: The model that made the vectors, where it is at hand.
        on_progress: Called with how many images' windows are there, and how many there will be.

    Raises:
        InputError: If there are so many that they would not fit in memory.
        ModelError: If the model that made the vectors is not to be had.
    """
    if collection.windows_held is not None:
        return collection.windows_held
    count, dim = collection.vectors.shape
    if (size := 2 * count * COUNT * dim) > _MOST_BYTES:
        raise InputError(
            f"looking inside {count:,} images would take {size / 1e9:.1f} GB of memory, expected at most "
            f"{_MOST_BYTES / 1e9:g}: embed a part of them into a collection of its own (dinoscope embed --limit)"
        )
    held = np.empty((count, COUNT, dim), np.float16)
    for rows in row_blocks(count, _PART):

        def compute(rows: slice = rows) -> Computed:
            return {"windows": _embed(collection, rows, encoder or collection.encoder(weights), report)}, {}

        def report(done: int, rows: slice = rows) -> None:
            if on_progress is not None:
                on_progress(rows.start + done, count)

        columns, _ = run_stage(collection, "windows", {"first": rows.start, "images": _PART}, compute)
        held[rows] = columns["windows"].reshape(-1, COUNT, dim)
        report(rows.stop - rows.start)
    collection.windows_held = held
    return held


def _cut(picture: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    left, top, across, down = box
    return np.ascontiguousarray(picture[top : top + down, left : left + across])


def _embed(collection: Collection, rows: slice, encoder: Encoder, report: Callable[[int], None]) -> NDArray[np.float16]:
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


def _spot(collection: Collection, at: int, similarity: float, window: int) -> Spot:
    box = None
    if window != WHOLE:
        width, height = collection.sizes[at].tolist()
        box = window_boxes(width, height)[window]
    return Spot(int(collection.rows[at]), collection.ids[at], collection.labels[at], min(1.0, similarity), box)
