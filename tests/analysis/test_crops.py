"""Crops are found where they are, and pictures of other things are not."""

import numpy as np
import pytest
from PIL import Image

from dinoscope.analysis.cleaning.crops import CROPPED, find_crops, fit_part, propose_crops


def scene(seed, side=96):
    """A grey picture with shapes of all sizes, as a photograph has."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(Image.fromarray(rng.integers(0, 255, (n, n), np.uint8)).resize((side, side), 3), float) / n**0.5
        for n in (3, 6, 12, 24)
    ]
    total = np.sum(layers, axis=0)
    return ((total - total.min()) / np.ptp(total) * 255).astype(np.uint8)


def cropped(picture, share, seed=0):
    """Return a part of a picture with this share of its area, scaled."""
    side = round(len(picture) * share**0.5)
    top, left = np.random.default_rng(seed).integers(0, len(picture) - side + 1, 2)
    return np.asarray(Image.fromarray(picture[top : top + side, left : left + side]).resize((80, 80), 2))


@pytest.mark.parametrize("share", [0.85, 0.75, 0.6, 0.5])
def test_a_part_fits_its_whole(share):
    for seed in range(5):
        score, found = fit_part(cropped(scene(seed), share, seed), scene(seed))
        assert score >= CROPPED
        assert found == pytest.approx(share, abs=0.08)


def test_light_and_contrast_do_not_matter():
    part = cropped(scene(1), 0.6) * 0.5 + 60
    assert fit_part(part.astype(np.uint8), scene(1))[0] >= CROPPED


def test_other_pictures_do_not_fit():
    assert max(fit_part(cropped(scene(a), 0.6), scene(b))[0] for a in range(5) for b in range(5, 9)) < CROPPED
    even = np.full((40, 40), 128, np.uint8)
    assert fit_part(even, scene(0)) == (0.0, 0.0)
    assert fit_part(scene(0), even)[0] < CROPPED
    assert fit_part(np.full((4, 90), 7, np.uint8), scene(0)) == (0.0, 0.0)  # too small at every size


def test_candidates_are_the_most_similar_as_a_whole_or_in_a_window():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    windows = rng.normal(size=(50, 9, 8)).astype(np.float32)
    windows /= np.linalg.norm(windows, axis=2, keepdims=True)
    similar = np.maximum(vectors @ vectors.T, np.einsum("qd,nwd->qnw", vectors, windows).max(2))
    np.fill_diagonal(similar, -np.inf)
    expected = np.argsort(-similar, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(propose_crops(vectors, windows.astype(np.float32), 4), expected)
    assert propose_crops(vectors[:3], windows[:3]).shape == (3, 2)


def test_each_pair_is_told_once_with_the_part_first():
    pictures = [scene(0), cropped(scene(0), 0.6), scene(1), scene(2)]
    candidates = np.asarray([[at for at in range(4) if at != own] for own in range(4)])
    done = []
    found = find_crops(pictures.__getitem__, candidates, on_progress=lambda at, of: done.append((at, of)))
    assert (found.parts.tolist(), found.wholes.tolist()) == ([1], [0])
    assert found.shares[0] == pytest.approx(0.6, abs=0.08)
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    none = find_crops(pictures.__getitem__, candidates[:, :0])
    assert (none.parts.tolist(), none.scores.tolist()) == ([], [])
