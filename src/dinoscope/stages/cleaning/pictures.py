"""Pictures of a collection that something is wrong with, by what was measured when they were decoded."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.sources.pixels.decode import read_image
from dinoscope.sources.pixels.quality import measure_look

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.pictures import PoorPictures
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["from_thumbnails", "poor_pictures"]

_BLOCK_ROWS = 512


def poor_pictures(collection: OpenedCollection) -> PoorPictures:
    """Return the pictures that are blurred, dark, blown out, empty, framed, or of an odd size or shape."""
    from dinoscope.analysis.cleaning.pictures import PoorPictures, find_poor_pictures

    def compute() -> PoorPictures:
        looks = _thumbnail_looks(collection) if from_thumbnails(collection) else collection.looks
        return find_poor_pictures(looks, collection.sizes)

    return collection.results.keep("pictures", {"small": from_thumbnails(collection)}, PoorPictures, compute)


def from_thumbnails(collection: OpenedCollection) -> bool:
    """Tell whether the small copies are measured: an array has no file, and an earlier version stored nothing.

    All of them, then: the sharpness of a picture and that of a small copy cannot be compared.
    """
    return bool(np.isnan(collection.looks["sharpness"]).any())


def _thumbnail_looks(collection: OpenedCollection) -> dict[str, NDArray[np.float64]]:
    found: list[dict[str, float]] = []
    for block in row_blocks(len(collection), _BLOCK_ROWS):
        pictures = collection.thumbnails(np.arange(block.start, block.stop))
        found += [asdict(measure_look(read_image(picture))) for picture in pictures]
    return {name: np.asarray([each[name] for each in found]) for name in collection.looks}
