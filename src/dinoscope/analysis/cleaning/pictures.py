"""Pictures that are blurred, dark, blown out, empty, framed, screenshots, or of an odd size or shape.

What is odd depends on the collection: a product photograph on white is usual among a thousand like it. So a
picture must be beyond a fixed limit, and far from the usual of its own collection. Where that limit is, is a matter of
taste: every picture has a score for every kind, and a person's answers may move the threshold (``threshold``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.candidates import LEAST
from dinoscope.base.types import PICTURE_KINDS, PictureKind
from dinoscope.errors import InputError

__all__ = [
    "FAINTEST",
    "SUGGESTED",
    "PictureScores",
    "PoorPictures",
    "find_poor_pictures",
    "list_pictures",
    "score_pictures",
]

SUGGESTED = (1 + LEAST) / 2  # score of a picture at the limit
# nobody is asked about a picture below: two octaves short of the limit; with less, intervals of 90% hold less often
FAINTEST = SUGGESTED - (1 - SUGGESTED) * math.tanh(2 / 2)
_FAR = 3.5  # spreads from the median, as of Iglewicz and Hoaglin 1993 for outliers
_QUARTILE = 0.6745  # of a normal distribution, in standard deviations
_BLURRED = 0.6  # sharpness by the median's
_DARK, _LIGHT = 60.0, 165.0  # lightness that 1% of the pixels are above, that 5% are below
_EMPTY = 2.5  # contrast in grey levels
_FRAMED, _FEWEST = 0.03, 2  # of height or width, at each edge, and lines of pixels
_RULED = 0.01  # share of busy places that lie between even ones: one of 713 photographs has as much
_SIZE, _SHAPE = 3.0, 2.5  # times the usual side, times the usual width by height
_COMMON = 0.25  # share of a collection that is its style, no mistake
_SMALLEST = 1e-3  # what is less counts as this much, where ratios are taken


@dataclass(frozen=True, eq=False)
class PictureScores:
    """How much each picture is of each kind.

    Attributes:
        scores: From 0 to 1 (N, K), in the order of ``PICTURE_KINDS``: ``SUGGESTED`` at the limit, and half of the way
            from there to 1 at half the light, or twice the width of a frame, and so on. 0 where a picture cannot be of
            the kind.
        values: What was measured (N, K), see ``PoorPictures.values``; NaN where nothing was.
    """

    scores: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoorPictures:
    """What was found, by kind, the worst first; a picture may be of several kinds.

    Attributes:
        positions: Which pictures (M,).
        kinds: Their kinds (M,), numbers in ``PICTURE_KINDS``.
        values: What was measured (M,): sharpness by the median's, lightness 0 to 255, contrast, the width of the frame
            as a share, how ruled it is, or how many times the usual size or shape.
        common: Kinds with too many pictures for mistakes: they are this collection's style. Of these only pictures
            that a person called so are listed.
    """

    positions: NDArray[np.int64]
    kinds: NDArray[np.int64]
    values: NDArray[np.float64]
    common: tuple[PictureKind, ...]

    def of(self, kind: PictureKind) -> list[tuple[int, float]]:
        """Return positions and values of one kind, the worst first."""
        chosen = self.kinds == PICTURE_KINDS.index(kind)
        return list(zip(self.positions[chosen].tolist(), self.values[chosen].tolist(), strict=True))


def find_poor_pictures(looks: Mapping[str, NDArray[np.floating]], sizes: ArrayLike) -> PoorPictures:
    """Find pictures that something is wrong with, at the suggested thresholds.

    Args:
        looks: What was measured, of each picture (N,): the fields of ``sources.pixels.quality.Look``.
        sizes: Width and height (N, 2), in pixels.

    Raises:
        InputError: If the arrays do not fit each other, or a size is not positive.
    """
    return list_pictures(score_pictures(looks, sizes))


def score_pictures(looks: Mapping[str, NDArray[np.floating]], sizes: ArrayLike) -> PictureScores:
    """Measure how much each picture is of each kind; see ``find_poor_pictures``.

    Raises:
        InputError: If the arrays do not fit each other, or a size is not positive.
    """
    size = np.asarray(sizes, np.float64)
    if size.ndim != 2 or size.shape[1] != 2 or (size <= 0).any():
        raise InputError(f"sizes must be positive, of shape (N, 2), got shape {size.shape}")
    if any(np.shape(values) != (len(size),) for values in looks.values()):
        raise InputError(f"looks must have one number per picture, expected {len(size)} each")
    if not len(size):
        return PictureScores(np.empty((0, len(PICTURE_KINDS))), np.empty((0, len(PICTURE_KINDS))))
    empty = looks["contrast"] < _EMPTY
    lit = ~empty & (looks["lightest"] >= _DARK) & (looks["darkest"] <= _LIGHT)  # edges of others are of one colour
    sharpness = _octaves(looks["sharpness"])
    filled = sharpness[~empty] if not empty.all() else np.zeros(1)
    sharp = float(np.median(filled))
    soft = min(sharp - _FAR * _spread_below(filled), sharp + np.log2(_BLURRED))
    frame = np.maximum(_FRAMED, _FEWEST / size.min(axis=1))
    side, shape = _octaves(size.prod(axis=1)) / 2, _octaves(size[:, 0] / size[:, 1])
    # of each kind: by how many octaves a picture is beyond the limit, where it can be, and what a person reads of it
    measured: dict[PictureKind, tuple[NDArray[np.floating], NDArray[np.bool_] | bool, NDArray[np.floating]]] = {
        "blurred": (soft - sharpness, ~empty, 2 ** (sharpness - sharp)),
        "dark": (np.log2(_DARK) - _octaves(looks["lightest"]), ~empty, looks["lightest"]),
        "blown out": (np.log2(255 - _LIGHT) - _octaves(255 - looks["darkest"]), ~empty, looks["darkest"]),
        "empty": (np.log2(_EMPTY) - _octaves(looks["contrast"]), True, looks["contrast"]),
        "framed": (_octaves(looks["frame"] / frame), lit, looks["frame"]),
        "screenshot": (_octaves(looks["ruled"] / _RULED), ~np.isnan(looks["ruled"]), looks["ruled"]),
        "odd size": (_beyond(side, np.log2(_SIZE)), True, 2 ** (side - np.median(side))),
        "odd shape": (_beyond(shape, np.log2(_SHAPE)), True, 2 ** (shape - np.median(shape))),
    }
    beyond, can_be, values = zip(*(measured[kind] for kind in PICTURE_KINDS), strict=True)
    scores = SUGGESTED + (1 - SUGGESTED) * np.tanh(np.stack(beyond, axis=1) / 2)
    held = np.stack([np.broadcast_to(each, len(size)) for each in can_be], axis=1)
    return PictureScores(np.where(held, scores, 0.0), np.stack(values, axis=1).astype(np.float64))


def list_pictures(
    scored: PictureScores, thresholds: Mapping[PictureKind, float] | None = None, answers: ArrayLike | None = None
) -> PoorPictures:
    """List the pictures whose scores reach the thresholds.

    Args:
        scored: Their scores.
        thresholds: Those that a person's answers make; ``SUGGESTED`` for the others. A kind that is given here is
            listed, whatever share of the pictures is of it.
        answers: For each picture and kind 1: it is of the kind, 0: it is not; anything else: nobody said (N, K).

    Raises:
        InputError: There is not one answer for each picture and kind.
    """
    thresholds = thresholds or {}
    said = np.full(scored.scores.shape, np.nan) if answers is None else np.asarray(answers, np.float64)
    if said.shape != scored.scores.shape:
        raise InputError(f"expected one answer per picture and kind, {scored.scores.shape}, got {said.shape}")
    places: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    kinds, told = [np.empty(0, np.int64)], [np.empty(0)]
    common: list[PictureKind] = []
    for number, kind in enumerate(PICTURE_KINDS):
        scores, given = scored.scores[:, number], said[:, number]
        which = (scores >= thresholds.get(kind, SUGGESTED)) & (given != 0) | (given == 1)
        at = np.flatnonzero(which)
        if kind not in thresholds and len(at) > max(1, _COMMON * len(scores)):
            common.append(kind)
            at = np.flatnonzero(given == 1)
        at = at[np.argsort(-scores[at], kind="stable")]
        places.append(at)
        kinds.append(np.full(len(at), number))
        told.append(scored.values[at, number])
    return PoorPictures(np.concatenate(places), np.concatenate(kinds), np.concatenate(told), tuple(common))


def _octaves(values: NDArray[np.floating]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log2(np.maximum(np.asarray(values, np.float64), _SMALLEST))
    return found


def _spread_below(values: NDArray[np.floating]) -> float:
    """Return the standard deviation of a normal distribution with the same median and lower quartile."""
    return float(np.median(values) - np.percentile(values, 25)) / _QUARTILE


def _beyond(values: NDArray[np.floating], least: float) -> NDArray[np.float64]:
    """Return how much further from the median values lie than ``least``, and than most of the others do."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    above, below = (max(least, _FAR * spread / _QUARTILE) for spread in (high - middle, middle - low))
    beyond: NDArray[np.float64] = np.maximum(values - middle - above, middle - values - below)
    return beyond
