"""Images that are a part of another one: vectors of windows propose pairs, and sliding one over the other decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import in_order, row_blocks

__all__ = ["CROPPED", "Crops", "find_crops", "fit_part", "propose_crops"]

CROPPED = 0.75  # correlation from which one picture is a part of the other
_CANDIDATES = 8  # images that each one is compared with
_SIDE = 96  # pixels of the longer side of the larger picture
_SHARES = np.geomspace(0.55, 0.97, 16)  # of the width that the part may take
_FINE = 2  # pixels around the best of these widths, which are tried one by one
_SMALLEST = 16  # pixels a side, below which a part says nothing
_BLUR = 4.0  # pixels: what varies more slowly, such as light, is taken away
_QUERIES = 32  # images that are compared with all windows at once
_AHEAD = 8


@dataclass(frozen=True)
class Crops:
    """Pairs of an image and another one that holds it, the surest first.

    Attributes:
        parts: Positions of the images that are a part (M,).
        wholes: Positions of the images that hold them (M,).
        scores: Correlation of the part with its place in the other image, 1 is the same (M,).
        shares: How much of the other image's area the part takes, 0..1 (M,).
    """

    parts: NDArray[np.int64]
    wholes: NDArray[np.int64]
    scores: NDArray[np.float64]
    shares: NDArray[np.float64]


def propose_crops(
    vectors: NDArray[np.float32], windows: NDArray[np.floating], count: int = _CANDIDATES
) -> NDArray[np.int64]:
    """Return for each image the others that, as a whole or in a window, are most similar to it (N, count or N - 1).

    Args:
        vectors: Unit vectors of the images (N, D).
        windows: Unit vectors of their windows (N, W, D).
        count: How many.
    """
    images, per_image, dim = windows.shape
    most = min(count, images - 1)
    flat = windows.reshape(images * per_image, dim)
    found = np.empty((images, most), np.int64)
    for rows in row_blocks(images, _QUERIES):
        queries = vectors[rows]
        similar = queries @ vectors.T
        for block in row_blocks(images, 4096):
            part = flat[block.start * per_image : block.stop * per_image].astype(np.float32)
            inside = (queries @ part.T).reshape(len(queries), -1, per_image).max(axis=2)
            similar[:, block] = np.maximum(similar[:, block], inside)
        own = np.arange(rows.start, rows.stop)
        similar[own - rows.start, own] = -np.inf
        found[rows] = np.argsort(-similar, axis=1, kind="stable")[:, :most]
    return found


def fit_part(part: NDArray[np.uint8], whole: NDArray[np.uint8]) -> tuple[float, float]:
    """Return how well a grey picture fits a place in another one, and the share of the area that it takes there.

    It is slid over the other at many sizes. At each place the normalized cross-correlation (Lewis 1995) of both
    without their slow changes is taken, so light and contrast do not matter.

    Args:
        part: (H, W) grey levels.
        whole: (H, W) grey levels, of another size.

    Returns:
        The correlation, -1..1, and the share, 0..1; both 0 where neither holds anything.
    """
    scene = _detail(_scaled(whole, _SIDE / max(whole.shape)))
    sums, squares = _integral(scene), _integral(scene * scene)
    tried: dict[int, tuple[float, float]] = {}

    def look(widths: Iterable[int]) -> int:
        for across in widths:
            down = round(across * part.shape[0] / part.shape[1])
            if across in tried or min(down, across) < _SMALLEST or down > scene.shape[0] or across > scene.shape[1]:
                continue
            score = _correlation(_detail(_resized(part, across, down)), scene, sums, squares)
            tried[across] = (score, down * across / scene.size)
        return max(tried, key=lambda width: tried[width][0], default=0)

    nearest = look(np.rint(_SHARES * scene.shape[1]).astype(int).tolist())
    best = look(range(nearest - _FINE, nearest + _FINE + 1))  # a pixel more or less makes a difference
    score, share = tried.get(best, (0.0, 0.0))
    return (score, share) if score > 0 else (0.0, 0.0)


def find_crops(
    picture_of: Callable[[int], NDArray[np.uint8]],
    candidates: NDArray[np.int64],
    *,
    least: float = CROPPED,
    on_progress: Callable[[int, int], None] | None = None,
) -> Crops:
    """Find the images that are a part of one of their candidates.

    Where two hold each other, the one that takes the smaller share is the part.

    Args:
        picture_of: Gives the grey levels (H, W) of the image at a position.
        candidates: Positions (N, C); see ``propose_crops``.
        least: Correlation from which a picture counts as a part.
        on_progress: Called with how many images were looked for, and of how many.
    """

    def look(at: int) -> list[tuple[float, int, int, float]]:
        part = picture_of(at)
        fits = ((other, *fit_part(part, picture_of(other))) for other in candidates[at].tolist())
        return [(score, at, other, share) for other, score, share in fits if score >= least]

    found: list[tuple[float, int, int, float]] = []
    for done, each in enumerate(in_order(look, range(len(candidates)), ahead=_AHEAD), start=1):
        found += each
        if on_progress is not None:
            on_progress(done, len(candidates))
    shares = {(part, whole): share for _, part, whole, share in found}
    kept = [each for each in found if each[3] <= shares.get((each[2], each[1]), 1.0)]
    kept.sort(key=lambda each: (-each[0], each[1], each[2]))
    columns: Sequence[Sequence[float]] = list(zip(*kept, strict=True)) or [(), (), (), ()]
    return Crops(
        np.asarray(columns[1], np.int64),
        np.asarray(columns[2], np.int64),
        np.asarray(columns[0], np.float64),
        np.asarray(columns[3], np.float64),
    )


def _correlation(
    part: NDArray[np.float32], scene: NDArray[np.float32], sums: NDArray[np.float64], squares: NDArray[np.float64]
) -> float:
    """Return the largest normalized cross-correlation of a picture with the places of another one."""
    with LOADING:
        from scipy.signal import fftconvolve

    part = part - part.mean()
    norm, (down, across) = float(np.sqrt((part * part).sum())), part.shape
    if norm < 1:  # nothing is in it
        return 0.0
    total, power = (
        each[down:, across:] - each[:-down, across:] - each[down:, :-across] + each[:-down, :-across]
        for each in (sums, squares)
    )
    spread = np.sqrt(np.maximum(power - total * total / part.size, 1.0))
    found = fftconvolve(scene, part[::-1, ::-1], mode="valid") / (norm * spread)
    return float(min(1.0, found.max()))


def _detail(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    with LOADING:
        from scipy.ndimage import gaussian_filter

    detail: NDArray[np.float32] = picture - gaussian_filter(picture, _BLUR)
    return detail


def _scaled(picture: NDArray[np.uint8], factor: float) -> NDArray[np.float32]:
    height, width = (max(1, round(side * factor)) for side in picture.shape)
    return _resized(picture, width, height)


def _resized(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX), np.float32)


def _integral(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the sums of all values above and left of each place (H + 1, W + 1)."""
    return np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
