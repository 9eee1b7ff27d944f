"""Damaged image files by the thousand, decoded in a process of its own: ``python -m tests.fuzzing COUNT SEED``.

It prints how many could be decoded and how many were refused, and the peak of its memory in MB. A crash, any other
error than `ImageError`, or five seconds for one image end it with another exit code than 0.
"""

from __future__ import annotations

import faulthandler
import json
import random
import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from dinoscope.errors import ImageError
from dinoscope.sources.pixels.decode import read_reduced, thumbnail
from tests.pictures import encoded

_SECONDS = 5


def pictures() -> list[bytes]:
    """Make whole files of every format that is read, in many of its variants."""
    slopes = np.add.outer(np.arange(96), np.arange(120))[..., None] * np.array([1, 2, 3]) % 256
    noise = np.random.default_rng(0).integers(0, 256, (40, 56, 3))
    files = []
    for pixels in (slopes, noise):
        rgb = Image.fromarray(pixels.astype(np.uint8))
        palette, deep = rgb.convert("P"), rgb.convert("I;16")
        frames = {"save_all": True, "append_images": [palette.rotate(90)] * 3}
        files += [encoded(rgb, "JPEG"), encoded(rgb, "JPEG", progressive=True), encoded(rgb.convert("CMYK"), "JPEG")]
        files += [encoded(each, "PNG") for each in (rgb, palette, deep, rgb.convert("RGBA"))]
        files += [encoded(rgb, "WEBP"), encoded(rgb, "WEBP", lossless=True)]
        files += [encoded(palette, "GIF"), encoded(palette, "GIF", **frames)]
        files += [encoded(rgb, "TIFF", compression=each) for each in ("raw", "tiff_lzw", "tiff_deflate", "jpeg")]
        files += [encoded(rgb.convert("1"), "TIFF", compression="group4"), encoded(deep, "TIFF")]
        files += [encoded(rgb, "BMP"), encoded(palette, "BMP")]
    return files


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Damage a file: bits flipped, numbers made huge, pieces removed, put in, doubled; or cut it."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 2, 4, 16))):
        # headers are short, and most of what can go wrong is in them
        at = chance.randrange(min(len(data), chance.choice((64, 200, len(data)))))
        kind = chance.randrange(6)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at : at + 4] = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", chance.randbytes(4)))
        elif kind == 2:
            del data[at : at + chance.randrange(1, 64)]
        elif kind == 3:
            data[at:at] = chance.randbytes(chance.randrange(1, 64))
        elif kind == 4:
            data[at:at] = data[at : at + chance.randrange(1, 256)]
        else:
            del data[max(at, len(data) // 2) :]
        data = data or bytearray(1)
    return bytes(data)


def main(count: int, seed: int) -> None:
    """Decode so many damaged files."""
    warnings.simplefilter("ignore")
    chance, files = random.Random(seed), pictures()
    outcome = {"decoded": 0, "refused": 0}
    for number in range(count):
        content = mutated(files[number % len(files)], chance)
        faulthandler.dump_traceback_later(_SECONDS, exit=True)
        try:
            thumbnail(read_reduced(content, (32, 32)).pixels)
            outcome["decoded"] += 1
        except ImageError:
            outcome["refused"] += 1
        faulthandler.cancel_dump_traceback_later()
    print(json.dumps({**outcome, "megabytes": peak()}))  # noqa: T201


def peak() -> int:
    """Return the most memory that this process held; getrusage would count its parent's, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
