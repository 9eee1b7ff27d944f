"""Who may write a collection: one process at a time. The others learn which one it is.

The operating system frees the lock when its holder ends in any way. A file beside it says who holds it. That file
counts only while the lock is taken.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

from dinoscope.base.text import remark
from dinoscope.base.typed import Within
from dinoscope.errors import CollectionError, WriteError
from dinoscope.storage.files import process_ended, read_json, write_bytes

__all__ = ["LOCK_FILES", "Holder", "deciding", "holder", "is_held", "locked"]

_LOCK, _HOLDER, _DECISIONS = ".lock", ".lock-holder.json", ".decisions.lock"
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP)
LOCK_FILES = (_LOCK, _HOLDER, _DECISIONS)


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    Attributes:
        pid: Its number.
        host: Its machine.
        since: When it took the lock, in seconds since 1970.
        command: What was called: "embed", "survey", or the name of a script.
    """

    pid: int
    host: str
    since: Annotated[float, Within(0, 4e9)]
    command: str

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since)
        return f"{self.command}, process {self.pid} on {self.host}, since {since:%Y-%m-%d %H:%M:%S}"


@contextmanager
def locked(folder: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold the collection's lock.

    Args:
        folder: The collection.
        wait: Seconds to wait for another process to end. It says at once that it waits, and for which process.

    Raises:
        CollectionError: If another process still holds it.
        WriteError: If the folder may not be written.
    """
    from filelock import FileLock, Timeout

    _check_there(folder)
    lock = FileLock(folder / _LOCK)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if wait <= 0:
                raise
            remark(f"{folder} is in use by another dinoscope process ({_who(folder)}): waiting up to {wait:.0f} s")
            lock.acquire(timeout=wait, poll_interval=0.2)
    except Timeout:
        raise CollectionError(
            f"{folder} is in use by another dinoscope process ({_who(folder)}): wait for it to end, or end it; "
            "nothing is lost then"
        ) from None
    except (OSError, NotImplementedError) as error:
        raise _may_not_lock(folder, error) from None
    try:
        _introduce(folder)
        yield
    finally:
        with suppress(OSError):
            (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


@contextmanager
def deciding(folder: Path) -> Iterator[None]:
    """Hold the lock of people's decisions. It takes a moment and works while images are embedded.

    Args:
        folder: The collection.

    Raises:
        CollectionError: If another process holds it for ten seconds.
        WriteError: If the folder may not be written.
    """
    from filelock import FileLock, Timeout

    _check_there(folder)
    try:
        lock = FileLock(folder / _DECISIONS).acquire(timeout=10, poll_interval=0.02)
    except Timeout:
        raise CollectionError(f"another process keeps the decisions of {folder} locked: try again") from None
    except (OSError, NotImplementedError) as error:
        raise _may_not_lock(folder, error) from None
    with lock:
        yield


def _check_there(folder: Path) -> None:
    """Refuse to lock a missing folder, because filelock would make it again."""
    if not folder.is_dir():
        raise CollectionError(f"{folder} is gone: it was deleted or moved meanwhile")


def _may_not_lock(folder: Path, error: Exception) -> WriteError:
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, NotImplementedError) or getattr(error, "errno", None) in _NO_LOCKS:
        return WriteError(
            f"cannot lock {folder}: its file system has no locks ({reason}), and two writers would mix up a "
            "collection; make it on a local disk and copy it there"
        )
    return WriteError(
        f"cannot lock {folder} ({reason}): "
        "dinoscope must be allowed to write there; if it may not, work on a copy of the folder"
    )


def is_held(folder: Path) -> bool:
    """Tell whether a living process holds the collection's lock."""
    from filelock import FileLock, Timeout

    if not (folder / _LOCK).exists():
        return False
    try:
        with FileLock(folder / _LOCK, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # a folder that this process may not write: the holder's number must do
        known = holder(folder)
        return known is not None and (known.host != socket.gethostname() or not process_ended(known.pid))


def holder(folder: Path) -> Holder | None:
    """Return who took the lock last, if that process said so and did not free it: it may have been killed since."""
    try:
        return Holder(**read_json(folder / _HOLDER, Holder))
    except (OSError, CollectionError, TypeError):
        return None


def _introduce(folder: Path) -> None:
    me = Holder(os.getpid(), socket.gethostname(), time.time(), _command())
    with suppress(OSError):  # on a full disk the lock holds as well
        write_bytes(folder / _HOLDER, json.dumps(asdict(me)).encode(), durable=False, within=folder)


def _command() -> str:
    """Return what this process was called to do, without its paths."""
    script = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    if script in ("dinoscope", "dinoscope.exe", "__main__.py", "cli.py") and len(sys.argv) > 1:
        return sys.argv[1]
    return script if script != "-c" else "python"


def _who(folder: Path) -> str:
    return str(holder(folder) or "which one is not known")
