"""Colours of 16 bits a channel: 12 bits in 16 are not black, in PNG and in TIFF of either order of bytes."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.sources.pixels.decode import Decoding, deep_values, read_image

VALUES = np.random.default_rng(0).integers(0, 4096, (12, 10, 4), np.uint16)
VALUES[0, 0], VALUES[0, 1] = 0, 4095
VALUES[..., 3] = 65535


def png(values):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(values, order, *, packed=False):
    """Write one strip, as a microscope does."""
    height, width, channels = values.shape
    data = values.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if packed else data
    tags = [(256, width), (257, height), (258, None), (259, 8 if packed else 1), (262, 2), (273, None), (277, channels)]
    tags += [(278, height), (279, len(data))] + ([(338, 2)] if channels == 4 else [])
    start = 8 + 2 + 12 * len(tags) + 4
    held = {258: (3, channels, start), 273: (4, 1, start + 2 * channels)}
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    for tag, value in tags:
        kind, count, at = held.get(tag, (4, 1, value))
        head += struct.pack(f"{order}HHII", tag, kind, count, at)
    return head + struct.pack(f"{order}I", 0) + struct.pack(f"{order}{channels}H", *[16] * channels) + data


FILES = {
    "png": png,
    "tiff little": lambda values: tiff(values, "<"),
    "tiff big": lambda values: tiff(values, ">"),
    "tiff packed": lambda values: tiff(values, "<", packed=True),
    "tiff packed big": lambda values: tiff(values, ">", packed=True),
}


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("form", FILES)
def test_twelve_bits_in_sixteen_are_scaled(form, channels):
    data = FILES[form](VALUES[..., :channels])
    expected = np.rint(VALUES[..., :3] / 4095 * 255)
    np.testing.assert_array_equal(read_image(data, Decoding((0, 4095))), expected)
    np.testing.assert_array_equal(read_image(data), VALUES[..., :3] >> 8)  # alone, white is 65535
    found = deep_values(data)
    assert found is not None
    assert found[1]
    assert (found[0].min(), found[0].max()) == (0, 4095)
    np.testing.assert_array_equal(np.sort(found[0]), np.sort(VALUES[..., :3].reshape(-1)))


def test_alpha_stays_what_it_is():
    values = VALUES.copy()
    values[3:, :, 3] = 0
    pixels = read_image(png(values), Decoding((0, 4095)))
    np.testing.assert_array_equal(pixels[3:], 255)  # nothing of them is seen
    np.testing.assert_array_equal(pixels[:3], np.rint(VALUES[:3, :, :3] / 4095 * 255))


def test_a_collection_of_them_has_one_range(tmp_path):
    rng = np.random.default_rng(1)
    for number in range(6):
        small = rng.integers(0, 4096, (4, 4, 3), np.uint16)
        (tmp_path / "scans").mkdir(exist_ok=True)
        (tmp_path / "scans" / f"{number}.png").write_bytes(png(np.kron(small, np.ones((8, 8, 1), np.uint16))))
    opened = Collection.from_images(tmp_path / "scans", tmp_path / "c", model="mini")
    assert opened.decoding.value_range == (0, 4095)
    shown = np.asarray(Image.open(io.BytesIO(opened.thumbnails([0])[0])))
    assert shown.max() > 200
