"""Files of a collection: tables that are either whole or absent, and digests that name them.

Every write goes to a temporary file in the same folder, is flushed to the disk and then renamed over its target, so
that a process killed at any moment leaves either the old file or the new one. What was written is checked when it is
read; see ``checksums``.
"""

from __future__ import annotations

import csv
import errno
import hashlib
import io
import itertools
import json
import logging
import math
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope import checksums
from dinoscope.checksums import DamagedError
from dinoscope.errors import WriteError
from dinoscope.machine import cores

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DamagedError",
    "check_table",
    "digest",
    "has_checksum",
    "is_leftover",
    "list_parts",
    "make_folder",
    "process_ended",
    "read_json",
    "read_parts",
    "read_rows",
    "read_table",
    "remark",
    "remove_leftovers",
    "sha256",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_table",
]

_META = b"dinoscope"
_LEFTOVER = ".part-"
_DAY = 86400.0
_NUMBERS = itertools.count()  # two threads may write the same result


def digest(*values: Any, length: int = 16) -> str:
    """Return a hexadecimal digest of JSON-like values, the same in every process and on every machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:length]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remark(text: str) -> None:
    """Tell of something that was dealt with: on stderr, unless the program that uses dinoscope directs its log."""
    logging.getLogger("dinoscope").warning(text)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write a file whole or not at all; without ``durable`` a power cut may still lose it.

    Raises:
        WriteError: If it cannot be written.
    """
    with _replacing(path, durable) as part:
        part.write_bytes(content)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    write_bytes(path, text.getvalue().encode())


def write_json(path: Path, value: Any, *, checked: bool = False, durable: bool = True) -> None:
    """Write a JSON file whole or not at all.

    Args:
        path: The file.
        value: What it holds.
        checked: Close it with a checksum: for an object that people do not edit.
        durable: See ``write_bytes``.
    """
    content = {**value, checksums.MARK: checksums.blank(1)} if checked else value
    text = (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    write_bytes(path, checksums.seal_json(text) if checked else text, durable=durable)


def read_json(path: Path) -> Any:
    """Read a JSON file; if it has a checksum, that is checked and left out.

    Raises:
        DamagedError: If it is not JSON, or not what was written.
    """
    text = path.read_bytes()
    try:
        checked = checksums.unseal_json(text)
        value = json.loads(text)
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    if checked:
        del value[checksums.MARK]
    return value


def has_checksum(path: Path) -> bool:
    """Tell whether a JSON file, which is whole, has a checksum."""
    return checksums.unseal_json(path.read_bytes())


def write_table(
    path: Path, columns: Mapping[str, Any], meta: Mapping[str, Any] | None = None, *, group: int = 1 << 20
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
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what ``write_table`` wrote.

    Args:
        path: The file.
        columns: Which columns, by default all.
        groups: Which row groups, by default all.

    Returns:
        The columns (arrays for numbers, lists for texts and bytes) and the metadata.

    Raises:
        DamagedError: If what is read is not what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _checking(path) as content:
        data = memoryview(content)
        sums = checksums.footer_checks(data)
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if sums is not None:
                checksums.chunk_checks(data, file.metadata, sums, columns, groups)
            chosen = range(file.num_row_groups) if groups is None else groups
            table = file.read_row_groups(list(chosen), columns=columns, use_threads=False)
        meta = json.loads((table.schema.metadata or {}).get(_META, b"{}"))
        return {name: _values(table.column(name)) for name in table.column_names}, meta


def read_parts(folder: Path, columns: list[str], parts: Sequence[Path] | None = None) -> list[dict[str, Any]]:
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


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in.

    Raises:
        WriteError: If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}; {_advice(error.errno)}") from None


def is_leftover(path: Path) -> bool:
    """Tell by its name whether a file is a temporary one, of a write that goes on or was killed."""
    return path.name.startswith(".") and _LEFTOVER in path.name


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that killed processes left, and none that a living one is writing."""
    for path in folder.rglob(f".*{_LEFTOVER}*"):
        writer, _, host = path.name.rpartition(_LEFTOVER)[2].partition("@")
        pid = writer.partition("-")[0]
        with suppress(OSError):  # it may be gone meanwhile; on Windows one that is open stays
            # on another machine a process cannot be asked for: a day is longer than any write
            if process_ended(int(pid)) if host == socket.gethostname() else time.time() - path.stat().st_mtime > _DAY:
                path.unlink(missing_ok=True)


def process_ended(pid: int) -> bool:
    """Tell whether no process of this machine has this number (on Windows, which has no such question: True)."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return False


@contextmanager
def _replacing(path: Path, durable: bool = True) -> Iterator[Path]:
    part = path.with_name(f".{path.name}{_LEFTOVER}{os.getpid()}-{next(_NUMBERS)}@{socket.gethostname()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield part
            if durable:
                with part.open("rb+") as file:
                    os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise WriteError(f"cannot write {path}: {reason}; {_advice(error.errno)}") from None


def _advice(number: int | None) -> str:
    """Return what to do about a file that cannot be written."""
    if number in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
        return "free some space and run the same command again: what was written before is kept"
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "make the folder writable and run the same command again, or name another one"
    if number in (errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL):
        return "name another one"
    return "what was written before is kept; run the same command again"


def _column(values: Any) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values)


def _values(column: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        flat: NDArray[Any] = array.values.to_numpy(zero_copy_only=False)
        return flat.reshape(-1, array.type.list_size)
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return array.to_numpy(zero_copy_only=False)
    return array.to_pylist()
