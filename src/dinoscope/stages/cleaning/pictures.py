"""How much each picture of a collection is blurred, dark and so on, by what was measured when it was decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.base.types import PICTURE_KINDS
from dinoscope.sources.pixels.quality import Look, measure_looks
from dinoscope.storage.thumbnails import decode_thumbnail

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.pictures import PictureScores
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["SMALL", "from_thumbnails", "picture_scores", "without_lines"]

SMALL = 64  # pixels a side: the copy of a larger picture is smaller, or a JPEG
_READ_ROWS, _MEASURED_ROWS = 8192, 512  # thumbnails in memory at once, and how many of them are decoded


def picture_scores(collection: OpenedCollection) -> PictureScores:
    """Return how much each picture is of each kind of poor pictures."""
    from dinoscope.analysis.cleaning.pictures import PictureScores, score_pictures

    def compute() -> PictureScores:
        looks = _thumbnail_looks(collection) if from_thumbnails(collection) else collection.looks
        return score_pictures(looks, collection.sizes)

    settings = {"small": from_thumbnails(collection), "unmeasured": int(np.isnan(collection.looks["ruled"]).sum())}
    return collection.results.keep("pictures", settings, PictureScores, compute)


def without_lines(collection: OpenedCollection) -> int:
    """Count the pictures that nobody can call screenshots, because their lines were not measured.

    An earlier version did not measure them, and a small copy does not show them.
    """
    measured = picture_scores(collection).values[:, PICTURE_KINDS.index("screenshot")]
    return int(np.isnan(measured).sum())


def from_thumbnails(collection: OpenedCollection) -> bool:
    """Tell whether to measure the small copies: an array has no file, and an earlier version stored nothing.

    If so, all of them: you cannot compare the sharpness of a picture with that of a small copy.
    """
    return bool(np.isnan(collection.looks["sharpness"]).any())


def _thumbnail_looks(collection: OpenedCollection) -> dict[str, NDArray[np.float64]]:
    found = {name: np.empty(len(collection)) for name in collection.looks}
    for block in row_blocks(len(collection), _READ_ROWS):
        thumbnails = collection.thumbnails(np.arange(block.start, block.stop))
        for part in row_blocks(len(thumbnails), _MEASURED_ROWS):
            looks = _looks([decode_thumbnail(picture) for picture in thumbnails[part]])
            for name, values in found.items():
                values[block][part] = [getattr(look, name) for look in looks]
    found["ruled"][collection.sizes.max(axis=1) > SMALL] = np.nan  # the copy does not show even lines
    return found


def _looks(pictures: Sequence[NDArray[np.uint8]]) -> list[Look]:
    """Measure pictures (H, W, 3) of any sizes, those of one size together."""
    sizes: dict[tuple[int, ...], list[int]] = {}
    for at, picture in enumerate(pictures):
        sizes.setdefault(picture.shape, []).append(at)
    looks: dict[int, Look] = {}
    for alike in sizes.values():
        looks |= zip(alike, measure_looks(np.stack([pictures[at] for at in alike])), strict=True)
    return [looks[at] for at in range(len(pictures))]
