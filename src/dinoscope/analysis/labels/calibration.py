"""Probabilities from the votes of neighbours, learnt from labelled images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_count
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["Calibration", "Reliability", "fit_calibration", "reliability"]

_BOUNDS = ((1e-7, 1.0), (0.05, 20.0))  # of floor and power
_BINS = 15
_CELLS = 2_000_000  # shares looked at at once


@dataclass(frozen=True)
class Calibration:
    """What turns shares of votes into probabilities: p is proportional to (share + floor) ** power.

    It is temperature scaling of the logarithm of the votes (Guo et al. 2017, arXiv:1706.04599; ``power`` is one over
    their temperature) after a pseudo-vote for every label, without which a label that no neighbour has would be
    impossible. The order of the labels stays.

    Attributes:
        floor: The pseudo-vote, above 0.
        power: Above 1 where the votes are too timid, below 1 where they are too sure.
    """

    floor: float
    power: float

    def probabilities(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities (M, C) of shares of votes (M, C); rows sum to 1."""
        return np.asarray(_softmax()(np.log(shares + self.floor) * self.power, axis=1))


@cache  # a verdict would else wait while another thread loads a library
def _softmax() -> Callable[..., NDArray[np.float64]]:
    with LOADING:
        from scipy.special import softmax

    function: Callable[..., NDArray[np.float64]] = softmax
    return function


def fit_calibration(shares: NDArray[np.float64], truth: NDArray[np.intp]) -> Calibration:
    """Find the calibration with the least logarithmic loss on labelled images.

    The truth counts as (N + 1) / (N + 2), the other labels share the rest (Platt 1999), so that N votes without an
    error do not become certainty.

    Args:
        shares: Shares of votes (N, C), of images that had no vote themselves.
        truth: Number of the true label (N,).

    Raises:
        InputError: The two do not fit each other.
    """
    with LOADING:
        from scipy.optimize import minimize

    if shares.ndim != 2 or truth.shape != shares.shape[:1] or not len(truth):
        raise InputError(
            f"truth must have one entry for each row of shares, got {truth.shape} for {shares.shape}; pass both of the "
            "same images"
        )
    count, labels = shares.shape
    own = shares[np.arange(count), truth]
    doubt = 1 / (count + 2) / max(labels - 1, 1)

    def loss(logs: NDArray[np.float64]) -> float:
        floor, power = np.exp(logs)
        total = 0.0
        for rows in row_blocks(count, max(1, _CELLS // labels)):
            heights = np.log(shares[rows] + floor) * power
            top = heights.max(axis=1)
            norm = top + np.log(np.exp(heights - top[:, None]).sum(axis=1))
            right = np.log(own[rows] + floor) * power - norm
            total -= (right * (1 - doubt * labels) + doubt * (heights - norm[:, None]).sum(axis=1)).sum()
        return float(total / count)

    found = minimize(
        loss,
        np.log([0.01, 1.0]),
        method="Nelder-Mead",
        bounds=np.log(_BOUNDS).tolist(),
        options={"xatol": 1e-3, "fatol": 1e-7, "maxiter": 200},
    )
    floor, power = np.exp(found.x).tolist()
    return Calibration(floor, power)


@dataclass(frozen=True, eq=False)
class Reliability:
    """Probability claimed against share right, in bins of equal width.

    Attributes:
        images: Images in each bin (B,).
        claimed: Their mean probability (B,), NaN in an empty bin.
        right: Share of them named right (B,), NaN in an empty bin.
        error: Expected calibration error: mean of |claimed - right|, weighted by images (Guo et al. 2017), 0 to 1.
    """

    images: NDArray[np.int64]
    claimed: NDArray[np.float64]
    right: NDArray[np.float64]
    error: float


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = _BINS) -> Reliability:
    """Compare what was claimed with what came true.

    Args:
        probabilities: Probability of each image's answer (M,), 0 to 1.
        right: Whether the answer was right (M,).
        bins: Number of bins; a probability on a border belongs to the upper one.

    Raises:
        InputError: The arrays do not fit each other, or a probability is out of range.
    """
    claims, hits = np.asarray(probabilities, np.float64), np.asarray(right, bool)
    if claims.ndim != 1 or claims.shape != hits.shape or not len(claims):
        raise InputError(f"probabilities and right must have one shape (M,), got {claims.shape} and {hits.shape}")
    if not ((claims >= 0) & (claims <= 1)).all():
        raise InputError("probabilities must lie between 0 and 1, got others; pass shares or probabilities")
    place = np.minimum((claims * check_count(bins, "bins")).astype(np.intp), bins - 1)
    images = np.bincount(place, minlength=bins)
    filled = np.where(images > 0, images, np.nan)
    claimed = np.bincount(place, claims, bins) / filled
    came = np.bincount(place, hits, bins) / filled
    return Reliability(images, claimed, came, float(np.nansum(images * np.abs(claimed - came)) / len(claims)))
