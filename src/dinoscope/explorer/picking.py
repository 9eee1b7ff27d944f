"""A few images of the collection, or of a part of it, that stand for the others. No web in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.text import counted
from dinoscope.errors import InputError
from dinoscope.explorer.model_view import position_of
from dinoscope.explorer.types import Picked, PickQuery
from dinoscope.stages.opened import OpenedCollection
from dinoscope.stages.picking import pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["pick_images"]


def pick_images(
    collection: OpenedCollection, asked: PickQuery, on_progress: Callable[[int, int], None] | None = None
) -> Picked:
    """Return the images that a rule picks; see ``Collection.pick``.

    Args:
        collection: The collection.
        asked: How many of which, and the rule.
        on_progress: Told now and then how far it is; what it raises ends the work.

    Raises:
        Unknown: A row is not in the collection.
        InputError: The rule needs labels that are not there.
    """
    of = collection
    if asked.rows is not None:
        rows = list(dict.fromkeys(asked.rows))
        for row in rows:
            position_of(collection, row)
        if len(rows) == 1:  # nothing to compare it with
            return Picked(rows=rows, distance=0.0, random_distance=0.0)
        of = _part(collection, rows)
    labels = {label for label in of.labels if label is not None}
    if asked.by == "uncertain" and len(labels) < 2 and not any(of.label_sets):
        have = "the same label" if labels else "no label"
        raise InputError(f"these images have {have}, and Uncertain needs two labels: choose Typical")
    found = pick(of, min(asked.count, len(of)), asked.by, on_progress=on_progress)
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
