"""What is known about each image when a run begins. It is read from intact parts; the others are dropped."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.machine import cores
from dinoscope.base.text import remark
from dinoscope.base.types import Columns
from dinoscope.embedding.batches import Job
from dinoscope.embedding.rows import Synchronised
from dinoscope.errors import DamagedError
from dinoscope.storage.details import LOOK, QUALITY
from dinoscope.storage.tables import check_table, list_parts, read_table

__all__ = ["Known", "read_known"]

# of the details, all but the pictures: a part of which one is damaged is deleted
_READ = ["row", "generation", "width", "height", "error", "transient", "content", "note", *QUALITY, *LOOK]


class Known:
    """What is known about each row: bits and numbers. Texts only for images that cannot be read.

    Attributes:
        rows: The rows that the source has (N,), sorted.
        generations: The generation of each row, for the parts.
        seen: Whether a row was decoded, or found to be unreadable (R,), R rows up to the last that the source has.
        embedded: Whether a row had its vector before this run (R,).
        errors: Reasons of rows that cannot be read, and whether another try may succeed.
        notes: What is wrong with rows that this run could read all the same.
    """

    def __init__(self, rows: NDArray[np.int64], generations: NDArray[np.int64]) -> None:
        self.generations = generations
        self.rows, self._indices = np.unique(rows, return_index=True)
        count = int(self.rows[-1]) + 1 if len(rows) else 0
        self.seen, self.embedded = np.zeros(count, bool), np.zeros(count, bool)
        self.errors: dict[int, tuple[str, bool]] = {}
        self.notes: dict[int, str] = {}

    def index(self, row: int) -> int:
        """Return where the source has the image of a row."""
        return int(self._indices[np.searchsorted(self.rows, row)])

    def is_active(self, row: int) -> bool:
        """Tell whether the source has the image of a row."""
        place = int(np.searchsorted(self.rows, row))
        return place < len(self.rows) and int(self.rows[place]) == row

    def note(self, row: int, error: str | None, transient: bool) -> None:
        """Remember what decoding a row gave."""
        self.seen[row] = True
        if error:
            self.errors[row] = error, transient
        else:
            self.errors.pop(row, None)

    def is_news(self, row: int, error: str | None) -> bool:
        """Tell whether a row is new, or has another outcome than last time."""
        return not self.seen[row] or self.errors.get(row, (None, False))[0] != error

    def jobs(self, rows: NDArray[np.int64]) -> Iterator[Job]:
        """Yield what is to be done for some rows."""
        for row in map(int, rows):
            yield Job(row, self.index(row), bool(self.seen[row]) and row not in self.errors, bool(self.embedded[row]))

    def pending(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which of some rows need work: a lost part, a missing vector, a failure that may pass."""
        work = ~(self.seen & self.embedded)
        for row, (_, transient) in self.errors.items():
            work[row] = transient
        return rows[work[rows]]


def read_known(path: Path, folder: Path, table: Synchronised, dim: int) -> Known:
    """Read what is stored: what decoding gave (a later part overrides an earlier one), and which vectors there are."""
    known = Known(table.rows, table.generations)
    for columns in _whole_parts(path / "details", _READ):
        for row, error, transient in zip(columns["row"].tolist(), columns["error"], columns["transient"], strict=True):
            if row < len(known.seen):
                known.note(row, error, bool(transient))
    for columns in _whole_parts(folder, ["row", "generation", "vector"], dim):
        known.embedded[columns["row"][columns["row"] < len(known.embedded)]] = True
    return known


def _whole_parts(folder: Path, columns: list[str], dim: int | None = None) -> Iterator[Columns]:
    """Yield columns of the parts of a folder in order; parts that are damaged anywhere are deleted.

    So are parts with vectors of another length than ``dim``.
    """

    def read(part: Path) -> Columns | DamagedError:
        try:
            check_table(part)
            found = read_table(part, columns)[0]
            if dim is not None and found["vector"].shape[1] != dim:
                raise DamagedError(part, f"its vectors have length {found['vector'].shape[1]}, the model's {dim}")
            return found
        except DamagedError as error:
            return error

    parts = list_parts(folder)
    with ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="check") as pool:
        for part, found in zip(parts, pool.map(read, parts), strict=True):
            if isinstance(found, DamagedError):
                remark(f"{part} was damaged ({found.reason}): it is deleted, and what it held is made again")
                part.unlink()
            else:
                yield found
