"""Which few images of a collection to label or to keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_choice, check_count
from dinoscope.base.digests import digest_json
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.labels import check_single_labels
from dinoscope.stages.neighbors import neighbor_graph

if TYPE_CHECKING:
    from dinoscope.analysis.picking.curve import Picking, PickingCurve
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["RULES", "Rule", "balanced_by", "pick"]

Rule: TypeAlias = Literal["coverage", "typical", "uncertain", "balanced"]
RULES: tuple[Rule, ...] = get_args(Rule)
_VOTERS = 20
_BLOCK_ROWS = 4096


def pick(
    collection: OpenedCollection,
    count: int,
    by: Rule = "typical",
    *,
    beside: Sequence[int] = (),
    on_progress: Callable[[int, int], None] | None = None,
) -> Picking:
    """Choose images to label or to keep.

    See ``Collection.pick``. ``on_progress`` gets how many of how many are picked, then how many choices of how many are
    measured. An error that it raises ends the work.
    """
    from dinoscope.analysis.picking.curve import Picking, picking_curve
    from dinoscope.analysis.picking.greedy import pick_balanced, pick_farthest, pick_typical, pick_uncertain

    check_count(count, "count")
    check_choice(by, "rule", RULES)
    before = np.asarray([collection.position(row) for row in beside], np.int64)
    if len(np.unique(before)) == len(collection):
        raise InputError("beside names every image of the collection: there is none left to pick")

    def compute() -> Picking:
        graph = neighbor_graph(collection)
        if by == "coverage":
            picked = pick_farthest(collection.vectors, count, beside=before, on_progress=on_progress)
        elif by == "typical":
            picked = pick_typical(graph, count, beside=before, on_progress=on_progress)
        elif by == "balanced":
            picked = pick_balanced(graph, _groups(collection), count, beside=before, on_progress=on_progress)
        else:
            told = None if on_progress is None else partial(on_progress, 0, count)
            margins = _margins(collection, before, told)
            picked = pick_uncertain(graph, margins, count, beside=before, on_progress=on_progress)
        if not len(picked):
            raise InputError("no image is left to pick: those that have a label are all in the list of --beside")
        return Picking(picked, _curve(picked))

    def _curve(picked: NDArray[np.int64]) -> PickingCurve:
        labels = collection.labels.tolist() if any(each is not None for each in collection.labels) else None
        return picking_curve(collection.vectors, picked, labels, beside=before, on_progress=on_progress)

    settings = {"by": by, "count": count, "labels": collection.results.label_state}
    settings |= {"beside": digest_json(sorted(set(map(int, beside))))} if len(beside) else {}
    return collection.results.keep("picking", settings, Picking, compute)


def balanced_by(collection: OpenedCollection) -> str:
    """Return what "balanced" balances: "labels", or "clusters" where no image has a label."""
    return "labels" if any(label is not None for label in collection.labels) else "clusters"


def _groups(collection: OpenedCollection) -> list[str | int | None]:
    check_single_labels(collection, "picking as many of each")
    if balanced_by(collection) == "labels":
        return list(collection.labels)
    return [None if each < 0 else each for each in find_clusters(collection).labels.tolist()]


def _margins(
    collection: OpenedCollection, before: NDArray[np.int64], told: Callable[[], None] | None
) -> NDArray[np.float64]:
    """Return how far the votes for the likeliest label of each image are ahead of those for the next (N,).

    The images of ``before`` vote, if any of them has a label, else all that have one. NaN for images that are not to be
    picked: those of ``before``, and without it those that have a label, unless all have one.
    """
    from dinoscope.analysis.labels.voting import label_votes
    from dinoscope.analysis.neighbors import NeighborGraph, query_neighbors

    check_single_labels(collection, "picking by doubt")
    known = np.asarray([label is not None for label in collection.labels], bool)
    voters = before[known[before]] if known[before].any() else np.flatnonzero(known)
    voters = np.unique(voters)
    if len({collection.labels[at] for at in voters}) < 2:
        raise InputError(
            "this needs images of two labels that vote: name labelled ones with --beside, or use --by typical"
        )
    asked = np.ones(len(known), bool)
    asked[before] = False
    if not len(before) and not known.all():
        asked &= ~known
    margins = np.full(len(known), np.nan)
    labels, positions = [str(collection.labels[at]) for at in voters], np.flatnonzero(asked)
    for block in row_blocks(len(positions), _BLOCK_ROWS):
        if told is not None:
            told()
        at = positions[block]
        # one more than vote: an image does not vote for itself
        graph = query_neighbors(collection.vectors[voters], collection.vectors[at], _VOTERS + 1)
        own = voters[graph.indices] == at[:, None]
        own[~own.any(axis=1), -1] = True  # of an image that is not a voter, the last is left out
        if graph.k > 1:
            shape = (len(at), graph.k - 1)
            graph = NeighborGraph(graph.indices[~own].reshape(shape), graph.similarities[~own].reshape(shape))
        shares = np.sort(label_votes(graph, labels, k=_VOTERS).shares, axis=1)
        margins[at] = shares[:, -1] - shares[:, -2]
    return margins
