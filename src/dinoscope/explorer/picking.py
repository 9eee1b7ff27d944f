"""A few images of the collection, or of a part of it, that stand for the others. No web in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.text import counted
from dinoscope.explorer.types import Picked, PickQuery
from dinoscope.stages.opened import OpenedCollection
from dinoscope.stages.picking import pick

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["pick_images"]


def pick_images(collection: OpenedCollection, asked: PickQuery) -> Picked:
    """Return the images that a rule picks; see ``Collection.pick``.

    Raises:
        InputError: The rule needs labels that are not there.
    """
    of = collection if asked.rows is None else _part(collection, asked.rows)
    found = pick(of, min(asked.count, len(of)), asked.by)
    return Picked(
        rows=of.rows[found.positions].tolist(),
        distance=float(found.curve.distance[-1]),
        random_distance=float(np.median(found.curve.random_distance[:, -1])),
    )


def _part(collection: OpenedCollection, rows: Sequence[int]) -> OpenedCollection:
    """Open some images as a collection of their own, whose results are not kept: the next part is another."""
    part = OpenedCollection(collection.path, collection.key, labels=collection.labels_from, read_only=True)
    part.narrow(np.isin(part.rows, rows), f"{counted(len(rows))} that were asked for")
    return part
