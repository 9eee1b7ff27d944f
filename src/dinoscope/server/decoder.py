"""The process that decodes uploads, which can be ended at any moment; see ``decoding``."""

from __future__ import annotations

import io
import os
import pickle
import signal
import struct
import sys

from dinoscope.base.processes import announce, limit_memory
from dinoscope.errors import ImageError
from dinoscope.models.preprocess import Preprocessing, prepare
from dinoscope.sources.pixels.decode import Decoding, read_reduced
from dinoscope.sources.pixels.formats import identify, pixels_at_once

__all__ = ["ANSWER", "QUESTION", "SECONDS", "main"]

QUESTION = struct.Struct("!II")  # lengths of the settings and of the file, which follow
ANSWER = struct.Struct("!?I")  # whether it is a picture, and the length of what follows: the picture, or the reason
SECONDS = 8  # the time limit for one file
MAX_PIXELS = 50_000_000
_BYTES = 3 << 30  # of address space


def main() -> None:
    """Answer until the pipe is closed."""
    limit_memory(_BYTES)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    announce()
    while head := asked.read(QUESTION.size):
        settings, length = QUESTION.unpack(head)
        preprocessing, resolution, how = pickle.loads(asked.read(settings))  # noqa: S301  # the server's own
        _alarm(2 * SECONDS)  # in case the server is killed meanwhile
        is_picture, answer = _square(asked.read(length), preprocessing, resolution, how)
        _alarm(0)
        answers.write(ANSWER.pack(is_picture, len(answer)) + answer)
        answers.flush()


def _square(content: bytes, preprocessing: Preprocessing, resolution: int, how: Decoding) -> tuple[bool, bytes]:
    try:
        _check_pixels(content)
        found = read_reduced(content, preprocessing.least(resolution), how, measured=False)
        return True, prepare(found.pixels, preprocessing, resolution, found.size).tobytes()
    except ImageError as error:
        return False, str(error).encode()
    except MemoryError:
        return False, b"needs more memory than there is"


def _check_pixels(content: bytes) -> None:
    try:
        image = identify(io.BytesIO(content))
    except Exception:  # decoding says what is wrong
        return
    if pixels_at_once(image) > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise ImageError(f"has {image.width} x {image.height} pixels: at most {limit} million can be searched for")


def _alarm(seconds: int) -> None:
    if os.name != "nt":
        signal.alarm(seconds)
