"""What decoding gave of each image: read from the parts of ``details``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import Columns
from dinoscope.errors import DamagedError
from dinoscope.storage.parts import known_lines, read_parts
from dinoscope.storage.tables import list_parts, read_table

__all__ = ["LOOK", "QUALITY", "count_missing", "stored_contents", "stored_qualities"]

# what tells the better of two copies; parts of earlier versions have none of it
QUALITY = {
    "quality": "f4",
    "noise": "f4",
    "detail": "f4",
    "grain": "f4",
    "reduced": "i4",
    "bytes": "i8",
    "modified": "i8",
}
LOOK = dict.fromkeys(("darkest", "lightest", "contrast", "sharpness", "frame"), "f4")  # what anybody sees of a picture


def count_missing(path: Path, images: Columns, rows: NDArray[np.int64]) -> int:
    """Count the images of the source that are neither embedded nor known to be unreadable.

    Args:
        path: The collection.
        images: Columns of images.parquet, removed and generation among them.
        rows: The rows that have a vector.

    Raises:
        DamagedError: If what decoding gave is damaged.
    """
    missing = ~np.asarray(images["removed"], bool)
    missing[rows] = False
    if not missing.any():
        return 0
    failed = np.zeros(len(missing), bool)
    for columns in read_parts(path / "details", ["row", "error"], images).values():
        # a later part overrides an earlier one
        failed[columns["row"]] = np.asarray([error is not None for error in columns["error"]], bool)
    return int((missing & ~failed).sum())


def stored_contents(path: Path, images: Columns, wanted: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Yield the rows wanted (a bit for each) with the digest of their files, where it was stored."""
    for part in list_parts(path / "details"):
        try:
            columns = known_lines(read_table(part, ["row", "content", "generation"])[0], images)
        except (DamagedError, FileNotFoundError):  # it is made anew later
            continue
        for row, content in zip(columns["row"].tolist(), columns.get("content", ()), strict=False):
            if content is not None and wanted[row]:
                yield row, content


def stored_qualities(
    path: Path, images: Columns, rows: NDArray[np.int64], names: Iterable[str] = tuple(QUALITY)
) -> dict[str, NDArray[np.float64]]:
    """Return columns of ``QUALITY`` or ``LOOK`` of some rows (N,), NaN where nothing was stored."""
    names = list(names)
    wanted = np.full(int(rows.max(initial=-1)) + 1, -1, np.int64)
    wanted[rows] = np.arange(len(rows))
    found = {name: np.full(len(rows), np.nan) for name in names}
    for columns in read_parts(path / "details", ["row", *names], images).values():
        place = np.where(columns["row"] < len(wanted), wanted[np.minimum(columns["row"], len(wanted) - 1)], -1)
        for name in names:
            if name in columns:
                values = np.asarray(columns[name], np.float64)
                found[name][place[place >= 0]] = values[place >= 0]
    return found
