"""Near-duplicates: pairs that stand out from everything else that looks like them, and groups of such pairs.

A similarity of 0.98 is a copy among holiday pictures and nothing among trousers, so no fixed similarity serves. What
tells a copy is contrast: it is far nearer than the other look-alikes of the same image (the ratio test of Lowe 2004
for matching keypoints). Vectors find the candidates; small grey or colour pictures, where there are some, decide.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dinoscope.checks import check_labels
from dinoscope.errors import InputError
from dinoscope.knn import NeighborGraph, in_threads, l2_normalize, neighbors, query_neighbors, row_blocks

__all__ = ["Duplicates", "Pairs", "complete_linkage", "find_duplicates", "fingerprints", "picture_agreement"]

_SIDE = 32  # of a fingerprint, in pixels
_CELL = 4  # pixels of a fingerprint averaged for a first look
_FINE = 14  # candidates an image whose fingerprints are compared in full
_NEAREST = 4  # of them those whose vectors are nearest; the others by the first look
_BAND = (1.0, 3.0)  # blurs between which detail lies: less is lost when a picture is made smaller, more is shape
_BACKGROUND = 9  # place of the look-alike that a pair must stand out from: nine copies of one image are still found
_CERTAIN_PICTURES = 0.995  # agreement that only saving an image again leaves, whatever else looks like it
_CERTAIN_VECTORS = 1 - 1e-5
_FEW = 0.1  # background distance where there are too few images to tell
_FALSE_SHARE = 0.01  # of the pairs above the suggested threshold
_LOWEST, _USUAL, _HIGHEST = 0.7, 0.9, 0.95  # suggested thresholds
_NOISE = 2.0  # grey levels of structure below which there is nothing to compare
_COLOUR = (4.0, 32.0)  # grey levels by which flat pictures may differ, and from which they have nothing in common
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
class Duplicates:
    """Groups of near-duplicates, and what they were cut from.

    Attributes:
        groups: Positions of the members, the one to keep first, the others ascending; surest groups first.
        scores: Lowest score of a pair of each group, 1 where all are exact copies.
        copy_of: Position of the first image with the same content (N,), the image's own where there is none before.
        pairs: The pairs at or above the threshold, exact copies counted as one image.
        threshold: Score that every pair of a group reaches.
        suggested: Threshold that the collection suggests.
    """

    groups: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    copy_of: NDArray[np.int64]
    pairs: Pairs
    threshold: float
    suggested: float


def find_duplicates(
    vectors: ArrayLike, *, graph: NeighborGraph | None = None, keys: ArrayLike | None = None,
    prints: NDArray[np.uint8] | None = None, aspects: ArrayLike | None = None, threshold: float | None = None,
    preference: ArrayLike | None = None,
) -> Duplicates:  # fmt: skip
    """Find groups of images that show the same picture, every pair of a group over the threshold.

    The score of a pair is 1 - d / min(D, D'): d is its distance, D and D' the distances of both images to their tenth
    nearest look-alike, so it says how far the pair stands out. The distance is 1 - agreement of the fingerprints where
    those are given, else 1 - cosine similarity. Pairs that agree in everything a re-saved image keeps score so too,
    however many copies there are.

    Args:
        vectors: Array (N, D).
        graph: Their neighbour graph, where it is at hand. Where there are exact copies, an exact graph is made anew,
            and of an approximate one the lists that held copies.
        keys: Content of each image (N,): equal keys are exact copies. By default equal vectors are.
        prints: What ``fingerprints`` made, (N, 32, 32, C).
        aspects: Width by height of each image (N,), which fingerprints do not show; by default all are alike.
        threshold: Lowest score of a pair, from 0 to 1; by default the suggested one.
        preference: Numbers (N, Q), those of the first column before those of the second: the image with the largest
            is kept, among equals the one that comes first.

    Raises:
        InputError: See ``l2_normalize``; lengths differ, or the threshold is not from 0 to 1.
    """
    unit = l2_normalize(vectors)
    if threshold is not None and not 0 <= threshold <= 1:
        raise InputError(f"threshold must be from 0 to 1, got {threshold}; 1 asks for exact copies, 0.9 is usual")
    liking = np.zeros((len(unit), 1)) if preference is None else np.asarray(preference, np.float64)
    given: dict[str, Any] = {"graph": graph, "prints": prints, "aspects": aspects, "preference": liking}
    for name, count in {name: len(each) for name, each in given.items() if each is not None}.items():
        if count != len(unit):
            raise InputError(f"{name} must have one entry an image, expected {len(unit)}, got {count}")
    copy_of = _first_with_same(unit, keys)
    own = np.flatnonzero(copy_of == np.arange(len(unit)))
    if len(own) < len(unit):
        graph = None if graph is None or graph.recall == 1 else _among(graph, unit, own)
    pairs = _score_pairs(unit[own], graph, None if prints is None else prints[own])
    if aspects is not None:
        shape = np.log(np.asarray(aspects, np.float64)[own])
        pairs = pairs.where(np.abs(shape[pairs.first] - shape[pairs.second]) <= math.log(_ASPECT))
    suggested = _suggest(pairs)
    limit = suggested if threshold is None else threshold
    pairs = pairs.where(pairs.scores >= limit)
    pairs = replace(pairs, first=own[pairs.first], second=own[pairs.second])
    members, scores = _grow(complete_linkage(len(unit), pairs), copy_of)
    order = np.unique(-liking.reshape(len(unit), -1), axis=0, return_inverse=True)[1].reshape(-1)
    ordered = [tuple(sorted(group, key=lambda at: (order[at], at))) for group in members]
    kept_first = [(group[0], *sorted(group[1:])) for group in ordered]
    ranking = sorted(range(len(kept_first)), key=lambda at: (-scores[at], min(kept_first[at])))
    return Duplicates(
        tuple(kept_first[at] for at in ranking), tuple(scores[at] for at in ranking), copy_of, pairs, limit, suggested
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


def fingerprints(pictures: Sequence[bytes | NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Bring pictures to 32 x 32 pixels, grey where all of them are.

    Args:
        pictures: Encoded, or uint8 (H, W) or (H, W, 3), of any sizes.

    Returns:
        uint8 (N, 32, 32, 1) or (N, 32, 32, 3).
    """
    prints = np.empty((len(pictures), _SIDE, _SIDE, 3), np.uint8)

    def fill(rows: slice) -> None:
        for at in range(rows.start, rows.stop):
            picture = pictures[at]
            image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
            reduce = Image.Resampling.BOX if max(image.size) > 2 * _SIDE else Image.Resampling.BICUBIC
            prints[at] = np.asarray(image.convert("RGB").resize((_SIDE, _SIDE), reduce))

    in_threads(fill, row_blocks(len(pictures), 256))
    grey = (prints == prints[..., :1]).all()
    return np.ascontiguousarray(prints[..., :1]) if grey else prints


def picture_agreement(prints: NDArray[np.uint8], indices: NDArray[Any]) -> NDArray[np.float32]:
    """Compare each picture with some others, whatever their brightness and contrast and up to a shift of a pixel.

    The product of two normalised correlations: of the whole picture, and of its detail alone (what is left after a
    blur of one pixel and gone after one of three), each the largest over nine shifts. Only the most likely are
    compared so, by nearness and by a first look at a quarter of the size; the others get -1. A part without structure
    (within two grey levels) agrees with its like; but a flat picture agrees with none that has structure, and with
    another flat one only as far as their colours do: a hue in common is no evidence.

    Args:
        prints: What ``fingerprints`` made, (N, 32, 32, C).
        indices: Whom to compare with (N, k).

    Returns:
        The agreements (N, k), float32, -1 to 1; 1 is the same.
    """
    cells = prints.reshape(len(prints), _SIDE // _CELL, _CELL, _SIDE // _CELL, _CELL, -1)
    coarse = _centred(cells.mean(axis=(2, 4), dtype=np.float32))
    detail = _detail(prints)
    colours, flatness = _flatness(prints)
    agreement = np.full(indices.shape, -1, np.float32)
    fine = min(_FINE, indices.shape[1])
    shifts = [(y, x) for y in range(3) for x in range(3)]

    def compare(rows: slice) -> None:
        near = np.einsum("nd,nkd->nk", coarse[rows], coarse[indices[rows]])
        near[:, :_NEAREST] = 2  # whatever they look like from afar: thin lines, moved, may not
        best = np.argsort(-near, axis=1, kind="stable")[:, :fine]
        others = np.take_along_axis(indices[rows], best, axis=1)
        apart = np.abs(colours[rows, None] - colours[others]).max(axis=2)
        apart = np.clip((apart - _COLOUR[0]) / (_COLOUR[1] - _COLOUR[0]), 0, 1)
        one, other = flatness[rows, None], flatness[others]
        result = (1 - np.abs(one - other)) * (1 - one * other * apart)
        for part in (prints, detail):
            middle = _centred(part[rows, 1:-1, 1:-1].astype(np.float32))
            candidates = part[others.ravel()].astype(np.float32)
            found = np.full(others.shape, -1, np.float32)
            for y, x in shifts:
                moved = _centred(candidates[:, y : y + _SIDE - 2, x : x + _SIDE - 2])
                found = np.maximum(found, np.einsum("nd,nkd->nk", middle, moved.reshape(*others.shape, -1)))
            result *= np.maximum(found, 0)
        block = agreement[rows]
        np.put_along_axis(block, best, np.minimum(result, 1), axis=1)

    in_threads(compare, row_blocks(len(prints), 64))
    return agreement


def _flatness(prints: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean of each colour (N, C), and how flat each picture is (N,): 1 without structure, 0 with much."""
    colours = prints.mean(axis=(1, 2), dtype=np.float32)
    flatness = np.empty(len(prints), np.float32)
    for rows in row_blocks(len(prints), 1024):
        spread = (prints[rows] - colours[rows, None, None]) ** 2
        flatness[rows] = _NOISE**2 / (_NOISE**2 + spread.mean(axis=(1, 2, 3)))
    return colours, flatness


def _detail(prints: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the band of detail, in float16: half the memory, and finer than the grey levels of a picture."""
    from scipy.ndimage import gaussian_filter

    detail = np.empty(prints.shape, np.float16)

    def fill(rows: slice) -> None:
        whole = prints[rows].astype(np.float32)
        fine, rough = (gaussian_filter(whole, (0, blur, blur, 0)) for blur in _BAND)
        detail[rows] = fine - rough

    in_threads(fill, row_blocks(len(prints), 256))
    return detail


def _centred(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take each picture's mean away and scale to length 1, with one more coordinate that flat pictures share."""
    flat = pictures.reshape(len(pictures), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    noise = np.float32(_NOISE * math.sqrt(flat.shape[1]))
    length = np.sqrt(np.einsum("nd,nd->n", flat, flat) + noise**2)
    unit: NDArray[np.float32] = np.hstack([flat, np.full((len(flat), 1), noise)]) / length[:, None]
    return unit


def _first_with_same(unit: NDArray[np.float32], keys: ArrayLike | None) -> NDArray[np.int64]:
    """Return the first position with the same content, (N,)."""
    contents = (row.tobytes() for row in unit) if keys is None else check_labels(keys, len(unit), "keys").tolist()
    first: dict[Any, int] = {}
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


def _score_pairs(unit: NDArray[np.float32], graph: NeighborGraph | None, prints: NDArray[np.uint8] | None) -> Pairs:
    """Return every pair of neighbours once, with its score."""
    nothing = np.empty(0)
    if len(unit) < 2:
        return Pairs(nothing.astype(np.int64), nothing.astype(np.int64), nothing, nothing, nothing)
    graph = graph or neighbors(unit)
    count, k = graph.indices.shape
    others = graph.indices.astype(np.int64)
    agreements = np.full(others.shape, np.nan) if prints is None else picture_agreement(prints, others)
    nearness = graph.similarities.astype(np.float64) if prints is None else agreements.astype(np.float64)
    distances = np.maximum(1 - nearness, 0)
    background = np.full(count, _FEW)
    if k > _BACKGROUND:
        background = np.partition(distances, _BACKGROUND, axis=1)[:, _BACKGROUND]
    ceiling = np.maximum(np.minimum(background[:, None], background[others]), 1e-9)
    scores = 1 - distances / ceiling
    certain = nearness >= (_CERTAIN_VECTORS if prints is None else _CERTAIN_PICTURES)
    scores = np.where(certain, np.maximum(scores, nearness), scores)
    first = np.repeat(np.arange(count), k)
    low, high = np.minimum(first, others.ravel()), np.maximum(first, others.ravel())
    # the better of both directions first: which of the two is shifted makes a small difference
    order = np.lexsort((-scores.ravel(), low * count + high))
    _, once = np.unique((low * count + high)[order], return_index=True)
    kept = order[once]
    kept = kept[np.argsort(-scores.ravel()[kept], kind="stable")]
    return Pairs(low[kept], high[kept], graph.similarities.ravel()[kept].astype(np.float64),
                 agreements.ravel()[kept].astype(np.float64), scores.ravel()[kept])  # fmt: skip


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
