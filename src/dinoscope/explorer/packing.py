"""The files of images as one ZIP file, made while it is sent: of its content a piece is in memory at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from dinoscope.base.digests import Digest, digest_bytes
from dinoscope.errors import ImageError
from dinoscope.explorer.model_view import position_of
from dinoscope.explorer.types import FilesInfo
from dinoscope.filing.names import FreeNames, number_first, safe_path
from dinoscope.stages.originals import ending_of

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.originals import Originals

__all__ = ["measure_files", "pack_files"]

_PIECE = 1 << 18  # bytes that are read and sent at a time
_AT_ONCE = 1 << 20  # bytes of a file that is held whole, so that it is read once
_LEFT_OUT = "left out.txt"
_CHANGED = "is not what it was when the collection was made"


def measure_files(collection: OpenedCollection, originals: Originals, rows: Iterable[int], key: str) -> FilesInfo:
    """Return how many files there are of images, and about how many bytes; no file is read.

    Args:
        collection: The collection.
        originals: Where the files are.
        rows: The images.
        key: What the page asks for the files by.

    Raises:
        Unknown: If a row is not in the collection.
    """
    found = [originals.find(collection, position_of(collection, row)) for row in rows]
    there = [index for index in found if index is not None]
    sizes = [originals.source.file_size(index) for index in there]
    known = [size for size in sizes if size is not None]
    whole = sum(known) if len(known) == len(sizes) else None
    return FilesInfo(key=key, files=len(there), bytes=whole, missing=len(found) - len(there))


def pack_files(collection: OpenedCollection, originals: Originals, rows: Iterable[int]) -> Iterator[bytes]:
    """Yield a ZIP file with the files of images as they are, in the folders they are in.

    A file that is not there, or does not hold what was embedded, is left out; a text in the ZIP names each, and why.
    """
    sent, free, left_out = _Sent(), FreeNames(), list[tuple[str, str]]()
    free.take(_LEFT_OUT)
    wanted = [position_of(collection, row) for row in rows]
    wanted.sort(key=lambda at: originals.places(collection, at)[:1])  # a table is read from its start on
    with ZipFile(cast("BinaryIO", sent), "w", ZIP_STORED) as packed:
        for at in wanted:
            name = str(collection.ids[at])
            try:
                yield from _pack(packed, sent, collection, originals, at, free)
            except _LeftOut as reason:
                left_out.append((name, str(reason)))
            except ImageError as error:
                left_out.append((name, str(error)))
            except OSError as error:
                left_out.append((name, f"cannot be read: {error.strerror or type(error).__name__}"))
            yield sent.take() if sent.held >= _PIECE else b""  # the one place where all of it can be stopped
        if left_out:
            lines = [f"{_line(name)}: {reason}\n" for name, reason in left_out]
            text = f"{len(lines):,} of {len(wanted):,} images are not in this ZIP as they were embedded:\n\n"
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
    """Write one file, and yield what is to be sent of a large one."""
    content, key = collection.contents[at], collection.content_keys[at]
    reason = "is not there"
    for index in originals.places(collection, at):
        path = originals.source.path(index)
        try:
            status = None if path is None else Path(path).stat()
            if status is not None and content == key and key != _stamp(collection, at, status):
                reason = _CHANGED
            elif path is not None and status is not None and status.st_size > _AT_ONCE:
                if content == key or originals.source.content(index) == content:
                    yield from _pack_large(packed, sent, collection, at, Path(path), free)
                    return
                reason = _CHANGED
            else:
                picture = originals.read_from(collection, at, index)
                if picture is not None:
                    name = free.take(_name(collection, at, picture if path is None else None))
                    packed.writestr(ZipInfo(name, _date(time.time() if status is None else status.st_mtime)), picture)
                    return
                reason = _CHANGED
        except FileNotFoundError:
            continue
    raise _LeftOut(reason)


def _stamp(collection: OpenedCollection, at: int, status: os.stat_result) -> str:
    """Return what a file without a digest of its bytes is known by: its name, size and time."""
    return digest_bytes(str(collection.ids[at]), f"{status.st_size} {status.st_mtime_ns}")


def _pack_large(
    packed: ZipFile, sent: _Sent, collection: OpenedCollection, at: int, path: Path, free: FreeNames
) -> Iterator[bytes]:
    """Write a file that was compared, and yield what is to be sent: a piece of it is in memory at a time."""
    content, key = collection.contents[at], collection.content_keys[at]
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if content == key and key != _stamp(collection, at, status):
            raise _LeftOut(_CHANGED)
        entry = ZipInfo(free.take(_name(collection, at)), _date(status.st_mtime))
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


def _name(collection: OpenedCollection, at: int, picture: bytes | None = None) -> str:
    """Return what a file is called in the ZIP; ``picture`` is what has no file, such as a part of another picture."""
    name = number_first(str(collection.ids[at]))
    ending = "" if picture is None else ".png" if picture.startswith(b"\x89PNG") else ending_of(picture, name)
    return safe_path(name if name.lower().endswith(ending) else name + ending)


def _date(seconds: float) -> tuple[int, int, int, int, int, int]:
    """Return a time as a ZIP file holds it, which knows none before 1980 and none after 2107."""
    year, *rest = time.localtime(seconds)[:6]
    month, day, hour, minute, second = rest
    return (year, month, day, hour, minute, second) if 1980 <= year <= 2107 else (1980, 1, 1, 0, 0, 0)


def _line(name: str) -> str:
    return name.replace("\r", "\\r").replace("\n", "\\n")
