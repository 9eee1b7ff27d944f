"""The patch colours of all images of a collection, kept: three bytes a patch, to be drawn instead of thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import patch_colours
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.typed import mismatch
from dinoscope.stages.queries.patches import SCHEME_IMAGES, find_scheme
from dinoscope.stages.queries.tokens import (
    TOKEN_IMAGES,
    TokenPlan,
    check_limit,
    kept_tokens,
    look_at_tokens,
    part_settings,
    parts_lacking,
    parts_of,
    time_looks,
)
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["colour_grids", "keep_colours", "plan_colours"]

_STAGE = "patch_colours"
_GROUP = 32  # images that are looked at between two reports
_FROM_TOKENS = 1e-3  # seconds that an image takes whose tokens are kept


def plan_colours(collection: OpenedCollection, encoder: Callable[[], Encoder]) -> TokenPlan:
    """Tell for how many images the colours are not kept, and what they take, measured on a few images.

    Args:
        collection: The collection.
        encoder: Gives its model; not called where the tokens of all images are kept.
    """
    lacking = parts_lacking(collection, _STAGE)
    count, size = sum(rows.stop - rows.start for rows in lacking), 0.0
    unseen = _unseen(collection, lacking)
    seconds = _FROM_TOKENS * (count - len(unseen))
    if len(unseen):
        each, tokens = time_looks(collection, encoder(), unseen)
        first = 0 if collection.results.stored("patches") else min(SCHEME_IMAGES, len(collection))
        seconds += each * (len(unseen) + first)
        size = 3 * float(np.mean([grid.shape[0] * grid.shape[1] for grid in tokens]))
    return TokenPlan(len(collection), count, round(size * count), seconds)


def keep_colours(
    collection: OpenedCollection,
    encoder: Callable[[], Encoder],
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compute and keep the patch colours of all images, from their tokens where these are kept.

    All images share the colours of ``Collection.patch_scheme``. What is kept stays when this is interrupted. In a
    collection that was opened for reading alone they are held in memory.

    Args:
        collection: The collection.
        encoder: Gives its model, where an image has to be looked at.
        on_progress: Called with the number of images that are done, and of all.

    Raises:
        InputError: If more than ``TOKEN_IMAGES`` images have to be looked at.
        ModelError: If the model gives no patches.
    """
    lacking = parts_lacking(collection, _STAGE)
    check_limit(len(_unseen(collection, lacking)), TOKEN_IMAGES)
    done = len(collection) - sum(rows.stop - rows.start for rows in lacking)
    for rows in lacking:

        def report(images: int, start: int = done) -> None:
            if on_progress is not None:
                on_progress(start + images, len(collection))

        _part(collection, rows, encoder, report)
        done += rows.stop - rows.start


def colour_grids(
    collection: OpenedCollection, positions: range, encoder: Callable[[], Encoder]
) -> list[NDArray[np.uint8]] | None:
    """Return the patch colours (H, W, 3) of images at consecutive positions; None where they are not kept.

    Args:
        collection: The collection.
        positions: Which images.
        encoder: Gives its model, should what is kept be damaged.
    """
    parts = [rows for rows in parts_of(collection) if rows.start < positions.stop and rows.stop > positions.start]
    lacking = {rows.start for rows in parts_lacking(collection, _STAGE)}
    if any(rows.start in lacking for rows in parts):
        return None
    found = [grid for rows in parts for grid in _part(collection, rows, encoder)]
    return found[positions.start - parts[0].start :][: len(positions)]


def _unseen(collection: OpenedCollection, parts: list[slice]) -> NDArray[np.int64]:
    """Return the positions in these parts of the images that have no tokens either."""
    without = {rows.start for rows in parts_lacking(collection, "tokens")}
    ranges = [np.arange(rows.start, rows.stop) for rows in parts if rows.start in without]
    return np.concatenate([np.empty(0, np.int64), *ranges])


def _part(
    collection: OpenedCollection,
    rows: slice,
    encoder: Callable[[], Encoder],
    report: Callable[[int], None] = lambda _: None,
) -> list[NDArray[np.uint8]]:
    count = rows.stop - rows.start

    def compute() -> Computed:
        report(0)
        basis = find_scheme(collection, encoder=encoder).basis
        kept = kept_tokens(collection, rows)
        if kept is None:
            model, found = encoder(), []
            for group in row_blocks(count, _GROUP):
                pictures = collection.thumbnails(np.arange(rows.start + group.start, rows.start + group.stop))
                tokens = in_threads(lambda picture: look_at_tokens(model, picture), pictures)
                found += [patch_colours(each, basis) for each in tokens]
                report(group.stop)
        else:
            found = [patch_colours(each, basis) for each in kept]
            report(count)
        return {"colours": [each.tobytes() for each in found]}, {"grids": [list(each.shape[:2]) for each in found]}

    def check(found: Computed) -> None:
        colours, grids = found[0].get("colours"), found[1].get("grids")
        if mismatch(grids, list[list[int]]) or not isinstance(grids, list) or not isinstance(colours, list):
            raise ValueError("it holds no colours")
        if len(colours) != count or len(grids) != count:
            raise ValueError("its colours are not those of its images")
        for grid, content in zip(grids, colours, strict=True):
            if (
                len(grid) != 2
                or min(grid) < 1
                or not isinstance(content, bytes)
                or len(content) != 3 * grid[0] * grid[1]
            ):
                raise ValueError("its colours are not those of its patches")

    columns, meta = collection.results.run(_STAGE, part_settings(rows.start, None), compute, check=check)
    pairs = zip(columns["colours"], meta["grids"], strict=True)
    return [np.frombuffer(content, np.uint8).reshape(*grid, 3) for content, grid in pairs]
