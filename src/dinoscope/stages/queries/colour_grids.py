"""The patch colours of all images of a collection, kept: three bytes a patch, to be drawn instead of thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import patch_colours
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.typed import mismatch
from dinoscope.base.types import JsonObject
from dinoscope.errors import InputError
from dinoscope.stages.queries.patches import find_scheme, scheme_looks
from dinoscope.stages.queries.search import patch_encoder
from dinoscope.stages.queries.tokens import (
    TOKEN_IMAGES,
    TokenPlan,
    has_tokens,
    keep_command,
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

__all__ = ["colour_grids", "colours_at", "colours_obstacle", "keep_colours", "plan_colours"]

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
    if not lacking:
        return TokenPlan(len(collection), 0, 0, 0.0)
    unseen, first = _unseen(collection, lacking), scheme_looks(collection)
    count = sum(rows.stop - rows.start for rows in lacking)
    seconds = _FROM_TOKENS * (count - len(unseen))
    looks = unseen if len(unseen) else first
    if len(looks):
        each, tokens = time_looks(collection, encoder(), looks)
        seconds += each * (len(unseen) + len(first))
    else:
        tokens = kept_tokens(collection, np.array([lacking[0].start]), encoder) or []
    size = 3 * float(np.mean([grid.shape[0] * grid.shape[1] for grid in tokens]))
    return TokenPlan(len(collection), count, round(size * count), seconds)


def colours_obstacle(collection: OpenedCollection, at_most: int, folder: str) -> str | None:
    """Return why the colours are not made here, and what to do; None if they are.

    Args:
        collection: The collection.
        at_most: How many images are looked at. Those whose tokens are kept need no look.
        folder: What a command calls the collection.
    """
    count = len(_unseen(collection, parts_lacking(collection, _STAGE)))
    if count <= at_most:
        return None
    command = keep_command(collection, folder, at_most=len(collection))
    return (
        f"patch colours of {count:,} images have to be computed, and no more than {at_most:,} are computed from here: "
        f"run {command} on the machine of the collection, then try again"
    )


def keep_colours(
    collection: OpenedCollection,
    encoder: Callable[[], Encoder],
    *,
    at_most: int = TOKEN_IMAGES,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Compute and keep the patch colours of all images, from their tokens where these are kept.

    All images share the colours of ``Collection.patch_scheme``. What is kept stays when this is interrupted. In a
    collection that was opened for reading alone they are held in memory.

    Args:
        collection: The collection.
        encoder: Gives its model, where an image has to be looked at.
        at_most: How many images may be looked at.
        on_progress: Called with the number of images that are done, and of all.

    Raises:
        InputError: If more images have to be looked at.
        ModelError: If the model gives no patches.
    """
    obstacle = colours_obstacle(collection, at_most, str(collection.path))
    if obstacle is not None:
        raise InputError(obstacle)
    lacking = parts_lacking(collection, _STAGE)
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
    if not all(collection.results.has(_STAGE, part_settings(rows.start, None)) for rows in parts):
        return None
    found = [grid for rows in parts for grid in _part(collection, rows, encoder)]
    return found[positions.start - parts[0].start :][: len(positions)]


def colours_at(collection: OpenedCollection, positions: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Return the patch colours (H, W, 3) of a few images, looked at once and kept.

    Args:
        collection: The collection.
        positions: Positions of the images.

    Raises:
        DinoscopeError: See ``Collection.look``.
    """

    def encoder() -> Encoder:
        return patch_encoder(collection, None)

    found = [colour_grids(collection, range(at, at + 1), encoder) for at in positions]
    kept = [grids[0] for grids in found if grids is not None]
    if len(kept) == len(positions):
        return kept
    return _kept(collection, {"positions": list(positions)}, np.asarray(positions, np.int64), encoder)


def _unseen(collection: OpenedCollection, parts: list[slice]) -> NDArray[np.int64]:
    """Return the positions in these parts of the images that have no tokens either."""
    ranges = [np.arange(rows.start, rows.stop) for rows in parts]
    without = [each for each in ranges if not has_tokens(collection, each)]
    return np.concatenate([np.empty(0, np.int64), *without])


def _part(
    collection: OpenedCollection,
    rows: slice,
    encoder: Callable[[], Encoder],
    report: Callable[[int], None] = lambda _: None,
) -> list[NDArray[np.uint8]]:
    return _kept(collection, part_settings(rows.start, None), np.arange(rows.start, rows.stop), encoder, report)


def _kept(
    collection: OpenedCollection,
    settings: JsonObject,
    positions: NDArray[np.int64],
    encoder: Callable[[], Encoder],
    report: Callable[[int], None] = lambda _: None,
) -> list[NDArray[np.uint8]]:
    """Return the colours of the images at some positions, computed unless they are kept under these settings."""
    count = len(positions)

    def compute() -> Computed:
        report(0)
        basis = find_scheme(collection, encoder=encoder).basis
        kept = kept_tokens(collection, positions, encoder)
        if kept is None:
            model, found = encoder(), []
            for group in row_blocks(count, _GROUP):
                pictures = collection.thumbnails(positions[group])
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

    columns, meta = collection.results.run(_STAGE, settings, compute, check=check)
    pairs = zip(columns["colours"], meta["grids"], strict=True)
    return [np.frombuffer(content, np.uint8).reshape(*grid, 3) for content, grid in pairs]
