"""How two collections differ: whether they are of one kind, what is new or gone, which clusters grew or shrank.

These functions take vectors and use nothing but neighbours. Positions run through both collections, BEFORE first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.analysis.labels.conformal import nonconformity, p_values
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors, query_neighbors
from dinoscope.base.checks import check_count, check_labels
from dinoscope.base.loading import LOADING
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "Difference",
    "NeighborGraphs",
    "ShareChange",
    "check_sides",
    "find_difference",
    "join_graphs",
    "separation",
    "share_changes",
]

_K = 30  # neighbours searched on either side
_MIXED = 15  # of these, how many count for the separation
_SHUFFLES = 199
_CLUSTER_IMAGES = 50  # least average size of a cluster, if the number of clusters is not given
_CLUSTERS = 20
_LEVEL = 0.05  # share of the listed changes that may be chance
_TAIL = 0.05  # share of familiar images that fall below the limit for strange ones


@dataclass(frozen=True, eq=False)
class NeighborGraphs:
    """Neighbours within and across two sets of vectors.

    Attributes:
        before: Neighbours of BEFORE among themselves (N, k).
        after: Neighbours of AFTER among themselves (M, k).
        after_in_before: Neighbours of AFTER in BEFORE (M, k).
        before_in_after: Neighbours of BEFORE in AFTER (N, k).
    """

    before: NeighborGraph
    after: NeighborGraph
    after_in_before: NeighborGraph
    before_in_after: NeighborGraph


@dataclass(frozen=True)
class ShareChange:
    """How the share of a group, a cluster or a label, changed.

    Attributes:
        before: Members in BEFORE.
        after: Members in AFTER.
        share_before: Of all images of BEFORE.
        share_after: Of all images of AFTER.
        p_value: Chance of a difference as large, or larger, if the share were the same (Fisher's exact test).
        changed: Whether it is on the list of changes. At most one in twenty of these is expected to be chance
            (Benjamini and Hochberg 1995).
    """

    before: int
    after: int
    share_before: float
    share_after: float
    p_value: float
    changed: bool


@dataclass(frozen=True, eq=False)
class Difference:
    """What ``find_difference`` found.

    Attributes:
        counts: Images in BEFORE and in AFTER, N and M.
        separation: See ``separation``.
        p_value: Chance of a separation this large or larger if the images were divided at random.
        familiarity: Of each image (N + M,): the share of the other side's images that lie at least as far out there.
        strangeness: Of each image (N + M,): how far it lies from everything there; comparable within one side.
        new: Positions of the images of AFTER with nothing similar in BEFORE, the strangest first.
        gone: Positions of the images of BEFORE with nothing similar in AFTER, the strangest first.
        new_share: Estimated share of AFTER that is unlike BEFORE, listed or not.
        new_error: Standard error of that.
        gone_share: Estimated share of BEFORE that is unlike AFTER.
        gone_error: Standard error of that.
        clusters: Cluster of each image (N + M,), by k-means of all of them.
        medoids: Position of the image nearest to the centre of each cluster (C,).
        changes: How the share of each cluster changed (C,).
        graph: Neighbours of all images among all.
    """

    counts: tuple[int, int]
    separation: float
    p_value: float
    familiarity: NDArray[np.float64]
    strangeness: NDArray[np.float64]
    new: NDArray[np.int64]
    gone: NDArray[np.int64]
    new_share: float
    new_error: float
    gone_share: float
    gone_error: float
    clusters: NDArray[np.int32]
    medoids: NDArray[np.int64]
    changes: tuple[ShareChange, ...]
    graph: NeighborGraph


def find_difference(
    before: ArrayLike,
    after: ArrayLike,
    *,
    graphs: NeighborGraphs | None = None,
    k: int | None = None,
    false_share: float = 0.1,
    seed: int = 0,
) -> Difference:
    """Find how AFTER differs from BEFORE.

    An image is new if its distance to what it resembles most in BEFORE (``nonconformity``) is larger than the
    images of BEFORE have among themselves: by a conformal p-value each (``p_values``), and the list of
    Benjamini and Hochberg, which holds for such p-values (Bates et al. 2023, arXiv:2104.08279). A list can only be as
    certain as the number of images allows: with N to compare with, no image is stranger than 1 in N + 1. ``gone`` is
    the same with the sides exchanged. The estimated share is the excess of p-values below 0.05 over the twentieth that
    chance puts there, divided by the other nineteen twentieths.

    Args:
        before: Vectors (N, D), N >= 3.
        after: Vectors (M, D), M >= 3, of the same model.
        graphs: Their neighbours, 30 each or as many as there are, if you have them.
        k: Number of clusters; by default 20, fewer for few images.
        false_share: Share of the images listed as new, or as gone, that may be neither.
        seed: Of k-means and of the shuffles.

    Raises:
        InputError: There are too few images, the widths differ, or ``false_share`` is not above 0 and below 1.
    """
    first, second = l2_normalize(before), l2_normalize(after)
    check_sides(len(first), len(second))
    if not 0 < false_share < 1:
        raise InputError(f"false_share must be above 0 and below 1, got {false_share}; 0.1 is usual")
    found = graphs or NeighborGraphs(
        neighbors(first, _K),
        neighbors(second, _K),
        query_neighbors(first, second, _K),
        query_neighbors(second, first, _K),
    )
    for graph, mine, theirs in (
        (found.before, first, first),
        (found.after, second, second),
        (found.after_in_before, second, first),
        (found.before_in_after, first, second),
    ):
        check_graph(graph, len(mine), len(theirs))
    everything = np.concatenate([first, second])
    sides = np.repeat([False, True], [len(first), len(second)])
    graph = join_graphs(found)
    apart, p_value = separation(graph, sides, seed=seed)
    asked = [_judged(found.after, found.before_in_after), _judged(found.before, found.after_in_before)]
    known, strange = (np.concatenate(parts) for parts in zip(*asked, strict=True))
    distinct = len(np.unique(everything, axis=0))
    fitting = min(_CLUSTERS, max(1, len(everything) // _CLUSTER_IMAGES))
    wanted = fitting if k is None else check_count(k, "k", at_most=len(everything))
    clustering = kmeans(everything, min(wanted, distinct), seed=seed)
    listed = [_listed(known, strange, np.flatnonzero(side), false_share) for side in (~sides, sides)]
    (new_share, new_error), (gone_share, gone_error) = (
        _estimate(known[side], int((~side).sum())) for side in (sides, ~sides)
    )
    return Difference(
        counts=(len(first), len(second)),
        separation=apart,
        p_value=p_value,
        familiarity=known,
        strangeness=strange,
        new=listed[1],
        gone=listed[0],
        new_share=new_share,
        new_error=new_error,
        gone_share=gone_share,
        gone_error=gone_error,
        clusters=clustering.labels,
        medoids=clustering.medoids,
        changes=share_changes(clustering.labels, sides)[1],
        graph=graph,
    )


def check_sides(before: int, after: int) -> None:
    """Check that there are enough images on either side.

    Raises:
        InputError: There are fewer than three.
    """
    if min(before, after) < 3:
        raise InputError(f"a difference needs at least 3 images on either side, got {before} and {after}")


def separation(graph: NeighborGraph, sides: ArrayLike, *, k: int = _MIXED, seed: int = 0) -> tuple[float, float]:
    """Measure how far two sides are apart, and the chance of that for sides drawn at random.

    It is by how much an image's own side is more common among its ``k`` neighbours than among all other images, as a
    share of the most it could be (the two-sample test of Schilling 1986 and Henze 1988); each side counts half,
    however many images it has. 0: like one collection divided at random. 1: no image has a neighbour on the other side.
    Below 0: images have their counterparts on the other side, as when both contain the same pictures.

    Args:
        graph: Neighbours of all images (N, k or more), k fewer where there are fewer others.
        sides: Whether each image belongs to the second side (N,).
        k: Neighbours to ask.
        seed: Of the shuffles.

    Returns:
        The separation, and its p-value from 199 shuffles: 0.005 at the least.

    Raises:
        InputError: If there is not exactly one side per image, or a side is empty.
    """
    mine = np.asarray(sides, bool)
    count, second = len(mine), int(mine.sum())
    check_graph(graph, len(graph))
    if mine.shape != (len(graph),) or not 0 < second < count:
        raise InputError(
            f"sides must say of each of {len(graph)} images on which of two sides it is, both with images, got shape "
            f"{mine.shape} with {second} on the second side"
        )
    near = graph.top(min(k, graph.k)).indices
    expected = np.array([count - second - 1, second - 1]) / (count - 1)

    def apart(shuffled: NDArray[np.bool_]) -> float:
        own = (shuffled[near] == shuffled[:, None]).mean(axis=1)
        shares = np.array([own[~shuffled].mean(), own[shuffled].mean()])
        return float(((shares - expected) / (1 - expected)).mean())

    value, random = apart(mine), np.random.default_rng(seed)
    as_far = sum(apart(random.permutation(mine)) >= value for _ in range(_SHUFFLES))
    return value, (1 + as_far) / (1 + _SHUFFLES)


def join_graphs(graphs: NeighborGraphs) -> NeighborGraph:
    """Return the neighbours of all images among all (N + M, 30 or as many as there are), from those by side."""
    cut = len(graphs.before)
    halves = []
    for own, other, own_start, other_start in (
        (graphs.before, graphs.before_in_after, 0, cut),
        (graphs.after, graphs.after_in_before, cut, 0),
    ):
        indices = np.concatenate([own.indices + own_start, other.indices + other_start], axis=1)
        similarities = np.concatenate([own.similarities, other.similarities], axis=1)
        order = np.argsort(-similarities, axis=1, kind="stable")
        halves.append([np.take_along_axis(each, order, axis=1) for each in (indices, similarities)])
    # each list holds 30, or all of its side: so do the first 30 of two together, in the right order
    k = min(_K, *(half[0].shape[1] for half in halves))
    indices, similarities = (np.concatenate([half[part][:, :k] for half in halves]) for part in (0, 1))
    parts = (graphs.before, graphs.after, graphs.after_in_before, graphs.before_in_after)
    recalls = [each.recall for each in parts]
    recall = None if any(each is None for each in recalls) else min(each for each in recalls if each is not None)
    return NeighborGraph(indices.astype(np.int32), similarities, recall)


def share_changes(groups: ArrayLike, sides: ArrayLike) -> tuple[list[int | str], tuple[ShareChange, ...]]:
    """Say of each group how its share changed from the first side to the second.

    Args:
        groups: Group of each image (N,), numbers or texts.
        sides: Whether each image belongs to the second side (N,).

    Returns:
        The groups, ascending, and the change of each.

    Raises:
        InputError: The lengths differ.
    """
    with LOADING:
        from scipy.stats import false_discovery_control, fisher_exact

    mine = np.asarray(sides, bool)
    names, codes = np.unique(check_labels(groups, len(mine)), return_inverse=True)
    counts = np.stack([np.bincount(codes[mine == side], minlength=len(names)) for side in (False, True)], axis=1)
    totals = np.maximum(np.bincount(mine, minlength=2), 1)
    p_values = np.array([float(fisher_exact(np.stack([own, totals - own])).pvalue) for own in counts])
    changed = false_discovery_control(p_values) <= _LEVEL
    rows = zip(counts.tolist(), (counts / totals).tolist(), p_values.tolist(), changed.tolist(), strict=True)
    changes = [ShareChange(own[0], own[1], shares[0], shares[1], p, yes) for own, shares, p, yes in rows]
    return names.tolist(), tuple(changes)


def _judged(own: NeighborGraph, asked: NeighborGraph) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return p-values and nonconformity (M,) of images with neighbours (M, k) among those with this graph (N, k)."""
    k = min(20, own.k, asked.k)
    crowding = nonconformity(own, np.zeros(len(own)), k)
    strange = nonconformity(asked, crowding, k)
    return p_values(nonconformity(own, crowding, k), strange), strange


def _listed(
    known: NDArray[np.float64], strange: NDArray[np.float64], positions: NDArray[np.int64], false_share: float
) -> NDArray[np.int64]:
    """Return which of these positions chance does not explain, the strangest first."""
    with LOADING:
        from scipy.stats import false_discovery_control

    listed: NDArray[np.int64] = positions[false_discovery_control(known[positions]) <= false_share]
    ordered: NDArray[np.int64] = listed[np.argsort(-strange[listed], kind="stable")]
    return ordered


def _estimate(p_values: NDArray[np.float64], compared: int) -> tuple[float, float]:
    """Return which share of p-values is too small, beyond the twentieth due to chance, and its standard error.

    The error is that of two shares: of the images asked about (M,), and of those that they are compared with.
    """
    small = float((p_values <= _TAIL).mean())
    variance = small * (1 - small) / len(p_values) + _TAIL * (1 - _TAIL) / compared
    return max(0.0, (small - _TAIL) / (1 - _TAIL)), variance**0.5 / (1 - _TAIL)
