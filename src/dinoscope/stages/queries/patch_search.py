"""Searching a collection's kept patch tokens by one patch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import token_similarities, unit_tokens
from dinoscope.base.checks import check_count, shown
from dinoscope.base.parallel import in_threads
from dinoscope.base.typed import mismatch
from dinoscope.errors import InputError
from dinoscope.sources.pixels.decode import Query
from dinoscope.stages.queries.held_tokens import are_held, hold_tokens, read_tokens, tokens_of
from dinoscope.stages.queries.search import patch_encoder
from dinoscope.stages.queries.tokens import check_resolution, keep_command, kept_resolutions
from dinoscope.stages.queries.windows import Spot

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["prepare_search", "search_patch"]


def search_patch(
    collection: OpenedCollection,
    query: Query,
    place: tuple[float, float],
    k: int = 10,
    *,
    resolution: int | None = None,
    weights: str | None = None,
) -> list[Spot]:
    """Find the images with a patch similar to the given one, the most similar first.

    See ``Collection.search_patch``.
    """
    check_count(k, "k")
    check_resolution(resolution)
    across, down = _checked_place(place)
    resolution = _kept_resolution(collection, resolution)
    own = None
    if not isinstance(query, int | np.integer):
        encoder = patch_encoder(collection, resolution, weights)
        token = _at(unit_tokens(encoder.look(query, resolution).tokens)[0], across, down)
    else:
        own = collection.position(int(query))
        token = _at(tokens_of(collection, own, resolution, weights), across, down)
    parts = hold_tokens(collection, resolution, weights)
    similar: list[NDArray[np.float32]] = []
    if parts is None:
        grids = []
        for part in read_tokens(collection, resolution, weights):
            similar.append(token_similarities(part.tokens, token))
            grids.append(part.grids)
    else:
        similar = in_threads(lambda part: token_similarities(part.tokens, token), parts)
        grids = [part.grids for part in parts]
    return _spots(collection, np.concatenate(similar), np.concatenate(grids), k, own)


def prepare_search(collection: OpenedCollection, on_progress: Callable[[int, int], None] | None = None) -> None:
    """Read the tokens that ``search_patch`` compares, so that it need not wait for them.

    Args:
        collection: The collection.
        on_progress: See ``hold_tokens``.

    Raises:
        InputError: If they are not kept.
    """
    hold_tokens(collection, _kept_resolution(collection, None), on_progress=on_progress)


def _spots(
    collection: OpenedCollection, similar: NDArray[np.float32], grids: NDArray[np.int64], k: int, own: int | None
) -> list[Spot]:
    """Return the best patch of the k images whose best patch is most similar."""
    starts = np.concatenate([[0], np.cumsum(grids.prod(axis=1))])
    best = np.maximum.reduceat(similar, starts[:-1])
    if own is not None:
        best[own] = -np.inf
    found = []
    for at in np.argsort(-best, kind="stable")[: min(k, len(best) - (own is not None))].tolist():
        patch = int(similar[starts[at] : starts[at + 1]].argmax())
        rows, columns = grids[at].tolist()
        row, column = divmod(patch, columns)
        width, height = collection.sizes[at].tolist()
        left, right = (min(width, max(0, round(each * width / columns))) for each in (column, column + 1))
        top, bottom = (min(height, max(0, round(each * height / rows))) for each in (row, row + 1))
        box = min(left, width - 1), min(top, height - 1), max(1, right - left), max(1, bottom - top)
        similarity = min(1.0, float(best[at]))
        found.append(Spot(int(collection.rows[at]), collection.ids[at], collection.labels[at], similarity, box))
    return found


def _checked_place(place: object) -> tuple[float, float]:
    listed = place if isinstance(place, tuple | list) else ()
    given = [float(each) if isinstance(each, np.floating) else each for each in listed]
    if len(given) != 2 or mismatch(given, list[float]) or not all(0 <= each <= 1 for each in given):
        raise InputError(f"place must be how far right and how far down, each from 0 to 1, got {shown(place)}")
    return given[0], given[1]


def _at(tokens: NDArray[np.floating], across: float, down: float) -> NDArray[np.float32]:
    """Return the token at a place of an image, of its unit tokens (H, W, D)."""
    rows, columns = tokens.shape[:2]
    token: NDArray[np.float32] = tokens[min(rows - 1, int(down * rows)), min(columns - 1, int(across * columns))]
    return token.astype(np.float32)


def _kept_resolution(collection: OpenedCollection, resolution: int | None) -> int | None:
    """Return the resolution whose tokens are searched: the one that is asked for, else the usual one, else another.

    Raises:
        InputError: If not all of its tokens are kept.
    """
    if are_held(collection, resolution):
        return resolution
    kept = kept_resolutions(collection)
    if resolution in kept:
        return resolution
    if resolution is None and kept:
        return kept[0]
    command = keep_command(collection, str(collection.path), resolution=resolution)
    raise InputError(
        f"searching by a patch needs the tokens of all images of {collection.name!r}: keep them first "
        f"({command}, or keep_tokens)"
    )
