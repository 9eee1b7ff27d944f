"""The threshold of near-duplicates, fitted to a person's answers: do these two show the same picture?

Only a person can say what counts as the same picture: a photo saved again, or also the next one of a burst. So a
person answers for some pairs, and a psychometric function (Wichmann and Hill 2001) is fitted to the share of "the same"
among pairs of a score: a logistic curve of unknown place and width, with a small chance of a slip. The next pairs to
show are those whose answers tell most about the curve (Kontsevich and Tyler 1999, Bayesian adaptive estimation). The
curve then says how many of the pairs above any threshold are the same, and how many of the same pairs lie above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from dinoscope.analysis.cleaning.candidates import LEAST
from dinoscope.base.checks import check_count
from dinoscope.errors import InputError

__all__ = ["ENOUGH", "ThresholdFit", "choose_pairs", "fit_threshold"]

ENOUGH = 10  # answers needed before they set the threshold
_BINS = np.arange(LEAST, 1.0001, 0.01).round(2)  # lowest score of each bin
_MIDDLES = np.minimum(_BINS + 0.005, 1)
_PLACES = np.linspace(0.2, 1.1, 91)  # scores at which half of the pairs show the same picture
_WIDTHS = np.geomspace(0.005, 0.15, 12)  # in which the curve rises from 0.27 to 0.73, twice
_SPREAD = 0.25  # how far from the suggested threshold that place usually lies
_SLIP = 0.02  # share of the answers that are mistakes
_DRAWS = 2000
_LEVEL = 0.9  # of the intervals


@dataclass(frozen=True, eq=False)
class ThresholdFit:
    """What the answers say about a collection's pairs.

    Attributes:
        same: Answers that two images show the same picture.
        different: Answers that they do not.
        unsure: Answers "cannot tell".
        suggested: Threshold that the collection suggests.
        threshold: Score from which on a pair is more likely the same picture than not; 1 if there is none.
        thresholds: Other thresholds (T,), ascending.
        pairs: Pairs that score as much, or more (T,).
        shares: How likely a pair of that score is the same picture (T,).
        precision: Of the pairs that score as much, the share that is the same picture: median and the bounds of
            its 90% interval, the median in the middle (T, 3).
        recall: Of the pairs that are the same picture, the share that scores as much (T, 3). Those that score less
            than ``LEAST`` are not counted.
    """

    same: int
    different: int
    unsure: int
    suggested: float
    threshold: float
    thresholds: NDArray[np.float64]
    pairs: NDArray[np.int64]
    shares: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def answers(self) -> int:
        """Answers that say something."""
        return self.same + self.different

    @property
    def enough(self) -> bool:
        """Whether there are ``ENOUGH`` answers."""
        return self.answers >= ENOUGH

    @property
    def used(self) -> float:
        """The threshold to use: the fitted one if there are enough answers, else the suggested one."""
        return self.threshold if self.enough else self.suggested

    def at(self, threshold: float) -> int:
        """Return the place of a threshold in ``thresholds``: of the largest that is not above it."""
        return max(0, int(np.searchsorted(self.thresholds, threshold + 1e-9, side="right")) - 1)


def fit_threshold(scores: ArrayLike, answers: ArrayLike, suggested: float) -> ThresholdFit:
    """Fit the threshold to answers.

    Args:
        scores: Scores of all candidate pairs (P,).
        answers: For each pair 1: the same picture, 0: not the same, 0.5: unknown, NaN: not asked (P,).
        suggested: Threshold that the collection suggests, where the fit starts.

    Raises:
        InputError: If there is not exactly one answer per pair.
    """
    values, given = _checked(scores, answers)
    asked = (given == 0) | (given == 1)
    places, widths, weights = _posterior(values[asked], given[asked], suggested)
    curves = expit((_MIDDLES - places[:, None]) / widths[:, None])  # (cells, bins)
    shares = weights @ curves
    likely = np.flatnonzero(shares >= 0.5)
    threshold = float(_BINS[likely[0]]) if len(likely) else 1.0

    draw = np.random.default_rng(0)
    bins = np.clip(np.searchsorted(_BINS, values + 1e-9, side="right") - 1, 0, len(_BINS) - 1)
    open_pairs = np.bincount(bins[~asked], minlength=len(_BINS))
    known = np.bincount(bins[asked], weights=given[asked], minlength=len(_BINS))
    total = np.bincount(bins, minlength=len(_BINS))[::-1].cumsum()[::-1]
    cells = draw.choice(len(weights), _DRAWS, p=weights)
    same = (known + draw.binomial(open_pairs, curves[cells]))[:, ::-1].cumsum(axis=1)[:, ::-1]
    precision = np.where(total > 0, same / np.maximum(total, 1), np.nan)
    recall = np.where(same[:, :1] > 0, same / np.maximum(same[:, :1], 1), 1.0)
    return ThresholdFit(
        int((given == 1).sum()),
        int((given == 0).sum()),
        int((given == 0.5).sum()),
        suggested,
        threshold,
        _BINS,
        total,
        shares,
        _interval(precision),
        _interval(recall),
    )


def choose_pairs(scores: ArrayLike, answers: ArrayLike, suggested: float, count: int) -> NDArray[np.int64]:
    """Choose the pairs with the most informative answers, spread over the informative scores.

    Args:
        scores: Scores of all candidate pairs (P,).
        answers: As in ``fit_threshold`` (P,).
        suggested: Threshold that the collection suggests.
        count: How many.

    Returns:
        Places of the pairs (count,) or fewer, by descending score.

    Raises:
        InputError: If there is not exactly one answer per pair, or ``count`` is not positive.
    """
    values, given = _checked(scores, answers)
    count = check_count(count, "count")
    asked = (given == 0) | (given == 1)
    left = np.flatnonzero(np.isnan(given))
    places, widths, weights = _posterior(values[asked], given[asked], suggested)
    told = _SLIP + (1 - 2 * _SLIP) * expit((_MIDDLES - places[:, None]) / widths[:, None])
    gain = _entropy(weights @ told) - weights @ _entropy(told)
    gain = np.interp(values[left], _MIDDLES, gain)
    # pairs lie much denser at low scores: each counts for the stretch of scores that it stands for
    order = np.argsort(values[left], kind="stable")
    stretch = np.gradient(values[left][order]) if len(left) > 1 else np.ones(len(left))
    weight = np.cumsum(gain[order] * (stretch + 1e-12))
    free = np.ones(len(left), bool)
    for share in (np.arange(min(count, len(left))) + 0.5) / count:
        wanted = np.searchsorted(weight, share * weight[-1])
        still = np.flatnonzero(free)
        free[still[np.abs(still - wanted).argmin()]] = False
    found: NDArray[np.int64] = left[order[~free]]
    return found[np.argsort(-values[found], kind="stable")]


def _posterior(
    scores: NDArray[np.float64], same: NDArray[np.float64], suggested: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the place and width of each curve that is possible, and how likely it is (cells,)."""
    places, widths = (each.ravel() for each in np.meshgrid(_PLACES, _WIDTHS, indexing="ij"))
    told = _SLIP + (1 - 2 * _SLIP) * expit((scores - places[:, None]) / widths[:, None])
    likely = -0.5 * ((places - suggested) / _SPREAD) ** 2
    likely = likely + np.log(np.where(same == 1, told, 1 - told)).sum(axis=1)
    weights = np.exp(likely - likely.max())
    return places, widths, weights / weights.sum()


def _entropy(share: NDArray[np.float64]) -> NDArray[np.float64]:
    entropy: NDArray[np.float64] = -share * np.log(share) - (1 - share) * np.log(1 - share)
    return entropy


def _interval(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the interval and the middle of what was drawn (D, T) as (T, 3)."""
    return np.quantile(drawn, [(1 - _LEVEL) / 2, 0.5, (1 + _LEVEL) / 2], axis=0).T


def _checked(scores: ArrayLike, answers: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values, given = np.asarray(scores, np.float64), np.asarray(answers, np.float64)
    if values.shape != given.shape or values.ndim != 1:
        raise InputError(f"expected one answer per pair, got {given.shape} answers for {values.shape} scores")
    return values, given
