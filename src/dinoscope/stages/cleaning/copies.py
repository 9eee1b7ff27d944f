"""Which copy of a picture a collection should keep, by what was stored of the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.sources.pixels.decode import read_image
from dinoscope.sources.pixels.quality import measure_sharpness

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.keeping import FileFacts
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["keep_first"]


def keep_first(collection: OpenedCollection, group: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """Return the positions of some copies with the one to keep first, and why it is kept."""
    from dinoscope.analysis.cleaning.keeping import choose_keeper

    members = sorted(group)
    stored = collection.qualities
    unknown = any(np.isnan(stored["noise"][at]) for at in members)
    chosen, reason = choose_keeper([_facts(collection, stored, at, unknown) for at in members])
    keeper = members.pop(chosen)
    return (keeper, *members), reason


def _facts(collection: OpenedCollection, stored: dict[str, NDArray[np.float64]], at: int, unknown: bool) -> FileFacts:
    from dinoscope.analysis.cleaning.altered import has_colours, inside_share
    from dinoscope.analysis.cleaning.keeping import THUMBNAIL, FileFacts

    pixels = int(collection.sizes[at].prod())
    held = {name: float(values[at]) for name, values in stored.items() if not np.isnan(values[at])}
    picture = read_image(collection.thumbnails([at])[0])
    if unknown:  # an earlier version stored none: the thumbnail is all that there is
        noise, detail = measure_sharpness(picture)
        held |= {"noise": noise, "detail": detail, "reduced": THUMBNAIL}
    return FileFacts(pixels, **held, colour=has_colours(picture), inside=inside_share(picture))
