"""Files below one folder: of this machine, or of a file system that pyarrow reaches (S3, Google Cloud, HDFS)."""

from __future__ import annotations

import os
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from dinoscope.base.paths import named_path
from dinoscope.base.text import printable
from dinoscope.errors import ImageError, SourceError, UnreadableError
from dinoscope.sources.names import ending_of, sort_naturally

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import fs

__all__ = [
    "COLLECTION",
    "MAX_BYTES",
    "Listing",
    "LocalStorage",
    "OpenFiles",
    "RemoteStorage",
    "Storage",
    "is_hidden",
    "is_pattern",
    "is_remote",
    "open_root",
    "open_storage",
    "split_pattern",
]

COLLECTION = frozenset({"collection.json", "images.parquet"})
_MARKS = COLLECTION | {"images.parquet.bak"}  # one alone may be anybody's, and a damaged collection may lack some
_FOLDERS = frozenset({"details", "vectors"})
MAX_BYTES = 5 << 27  # of one image file that is read whole, 640 MiB: 100 million pixels of 16-bit RGB take 572
_SCHEMES = ("s3", "gs", "gcs", "hdfs", "viewfs", "file", "abfs", "abfss")
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_LOOK_UP = 1000  # files whose sizes are asked for at once
_WILD = re.compile(r"[*?{]|\[[^/\\]+\]")
Opened = TypeVar("Opened")
Listing: TypeAlias = tuple[list[str], Iterable[str], Counter[str]]  # names, stamps, endings of the other files


class Storage(Protocol):
    """The files below one folder; their names are relative, with "/"."""

    @property
    def name(self) -> str:
        """The folder's own name, for people: no path of a machine, no credentials."""

    @property
    def place(self) -> str:
        """Where it is, for messages that are never stored."""

    def below(self, path: str) -> str | None:
        """Return the name of a file that is given by its whole path or URI; None if it is not in this folder."""

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """List the files that end with one of the suffixes, in natural order.

        Hidden ones do not exist, nor does a folder that is a collection: its pictures are results.

        Returns:
            Their names, the stamp of each (see `stamps`), and how many other files have which ending.

        Raises:
            SourceError: The folder cannot be listed.
        """

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """Yield size and time of each file, as a text that changes when it is written again; "" if it is gone."""

    def picture(self, name: str) -> str | bytes:
        """Return the path of a file of this machine, the bytes of any other.

        Raises:
            ImageError: It cannot be read.
        """

    def open(self, name: str) -> pa.NativeFile:
        """Open a file for reading anywhere (`read_at(nbytes, offset)`, from several threads) as pyarrow's NativeFile.

        Raises:
            SourceError: It cannot be read.
        """


class LocalStorage:
    """A folder of this machine."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = os.path.abspath(named_path(root))
        self.name = printable(os.path.basename(self._root)) or self._root
        self.place = printable(self._root)

    def below(self, path: str) -> str | None:
        """See `Storage.below`; a path may lead through links."""
        if not os.path.isabs(path):
            return None
        for whole, root in (
            (os.path.normpath(path), self._root),
            (os.path.realpath(path), os.path.realpath(self._root)),
        ):
            with suppress(ValueError):  # of two drives
                if os.path.commonpath([whole, root]) == root:
                    return os.path.relpath(whole, root).replace(os.sep, "/")
        return None

    def list(self, suffixes: tuple[str, ...]) -> Listing:
        """See `Storage.list`; links are followed, each folder once."""
        found, ignored = _walk(self._root, suffixes)
        sort_naturally(found)
        return found, self.stamps(found), ignored

    def stamps(self, names: Sequence[str]) -> Iterator[str]:
        """See `Storage.stamps`."""
        for name in names:
            try:
                status = os.stat(os.path.join(self._root, name))
            except (OSError, ValueError):  # a dangling link, or gone again: `load` will tell
                yield ""
            else:
                yield f"{status.st_size} {status.st_mtime_ns}"

    def picture(self, name: str) -> str:
        """See `Storage.picture`."""
        return os.path.join(self._root, name)

    def open(self, name: str) -> pa.NativeFile:
        """See `Storage.open`."""
        import pyarrow as pa

        path = os.path.join(self._root, name)
        if not os.path.isfile(path):  # opening a pipe would wait for ever
            raise SourceError(f"{printable(name)!r} is no regular file")
        try:
            return pa.OSFile(path)
        except UnicodeEncodeError:
            raise SourceError(f"{printable(name)!r} has a name that is no UTF-8: rename it") from None
        except OSError as error:  # its own text holds the whole path
            reason = os.strerror(error.errno) if error.errno else "the system refuses it"
            raise SourceError(f"{name!r} cannot be read: {reason}") from None


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
        marks = [info.path[len(self._root) :].lstrip("/") for info in infos if info.base_name in _MARKS]
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


class OpenFiles(Generic[Opened]):
    """Files by their names, each opened when it is first asked for; a pickled copy, of a worker, opens its own."""

    def __init__(self, opener: Callable[[str], Opened], most: int | None = None) -> None:
        """Say what opens one, and how many are held open: the last thread that reads a dropped one closes it."""
        self._arguments = (opener, most)
        self._open = lru_cache(most)(opener)

    def __call__(self, name: str) -> Opened:
        """Return the open file; what opens it may raise."""
        return self._open(name)

    def __reduce__(self) -> tuple[object, ...]:
        return OpenFiles, self._arguments


def is_pattern(path: str) -> bool:
    """Tell whether a path names several files: "shards/*.tar", "shards/{0000..0099}.tar"."""
    return _WILD.search(path) is not None


def split_pattern(path: str) -> tuple[str, str]:
    """Split a pattern, with "/", into the folder before the first part with a mark and the rest."""
    parts = path.split("/")
    first = next(number for number, part in enumerate(parts) if is_pattern(part))
    return "/".join(parts[:first]) + ("/" if first else "") or ".", "/".join(parts[first:])


def is_remote(source: str) -> bool:
    """Tell whether a name is a URI: "s3://bucket/photos"."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*://", source) is not None


def open_storage(uri: str) -> tuple[RemoteStorage, str | None, str | None]:
    """Reach a URI such as "s3://bucket/photos", with the credentials that pyarrow finds by itself.

    Returns:
        The folder; the name of the file in it, where the URI is one of a file; or the pattern of files in it.

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


def open_root(folder: str) -> Storage:
    """Open a folder, or a URI of one, that holds images.

    Raises:
        SourceError: It is no folder.
    """
    if is_remote(folder):
        storage, file, pattern = open_storage(folder)
        if file is None and pattern is None:
            return storage
    elif os.path.isdir(os.path.expanduser(folder)):
        return LocalStorage(os.path.expanduser(folder))
    raise SourceError(f"--image-root expects a folder that is there, got {folder!r}")


def _scrub(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(filter(_is_secret, secrets), key=len, reverse=True):
        text = text.replace(secret, "***").replace(quote(secret, safe=""), "***")
    return text[:300]


def _is_secret(text: str) -> bool:
    return len(text) > 3  # shorter ones are parts of ordinary words


# What macOS, Windows, Synology, QNAP and Linux put beside a person's files: no images, or copies of them.
_SYSTEM = frozenset(
    {
        *("__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin"),
        *("recycler", "system volume information", "@eadir", "#recycle", "@recycle", "#snapshot", "lost+found"),
    }
)


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder of this name does not exist for a source."""
    return name.startswith(".") or name.lower() in _SYSTEM


def _collections(marks: Iterable[str]) -> tuple[str, ...]:
    """Return how the names of all files in collections begin, from the files that mark one."""
    held = Counter(name[: name.rfind("/") + 1] for name in marks)
    return tuple(folder for folder, count in held.items() if count > 1)


def _walk(root: str, suffixes: tuple[str, ...]) -> tuple[list[str], Counter[str]]:
    """List the relative POSIX paths with one of the suffixes below a folder, and count the endings of other files."""
    found: list[str] = []
    ignored: Counter[str] = Counter()
    seen: set[str] = set()  # each folder once, or links that form a loop would never end
    folders: list[str] = [""]
    links: list[str] = []  # followed last: an image goes by its own path before it goes by a link's
    while folders or links:
        folder = folders.pop() if folders else links.pop(0)
        place = os.path.realpath(os.path.join(root, folder))
        if place in seen:
            continue
        seen.add(place)
        below: list[str] = []
        linked: list[str] = []
        others: Counter[str] = Counter()
        begin, marks, folders_of_one = len(found), 0, 0
        try:
            with os.scandir(place) as listing:
                for entry in listing:
                    if is_hidden(entry.name):
                        continue
                    path = folder + entry.name
                    marks += entry.name in _MARKS
                    folders_of_one += entry.name in _FOLDERS
                    if entry.name.lower().endswith(suffixes):
                        found.append(path)
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(path + "/")
                    elif entry.is_symlink() and os.path.isdir(entry.path):
                        linked.append(path + "/")
                    else:
                        others[ending_of(entry.name)] += 1
        except OSError as error:
            raise SourceError(f"cannot list the folder {printable(folder) or root!r}: {error.strerror}") from error
        if marks and marks + folders_of_one > 1:  # known only now: the order of a folder is anybody's guess
            del found[begin:]
            continue
        ignored.update(others)
        folders += sorted(below)
        links += sorted(linked)
    return found, ignored
