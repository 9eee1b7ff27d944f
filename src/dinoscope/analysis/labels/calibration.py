"""Probabilities from the votes of neighbours, learnt from images whose label is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["Calibration", "fit_calibration"]

_BOUNDS = ((1e-7, 1.0), (0.05, 20.0))  # of floor and power
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
        from scipy.special import softmax

        return np.asarray(softmax(np.log(shares + self.floor) * self.power, axis=1))


def fit_calibration(shares: NDArray[np.float64], truth: NDArray[np.intp]) -> Calibration:
    """Find the calibration with the least logarithmic loss on images whose label is known.

    The truth counts as (N + 1) / (N + 2), the other labels share the rest (Platt 1999), so that N votes without an
    error do not become certainty.

    Args:
        shares: Shares of votes (N, C), of images that had no vote themselves.
        truth: Number of the true label (N,).

    Raises:
        InputError: The two do not fit each other.
    """
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
