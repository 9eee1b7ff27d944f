"""A map that takes long says how far it is, is the same for that, and can be stopped."""

from __future__ import annotations

import numpy as np
import pytest

from dinoscope.analysis.maps.projection import tsne


class Enough(Exception):
    """Nobody waits for it."""


def test_tsne_tells_its_steps_and_stops_when_it_is_told_to():
    vectors = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    told: list[tuple[int, int]] = []
    followed = tsne(vectors, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 750) for done in range(25, 751, 25)]
    assert np.array_equal(followed, tsne(vectors))

    def stop(done, total):
        told.append((done, total))
        raise Enough

    told.clear()
    with pytest.raises(Enough):
        tsne(vectors, on_progress=stop)
    assert told == [(25, 750)]
