"""Kept patch tokens, read for a search among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.machine import cores
from dinoscope.base.parallel import in_order
from dinoscope.stages.queries.search import patch_encoder
from dinoscope.stages.queries.tokens import TokenPart, parts_of, token_part

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["are_held", "hold_tokens", "read_tokens", "tokens_of"]

_MOST_HELD = 2_000_000_000  # bytes of tokens in memory; more are read again for each search


def read_tokens(
    collection: OpenedCollection, resolution: int | None, weights: str | None = None
) -> Iterator[TokenPart]:
    """Read all parts, in order; one that is damaged is computed again."""

    def read(rows: slice) -> TokenPart:
        return token_part(collection, rows, resolution, lambda: patch_encoder(collection, resolution, weights))

    return in_order(read, parts_of(collection), ahead=cores() + 1)


def hold_tokens(
    collection: OpenedCollection,
    resolution: int | None,
    weights: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[TokenPart] | None:
    """Return all parts, read once and held; None where they would take too much memory.

    The first part tells how much all of them take, so that nothing is read for a search that reads all of it again.

    Args:
        collection: The collection.
        resolution: See ``keep_tokens``.
        weights: Path of the model's weights, should a part be damaged.
        on_progress: Called with the number of parts that are read, and of all, where they are not held yet.
    """

    def read() -> list[TokenPart] | None:
        parts, images, size = [], 0, 0
        count = len(parts_of(collection))
        for part in read_tokens(collection, resolution, weights):
            images, size = images + len(part.grids), size + part.tokens.nbytes
            if size / images * len(collection) > _MOST_HELD:
                return None
            parts.append(part)
            if on_progress is not None:
                on_progress(len(parts), count)
        return parts

    return collection.held(("tokens", resolution), read)


def tokens_of(
    collection: OpenedCollection, at: int, resolution: int | None, weights: str | None = None
) -> NDArray[np.float16]:
    """Return the kept tokens of the image at a position (H, W, D)."""
    parts = hold_tokens(collection, resolution, weights)
    number, rows = next((n, rows) for n, rows in enumerate(parts_of(collection)) if at < rows.stop)
    if parts is not None:
        return parts[number].of_image(at - rows.start)
    part = token_part(collection, rows, resolution, lambda: patch_encoder(collection, resolution, weights))
    return part.of_image(at - rows.start)


def are_held(collection: OpenedCollection, resolution: int | None) -> bool:
    """Tell whether ``hold_tokens`` has been asked for these before: all of them are kept."""
    return collection.holds(("tokens", resolution))
