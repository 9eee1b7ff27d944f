"""Files of a collection: tables that are either whole or absent, and digests that name them.

Every write goes to a temporary file in the same folder, is flushed to the disk and then renamed over its target, so
that a process killed at any moment leaves either the old file or the new one. What was written is checked when it is
read; see ``checksums``.
"""

from __future__ import annotations

import csv
import errno
import io
import itertools
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dinoscope.base.typed import mismatch
from dinoscope.errors import DamagedError, WriteError
from dinoscope.storage import checksums

__all__ = [
    "csv_text",
    "has_checksum",
    "is_leftover",
    "make_folder",
    "parse_json",
    "process_ended",
    "read_json",
    "remove_leftovers",
    "write_bytes",
    "write_csv",
    "write_json",
]

_LEFTOVER = ".part-"
_DAY = 86400.0
_NUMBERS = itertools.count()  # two threads may write the same result


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all; without ``durable`` a power cut may still lose it.

    Raises:
        WriteError: If it cannot be written.
    """
    with _replacing(path, durable) as part:
        part.write_bytes(content)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header, whole or not at all; see ``csv_text``."""
    write_bytes(path, csv_text(columns, rows).encode())


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a CSV table with a header.

    A text that a spreadsheet would take for a formula gets an apostrophe in front: ids and labels are names of files
    and folders, which anybody may have chosen.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in (columns, *rows))
    return text.getvalue()


def write_json(path: Path, value: object, *, checked: bool = False, durable: bool = True) -> None:
    """Write a JSON file whole or not at all.

    Args:
        path: The file.
        value: What it holds.
        checked: Close it with a checksum: for an object that people do not edit.
        durable: See ``write_bytes``.
    """
    content = {**value, checksums.MARK: checksums.blank(1)} if checked and isinstance(value, Mapping) else value
    text = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    write_bytes(path, checksums.seal_json(text) if checked else text, durable=durable)


def read_json(path: Path, kind: Any = Any) -> Any:
    """Read a JSON file; if it has a checksum, that is checked and left out.

    Args:
        path: The file.
        kind: The type that it must have; see ``mismatch``.

    Raises:
        DamagedError: If it is not JSON, not what was written, or of another type.
    """
    text = path.read_bytes()
    try:
        checked = checksums.unseal_json(text)
        value = parse_json(text)
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    if checked and isinstance(value, dict):
        value.pop(checksums.MARK, None)
    wrong = mismatch(value, kind)
    if wrong is not None:
        raise DamagedError(path, wrong)
    return value


def parse_json(text: bytes) -> Any:
    """Parse JSON.

    Raises:
        ValueError: If it is none, or is nested so deep that it cannot be meant.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def has_checksum(path: Path) -> bool:
    """Tell whether a JSON file, which is whole, has a checksum."""
    return checksums.unseal_json(path.read_bytes())


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in.

    Raises:
        WriteError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}; {_advice(error.errno)}") from None


def is_leftover(path: Path) -> bool:
    """Tell by its name whether a file is a temporary one, of a write that goes on or was killed."""
    return path.name.startswith(".") and _LEFTOVER in path.name


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left, and none that a living one is writing."""
    for path in folder.rglob(f".*{_LEFTOVER}*"):
        writer, _, host = path.name.rpartition(_LEFTOVER)[2].partition("@")
        pid = writer.partition("-")[0]
        with suppress(OSError):  # it may be gone meanwhile; on Windows one that is open stays
            # on another machine a process cannot be asked for: a day is longer than any write
            if process_ended(int(pid)) if host == socket.gethostname() else time.time() - path.stat().st_mtime > _DAY:
                path.unlink(missing_ok=True)


def process_ended(pid: int) -> bool:
    """Tell whether no process of this machine has this number (on Windows, which has no such question: True)."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return False


@contextmanager
def _replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    part = path.with_name(f".{path.name}{_LEFTOVER}{os.getpid()}-{next(_NUMBERS)}@{socket.gethostname()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if durable:
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(f"cannot write {path}: {reason}; {_advice(error.errno)}") from None


def _advice(number: int | None) -> str:
    """Return what to do about a file that cannot be written."""
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return "free some space and run the same command again: what was written before is kept"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make the folder writable and run the same command again, or name another one"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL):
        return "name another one"
    return "what was written before is kept; run the same command again"


def _harmless(cell: object) -> object:
    if not isinstance(cell, str) or cell[:1] not in ("=", "+", "-", "@", "\t", "\r"):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell  # a number that was written out
