"""Arrow's stream and file formats, as Hugging Face's `save_to_disk` writes them, read a batch at a time.

They are not mapped into memory: a file that is written again meanwhile would end the process. See
https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc.
"""

from __future__ import annotations

import json
import struct
import threading
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from dinoscope.columns.typing import table_without_views, without_views
from dinoscope.errors import SourceError
from dinoscope.sources.tables.columns import read_names
from dinoscope.sources.tables.kept import KeptValues

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ArrowTable"]

_FILE_MAGIC, _FILE_HEAD = b"ARROW1", 8
_NEXT = 0xFFFFFFFF  # before each message
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # kinds of messages
_MOST_HEADER = 1 << 26  # bytes of a message without its values
_MOST_BATCH = 1 << 31  # bytes of one batch, which is read whole
_PREVIEW_ROWS = 20
_HUGGING_FACE = b"huggingface"


class ArrowTable:
    """A file of Arrow record batches.

    Args:
        file: pyarrow's NativeFile.
        name: Its name.
        info: Hugging Face's description of the data set, which names the classes where the file itself does not.

    Raises:
        ValueError, pyarrow.ArrowException, OSError: It is no such file, or was cut.
    """

    def __init__(self, file: pa.NativeFile, name: str, info: object = None) -> None:
        import pyarrow as pa

        self.name, self._file = name, file
        self.notes: Sequence[str] = ()
        self._head = b""  # schema and dictionaries, without which no batch can be read
        self._batches: list[tuple[int, int]] = []  # offset and size
        rows = self._index()
        self._starts = [0, *accumulate(rows)]
        self.rows: int = self._starts[-1]
        if not self._head:
            raise ValueError("it begins with no schema")
        with pa.ipc.open_stream(pa.BufferReader(self._head)) as opened:
            schema = opened.schema
        read_names(schema)
        held = schema.metadata or {}
        if isinstance(info, dict) and _HUGGING_FACE not in held:
            schema = schema.with_metadata({**held, _HUGGING_FACE: json.dumps({"info": info}).encode()})
        self._schema = schema
        self._lock, self._kept = threading.Lock(), KeptValues()
        self._kept_column = ""
        self._shares: dict[str, float] = {}  # of the bytes of a batch that a column has

    def preview(self) -> pa.Table:
        """See `Table.preview`; of a struct the whole."""
        import pyarrow as pa

        for number in range(len(self._batches)):
            if self._starts[number + 1] > self._starts[number]:
                batch = self._read(number).slice(0, _PREVIEW_ROWS)
                return table_without_views(pa.Table.from_arrays(batch.columns, schema=self._schema))
        return self._schema.empty_table()

    def bytes_read(self, column: str, row: int) -> int:
        """See `Table.bytes_read`: a batch is read whole."""
        return self._batches[self._place(row)][1]

    def value_size(self, column: str, row: int) -> int | None:
        """See `Table.value_size`: the mean of its batch, by the share that the column has of the first one."""
        number = self._place(row)
        if column not in self._shares:
            first = self._read(next(at for at in range(len(self._batches)) if self._starts[at + 1] > self._starts[at]))
            self._shares[column] = first.column(column).nbytes / max(1, first.nbytes)
        rows = self._starts[number + 1] - self._starts[number]
        return int(self._batches[number][1] * self._shares[column]) // max(1, rows)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See `Table.columns`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        known = set(self._schema.names)
        paths = [(name, "") if name in known else name.rpartition(".")[::2] for name in names]
        if not all(column in known for column, _ in paths):
            raise KeyError(names)
        found: list[list[pa.Array]] = [[] for _ in names]
        for number in range(len(self._batches)):
            batch = self._read(number)
            every = pa.array(range(len(batch)))
            for (column, field), pieces in zip(paths, found, strict=True):
                values = batch.column(column)
                if field:
                    values = pc.struct_field(values, field)
                values = without_views(values).take(every)  # a copy, or it would hold the whole batch
                pieces.append(pa.StructArray.from_arrays([values], [field]) if field else values)
        types = [self._schema.field(column).type for column, _ in paths]
        columns = [
            pa.chunked_array(pieces) if pieces else pa.chunked_array([], kind)
            for pieces, kind in zip(found, types, strict=True)
        ]
        return pa.table(columns, names=[column for column, _ in paths])

    def value(self, column: str, row: int) -> object:
        """See `Table.value`."""
        with self._lock:
            if column != self._kept_column:
                self._kept, self._kept_column = KeptValues(), column
            kept = self._kept.find(row)
            if kept is None:
                number = self._place(row)
                values, first = self._read(number).column(column), self._starts[number]
                self._kept.add(first, values, self._batches[number][1])
                kept = values[row - first]
            return kept.as_py()

    def _place(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1

    def _index(self) -> list[int]:
        """Find all messages by their headers alone, and return the rows of each batch."""
        rows: list[int] = []
        end = self._file.size()
        at = _FILE_HEAD if self._file.read_at(len(_FILE_MAGIC), 0) == _FILE_MAGIC else 0
        while at + 8 <= end:
            mark, length = struct.unpack("<II", self._file.read_at(8, at))
            if mark != _NEXT:
                raise ValueError("something else is in the place of a batch")
            if length == 0:  # the end
                return rows
            if length > min(_MOST_HEADER, end - at - 8):
                raise ValueError("it was cut")
            kind, count, body, is_packed = _header(self._file.read_at(length, at + 8))
            size = 8 + length + body
            if not 0 <= body <= end - at - 8 - length:
                raise ValueError("it was cut")
            if is_packed:  # what it unpacks to is only known by unpacking it
                raise ValueError("its batches are compressed; save it again without")
            if kind in (_SCHEMA, _DICTIONARY):
                self._head += self._file.read_at(size, at)
            elif kind == _BATCH:
                if not 0 <= count <= 8 * max(body, 8):  # a bit each at least
                    raise ValueError(f"a batch of {body:,} bytes says that it has {count:,} rows")
                self._batches.append((at, size))
                rows.append(count)
            at += size
        return rows

    def _read(self, number: int) -> pa.RecordBatch:
        import pyarrow as pa

        at, size = self._batches[number]
        if size > _MOST_BATCH:
            raise SourceError(
                f"{self.name} has a batch of {size >> 20:,} MB, which would be read at once, expected at most "
                f"{_MOST_BATCH >> 20:,}: save it again in smaller batches"
            )
        try:
            with pa.ipc.open_stream(pa.BufferReader(self._head + self._file.read_at(size, at))) as opened:
                batch = opened.read_next_batch()
            batch.validate(full=True)  # or a wrong offset would read memory that is not its own
            if len(batch) != self._starts[number + 1] - self._starts[number]:
                raise ValueError("it has another number of rows than it says")
        except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
            reason = " ".join(str(error).split())[:120]
            raise SourceError(f"batch {number + 1:,} of {self.name} is damaged: {reason}") from None
        return batch


def _header(message: bytes) -> tuple[int, int, int, bool]:
    """Read the head of a message, a FlatBuffer: its kind, rows, bytes of values, and whether they are compressed."""

    def number(form: str, at: int) -> int:
        if at < 0:
            raise ValueError("a batch's header is damaged")
        return int(struct.unpack_from(form, message, at)[0])

    def field(table: int, index: int) -> int:
        """Return where a field of a table is, 0 if it has its default."""
        known = table - number("<i", table)
        slot = 4 + 2 * index
        offset = number("<H", known + slot) if slot < number("<H", known) else 0
        return table + offset if offset else 0

    def value(form: str, at: int) -> int:
        return number(form, at) if at else 0

    root = number("<I", 0)
    kind, body = value("<B", field(root, 1)), value("<q", field(root, 3))
    at = field(root, 2)
    if kind != _BATCH or not at:
        return kind, 0, body, False
    batch = at + number("<I", at)
    return kind, value("<q", field(batch, 0)), body, field(batch, 3) != 0
