"""Checksums inside the files of a collection: written last, checked before anything in a file is used.

Both kinds of file have them after one mark, which is there twice, as a key and before its value, so that damage to one
of the two does not make the file look like one from before there were checksums. A JSON file has one CRC-32, of all its
bytes with zeros in the place of the digits. A Parquet file has a CRC-32 of its first four bytes and its footer, with
zeros likewise, and one of each column chunk, so that reading one column reads and checks that column alone. The
footer is checked before it is parsed.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from io import BufferedIOBase
    from pathlib import Path

    import pyarrow.parquet as pq

__all__ = [
    "MARK",
    "FileContent",
    "blank",
    "chunk_checks",
    "chunks_of",
    "footer_checks",
    "seal_bytes",
    "seal_json",
    "seal_parquet",
    "unseal_bytes",
    "unseal_json",
]

MARK = "dinoscope.crc32"
_DIGITS = 8
_VALUE = re.compile(rb"dinoscope\.crc32=((?:[0-9a-f]{8})+)")
_JSON_TAIL = 80  # bytes that hold mark, value and the closing brace


def blank(checks: int) -> str:
    """Return the value of the mark before its digits are known: room for this many checksums."""
    return f"{MARK}={'0' * _DIGITS * checks}"


def seal_json(text: bytes) -> bytes:
    """Fill in the checksum of a JSON text that ends with the mark and a blank."""
    at = text.rindex(blank(1).encode()) + len(MARK) + 1
    return text[:at] + b"%08x" % zlib.crc32(text) + text[at + _DIGITS :]


def seal_bytes(content: bytes) -> bytes:
    """Return a content with its checksum behind it."""
    return content + f"{MARK}={zlib.crc32(content):08x}".encode()


def unseal_bytes(sealed: bytes) -> bytes | None:
    """Return a content without the checksum behind it; None if that is not there or does not fit."""
    content = sealed[: -len(blank(1))]
    return content if seal_bytes(content) == sealed else None


def unseal_json(text: bytes) -> bool:
    """Check a JSON text; False if it never had a checksum.

    Raises:
        ValueError: If it is damaged.
    """
    found = _find(text[-_JSON_TAIL:])
    if found is None:
        return False
    at, digits = found
    at += max(0, len(text) - _JSON_TAIL)
    if len(digits) != _DIGITS or int(digits, 16) != zlib.crc32(text[:at] + b"0" * _DIGITS + text[at + _DIGITS :]):
        raise ValueError("its checksum does not fit")
    return True


def seal_parquet(path: Path, metadata: pq.FileMetaData) -> None:
    """Fill in the checksums of a Parquet file whose footer holds the mark and a blank; ``metadata`` is its metadata."""
    with path.open("r+b") as file:
        content = FileContent(file)
        start = content.read_footer()
        sums = [zlib.crc32(content.read(begin, end)) for _, _, begin, end in chunks_of(metadata)]
        footer = bytearray(content.data[start:])
        at = footer.find(blank(1 + len(sums)).encode()) + len(MARK) + 1
        # the footer's checksum covers those of the chunks, so they come first
        footer[at + _DIGITS : at + _DIGITS * (1 + len(sums))] = b"".join(b"%08x" % each for each in sums)
        footer[at : at + _DIGITS] = b"%08x" % zlib.crc32(footer, zlib.crc32(content.data[:4]))
        file.seek(start)
        file.write(footer)


class FileContent:
    """What was read of a Parquet file so far, each byte at its place.

    It is read and never mapped: a file that shrinks while it is mapped ends the process. Zeros replace what was not
    read and take no memory.

    Attributes:
        data: The bytes of the whole file.
    """

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self.data = np.zeros(os.fstat(file.fileno()).st_size, np.uint8).data

    def read(self, begin: int, end: int) -> memoryview:
        """Read bytes and return them.

        Raises:
            ValueError: If the file has no such bytes.
        """
        if not 0 <= begin <= end <= len(self.data):
            raise ValueError("it names bytes that it does not have")
        self._file.seek(begin)
        if self._file.readinto(self.data[begin:end]) != end - begin:
            raise ValueError("it became shorter while it was read")
        return self.data[begin:end]

    def read_footer(self) -> int:
        """Read what its checksum is of: the first four bytes, and the footer; return where that begins.

        Raises:
            ValueError: If it is not a Parquet file.
        """
        size = len(self.data)
        if size < 12 or bytes(self.read(size - 4, size)) != b"PAR1":
            raise ValueError("it does not end as a Parquet file does")
        start = size - 8 - int.from_bytes(self.read(size - 8, size - 4), "little")
        if start < 4:
            raise ValueError("its footer has no possible length")
        self.read(0, 4)
        self.read(start, size)
        return start


def footer_checks(content: FileContent) -> list[int] | None:
    """Read and check the footer of a Parquet file before it is parsed.

    Returns:
        The checksums of the column chunks, in the order of ``chunks_of``; None if the file never had any.

    Raises:
        ValueError: If the footer is damaged.
    """
    footer = bytes(content.data[content.read_footer() :])
    found = _find(footer)
    if found is None:
        return None
    at, digits = found
    without = footer[:at] + b"0" * _DIGITS + footer[at + _DIGITS :]
    if int(digits[:_DIGITS], 16) != zlib.crc32(without, zlib.crc32(content.data[:4])):
        raise ValueError("the checksum of its footer does not fit")
    return [int(digits[begin : begin + _DIGITS], 16) for begin in range(_DIGITS, len(digits), _DIGITS)]


def chunk_checks(
    content: FileContent,
    metadata: pq.FileMetaData,
    sums: Sequence[int],
    columns: Sequence[str] | None,
    groups: Sequence[int] | None,
) -> None:
    """Read and check column chunks.

    Raises:
        ValueError: If one of them is damaged.
    """
    for (group, name, begin, end), expected in zip(chunks_of(metadata), sums, strict=True):
        wanted = (columns is None or name in columns) and (groups is None or group in groups)
        if wanted and zlib.crc32(content.read(begin, end)) != expected:
            raise ValueError(f"the checksum of its column {name!r} does not fit")


def chunks_of(metadata: pq.FileMetaData) -> Iterator[tuple[int, str, int, int]]:
    """Yield row group, column, first and last byte (exclusive) of every column chunk of a Parquet file."""
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            begin = chunk.dictionary_page_offset or chunk.data_page_offset
            yield group, chunk.path_in_schema.split(".")[0], begin, begin + chunk.total_compressed_size


def _find(text: bytes) -> tuple[int, bytes] | None:
    """Return where the digits after the mark begin, and the digits; None without the mark."""
    marks = text.count(MARK.encode())
    if marks == 0:
        return None
    found = _VALUE.search(text)
    if found is None or marks != 2:
        raise ValueError("its checksum cannot be read")
    return found.start(1), found.group(1)
