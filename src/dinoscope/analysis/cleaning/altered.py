"""Copies that are turned, mirrored, framed or without colour. Their vectors are far apart, so fingerprints find them.

An image is looked up by numbers that are the same for all eight orientations and do not depend on colour. Candidates
are turned until they fit, and then compared as all fingerprints are.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.analysis.cleaning.fingerprints import centred, fingerprints, flatness, picture_agreement
from dinoscope.analysis.cleaning.pairs import each_once
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import row_blocks

__all__ = ["altered_pairs", "has_colours", "inside_frames", "inside_share"]

Level = TypeVar("Level", np.uint8, np.float32)

_ORIENTATIONS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)]  # the first is upright
_WAVES = 5  # cosine waves per side; images are looked up by their strengths
_NEAREST = 4  # candidates per image
_LEAF = 50  # images compared one by one: with two dozen numbers each, smaller groups take longer
_FAR = 0.2  # distance of the strengths beyond which there is no copy
_ALIKE = 0.95  # agreement at a quarter of the size, below which there is no copy
_CELL = 4  # pixels averaged for it
_GREY = 8  # grey levels by which the colours of a picture without colour may differ
_EVEN = 16  # grey levels by which the colours of a frame may differ
_EDGE = (4, 0.1)  # mean grey levels that a line inside a frame differs from it: at least, and of what most lines do
_WIDEST = 0.2  # part of a side that a frame covers at most, at each end


def inside_frames(
    pictures: Sequence[bytes | NDArray[np.uint8]], prints: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the positions of pictures with a frame of one colour on all four sides (M,), and what is inside.

    Args:
        pictures: What the fingerprints were made of (N,).
        prints: The fingerprints (N, 32, 32, C).

    Returns:
        The positions, and fingerprints without the frame, uint8 (M, 32, 32, C).
    """
    edges = np.concatenate([prints[:, 0], prints[:, -1], prints[:, :, 0], prints[:, :, -1]], axis=1)
    even = (np.ptp(edges.astype(np.int16), axis=1) <= 2 * _EVEN).all(axis=1)
    positions, inside = [], []
    for at in np.flatnonzero(even & (flatness(prints) < 0.5)).tolist():
        picture = pictures[at]
        image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else Image.fromarray(picture)
        rest = _without_frame(np.asarray(image.convert("RGB")))
        if rest is not None:
            positions.append(at)
            inside.append(rest)
    made = fingerprints(inside) if inside else np.empty((0, *prints.shape[1:]), np.uint8)
    if made.shape[3] > prints.shape[3]:
        made = _without_colour(made)
    return np.asarray(positions, np.int64), np.broadcast_to(made, (len(made), *prints.shape[1:]))


def altered_pairs(
    prints: NDArray[np.uint8],
    inside: tuple[NDArray[np.int64], NDArray[np.uint8]] | None = None,
    shapes: NDArray[np.float64] | None = None,
    tolerance: float = np.inf,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Find pairs that agree once one is turned, mirrored, freed of its frame, or compared without colours.

    Pairs that agree best upright, both in colour or both without, are left to the comparison of neighbours.

    Args:
        prints: What ``fingerprints`` made, (N, 32, 32, C).
        inside: What ``inside_frames`` returned.
        shapes: Logarithm of width by height (N,).
        tolerance: By how much they may differ, once turned.

    Returns:
        Lower and higher position of each pair, each pair once, and the agreement (see ``picture_agreement``), (P,).
    """
    with LOADING:
        from scipy.spatial import KDTree

    images = np.arange(len(prints))
    forms, origin = prints, images
    if inside is not None and len(inside[0]):
        forms, origin = np.concatenate([prints, inside[1]]), np.concatenate([images, inside[0]])
    light = _without_colour(forms)
    looked_at = np.flatnonzero(flatness(light) < 0.5)
    count = min(_NEAREST + 1, len(looked_at))
    if count < 2:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    strengths = _strengths(light[looked_at])
    tree = KDTree(strengths, _LEAF)
    near = tree.query(strengths, count, distance_upper_bound=_FAR, workers=-1)[1]
    one = np.repeat(np.arange(len(looked_at)), count)
    one, other = one[near.ravel() < len(looked_at)], near.ravel()[near.ravel() < len(looked_at)]
    listed = np.unique(np.sort(np.stack([one, other], axis=1), axis=1), axis=0)
    one, other = looked_at[listed[:, 0]], looked_at[listed[:, 1]]
    one, other = (each[origin[one] != origin[other]] for each in (one, other))

    cells = light.reshape(len(light), prints.shape[1] // _CELL, _CELL, prints.shape[2] // _CELL, _CELL)
    small = cells.mean(axis=(2, 4), dtype=np.float32)
    agree = np.stack(
        [np.einsum("nd,nd->n", centred(small)[one], centred(_turn(small, *each))[other]) for each in _ORIENTATIONS]
    )
    if shapes is not None:
        ratio = shapes[origin]
        for at, (turns, _) in enumerate(_ORIENTATIONS):
            agree[at, np.abs(ratio[one] - ratio[other] * (-1) ** turns) > tolerance] = -1
    best = agree.argmax(axis=0)
    colourless = (np.ptp(forms.astype(np.int16), axis=3) <= _GREY).all(axis=(1, 2))
    mixed = colourless[one] != colourless[other]
    whole = (one < len(prints)) & (other < len(prints))
    kept = (agree.max(axis=0) >= _ALIKE) & ((best > 0) | mixed | ~whole)
    one, other, best, mixed = one[kept], other[kept], best[kept], mixed[kept]

    agreements = np.empty(len(one))
    for rows in row_blocks(len(one), 4096):
        agreements[rows] = _compare(forms, one[rows], other[rows], best[rows], mixed[rows])
    first, second = np.sort([origin[one], origin[other]], axis=0)
    once = each_once(first, second, agreements)
    return first[once], second[once], agreements[once]


def _compare(
    forms: NDArray[np.uint8],
    one: NDArray[np.int64],
    other: NDArray[np.int64],
    orientation: NDArray[np.int64],
    mixed: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Return how far pairs agree (P,), the second one turned; without colours if one of the two has none."""
    left, right = forms[one], forms[other]
    for at, each in enumerate(_ORIENTATIONS):
        chosen = orientation == at
        right[chosen] = _turn(right[chosen], *each)
    for side in (left, right):
        side[mixed] = _without_colour(side[mixed])
    return picture_agreement(np.concatenate([left, right]), np.arange(len(one), 2 * len(one))[:, None])[:, 0]


def _turn(pictures: NDArray[Level], turns: int, mirrored: bool) -> NDArray[Level]:
    turned = np.rot90(pictures, turns, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


def _without_colour(prints: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the lightness of each pixel, in one channel."""
    if prints.shape[3] == 1:
        return prints
    grey: NDArray[np.uint8] = (prints @ np.asarray([0.299, 0.587, 0.114], np.float32) + 0.5).astype(np.uint8)
    return grey[..., None]


def _strengths(light: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the strengths of the slow cosine waves, equal for all orientations of a picture (N, 24).

    A mirror image changes signs, a quarter turn exchanges the two directions.
    """
    with LOADING:
        from scipy.fft import dctn

    side = light.shape[1]
    rows, columns = np.triu_indices(_WAVES, 1)
    strengths = np.empty((len(light), 2 * len(rows) + _WAVES - 1), np.float32)
    for block in row_blocks(len(light), 1024):
        level = centred(light[block].astype(np.float32))[:, :-1].reshape(-1, side, side)
        waves = np.abs(dctn(level, axes=(1, 2), norm="ortho")[:, :_WAVES, :_WAVES])
        pairs = np.stack([waves[:, rows, columns], waves[:, columns, rows]])
        square = waves[:, np.arange(1, _WAVES), np.arange(1, _WAVES)]
        strengths[block] = np.hstack([pairs.max(axis=0), pairs.min(axis=0), square])
    return strengths


def inside_share(picture: NDArray[np.uint8]) -> float:
    """Return the share of the area of a picture (H, W, 3) inside a frame of one colour; 1 without a frame."""
    edges = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]).astype(np.int16)
    rest = _without_frame(picture) if (np.ptp(edges, axis=0) <= 2 * _EVEN).all() else None
    return 1.0 if rest is None else rest.shape[0] * rest.shape[1] / (picture.shape[0] * picture.shape[1])


def has_colours(picture: NDArray[np.uint8]) -> bool:
    """Tell whether a picture (H, W, 3) has other colours than grey in more than a hundredth of its area."""
    return bool(np.percentile(np.ptp(picture.astype(np.int16), axis=2), 99) > _GREY)


def _without_frame(picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return what is inside a frame of one colour (H, W, 3); None if it is missing on one side, or too wide."""
    colour = np.median(np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]]), axis=0)
    other = np.abs(picture - colour).max(axis=2)
    box = []
    for axis in (1, 0):
        away = other.mean(axis=axis)
        lines = np.flatnonzero(away > max(_EDGE[0], _EDGE[1] * np.median(away)))
        length = other.shape[1 - axis]
        if (
            not len(lines)
            or not 1 <= lines[0] <= _WIDEST * length
            or not 1 <= length - 1 - lines[-1] <= _WIDEST * length
        ):
            return None
        box.append(slice(int(lines[0]), int(lines[-1]) + 1))
    return picture[tuple(box)]
