from __future__ import annotations

import base64
import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import ImageError
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.names import describe_endings
from dinoscope.sources.pixels.decode import Decoding, read_image, read_reduced
from dinoscope.sources.pixels.formats import HEIC, READ, held_whole, identify, pixels_at_once
from tests.pictures import corners, encoded, photo


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


# --- formats ----------------------------------------------------------------------------------------------------------

TELEPHONE = (  # 48 x 64, red above blue; stored lying
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRp"
    "bG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAACQAAgAAAAACEAABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABo"
    "dmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA"
    "/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMD"
    "IAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAMAAA"
    "AAEAAAAAAAAAAv////AAAAACAAAAEHBpeGkAAAAAAwgICAAAAAlpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAA"
    "AAAAAAAOY2RzYwACAAEAAQAAAFBtZGF0AAAAICgBrxmA70mlv//cOZ/1Ni/4Xshf/6xod84un+4dI21vAAAABkV4aWYAAE1NACoAAAAI"
    "AAEBEgADAAAAAQAGAAAAAAAA"
)


def test_avif_is_read():
    data = encoded(Image.new("RGB", (40, 30), (200, 40, 40)), "AVIF", quality=90)
    assert np.abs(read_image(data).astype(int) - (200, 40, 40)).max() < 8
    with pytest.raises(ImageError, match="has 40 x 30 pixels"):
        read_image(data, Decoding(max_pixels=1000))
    for length in (20, 100, len(data) // 2):
        with pytest.raises(ImageError):
            read_image(data[:length])


def test_a_film_is_no_image():
    with pytest.raises(ImageError, match=f"is not a {READ} image"):
        read_image(b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(40))


@pytest.mark.skipif(HEIC, reason="pi-heif is installed")
def test_heic_says_which_extra_reads_it():
    with pytest.raises(ImageError, match=r"is a HEIC image, which an extra reads: pip install 'dinoscope\[heic\]'"):
        read_image(base64.b64decode(TELEPHONE))
    assert describe_endings(Counter({".heic": 3})) == "3 .heic; pip install 'dinoscope[heic]' reads HEIC"


@pytest.mark.skipif(not HEIC, reason="pi-heif is not installed")
def test_heic_is_read_upright(tmp_path):
    data = base64.b64decode(TELEPHONE)
    pixels = read_image(data).astype(int)
    assert pixels.shape == (64, 48, 3)
    assert np.abs(pixels[:28] - (200, 40, 40)).max() < 12
    assert np.abs(pixels[36:] - (40, 40, 200)).max() < 12
    (tmp_path / "a.heic").write_bytes(data)
    assert FolderSource(tmp_path).load(0).shape == (64, 48, 3)
    with pytest.raises(ImageError, match="has 48 x 64 pixels"):
        read_image(data, Decoding(max_pixels=1000))


def test_other_endings_of_jpeg_and_avif_are_images(tmp_path):
    for name, form in (("a.jfif", "JPEG"), ("b.JPE", "JPEG"), ("c.avif", "AVIF")):
        (tmp_path / name).write_bytes(encoded(photo(), form))
    assert [item.id for item in FolderSource(tmp_path).items] == ["a.jfif", "b.JPE", "c.avif"]


# --- size and end -----------------------------------------------------------------------------------------------------


def test_a_jpeg_of_108_megapixels_is_read_where_less_will_do():
    data = encoded(Image.new("L", (12_000, 9_000), 90), "JPEG")
    image = read_reduced(data, (256, 256))
    assert (image.size, image.pixels.shape, image.pixels[0, 0, 0]) == ((12_000, 9_000), (1_125, 1_500, 3), 90)
    assert pixels_at_once(identify(io.BytesIO(data))) == 12_000 * 9_000 // 64
    with pytest.raises(ImageError, match=r"12000 x 9000 pixels, expected at most 100 million \(--max-megapixels\)"):
        read_image(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
@pytest.mark.parametrize("least", [None, (10, 10)])
def test_a_jpeg_without_the_mark_of_its_end_is_read(options, least):
    picture = photo().resize((403, 301), Image.Resampling.BICUBIC)
    data = encoded(picture, "JPEG", **options)
    for lacking in (1, 2):
        image = read_reduced(data[:-lacking], least)
        assert image.note == "its last bytes are missing; the picture is whole"
        np.testing.assert_array_equal(image.pixels, read_reduced(data, least).pixels)
    for lacking in (3, 5, 10, 100, len(data) // 2):
        with pytest.raises(ImageError, match="truncated"):
            read_reduced(data[:-lacking], least)
    assert read_reduced(data, least).note is None


def test_what_is_wrong_and_what_is_left_out_is_told(tmp_path, run):
    folder, path = tmp_path / "pictures", tmp_path / "made"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(encoded(photo(), "JPEG"))
    (folder / "b.jpg").write_bytes(encoded(photo(), "JPEG")[:-2])
    for name in ("c.raw", "d.RAW", "e.psd"):
        (folder / name).write_bytes(b"x")
    code, _, said = run("embed", folder, "-o", path)
    assert code == 0
    assert "skipped 3 files that dinoscope does not read: 2 .raw, 1 .psd" in said
    assert "b.jpg: its last bytes are missing; the picture is whole" in said
    assert Collection(path).left_out == {".raw": 2, ".psd": 1}
    assert "2 .raw, 1 .psd" in run("info", path)[1]
    assert '".raw": 2' in run("info", path, "--json")[1]
    assert '".raw": 2' in run("embed", folder, "-o", path, "--json")[1]


def test_a_larger_limit_tries_again(tmp_path, run):
    (tmp_path / "pictures").mkdir()
    corners().save(tmp_path / "pictures" / "a.png")
    Image.new("1", (1_200, 1_000)).save(tmp_path / "pictures" / "b.png")
    embed = ("embed", tmp_path / "pictures", "-o", tmp_path / "made", "--max-megapixels")
    assert "b.png: has 1200 x 1000 pixels, expected at most 1 million (--max-megapixels)" in run(*embed, 1)[2]
    assert len(Collection(tmp_path / "made")) == 1
    run(*embed, 2)
    assert len(Collection(tmp_path / "made")) == 2
