"""Files of a collection: tables that are either whole or absent, digests that name them, and the lock.

Every write goes to a temporary file in the same folder, is flushed to the disk and then renamed over its target, so
that a process killed at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import CollectionError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "digest",
    "locked",
    "read_json",
    "read_table",
    "remove_leftovers",
    "sha256",
    "write_bytes",
    "write_csv",
    "write_json",
    "write_table",
]

_META = b"dinoscope"
_LEFTOVER = ".part-"


def digest(*values: Any, length: int = 16) -> str:
    """Return a hexadecimal digest of JSON-like values, the same in every process and on every machine."""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=32).hexdigest()[:length]


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with _replacing(path) as part:
        part.write_bytes(content)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file with a header, whole or not at all."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    write_bytes(path, text.getvalue().encode())


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        CollectionError: If it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CollectionError(f"{path} is damaged ({error}): delete it and run the command that wrote it") from None


def write_table(path: Path, columns: Mapping[str, Any], meta: Mapping[str, Any] | None = None) -> None:
    """Write columns of equal length as one Parquet file, whole or not at all.

    Args:
        path: The file.
        columns: Lists, arrays (N,), or arrays (N, D), which become lists of fixed length D.
        meta: JSON values kept in the file's metadata.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _column(values) for name, values in columns.items()})
    if meta is not None:
        table = table.replace_schema_metadata({_META: json.dumps(meta).encode()})
    with _replacing(path) as part:
        # Dictionaries and statistics cost time and gain nothing on vectors and on compressed pictures.
        pq.write_table(table, part, compression="zstd", use_dictionary=False, write_statistics=False)


def read_table(path: Path, columns: list[str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what ``write_table`` wrote.

    Returns:
        The columns (arrays for numbers, lists for texts and bytes) and the metadata.

    Raises:
        CollectionError: If the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=columns, use_threads=False, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CollectionError(f"{path} is damaged ({reason}): delete it and run the command that wrote it") from None
    meta = json.loads((table.schema.metadata or {}).get(_META, b"{}"))
    return {name: _values(table.column(name)) for name in table.column_names}, meta


def list_parts(folder: Path) -> list[Path]:
    """Return the part files of a folder in the order in which they were written."""
    return sorted(folder.glob("part-*.parquet"))


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed process left (call it under the lock)."""
    for path in folder.rglob(f"*{_LEFTOVER}*"):
        path.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the collection's lock, which the operating system frees when the process ends, however it ends.

    Raises:
        CollectionError: If another process holds it.
    """
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / ".lock", timeout=0):
            yield
    except Timeout:
        raise CollectionError(f"{folder} is in use by another dinoscope process: wait for it to end") from None


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{_LEFTOVER}{os.getpid()}")
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


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
