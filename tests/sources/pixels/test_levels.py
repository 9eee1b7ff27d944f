from __future__ import annotations

import numpy as np
import pytest

from dinoscope.errors import InputError
from dinoscope.sources.pixels.levels import check_range, fit_range, sample_values, to_uint8


def values(low: float, high: float) -> np.ndarray:
    return np.linspace(low, high, 5000)


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0, 65535, True, (0, 65535)),
        (300, 60000, True, (0, 65535)),
        (40, 4095, True, (0, 4095)),
        (0, 1000, True, (0, 1023)),
        (100, 1500, True, (0, 2047)),
        (0, 200, True, (0, 255)),
        (0, 1, False, (0, 1)),
        (0.2, 0.9, False, (0, 1)),
        (0, 255, False, (0, 255)),
    ],
)
def test_the_usual_range_where_values_fill_half_of_it(low, high, whole, expected):
    assert fit_range(values(low, high), whole) == expected


@pytest.mark.parametrize(
    ("low", "high", "whole"), [(28000, 32000, True), (-1000, 3000, True), (-1, 1, False), (0.1, 0.3, False)]
)
def test_else_the_range_of_the_values_themselves(low, high, whole):
    assert fit_range(values(low, high), whole) == pytest.approx((low, high), abs=0.002 * (high - low))


def test_a_few_broken_pixels_make_no_range():
    broken = np.concatenate([values(0, 4000), [65535, 65535, -32768]])
    assert fit_range(broken, True) == (0, 4095)
    assert fit_range(np.full(9, 7.0), True) is None
    assert fit_range(np.empty(0), True) is None


def test_values_outside_a_range_are_black_or_white_and_what_is_no_number_too():
    picture = np.array([[-5.0, 0, 40, 100, 1e9, np.nan, np.inf, -np.inf]])
    np.testing.assert_array_equal(to_uint8(picture, (0, 100)), [[0, 0, 102, 255, 255, 0, 255, 0]])
    np.testing.assert_array_equal(to_uint8(np.array([-1000, 0, 1000], np.int16), (-1000, 1500)), [0, 102, 204])
    greys = np.arange(256, dtype=np.uint8)
    assert to_uint8(greys, (0, 100)) is greys
    assert len(sample_values(np.array([np.nan, np.inf, 1.0]))) == 1
    assert len(sample_values(np.zeros((9, 9)))) == 0


@pytest.mark.parametrize("given", [(1,), (1, 1), (4095, 0), (0, float("nan")), (0, 1, 2)])
def test_what_is_no_range(given):
    with pytest.raises(InputError, match="a range must be two numbers, black before white, such as 0,4095; got"):
        check_range(given)
