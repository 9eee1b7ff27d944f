"""Tables of a collection: Parquet files that are complete or absent, checked when they are read."""

from __future__ import annotations

import errno
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.typed import parse_json
from dinoscope.base.types import Columns, JsonObject
from dinoscope.errors import DamagedError
from dinoscope.storage import checksums
from dinoscope.storage.files import replacing
from dinoscope.storage.schema import Schema, check_types, check_values, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_table", "group_sizes", "keep_lines", "list_parts", "read_table", "write_table"]

_META = b"dinoscope"


def write_table(
    path: Path,
    columns: Mapping[str, object],
    meta: JsonObject | None = None,
    *,
    group: int = 1 << 20,
    within: Path | None = None,
) -> None:
    """Write columns of equal length as one Parquet file, completely or not at all.

    Args:
        path: The file.
        columns: Lists, arrays (N,), or arrays (N, D), which become lists of fixed length D. A row of 16-bit floats
            becomes 2 D bytes, not packed: Parquet reads a list number by number, which takes a microsecond a row.
        meta: JSON values kept in the file's metadata.
        group: Rows that can be read without the others.
        within: See ``write_bytes``.

    Raises:
        WriteError: If it cannot be written.
    """
    import pyarrow as pa

    table = pa.table({name: _column(values) for name, values in columns.items()})
    if meta is not None:
        table = table.replace_schema_metadata({_META: json.dumps(meta).encode()})
    _write(path, table, group, within)


def keep_lines(path: Path, keep: NDArray[np.bool_]) -> None:
    """Write a table again with some of its lines (n,), or delete it if there are none.

    Raises:
        DamagedError: If what is read is not what was written.
        WriteError: If it cannot be written.
    """
    import pyarrow as pa

    if not keep.any():
        path.unlink(missing_ok=True)
        return
    with _checking(path) as content:
        table = _table(content).filter(pa.array(keep))
    meta = {key: value for key, value in (table.schema.metadata or {}).items() if key == _META}
    _write(path, table.replace_schema_metadata(meta), group_sizes(path)[0], path.parent)


def _write(path: Path, table: pa.Table, group: int, within: Path | None) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    chunks = max(1, math.ceil(table.num_rows / group)) * table.num_columns  # an empty table has one group, too
    with replacing(path, within=within) as part:
        # Dictionaries and statistics cost time and gain nothing on vectors and on compressed pictures.
        packed = {field.name: "none" if pa.types.is_fixed_size_binary(field.type) else "zstd" for field in table.schema}
        options = {"compression": packed, "use_dictionary": False, "write_statistics": False}
        with pq.ParquetWriter(part, table.schema, **options) as writer:
            writer.write_table(table, row_group_size=group)
            writer.add_key_value_metadata({checksums.MARK: checksums.blank(1 + chunks)})
        checksums.seal_parquet(part, pq.read_metadata(part))


def read_table(
    path: Path, columns: list[str] | None = None, groups: Sequence[int] | None = None
) -> tuple[Columns, dict[str, Any]]:
    """Read what ``write_table`` wrote.

    Args:
        path: The file.
        columns: Which columns, by default all.
        groups: Which row groups, by default all.

    Returns:
        The columns (arrays for numbers, lists for texts and bytes) and the metadata.

    Raises:
        DamagedError: If what is read is not what was written, or not what a table at this place holds.
    """
    schema = schema_of(path)
    with _checking(path) as content:
        table = _table(content, columns, groups, schema)
        meta = parse_json((table.schema.metadata or {}).get(_META, b"{}"))
        if not isinstance(meta, dict):
            raise ValueError("its metadata is not an object")
        values = {name: _values(table.column(name)) for name in table.column_names}
        if schema is not None:
            check_values(table, values, schema, whole=groups is None)
        return values, meta


def _table(
    content: checksums.FileContent,
    columns: list[str] | None = None,
    groups: Sequence[int] | None = None,
    schema: Schema | None = None,
) -> pa.Table:
    """Check what is about to be read of a Parquet file, and read it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sums = checksums.footer_checks(content)
    with pq.ParquetFile(pa.BufferReader(pa.py_buffer(content.data))) as file:
        if schema is not None:
            columns = check_types(file.schema_arrow, file.metadata.num_rows, schema, columns)
        if sums is None:
            content.read(0, len(content.data))
        else:
            checksums.chunk_checks(content, file.metadata, sums, columns, groups)
        chosen = range(file.num_row_groups) if groups is None else groups
        return file.read_row_groups(list(chosen), columns=columns, use_threads=False)


def group_sizes(path: Path) -> list[int]:
    """Return how many lines each row group of a table has."""
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def check_table(path: Path) -> bool:
    """Check every byte of a table without keeping it.

    Returns:
        Whether it has checksums; one without them, from before there were any, is read in full in their place.

    Raises:
        DamagedError: If it is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _checking(path) as content:
        sums = checksums.footer_checks(content)
        if sums is None:
            _table(content)
        else:
            metadata = pq.read_metadata(pa.BufferReader(pa.py_buffer(content.data)))
            checksums.chunk_checks(content, metadata, sums, None, None)
    return sums is not None


@contextmanager
def _checking(path: Path) -> Iterator[checksums.FileContent]:
    """Open a Parquet file; what goes wrong in reading it is damage, unless the system says otherwise."""
    import pyarrow as pa

    try:
        with path.open("rb") as file:
            yield checksums.FileContent(file)
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if getattr(error, "errno", None) not in (None, errno.EIO):  # too many open files, a share that went away
            raise
        raise DamagedError(path, str(error).splitlines()[0]) from None


def list_parts(folder: Path) -> list[Path]:
    """Return the part files of a folder in the order in which they were written."""
    return sorted(folder.glob("part-*.parquet"), key=lambda part: (len(part.name), part.name))  # 99999 before 100000


def _column(values: object) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 2:
        if values.dtype == np.float16:
            rows = np.ascontiguousarray(values, "<f2")
            return pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(2 * rows.shape[1]), len(rows), [None, pa.py_buffer(rows)]
            )
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values)


def _values(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        return _numbers(array.values).reshape(-1, array.type.list_size)
    if pa.types.is_fixed_size_binary(array.type):
        width = array.type.byte_width
        if array.null_count or width % 2:
            raise ValueError("its rows are not whole 16-bit numbers")
        end = array.offset + len(array)
        content = np.frombuffer(array.buffers()[1] or b"", "<f2", end * (width // 2))
        return content.reshape(end, width // 2)[array.offset :]
    if pa.types.is_timestamp(array.type):  # seconds since 1970, NaN where there is none
        whole = array.cast(pa.timestamp("us")).cast(pa.int64())
        return _numbers(whole.cast(pa.float64(), safe=False)) / 1e6
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return _numbers(array)
    return array.to_pylist()


def _numbers(array: pa.Array) -> NDArray[Any]:
    """Return numbers, or truth values, as ``to_numpy`` does, which would load pandas where that is installed.

    Raises:
        ValueError: If they are something else.
    """
    import pyarrow as pa

    kinds = {"f": pa.types.is_floating, "u": pa.types.is_unsigned_integer, "i": pa.types.is_signed_integer}
    letter = next((letter for letter, is_kind in kinds.items() if is_kind(array.type)), None)
    if letter is None and not pa.types.is_boolean(array.type):
        raise ValueError(f"it holds {array.type} where numbers belong")
    known, content = array.buffers()
    if letter is None:
        return np.asarray(array.to_pylist()) if array.null_count else _bits(content, array)
    end = array.offset + len(array)
    numbers = np.frombuffer(content or b"", f"{letter}{array.type.bit_width // 8}", count=end)[array.offset :]
    if not array.null_count:
        return numbers
    return np.where(_bits(known, array), numbers, numbers.dtype.type(np.nan) if letter == "f" else np.nan)


def _bits(content: pa.Buffer | None, array: pa.Array) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(content or b"", np.uint8), count=array.offset + len(array), bitorder="little")
    return bits[array.offset :].astype(bool)
