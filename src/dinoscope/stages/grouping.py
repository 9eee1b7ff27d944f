"""Groups of the images of a collection: by label, split or cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from dinoscope.base.checks import check_choice
from dinoscope.errors import InputError
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.labels import check_single_labels

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["GROUPINGS", "Grouping", "group_names"]

Grouping: TypeAlias = Literal["label", "split", "cluster"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)


def group_names(collection: OpenedCollection, by: Grouping) -> list[str]:
    """Return the name of the group of each image (N,), such as "no label" if it has none.

    Raises:
        InputError: If there is no such grouping, no image has a label or a split, or images have several labels.
    """
    check_choice(by, "grouping", GROUPINGS)
    if by == "cluster":
        found = find_clusters(collection).labels.tolist()
        return ["no cluster" if each < 0 else f"cluster {each}" for each in found]
    if by == "label":
        check_single_labels(collection, "sorting by label")
    values = collection.labels if by == "label" else collection.splits
    if all(each is None for each in values):
        raise InputError(f"no image of {collection.path} has a {by}: sort by another ({', '.join(GROUPINGS)})")
    return [f"no {by}" if each is None else str(each) for each in values]
