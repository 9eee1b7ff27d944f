import numpy as np
import pytest
from PIL import Image

from dinoscope.sources.array import ArraySource
from dinoscope.sources.augmentation import AugmentedSource, augment
from dinoscope.sources.opening import open_source

GREY = np.full((60, 90, 3), 128, np.uint8)


def test_an_image_is_cropped_within_bounds_and_repeatably():
    shapes = np.asarray([augment(GREY, seed).shape for seed in range(200)])
    areas = shapes[:, 0] * shapes[:, 1] / (60 * 90)
    aspects = shapes[:, 1] / shapes[:, 0] / (90 / 60)
    assert 0.3 < areas.min() < 0.45  # an aspect that does not fit is cut, which takes a little more
    assert areas.max() <= 1
    assert 0.7 < aspects.min() < 0.85
    assert 1.2 < aspects.max() < 1.4
    np.testing.assert_array_equal(augment(GREY, 3), augment(GREY, 3))
    assert augment(GREY, (3, 1)).shape != augment(GREY, (3, 2)).shape


def test_half_of_the_images_are_mirrored():
    ramp = np.repeat(np.arange(90, dtype=np.uint8)[None, :, None], 60, axis=0).repeat(3, axis=2)
    mirrored = [bool(changed[0, 0, 0] > changed[0, -1, 0]) for changed in (augment(ramp, seed) for seed in range(200))]
    assert 0.4 < np.mean(mirrored) < 0.6


def test_the_light_changes():
    means = np.asarray([augment(GREY, seed).mean() for seed in range(100)]) / 128
    assert 0.6 <= means.min() < 0.7
    assert 1.3 < means.max() <= 1.4


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 200, 3), (2, 2, 3)])
def test_small_and_thin_images(shape):
    image = np.zeros(shape, np.uint8)
    for seed in range(20):
        changed = augment(image, seed)
        assert changed.ndim == 3
        assert changed.dtype == np.uint8
        assert all(1 <= now <= before for now, before in zip(changed.shape, shape, strict=True))


def test_a_source_of_changed_images(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 20, 24, 3), dtype=np.uint8)
    plain = ArraySource(pixels, ["a", "b", "c"])
    changed = AugmentedSource(plain, seed=7)
    assert changed.items == plain.items
    np.testing.assert_array_equal(changed.load(2), augment(pixels[2], (7, 2)))
    np.testing.assert_array_equal(changed.load_reduced(2, (8, 8)).pixels, changed.load(2))
    Image.fromarray(np.full((1600, 2400, 3), 90, np.uint8)).save(tmp_path / "large.jpg")
    reduced = AugmentedSource(open_source(tmp_path)).load_reduced(0, (32, 32))
    assert 32 <= min(reduced.pixels.shape[:2]) < 1000  # decoded small, and still enough behind the crop
