"""At which side a bundled model sees a collection where nobody says it: larger images at more pixels."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np

from dinoscope.base.parallel import in_order
from dinoscope.errors import DamagedError, ImageError
from dinoscope.models.catalogue import Model, read_weights
from dinoscope.sources.base import ImageSource
from dinoscope.storage.manifest import list_models, read_model

__all__ = ["usual_resolution"]

_LOOKED_AT = 9
_SEED = 7


def usual_resolution(model: Model, source: ImageSource, path: Path | None = None) -> int | None:
    """Return at which side a model sees a source, for vectors of whole images.

    All images of a collection are seen at one side, so that they stay comparable: at the side of the vectors that are
    there. For new ones a sample of the images decides. Where half of them have a shortest side of at least
    ``larger_resolution`` pixels, it is that.

    Args:
        model: A row of the model table.
        source: The images.
        path: Folder of the collection, which may not be there yet.

    Returns:
        The side in pixels; None where the model has the same for all images.
    """
    if not model.larger_resolution:
        return None
    kept = _kept(model, path) if path is not None else set()
    if len(kept) == 1:
        return kept.pop()
    sides = _shortest_sides(source, model.larger_resolution)
    return model.resolution_for(float(np.median(sides or [0])))


def _kept(model: Model, path: Path) -> set[int]:
    """Return the sides of this model's vectors in a collection, those of other weights apart."""
    digest = hashlib.sha256(read_weights(model)).hexdigest()
    sides = set()
    for key in list_models(path):
        with suppress(DamagedError):  # embedding mends it, or says so
            made = read_model(path, key)
            if made["model"] == model.name and made["weights_sha256"] == digest and "focus" not in made:
                sides.add(made["resolution"])
    return sides


def _shortest_sides(source: ImageSource, least: int) -> list[int]:
    """Return the shortest sides of a few images, in pixels."""
    count = len(source.items)
    rows = list(range(min(count, _LOOKED_AT)))
    if source.random_access:  # otherwise all before the last one would be read
        rows = np.sort(np.random.default_rng(_SEED).permutation(count)[:_LOOKED_AT]).tolist()
    sides = in_order(partial(_shortest_side, source, least), rows, ahead=_LOOKED_AT)
    return [side for side in sides if side is not None]


def _shortest_side(source: ImageSource, least: int, index: int) -> int | None:
    try:
        return min(source.load_reduced(index, (least, least)).size)
    except ImageError:  # embedding will tell
        return None
