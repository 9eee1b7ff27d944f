"""Lists of images, as people and other commands write them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.collection import Collection

__all__ = ["listed_rows"]


def listed_rows(opened: Collection, path: Path) -> list[int]:
    """Return the rows of the images that a file lists: a CSV with a column row or id, or one row or id a line.

    Raises:
        InputError: If it cannot be read, or names an image that the collection does not have.
    """
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{path} is not a text in UTF-8: expected one row number or one id per line, or a CSV"
        ) from None
    lines = list(csv.reader(io.StringIO(text))) if path.suffix == ".csv" else [[each] for each in text.splitlines()]
    head = lines[0] if lines else []
    column = next((head.index(name) for name in ("row", "id") if name in head), None)
    if path.suffix == ".csv" and column is None:
        raise InputError(f"{path} has no column row or id: its columns are {', '.join(head) or 'none'}")
    names = [line[column or 0] for line in lines[column is not None :] if line and any(line)]
    by_id = dict(zip(opened.ids.tolist(), opened.rows.tolist(), strict=True))
    rows = set(opened.rows.tolist())
    found = []
    for name in names:
        # an apostrophe keeps a spreadsheet from computing a name; see csv_text
        row = by_id.get(name, by_id.get(name.removeprefix("'")))
        if row is None and name.strip().isdecimal() and int(name) in rows:
            row = int(name)
        if row is None:
            raise InputError(f"{path} names {name!r}, which is not an image of {opened.path}")
        found.append(row)
    return list(dict.fromkeys(found))
