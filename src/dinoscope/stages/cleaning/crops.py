"""Images of a collection that are a part of another one, found by looking inside all images."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.stages.cleaning.findings import duplicates
from dinoscope.stages.queries.windows import windows

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.crops import Crops
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["crops"]

_HELD = 20_000  # small pictures in memory at once: 240 MB


def crops(
    collection: OpenedCollection,
    *,
    threshold: float | None = None,
    weights: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Crops:
    """Find images that are a part of another one; see ``Collection.crops``."""
    from dinoscope.analysis.cleaning.crops import Crops, find_crops, propose_crops

    copies = duplicates(collection, threshold)
    if len(collection) < 2:
        none = np.empty(0, np.int64)
        return Crops(none, none, none.astype(np.float64), none.astype(np.float64))

    def embedded(done: int, of: int) -> None:
        if on_progress is not None:
            on_progress(done, 2 * of)

    def compared(done: int, of: int) -> None:
        if on_progress is not None:
            on_progress(of + done, 2 * of)

    held = windows(collection, weights=weights, on_progress=embedded)

    @lru_cache(maxsize=_HELD)
    def picture_of(at: int) -> NDArray[np.uint8]:
        return np.asarray(Image.open(BytesIO(collection.thumbnails([at])[0])).convert("L"))

    found = find_crops(picture_of, propose_crops(collection.vectors, held), on_progress=compared)
    group_of = {at: number for number, group in enumerate(copies.groups) for at in group}
    pairs = zip(found.parts.tolist(), found.wholes.tolist(), strict=True)
    new = np.asarray([part not in group_of or group_of[part] != group_of.get(whole) for part, whole in pairs], bool)
    return Crops(found.parts[new], found.wholes[new], found.scores[new], found.shares[new])
