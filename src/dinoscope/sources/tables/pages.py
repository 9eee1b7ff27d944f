"""What the pages of a Parquet file say that they unpack to: memory is taken by that, and not by the file's footer.

Their headers are in Thrift's compact protocol, see
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md and Parquet's parquet.thrift.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["unpacked_bytes"]

_HEADER = 1 << 16  # bytes in which a page's header ends
_MOST_PAGES = 1 << 16  # of one column in one group of rows: more would only take time
_UNPACKED, _PACKED = 2, 3  # fields of a header
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCT = 1, 2, 3, 7, 8, 12  # kinds of values
_WHOLE, _LISTS = (4, 5, 6), (9, 10)
_DEEPEST = 8  # structs in structs of a header


def unpacked_bytes(read: Callable[[int, int], bytes], start: int, end: int) -> int:
    """Return the bytes that the pages between two places unpack to; those behind a damaged header do not count.

    Args:
        read: Returns this many bytes from a place.
        start: Where the first page begins.
        end: Where the last one ends.

    Raises:
        ValueError: There are more than 65,536 pages.
    """
    found = pages = 0
    while start < end:
        pages += 1
        if pages > _MOST_PAGES:
            raise ValueError(f"more than {_MOST_PAGES:,} pages")
        header = _Header(read(min(_HEADER, end - start), start))
        try:
            said = header.struct()
            unpacked, packed = said[_UNPACKED], said[_PACKED]
        except (IndexError, KeyError, ValueError):  # pyarrow cannot read it either
            break
        if unpacked < 0 or packed < 0:
            break
        found += unpacked
        start += header.at + packed
    return found


class _Header:
    """A reader of one header, which knows whole numbers and skips all else."""

    def __init__(self, content: bytes) -> None:
        self._content, self.at = content, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Read a struct and return its fields that are whole numbers."""
        if depth > _DEEPEST:
            raise ValueError("too deep")
        found: dict[int, int] = {}
        field = 0
        while mark := self._byte():
            kind, step = mark & 15, mark >> 4
            field = field + step if step else self._number()
            if kind in _WHOLE:
                found[field] = self._number()
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth)
        return found

    def _skip(self, kind: int, depth: int) -> None:
        if kind == _STRUCT:
            self.struct(depth + 1)
        elif kind in _WHOLE:
            self._varint()
        elif kind in (_TRUE, _FALSE, _BYTE):  # in a list a truth is a byte
            self.at += 1
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            self.at += self._varint()
        elif kind in _LISTS:
            mark = self._byte()
            for _ in range(self._varint() if mark >> 4 == 15 else mark >> 4):
                self._skip(mark & 15, depth + 1)
                if self.at > len(self._content):
                    raise ValueError("cut")
        else:
            raise ValueError("a kind that no header has")

    def _byte(self) -> int:
        self.at += 1
        return self._content[self.at - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of too many bytes")

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
