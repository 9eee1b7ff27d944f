"""Two collections compared: what is new, what is gone, which pictures both contain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.checks import shown
from dinoscope.errors import InputError
from dinoscope.stages.neighbors import load_index, neighbor_graph
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.manifest import other_weights

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.leaks import Leak
    from dinoscope.analysis.difference import Difference, ShareChange
    from dinoscope.analysis.neighbors import NeighborGraph

__all__ = ["difference", "label_changes", "same_pictures"]


def difference(
    collection: OpenedCollection, other: OpenedCollection, *, k: int | None = None, false_share: float = 0.1
) -> Difference:
    """Find how another collection differs from this one; see ``dinoscope.analysis.difference.find_difference``.

    See ``Collection.difference``.
    """
    from dinoscope.analysis.difference import NeighborGraphs, check_sides, find_difference

    _check_one_model(collection, other)
    check_sides(len(collection), len(other))  # before the search for their neighbours
    graphs = NeighborGraphs(
        neighbor_graph(collection), neighbor_graph(other), _asked(collection, other), _asked(other, collection)
    )
    return find_difference(collection.vectors, other.vectors, graphs=graphs, k=k, false_share=false_share)


def same_pictures(collection: OpenedCollection, other: OpenedCollection, graph: NeighborGraph) -> tuple[Leak, ...]:
    """Return the groups of near-duplicates that have an image in either collection, the surest first.

    Args:
        collection: BEFORE.
        other: AFTER.
        graph: Neighbours of all images, ``Difference.graph``.

    Returns:
        Groups. Their positions count through both collections, and their splits are "after" and "before".
    """
    from dinoscope.analysis.cleaning.altered import inside_frames
    from dinoscope.analysis.cleaning.duplicates import find_duplicates
    from dinoscope.analysis.cleaning.fingerprints import fingerprints
    from dinoscope.analysis.cleaning.leaks import find_leaks
    from dinoscope.stages.cleaning.answers import picture_keys

    _check_one_model(collection, other)
    both = (collection, other)
    pictures = [picture for each in both for picture in each.thumbnails(np.arange(len(each)))]
    sizes = np.concatenate([each.sizes for each in both])
    vectors = np.concatenate([each.vectors for each in both])
    prints = fingerprints(pictures)
    found = find_duplicates(
        vectors,
        graph=graph,
        keys=picture_keys(pictures, sizes, vectors),
        prints=prints,
        inside=inside_frames(pictures, prints),
        aspects=sizes[:, 0] / sizes[:, 1],
    )
    return find_leaks(found, np.repeat(["before", "after"], [len(each) for each in both]))


def label_changes(collection: OpenedCollection, other: OpenedCollection) -> dict[str, ShareChange]:
    """Return how the share of each label changed among labelled images; nothing unless both sides have labels."""
    from dinoscope.analysis.difference import share_changes

    labels = [str(label) for each in (collection, other) for label in each.labels if label is not None]
    counts = [sum(label is not None for label in each.labels) for each in (collection, other)]
    if not all(counts):
        return {}
    names, changes = share_changes(labels, np.repeat([False, True], counts))
    return dict(zip(map(str, names), changes, strict=True))


def _asked(known: OpenedCollection, queries: OpenedCollection) -> NeighborGraph:
    """Return the neighbours that the images of one collection have in another."""
    from dinoscope.analysis.hnsw import takes_index
    from dinoscope.analysis.neighbors import query_neighbors

    if takes_index(len(known)):
        return load_index(known).query(queries.vectors, 30)
    return query_neighbors(known.vectors, queries.vectors, 30)


def _check_one_model(collection: OpenedCollection, other: OpenedCollection) -> None:
    if not isinstance(other, OpenedCollection):
        raise InputError(f"the other side must be an opened collection, got {shown(other)}: open it with Collection")
    made = [(each.model["model"], each.model["dim"]) for each in (collection, other) if each.model.get("own")]
    if collection.key != other.key and (len(made) < 2 or made[0] != made[1]):
        if told := other_weights(collection.model, other.model):
            raise InputError(
                f"{told}; embed both with the same --revision, or choose another model that both have with --model"
            )
        first, second = (f"{each.model['model']} ({each.key})" for each in (collection, other))
        raise InputError(
            f"the two collections must have vectors of one model, got {first} and {second}: embed both with the same "
            "--model and settings, or choose one that both have with --model"
        )
