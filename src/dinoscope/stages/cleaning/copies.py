"""Which copy of a picture a collection should keep, according to what is stored about the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.sources.pixels.decode import read_image
from dinoscope.sources.pixels.quality import UNKNOWN_LOSS, measure_sharpness

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.keeping import FileFacts
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Seen", "keep_first", "look_at"]

_BLOCK = 1024  # small pictures read at once


@dataclass(frozen=True, slots=True)
class Seen:
    """What the small picture of a copy shows.

    Attributes:
        colour: Whether it has colours.
        inside: Share of its area inside a frame of one colour; 1 without a frame.
        sharpness: Noise and detail of the small picture; None where those of the large ones were stored.
    """

    colour: bool
    inside: float
    sharpness: tuple[float, float] | None = None

    @classmethod
    def of(cls, picture: NDArray[np.uint8], *, sharpness: bool = False) -> Seen:
        """Look at a picture (H, W, 3), and measure its sharpness if asked."""
        from dinoscope.analysis.cleaning.altered import has_colours, inside_share

        return cls(has_colours(picture), inside_share(picture), measure_sharpness(picture) if sharpness else None)

    def facts(self, pixels: int, measured: Mapping[str, float]) -> FileFacts:
        """Return all that is known about a file of this many pixels; ``measured`` is by ``details.QUALITY``."""
        from dinoscope.analysis.cleaning.keeping import FileFacts

        unknown = measured.get("quality") == UNKNOWN_LOSS
        return FileFacts(pixels, **measured, unknown_loss=unknown, colour=self.colour, inside=self.inside)


def keep_first(collection: OpenedCollection, group: Sequence[int]) -> tuple[tuple[int, ...], str]:
    """Return the positions of some copies with the one to keep first, and why it is kept."""
    from dinoscope.analysis.cleaning.keeping import choose_keeper

    members = sorted(group)
    seen, stored = look_at(collection, members), collection.qualities
    unknown = any(np.isnan(stored["noise"][at]) for at in members)
    chosen, reason = choose_keeper([_facts(collection, seen[at], at, unknown) for at in members])
    keeper = members.pop(chosen)
    return (keeper, *members), reason


def look_at(collection: OpenedCollection, positions: Sequence[int]) -> Mapping[int, Seen]:
    """Return what the small pictures at these positions (and maybe others) show.

    Each is read once while the collection is open. Ask for many at once: reading one takes as long as reading many.
    """
    seen: dict[int, Seen] = collection.held("looks of copies", dict)
    missing = [at for at in positions if at not in seen]
    sharpness = bool(np.isnan(collection.qualities["noise"]).any())  # an earlier version stored none
    for rows in row_blocks(len(missing), _BLOCK):
        read = zip(missing[rows], collection.thumbnails(missing[rows]), strict=True)
        seen |= {at: Seen.of(read_image(content), sharpness=sharpness) for at, content in read}
    return seen


def _facts(collection: OpenedCollection, seen: Seen, at: int, unknown: bool) -> FileFacts:
    from dinoscope.analysis.cleaning.keeping import THUMBNAIL

    stored = collection.qualities.items()
    measured = {name: float(values[at]) for name, values in stored if not np.isnan(values[at])}
    if unknown and seen.sharpness is not None:  # the thumbnail is all that there is
        noise, detail = seen.sharpness
        measured |= {"noise": noise, "detail": detail, "reduced": THUMBNAIL}
    return seen.facts(int(collection.sizes[at].prod()), measured)
