"""A map that takes long says how far it is, is the same for that, and can be stopped."""

from __future__ import annotations

import numpy as np
import pytest

from dinoscope.analysis.maps.projection import tsne, umap


class Enough(Exception):
    """Nobody waits for it."""


@pytest.mark.parametrize(("make", "steps", "every"), [(tsne, 750, 25), (umap, 500, 1)])
def test_a_map_tells_its_steps_and_stops_when_it_is_told_to(make, steps, every):
    vectors = np.random.default_rng(0).standard_normal((40, 8)).astype(np.float32)
    told: list[tuple[int, int]] = []
    followed = make(vectors, on_progress=lambda done, total: told.append((done, total)))
    assert told == [(done, steps) for done in range(every, steps + 1, every)]
    assert np.array_equal(followed, make(vectors))

    def stop(done, total):
        told.append((done, total))
        raise Enough

    told.clear()
    with pytest.raises(Enough):
        make(vectors, on_progress=stop)
    assert told == [(every, steps)]
