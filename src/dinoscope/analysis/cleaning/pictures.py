"""Pictures that are blurred, dark, blown out, empty, framed, or of an odd size or shape compared with the others.

What is odd depends on the collection: a product photograph on white is normal among a thousand others on white. So a
picture must be beyond a fixed limit, and also far from what is usual in its collection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.errors import InputError

__all__ = ["PICTURE_KINDS", "PictureKind", "PoorPictures", "find_poor_pictures"]

PictureKind: TypeAlias = Literal["blurred", "dark", "blown out", "empty", "framed", "odd size", "odd shape"]
PICTURE_KINDS: tuple[PictureKind, ...] = get_args(PictureKind)
_FAR = 3.5  # spreads from the median, as of Iglewicz and Hoaglin 1993 for outliers
_QUARTILE = 0.6745  # of a normal distribution, in standard deviations
_BLURRED = 0.6  # sharpness by the median's
_DARK, _LIGHT = 60.0, 165.0  # lightness that 1% of the pixels are above, that 5% are below
_EMPTY = 2.5  # contrast in grey levels
_FRAMED, _FEWEST = 0.03, 2  # of height or width, at each edge, and lines of pixels
_SIZE, _SHAPE = 3.0, 2.5  # times the usual side, times the usual width by height
_COMMON = 0.25  # share of a collection that is its style, no mistake


@dataclass(frozen=True, eq=False)
class PoorPictures:
    """What was found, by kind, the worst first; a picture may be of several kinds.

    Attributes:
        positions: Which pictures (M,).
        kinds: Their kinds (M,), numbers in ``PICTURE_KINDS``.
        values: What was measured (M,): sharpness by the median's, lightness 0 to 255, contrast, the width of the frame
            as a share, or how many times the usual size or shape.
        common: Kinds with so large a share that they are this collection's style. They are not listed.
    """

    positions: NDArray[np.int64]
    kinds: NDArray[np.int64]
    values: NDArray[np.float64]
    common: tuple[str, ...]

    def of(self, kind: PictureKind) -> list[tuple[int, float]]:
        """Return positions and values of one kind, the worst first."""
        chosen = self.kinds == PICTURE_KINDS.index(kind)
        return list(zip(self.positions[chosen].tolist(), self.values[chosen].tolist(), strict=True))


def find_poor_pictures(looks: Mapping[str, NDArray[np.floating]], sizes: ArrayLike) -> PoorPictures:
    """Find pictures with a defect.

    Args:
        looks: darkest, lightest, contrast, sharpness and frame of each (N,); see ``sources.pixels.quality.Look``.
        sizes: Width and height (N, 2), in pixels.

    Raises:
        InputError: If the arrays do not fit each other, or a size is not positive.
    """
    size = np.asarray(sizes, np.float64)
    if size.ndim != 2 or size.shape[1] != 2 or (size <= 0).any():
        raise InputError(f"sizes must be positive, of shape (N, 2), got shape {size.shape}")
    if any(np.shape(values) != (len(size),) for values in looks.values()):
        raise InputError(f"looks must have one number per picture, expected {len(size)} each")
    empty = looks["contrast"] < _EMPTY
    dark, light = ~empty & (looks["lightest"] < _DARK), ~empty & (looks["darkest"] > _LIGHT)
    lit = ~(empty | dark | light)  # the edges of the others are of one colour by themselves
    sharpness = np.log2(np.maximum(looks["sharpness"], 1e-3))
    side, shape = np.log2(size.prod(axis=1)) / 2, np.log2(size[:, 0] / size[:, 1])
    usual = {name: np.median(values) if len(size) else 0.0 for name, values in (("side", side), ("shape", shape))}
    filled = sharpness[~empty]
    sharp = float(np.median(filled)) if len(filled) else 0.0
    # for each kind: which pictures, the value reported for each, and how bad it is
    found: dict[PictureKind, tuple[NDArray[np.bool_], NDArray[np.floating], NDArray[np.floating]]] = {
        "blurred": (
            ~empty & (sharpness < min(sharp - _FAR * _spread_below(filled), sharp + np.log2(_BLURRED))),
            2 ** (sharpness - sharp),
            -sharpness,
        ),
        "dark": (dark, looks["lightest"], -looks["lightest"]),
        "blown out": (light, looks["darkest"], looks["darkest"]),
        "empty": (empty, looks["contrast"], -looks["contrast"]),
        "framed": (
            lit & (looks["frame"] >= np.maximum(_FRAMED, _FEWEST / size.min(axis=1))),
            looks["frame"],
            looks["frame"],
        ),
        "odd size": (_odd(side, np.log2(_SIZE)), 2 ** (side - usual["side"]), np.abs(side - usual["side"])),
        "odd shape": (_odd(shape, np.log2(_SHAPE)), 2 ** (shape - usual["shape"]), np.abs(shape - usual["shape"])),
    }
    common = tuple(kind for kind, (which, _, _) in found.items() if which.sum() > max(1, _COMMON * len(size)))
    places: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    kinds, told = [np.empty(0, np.int64)], [np.empty(0)]
    for number, kind in enumerate(PICTURE_KINDS):
        which, values, badness = found[kind]
        at = np.flatnonzero(which) if kind not in common else np.empty(0, np.int64)
        at = at[np.argsort(-badness[at], kind="stable")]
        places.append(at)
        kinds.append(np.full(len(at), number))
        told.append(np.asarray(values, np.float64)[at])
    return PoorPictures(np.concatenate(places), np.concatenate(kinds), np.concatenate(told), common)


def _spread_below(values: NDArray[np.floating]) -> float:
    """Return the standard deviation of a normal distribution with the same median and lower quartile."""
    return float(np.median(values) - np.percentile(values, 25)) / _QUARTILE if len(values) else 0.0


def _odd(values: NDArray[np.floating], least: float) -> NDArray[np.bool_]:
    """Tell which values lie further from the median than ``least`` and than most of the others do."""
    if not len(values):
        return np.zeros(0, bool)
    low, middle, high = np.percentile(values, (25, 50, 75))
    above, below = _FAR * (high - middle) / _QUARTILE, _FAR * (middle - low) / _QUARTILE
    odd: NDArray[np.bool_] = (values - middle > max(least, above)) | (middle - values > max(least, below))
    return odd
