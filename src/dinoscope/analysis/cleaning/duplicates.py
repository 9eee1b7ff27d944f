"""Near-duplicates: pairs that stand out from everything else that looks like them, and groups of such pairs.

A similarity of 0.98 is a copy among holiday pictures and nothing among trousers, so no fixed similarity serves. What
tells a copy is contrast: it is far nearer than the other look-alikes of the same image (the ratio test of Lowe 2004
for matching keypoints). Vectors find the candidates; small grey or colour pictures, where there are some, decide.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sized
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.altered import altered_pairs
from dinoscope.analysis.cleaning.fingerprints import picture_agreement
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors, query_neighbors
from dinoscope.base.checks import check_labels
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = [
    "LEAST",
    "Candidates",
    "Duplicates",
    "Pairs",
    "complete_linkage",
    "find_duplicates",
    "group_pairs",
    "score_pairs",
]

LEAST = 0.3  # score of pairs that are looked at: below it lies what everything looks like
_BACKGROUND = 9  # place of the look-alike that a pair must stand out from: nine copies of one image are still found
_CERTAIN_PICTURES = 0.995  # agreement that only saving an image again leaves, whatever else looks like it
_CERTAIN_VECTORS = 1 - 1e-5
_FEW = 0.1  # background distance where there are too few images to tell
_FALSE_SHARE = 0.01  # of the pairs above the suggested threshold
_ALTERED = 0.8  # score of pairs that agree only once turned, mirrored and so on: eight tries find more by chance
_LOWEST, _USUAL, _HIGHEST = 0.7, 0.9, 0.95  # suggested thresholds
_ASPECT = 1.25  # factor between the ratios of width to height of one picture: it is never squeezed by more


@dataclass(frozen=True, eq=False)
class Pairs:
    """Candidate pairs, each once, by descending score.

    Attributes:
        first: Lower position of each pair (P,).
        second: Higher position (P,).
        similarities: Cosine similarity of the vectors (P,).
        agreements: Agreement of the pictures (P,), NaN where none were given.
        scores: How far the pair stands out (P,), at most 1: a copy; 0: no nearer than the other look-alikes.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    similarities: NDArray[np.float64]
    agreements: NDArray[np.float64]
    scores: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> Pairs:
        """Return the pairs that a mask (P,) marks."""
        return Pairs(**{each.name: getattr(self, each.name)[mask] for each in fields(self)})


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs that may show the same picture, before they are cut at a threshold.

    Attributes:
        pairs: Pairs that score at least ``LEAST``, or less if that was asked for; exact copies count as one image.
        copy_of: Position of the first image with the same content (N,), the image's own where there is none before.
        preference: Numbers (N, Q) by which the image to keep is chosen.
        suggested: Threshold that the collection suggests.
    """

    pairs: Pairs
    copy_of: NDArray[np.int64]
    preference: NDArray[np.float64]
    suggested: float


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


def score_pairs(
    vectors: ArrayLike,
    *,
    graph: NeighborGraph | None = None,
    keys: ArrayLike | None = None,
    prints: NDArray[np.uint8] | None = None,
    inside: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None,
    aspects: ArrayLike | None = None,
    preference: ArrayLike | None = None,
    least: float = LEAST,
) -> Candidates:
    """Score how far each pair of look-alikes stands out from everything else that looks like them.

    The score of a pair is 1 - d / min(D, D'): d is its distance, D and D' the distances of both images to their tenth
    nearest look-alike. The distance is 1 - agreement of the fingerprints where those are given, else 1 - cosine
    similarity. Pairs that agree in everything a re-saved image keeps score so too, however many copies there are.

    Args:
        vectors: Array (N, D).
        graph: Their neighbour graph, where it is at hand. Where there are exact copies, the lists that held some are
            searched anew.
        keys: Content of each image (N,): equal keys are exact copies. By default equal vectors are.
        prints: What ``fingerprints`` made, (N, 32, 32, C). With them copies that are turned by quarters, mirrored or
            without colour are found too.
        inside: What ``inside_frames`` returned: with it framed copies are found too.
        aspects: Width by height of each image (N,), which fingerprints do not show; by default all are alike.
        preference: Numbers (N, Q), those of the first column before those of the second: the image with the largest
            is kept, among equals the one that comes first.
        least: Lowest score of a pair that is returned.

    Raises:
        InputError: See ``l2_normalize``; or lengths differ.
    """
    unit = l2_normalize(vectors)
    liking = np.zeros((len(unit), 1)) if preference is None else np.asarray(preference, np.float64)
    shapes = None if aspects is None else np.asarray(aspects, np.float64)
    given: dict[str, Sized | None] = {"prints": prints, "aspects": shapes, "preference": liking}
    for name, count in {name: len(each) for name, each in given.items() if each is not None}.items():
        if count != len(unit):
            raise InputError(f"{name} must have one entry an image, expected {len(unit)}, got {count}")
    if graph is not None:
        check_graph(graph, len(unit))
    if shapes is not None and not (np.isfinite(shapes) & (shapes > 0)).all():
        odd = int(np.flatnonzero(~(np.isfinite(shapes) & (shapes > 0)))[0])
        raise InputError(f"aspects must be finite and above 0, got {shapes[odd]} for image {odd}; measure it again")
    copy_of = _first_with_same(unit, keys)
    own = np.flatnonzero(copy_of == np.arange(len(unit)))
    if len(own) < len(unit):
        graph = None if graph is None else _among(graph, unit, own)
    pairs, background = _score_pairs(unit[own], graph, None if prints is None else prints[own])
    shape = None if shapes is None else np.log(shapes[own])
    if shape is not None:
        pairs = pairs.where(np.abs(shape[pairs.first] - shape[pairs.second]) <= math.log(_ASPECT))
    suggested = _suggest(pairs)
    if prints is not None:
        place = np.full(len(unit), -1)
        place[own] = np.arange(len(own))
        if inside is not None:
            framed = place[inside[0]]
            inside = framed[framed >= 0], inside[1][framed >= 0]
        found = altered_pairs(prints[own], inside, shape, math.log(_ASPECT))
        pairs = _with_altered(pairs, unit[own], background, *found)
    pairs = pairs.where(pairs.scores >= least)
    pairs = replace(pairs, first=own[pairs.first], second=own[pairs.second])
    return Candidates(pairs, copy_of, liking.reshape(len(unit), -1), suggested)


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


def _first_with_same(unit: NDArray[np.float32], keys: ArrayLike | None) -> NDArray[np.int64]:
    """Return the first position with the same content, (N,)."""
    contents = (row.tobytes() for row in unit) if keys is None else check_labels(keys, len(unit), "keys").tolist()
    first: dict[Hashable, int] = {}
    return np.asarray([first.setdefault(content, at) for at, content in enumerate(contents)], np.int64)


def _among(graph: NeighborGraph, unit: NDArray[np.float32], own: NDArray[np.int64]) -> NeighborGraph:
    """Return the graph of these images alone: lists that held others are searched anew, of the rest nothing is."""
    place = np.full(len(unit), -1, np.int32)
    place[own] = np.arange(len(own))
    k = min(graph.k, len(own) - 1)
    indices, similarities = place[graph.indices[own]], graph.similarities[own]
    torn = np.flatnonzero((indices < 0).any(axis=1))
    indices, similarities = indices[:, :k].copy(), similarities[:, :k].copy()
    if len(torn) and k:
        again = query_neighbors(unit[own], unit[own[torn]], k + 1)
        others = np.argsort(again.indices == torn[:, None], axis=1, kind="stable")[:, :k]  # the image itself is last
        indices[torn] = np.take_along_axis(again.indices, others, axis=1)
        similarities[torn] = np.take_along_axis(again.similarities, others, axis=1)
    return NeighborGraph(indices, similarities, graph.recall)


def _score_pairs(
    unit: NDArray[np.float32], graph: NeighborGraph | None, prints: NDArray[np.uint8] | None
) -> tuple[Pairs, NDArray[np.float64]]:
    """Return every pair of neighbours once, with its score, and the distance that each image's must stand out from."""
    nothing = np.empty(0)
    if len(unit) < 2:
        return Pairs(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, nothing), nothing
    graph = graph or neighbors(unit)
    count, k = graph.indices.shape
    others = graph.indices.astype(np.int64)
    agreements = np.full(others.shape, np.nan) if prints is None else picture_agreement(prints, others)
    nearness = graph.similarities.astype(np.float64) if prints is None else agreements.astype(np.float64)
    distances = np.maximum(1 - nearness, 0)
    background = np.full(count, _FEW)
    if k > _BACKGROUND:
        background = np.partition(distances, _BACKGROUND, axis=1)[:, _BACKGROUND]
    ceiling = np.minimum(background[:, None], background[others])
    scores = _stand_out(nearness, ceiling, _CERTAIN_VECTORS if prints is None else _CERTAIN_PICTURES)
    first = np.repeat(np.arange(count), k)
    low, high = np.minimum(first, others.ravel()), np.maximum(first, others.ravel())
    # the better of both directions first: which of the two is shifted makes a small difference
    order = np.lexsort((-scores.ravel(), low * count + high))
    _, once = np.unique((low * count + high)[order], return_index=True)
    kept = order[once]
    return _descending(
        low[kept], high[kept], graph.similarities.ravel()[kept], agreements.ravel()[kept], scores.ravel()[kept]
    ), background


def _with_altered(
    pairs: Pairs,
    unit: NDArray[np.float32],
    background: NDArray[np.float64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    agreements: NDArray[np.float64],
) -> Pairs:
    """Add pairs that agree once turned and the like, where they stand out; each pair has its better score."""
    scores = _stand_out(agreements, np.minimum(background[first], background[second]), _CERTAIN_PICTURES)
    clear = scores >= _ALTERED
    first, second = first[clear], second[clear]
    similarities = np.einsum("nd,nd->n", unit[first], unit[second])
    more = (first, second, similarities, agreements[clear], scores[clear])
    both = [np.concatenate([getattr(pairs, each.name), new]) for each, new in zip(fields(pairs), more, strict=True)]
    order = np.lexsort((-both[4], both[1], both[0]))
    _, once = np.unique(np.stack(both[:2])[:, order], axis=1, return_index=True)
    return _descending(*(column[order[once]] for column in both))


def _stand_out(nearness: NDArray[np.float64], ceiling: NDArray[np.float64], certain: float) -> NDArray[np.float64]:
    """Return the score of pairs: how much nearer they are than other look-alikes, or their nearness if that decides."""
    scores = 1 - np.maximum(1 - nearness, 0) / np.maximum(ceiling, 1e-9)
    return np.where(nearness >= certain, np.maximum(scores, nearness), scores)


def _descending(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    similarities: NDArray[np.floating],
    agreements: NDArray[np.floating],
    scores: NDArray[np.float64],
) -> Pairs:
    order = np.argsort(-scores, kind="stable")
    return Pairs(
        first[order],
        second[order],
        similarities[order].astype(np.float64),
        agreements[order].astype(np.float64),
        scores[order],
    )


def _suggest(pairs: Pairs) -> float:
    """Return the lowest threshold under which few pairs are chance, by the pairs that hardly stand out.

    Where images lie evenly, the share u = 1 - score of a pair without meaning falls below x as often as c x^a (Facco
    et al. 2017: a is the dimension of the data). Both numbers come from pairs with u from 0.25 to 0.5, in two bins;
    the law says how many to expect below.
    """
    shares = 1 - pairs.scores
    edges = np.asarray([0.25, 0.35, 0.5])
    near, far = np.histogram(shares, edges)[0]
    if near + far < 20 or not near:
        return _USUAL
    exponents = np.arange(0.5, 30, 0.05)[:, None]
    powers = np.diff(edges**exponents, axis=1)
    best = int(np.abs(np.log(powers[:, 0] / powers[:, 1]) - math.log(near / max(far, 1))).argmin())
    scale = (near + far) / powers[best].sum()
    thresholds = np.arange(_LOWEST, _HIGHEST + 0.005, 0.01).round(2)
    chance = scale * (1 - thresholds) ** exponents[best]
    found = (pairs.scores[:, None] >= thresholds).sum(axis=0) if len(pairs.scores) else np.zeros(len(thresholds))
    allowed = chance <= np.maximum(_FALSE_SHARE * found, 0.5)
    return float(thresholds[allowed.argmax()]) if allowed.any() else _HIGHEST


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
