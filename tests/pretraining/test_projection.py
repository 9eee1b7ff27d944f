"""The linear layer behind the network: what it keeps, how it weighs parts, what it plays down."""

import numpy as np
import pytest

from tests.pretraining.common import projection

fit_projection = projection.fit_projection


def test_projection_is_pca_with_partial_whitening():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(4000, 5)) * [8, 4, 2, 1, 0.5] + 3).astype(np.float32)
    for whiten, ratio in ((0.0, 4.0), (0.5, 2.0), (1.0, 1.0)):
        layer = fit_projection(vectors, 3, whiten)
        out = (vectors - layer.offset) @ layer.matrix
        np.testing.assert_allclose(out.mean(0), 0, atol=1e-3)
        correlation = np.corrcoef(out.T)
        np.testing.assert_allclose(correlation, np.eye(3), atol=1e-3)
        assert out[:, 0].std() / out[:, 2].std() == pytest.approx(ratio, rel=0.1)
    with pytest.raises(ValueError, match=r"dimension must be 1\.\.5, got 6"):
        fit_projection(vectors, 6)
    with pytest.raises(ValueError, match=r"whiten must be 0\.\.1, got 2"):
        fit_projection(vectors, 2, 2)


def test_parts_are_balanced_before_the_projection():
    rng = np.random.default_rng(0)
    vectors = np.hstack([100 * rng.normal(size=(4000, 3)), 0.01 * rng.normal(size=(4000, 2))]) + 5
    layer = fit_projection(vectors, 5, 0, parts=((3, 2.0), (2, 1.0)))
    out = (vectors - layer.offset) @ layer.matrix
    # total variance 4 over three directions, and 1 over two
    np.testing.assert_allclose(np.sort(out.var(0)), [0.5, 0.5, 4 / 3, 4 / 3, 4 / 3], rtol=0.1)
    with pytest.raises(ValueError, match="the parts must have 5 numbers together, got 4"):
        fit_projection(vectors, 2, parts=((3, 1.0), (1, 1.0)))
