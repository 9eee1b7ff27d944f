from __future__ import annotations

import io
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, JpegImagePlugin

from dinoscope.sources.pixels.blocks import measure_blocks
from dinoscope.sources.pixels.decode import read_reduced
from dinoscope.sources.pixels.quality import LOSSLESS, jpeg_quality, measure_look, measure_looks, measure_sharpness
from tests.pictures import encoded, photo


def scene() -> Image.Image:
    return photo(16).resize((240, 240), Image.Resampling.NEAREST)


@pytest.mark.parametrize("quality", [25, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_tables(quality):
    opened = Image.open(io.BytesIO(encoded(photo(), "JPEG", quality=quality)))
    assert isinstance(opened, JpegImagePlugin.JpegImageFile)
    assert jpeg_quality(opened.quantization[0]) == pytest.approx(quality, abs=1)


def test_noise_and_blur_are_told_apart():
    sharp = np.asarray(scene())
    rough = sharp + np.random.default_rng(0).normal(0, 8, sharp.shape)
    noisy = measure_sharpness(rough.clip(0, 255).astype(np.uint8))
    blurred = measure_sharpness(np.asarray(scene().filter(ImageFilter.GaussianBlur(2))))
    clean = measure_sharpness(sharp)
    assert clean[0] < 1 < noisy[0]
    assert blurred[1] < 0.5 * clean[1]
    assert measure_sharpness(np.zeros((2, 2, 3), np.uint8)) == (0, 0)


def test_what_is_told_of_a_file(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encoded(scene().resize((2000, 2000)), "JPEG", quality=80))
    of_jpeg = read_reduced(tmp_path / "a.jpg", (10, 10)).quality
    assert of_jpeg is not None
    status = (tmp_path / "a.jpg").stat()
    assert (of_jpeg.bytes, of_jpeg.modified, of_jpeg.reduced) == (status.st_size, status.st_mtime_ns, 4)
    assert of_jpeg.quality == pytest.approx(80, abs=1)
    for form, quality in (("PNG", LOSSLESS), ("BMP", LOSSLESS), ("TIFF", LOSSLESS), ("GIF", 50), ("WEBP", 75)):
        told = read_reduced(encoded(scene(), form)).quality
        assert told is not None
        assert (told.quality, told.modified, told.reduced) == (quality, None, 1)
    handed = read_reduced(scene()).quality
    assert handed is not None
    assert (handed.quality, handed.bytes) == (None, None)


@pytest.mark.parametrize(("quality", "form"), [(50, "PNG"), (60, "BMP"), (75, "PNG"), (85, "TIFF"), (60, "JPEG")])
def test_a_poor_jpeg_is_known_in_any_file(quality, form):
    scenery = Image.effect_noise((320, 240), 60).filter(ImageFilter.GaussianBlur(2)).convert("RGB")
    poor = Image.open(io.BytesIO(encoded(scenery, "JPEG", quality=quality)))
    options = {"quality": 95} if form == "JPEG" else {}
    hidden, whole = (read_reduced(encoded(each, form, **options)).quality for each in (poor, scenery))
    assert hidden is not None
    assert whole is not None
    assert hidden.quality == pytest.approx(quality, abs=6)
    assert whole.quality == (pytest.approx(95, abs=1) if form == "JPEG" else LOSSLESS)


def test_grain_is_that_of_flat_places():
    chance = np.random.default_rng(0)
    slope = np.broadcast_to(np.linspace(60, 180, 240)[:, None, None], (240, 240, 3)).copy()
    slope[:, 120:] = chance.integers(0, 256, (240, 120, 3))
    grain = [
        measure_blocks((slope + chance.normal(0, sigma, slope.shape)).clip(0, 255).astype(np.uint8))[0]
        for sigma in (0, 4, 8)
    ]
    assert grain[0] < 0.5
    assert 1.5 < grain[1] < 2.6 < grain[2] < 7
    assert measure_blocks(np.zeros((7, 7, 3), np.uint8)) == (0, None)


@pytest.fixture
def blocks():
    """240 x 320 pixels with sharp edges."""
    generator = np.random.default_rng(1)
    return np.kron(generator.integers(0, 256, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)


def test_light_and_contrast_are_those_of_the_pixels(blocks):
    look = measure_look(blocks)
    light = blocks @ np.array([0.299, 0.587, 0.114])
    assert look.darkest == pytest.approx(np.percentile(light, 5), abs=3)
    assert look.lightest == pytest.approx(np.percentile(light, 99), abs=3)
    assert look.contrast == pytest.approx(light.std(), rel=0.05)
    assert measure_look(blocks // 8).lightest < 32


def test_percentiles_are_those_of_every_pixel():
    noise = np.random.default_rng(2).integers(0, 256, (61, 47, 3)).astype(np.uint8)  # few enough for all to count
    look, light = measure_look(noise), noise @ np.array([0.299, 0.587, 0.114])
    assert look.darkest == pytest.approx(np.percentile(light, 5), abs=1 / 16 + 1e-4)  # counted in eighths of a level
    assert look.lightest == pytest.approx(np.percentile(light, 99), abs=1 / 16 + 1e-4)
    green = noise[..., 1].astype(int)
    edges = np.abs(green[:-2, 1:-1] + green[2:, 1:-1] + green[1:-1, :-2] + green[1:-1, 2:] - 4 * green[1:-1, 1:-1])
    assert look.sharpness == pytest.approx(np.percentile(edges, 99) / light.std(), rel=1e-5)


def test_blur_takes_sharpness_away_and_light_does_not(blocks):
    sharp = measure_look(blocks).sharpness
    values = [
        measure_look(np.asarray(Image.fromarray(blocks).filter(ImageFilter.GaussianBlur(radius)))).sharpness
        for radius in (1, 2, 4)
    ]
    assert sorted([sharp, *values], reverse=True) == [sharp, *values]
    assert values[-1] < sharp / 10
    assert measure_look(blocks // 2).sharpness == pytest.approx(sharp, rel=0.1)


@pytest.mark.parametrize(("sides", "frame"), [((24, 24, 32, 32), 0.1), ((24, 24, 0, 0), 0), ((48, 24, 32, 64), 0.1)])
def test_a_frame_is_as_wide_as_its_thinnest_side(blocks, sides, frame):
    top, bottom, left, right = sides
    for part in (blocks[:top], blocks[240 - bottom :], blocks[:, :left], blocks[:, 320 - right :]):
        part[:] = (30, 90, 200)
    assert measure_look(blocks).frame == pytest.approx(frame, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1), (2, 50), (50, 1), (3, 3)])
def test_the_smallest_pictures_can_be_measured(shape):
    look = measure_look(np.full((*shape, 3), 77, np.uint8))
    assert (look.contrast, look.sharpness, look.frame) == (0, 0, 1)
    assert look.darkest == pytest.approx(77, abs=0.01)


def test_pictures_measured_together_are_told_as_each_by_itself():
    generator = np.random.default_rng(3)
    pictures = generator.integers(0, 256, (9, 28, 20, 3)).astype(np.uint8)
    pictures[3, :3], pictures[3, -4:], pictures[3, :, :2], pictures[3, :, -2:] = (9, 9, 9, 9)
    pictures[5] = 0
    together, alone = measure_looks(pictures), [measure_look(each) for each in pictures]
    assert [asdict(each) for each in together] == [pytest.approx(asdict(each), rel=1e-5) for each in alone]
    assert [each.frame for each in together] == [0, 0, 0, pytest.approx(0.1), 0, 1, 0, 0, 0]


def screen(form: str, side: int = 400) -> np.ndarray:
    """Lines of letters on an even ground, as a file of some form holds them."""
    page = Image.new("RGB", (side, side), (250, 250, 250))
    draw = ImageDraw.Draw(page)
    for line in range(10, side - 10, 18):
        draw.text((12, line), "even lines and busy ones take turns on every screen there is", (20, 20, 30))
    return read_reduced(encoded(page, form, **({"quality": 85} if form == "JPEG" else {}))).pixels


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_screen_is_ruled_and_a_photograph_is_not(form):
    assert measure_look(screen(form)).ruled > 0.3
    rough = np.random.default_rng(0).normal(0, 4, (400, 400, 3)) + np.asarray(scene().resize((400, 400)))
    assert measure_look(rough.clip(0, 255).astype(np.uint8)).ruled < 0.01
    assert measure_look(np.full((400, 400, 3), 200, np.uint8)).ruled == 0


def test_an_icon_is_no_screen_and_pictures_are_measured_together_as_each_alone():
    assert measure_look(screen("PNG", 90)).ruled == 0
    pictures = np.stack([screen("PNG"), screen("JPEG"), np.full((400, 400, 3), 9, np.uint8)])
    assert measure_looks(pictures) == [measure_look(each) for each in pictures]
