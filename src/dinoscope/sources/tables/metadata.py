"""Labels, splits and captions of images from tables beside them, as Hugging Face lays out an image folder."""

from __future__ import annotations

import posixpath
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from dinoscope.base.text import counted
from dinoscope.errors import SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.filesystems import Storage
from dinoscope.sources.folders import BY_NAMES, FolderRule
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import METADATA, ending_of
from dinoscope.sources.tables.columns import TableColumns, joined
from dinoscope.sources.tables.source import TableSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["add_metadata"]


def add_metadata(source: ImageSource, storage: Storage, wanted: TableColumns, rule: FolderRule = BY_NAMES) -> bool:
    """Take labels, splits and captions of images from the `metadata.csv`, `.jsonl` or `.parquet` beside them.

    A table speaks for the images of its own folder and of those below. One that has a label column gives all of these
    their labels, and those that it does not list have none; the same with splits. `source.notes` says what was taken.
    Where a person chose folders for labels or splits, and named no column, the table gives none.

    Args:
        source: The images of a folder or of archives, which are changed.
        storage: The folder, or what is in the archives.
        wanted: The columns that a person names.
        rule: What a person wants of the names of folders.

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
        labels = table.gives_labels and (rule.labels == "auto" or wanted.label is not None)
        splits = table.gives_splits and (rule.splits is None or wanted.split is not None)
        _apply(source, table, file, labels, splits)
        used = True
    return used


def _apply(source: ImageSource, table: TableSource, file: str, labels: bool, splits: bool) -> None:
    folder = file[: file.rfind("/") + 1]
    told = {item.id: item for item in table.items}
    covered = [item.id for item in source.items if item.id.startswith(folder)]
    unlisted = sum(id not in told for id in covered)
    notes = [f"{file}: {each}" for each in table.notes]
    if unlisted:
        notes.append(f"{counted(unlisted)} of {len(covered):,} not in {file}")
    source.notes = [*source.notes, *notes]

    def placed(item: Item) -> Item:
        if not item.id.startswith(folder):
            return item
        said = told.get(item.id)
        return replace(
            item,
            label=(said.label if said else None) if labels else item.label,
            labels=(said.labels if said else ()) if labels else item.labels,
            split=(said.split if said else None) if splits else item.split,
            caption=said.caption if said and said.caption else item.caption,
        )

    source.items = Items(map(placed, source.items))
    source.columns_beside = {**source.columns_beside, **_beside(source, table)}


def _beside(source: ImageSource, table: TableSource) -> dict[str, pa.Array]:
    """Return the columns of a table by the images that it lists, in the order of a source's images (N,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = table.columns()
    if not columns:
        return {}
    places = {item.id: place for place, item in enumerate(table.items)}
    taken = pa.array([places.get(item.id) for item in source.items], pa.int64())
    found = {}
    for name, values in columns.items():
        nearer = values.take(taken)
        farther = source.columns_beside.get(name)  # of a table that speaks for more folders
        if farther is not None:
            both = joined([farther, nearer])  # of one type
            nearer = pc.if_else(taken.is_null(), both[: len(taken)], both[len(taken) :])
        found[name] = nearer
    return found
