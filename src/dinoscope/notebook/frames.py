"""The images of a collection as a table for pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dinoscope.errors import InputError
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.maps import make_map

if TYPE_CHECKING:
    import pandas

    from dinoscope.stages.opened import OpenedCollection

__all__ = ["to_pandas"]


def to_pandas(collection: OpenedCollection, *, computed: bool = False) -> pandas.DataFrame:
    """Return a table with a line for each image; see ``Collection.to_pandas``."""
    try:
        import pandas
    except ImportError:
        raise InputError("to_pandas needs pandas: pip install pandas") from None
    columns: dict[str, object] = {
        "id": collection.ids,
        "label": collection.labels,
        "split": collection.splits,
        "width": collection.sizes[:, 0],
        "height": collection.sizes[:, 1],
    }
    if any(collection.label_sets):
        columns["labels"] = collection.label_sets
    if any(caption is not None for caption in collection.captions):
        columns["caption"] = collection.captions
    if computed:
        coordinates = make_map(collection)
        columns |= {"x": coordinates[:, 0], "y": coordinates[:, 1]}
        columns["cluster"] = find_clusters(collection).labels.astype(np.int64)
    return pandas.DataFrame(columns, index=pandas.Index(collection.rows, name="row"))
