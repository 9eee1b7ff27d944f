"""The pictures of a whole collection: its map as points, and as images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.plots.canvas import PAPER, Picture
from dinoscope.plots.image_map import image_map_figure, pick_tiles
from dinoscope.plots.map import map_figure
from dinoscope.plots.palette import cluster_colors, group_colors, image_colors, label_groups
from dinoscope.stages.clusters import shown_clusters
from dinoscope.stages.columns import public_condition

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["MapGroups", "collection_image_map", "collection_map"]

_MOST_LETTERS = 40  # of a condition in a title


@dataclass(frozen=True, eq=False)
class MapGroups:
    """What the points of a map are coloured by: labels, or clusters where no image has a label.

    Attributes:
        members: Group of each image (N,), an index into ``names``; -1 for none.
        names: Name of each group.
        colors: Colour of each group.
        are_labels: Whether they are labels.
    """

    members: NDArray[np.int64]
    names: list[str]
    colors: list[str]
    are_labels: bool

    @classmethod
    def of(cls, collection: OpenedCollection) -> MapGroups:
        """Return the labels of a collection, or the clusters that were found last."""
        members, names = label_groups(collection.labels)
        if names:
            return cls(members, names, group_colors(np.bincount(members[members >= 0], minlength=len(names))), True)
        members = shown_clusters(collection)
        count = int(members.max()) + 1
        colors = cluster_colors(np.bincount(members[members >= 0], minlength=count))
        return cls(members, [f"cluster {number}" for number in range(count)], colors, False)

    def take(self, keep: NDArray[np.bool_]) -> MapGroups:
        """Return the groups of some images (N,), with the names and colours that they have among all."""
        members = self.members[keep]
        there = np.unique(members[members >= 0])
        numbered = np.where(members >= 0, np.searchsorted(there, members), -1)
        names, colors = ([held[at] for at in there.tolist()] for held in (self.names, self.colors))
        return MapGroups(numbered, names, colors, self.are_labels)


def collection_map(
    collection: OpenedCollection, coordinates: ArrayLike, *, groups: MapGroups | None = None, dark: bool = False
) -> Picture:
    """Draw a collection's map as PNG, coloured by label, or by cluster where no image has a label.

    Args:
        collection: The collection, or a part of it.
        coordinates: The map (N, 2) or (N, 3) of its images.
        groups: Colours and names, by default those of the images that are open.
        dark: Draw for a dark page.
    """
    groups = groups or MapGroups.of(collection)
    members, names, colors = groups.members, groups.names, groups.colors
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


def collection_image_map(
    collection: OpenedCollection, coordinates: ArrayLike, *, groups: MapGroups | None = None, dark: bool = True
) -> Picture:
    """Draw a collection's map with its images as PNG, a line in the colour of its label below each.

    See ``collection_map``.
    """
    tiles = pick_tiles(coordinates)
    colors = None
    if any(label is not None for label in collection.labels):
        groups = groups or MapGroups.of(collection)
        colors = image_colors(groups.members[tiles.positions], groups.colors)
    side = int(np.clip(2000 // max(tiles.columns, tiles.rows), 14, 96))
    pictures = collection.thumbnails(tiles.positions)
    return image_map_figure(tiles, pictures, tile=side, colors=colors, background=PAPER[dark])
