"""Lines of parts that belong to the images of a table, and no others.

A folder that was copied while it was written, restored or synchronised may hold parts of a later state than its table,
or of another collection. Rows are given in runs, and each run draws a number, its generation. Table and parts hold it
beside the row, so that a line with an unknown image is recognized.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.machine import cores
from dinoscope.base.types import Columns
from dinoscope.errors import DamagedError
from dinoscope.storage.manifest import is_gone
from dinoscope.storage.tables import group_sizes, list_parts, read_table

__all__ = ["active_rows", "draw_generation", "is_known", "known_lines", "read_images", "read_parts", "read_rows"]


def draw_generation() -> int:
    """Return a new generation: a number that no other run has drawn, on no machine."""
    return secrets.randbits(63) | 1  # never 0, which is that of tables without generations


def read_images(path: Path, columns: list[str] | None = None) -> Columns:
    """Return columns of images.parquet, by default all.

    Raises:
        CollectionError: If it is damaged or gone, or the whole collection is.
    """
    file = path / "images.parquet"
    try:
        return read_table(file, columns)[0]
    except FileNotFoundError:
        if not path.exists():
            raise is_gone(path) from None
        raise DamagedError(file, "it is gone") from None


def is_known(lines: Columns, images: Columns) -> NDArray[np.bool_]:
    """Tell which lines of a part (n,) are of images of the table.

    Args:
        lines: Columns of the part, row and generation among them; without the latter it is 0.
        images: Columns of images.parquet, removed and generation among them; likewise.
    """
    rows = lines["row"]
    known: NDArray[np.bool_] = (rows >= 0) & (rows < len(images["removed"]))
    given, drawn = lines.get("generation"), images.get("generation")
    if given is not None or drawn is not None:
        ours = 0 if drawn is None else drawn[rows[known]]
        known[known] = ours == (0 if given is None else given[known])
    return known


def known_lines(lines: Columns, images: Columns, *, shown: bool = False) -> Columns:
    """Return columns of a part without the lines that ``is_known`` refuses; ``shown``: nor those of removed images."""
    known = is_known(lines, images)
    if shown:
        known[known] = ~images["removed"][lines["row"][known]]
    return lines if known.all() else {name: _choose(values, known) for name, values in lines.items()}


def read_parts(folder: Path, columns: list[str], images: Columns) -> dict[Path, Columns]:
    """Read columns of the parts of a folder, in their order, as many at once as there are cores.

    Args:
        folder: The folder.
        columns: Which, "row" among them.
        images: See ``is_known``: other lines are left out.

    Raises:
        DamagedError: If one of them is damaged.
    """
    from concurrent.futures import ThreadPoolExecutor

    def read(part: Path) -> Columns | None:
        try:
            return known_lines(read_table(part, [*columns, "generation"])[0], images)
        except FileNotFoundError:  # an embedding removes what the table does not know
            return None

    parts = list_parts(folder)
    with ThreadPoolExecutor(max_workers=cores(), thread_name_prefix="read") as pool:
        read_ones = zip(parts, pool.map(read, parts), strict=True)
        return {part: found for part, found in read_ones if found is not None}


def read_rows(part: Path, rows: NDArray[np.int64], column: str, images: Columns) -> dict[int, Any]:
    """Read one column of some rows of a part, and of the part no more than holds them.

    Args:
        part: The file.
        rows: Which rows.
        column: Which column.
        images: See ``is_known``: other lines are left out.

    Returns:
        Row number -> value, of the rows that are there and have one; none if the part is gone.

    Raises:
        DamagedError: If what is read is not what was written.
    """
    try:
        held, ends = read_table(part, ["row"])[0]["row"], np.cumsum(group_sizes(part))
        groups = np.unique(np.searchsorted(ends, np.flatnonzero(np.isin(held, rows)), side="right")).tolist()
        found = known_lines(read_table(part, ["row", "generation", column], groups)[0], images)
    except FileNotFoundError:
        return {}
    values = zip(found["row"].tolist(), found[column], strict=True)
    wanted = set(rows.tolist())
    return {row: value for row, value in values if row in wanted and value is not None}


def active_rows(rows: Sequence[NDArray[np.int64]], images: Columns) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return which rows of parts count, ascending and once each, and where each stands among them.

    Args:
        rows: The rows of each part, in their order, of images that the table knows.
        images: Columns of images.parquet, removed among them.
    """
    held, places = np.unique(np.concatenate([np.empty(0, np.int64), *rows]), return_index=True)
    active = ~images["removed"][held]
    return held[active], places[active]


def _choose(values: Any, known: NDArray[np.bool_]) -> Any:
    return values[known] if isinstance(values, np.ndarray) else list(compress(values, known))
