from __future__ import annotations

import io
import os
import struct
import threading
import time
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dinoscope import images as module
from dinoscope.errors import ImageError, InputError, SourceError
from dinoscope.images import (
    ArraySource,
    FolderSource,
    ImageSource,
    UnreadableError,
    digest,
    open_source,
    read_image,
    thumbnail,
)

GREYS = np.arange(256, dtype=np.uint8).reshape(16, 16)
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def repeated(greys: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(greys[:, :, None], 3, axis=2)


def corners() -> Image.Image:
    """A 3 x 2 picture without any symmetry: red, green, blue above black, white, grey."""
    picture = Image.new("RGB", (3, 2))
    picture.putdata([RED, GREEN, BLUE, (0, 0, 0), WHITE, (128, 128, 128)])
    return picture


def encoded(picture: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bare_png(width: int, height: int, packed: bytes, bits: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def photo(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


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
        (b"I am no picture, only text.", "is not a JPEG, PNG, GIF, WebP, BMP or TIFF image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is not a JPEG"),
        (bare_png(0, 0, zlib.compress(b"")), "damaged: no pixels"),
        (bare_png(0, 5, zlib.compress(b"")), "damaged: no pixels"),
        (bare_png(60_000, 60_000, b"x"), "has 60000 x 60000 pixels, expected 1 to 100 million"),
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


def test_only_one_large_image_is_decoded_at_a_time(monkeypatch):
    monkeypatch.setattr(module, "_LARGE_PIXELS", 100)
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
    def fail(_):
        raise MemoryError

    monkeypatch.setattr(module, "_decode", fail)
    with pytest.raises(ImageError, match="more memory than there is"):
        read_image(corners())


def test_read_image_refuses_other_types():
    with pytest.raises(InputError, match="expected a path, bytes, a Pillow image or an array, got int"):
        read_image(3)  # type: ignore[arg-type]


# --- folders ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    def write(*names, data=None):
        data = encoded(corners(), "PNG") if data is None else data
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return tmp_path

    return write


def ids(source: ImageSource) -> list[str]:
    return [item.id for item in source.items]


def test_folder_lists_in_natural_order_and_ignores_junk(folder):
    root = folder("10.png", "2.PNG", "b/1.jpg", "a/x10.png", "a/x9.png", "a/X9b.png", "notes.txt", "a/data.csv")
    folder(".hidden.png", ".cache/1.png", "__MACOSX/1.png", "Thumbs.db", ".DS_Store", "a/._x9.png")
    source = FolderSource(root)
    assert ids(source) == ["2.PNG", "10.png", "a/x9.png", "a/X9b.png", "a/x10.png", "b/1.jpg"]
    assert [item.label for item in source.items] == [None, None, "a", "a", "a", "b"]
    assert {item.split for item in source.items} == {None}
    assert source.ignored == 2
    assert (source.name, source.kind) == (root.name, "folder")
    np.testing.assert_array_equal(source.load(0), np.asarray(corners()))
    assert ids(FolderSource(root)) == ids(source)


def test_flat_folder_has_no_labels(folder):
    assert [item.label for item in FolderSource(folder("1.png", "2.png")).items] == [None, None]


def test_split_folders(folder):
    source = FolderSource(folder("train/cat/1.png", "train/dog/big/2.png", "Test/cat/3.png", "val/4.png"))
    assert [(item.split, item.label) for item in source.items] == [
        ("test", "cat"),
        ("train", "cat"),
        ("train", "dog"),
        ("val", None),
    ]
    folder("other/1.png")  # now they are ordinary names
    assert [item.label for item in FolderSource(folder()).items] == ["other", "Test", "train", "train", "val"]


def test_bad_files_are_items_whose_load_tells(folder):
    root = folder("a/good.png")
    folder("a/empty.jpg", data=b"")
    folder("a/text.jpg", data=b"hello")
    folder("a/cut.jpg", data=encoded(photo(), "JPEG")[:1500])
    (root / "a/folder.png").mkdir()
    (root / "a/link.png").symlink_to("nowhere.png")
    source, reasons = FolderSource(root), {}
    for row, item in enumerate(source.items):
        try:
            source.load(row)
        except ImageError as error:
            reasons[item.id] = str(error)
    assert reasons.pop("a/cut.jpg").startswith("damaged: image file is truncated")
    assert reasons == {
        "a/empty.jpg": "is empty",
        "a/folder.png": "is a directory",
        "a/link.png": "cannot be read: No such file or directory",
        "a/text.jpg": "is not a JPEG, PNG, GIF, WebP, BMP or TIFF image",
    }


def test_keys_follow_the_content(folder):
    root = folder("a.png", "b.png")
    before = [item.key for item in FolderSource(root).items]
    assert len(set(before)) == 2
    assert all(len(bytes.fromhex(key)) == 8 for key in before)
    folder("b.png", data=encoded(corners(), "BMP"))
    os.utime(root / "a.png")  # touched: may have changed
    after = [item.key for item in FolderSource(root).items]
    assert not set(before) & set(after)
    assert [item.key for item in FolderSource(root).items] == after


def test_links_neither_hang_nor_hide_the_real_path(folder):
    root = folder("z/1.png", "z/deep/2.png")
    (root / "a").symlink_to("z")
    (root / "z/loop").symlink_to("..")
    (root / "z/self").symlink_to("self")
    assert ids(FolderSource(root)) == ["z/1.png", "z/deep/2.png"]
    outside = root / ".outside"
    outside.mkdir()
    (root / ".outside/3.png").write_bytes(b"")
    (root / "linked").symlink_to(outside)
    assert ids(FolderSource(root)) == ["linked/3.png", "z/1.png", "z/deep/2.png"]


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8(folder):
    root = folder("ok.png")
    os.rename(root / "ok.png", os.path.join(os.fsencode(root), b"caf\xe9.png"))
    source = FolderSource(root)
    assert ids(source) == ["caf\\xe9.png"]
    assert source.load(0).shape == (2, 3, 3)


def test_folders_without_images(folder):
    with pytest.raises(SourceError, match=r"no images in .* \(1 other files\); expected \.jpg, \.jpeg, \.png"):
        FolderSource(folder("readme.txt"))
    with pytest.raises(SourceError, match=r"cannot list the folder .*: No such file"):
        FolderSource(folder() / "missing")


# --- arrays -----------------------------------------------------------------------------------------------------------


def stack(dtype: Any = np.uint8) -> NDArray[Any]:
    return np.stack([GREYS, GREYS.T, 255 - GREYS]).astype(dtype)


@pytest.mark.parametrize(
    "images",
    [
        stack(),
        stack()[..., None],
        np.repeat(stack()[..., None], 3, axis=3),
        np.dstack([repeated(GREYS), np.full((16, 16), 255, np.uint8)])[None],
        stack(np.uint16) * np.uint16(257),
        stack(np.float32) / np.float32(255),
        stack(np.float64) / 255,
        (stack(np.float64) / 255).astype(np.float16),
    ],
    ids=["grey", "channel", "rgb", "rgba", "uint16", "float32", "float64", "float16"],
)
def test_every_grey_is_itself_in_arrays(images):
    source = ArraySource(images)
    np.testing.assert_array_equal(source.load(0), repeated(GREYS))
    assert source.load(0).dtype == np.uint8
    assert source.items[0].id == "00000"


def test_bool_arrays_and_alpha():
    np.testing.assert_array_equal(ArraySource(stack() > 127).load(0), repeated((GREYS > 127) * np.uint8(255)))
    clear = np.zeros((1, 2, 2, 4), np.uint8)
    np.testing.assert_array_equal(ArraySource(clear).load(0), np.full((2, 2, 3), 255))


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        (stack(np.float32) / 127.5 - 1, r"float pixels must lie in 0\.\.1, got -1\.\.1; scale them, or pass uint8"),
        (stack(np.float64), r"must lie in 0\.\.1, got 0\.\.255"),
        (np.full((1, 2, 2), np.nan), r"must lie in 0\.\.1, got nan"),
        (stack(np.int64), "pixels must be uint8, uint16, bool or floats in 0..1, got int64"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"got \(2, 3, 8, 8\); move the channels last"),
        (np.zeros((8, 8), np.uint8), r"must have shape \(N, H, W\).*, got \(8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), r"one image \(8, 8, 3\)\? pass images\[None\]"),
        (np.zeros((0, 8, 8), np.uint8), r"must have pixels, got shape \(0, 8, 8\)"),
        (np.zeros((2, 0, 8), np.uint8), "must have pixels"),
    ],
)
def test_arrays_are_never_guessed(images, reason):
    with pytest.raises(InputError, match=reason):
        ArraySource(images)


def test_array_labels_and_keys():
    source = ArraySource(stack(), [4, None, "cat"])
    assert [item.label for item in source.items] == ["4", None, "cat"]
    assert [item.label for item in ArraySource(stack(), np.array([1, 2, 3])).items] == ["1", "2", "3"]
    assert [item.key for item in source.items] == [item.key for item in ArraySource(stack()).items]
    assert len({item.key for item in source.items}) == 3
    with pytest.raises(InputError, match="labels must be as many as the images: expected 3, got 2"):
        ArraySource(stack(), ["a", "b"])


def test_digest_keeps_its_parts_apart():
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("ab", b"c") == digest(b"ab", "c")


# --- opening ----------------------------------------------------------------------------------------------------------


def test_open_source_knows_every_kind(folder, tmp_path):
    root = folder("pictures/1.png")
    for path in (root, str(root)):
        assert ids(open_source(path)) == ["pictures/1.png"]
    source = open_source(stack(), labels="abc")
    assert [item.label for item in source.items] == ["a", "b", "c"]
    assert open_source(source) is source
    assert isinstance(source, ImageSource)
    with pytest.raises(InputError, match="got int"):
        open_source(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="labels go with an array"):
        open_source(root, labels=["a"])


def test_open_source_array_files(tmp_path):
    np.save(tmp_path / "greys.npy", stack())
    np.savez(tmp_path / "pair.npz", images=stack(), labels=np.array([7, 8, 9]))
    np.savez(tmp_path / "other.npz", x=stack())
    (tmp_path / "bad.npy").write_bytes(b"hello")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 hello")
    source = open_source(tmp_path / "greys.npy", labels="xyz")
    assert (source.name, source.kind, source.items[2].label) == ("greys", "array", "z")
    np.testing.assert_array_equal(source.load(0), repeated(GREYS))
    assert [item.label for item in open_source(str(tmp_path / "pair.npz")).items] == ["7", "8", "9"]
    assert open_source(tmp_path / "pair.npz", labels="xyz").items[0].label == "x"
    with pytest.raises(SourceError, match=r"other\.npz must hold an array called 'images', got x"):
        open_source(tmp_path / "other.npz")
    for name in ("bad.npy", "bad.npz"):
        with pytest.raises(SourceError, match=f"{name} is no readable NumPy file"):
            open_source(tmp_path / name)


def test_a_data_set_name_wins_over_a_folder_of_that_name(folder, monkeypatch):
    root = folder("fashion-mnist-test/bags/1.png")
    monkeypatch.chdir(root)
    assert open_source("fashion-mnist-test").kind == "dataset"
    assert ids(open_source("./fashion-mnist-test")) == ["bags/1.png"]
    assert ids(open_source(Path("fashion-mnist-test"))) == ["bags/1.png"]


def test_unknown_names_and_single_files(folder):
    with pytest.raises(SourceError, match=r"nothing is called 'Fashion_MNIST'; .*; did you mean 'fashion-mnist'"):
        open_source("Fashion_MNIST")
    with pytest.raises(SourceError, match=r"expected a folder of images, a \.npy or \.npz file, or a data set \(fash"):
        open_source("/nowhere/at/all")
    with pytest.raises(SourceError, match=r"1\.png' is a single file; expected a folder"):
        open_source(folder("1.png") / "1.png")


def test_limit_is_seeded_ordered_nested_and_stable():
    images = np.arange(500, dtype=np.uint16).reshape(500, 1, 1)
    few, more = open_source(images, limit=20, seed=3), open_source(images, limit=50, seed=3)
    assert len(few.items) == 20
    assert ids(few) == sorted(ids(few)) == ids(open_source(images, limit=20, seed=3))
    assert set(ids(few)) < set(ids(more))
    assert ids(few) != ids(open_source(images, limit=20, seed=4))
    assert (few.name, few.kind) == ("array", "array")
    row = int(few.items[7].id)
    np.testing.assert_array_equal(few.load(7), ArraySource(images).load(row))
    assert len(open_source(images, limit=9999).items) == 500
    longer = open_source(np.concatenate([images, images[:50] + np.uint16(900)]), limit=20, seed=3)
    assert len(set(ids(few)) & set(ids(longer))) >= 15
    with pytest.raises(InputError, match="limit must be at least 1, got 0"):
        open_source(images, limit=0)


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
