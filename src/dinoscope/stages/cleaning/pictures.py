"""Pictures of a collection that something is wrong with, by what was measured when they were decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.sources.pixels.decode import read_image
from dinoscope.sources.pixels.quality import measure_looks

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
    found = {name: np.empty(len(collection)) for name in collection.looks}
    for block in row_blocks(len(collection), _BLOCK_ROWS):
        positions = np.arange(block.start, block.stop)
        pictures = [read_image(picture) for picture in collection.thumbnails(positions)]
        shapes = [picture.shape for picture in pictures]
        for shape in set(shapes):
            alike = [at for at, each in enumerate(shapes) if each == shape]
            looks = measure_looks(np.stack([pictures[at] for at in alike]))
            for name, values in found.items():
                values[positions[alike]] = [getattr(look, name) for look in looks]
    return found
