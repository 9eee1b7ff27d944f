"""The threshold of a kind of findings, fitted to a person's answers: is this one?

Only a person can say what counts as the same picture (a photo saved again, or also the next one of a burst), and what
counts as blurred. So a person answers for some pairs or pictures, and a psychometric function (Wichmann and Hill 2001)
is fitted to the share of "yes" among those of a score: a logistic curve of unknown place and width, with a small chance
of a slip. The next ones to show are those whose answers tell most about the curve (Kontsevich and Tyler 1999, Bayesian
adaptive estimation). The curve then says how many of those above any threshold are right, and how many of the right
ones lie above it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.cleaning.candidates import LEAST
from dinoscope.base.checks import check_count
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["ENOUGH", "ThresholdFit", "choose_questions", "fit_threshold"]

ENOUGH = 10  # answers needed before they set the threshold
_BINS = np.arange(LEAST, 1.0001, 0.01).round(2)  # lowest score of each bin
_MIDDLES = np.minimum(_BINS + 0.005, 1)
_PLACES = np.linspace(0.2, 1.1, 91)  # scores at which the answer is as often yes as no
_WIDTHS = np.geomspace(0.005, 0.15, 12)  # in which the curve rises from 0.27 to 0.73, twice
_SPREAD = 0.25  # how far from the suggested threshold that place usually lies
_SLIP = 0.02  # share of the answers that are mistakes
_DRAWS = 2000
_LEVEL = 0.9  # of the intervals


@dataclass(frozen=True, eq=False)
class ThresholdFit:
    """What the answers say about a collection's candidates: pairs of images, or pictures.

    Attributes:
        yes: Answers that two images show the same picture, or that a picture is of the kind.
        no: Answers that they do not, or that it is not.
        unsure: Answers that nobody can say.
        suggested: Threshold that the collection suggests.
        threshold: Score from which on "yes" is more likely than not; 1 if there is none.
        thresholds: Other thresholds (T,), ascending.
        counts: Candidates that score as much, or more (T,).
        shares: How likely one of that score is right (T,).
        precision: Of those that score as much, the share that is right: median and the bounds of its 90% interval,
            the median in the middle (T, 3).
        recall: Of the candidates that are right, the share that scores as much (T, 3). What is left out, because
            its score is too low, is not counted.
    """

    yes: int
    no: int
    unsure: int
    suggested: float
    threshold: float
    thresholds: NDArray[np.float64]
    counts: NDArray[np.int64]
    shares: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def answers(self) -> int:
        """Answers that say something."""
        return self.yes + self.no

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
        scores: Scores of all candidates (P,).
        answers: For each 1: yes, 0: no, 0.5: nobody can say, NaN: not asked (P,).
        suggested: Threshold that the collection suggests, where the fit starts.

    Raises:
        InputError: There is not one answer a candidate.
    """
    values, given = _checked(scores, answers)
    asked = (given == 0) | (given == 1)
    places, widths, weights = _posterior(values[asked], given[asked], suggested)
    curves = _logistic(_MIDDLES, places, widths)  # (cells, bins)
    shares = weights @ curves
    likely = np.flatnonzero(shares >= 0.5)
    threshold = float(_BINS[likely[0]]) if len(likely) else 1.0

    draw = np.random.default_rng(0)
    bins = np.clip(np.searchsorted(_BINS, values + 1e-9, side="right") - 1, 0, len(_BINS) - 1)
    open_ones = np.bincount(bins[~asked], minlength=len(_BINS))
    known = np.bincount(bins[asked], weights=given[asked], minlength=len(_BINS))
    total = np.bincount(bins, minlength=len(_BINS))[::-1].cumsum()[::-1]
    cells = draw.choice(len(weights), _DRAWS, p=weights)
    same = (known + draw.binomial(open_ones, curves[cells]))[:, ::-1].cumsum(axis=1)[:, ::-1]
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


def choose_questions(scores: ArrayLike, answers: ArrayLike, suggested: float, count: int) -> NDArray[np.int64]:
    """Choose the candidates whose answers would tell most, spread over the scores at which they would.

    Args:
        scores: Scores of all candidates (P,).
        answers: As in ``fit_threshold`` (P,).
        suggested: Threshold that the collection suggests.
        count: How many.

    Returns:
        Their places (count,) or fewer, by descending score.

    Raises:
        InputError: There is not one answer a candidate, or ``count`` is not positive.
    """
    values, given = _checked(scores, answers)
    count = check_count(count, "count")
    asked = (given == 0) | (given == 1)
    left = np.flatnonzero(np.isnan(given))
    places, widths, weights = _posterior(values[asked], given[asked], suggested)
    told = _SLIP + (1 - 2 * _SLIP) * _logistic(_MIDDLES, places, widths)
    gain = _entropy(weights @ told) - weights @ _entropy(told)
    gain = np.interp(values[left], _MIDDLES, gain)
    # they lie much denser at low scores: each counts for the stretch of scores that it stands for
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


def _logistic(
    scores: NDArray[np.float64], places: NDArray[np.float64], widths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return each curve (cells,) at each score, (cells, scores)."""
    with LOADING:
        from scipy.special import expit  # takes longer to load than all else that opens a collection

    curves: NDArray[np.float64] = expit((scores - places[:, None]) / widths[:, None])
    return curves


def _posterior(
    scores: NDArray[np.float64], same: NDArray[np.float64], suggested: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the place and width of each curve that is possible, and how likely it is (cells,)."""
    places, widths = (each.ravel() for each in np.meshgrid(_PLACES, _WIDTHS, indexing="ij"))
    told = _SLIP + (1 - 2 * _SLIP) * _logistic(scores, places, widths)
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
        raise InputError(f"expected one answer per candidate, got {given.shape} answers for {values.shape} scores")
    return values, given
