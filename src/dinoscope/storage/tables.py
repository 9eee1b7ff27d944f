"""Tables of a collection: Parquet files that are whole or absent, checked when they are read."""

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

from dinoscope.base.machine import cores
from dinoscope.base.types import Columns, JsonObject
from dinoscope.errors import DamagedError
from dinoscope.storage import checksums
from dinoscope.storage.files import _replacing, parse_json
from dinoscope.storage.schema import check_types, check_values, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["active_rows", "check_table", "list_parts", "read_parts", "read_rows", "read_table", "write_table"]

_META = b"dinoscope"


def write_table(
    path: Path, columns: Mapping[str, object], meta: JsonObject | None = None, *, group: int = 1 << 20
) -> None:
    """Write columns of equal length as one Parquet file, whole or not at all.

    Args:
        path: The file.
        columns: Lists, arrays (N,), or arrays (N, D), which become lists of fixed length D.
        meta: JSON values kept in the file's metadata.
        group: Rows that can be read without the others.

    Raises:
        WriteError: If it cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _column(values) for name, values in columns.items()})
    if meta is not None:
        table = table.replace_schema_metadata({_META: json.dumps(meta).encode()})
    chunks = max(1, math.ceil(table.num_rows / group)) * table.num_columns  # an empty table has one group, too
    with _replacing(path) as part:
        # Dictionaries and statistics cost time and gain nothing on vectors and on compressed pictures.
        options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False}
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
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = schema_of(path)
    with _checking(path) as content:
        data = memoryview(content)
        sums = checksums.footer_checks(data)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if schema is not None:
                columns = check_types(file.schema_arrow, file.metadata.num_rows, schema, columns)
            if sums is not None:
                checksums.chunk_checks(data, file.metadata, sums, columns, groups)
            chosen = range(file.num_row_groups) if groups is None else groups
            table = file.read_row_groups(list(chosen), columns=columns, use_threads=False)
        meta = parse_json((table.schema.metadata or {}).get(_META, b"{}"))
        if not isinstance(meta, dict):
            raise ValueError("its metadata is no object")
        values = {name: _values(table.column(name)) for name in table.column_names}
        if schema is not None:
            check_values(table, values, schema, whole=groups is None)
        return values, meta


def read_parts(folder: Path, columns: list[str], parts: Sequence[Path] | None = None) -> list[Columns]:
    """Read columns of the parts of a folder, in their order, as many at once as there are cores.

    Raises:
        DamagedError: If one of them is damaged.
    """
    from concurrent.futures import ThreadPoolExecutor

    chosen = list_parts(folder) if parts is None else parts
    with ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="read") as pool:
        return list(pool.map(lambda part: read_table(part, columns)[0], chosen))


def read_rows(path: Path, rows: NDArray[np.int64], column: str) -> dict[int, Any]:
    """Read one column of some rows of a part, and of the part no more than holds them.

    Returns:
        Row number -> value, of the rows that are there and have one; none if the part is gone.

    Raises:
        DamagedError: If what is read is not what was written.
    """
    try:
        held, ends = read_table(path, ["row"])[0]["row"], np.cumsum(_group_sizes(path))
        groups = np.unique(np.searchsorted(ends, np.flatnonzero(np.isin(held, rows)), side="right")).tolist()
        found, _ = read_table(path, ["row", column], groups)
    except FileNotFoundError:
        return {}
    values = zip(found["row"].tolist(), found[column], strict=True)
    wanted = set(rows.tolist())
    return {row: value for row, value in values if row in wanted and value is not None}


def _group_sizes(path: Path) -> list[int]:
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
        data = memoryview(content)
        sums = checksums.footer_checks(data)
        if sums is None:
            pq.read_table(pa.BufferReader(content), use_threads=False)
        else:
            checksums.chunk_checks(data, pq.read_metadata(pa.BufferReader(content)), sums, None, None)
    return sums is not None


@contextmanager
def _checking(path: Path) -> Iterator[pa.Buffer]:
    """Map a Parquet file into memory; what goes wrong in reading it is damage, unless the system says otherwise."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as mapped:
            yield mapped.read_buffer()
    except (FileNotFoundError, PermissionError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        if getattr(error, "errno", None) not in (None, errno.EIO):  # too many open files, a share that went away
            raise
        raise DamagedError(path, str(error).splitlines()[0]) from None


def list_parts(folder: Path) -> list[Path]:
    """Return the part files of a folder in the order in which they were written."""
    return sorted(folder.glob("part-*.parquet"), key=lambda part: (len(part.name), part.name))  # 99999 before 100000


def active_rows(rows: NDArray[np.int64], removed: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return which rows of vectors count, ascending, and where each stands among them.

    A row counts once. One that the table of images does not know is left out: the parts may be newer than it.

    Args:
        rows: The rows of the parts, in their order (V,).
        removed: Whether each row of the table is no longer in the source (R,).
    """
    held, places = np.unique(rows, return_index=True)
    known = held < len(removed)
    held, places = held[known], places[known]
    active = ~removed[held]
    return held[active], places[active]


def _column(values: object) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values)


def _values(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        flat: NDArray[np.generic] = array.values.to_numpy(zero_copy_only=False)
        return flat.reshape(-1, array.type.list_size)
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return array.to_numpy(zero_copy_only=False)
    return array.to_pylist()
