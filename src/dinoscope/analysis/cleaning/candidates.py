"""Candidates for near-duplicates: pairs that stand out from everything else that looks like them.

A similarity of 0.98 is a copy among holiday pictures and nothing among trousers, so no fixed similarity works. Contrast
reveals a copy: it is far nearer than the other look-alikes of the same image (the ratio test of Lowe 2004 for matching
keypoints). Vectors find the candidates. Small grey or colour pictures decide, if there are any.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sized
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.altered import altered_pairs
from dinoscope.analysis.cleaning.fingerprints import picture_agreement
from dinoscope.analysis.cleaning.pairs import Pairs, each_once
from dinoscope.analysis.neighbors import NeighborGraph, check_graph, neighbors, query_neighbors
from dinoscope.base.checks import check_labels
from dinoscope.base.parallel import side_by_side
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["LEAST", "Candidates", "score_pairs"]

LEAST = 0.3  # score of pairs that are looked at: below it lies what everything looks like
_BACKGROUND = 9  # place of the look-alike that a pair must stand out from: nine copies of one image are still found
_CERTAIN_PICTURES = 0.995  # agreement after nothing but saving again, even among many similar images
_CERTAIN_VECTORS = 1 - 1e-5
_FEW = 0.1  # background distance where there are too few images to tell
_FALSE_SHARE = 0.01  # of the pairs above the suggested threshold
_ALTERED = 0.8  # score of pairs that agree only once turned, mirrored and so on: eight tries find more by chance
_LOWEST, _USUAL, _HIGHEST = 0.7, 0.9, 0.95  # suggested thresholds
_ASPECT = 1.25  # factor between the ratios of width to height of one picture: it is never squeezed by more


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs that may show the same picture, before they are cut at a threshold.

    Attributes:
        pairs: Pairs that score at least ``LEAST`` (or the lower limit that was given). Exact copies count as one image.
        copy_of: Position of the first image with the same content (N,), the image's own where there is none before.
        preference: Numbers (N, Q) by which the image to keep is chosen.
        suggested: Threshold that the collection suggests.
    """

    pairs: Pairs
    copy_of: NDArray[np.int64]
    preference: NDArray[np.float64]
    suggested: float


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
    similarity. Pairs that agree in everything that saving again keeps also score 1, no matter how many copies there
    are.

    Args:
        vectors: Array (N, D).
        graph: Their neighbour graph, if you have it. With exact copies, the lists that contain them are searched again.
        keys: Content of each image (N,): equal keys are exact copies. By default equal vectors are.
        prints: What ``fingerprints`` made, (N, 32, 32, C). With them copies that are turned by quarters, mirrored or
            without colour are found too.
        inside: What ``inside_frames`` returned: with it framed copies are found too.
        aspects: Width by height of each image (N,), which fingerprints do not show; by default all are the same.
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
            raise InputError(f"{name} must have one entry per image, expected {len(unit)}, got {count}")
    if graph is not None:
        check_graph(graph, len(unit))
    if shapes is not None and not (np.isfinite(shapes) & (shapes > 0)).all():
        odd = int(np.flatnonzero(~(np.isfinite(shapes) & (shapes > 0)))[0])
        raise InputError(f"aspects must be finite and above 0, got {shapes[odd]} for image {odd}; measure it again")
    copy_of = _first_with_same(unit, keys)
    own = np.flatnonzero(copy_of == np.arange(len(unit)))
    if len(own) < len(unit):
        graph = None if graph is None else _among(graph, unit, own)
    shape = None if shapes is None else np.log(shapes[own])
    scored: list[tuple[Pairs, NDArray[np.float64]]] = []
    turned: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    small = None if prints is None else prints[own]
    works = [lambda: scored.append(_score_pairs(unit[own], graph, small))]
    if small is not None:
        if inside is not None:
            place = np.full(len(unit), -1)
            place[own] = np.arange(len(own))
            framed = place[inside[0]]
            inside = framed[framed >= 0], inside[1][framed >= 0]
        works.append(lambda: turned.append(altered_pairs(small, inside, shape, math.log(_ASPECT))))
    side_by_side(works)  # each is on one core for half of its time
    ((pairs, background),) = scored
    if shape is not None:
        pairs = pairs.where(np.abs(shape[pairs.first] - shape[pairs.second]) <= math.log(_ASPECT))
    suggested = _suggest(pairs)
    for found in turned:
        pairs = _with_altered(pairs, unit[own], background, *found)
    pairs = pairs.where(pairs.scores >= least)
    pairs = replace(pairs, first=own[pairs.first], second=own[pairs.second])
    return Candidates(pairs, copy_of, liking.reshape(len(unit), -1), suggested)


def _first_with_same(unit: NDArray[np.float32], keys: ArrayLike | None) -> NDArray[np.int64]:
    """Return the first position with the same content, (N,)."""
    contents = (row.tobytes() for row in unit) if keys is None else check_labels(keys, len(unit), "keys").tolist()
    first: dict[Hashable, int] = {}
    return np.asarray([first.setdefault(content, at) for at, content in enumerate(contents)], np.int64)


def _among(graph: NeighborGraph, unit: NDArray[np.float32], own: NDArray[np.int64]) -> NeighborGraph:
    """Return the graph of these images only: lists that contained other images are searched again, the rest stay."""
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
    similarities = graph.similarities.ravel().astype(np.float64)
    both = Pairs(low, high, similarities, agreements.ravel().astype(np.float64), scores.ravel())
    # the better of both directions: which of the two is shifted makes a small difference
    return both.where(each_once(low, high, both.scores)).descending(), background


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
    both = Pairs(
        *(np.concatenate([getattr(pairs, each.name), new]) for each, new in zip(fields(pairs), more, strict=True))
    )
    return both.where(each_once(both.first, both.second, both.scores)).descending()


def _stand_out(nearness: NDArray[np.float64], ceiling: NDArray[np.float64], certain: float) -> NDArray[np.float64]:
    """Return the score of pairs: how much nearer they are than other look-alikes, or their nearness if that decides."""
    scores = 1 - np.maximum(1 - nearness, 0) / np.maximum(ceiling, 1e-9)
    return np.where(nearness >= certain, np.maximum(scores, nearness), scores)


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
