from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from dinoscope.errors import ImageError, InputError, UnreadableError
from dinoscope.sources.pixels import decode, rgb
from dinoscope.sources.pixels.decode import Decoding, ReducedImage, read_image, read_reduced, thumbnail
from dinoscope.sources.pixels.formats import READ
from dinoscope.sources.pixels.memory import Memory
from tests.pictures import BLUE, GREEN, GREYS, RED, WHITE, bare_png, chunk, corners, encoded, photo, repeated

# --- decoding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF"])
def test_every_grey_is_itself_in_files(form):
    pixels = read_image(encoded(Image.fromarray(GREYS), form))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, repeated(GREYS))


def test_every_grey_is_itself_in_lossless_webp_arrays_and_pillow_images():
    grey = Image.fromarray(GREYS)
    for source in (encoded(grey, "WEBP", lossless=True), GREYS, GREYS[:, :, None], repeated(GREYS), grey):
        np.testing.assert_array_equal(read_image(source), repeated(GREYS))


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("GIF", {})]
)
def test_lossless_colours_are_exact(form, options):
    np.testing.assert_array_equal(read_image(encoded(corners(), form, **options)), np.asarray(corners()))


def test_jpeg_is_what_pillow_decodes():
    data = encoded(photo(), "JPEG", quality=90)
    np.testing.assert_array_equal(read_image(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied_once(form, orientation):
    upright = np.asarray(corners())
    stored = {  # how the upright picture lies in the file, by the definition of tag 0x0112
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), form, exif=exif, **options)
    np.testing.assert_array_equal(read_image(data), upright)


def test_exif_orientation_of_a_jpeg():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_image(encoded(Image.new("RGB", (30, 20)), "JPEG", exif=exif)).shape == (30, 20, 3)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_impossible_orientation_is_ignored(value):
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(read_image(encoded(corners(), "PNG", exif=exif)), np.asarray(corners()))


def test_alpha_lies_on_white():
    picture = Image.new("RGBA", (3, 1))
    picture.putdata([(255, 0, 0, 255), (255, 0, 0, 128), (255, 0, 0, 0)])
    expected = [[RED, (255, 127, 127), WHITE]]
    for source in (encoded(picture, "PNG"), encoded(picture, "TIFF"), picture, np.asarray(picture)):
        np.testing.assert_array_equal(read_image(source), expected)
    grey = Image.new("LA", (2, 1))
    grey.putdata([(10, 255), (10, 0)])
    np.testing.assert_array_equal(read_image(encoded(grey, "PNG")), [[(10, 10, 10), WHITE]])
    np.testing.assert_array_equal(read_image(picture.convert("PA"))[0, [0, 2]], [RED, WHITE])


def test_palettes_with_and_without_transparency():
    picture = Image.new("P", (3, 1))
    picture.putpalette([*RED, *GREEN, *BLUE])
    picture.putdata([0, 1, 2])
    for form in ("PNG", "GIF", "BMP"):
        np.testing.assert_array_equal(read_image(encoded(picture, form)), [[RED, GREEN, BLUE]])
    for form in ("PNG", "GIF"):
        np.testing.assert_array_equal(read_image(encoded(picture, form, transparency=1)), [[RED, WHITE, BLUE]])
    half = encoded(picture, "PNG", transparency=bytes([0, 128, 255]))
    np.testing.assert_array_equal(read_image(half), [[WHITE, (127, 255, 127), BLUE]])


def test_a_transparent_colour_of_grey_and_rgb_png():
    grey = encoded(Image.fromarray(np.array([[0, 7, 9]], np.uint8)), "PNG", transparency=7)
    np.testing.assert_array_equal(read_image(grey)[0, :, 0], [0, 255, 9])
    np.testing.assert_array_equal(read_image(encoded(corners(), "PNG", transparency=RED))[0, 0], WHITE)
    greys = b"\0" + struct.pack(">HHH", 0, 7 * 257, 9 * 257)
    header = struct.pack(">IIBBBBB", 3, 1, 16, 0, 0, 0, 0)
    deep = [(b"IHDR", header), (b"tRNS", struct.pack(">H", 7 * 257)), (b"IDAT", zlib.compress(greys)), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in deep)
    np.testing.assert_array_equal(read_image(data)[0, :, 0], [0, 255, 9])


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_greys_are_scaled_not_clipped(form):
    wide = GREYS.astype(np.uint16) * 257
    np.testing.assert_array_equal(read_image(encoded(Image.fromarray(wide), form)), repeated(GREYS))


def test_every_16_bit_value_is_rounded_to_the_nearest():
    wide = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = repeated(np.array([(value + 128) // 257 for value in range(65536)]).reshape(256, 256))
    np.testing.assert_array_equal(read_image(wide), expected)
    np.testing.assert_array_equal(read_image(wide.astype(">u2")), expected)
    np.testing.assert_array_equal(read_image(Image.fromarray(wide)), expected)
    np.testing.assert_array_equal(read_image(Image.fromarray(wide.astype(np.int32))), expected)


def test_big_endian_16_bit_tiff():
    tags = [(256, 3, 1, 2 << 16), (257, 3, 1, 1 << 16), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16)]
    tags += [(262, 3, 1, 1 << 16), (273, 4, 1, 8), (277, 3, 1, 1 << 16), (278, 3, 1, 1 << 16), (279, 4, 1, 4)]
    entries = b"".join(struct.pack(">HHII", *tag) for tag in tags)
    data = b"MM\0*" + struct.pack(">I", 12) + struct.pack(">HH", 257, 65535)
    data += struct.pack(">H", len(tags)) + entries + bytes(4)
    np.testing.assert_array_equal(read_image(data)[0, :, 0], [1, 255])


def test_float_tiff_in_0_to_1_is_scaled_and_any_other_range_refused():
    scaled = Image.fromarray(GREYS.astype(np.float32) / 255)
    np.testing.assert_array_equal(read_image(encoded(scaled, "TIFF")), repeated(GREYS))
    with pytest.raises(ImageError, match=r"float pixels must lie in 0\.\.1, got 0\.\.255"):
        read_image(encoded(Image.fromarray(GREYS.astype(np.float32)), "TIFF"))


def test_one_bit_and_other_colour_spaces():
    np.testing.assert_array_equal(
        read_image(encoded(Image.fromarray(GREYS > 127), "PNG")), repeated((GREYS > 127) * np.uint8(255))
    )
    for mode in ("CMYK", "YCbCr", "HSV"):
        assert np.abs(read_image(corners().convert(mode)).astype(int) - np.asarray(corners())).max() <= 2
    lab = corners().convert("LAB")
    assert (
        np.abs(read_image(encoded(lab, "TIFF")).astype(int) - np.asarray(corners())).max() <= 25
    )  # 8-bit Lab is coarse


def test_cmyk_jpeg_is_not_a_negative():
    for colour in (RED, (10, 200, 30), WHITE, (0, 0, 0)):
        data = encoded(Image.new("RGB", (16, 16), colour).convert("CMYK"), "JPEG", quality=95)
        assert np.abs(read_image(data)[8, 8].astype(int) - colour).max() <= 6


@pytest.mark.parametrize(
    ("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {"default_image": False})]
)
def test_the_first_frame_of_several(form, options):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN, BLUE)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(read_image(data), np.full((8, 8, 3), RED))


# --- bad images -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_cut_short_at_any_place_is_one_kind_of_error(form):
    data = encoded(photo(), form)
    for length in (2, 5, 12, 30, len(data) // 3, len(data) * 3 // 4):
        with pytest.raises(ImageError):
            read_image(data[:length])


def test_the_reason_of_a_truncated_file():
    with pytest.raises(ImageError, match=r"^damaged: .*truncated"):
        read_image(encoded(photo(), "JPEG")[:2000])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_bytes_never_raise_anything_else(form):
    data, random = encoded(photo(24), form), np.random.default_rng(1)
    for _ in range(150):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[random.integers(0, min(len(data), 400), 6)] = random.integers(0, 256, 6)
        with suppress(ImageError):
            assert read_image(damaged.tobytes()).ndim == 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"I am no picture, only text.", f"is not a {READ} image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is not a JPEG"),
        (bare_png(0, 0, zlib.compress(b"")), "damaged: no pixels"),
        (bare_png(0, 5, zlib.compress(b"")), "damaged: no pixels"),
        (bare_png(60_000, 60_000, b"x"), "has 60000 x 60000 pixels, expected at most 100 million"),
        (bare_png(10_000, 9_500, b"x"), "^damaged: "),  # allowed, so that decoding begins; Pillow would warn of it
    ],
)
def test_reasons(data, reason):
    with pytest.raises(ImageError, match=reason):
        read_image(data)


def test_a_bomb_costs_no_memory_and_pillows_own_limit_stays():
    row = zlib.compressobj(9)
    packed = b"".join(row.compress(bytes(7501)) for _ in range(4000)) + row.flush()  # 1 bit a pixel, 60,000 wide
    limit = Image.MAX_IMAGE_PIXELS
    tracemalloc.start()
    with pytest.raises(ImageError, match="60000 x 60000"):
        read_image(bare_png(60_000, 60_000, packed, bits=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert limit == Image.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match="20000 x 10000"):
        read_image(Image.new("1", (20_000, 10_000)))


def test_90_to_100_million_pixels_are_read_without_a_warning():
    data = encoded(Image.new("1", (9_500, 9_500), 1), "PNG")
    assert read_image(data).shape == (9_500, 9_500, 3)


def test_a_webp_may_have_three_quarters_of_the_pixels():
    """Its decoder holds three pictures beside the one that it gives."""
    data, how = encoded(photo(), "WEBP"), Decoding(max_pixels=4096)
    with pytest.raises(UnreadableError, match=r"has 64 x 64 pixels, expected at most 0.003072 million of a WebP image"):
        read_image(data, how)
    assert read_image(encoded(photo(), "PNG"), how).shape == (64, 64, 3)
    assert read_image(encoded(photo().crop((0, 0, 64, 48)), "WEBP"), how).shape == (48, 64, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "I;16", "F", "CMYK"])
def test_a_large_picture_is_converted_in_strips_and_looks_the_same(monkeypatch, mode, orientation):
    grey = np.arange(64 * 48).reshape(48, 64)
    of_mode = {"I;16": grey.astype(np.uint16) * 20, "F": (grey / grey.max()).astype(np.float32)}
    picture = Image.fromarray(of_mode[mode]) if mode in of_mode else photo().crop((0, 0, 64, 48)).convert(mode)
    if mode in ("RGBA", "LA"):
        picture.putalpha(Image.fromarray((grey % 256).astype(np.uint8)))
    picture.getexif()[0x0112] = orientation
    whole = read_image(picture)
    monkeypatch.setattr(rgb, "_STRIP", 64 * 7)
    np.testing.assert_array_equal(read_image(picture), whole)
    assert whole.std() > 20


@pytest.mark.stress
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.parametrize(("form", "mode"), [("PNG", "I;16"), ("TIFF", "F"), ("PNG", "RGBA"), ("WEBP", "RGBA")])
def test_the_largest_pictures_take_less_than_1500_megabytes(tmp_path, form, mode):
    side = 8_600 if form == "WEBP" else 10_000
    fast = {"lossless": True, "method": 0, "quality": 0} if form == "WEBP" else {"compress_level": 1}
    path, alpha = tmp_path / "large", Image.linear_gradient("L").resize((side, side))
    deep = {"I;16": np.uint16, "F": np.float32}
    picture = Image.fromarray(np.asarray(alpha, deep[mode])) if mode in deep else Image.merge("RGBA", [alpha] * 4)
    picture.save(path, form, **fast)
    code = (
        "import sys; from tests.fuzzing import peak; from dinoscope.sources.pixels.decode import Decoding, read_image"
    )
    code += "; assert read_image(sys.argv[1], Decoding((0, 255))).ndim == 3; print(peak())"
    told = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout
    assert int(told) < 1500


def test_only_one_large_image_is_decoded_at_a_time(monkeypatch):
    monkeypatch.setattr(decode, "decoders", Memory(10_000, large=100))
    running, most = 0, 0

    def load(self):
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1

    monkeypatch.setattr(Image.Image, "load", load)
    threads = [threading.Thread(target=read_image, args=(Image.new("RGB", (20, 20)),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_files_that_cannot_be_opened(tmp_path, monkeypatch):
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (("folder.png", "is a directory"), ("pipe.png", "is not a regular file")):
        with pytest.raises(ImageError, match=reason) as caught:
            read_image(tmp_path / name)
        assert not isinstance(caught.value, UnreadableError)
    with pytest.raises(UnreadableError, match="cannot be read: No such file"):
        read_image(tmp_path / "gone.png")
    (tmp_path / "a.png").write_bytes(encoded(corners(), "PNG"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(UnreadableError, match=r"^cannot be read: Permission denied$"):
        read_image(tmp_path / "a.png")


def test_no_memory_is_an_image_error(monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(decode, "_decode", fail)
    with pytest.raises(UnreadableError, match="more memory than there was"):  # it may be there next time
        read_image(corners())


def test_read_image_refuses_other_types():
    with pytest.raises(InputError, match="expected a path, bytes, a Pillow image or an array, got int"):
        read_image(3)  # type: ignore[arg-type]


# --- decoding at reduced size -----------------------------------------------------------------------------------------


def jpeg(width: int, height: int, *, orientation: int = 1, mode: str = "RGB", **options) -> bytes:
    """A large JPEG of waves that any scaling keeps."""
    y, x = np.ogrid[:height, :width]
    waves = 127 + 60 * np.sin(x / 90) + 60 * np.cos(y / 70)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(repeated(waves.astype(np.uint8))).convert(mode)
    return encoded(image, "JPEG", quality=95, exif=exif, **options)


@pytest.mark.parametrize(
    ("least", "shape"),
    [
        ((1000, 1000), (1000, 1600, 3)),
        ((501, 501), (1000, 1600, 3)),
        ((500, 500), (500, 800, 3)),
        ((0, 801), (1000, 1600, 3)),
        ((0, 800), (500, 800, 3)),
        ((251, 251), (500, 800, 3)),
        ((250, 400), (250, 400, 3)),
        ((10, 10), (250, 400, 3)),  # a thumbnail needs 256
    ],
)
def test_a_jpeg_is_reduced_no_further_than_what_must_be_left(least, shape):
    image = read_reduced(jpeg(1600, 1000), least)
    assert image.pixels.shape == shape
    assert image.size == (1600, 1000)


def test_nothing_is_reduced_unless_asked():
    data = jpeg(1600, 1000)
    assert read_image(data).shape == (1000, 1600, 3)
    np.testing.assert_array_equal(read_reduced(data).pixels, read_image(data))
    assert read_reduced(data).quality is not None
    bare = read_reduced(data, measured=False)
    assert (bare.quality, bare.facts, bare.content) == (None, None, read_reduced(data).content)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_reduced_jpeg_is_the_mean_of_its_squares(factor):
    data = jpeg(2400, 2400)
    reduced = read_reduced(data, (2400 // factor, 2400 // factor)).pixels
    whole = read_image(data).reshape(2400 // factor, factor, 2400 // factor, factor, 3).mean((1, 3))
    assert np.abs(reduced - whole).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_is_reduced_and_upright(orientation):
    data = jpeg(1600, 800, orientation=orientation)
    reduced, whole = read_reduced(data, (200, 200)), read_image(data)
    assert reduced.size == (whole.shape[1], whole.shape[0]) == ((800, 1600) if orientation > 4 else (1600, 800))
    assert np.abs(reduced.pixels.astype(int) - whole[2::4, 2::4]).max() <= 8


def test_an_uneven_jpeg_is_reduced_unless_it_is_turned():
    """A pixel that stands for less than the others must stay in the last row or column."""
    assert read_reduced(jpeg(1606, 1001), (10, 10)).pixels.shape == (251, 402, 3)
    assert read_reduced(jpeg(1606, 1001, orientation=3), (10, 10)).pixels.shape == (1001, 1606, 3)
    assert read_reduced(jpeg(1606, 1002, orientation=3), (10, 10)).pixels.shape == (501, 803, 3)


@pytest.mark.parametrize(("width", "shape"), [(1, (6000, 1, 3)), (3, (3000, 2, 3)), (9, (750, 2, 3))])
def test_strips_are_reduced_as_far_as_they_are_wide(width, shape):
    image = read_reduced(jpeg(width, 6000), (0, 10))
    assert (image.pixels.shape, image.size) == (shape, (width, 6000))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_jpegs_of_other_colours_are_reduced(mode, options):
    data = jpeg(1600, 1600, mode=mode, **options)
    reduced, whole = read_reduced(data, (400, 400)).pixels, read_image(data)
    assert reduced.shape == (400, 400, 3)
    assert np.abs(reduced - whole.reshape(400, 4, 400, 4, 3).mean((1, 3))).max() <= 3


def test_the_first_picture_of_a_multi_picture_jpeg_is_reduced():
    frames = [Image.new("RGB", (1600, 1600), colour) for colour in (RED, BLUE)]
    image = read_reduced(encoded(frames[0], "MPO", save_all=True, append_images=frames[1:]), (10, 10))
    assert image.pixels.shape == (400, 400, 3)
    assert np.abs(image.pixels.astype(int) - RED).max() <= 3


@pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_other_forms_are_never_reduced(form):
    picture = Image.new("RGB", (900, 600), RED)
    image = read_reduced(encoded(picture, form), (10, 10))
    assert isinstance(image, ReducedImage)
    assert (image.pixels.shape, image.size) == ((600, 900, 3), (900, 600))


def test_bad_jpegs_are_as_bad_when_reduced():
    data = jpeg(1600, 1600)
    with pytest.raises(ImageError, match=r"^damaged: .*truncated"):
        read_reduced(data[: len(data) // 2], (10, 10))


def test_the_limit_is_for_what_is_decoded_at_once():
    how = Decoding(max_pixels=2_000_000)
    assert read_reduced(jpeg(1600, 1600), (10, 10), how).size == (1600, 1600)
    for data, least in ((jpeg(1600, 1600), None), (jpeg(1600, 1600, progressive=True), (10, 10))):
        with pytest.raises(UnreadableError, match=r"has 1600 x 1600 pixels, expected at most 2 million \(--max-mega"):
            read_reduced(data, least, how)
    assert read_image(jpeg(1600, 1600), Decoding(max_pixels=2_560_000)).shape == (1600, 1600, 3)


@pytest.mark.parametrize(
    ("options", "least", "locked"),
    [({}, (10, 10), False), ({}, (1600, 1600), True), ({"progressive": True}, (10, 10), True)],
)
def test_a_reduced_jpeg_waits_for_no_other_unless_it_is_progressive(monkeypatch, options, least, locked):
    """The coefficients of a progressive one are held whole."""
    taken = []

    class Watched(Memory):
        def alone(self, needed=True):
            taken.append(needed)
            return super().alone(needed)

    monkeypatch.setattr(decode, "decoders", Watched(2_000_000, large=1_000_000))
    read_reduced(jpeg(1600, 1600, **options), least)
    assert any(taken) == locked


# --- thumbnails -------------------------------------------------------------------------------------------------------


def test_small_thumbnails_are_lossless():
    pixels = np.asarray(photo(64))
    data = thumbnail(pixels)
    assert data.startswith(b"\x89PNG")
    np.testing.assert_array_equal(read_image(data), pixels)


def test_larger_thumbnails_are_reduced_jpegs():
    data = thumbnail(np.full((300, 600, 3), (200, 100, 50), np.uint8))
    assert data.startswith(b"\xff\xd8\xff")
    pixels = read_image(data)
    assert pixels.shape == (64, 128, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 3
    assert read_image(thumbnail(np.zeros((9000, 2, 3), np.uint8))).shape == (128, 1, 3)
    assert read_image(thumbnail(np.zeros((50, 60, 3), np.uint8), max_side=32)).shape[1] == 32


@pytest.mark.parametrize(
    ("shape", "got"),
    [
        ((5,), r"got \(5,\)$"),
        ((2, 5, 5, 3), r"got \(2, 5, 5, 3\)$"),
        ((5, 5, 2), r"got \(5, 5, 2\)$"),
        ((3, 8, 9), r"got \(3, 8, 9\); move the channels last$"),
    ],
)
def test_the_shape_that_is_refused_is_the_one_that_was_given(shape, got):
    with pytest.raises(ImageError, match=r"an image must have shape \(H, W\) or \(H, W, 1 \| 3 \| 4\), " + got):
        read_image(np.zeros(shape, np.uint8))
