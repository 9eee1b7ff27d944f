"""Images inside tar and zip archives, read where they lie: nothing is ever unpacked or written."""

from __future__ import annotations

import io
import posixpath
import re
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

from dinoscope.base.digests import digest_bytes
from dinoscope.base.splits import named_splits
from dinoscope.base.text import printable
from dinoscope.errors import ImageError, SourceError, UnreadableError
from dinoscope.sources.archives.index import ARCHIVES, Member, read_index
from dinoscope.sources.base import PictureSource
from dinoscope.sources.captions import MOST_LETTERS, describe_captions, look_like_captions
from dinoscope.sources.filesystems import MAX_BYTES, OpenFiles, Storage
from dinoscope.sources.folders import BY_NAMES, FolderRule, read_folders, splits_of_files
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import METADATA, describe_endings, ending_of
from dinoscope.sources.pixels.formats import check_head
from dinoscope.sources.pixels.memory import MOST_PACKED, packed_too_small

__all__ = ["ArchiveSource"]

_OPEN = 32  # archives held open at once
_NUMBERS = (("offset", "Q"), ("stored", "Q"), ("size", "Q"), ("method", "i"), ("crc", "L"))  # kept of each member
_PIECE = 1 << 18  # bytes unpacked at once: what a header takes, and no copy of the whole
_LOCAL_HEADER = 30  # bytes before the names in a zip file's header of one member


class ArchiveSource(PictureSource):
    """The images in one archive, or in several that belong together (WebDataset's shards), in the archives' order.

    Labels and splits come from the folders inside, as for `FolderSource`; in a tar also from the files beside an image
    that WebDataset knows: ``7.jpg`` with ``7.cls``, ``7.json`` or ``7.txt``. Where shards are called after splits
    ("train-0000.tar"), that is the split. Where nothing says what the images show, the names of several archives do
    ("cats.zip" and "dogs.zip"). Of members with the same name the last one counts, as if unpacked.

    Args:
        storage: The folder that holds the archives.
        archives: Their names.
        named: Whether one was named as such. Otherwise its name is part of the ids, since more may follow later.

    Attributes:
        ignored: Number of other files inside.
        ignored_endings: How many of them have which ending.
        notes: What a person should know: members left out, archives cut short.
        tables: Ids of the tables inside that may speak for the images (see `add_metadata`).

    Raises:
        SourceError: An archive cannot be read, or they hold no images.
    """

    kind = "archive"

    def __init__(self, storage: Storage, archives: Sequence[str], *, named: bool, rule: FolderRule = BY_NAMES) -> None:
        self._archives, self.name = list(archives), printable(archives[0]) if named else storage.name
        self._open = OpenFiles(storage.open, _OPEN)
        self._columns = {key: array(code) for key, code in (("archive", "L"), *_NUMBERS)}
        self._ignored, self._remarks = Counter[str](), Counter[str]()
        self.ignored_endings = self._ignored
        self.tables: dict[str, dict[str, int]] = {}
        listed = _Names(not named)
        for number, (archive, split) in enumerate(zip(self._archives, splits_of_files(self._archives), strict=True)):
            self._add(number, archive, listed, split if rule.splits is None else None)
        self.items = self._items = Items(listed.items(rule))
        self._drop_doubles()
        if not len(self._items):
            others = describe_endings(self.ignored_endings) or "nor other files"
            nested = any(self.ignored_endings[ending] for ending in (*ARCHIVES, ".gz", ".tgz", ".rar"))
            remedy = "; it holds other archives: unpack it, and name the folder that they are in" if nested else ""
            raise SourceError(f"no images in {self.name!r} ({others}){remedy}")
        remarks = [f"{text} ({count:,})" if count > 1 else text for text, count in self._remarks.items()]
        self.notes = [*remarks, *listed.notes]

    def _add(self, number: int, archive: str, listed: _Names, split: str | None) -> None:
        for member in read_index(self._open(archive), archive):
            if member.image:
                self._columns["archive"].append(number)
                for key, _ in _NUMBERS:
                    self._columns[key].append(getattr(member, key))
                listed.add(archive, member, split)
            elif member.remark:
                self._remarks[member.remark] += 1
            elif not member.used:
                if posixpath.basename(member.name).lower() in METADATA:
                    id = _member_id(archive, member.name, listed.several)
                    self.tables[id] = {"archive": number, **{key: getattr(member, key) for key, _ in _NUMBERS}}
                self._ignored[ending_of(member.name)] += 1

    def _drop_doubles(self) -> None:
        last: dict[str, int] = {}
        doubled = self._items.doubled().tolist()
        for index in doubled:
            last[self._items.name(index)] = index
        dropped = {index for index in doubled if last[self._items.name(index)] != index}
        if dropped:
            kept = [index for index in range(len(self._items)) if index not in dropped]
            self.items = self._items = Items(self._items[index] for index in kept)
            for key, column in self._columns.items():
                self._columns[key] = array(column.typecode, (column[index] for index in kept))
            self._remarks["a member is there more than once; its last copy counts"] = len(dropped)

    def bytes_read(self, index: int) -> int:
        """Return how large one member is; see `PictureSource.bytes_read`."""
        return self._columns["size"][index] + self._columns["stored"][index]

    def file_size(self, index: int) -> int:
        """Return the size of one member; see `ImageSource.file_size`."""
        return self._columns["size" if self._columns["method"][index] >= 0 else "stored"][index]

    def picture(self, index: int) -> bytes:
        """Return the bytes of one member; see `ImageSource.picture`."""
        return self._content({key: column[index] for key, column in self._columns.items()})

    def table(self, id: str) -> bytes:
        """Return the bytes of one of `tables`.

        Raises:
            ImageError: As for `picture`.
        """
        return self._content(self.tables[id])

    def _content(self, member: dict[str, int]) -> bytes:
        if (most := max(member["size"], member["stored"])) > MAX_BYTES:
            raise ImageError(f"has {most >> 20} MB, expected at most {MAX_BYTES >> 20}")
        try:
            file = self._open(self._archives[member["archive"]])
            offset = member["offset"]
            if member["method"] >= 0:
                offset += _header_length(file.read_at(_LOCAL_HEADER, offset))
            content: bytes = file.read_at(member["stored"], offset)
        except (OSError, SourceError) as error:
            raise UnreadableError(f"cannot be read: {error}") from None
        if len(content) < member["stored"]:
            raise ImageError("damaged: the archive ends within it")
        return content if member["method"] < 0 else _unpacked(content, member)


class _Names:
    """What is gathered of the members until all are known, and with them whether their folders are splits."""

    def __init__(self, several: bool) -> None:
        self.several = several  # archives, whose names are then part of the ids
        self.notes: list[str] = []
        self._names: list[str] = []
        self._archive_of: list[str] = []
        self._stamps = array("Q")  # digests of them
        self._labels: list[str | None] = []
        self._sets: list[tuple[str, ...]] = []
        self._texts: list[str | None] = []
        self._splits: list[str | None] = []

    def add(self, archive: str, member: Member, split: str | None) -> None:
        self._names.append(member.name)
        self._archive_of.append(archive)
        self._stamps.append(int(digest_bytes(member.stamp), 16))
        self._labels.append(member.label)
        self._sets.append(member.labels)
        self._texts.append(member.text)
        self._splits.append(split or member.split)

    def items(self, rule: FolderRule) -> Iterator[Item]:
        in_folders = list(map(self._in_folders, range(len(self._names)))) if self.several else self._names
        folders = read_folders(in_folders, rule)
        self.notes = folders.notes
        self._set_captions_apart(rule)
        several = rule.labels == "auto" and any(self._sets)
        is_told = several or any(self._labels) or any(label is not None for label, _ in folders.of.values())
        named = {} if is_told or rule.labels == "none" else _labels_of_archives(set(self._archive_of))
        for index, path in enumerate(in_folders):
            id = _member_id(self._archive_of[index], self._names[index], self.several)
            label, split = folders[path]
            label = (self._labels[index] if rule.labels == "auto" else None) or label
            label = label or named.get(self._archive_of[index])
            labels = self._sets[index] or ((label,) if label is not None else ())
            yield Item(
                id,
                digest_bytes(id, f"{self._stamps[index]:016x}"),
                None if several else label,
                split or self._splits[index],
                self._texts[index],
                labels if several else (),
            )

    def _set_captions_apart(self, rule: FolderRule) -> None:
        """Make labels of texts that are some, and captions of labels that are none."""
        captions = look_like_captions(self._texts)
        if captions:
            self.notes.append(describe_captions("the texts beside the images", self._texts))
        if rule.labels == "auto" and look_like_captions(self._labels):
            self.notes.append(describe_captions("the labels beside the images", self._labels))
            self._texts = [text or label for text, label in zip(self._texts, self._labels, strict=True)]
            self._labels = [None] * len(self._labels)
        for index, text in enumerate(() if captions else self._texts):
            # a folder's name is the better label
            if text and self._labels[index] is None and "/" not in self._names[index] and len(text) <= MOST_LETTERS:
                self._labels[index], self._texts[index] = text, None

    def _in_folders(self, index: int) -> str:
        folder, slash, _ = self._archive_of[index].rpartition("/")
        return folder + slash + self._names[index]


def _labels_of_archives(archives: set[str]) -> dict[str, str]:
    """Return a label for each of some archives, as if each was unpacked beside the others; none where they are parts.

    Parts differ by a number alone, or are splits.
    """
    stems = {archive: posixpath.splitext(posixpath.basename(archive))[0] for archive in archives}
    words = {re.sub(r"[\W\d_]+", "", stem) for stem in stems.values()}
    if len(archives) < 2 or len(words) < len(archives) or "" in words or named_splits(stems.values()):
        return {}
    return stems


def _member_id(archive: str, name: str, several: bool) -> str:
    return f"{archive}/{name}" if several else name


def _header_length(header: bytes) -> int:
    if len(header) < _LOCAL_HEADER or not header.startswith(b"PK\x03\x04"):
        raise ImageError("damaged: the archive has something else in its place")
    return _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")


def _unpacked(content: bytes, member: dict[str, int]) -> bytes:
    if member["method"] == zlib.DEFLATED:
        if packed_too_small(member["size"], member["stored"]):
            sizes = f"{member['size'] >> 20} MB from {member['stored'] >> 10:,} kB"
            raise ImageError(f"unpacks to {sizes}, expected at most {MOST_PACKED} times as much")
        try:
            content = _inflated(content, member["size"])
        except zlib.error as error:
            raise ImageError(f"damaged: {error}") from None
    elif member["method"] != 0:
        raise ImageError("is encrypted or compressed in a way that is not read, expected a stored or deflated file")
    if len(content) != member["size"] or zlib.crc32(content) != member["crc"]:
        raise ImageError("damaged: it is not what the archive says")
    return content


def _inflated(content: bytes, size: int) -> bytes:
    """Unpack a member, unless its first bytes say that this is of no use; a byte more than its size shows a lie."""
    unpacking, unpacked = zlib.decompressobj(-zlib.MAX_WBITS), io.BytesIO()
    part, last = unpacking.decompress(content, min(_PIECE, size + 1)), False
    if size > _PIECE:
        check_head(part, size)
    while not last:
        unpacked.write(part)
        wanted = min(_PIECE, size + 1 - unpacked.tell())
        part = unpacking.decompress(unpacking.unconsumed_tail, wanted) if wanted else b""
        last = not part
    return unpacked.getvalue()
