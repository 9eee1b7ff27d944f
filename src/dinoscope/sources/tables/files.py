"""Tables as files: their columns, and the bytes of one image without the rest of the table."""

from __future__ import annotations

import codecs
import json
import struct
import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Protocol

from dinoscope.base.text import printable
from dinoscope.base.typed import parse_json
from dinoscope.columns.typing import table_without_views
from dinoscope.errors import SourceError
from dinoscope.sources.array import has_several
from dinoscope.sources.pixels.memory import MOST_PACKED, packed_too_small
from dinoscope.sources.tables.columns import read_names
from dinoscope.sources.tables.delimited import CsvTable, unreadable
from dinoscope.sources.tables.kept import BATCH_BYTES, KeptValues
from dinoscope.sources.tables.pages import unpacked_bytes
from dinoscope.sources.tables.streams import ArrowTable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

__all__ = ["TABLES", "MemoryTable", "ParquetTable", "Table", "column_of", "open_table"]

TABLES = (".parquet", ".arrow", ".csv", ".tsv", ".jsonl", ".ndjson")
_PREVIEW_ROWS = 20
_MOST_REPEATED = 1 << 24  # bytes of values that many rows may share
_STREAM_BYTES = 1 << 20  # read at once of a column that is larger
_FEW_ROWS, _MOST_ROWS = 1_000_000, 1_000  # that any file may have; that it may have for each of its bytes
_BOUNDED = ("UNCOMPRESSED", "SNAPPY")  # what these unpack to is at most some twenty times as much
_LFS = b"version https://git-lfs"


class Table(Protocol):
    """A table of which columns can be read."""

    name: str
    notes: Sequence[str]

    @property
    def rows(self) -> int | None:
        """How many rows it has, where that is known without reading it."""

    def preview(self) -> pa.Table:
        """Return the first rows, of columns of texts, bytes and numbers; the others have their types alone."""

    def bytes_read(self, column: str, row: int) -> int:
        """Return how many bytes are read into memory with one value."""

    def value_size(self, column: str, row: int) -> int | None:
        """Return about how many bytes one value has, the bytes alone of a struct; None where reading alone tells."""

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return some columns, whole; a field of a struct is "image.path".

        Raises:
            KeyError: There is no such column.
        """

    def value(self, column: str, row: int) -> object:
        """Return one value of one column; quick where rows are asked for in about their order.

        Raises:
            OSError, pyarrow.ArrowException: The file cannot be read there.
        """


class MemoryTable:
    """A table that is in memory."""

    notes: Sequence[str] = ()

    def __init__(self, table: pa.Table, name: str) -> None:
        self.name, self._table, self.rows = name, table, table.num_rows

    def preview(self) -> pa.Table:
        """See `Table.preview`."""
        return self._table.slice(0, _PREVIEW_ROWS)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See `Table.columns`; of a struct the whole."""
        known = self._table.column_names
        return self._table.select([name if name in known else name.rpartition(".")[0] for name in names])

    def bytes_read(self, column: str, row: int) -> int:
        """See `Table.bytes_read`: it is read already."""
        return 0

    def value_size(self, column: str, row: int) -> int | None:
        """See `Table.value_size`."""
        value = self.value(column, row)
        held = value.get("bytes") if isinstance(value, dict) else value
        return len(held) if isinstance(held, bytes) else None

    def value(self, column: str, row: int) -> object:
        """See `Table.value`."""
        return self._table.column(column)[row].as_py()


class ParquetTable:
    """A Parquet file."""

    def __init__(self, file: pa.NativeFile, name: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name, self._read_at = name, file.read_at
        self.notes: Sequence[str] = ()
        try:
            self._parquet = pq.ParquetFile(file, pre_buffer=False, buffer_size=_STREAM_BYTES)
            read_names(self._parquet.schema_arrow)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            if file.read_at(len(_LFS), 0) == _LFS:
                raise SourceError(
                    f"{name} is a pointer of Git LFS, not the table: 'git lfs pull' in its folder fetches it"
                ) from None
            raise unreadable(name, "Parquet", error) from None
        meta = self._parquet.metadata
        _check_footer(meta, file.size(), name)
        groups = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
        self.rows: int = meta.num_rows
        self._starts = [0, *accumulate(groups)]
        self._sizes: dict[tuple[str, int], tuple[int, bool]] = {}
        self._lock = threading.Lock()
        self._kept = KeptValues()
        self._batches: Iterator[pa.RecordBatch] = iter(())
        self._group, self._next = -1, 0  # of the batches, and the row with which the next one begins

    def preview(self) -> pa.Table:
        """See `Table.preview`."""
        import pyarrow as pa

        schema, failure = self._parquet.schema_arrow, None
        for group in range(len(self._starts) - 1):
            rows = min(_PREVIEW_ROWS, self._starts[group + 1] - self._starts[group])
            try:
                columns = [self._first(field, group, rows) for field in schema]
            except (pa.ArrowException, OSError) as error:  # damaged there; the next may be whole
                failure = error
                continue
            if rows:
                return table_without_views(pa.Table.from_arrays(columns, schema=schema))
        if failure is not None:
            raise unreadable(self.name, "Parquet", failure)
        return schema.empty_table()

    def _first(self, field: pa.Field, group: int, rows: int) -> pa.ChunkedArray:
        """Return the first values of a column, of which those that are too much to look at are none."""
        import pyarrow as pa

        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        types = pa.types
        texts = (types.is_string, types.is_large_string, types.is_string_view)
        files = (types.is_binary, types.is_large_binary, types.is_binary_view)
        numbers = (types.is_boolean, types.is_integer, types.is_floating)
        pieces: list[pa.Array] = []
        if rows and any(tell(kind) for tell in (*texts, *files, *numbers)):
            with suppress(SourceError):
                most = min(rows, self._batch_rows(field.name, group))
                batches = self._parquet.iter_batches(most, row_groups=[group], columns=[field.name], use_threads=False)
                pieces = [batch.column(0) for batch in islice(batches, 1)]
        found = sum(map(len, pieces))
        return pa.chunked_array([*pieces, pa.nulls(rows - found, field.type)], field.type)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """See `Table.columns`."""
        import pyarrow as pa

        known = set(self._parquet.schema_arrow.names)  # with dots of their own, some of them
        if not all(name in known or name.rpartition(".")[0] in known for name in names):
            raise KeyError(names)
        for group in range(len(self._starts) - 1):
            for name in names:
                self._size(name, group)
        try:
            return table_without_views(self._parquet.read(columns=list(names), use_threads=False))
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.name, "Parquet", error) from None

    def value(self, column: str, row: int) -> object:
        """See `Table.value`."""
        with self._lock:
            kept = self._kept.find(row)
            if kept is not None:
                return kept.as_py()
            group = bisect_right(self._starts, row) - 1
            if group != self._group or row < self._next:  # one group at a time: damage costs no more than that
                rows = self._batch_rows(column, group)
                self._batches = self._parquet.iter_batches(
                    rows, row_groups=[group], columns=[column], use_threads=False
                )
                self._group, self._next = group, self._starts[group]
            try:
                while row >= self._next:
                    values = next(self._batches).column(0)
                    self._kept.add(self._next, values, values.nbytes)
                    self._next += len(values)
            except BaseException:
                self._group = -1
                raise
            return values[row - self._next].as_py()  # counted from its end

    def bytes_read(self, column: str, row: int) -> int:
        """See `Table.bytes_read`."""
        group = bisect_right(self._starts, row) - 1
        rows = max(1, self._starts[group + 1] - self._starts[group])
        size, repeats = self._size(column, group)
        if repeats and size > _MOST_REPEATED:
            return size
        return int(size * self._batch_rows(column, group) // rows)

    def value_size(self, column: str, row: int) -> int | None:
        """See `Table.value_size`: the mean of its row group."""
        group = bisect_right(self._starts, row) - 1
        size = self._size(f"{column}.bytes", group)[0] or self._size(column, group)[0]
        return int(size // max(1, self._starts[group + 1] - self._starts[group]))

    def _batch_rows(self, column: str, group: int) -> int:
        size, repeats = self._size(column, group)
        rows = self._starts[group + 1] - self._starts[group]
        if repeats and size > _MOST_REPEATED:  # any row may hold the largest value
            return 1
        return min(256, max(1, int(BATCH_BYTES * rows / max(size, 1))))

    def _size(self, column: str, group: int) -> tuple[int, bool]:
        """Return how many bytes a column of a group has, and whether a value may be there once for many rows.

        Raises:
            SourceError: It is packed so small that unpacking it would only fill the memory.
        """
        if (column, group) not in self._sizes:
            held = self._parquet.metadata.row_group(group)
            parts = [held.column(number) for number in range(held.num_columns)]
            own = [part for part in parts if f"{part.path_in_schema}.".startswith(f"{column}.")]
            size = int(sum(part.total_uncompressed_size for part in own))
            packed = int(sum(part.total_compressed_size for part in own))
            size = max(size, sum(map(self._unpacked, own)))
            if packed_too_small(size, packed):
                raise SourceError(
                    f"column {column!r} of {self.name} unpacks to {size >> 20:,} MB from {packed >> 10:,} kB, expected "
                    f"at most {MOST_PACKED} times as much: write it again with another compression"
                )
            self._sizes[column, group] = size, any(part.has_dictionary_page for part in own)
        return self._sizes[column, group]

    def _unpacked(self, part: pq.ColumnChunkMetaData) -> int:
        """Return how many bytes a part's pages say that they unpack to, where the packing may be any."""
        if part.compression in _BOUNDED:
            return 0
        start = min(part.data_page_offset, part.dictionary_page_offset or part.data_page_offset)
        try:
            return unpacked_bytes(self._read_at, start, start + part.total_compressed_size)
        except (ValueError, OSError) as error:
            raise unreadable(self.name, "Parquet", error) from None


def _check_footer(meta: pq.FileMetaData, size: int, name: str) -> None:
    """Check that what a Parquet file says about its parts has room in this many bytes: memory is taken by what it says.

    Raises:
        SourceError: It says more than there can be.
    """
    held = rows = 0
    for group in map(meta.row_group, range(meta.num_row_groups)):
        rows += max(0, group.num_rows)
        for part in map(group.column, range(group.num_columns)):
            starts = [part.data_page_offset]
            if part.has_dictionary_page:
                starts.append(part.dictionary_page_offset)
            packed, unpacked = part.total_compressed_size, part.total_uncompressed_size
            held += packed
            if min(*starts, packed, unpacked, group.num_rows) < 0 or min(starts) + packed > size or held > size:
                raise SourceError(
                    f"{name} has {size:,} bytes, and its footer says that column {part.path_in_schema!r} lies beyond "
                    "them: it was cut or changed, so fetch or write it again"
                )
    if rows != meta.num_rows or rows > max(_FEW_ROWS, _MOST_ROWS * size):
        raise SourceError(
            f"{name} has {size:,} bytes, and its footer says that it has {meta.num_rows:,} rows: it was changed, so "
            "fetch or write it again"
        )


def open_table(file: pa.NativeFile, name: str, info: object = None) -> Table:
    """Open a table by its name's ending.

    Args:
        file: pyarrow's NativeFile.
        name: Its name.
        info: Hugging Face's description of the data set, where a file beside an Arrow file holds it.

    Raises:
        SourceError: It is no such table.
    """
    if name.lower().endswith((".jsonl", ".ndjson")):
        return MemoryTable(_read_lines(file, name), name)
    if name.lower().endswith(".arrow"):
        import pyarrow as pa

        try:
            return ArrowTable(file, name, info)
        except (ValueError, pa.ArrowException, OSError, struct.error) as error:
            raise unreadable(name, "a file of Arrow batches", error) from None
    return (ParquetTable if name.lower().endswith(".parquet") else CsvTable)(file, name)


def _read_lines(file: pa.NativeFile, name: str) -> pa.Table:
    """Read a file with a JSON object in each line."""
    import pyarrow as pa

    columns: dict[str, list[object]] = {}
    rows = 0
    try:
        for line in file.read_at(file.size(), 0).removeprefix(codecs.BOM_UTF8).splitlines():
            if not line.strip():
                continue
            for column, value in dict(parse_json(line)).items():
                held = columns.setdefault(printable(column), [])
                held += [None] * (rows - len(held)) + [value]
            rows += 1
    except (OSError, ValueError, TypeError) as error:
        raise unreadable(name, "lines of JSON objects", error) from None
    return pa.table(
        {column: column_of([*values, *[None] * (rows - len(values))]) for column, values in columns.items()}
    )


def column_of(values: Sequence[object]) -> pa.Array:
    """Return values as a column; those of several types as texts, and a single one among lists as a list of one."""
    import pyarrow as pa

    if any(has_several(each) for each in values):
        values = [each if each is None else list(each) if has_several(each) else [each] for each in values]
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, UnicodeEncodeError):  # of several types, or no text that can be written
        return pa.array([_as_text(each) for each in values], pa.string())


def _as_text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value and printable(value)
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        raise SourceError(
            f"a column of the table holds {type(value).__name__} beside other things, expected texts, numbers, lists "
            "of them, or the bytes of images"
        ) from None
