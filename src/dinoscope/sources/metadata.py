"""Labels and splits of a folder's images from the tables beside them, as Hugging Face lays out an image folder."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import replace

from dinoscope.base.text import counted
from dinoscope.errors import SourceError
from dinoscope.sources.filesystems import Storage
from dinoscope.sources.folder import FolderSource
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import ending_of
from dinoscope.sources.table import TableSource
from dinoscope.sources.table_columns import TableColumns

__all__ = ["METADATA", "add_metadata"]

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def add_metadata(source: FolderSource, storage: Storage, wanted: TableColumns) -> bool:
    """Take labels and splits of a folder's images from `metadata.csv`, `.jsonl` or `.parquet` in it, where it has such.

    A table speaks for the images of its own folder and of those below. One that has a label column gives all of these
    their labels, and those that it does not list have none; the same with splits. `source.notes` says what was taken.

    Args:
        source: The folder's images, which are changed.
        storage: The folder.
        wanted: The columns that a person names.

    Returns:
        Whether there is such a table.

    Raises:
        SourceError: Columns are named, and a table does not have them.
    """
    files = [name for name in storage.list(METADATA)[0] if posixpath.basename(name).lower() in METADATA]
    used = False
    for file in sorted(files, key=lambda name: name.count("/")):  # the nearest has the last word
        try:
            table = TableSource(storage, [file], wanted, named=False)
        except SourceError as error:
            if wanted != TableColumns():
                raise
            source.notes = [*source.notes, f"{file} is left out: {error}"]
            continue
        source.ignored_endings = source.ignored_endings - Counter([ending_of(file)])
        _apply(source, table, file)
        used = True
    return used


def _apply(source: FolderSource, table: TableSource, file: str) -> None:
    folder = file[: file.rfind("/") + 1]
    told = {item.id: (item.label, item.split) for item in table.items}
    covered = [item.id for item in source.items if item.id.startswith(folder)]
    unlisted = sum(id not in told for id in covered)
    notes = [f"{file}: {each}" for each in table.notes]
    if unlisted:
        notes.append(f"{counted(unlisted)} of {len(covered):,} not in {file}")
    source.notes = [*source.notes, *notes]
    labels, splits = table.label_column is not None, table.split_column is not None

    def placed(item: Item) -> Item:
        if not item.id.startswith(folder):
            return item
        label, split = told.get(item.id, (None, None))
        return replace(item, label=label if labels else item.label, split=split if splits else item.split)

    if labels or splits:
        source.items = Items(map(placed, source.items))
