"""The threshold that answers make: against logistic regression, against the truth of drawn pairs, and at the edges."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from dinoscope.analysis.cleaning.candidates import LEAST
from dinoscope.analysis.cleaning.threshold import ENOUGH, choose_questions, fit_threshold
from dinoscope.errors import InputError


def drawn(seed, count=3000, place=0.6, width=0.04):
    """Scores as they lie, most of them low; and which pairs are the same picture."""
    random = np.random.default_rng(seed)
    scores = np.sort(LEAST + (1 - LEAST) * random.beta(0.7, 3, count))[::-1]
    return scores, random.random(count) < expit((scores - place) / width)


def answer(scores, same, count, suggested=0.9):
    """Let a person who knows answer so many pairs, one after the other."""
    answers = np.full(len(scores), np.nan)
    for _ in range(count):
        chosen = choose_questions(scores, answers, suggested, 1)
        answers[chosen] = same[chosen]
    return answers


def test_with_many_answers_it_is_that_of_a_logistic_regression():
    scores, same = drawn(0)
    answers = np.full(len(scores), np.nan)
    asked = np.random.default_rng(1).choice(len(scores), 1500, replace=False)
    answers[asked] = same[asked]
    known = LogisticRegression(C=1e6).fit(scores[asked, None], same[asked])
    place = -known.intercept_[0] / known.coef_[0, 0]
    assert fit_threshold(scores, answers, 0.9).threshold == pytest.approx(place, abs=0.011)


@pytest.mark.parametrize("place", [0.45, 0.6, 0.85])
def test_twenty_answers_find_the_place_wherever_it_is(place):
    found = []
    for seed in range(10):
        scores, same = drawn(seed, place=place)
        found.append(fit_threshold(scores, answer(scores, same, 20), 0.9).threshold)
    assert np.median(found) == pytest.approx(place, abs=0.04)
    assert max(abs(np.subtract(found, place))) < 0.15


def test_precision_and_recall_are_as_the_truth_is_nine_times_of_ten():
    right = []
    for seed in range(40):
        scores, same = drawn(seed)
        fit = fit_threshold(scores, answer(scores, same, 20), 0.9)
        at = fit.at(fit.threshold)
        over = scores >= fit.thresholds[at]
        assert fit.counts[at] == over.sum()
        for (low, middle, high), truth in (
            (fit.precision[at], same[over].mean()),
            (fit.recall[at], same[over].sum() / same.sum()),
        ):
            assert low <= middle <= high
            right.append(low - 0.005 <= truth <= high + 0.005)
    assert 0.8 <= np.mean(right) <= 1


def test_what_was_answered_is_counted_as_it_was_said():
    scores = np.array([0.95, 0.8, 0.7, 0.5])
    fit = fit_threshold(scores, [0, 1, 0.5, np.nan], 0.9)
    assert (fit.yes, fit.no, fit.unsure, fit.answers, fit.enough) == (1, 1, 1, 2, False)
    assert fit.precision[fit.at(0.95)].tolist() == [0, 0, 0]
    assert fit.precision[fit.at(0.8)].tolist() == [0.5, 0.5, 0.5]
    assert fit.recall[fit.at(0.31)].tolist() == [1, 1, 1]


def test_it_is_used_from_enough_answers_on():
    scores = np.linspace(0.99, 0.4, 60)
    answers = np.full(60, np.nan)
    answers[: ENOUGH - 1] = 1
    few = fit_threshold(scores, answers, 0.97)
    assert (few.enough, few.used) == (False, 0.97)
    answers[ENOUGH - 1] = 1
    many = fit_threshold(scores, answers, 0.97)
    assert (many.enough, many.used) == (True, many.threshold)
    assert many.threshold < few.suggested


def test_nothing_is_the_same_and_everything_is():
    scores = np.linspace(1, LEAST, 200)
    none, all_ = (fit_threshold(scores, np.full(200, said), 0.9) for said in (0.0, 1.0))
    assert none.threshold == 1
    assert all_.threshold == LEAST
    assert np.nanmax(none.precision) == 0
    assert all_.precision.min() == 1


def test_pairs_to_ask_are_spread_and_new():
    scores, same = drawn(3)
    answers = np.full(len(scores), np.nan)
    first = choose_questions(scores, answers, 0.9, 20)
    assert len(set(first.tolist())) == 20
    assert (np.diff(scores[first]) <= 0).all()
    assert scores[first[0]] - scores[first[-1]] > 0.3  # where nobody has said anything, all over
    answers[first] = same[first]
    answers[first[0]] = 0.5
    second = choose_questions(scores, answers, 0.9, 20)
    assert not set(first.tolist()) & set(second.tolist())
    assert np.ptp(scores[second]) < np.ptp(scores[first])  # then nearer to where it is decided
    assert choose_questions(scores, answers, 0.9, 20).tolist() == second.tolist()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_hardly_any_pairs(count):
    scores = np.full(count, 0.7)
    assert choose_questions(scores, np.full(count, np.nan), 0.9, 20).tolist() == list(range(count))
    fit = fit_threshold(scores, np.full(count, np.nan), 0.9)
    assert fit.used == 0.9
    assert fit.counts[0] == count
    assert not len(choose_questions(scores, np.ones(count), 0.9, 20))


def test_bad_input():
    with pytest.raises(InputError, match="expected one answer per candidate"):
        fit_threshold([0.5, 0.6], [1], 0.9)
    with pytest.raises(InputError, match="count"):
        choose_questions([0.5], [np.nan], 0.9, 0)
