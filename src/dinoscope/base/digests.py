"""Digests that name things: of bytes, of JSON-like values, of files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

__all__ = ["Digest", "digest_bytes", "digest_file", "digest_json", "sha256"]


def digest_json(*values: object, length: int = 16) -> str:
    """Return a hexadecimal digest of JSON-like values, the same in every process and on every machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:length]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_bytes(*parts: str | bytes) -> str:
    """Return 16 hexadecimal digits that stand for these parts."""
    data = [part.encode() if isinstance(part, str) else part for part in parts]
    lengths = " ".join(str(len(part)) for part in data)  # ("ab", "c") is not ("a", "bc")
    return hashlib.blake2b(b"".join([lengths.encode(), *data]), digest_size=8).hexdigest()


class Digest:
    """The digest of ``digest_bytes`` for ``size`` bytes that come piece by piece."""

    def __init__(self, size: int) -> None:
        self._held = hashlib.blake2b(str(size).encode(), digest_size=8)

    def add(self, piece: bytes) -> None:
        """Take the next piece."""
        self._held.update(piece)

    def told(self) -> str:
        """Return the digest of all pieces."""
        return self._held.hexdigest()


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of ``digest_bytes`` for a file, with one piece in memory at a time."""
    with Path(path).open("rb") as file:
        digest = Digest(os.fstat(file.fileno()).st_size)
        while piece := file.read(1 << 18):
            digest.add(piece)
    return digest.told()
