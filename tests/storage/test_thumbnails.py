import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.pixels.decode import thumbnail
from dinoscope.storage.tables import read_table, write_table
from dinoscope.storage.thumbnails import trusted_thumbnail
from tests.pictures import encoded

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(ran) print\nshowpage\n%%EOF\n"


def png_header(width, height):
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def side(picture):
    return Image.open(io.BytesIO(picture)).size


@pytest.mark.parametrize("shape", [(28, 28), (300, 200), (64, 64, 3), (2000, 30, 3)])
def test_what_dinoscope_writes_is_handed_out_as_it_is(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    picture = thumbnail(pixels)
    assert trusted_thumbnail(picture) is picture


@pytest.mark.parametrize(
    "picture",
    [
        EPS,
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0 no more",
        png_header(60_000, 60_000),
        png_header(1, 257),
        encoded(Image.new("RGB", (257, 4)), "JPEG"),
        encoded(Image.new("RGB", (8, 8)), "GIF"),
        encoded(Image.new("RGB", (8, 8)), "WEBP"),
        encoded(Image.new("RGB", (8, 8)), "TIFF"),
        encoded(Image.new("RGB", (8, 8)), "BMP"),
    ],
)
def test_anything_else_is_a_grey_square(picture):
    found = trusted_thumbnail(picture)
    assert found != picture
    assert (side(found), np.unique(np.asarray(Image.open(io.BytesIO(found)))).tolist()) == ((32, 32), [128])


def test_a_strangers_collection_runs_no_other_program(tmp_path, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (30, 28, 28), dtype=np.uint8)
    path = tmp_path / "c"
    Collection.from_images(images, path, model="mini-fashion")
    part = path / "details" / "part-00000.parquet"
    columns, meta = read_table(part)
    write_table(part, {**columns, "thumbnail": [EPS, *columns["thumbnail"][1:]]}, meta)
    opened = []
    init = Image.init

    def noted():
        opened.append("all formats")
        return init()

    monkeypatch.setattr(Image, "init", noted)
    collection = Collection(path)
    assert side(collection.thumbnails([0])[0]) == (32, 32)
    collection.findings()
    collection.properties()
    collection.report(tmp_path / "report.html")
    assert opened == []
