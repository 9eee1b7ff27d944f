"""The pictures of a whole collection: its map as points, and as images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from dinoscope.plots.canvas import PAPER, Picture
from dinoscope.plots.image_map import image_map_figure, pick_tiles
from dinoscope.plots.map import map_figure
from dinoscope.plots.palette import cluster_colors, group_colors, image_colors, label_groups
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.columns import public_condition

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["collection_image_map", "collection_map"]

_MOST_LETTERS = 40  # of a condition in a title


def collection_map(collection: OpenedCollection, coordinates: ArrayLike, *, dark: bool = False) -> Picture:
    """Draw a collection's map as PNG, coloured by label, or by cluster where no image has a label."""
    members, names = label_groups(collection.labels)
    colors = None
    if not names:
        members = find_clusters(collection).labels.astype(np.int64)
        colors = cluster_colors(np.bincount(members))
        names = [f"cluster {number}" for number in range(int(members.max()) + 1)]
    title = f"{collection.name}: {_shown_images(collection)} through {collection.model['model']}"
    if np.asarray(coordinates).shape[1:] == (3,):
        from dinoscope.plots.maps import solid_map_figure

        return solid_map_figure(coordinates, members, names, colors=colors, title=title, dark=dark)
    return map_figure(coordinates, members, names, colors=colors, title=title, dark=dark, background=PAPER[dark])


def _shown_images(collection: OpenedCollection) -> str:
    where = public_condition(collection)
    if where is None:
        return f"{len(collection):,} images"
    where = where if len(where) <= _MOST_LETTERS else f"{where[:_MOST_LETTERS]}..."
    return f"{len(collection):,} of {collection.embedded_images:,} images where {where},"


def collection_image_map(collection: OpenedCollection, coordinates: ArrayLike, *, dark: bool = True) -> Picture:
    """Draw a collection's map with its images as PNG, a line in the colour of its label below each."""
    tiles = pick_tiles(coordinates)
    members, names = label_groups(collection.labels)
    colors = None
    if names:
        palette = group_colors(np.bincount(members[members >= 0], minlength=len(names)))
        colors = image_colors(members[tiles.positions], palette)
    side = int(np.clip(2000 // max(tiles.columns, tiles.rows), 14, 96))
    pictures = collection.thumbnails(tiles.positions)
    return image_map_figure(tiles, pictures, tile=side, colors=colors, background=PAPER[dark])
