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


SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))


def icc_profile(primaries: tuple[tuple[float, ...], ...], gamma: float, name: str = "made for a test") -> bytes:
    """An ICC profile of three primaries (XYZ at D50) and one gamma."""
    text = name.encode() + b"\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249)
    for letter, primary in zip(b"rgb", primaries, strict=True):
        tags[bytes([letter]) + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(*primary)
        tags[bytes([letter]) + b"TRC"] = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(gamma * 256), 0)
    offset, table, data = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", offset + len(data), len(content))
        data += content
    header = struct.pack(">I4sI4s4s4s", offset + len(data), bytes(4), 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + table + data


def _fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def photograph(
    picture: Image.Image,
    taken: str | None = None,
    camera: tuple[str, str] | None = None,
    place: tuple[float, float] | None = None,
    **shot: float | str,
) -> bytes:
    """A JPEG with what a camera writes; of `shot`: lens, focal_length, exposure, f_number, iso."""
    exif = Image.Exif()
    if camera is not None:
        exif[0x010F], exif[0x0110] = camera
    tags = {"lens": 0xA434, "focal_length": 0x920A, "exposure": 0x829A, "f_number": 0x829D, "iso": 0x8827}
    within = exif.get_ifd(0x8769)
    within |= {tags[name]: value for name, value in shot.items()}
    if taken is not None:
        within[0x9003] = taken
    exif[0x8769] = within
    if place is not None:
        exif.get_ifd(0x8825).update(
            {
                1: "S" if place[0] < 0 else "N",
                2: degrees(place[0]),
                3: "W" if place[1] < 0 else "E",
                4: degrees(place[1]),
            }
        )
        exif[0x8825] = exif.get_ifd(0x8825)
    return encoded(picture, "JPEG", exif=exif)


def degrees(angle: float) -> tuple[float, float, float]:
    whole, rest = divmod(abs(angle) * 3600, 3600)
    return (whole, rest // 60, rest % 60)
