"""Results of decoding each image, read from the parts of ``details``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import Columns
from dinoscope.errors import DamagedError
from dinoscope.storage.parts import known_lines, read_parts
from dinoscope.storage.tables import list_parts, read_table

__all__ = ["FACTS", "LOOK", "QUALITY", "count_missing", "stored_contents", "stored_facts", "stored_qualities"]

# for choosing the better of two copies; parts of earlier versions lack it
QUALITY = {
    "quality": "f4",
    "noise": "f4",
    "detail": "f4",
    "grain": "f4",
    "reduced": "i4",
    "bytes": "i8",
    "modified": "i8",
}
LOOK = dict.fromkeys(
    ("darkest", "lightest", "contrast", "sharpness", "frame", "ruled"), "f4"
)  # what anybody sees of a picture

# what the file says about the photograph
FACTS = {
    "format": "U",
    "date": "f8",
    "camera": "U",
    "lens": "U",
    "focal_length": "f8",
    "exposure": "f8",
    "f_number": "f8",
    "iso": "f8",
    "latitude": "f8",
    "longitude": "f8",
}


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
        except (DamagedError, FileNotFoundError):  # it is made again later
            continue
        for row, content in zip(columns["row"].tolist(), columns.get("content", ()), strict=False):
            if content is not None and wanted[row]:
                yield row, content


def stored_qualities(
    path: Path, images: Columns, rows: NDArray[np.int64], names: Iterable[str] = tuple(QUALITY)
) -> dict[str, NDArray[np.float64]]:
    """Return columns of ``QUALITY`` or ``LOOK`` of some rows (N,), NaN where nothing was stored."""
    names = list(names)
    place_of = _places(rows)
    found = {name: np.full(len(rows), np.nan) for name in names}
    for columns in read_parts(path / "details", ["row", *names], images).values():
        place = place_of(columns["row"])
        for name in names:
            if name in columns:
                values = np.asarray(columns[name], np.float64)
                found[name][place[place >= 0]] = values[place >= 0]
    return found


def stored_facts(path: Path, images: Columns, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the columns of ``FACTS`` of some rows (N,): float64 and NaN, or texts and None, where nothing is known."""
    texts = [name for name, kind in FACTS.items() if kind == "U"]
    found: dict[str, NDArray[Any]] = dict(
        stored_qualities(path, images, rows, [name for name in FACTS if name not in texts])
    )
    place = _places(rows)
    for name in texts:
        found[name] = np.full(len(rows), None, object)
    for columns in read_parts(path / "details", ["row", *texts], images).values():
        at = place(columns["row"])
        for name in texts:
            if name in columns:
                values = np.empty(len(at), object)
                values[:] = columns[name]
                found[name][at[at >= 0]] = values[at >= 0]
    return {name: found[name] for name in FACTS}


def _places(rows: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], NDArray[np.int64]]:
    """Return what tells the place of each row among some rows, -1 for one that is not among them."""
    wanted = np.full(int(rows.max(initial=-1)) + 2, -1, np.int64)
    wanted[rows] = np.arange(len(rows))
    return lambda held: wanted[np.minimum(held, len(wanted) - 1)]
