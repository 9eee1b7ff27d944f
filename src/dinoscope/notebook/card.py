"""A collection as a notebook shows it: what it holds, some of its pictures, and what to call next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.text import counted
from dinoscope.notebook.images import tiles_of
from dinoscope.notebook.pieces import calls, heading, sentence, strip

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["card"]

_PICTURES = 12
_NEXT = (
    ("c.show()", "the map as a picture"),
    ("c.explore()", "the map to click in"),
    ("c.search(0)", "the images most like row 0"),
    ("c.findings()", "duplicates, outliers, labels to check"),
    ("c.scores()", "how far to trust it"),
)


def card(collection: OpenedCollection) -> str:
    """Return a collection as HTML: its name, counts, twelve pictures from all over it, and the calls that come next."""
    count = len(collection)
    spread = np.unique(np.linspace(0, count - 1, min(_PICTURES, count)).round().astype(int)).tolist()
    facts = [counted(count), f"model {collection.model['model']}"]
    names = {label for label in collection.labels if label is not None}
    names |= {label for several in collection.label_sets for label in several}
    if names:
        facts.append(counted(len(names), "label"))
    splits = sorted({split for split in collection.splits if split is not None})
    if splits:
        facts.append(f"splits {', '.join(splits)}")
    if collection.failures:
        facts.append(f"{counted(len(collection.failures))} could not be read")
    tiles = tiles_of(collection, {at: (collection.label_text(at),) for at in spread})
    return heading(collection.name) + sentence(" · ".join(facts)) + strip(tiles) + calls(_NEXT)
