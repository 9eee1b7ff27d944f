"""Files of a collection: tables that are either complete or absent, and digests that name them.

Every write goes to a temporary file in the same folder, is flushed to the disk and then renamed over its target, so
that a process killed at any moment leaves either the old file or the new one. What was written is checked when it is
read; see ``checksums``.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from dinoscope.base.typed import mismatch, parse_json
from dinoscope.errors import DamagedError, WriteError
from dinoscope.storage import checksums

__all__ = [
    "csv_text",
    "flush_folder",
    "has_checksum",
    "is_leftover",
    "make_folder",
    "plain_text",
    "process_ended",
    "read_json",
    "remove_leftover_folders",
    "remove_leftovers",
    "replacing",
    "temporary",
    "write_bytes",
    "write_csv",
    "write_json",
]

_LEFTOVER = ".part-"
_WRITER = re.compile(r"\.part-(?P<pid>[0-9]{1,10})-[0-9a-f]+@(?P<host>.+)$")
_DAY = 86400.0
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # texts that a spreadsheet computes; web/src/lib/export.ts does the same
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")  # such as -0.5: written as it is


def write_bytes(path: Path, content: bytes, *, durable: bool = True, within: Path | None = None) -> None:
    """Write a file completely or not at all.

    Args:
        path: The file.
        content: What it holds.
        durable: Flush it to the disk; without, a power cut may still lose it.
        within: See ``make_folder``; for a file of a collection, the collection.

    Raises:
        WriteError: If it cannot be written.
    """
    with replacing(path, durable=durable, within=within) as part:
        part.write_bytes(content)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file with a header, completely or not at all; see ``csv_text``."""
    write_bytes(path, csv_text(columns, rows).encode())


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a CSV table with a header.

    A text that a spreadsheet would take for a formula gets an apostrophe in front: ids and labels are names of files
    and folders, which anybody may have chosen.
    """
    text = io.StringIO(newline="")
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in (columns, *rows))
    return text.getvalue()


def plain_text(cell: str) -> str:
    """Return the content of a cell before ``csv_text`` made it harmless."""
    return cell[1:] if cell.startswith("'") and _harmless(cell[1:]) == cell else cell


def write_json(
    path: Path, value: object, *, checked: bool = False, durable: bool = True, within: Path | None = None
) -> None:
    """Write a JSON file completely or not at all.

    Args:
        path: The file.
        value: What it holds.
        checked: Close it with a checksum: for an object that people do not edit.
        durable: See ``write_bytes``.
        within: See ``write_bytes``.
    """
    content = {**value, checksums.MARK: checksums.blank(1)} if checked and isinstance(value, Mapping) else value
    text = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    write_bytes(path, checksums.seal_json(text) if checked else text, durable=durable, within=within)


def read_json(path: Path, kind: object = object) -> Any:
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
        if b"\\u" in text:  # it may be half a letter, which no file can hold
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DamagedError(path, "a text in it holds half a letter") from None
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    if checked and isinstance(value, dict):
        value.pop(checksums.MARK, None)
    wrong = mismatch(value, kind)
    if wrong is not None:
        raise DamagedError(path, wrong)
    return value


def has_checksum(path: Path) -> bool:
    """Tell whether a JSON file, which is whole, has a checksum."""
    return checksums.unseal_json(path.read_bytes())


def make_folder(path: Path, within: Path | None = None, *, private: bool = False) -> None:
    """Make a folder, and those that it lies in.

    Args:
        path: The folder; one that is there stays as it is.
        within: A folder that must be there already, so that one that somebody deleted does not come back in pieces.
        private: Whether it is for its owner alone: a collection holds small copies of the pictures.

    Raises:
        WriteError: If it cannot be made.
    """
    try:
        _make_folders(path, within, private)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {_told(error, within)}") from None


def is_leftover(path: Path) -> bool:
    """Tell by its name whether a file is temporary, from a running or killed write."""
    return path.name.startswith(".") and _LEFTOVER in path.name


def remove_leftovers(folder: Path, beginning: str | None = None) -> None:
    """Delete the temporary files of killed processes, but none that a running one is writing.

    Args:
        folder: Where they are, or in its folders.
        beginning: Only those right in the folder, of files whose names begin so.
    """
    _sweep(folder, f"**/.*{_LEFTOVER}*" if beginning is None else f".{escape(beginning)}*{_LEFTOVER}*")


def _sweep(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        with suppress(OSError):  # it may be gone meanwhile; on Windows one that is open stays
            if _is_abandoned(path):
                path.unlink(missing_ok=True)


def remove_leftover_folders(folder: Path) -> None:
    """Delete the temporary folders that killed processes left right below a folder; see ``temporary``."""
    for path in folder.glob(f".*{_LEFTOVER}*"):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink() and _is_abandoned(path):
                shutil.rmtree(path, ignore_errors=True)


def temporary(path: Path) -> Path:
    """Return a temporary name beside a path, only for this process, until the file is complete."""
    return path.with_name(f".{path.name}{_LEFTOVER}{os.getpid()}-{secrets.token_hex(4)}@{socket.gethostname()}")


def _is_abandoned(path: Path) -> bool:
    """Tell whether nobody is writing a temporary file or folder."""
    found = _WRITER.search(path.name)
    if found is None:  # somebody else's
        return False
    if found["host"] == socket.gethostname() and (os.name != "nt" or path.is_file()):
        return process_ended(int(found["pid"]))
    # on another machine a process cannot be asked for: a day is longer than any write
    return time.time() - path.stat().st_mtime > _DAY


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
def replacing(path: Path, *, durable: bool = True, within: Path | None = None) -> Iterator[Path]:
    """Give a temporary file to write, which then takes the place of another; see ``write_bytes``.

    What a killed process left of an earlier write of the same file is deleted.

    Raises:
        WriteError: If it cannot be written.
    """
    part = temporary(path)
    try:
        _make_folders(path.parent, within)
        _sweep(path.parent, f".{escape(path.name)}{_LEFTOVER}*")
        part.touch(exist_ok=False)  # a link that somebody has laid there is not followed
        try:
            yield part
            if durable:
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            part.replace(path)
            if durable:
                flush_folder(path.parent)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"cannot write {path}: {_told(error, within)}") from None


def _make_folders(path: Path, within: Path | None, private: bool = False) -> None:
    missing, wanted = [], path
    while path != within and not path.is_dir():
        missing.append(path)
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(0o700 if private and folder == wanted else 0o777, exist_ok=True)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the system can do that."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _told(error: OSError, within: Path | None) -> str:
    """Return why a file cannot be written, and what to do about it."""
    if within is not None and not within.is_dir():
        return f"{within} is gone; it was deleted or moved meanwhile, and is not made again"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"{reason}; {_advice(error.errno)}"


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
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell
