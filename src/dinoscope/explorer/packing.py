"""The files of images as one ZIP file, made while it is sent: of its content a piece is in memory at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from dinoscope.base.digests import Digest, digest_bytes
from dinoscope.errors import ImageError
from dinoscope.explorer.model_view import position_of
from dinoscope.explorer.types import FilesInfo
from dinoscope.filing.names import FreeNames, safe_path
from dinoscope.stages.originals import ending_of

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.originals import Originals

__all__ = ["measure_files", "pack_files"]

_PIECE = 1 << 18  # bytes that are read and sent at a time
_LEFT_OUT = "left out.txt"
_CHANGED = "is not what it was when the collection was made"


def measure_files(collection: OpenedCollection, originals: Originals, rows: Sequence[int], key: str) -> FilesInfo:
    """Return how many files there are of images, and about how many bytes; no file is read.

    Args:
        collection: The collection.
        originals: Where the files are.
        rows: The images.
        key: What the page asks for the files by.

    Raises:
        Unknown: If a row is not in the collection.
    """
    sizes = [originals.size(collection, position_of(collection, row)) for row in rows]
    there = [size for size in sizes if size is not None]
    return FilesInfo(key=key, files=len(there), bytes=sum(there), missing=len(sizes) - len(there))


def pack_files(collection: OpenedCollection, originals: Originals, rows: Sequence[int]) -> Iterator[bytes]:
    """Yield a ZIP file with the files of images as they are, in the folders they are in.

    A file that is not there, or does not hold what was embedded, is left out; a text in the ZIP names each, and why.
    """
    sent, free, left_out = _Sent(), FreeNames(), list[tuple[str, str]]()
    free.take(_LEFT_OUT)
    with ZipFile(cast("BinaryIO", sent), "w", ZIP_STORED) as packed:
        for row in rows:
            at = position_of(collection, row)
            name = str(collection.ids[at])
            try:
                yield from _pack(packed, sent, collection, originals, at, free)
            except _LeftOut as reason:
                left_out.append((name, str(reason)))
            except ImageError as error:
                left_out.append((name, f"cannot be read: {error}"))
            except OSError as error:
                left_out.append((name, f"cannot be read: {error.strerror}"))
        if left_out:
            lines = [f"{_line(name)}: {reason}\n" for name, reason in left_out]
            text = f"{len(lines):,} of {len(rows):,} images are not in this ZIP as they were embedded:\n\n"
            packed.writestr(ZipInfo(_LEFT_OUT, _date(time.time())), text + "".join(lines))
    yield sent.take()


class _LeftOut(Exception):
    """Why a file is not in the ZIP."""


class _Sent:
    """What a ZIP file is written to: held until it is sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.held = 0

    def write(self, piece: bytes) -> int:
        """Take what is written."""
        self._pieces.append(bytes(piece))
        self.held += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: what is written is sent."""

    def take(self) -> bytes:
        """Return what was written since the last time."""
        pieces, self._pieces, self.held = self._pieces, [], 0
        return b"".join(pieces)


def _pack(
    packed: ZipFile, sent: _Sent, collection: OpenedCollection, originals: Originals, at: int, free: FreeNames
) -> Iterator[bytes]:
    """Write one file, and yield what is to be sent."""
    name = str(collection.ids[at])
    index = originals.index_of(collection, at, search=False)
    path = None if index is None else originals.source.path(index)
    if path is None:
        picture = None if index is None else originals.file(collection, at)
        if picture is None:
            raise _LeftOut("is not there" if originals.size(collection, at) is None else _CHANGED)
        entry = ZipInfo(free.take(safe_path(_named(name, picture))), _date(time.time()))
        packed.writestr(entry, picture)
        if sent.held >= _PIECE:
            yield sent.take()
        return
    with Path(path).open("rb") as file:
        status = os.fstat(file.fileno())
        content, key = collection.contents[at], collection.content_keys[at]
        # a file too large for a digest of its bytes is known by its size and time
        if content == key and digest_bytes(name, f"{status.st_size} {status.st_mtime_ns}") != key:
            raise _LeftOut(_CHANGED)
        entry = ZipInfo(free.take(safe_path(name)), _date(status.st_mtime))
        entry.file_size, left, digest = status.st_size, status.st_size, Digest(status.st_size)
        with packed.open(entry, "w") as inside:
            while left and (piece := file.read(min(left, _PIECE))):
                left -= len(piece)
                digest.add(piece)
                inside.write(piece)
                if sent.held >= _PIECE:
                    yield sent.take()
        if left or (content != key and digest.told() != content):
            raise _LeftOut(f"was changed while it was read: {entry.filename} in this ZIP is not what it was")


def _named(name: str, picture: bytes) -> str:
    """Return the name of a file for a picture that had none: a part of another picture, or numbers."""
    ending = ".png" if picture.startswith(b"\x89PNG") else ending_of(picture, name)
    return name if name.lower().endswith(ending) else name + ending


def _date(seconds: float) -> tuple[int, int, int, int, int, int]:
    """Return a time as a ZIP file holds it, which knows none before 1980 and none after 2107."""
    year, *rest = time.localtime(seconds)[:6]
    month, day, hour, minute, second = rest
    return (year, month, day, hour, minute, second) if 1980 <= year <= 2107 else (1980, 1, 1, 0, 0, 0)


def _line(name: str) -> str:
    return name.replace("\r", "\\r").replace("\n", "\\n")
