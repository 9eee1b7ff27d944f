"""Pictures and files that several tests make."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
