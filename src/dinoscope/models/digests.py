"""The SHA-256 of weights: of every file that decides what they compute, read once and remembered."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from dinoscope.base.digests import digest_json, sha256
from dinoscope.storage.files import make_folder, write_bytes

__all__ = ["digest_folder", "digest_weights"]

_LARGE = 16 << 20  # bytes from which reading a file again takes longer than looking its digest up
_SETTLED = 5e9  # nanoseconds: a file that was written just now may be written again within one tick of its clock


def digest_folder() -> Path:
    """Return the folder of the user's cache that holds digests of large files."""
    return user_cache_path("dinoscope") / "digests"


def digest_weights(file: Path, data: Path | None = None) -> str:
    """Return the SHA-256 of weights, in hexadecimal digits.

    Args:
        file: The weights, or the graph that refers to them.
        data: The file with the values of such a graph. The digest is then that of both digests, one behind the other:
            two graphs that share their values are two models.
    """
    own = _remembered(file.resolve())
    if data is None or data.resolve() == file.resolve():
        return own
    return hashlib.sha256((own + _remembered(data.resolve())).encode()).hexdigest()


def _remembered(file: Path) -> str:
    """Return the digest of a file. Of a large one that stayed as it was, it is read once."""
    held = file.stat()
    if held.st_size < _LARGE or time.time_ns() - held.st_mtime_ns < _SETTLED:
        return sha256(file)
    note = digest_folder() / digest_json(held.st_dev, held.st_ino, held.st_size, held.st_mtime_ns, length=32)
    with suppress(OSError, UnicodeDecodeError):
        if re.fullmatch("[0-9a-f]{64}", text := note.read_text(encoding="ascii")):
            return text
    digest = sha256(file)
    with suppress(OSError):  # where nothing can be kept it is computed again
        make_folder(note.parent)
        write_bytes(note, digest.encode(), durable=False)
    return digest
