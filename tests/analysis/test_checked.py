"""How many findings are right, by some that were drawn at random: the interval holds what it says."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from dinoscope.analysis.cleaning.checked import LEVEL, count_right
from dinoscope.errors import InputError


@pytest.mark.parametrize(("listed", "checked"), [(21, 20), (40, 20), (217, 20), (609, 20), (609, 60), (30, 1)])
def test_the_interval_holds_the_truth_as_often_as_it_says_whatever_the_truth_is(listed, checked):
    # not by draws: the chance of each outcome is known
    intervals = {right: count_right(listed, checked, right) for right in range(checked + 1)}
    for total in range(listed + 1):
        outcomes = np.arange(max(0, total - (listed - checked)), min(checked, total) + 1)
        held = [intervals[right].low <= total - right <= intervals[right].high for right in outcomes.tolist()]
        assert hypergeom.pmf(outcomes, listed, total, checked)[held].sum() >= LEVEL - 1e-9


def test_all_checked_leaves_nothing_to_guess():
    found = count_right(20, 20, 7)
    assert (found.rest, found.low, found.high) == (0, 0, 0)


def test_nothing_checked_says_nothing():
    found = count_right(50, 0, 0)
    assert (found.rest, found.low, found.high) == (50, 0, 50)


def test_an_empty_list_has_nothing():
    found = count_right(0, 0, 0)
    assert (found.checked, found.rest, found.low, found.high) == (0, 0, 0, 0)


def test_more_answers_narrow_it():
    widths = [found.high - found.low for found in (count_right(400, n, n // 2) for n in (10, 20, 50, 200))]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1]


@pytest.mark.parametrize("numbers", [(10, 11, 0), (10, 5, 6), (10, 5, -1)])
def test_numbers_that_do_not_fit_are_refused(numbers):
    with pytest.raises(InputError, match="expected 0 <= right <= checked <= listed"):
        count_right(*numbers)


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_a_level_is_a_probability(level):
    with pytest.raises(InputError, match="level"):
        count_right(10, 5, 2, level=level)
