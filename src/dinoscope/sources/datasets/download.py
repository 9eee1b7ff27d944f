"""Files of data sets, fetched once and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock
from platformdirs import user_cache_path

from dinoscope.errors import DownloadError
from dinoscope.sources.datasets.files import DataFile, Dataset, check_archive

__all__ = ["TIMEOUT_S", "cache_folder", "obtain"]

TIMEOUT_S = 30.0
_Content = TypeVar("_Content")  # of a file, once it is read and checked


def cache_folder() -> Path:
    """Return the folder of the user's cache that holds data sets, each in a folder of its own."""
    return user_cache_path("dinoscope") / "datasets"


def obtain(
    paths: Iterable[Path], read: Callable[[Path], _Content], file: DataFile, dataset: Dataset, mirrors: Sequence[str]
) -> _Content:
    """Read what is wanted from the first of the paths that holds it, else fetch it."""
    damaged = []
    for path in paths:
        try:
            return read(path)
        except ValueError as error:
            damaged.append(f"{path}: {error}")
        except OSError:  # not here
            continue
    return _download(read, file, dataset, mirrors, damaged)


def _download(
    read: Callable[[Path], _Content], file: DataFile, dataset: Dataset, mirrors: Sequence[str], reasons: Sequence[str]
) -> _Content:
    """Fetch a file into the user's cache from the first mirror with a complete one; `reasons` say why it is needed."""
    folder, reasons = cache_folder() / dataset.folder, list(reasons)
    for mirror in mirrors:
        try:
            return _fetch(f"{mirror.rstrip('/')}/{file.name}", file, folder / file.name, read)
        except (OSError, HTTPException, ValueError) as error:
            cause: object = error
            if isinstance(error, HTTPError):
                error.close()  # it is also the answer, with an open socket
            elif isinstance(error, URLError):
                cause = error.reason
            reasons.append(f"{urlsplit(mirror).hostname}: {' '.join(str(cause).split())[:200]}")
    ways = [f"put it into {folder}", "set DINOSCOPE_DATA to its folder"]
    ways += [f"install Debian's {dataset.package}"] if dataset.package else []
    shipped = "; fashion-mnist-test ships with dinoscope" if dataset.name != "fashion-mnist-test" else ""
    raise DownloadError(
        f"could not fetch {file.name} ({'; '.join(reasons)}); {', '.join(ways[:-1])}, or {ways[-1]}{shipped}"
    )


def _fetch(url: str, file: DataFile, target: Path, read: Callable[[Path], _Content]) -> _Content:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with FileLock(target.with_name(f".{target.name}.lock")):  # two processes may fetch
        with suppress(OSError, ValueError):
            return read(target)  # the other one was first
        _transfer(url, file, part)
        try:
            if file.bytes == file.packed_bytes:  # an archive, of which `read` may need a part
                check_archive(part, file)
            content = read(part)
        except ValueError:
            part.unlink()
            raise
        os.replace(part, target)
        return content


def _transfer(url: str, file: DataFile, part: Path) -> None:
    """Fetch a file, going on where an earlier run was cut; if there is no going on, from its beginning."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "dinoscope"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT_S) as answer:  # noqa: S310  # a data set's own
            have = have if answer.status == 206 else 0  # a server may send the whole
            length = answer.headers.get("Content-Length")
            with part.open("ab" if have else "wb") as out, _progress(file, have) as advance:
                received = have
                while chunk := answer.read(1 << 16):
                    received += out.write(chunk)
                    advance(len(chunk))
                    if received > file.bytes:  # packed, it must be smaller than unpacked
                        raise ValueError(f"too large, expected {file.packed_bytes} bytes")
                out.flush()
                os.fsync(out.fileno())
    except (HTTPError, ValueError) as error:
        if getattr(error, "code", 416) != 416:
            raise
        part.unlink(missing_ok=True)  # no such range, or too large: to go on would fail again
        if not (have and isinstance(error, HTTPError)):
            raise
        error.close()
        _transfer(url, file, part)
        return
    if length and received != have + int(length):
        raise HTTPException(f"cut short, {received} of {have + int(length)} bytes; another try goes on there")


@contextmanager
def _progress(file: DataFile, have: int) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(file.name, total=file.packed_bytes, completed=have)
        yield lambda count: bar.advance(task, count)
