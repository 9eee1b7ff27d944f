"""A folder, or prefix, of a file system that pyarrow reaches: S3, Google Cloud, HDFS."""

from __future__ import annotations

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from dinoscope.errors import ImageError, SourceError, UnreadableError
from dinoscope.sources.filesystems.base import MARKS, MAX_BYTES, Listing, is_hidden, is_pattern, split_pattern
from dinoscope.sources.names import ending_of, sort_naturally

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

__all__ = ["RemoteStorage", "open_storage"]

_SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "file", "abfs", "abfss")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_LOOK_UP = 1000  # files whose sizes are asked for at once


class RemoteStorage:
    """A folder, or prefix, of one of pyarrow's file systems."""

    def __init__(self, system: fs.FileSystem, root: str, shown: str, secrets: Sequence[str] = ()) -> None:
        self._system, self._root, self._shown = system, root.rstrip("/"), shown
        self._secrets = [each for each in (*secrets, *map(os.environ.get, _SECRETS)) if each]
        self.name = self._root.rpartition("/")[2] or shown
        self.place = shown

    def below(self, path: str) -> str | None:
        """See `Storage.below`."""
        roots = (f"{self._shown.rstrip('/')}/", f"{self._root}/")
        return next((path[len(root) :] for root in roots if path.startswith(root)), None)

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """See `Storage.list`."""
        from pyarrow.fs import FileSelector, FileType

        try:
            infos = self._system.get_file_info(FileSelector(self._root, recursive=True))
        except (OSError, ValueError) as error:
            raise SourceError(f"cannot list {self._shown}: {self._reason(error)}") from None
        names: list[str] = []
        sizes, times = array("q"), array("q")
        ignored: Counter[str] = Counter()
        marks = [info.path[len(self._root) :].lstrip("/") for info in infos if info.base_name in MARKS]
        collections = _collections(marks)
        infos.reverse()
        while infos:  # each is freed once it is taken
            info = infos.pop()
            name = info.path[len(self._root) :].lstrip("/")
            if info.type != FileType.File or any(is_hidden(part) for part in name.split("/")):
                continue
            if name.startswith(collections):
                continue
            if name.lower().endswith(suffixes):
                names.append(name)
                sizes.append(info.size or 0)
                times.append(info.mtime_ns or 0)
            else:
                ignored[ending_of(name)] += 1
        listed = {name: place for place, name in enumerate(names)}
        sort_naturally(names)
        order = array("q", (listed[name] for name in names))
        return names, (f"{sizes[place]} {times[place]}" for place in order), ignored

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """See `Storage.stamps`."""
        for start in range(0, len(names), _LOOK_UP):
            some = [f"{self._root}/{name}" for name in names[start : start + _LOOK_UP]]
            try:
                infos = self._system.get_file_info(some)
            except (OSError, ValueError) as error:
                raise SourceError(f"cannot look up files of {self._shown}: {self._reason(error)}") from None
            for info in infos:
                yield "" if info.size is None else f"{info.size} {info.mtime_ns or 0}"

    def picture(self, name: str) -> bytes:
        """See `Storage.picture`."""
        try:
            with self._system.open_input_file(f"{self._root}/{name}") as file:
                if file.size() > MAX_BYTES:
                    raise ImageError(f"has {file.size() >> 20} MB, expected at most {MAX_BYTES >> 20}")
                content: bytes = file.read()
        except OSError as error:
            raise UnreadableError(f"cannot be read: {self._reason(error)}") from None
        return content

    def open(self, name: str) -> pa.NativeFile:
        """See `Storage.open`."""
        try:
            return self._system.open_input_file(f"{self._root}/{name}")
        except (OSError, ValueError) as error:
            raise SourceError(f"{name!r} cannot be read: {self._reason(error)}") from None

    def _reason(self, error: Exception) -> str:
        reason = " ".join(str(error).split())
        if self._root:  # of file:// it is a path of this machine, and reasons are stored
            reason = reason.replace(self._root, self.name)
        return _scrub(reason, self._secrets)


def open_storage(uri: str) -> tuple[RemoteStorage, str | None, str | None]:
    """Reach a URI such as "s3://bucket/photos", with the credentials that pyarrow finds by itself.

    Returns:
        The folder, and the name of the file in it if the URI is that of a file, or the pattern of files in it.

    Raises:
        SourceError: The scheme is unknown, or nothing is there.
    """
    parts = urlsplit(uri)
    scheme, host = parts.scheme.lower(), parts.netloc.rpartition("@")[2]
    path = unquote(parts.path) + (f"#{parts.fragment}" if parts.fragment else "")
    shown = f"{scheme}://{host}{path}"
    if scheme not in _SCHEMES:
        way = "; download it first, and name the file or folder" if scheme in ("http", "https", "ftp") else ""
        raise SourceError(f"cannot open {shown!r}: expected s3://, gs://, hdfs:// or file://, or a path{way}")
    if not host and scheme not in ("file", "hdfs", "viewfs"):
        raise SourceError(f"{shown!r} names no bucket: expected {scheme}://BUCKET/PREFIX")
    user = parts.netloc.rpartition("@")[0]
    secrets = [each for raw in (user, *user.split(":")) if raw for each in (raw, unquote(raw))]
    query = dict(parse_qsl(parts.query))
    if scheme in ("gs", "gcs"):
        query.setdefault("retry_limit_seconds", "30")  # instead of 15 minutes
    netloc = quote(parts.netloc, safe="@:%[]")
    from pyarrow.fs import FileSystem, FileType

    full = f"{scheme}://{netloc}{quote(path, safe='/')}" + (f"?{urlencode(query)}" if query else "")
    try:
        system, root = FileSystem.from_uri(full)
        try:
            found = system.get_file_info(root).type  # first of all: a name may have brackets
        except OSError:  # Windows has no such names; and a server may give files and not say which there are
            if not is_pattern(path):
                raise
            found = FileType.NotFound
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split()).replace(full, shown).replace(uri, shown)
        raise SourceError(f"cannot open {shown}: {_scrub(reason, secrets)}") from None
    if found == FileType.NotFound and is_pattern(path):
        folder, pattern = split_pattern(root)
        return RemoteStorage(system, folder, shown, secrets), None, pattern
    if found == FileType.NotFound:
        raise SourceError(f"nothing is at {shown}: expected a folder of images, an archive or a table")
    if found == FileType.File:
        folder, _, name = root.rpartition("/")
        return RemoteStorage(system, folder, shown.rpartition("/")[0], secrets), name, None
    return RemoteStorage(system, root, shown, secrets), None, None


def _collections(marks: Iterable[str]) -> tuple[str, ...]:
    """Return how the names of all files in collections begin, from the files that mark one."""
    held = Counter(name[: name.rfind("/") + 1] for name in marks)
    return tuple(folder for folder, count in held.items() if count > 1)


def _scrub(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(_is_secret, secrets), key=len, reverse=True):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text[:300]


def _is_secret(text: str) -> bool:
    return len(text) > 3  # shorter ones are parts of ordinary words
