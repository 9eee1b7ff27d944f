"""Columns of a source brought into a collection; no image is read or embedded for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dinoscope.base.text import remark
from dinoscope.base.types import Columns
from dinoscope.columns.kinds import Column
from dinoscope.columns.names import FILE_COLUMNS, ColumnChoice
from dinoscope.columns.typing import as_columns
from dinoscope.embedding.rows import Synchronised
from dinoscope.errors import DamagedError
from dinoscope.sources.base import ImageSource
from dinoscope.storage.columns import COLUMNS, StoredColumn, read_columns, write_columns
from dinoscope.storage.manifest import read_manifest, set_columns

__all__ = ["renew_columns", "source_columns", "stored_choice"]


def stored_choice(path: Path) -> ColumnChoice:
    """Return which columns a person wanted of a collection's source when they said so last; all, if never."""
    try:
        held = read_manifest(path).get("columns")
    except (FileNotFoundError, DamagedError):
        return ColumnChoice()
    return ColumnChoice(None if held is None else tuple(held))


def source_columns(source: ImageSource) -> dict[str, Column]:
    """Return the columns of a source's tables by the names that they have here, (N,) each.

    Raises:
        InputError: If a person wants columns that neither the source nor its files have.
        SourceError: If they cannot be read.
    """
    found = as_columns(source.columns().items(), "table")
    if source.column_choice is not None:
        source.column_choice.check([*found, *FILE_COLUMNS])
    return found


def renew_columns(
    path: Path, found: Mapping[str, Column], table: Synchronised, wanted: ColumnChoice | None = None
) -> bool:
    """Bring the stored columns to the state of a source; the lock must be held.

    Images that left the source keep their values, and columns that a person added stay.

    Args:
        path: The collection.
        found: What ``source_columns`` returned.
        table: The rows of the source's images.
        wanted: Which columns a person wants from now on; None: as before.

    Returns:
        Whether anything changed.

    Raises:
        WriteError: If it cannot be written.
    """
    if wanted is not None:
        set_columns(path, wanted.names)
    choice = stored_choice(path)
    images: Columns = {"removed": np.zeros(len(table.generations), bool), "generation": table.generations}
    known = _known(path, images)
    columns = {
        name: StoredColumn(_placed(column, table, known.get(name)))
        for name, column in found.items()
        if choice.takes(name) and not column.missing.all()
    }
    own = {name: each for name, each in known.items() if each.origin == "own"}
    return write_columns(path, images, columns | own)


def _known(path: Path, images: Columns) -> dict[str, StoredColumn]:
    try:
        return read_columns(path, images)
    except DamagedError as error:
        aside = (path / COLUMNS).with_name(f"{COLUMNS}.damaged")
        (path / COLUMNS).replace(aside)
        remark(
            f"{path / COLUMNS} was damaged ({error.reason}) and is now called {aside.name}: the columns of the source "
            "are made again, those that you added are lost"
        )
        return {}


def _placed(column: Column, table: Synchronised, before: StoredColumn | None) -> Column:
    """Return a column of all rows (R,); rows that are not in the source keep their value."""
    kept = before is not None and before.origin == "source" and before.column.goes_with(column)
    return Column.of_rows(column, table.rows, len(table.generations), before.column if before and kept else None)
