"""The range of values of a source's pictures of more than 8 bits, from a sample of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from functools import partial

import numpy as np

from dinoscope.base.parallel import in_order
from dinoscope.errors import ImageError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.names import ending_of
from dinoscope.sources.pixels.decode import deep_values
from dinoscope.sources.pixels.levels import DeepValues, ValueRange, fit_range

__all__ = ["find_range"]

_CONSIDERED = 4096  # names
_LOOKED_AT = 256  # pictures of which the header is read
_DECODED = 64  # of them
_MAY_BE_DEEP = ("", ".png", ".tif", ".tiff")  # and an item without an ending may be anything
_AHEAD = 8
_SEED = 7


def find_range(source: ImageSource) -> ValueRange | None:
    """Return what is black and what is white in a source's pictures of more than 8 bits; None if there seem to be none.

    One range for all of them: a picture is then as bright beside the others as it was made. See ``fit_range``.
    """
    count = len(source.items)
    rows: Sequence[int] = range(min(count, _CONSIDERED))
    if source.random_access:  # otherwise all before the last one would be read
        rows = np.sort(np.random.default_rng(_SEED).permutation(count)[:_CONSIDERED]).tolist()
    candidates = [at for at in rows if ending_of(source.items[at].id) in _MAY_BE_DEEP]
    if len(candidates) > _LOOKED_AT:
        candidates = candidates[:: len(candidates) // _LOOKED_AT][:_LOOKED_AT]
    found: list[DeepValues] = []
    with closing(in_order(partial(_look, source), candidates, ahead=_AHEAD)) as looks:
        for values in looks:
            if values is not None:
                found.append(values)
            if len(found) == _DECODED:
                break
    if not found:
        return None
    return fit_range(np.concatenate([values for values, _ in found]), all(whole for _, whole in found))


def _look(source: ImageSource, index: int) -> DeepValues | None:
    try:
        picture = source.picture(index)
    except ImageError:  # loading it will tell
        return None
    return None if picture is None else deep_values(picture)
