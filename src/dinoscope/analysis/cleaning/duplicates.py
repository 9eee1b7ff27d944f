"""Near-duplicates: groups of the pairs that stand out from everything else that looks like them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.candidates import LEAST, Candidates, score_pairs
from dinoscope.analysis.cleaning.pairs import Pairs
from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.errors import InputError

__all__ = ["Duplicates", "complete_linkage", "find_duplicates", "group_pairs"]


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Groups of near-duplicates, and what they were cut from.

    Attributes:
        groups: Positions of the members, the one to keep first, the others ascending; surest groups first.
        scores: Lowest score of a pair of each group, 1 where all are exact copies.
        copy_of: Position of the first image with the same content (N,), the image's own where there is none before.
        pairs: The pairs at or above the threshold, or said to be the same; exact copies counted as one image.
        threshold: Score that every pair of a group reaches, unless somebody said that it is the same.
        suggested: Threshold that the collection suggests.
    """

    groups: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    copy_of: NDArray[np.int64]
    pairs: Pairs
    threshold: float
    suggested: float


def find_duplicates(
    vectors: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    keys: ArrayLike | None = None,
    prints: NDArray[np.uint8] | None = None,
    inside: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None,
    aspects: ArrayLike | None = None,
    threshold: float | None = None,
    preference: ArrayLike | None = None,
) -> Duplicates:
    """Find groups of images that show the same picture: ``score_pairs``, then ``group_pairs``.

    Args:
        vectors: Array (N, D).
        graph: See ``score_pairs``, as for the next five.
        keys: Content of each image (N,).
        prints: Fingerprints (N, 32, 32, C).
        inside: Fingerprints of what frames surround.
        aspects: Width by height of each image (N,).
        threshold: Lowest score of a pair, from 0 to 1; by default the suggested one.
        preference: By which the image to keep is chosen (N, Q).

    Raises:
        InputError: See ``score_pairs`` and ``group_pairs``.
    """
    _check(threshold)
    least = LEAST if threshold is None else min(threshold, LEAST)
    found = score_pairs(
        vectors,
        graph=graph,
        keys=keys,
        prints=prints,
        inside=inside,
        aspects=aspects,
        preference=preference,
        least=least,
    )
    return group_pairs(found, threshold)


def group_pairs(
    candidates: Candidates, threshold: float | None = None, answers: Mapping[tuple[int, int], bool] | None = None
) -> Duplicates:
    """Group images so that every pair of a group reaches the threshold.

    Args:
        candidates: What ``score_pairs`` found.
        threshold: Lowest score of a pair, from 0 to 1; by default the suggested one.
        answers: Pairs of positions, the lower first, and whether somebody said that they show the same picture. Pairs
            that do reach any threshold; pairs that do not are never in one group.

    Raises:
        InputError: The threshold is not from 0 to 1.
    """
    _check(threshold)
    limit = candidates.suggested if threshold is None else threshold
    pairs, said = candidates.pairs, answers or {}
    told = [said.get(pair) for pair in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)] if said else []
    held = pairs.scores >= limit
    if said:
        held = np.where([each is None for each in told], held, [bool(each) for each in told])
    pairs = pairs.where(held)
    copy_of = candidates.copy_of
    members, scores = _grow(complete_linkage(len(copy_of), pairs), copy_of)
    order = np.unique(-candidates.preference, axis=0, return_inverse=True)[1].reshape(-1)
    ordered = [tuple(sorted(group, key=lambda at: (order[at], at))) for group in members]
    kept_first = [(group[0], *sorted(group[1:])) for group in ordered]
    ranking = sorted(range(len(kept_first)), key=lambda at: (-scores[at], min(kept_first[at])))
    return Duplicates(
        tuple(kept_first[at] for at in ranking),
        tuple(scores[at] for at in ranking),
        copy_of,
        pairs,
        limit,
        candidates.suggested,
    )


def complete_linkage(count: int, pairs: Pairs) -> list[tuple[tuple[int, ...], float]]:
    """Group ``count`` items so that all pairs of a group are among ``pairs``, nearest groups first.

    Pairs come in by descending score; two groups merge when the last pair between them has come, which is complete
    linkage. A pair that is not listed never comes, so nothing is chained.

    Returns:
        The groups of two and more, positions ascending, each with its lowest score.
    """
    group_of = list(range(count))
    members: dict[int, list[int]] = {}
    between: dict[int, dict[int, int]] = {}  # group -> other group -> pairs that have come
    lowest: dict[int, float] = {}
    for a, b, score in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.scores.tolist(), strict=True):
        one, two = group_of[a], group_of[b]
        for group, item in ((one, a), (two, b)):
            members.setdefault(group, [item])
            between.setdefault(group, {})
        between[one][two] = between[two][one] = between[one].get(two, 0) + 1
        if between[one][two] < len(members[one]) * len(members[two]):
            continue
        for other, come in between.pop(two).items():
            if other != one:
                total = between[one].get(other, 0) + come
                between[one][other] = between[other][one] = total
                del between[other][two]
        del between[one][two]
        for item in members[two]:
            group_of[item] = one
        members[one] += members.pop(two)
        lowest[one] = score
    return [(tuple(sorted(own)), lowest[group]) for group, own in sorted(members.items()) if len(own) > 1]


def _check(threshold: float | None) -> None:
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold must be from 0 to 1, got {threshold}; 1 asks for exact copies, 0.9 is usual")


def _grow(
    groups: list[tuple[tuple[int, ...], float]], copy_of: NDArray[np.int64]
) -> tuple[list[list[int]], list[float]]:
    """Add the exact copies to the groups of the images that they copy."""
    copies: dict[int, list[int]] = {}
    for at in np.flatnonzero(copy_of != np.arange(len(copy_of))).tolist():
        copies.setdefault(int(copy_of[at]), []).append(at)
    members, scores = [], []
    for group, score in groups:
        members.append([each for at in group for each in (at, *copies.pop(at, []))])
        scores.append(score)
    for at, more in copies.items():
        members.append([at, *more])
        scores.append(1.0)
    return members, scores
