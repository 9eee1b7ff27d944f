from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from dinoscope.sources.pixels.decode import read_image
from tests.pictures import ADOBE_RGB, DISPLAY_P3, GREYS, PROPHOTO, SRGB, encoded, icc_profile, photo, repeated

RGB = np.random.default_rng(3).integers(60, 200, (16, 16, 3), dtype=np.uint8)


def in_srgb(pixels: np.ndarray, primaries: tuple[tuple[float, ...], ...], gamma: float) -> np.ndarray:
    """Convert by the definition: to light, to XYZ, to the light of sRGB's primaries, to its values."""
    light = (pixels / 255) ** gamma @ np.array(primaries) @ np.linalg.inv(np.array(SRGB))
    light = light.clip(0, 1)
    return np.asarray(255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))


@pytest.mark.parametrize(
    ("primaries", "gamma"),
    [(DISPLAY_P3, 2.2), (ADOBE_RGB, 563 / 256), (PROPHOTO, 1.8)],
    ids=["P3", "Adobe", "ProPhoto"],
)
@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("TIFF", {}), ("JPEG", {"quality": 100, "subsampling": 0}), ("WEBP", {"lossless": True})],
)
def test_colours_of_other_profiles_become_srgb(primaries, gamma, form, options):
    data = encoded(Image.fromarray(RGB), form, icc_profile=icc_profile(primaries, gamma), **options)
    off = np.abs(read_image(data) - in_srgb(RGB, primaries, gamma))
    assert off.mean() < (1.5 if form == "JPEG" else 0.6)
    assert np.abs(read_image(data).astype(int) - RGB).mean() > 3  # it makes a difference


def test_alpha_and_palettes_are_converted_too():
    profile = icc_profile(PROPHOTO, 1.8)
    clear = Image.fromarray(np.dstack([RGB, np.full((16, 16, 1), 255, np.uint8)]))
    expected = read_image(encoded(Image.fromarray(RGB), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(read_image(encoded(clear, "PNG", icc_profile=profile)), expected)
    few = Image.fromarray(RGB).quantize(16)
    of_few = read_image(encoded(few.convert("RGB"), "PNG", icc_profile=profile))
    np.testing.assert_array_equal(read_image(encoded(few, "PNG", icc_profile=profile)), of_few)


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        icc_profile(SRGB, 2.2, "sRGB IEC61966-2.1"),
        b"no profile at all",
        icc_profile(PROPHOTO, 1.8)[:200],
    ],
    ids=["sRGB", "named", "nonsense", "cut"],
)
def test_srgb_and_broken_profiles_change_nothing(profile):
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(RGB), "PNG", icc_profile=profile)), RGB)


def test_greys_stay_what_they_are():
    data = encoded(Image.fromarray(GREYS), "PNG", icc_profile=icc_profile(PROPHOTO, 1.8))
    np.testing.assert_array_equal(read_image(data), repeated(GREYS))


def test_a_picture_that_is_handed_over_is_not_changed():
    picture = photo()
    picture.info["icc_profile"] = icc_profile(PROPHOTO, 1.8)
    before = np.asarray(picture).copy()
    read_image(picture)
    np.testing.assert_array_equal(np.asarray(picture), before)
