import numpy as np
import pytest
from scipy.stats import rankdata

from dinoscope.base.ranks import average_ranks


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_ranks_are_those_of_scipy(kind):
    values = (10 * np.random.default_rng(0).standard_normal(500)).round().astype(kind)  # many are equal
    np.testing.assert_array_equal(average_ranks(values), rankdata(values))


@pytest.mark.parametrize(("values", "ranks"), [([], []), ([7], [1]), ([3, 1, 3], [2.5, 1, 2.5])])
def test_few_numbers_have_ranks_too(values, ranks):
    assert average_ranks(values).tolist() == ranks
