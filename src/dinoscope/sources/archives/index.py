"""What is in a tar or zip archive: one pass over the headers, without the images' bytes."""

from __future__ import annotations

import io
import re
import stat
import struct
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dinoscope.base.splits import split_role
from dinoscope.base.text import printable
from dinoscope.base.typed import parse_json
from dinoscope.errors import SourceError
from dinoscope.sources.filesystems import is_hidden
from dinoscope.sources.names import SUFFIXES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ARCHIVES", "PACKED_TARS", "Member", "read_index"]

ARCHIVES = (".tar", ".zip")
PACKED_TARS = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_LABEL_FILES = (".cls", ".json", ".txt")
_BUFFER = 1 << 18  # bytes read at once while looking for headers: far fewer requests to a server
_LABEL_FIELDS = ("label", "labels", "cls", "class", "class_name", "tags", "categories")
_LABEL_BYTES = 1 << 16  # of a file that holds a label, at most
_CAPTION, _SPLIT = "caption", "split"  # fields of a .json
_DRIVE = re.compile(r"[A-Za-z]:")
_UNREADABLE = 255  # a method that no zip file has
_UNIX, _UTF8 = 3, 0x800  # who made a zip; the flag of a name in UTF-8
_SHARED = "images with one name up to the first dot share a {suffix} file, as WebDataset has it"
_LINK = "a link inside the archive is left out"
_LARGEST = (1 << 63) - 1  # size or offset that a file can have


@dataclass(slots=True)
class Member:
    """One file inside.

    Attributes:
        name: Its path, made harmless: relative, without "..".
        image: Whether it is to be read.
        remark: Why it is left out, where a person should know.
        stamp: Changes with the content.
        offset: Where it begins (a tar's bytes, a zip's local header).
        stored: Bytes in the archive.
        size: Bytes of the file.
        method: A zip's compression method; -1 in a tar.
        crc: A zip's CRC-32 of the file.
        content: Of a small file that may hold a label.
        label: From the .cls or .json file beside it.
        labels: From the .json file beside it, where it has a list of them.
        split: From the .json file beside it.
        text: From the .txt file beside it, or the caption in its .json.
        used: Whether an image's label or text comes from this file.
    """

    name: str
    image: bool = False
    remark: str = ""
    stamp: str = ""
    offset: int = 0
    stored: int = 0
    size: int = 0
    method: int = -1
    crc: int = 0
    content: bytes = b""
    label: str | None = None
    labels: tuple[str, ...] = ()
    split: str | None = None
    text: str | None = None
    used: bool = False


@dataclass(frozen=True, slots=True)
class _Told:
    """What a file beside an image says about it."""

    label: str | None = None
    labels: tuple[str, ...] = ()
    text: str | None = None
    split: str | None = None


def read_index(file: pa.NativeFile, name: str) -> Iterator[Member]:
    """Yield the members of an archive.

    Args:
        file: The archive as pyarrow's NativeFile; its position is moved.
        name: Its name.

    Raises:
        SourceError: It is not an archive, or its list of contents is lost.
    """
    file.seek(0)
    if file.read(4) in (b"PK\x03\x04", b"PK\x05\x06"):
        return _zip_members(file, name)
    return _labelled(_tar_members(file, name))


def _zip_members(file: pa.NativeFile, name: str) -> Iterator[Member]:
    infos, end = _zip_infos(file, name), file.size()
    infos.reverse()
    while infos:  # each is freed once it is taken
        info = infos.pop()
        member = _member(_zip_name(info))
        if info.is_dir() or not member.name:
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            member.image, member.remark = False, _LINK if member.image else ""
        member.stamp, member.crc = f"{info.CRC} {info.file_size}", info.CRC
        member.offset = min(max(info.header_offset, 0), end)  # a damaged zip may say anything; nothing is at its end
        member.stored, member.size = info.compress_size, info.file_size
        member.method = _UNREADABLE if info.flag_bits & 0x1 else info.compress_type
        yield member


def _zip_name(info: zipfile.ZipInfo) -> str:
    name = info.filename
    if info.create_system == _UNIX and not info.flag_bits & _UTF8:
        with suppress(UnicodeError):  # zip on Linux and macOS writes UTF-8 and does not say so; zipfile reads cp437
            name = name.encode("cp437").decode()
    return name.replace("\\", "/")


def _zip_infos(file: pa.NativeFile, name: str) -> list[zipfile.ZipInfo]:
    try:
        return zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(
            f"{name} is damaged or cut: the list at its end, which says what is inside, cannot be read ({reason}); "
            f"copy it again, or mend it: zip -FF {name} --out mended.zip"
        ) from None


def _tar_members(file: pa.NativeFile, name: str) -> Iterator[Member]:
    whole, found = file.size(), 0
    file.seek(0)
    buffered = io.BufferedReader(file, _BUFFER)
    try:
        with tarfile.open(fileobj=buffered, mode="r:") as opened:
            while (info := opened.next()) is not None:
                opened.members = []  # type: ignore[attr-defined]  # it would keep them all
                if info.isdir() or not (member := _tar_member(opened, info)).name:
                    continue
                if not 0 <= member.size <= _LARGEST:
                    raise tarfile.ReadError("a file in it has a size that no file has")
                yield member
                found += 1
                if member.offset + member.size > whole:
                    raise tarfile.ReadError("it ends within the last one")
            if file.read_at(tarfile.BLOCKSIZE, opened.offset) != bytes(tarfile.BLOCKSIZE):  # tarfile stops silently
                raise tarfile.ReadError("what follows is not a tar")
    except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, MemoryError) as error:
        if not found:
            raise SourceError(f"{name} is not an archive that can be read, expected tar or zip: {error}") from None
        yield Member("", remark=f"{name} is damaged or cut after {found:,} files ({error}): those before are used")
    finally:
        buffered.detach()  # it would close the file


def _tar_member(opened: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    member = _member(printable(info.name))
    if not info.isreg() or info.issparse():
        member.image, member.remark = False, _LINK if member.image else ""
    elif member.name.lower().endswith(_LABEL_FILES) and info.size <= _LABEL_BYTES:
        content = opened.extractfile(info)  # now, while it is in the buffer
        member.content = content.read() if content else b""
    member.stamp = f"{info.size} {info.mtime}"
    member.offset, member.stored, member.size = info.offset_data, info.size, info.size
    return member


def _member(name: str) -> Member:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    if len(parts) > 1 and _DRIVE.fullmatch(parts[0]):  # of Windows
        del parts[0]
    hidden = any(is_hidden(part) for part in parts)
    return Member("" if hidden else "/".join(parts), image=not hidden and name.lower().endswith(SUFFIXES))


def _labelled(members: Iterator[Member]) -> Iterator[Member]:
    """Give images the label that is in the files beside them: WebDataset keeps what belongs together in a row.

    There, a sample is all that has the same name up to the first dot.
    """
    group: list[Member] = []
    key = ""
    for member in members:
        folder, slash, base = member.name.rpartition("/")
        own = folder + slash + base.split(".")[0]
        if own != key:
            yield from _with_label(group)
            group, key = [], own
        group.append(member)
    yield from _with_label(group)


def _with_label(group: list[Member]) -> Iterator[Member]:
    images = [member for member in group if member.image]
    for suffix in _LABEL_FILES if images and len(group) > 1 else ():
        files = [member for member in group if not member.image and member.name.lower().endswith(suffix)]
        read = {file.name: _parse(suffix, file.content.decode("utf-8", "replace")) for file in files}
        owners = Counter[str]()
        for image, file in _belonging(images, files):
            owners[file.name] += 1
            told = read[file.name]
            file.used |= told != _Told()
            image.label, image.labels = image.label or told.label, image.labels or told.labels
            image.text, image.split = image.text or told.text, image.split or told.split
        if any(count > 1 for count in owners.values()):
            yield Member("", remark=_SHARED.format(suffix=suffix))
    yield from group


def _belonging(images: Sequence[Member], files: Sequence[Member]) -> Iterator[tuple[Member, Member]]:
    """Yield images and the file of each, where its name says so: "a.left.jpg" has "a.left.cls", else "a.cls".

    A file that is not an image's by its name is that of all, if it is the only one, as in WebDataset.
    """
    exact = {_stem(file): file for file in files}
    longer = {stem[:depth]: file for stem, file in exact.items() for depth in range(1, len(stem))}
    alone = len(files) == 1 and not any(_stem(image)[:depth] in exact for image in images for depth in _depths(image))
    for image in images:
        found = next((exact[_stem(image)[:depth]] for depth in _depths(image) if _stem(image)[:depth] in exact), None)
        found = found or longer.get(_stem(image)) or (files[0] if alone else None)
        if found is not None:
            yield image, found


def _stem(member: Member) -> tuple[str, ...]:
    return tuple(member.name.rpartition("/")[2].split(".")[:-1])


def _depths(member: Member) -> range:
    return range(len(_stem(member)), 0, -1)


def _parse(suffix: str, text: str) -> _Told:
    """Return what a file beside an image says."""
    if suffix == ".txt":
        return _Told(text=_one_line(text))
    if suffix == ".cls":
        lines = text.strip().splitlines()
        return _Told(label=lines[0]) if len(lines) == 1 else _Told(labels=tuple(lines))
    try:
        held = parse_json(text)
    except ValueError:
        return _Told()
    if not isinstance(held, dict):
        return _Told(label=_label(held))
    found = next((held[field] for field in _LABEL_FIELDS if field in held), None)
    several = tuple(each for each in map(_label, found) if each is not None) if isinstance(found, list) else ()
    split, caption = held.get(_SPLIT), held.get(_CAPTION)
    return _Told(
        label=_label(found),
        labels=several,
        text=_one_line(caption) if isinstance(caption, str) else None,
        split=split if isinstance(split, str) and split_role(split) is not None else None,
    )


def _label(held: object) -> str | None:
    return printable(str(held)) if isinstance(held, str | int) and not isinstance(held, bool) else None


def _one_line(text: str) -> str | None:
    return " ".join(printable(text).split()) or None
