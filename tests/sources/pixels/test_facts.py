"""What a file says of its photograph, and that damaged notes cost nothing but themselves."""

import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.sources.pixels.decode import read_reduced
from dinoscope.sources.pixels.facts import FileFacts
from tests.pictures import encoded, photo, photograph

WHOLE: dict[str, Any] = {"lens": "EF 50mm", "focal_length": 50.0, "exposure": 0.004, "f_number": 2.8, "iso": 400}


def facts(content):
    found = read_reduced(content).facts
    assert found is not None
    return found


def test_all_that_a_camera_writes():
    found = facts(photograph(photo(), "2024:05:17 12:30:00", ("Nikon", "D750"), (-33.5, 151.25), **WHOLE))
    assert (found.format, found.date, found.camera) == ("JPEG", 1715949000, "Nikon D750")
    assert (found.lens, found.iso) == ("EF 50mm", 400)
    assert (found.focal_length, found.exposure, found.f_number) == pytest.approx((50, 0.004, 2.8))
    assert (found.latitude, found.longitude) == pytest.approx((-33.5, 151.25))


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_files_without_a_camera_have_their_format(form):
    assert facts(encoded(photo(), form)) == FileFacts(form)


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_other_formats_hold_exif_too(form):
    exif = Image.Exif()
    exif[0x0110], exif[0x0132] = "X100", "2020:01:02 03:04:05"
    found = facts(encoded(photo(), form, exif=exif))
    assert (found.format, found.camera, found.date) == (form, "X100", 1577934245)


def test_pixels_have_no_file():
    assert read_reduced(np.zeros((4, 4, 3), np.uint8)).facts is None
    assert read_reduced(photo()).facts is None


def test_a_large_picture_is_read_at_a_part_of_its_size_and_says_the_same():
    large = photo(64).resize((2048, 1024))
    found = read_reduced(photograph(large, "2024:05:17 12:30:00", **WHOLE), (64, 64))
    assert found.pixels.shape[:2] == (128, 256)
    assert found.size == (2048, 1024)
    assert found.facts is not None
    assert (found.facts.date, found.facts.iso) == (1715949000, 400)


@pytest.mark.parametrize(
    ("said", "camera"),
    [
        (("Canon", "Canon EOS 5D"), "Canon EOS 5D"),
        (("NIKON CORPORATION", "NIKON D70"), "NIKON D70"),
        (("SONY", "ILCE-7\0\0"), "SONY ILCE-7"),
        (("", "X"), "X"),
        (("Apple", ""), "Apple"),
        (("\0", " "), None),
        (("Bad\nname", "A\t1"), "Bad name A 1"),
    ],
)
def test_cameras_have_one_name(said, camera):
    assert facts(photograph(photo(), camera=said)).camera == camera


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "2024:13:01 00:00:00", "yesterday", "", "2024-05-17 12:30:00"])
def test_impossible_dates_are_none(date):
    assert facts(photograph(photo(), date)).date is None


def test_impossible_numbers_and_places_are_none():
    found = facts(photograph(photo(), place=(95.0, 200.0), iso=0, exposure=0.0, f_number=2.0))
    assert (found.latitude, found.longitude, found.iso, found.exposure) == (None, None, None, None)
    assert found.f_number == 2


def test_persons_and_serial_numbers_are_not_read():
    exif = Image.Exif()
    exif[0x013B], exif[0x8298], exif[0x0110] = "Jane Doe", "Jane Doe", "X100"
    within = exif.get_ifd(0x8769)
    within |= {0xA430: "Jane Doe", 0xA431: "SN12345", 0xA435: "SN12345"}
    exif[0x8769] = within
    found = facts(encoded(photo(), "JPEG", exif=exif))
    assert found.camera == "X100"
    assert "Jane" not in repr(found)
    assert "SN12345" not in repr(found)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's remarks on them
@pytest.mark.parametrize("seed", range(150))
def test_damaged_notes_do_not_spoil_the_picture(seed):
    noise = random.Random(seed)
    whole = photograph(photo(16), "2024:05:17 12:30:00", ("Nikon", "D750"), (-33.5, 151.25), **WHOLE)
    start = whole.index(b"Exif\0\0") + 6
    length = int.from_bytes(whole[start - 8 : start - 6], "big")
    content = bytearray(whole)
    for _ in range(noise.randrange(1, 20)):
        content[start + noise.randrange(length - 8)] = noise.randrange(256)
    found = read_reduced(bytes(content))
    assert sorted(found.size) == [16, 16]
    assert found.facts is not None
    for name in FileFacts.__slots__:
        value = getattr(found.facts, name)
        assert value is None or isinstance(value, str | int) or np.isfinite(value)
