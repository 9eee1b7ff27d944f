from __future__ import annotations

import io

import pytest
from PIL import Image

from dinoscope.errors import ImageError
from dinoscope.sources.decode import read_image, read_reduced
from dinoscope.sources.pixels.formats import held_whole, identify
from tests.pictures import encoded, photo


def with_scans(data: bytes, more: int) -> bytes:
    """Repeat the last scan of a JPEG."""
    last = data[data.rindex(b"\xff\xc4", 0, data.rindex(b"\xff\xda")) : -2]
    return data[:-2] + more * last + b"\xff\xd9"


@pytest.mark.parametrize("least", [None, (10, 10)])
def test_scans_are_counted_before_a_jpeg_is_decoded(least):
    data = encoded(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    assert read_reduced(with_scans(data, 20), least).size == (2000, 2000)
    with pytest.raises(ImageError, match=r"^has 12,006 scans, expected at most 500 of 2000 x 2000 pixels$"):
        read_reduced(with_scans(data, 12_000), least)


def test_a_small_picture_may_have_many_scans_and_a_thumbnail_in_a_photograph_is_none_of_its_own():
    data = encoded(photo(), "JPEG", progressive=True)
    assert read_image(with_scans(data, 500)).shape == (64, 64, 3)
    inside = b"\xff\xe5" + (60_002).to_bytes(2) + 30_000 * b"\xff\xda"
    whole = encoded(photo(), "JPEG")
    assert read_image(whole[:2] + inside + whole[2:]).shape == (64, 64, 3)


def test_scans_of_single_colours_are_held_like_those_of_a_progressive_jpeg():
    assert not held_whole(identify(io.BytesIO(encoded(photo(), "JPEG"))))
    assert held_whole(identify(io.BytesIO(encoded(photo(), "JPEG", progressive=True))))
    data = bytearray(encoded(photo(), "JPEG"))
    data[data.index(b"\xff\xda") + 4] = 1
    assert held_whole(identify(io.BytesIO(bytes(data))))
