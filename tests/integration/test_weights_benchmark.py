"""The pictures and the votes that the bundled weights are judged by."""

import numpy as np
import pytest

from benchmarks.composing import compose
from benchmarks.weights import knn_accuracy, unit

KINDS, GROUNDS, TIMES = 3, 4, 2


@pytest.fixture(scope="module")
def composed():
    """Discs, bars and frames, on photographs of one colour each."""
    y, x = np.mgrid[:28, :28] - 13.5
    masks = [np.hypot(x, y) < 9, abs(y) < 4, np.maximum(abs(x), abs(y)) > 9]
    things = np.stack([masks[i % KINDS] * 200 for i in range(12)]).astype(np.uint8)
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
    grounds = np.broadcast_to(colours[:, None, None], (GROUNDS, 64, 64, 3)).copy()
    return things, grounds, compose(things, np.arange(12) % KINDS, grounds, TIMES)


def test_every_kind_stands_on_every_ground_equally_often(composed):
    _, _, (pictures, kinds, grounds) = composed
    assert pictures.shape == (KINDS * GROUNDS * TIMES, 64, 64, 3)
    assert pictures.dtype == np.uint8
    pairs, counts = np.unique(np.stack([kinds, grounds]), axis=1, return_counts=True)
    assert pairs.shape[1] == KINDS * GROUNDS
    assert set(counts) == {TIMES}


def test_the_ground_shows_around_the_thing_and_not_through_it(composed):
    _, photographs, (pictures, kinds, grounds) = composed
    for picture, kind, ground in zip(pictures, kinds, grounds, strict=True):
        untouched = (picture == photographs[ground, 0, 0]).all(-1)
        # a disc, a bar and a frame cover 0.32, 0.29 and 0.59 of their own square, 0.36 to 0.64 of the picture
        least, most = {0: (0.75, 0.92), 1: (0.75, 0.92), 2: (0.55, 0.85)}[kind]
        assert least < untouched.mean() < most
        thing = picture[~untouched]
        assert np.median(thing, axis=0).max() <= 200  # the thing's own light, in no colour brighter than it was


def test_the_same_seed_draws_the_same_pictures(composed):
    things, grounds, (pictures, _, _) = composed
    kinds = np.arange(12) % KINDS
    assert np.array_equal(compose(things, kinds, grounds, TIMES)[0], pictures)
    assert not np.array_equal(compose(things, kinds, grounds, TIMES, seed=1)[0], pictures)


def test_an_image_does_not_vote_for_itself():
    vectors = unit(np.eye(4, dtype=np.float32)[[0, 0, 1, 1]] + np.float32(0.01))
    alone = np.arange(4)  # a label of its own each: only the image itself would be right
    assert knn_accuracy(vectors, alone, vectors, alone, k=1) == 0
    assert knn_accuracy(vectors, alone, vectors.copy(), alone, k=2) > 0
    pairs = np.array([0, 0, 1, 1])
    assert knn_accuracy(vectors, pairs, vectors, pairs, k=1) == 1
