"""Greedy choices: the best image, then the best beside it. The first n of a longer list are the list of n."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.checks import check_count, check_positions, check_vectors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["pick_balanced", "pick_farthest", "pick_typical", "pick_uncertain"]

_CLOSE = 5  # neighbours that an uncertain image speaks for
_OFTEN = 4096  # images between two reports of progress

_Told: TypeAlias = Callable[[int, int], None]


def _nobody(done: int, total: int) -> None:
    """Tell nobody."""


def pick_farthest(
    vectors: ArrayLike, count: int, *, beside: ArrayLike = (), on_progress: _Told | None = None
) -> NDArray[np.int64]:
    """Pick the image that lies farthest from all that were picked, again and again: few stay far from the picked ones.

    The greedy k-centre algorithm (Gonzalez 1985; a core-set in Sener and Savarese 2018). Its radius, the distance of
    the image that is farthest from all picked ones, is at most twice the smallest that any choice has. It starts with
    the image that is most like the mean. Among equals the first is taken.

    Args:
        vectors: Array (N, D), of any scale.
        count: How many to pick; with fewer left, all are.
        beside: Positions (B,) of images that were picked before.
        on_progress: Told how many of how many are picked; what it raises ends the work.

    Returns:
        Positions (P,) in the order in which they were picked.

    Raises:
        InputError: See ``l2_normalize``; or the count is below 1, or a position is out of range.
    """
    unit, told = l2_normalize(check_vectors(vectors)), on_progress or _nobody
    before = check_positions(beside, len(unit))
    count = _left(count, len(unit), before)
    nearest = np.full(len(unit), -np.inf, np.float32)  # similarity to the nearest that was picked
    for at in before:
        told(0, count)
        np.maximum(nearest, unit @ unit[at], out=nearest)
    taken = np.zeros(len(unit), bool)
    taken[before] = True
    picked: list[int] = []
    for _ in range(count):
        told(len(picked), count)
        if picked or len(before):
            at = int(np.where(taken, np.inf, nearest).argmin())
        else:
            at = int((unit @ unit.mean(axis=0)).argmax())
        np.maximum(nearest, unit @ unit[at], out=nearest)
        taken[at] = True
        picked.append(at)
    return np.asarray(picked, np.int64)


def pick_typical(
    graph: NeighborGraph, count: int, *, beside: ArrayLike = (), on_progress: _Told | None = None
) -> NDArray[np.int64]:
    """Pick the images that together are most like all others: those in the middle of what there is much of.

    Greedy facility location, which is greedy k-medoids: an image counts by its similarity to the most similar picked
    one, where that is among its neighbours, and else not at all. The greedy choice reaches at least 63% of the best
    sum (Nemhauser, Wolsey and Fisher 1978); it is found lazily (Minoux 1978). Among equals the first is taken.

    Args:
        graph: Neighbours (N, k).
        count: As in ``pick_farthest``, and so are ``beside``, ``on_progress``, what is returned and what is raised.
        beside: See above.
        on_progress: See above.
    """
    return _locate(graph, count, check_positions(beside, len(graph)), None, on_progress or _nobody)


def pick_balanced(
    graph: NeighborGraph,
    groups: Sequence[Hashable],
    count: int,
    *,
    beside: ArrayLike = (),
    on_progress: _Told | None = None,
) -> NDArray[np.int64]:
    """Pick as many of each group as of every other, as far as there are as many; in each group the typical ones.

    Args:
        graph: Neighbours (N, k).
        groups: The group of each image (N,), such as its label; images with None are not picked.
        count: As in ``pick_farthest``, and so are ``on_progress`` and what is returned.
        beside: Positions (B,) of images that were picked before: they count for their groups.
        on_progress: See above.

    Raises:
        InputError: See ``pick_farthest``; or no image has a group, or ``groups`` has another length.
    """
    if len(groups) != len(graph):
        raise InputError(f"groups must have one entry per image, expected {len(graph)}, got {len(groups)}")
    if all(group is None for group in groups):
        raise InputError("groups must name the group of at least one image, got None for all")
    return _locate(graph, count, check_positions(beside, len(graph)), groups, on_progress or _nobody)


def pick_uncertain(
    graph: NeighborGraph, margins: ArrayLike, count: int, *, beside: ArrayLike = (), on_progress: _Told | None = None
) -> NDArray[np.int64]:
    """Pick the images with the least certain labels, but none next to an image that is already picked.

    An image is skipped while one of its five nearest neighbours was picked, or has it among its own five, until no
    other is left: the next of the kind tells little.

    Args:
        graph: Neighbours (N, k).
        margins: How sure the label of each image is (N,): lower is less. NaN for an image that is not to be picked.
        count: As in ``pick_farthest``, and so are ``beside``, ``on_progress``, what is returned and what is raised.
        beside: See above.
        on_progress: See above.
    """
    sure = np.asarray(margins, np.float64)
    if sure.shape != (len(graph),):
        raise InputError(f"margins must have shape ({len(graph)},), got {sure.shape}")
    before = check_positions(beside, len(graph))
    sure = np.where(np.isin(np.arange(len(sure)), before), np.nan, sure)
    waiting = np.argsort(sure, kind="stable")[: int((~np.isnan(sure)).sum())].tolist()
    count = min(check_count(count, "count"), len(waiting))
    told = on_progress or _nobody
    close, picked = graph.indices[:, :_CLOSE], list[int]()
    while len(picked) < count:
        seen, passed = np.zeros(len(sure), bool), list[int]()
        for at in waiting:
            if len(picked) == count:
                break
            if seen[at] or seen[close[at]].any():
                passed.append(at)
                continue
            told(len(picked), count)
            picked.append(at)
            seen[at] = seen[close[at]] = True
        waiting = passed
    return np.asarray(picked, np.int64)


def _left(count: int, total: int, before: NDArray[np.int64]) -> int:
    return min(check_count(count, "count"), total - len(np.unique(before)))


class _Shares:
    """How much of each group is still to be picked, so that all come out equal."""

    def __init__(self, groups: Sequence[Hashable], count: int, before: NDArray[np.int64]) -> None:
        self._groups = groups
        sizes = Counter(group for group in groups if group is not None)
        had = Counter(groups[at] for at in before.tolist())
        self._left = dict.fromkeys(sizes, 0)
        for _ in range(count):  # each goes to the group with fewest that has any left
            open_ = [group for group in sizes if had[group] < sizes[group]]
            if not open_:
                break
            least = min(open_, key=lambda group: had[group])  # the first among equals
            had[least] += 1
            self._left[least] += 1

    @property
    def total(self) -> int:
        return sum(self._left.values())

    def take(self, at: int) -> bool:
        """Take one of this image's group, if any is to be taken."""
        group = self._groups[at]
        if group is None or not self._left[group]:
            return False
        self._left[group] -= 1
        return True


def _locate(
    graph: NeighborGraph, count: int, before: NDArray[np.int64], groups: Sequence[Hashable] | None, told: _Told
) -> NDArray[np.int64]:
    """Pick by facility location, lazily: what an image would gain only falls, so the old figure is an upper bound."""
    total, k = len(graph), graph.k
    count = _left(count, total, before)
    shares = None if groups is None else _Shares(groups, count, before)
    count = count if shares is None else min(count, shares.total)
    order = np.argsort(graph.indices.ravel(), kind="stable")
    likers, likings = (order // k).astype(np.int64), np.maximum(graph.similarities.ravel()[order], 0).astype(np.float64)
    bounds = np.searchsorted(graph.indices.ravel()[order], np.arange(total + 1))
    served = np.zeros(total)  # similarity to the nearest that was picked

    def gain(at: int) -> float:
        part = slice(bounds[at], bounds[at + 1])
        return float(np.maximum(likings[part] - served[likers[part]], 0).sum() + 1 - served[at])

    def serve(at: int) -> None:
        part = slice(bounds[at], bounds[at + 1])
        np.maximum.at(served, likers[part], likings[part])
        served[at] = 1

    for at in before.tolist():
        serve(at)
    taken = set(before.tolist())
    waiting = list[tuple[float, int]]()
    for at in range(total):
        if at % _OFTEN == 0:
            told(0, count)
        if at not in taken:
            waiting.append((-gain(at), at))
    heapq.heapify(waiting)
    picked: list[int] = []
    while len(picked) < count and waiting:
        told(len(picked), count)
        _, at = waiting[0]
        now = (-gain(at), at)
        if len(waiting) > 1 and now > min(waiting[1:3]):
            heapq.heapreplace(waiting, now)
            continue
        heapq.heappop(waiting)
        if shares is None or shares.take(at):
            serve(at)
            picked.append(at)
    return np.asarray(picked, np.int64)
