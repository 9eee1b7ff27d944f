"""Images that a table lists: Parquet with the files' bytes inside, or Parquet, CSV or TSV with their paths."""

from __future__ import annotations

import os
import posixpath
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate, repeat
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from dinoscope.base.digests import digest_bytes
from dinoscope.base.text import counted
from dinoscope.errors import ImageError, SourceError, UnreadableError
from dinoscope.sources.base import PictureSource
from dinoscope.sources.captions import describe_captions, look_like_captions
from dinoscope.sources.filesystems import LocalStorage, OpenFiles, Storage, open_root
from dinoscope.sources.folders import splits_of_files
from dinoscope.sources.items import Item, Items
from dinoscope.sources.names import SUFFIXES
from dinoscope.sources.pixels.decode import Picture
from dinoscope.sources.tables.columns import TableColumns, check_names, choose_columns, is_plain, joined
from dinoscope.sources.tables.files import Table, open_table
from dinoscope.sources.tables.labels import is_list, sets_in_texts, sets_of_hot, sets_of_texts, texts
from dinoscope.sources.tables.places import find_files
from dinoscope.sources.tables.saved import ARROW, described, saved_split

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TableSource"]

_LEAST_FILE = 32  # bytes: no image's file is smaller, so a column of less holds paths, or nothing


class TableSource(PictureSource):
    """The images of one table, or of several with the same columns, in the order of their rows.

    A row's image is the bytes of a file (also in Hugging Face's layout, a struct of bytes and path) or a path, which is
    relative to the table's folder or to `wanted.root`, or absolute and below that. An image's id is its path, or its
    number in the table; the same path again gets "#2".

    Args:
        storage: The folder that holds the tables.
        files: Their names: .parquet, .arrow, .csv, .tsv or .jsonl.
        wanted: The columns that a person names, and the folder of the images.
        named: Whether one was named as such. Otherwise its name is part of the ids, since more may follow later.
        held: The tables, where they are in memory and no files.
        name: Name for people; by default that of the table or the folder.

    Attributes:
        notes: What was chosen.
        gives_splits: Whether it has a column of splits.
        random_access: Whether the order of loading is free; bytes in a table are read a batch at a time.

    Raises:
        SourceError: A table cannot be read, which column holds the images or the labels is not certain, or none of the
            files that it names exists.
    """

    kind = "table"

    def __init__(
        self,
        storage: Storage,
        files: Sequence[str],
        wanted: TableColumns,
        *,
        named: bool,
        held: Mapping[str, Table] | None = None,
        name: str | None = None,
    ) -> None:
        self.name, self._storage, self._named = name or (files[0] if named else storage.name), storage, named
        self._held = held
        self._images = storage if wanted.root is None else open_root(wanted.root)
        self._has_root = wanted.root is not None
        self._files = list(files)
        self._open = held.__getitem__ if held is not None else OpenFiles(partial(_open, storage))
        tables = [self._open(file) for file in files]
        first = next(((preview, table.name) for table in tables if (preview := table.preview()).num_rows), None)
        if first is None:
            raise SourceError(f"{self.name} has no rows: expected a table with an image in each")
        self._chosen = choose_columns(first[0], wanted, first[1])
        self.notes: list[str] = [*(note for table in tables for note in table.notes), self._chosen.described]
        self.random_access = self._chosen.form == "path"
        by_name = splits_of_files(files)
        self._splits = [split or saved_split(storage, file) for split, file in zip(by_name, files, strict=True)]
        # "none" is to have none
        self.has_labels = self._chosen.label is not None or bool(self._chosen.hot) or wanted.label is not None
        self.has_splits = self._chosen.split is not None or wanted.split is not None or any(self._splits)
        self._rows: list[int] = []  # of each table
        self._elsewhere: SourceError | None = None  # for a path of another machine
        self._missing: list[str] = []  # files that are named and not there
        self._captions: bool | None = None  # whether the labels are none; the first table tells
        self._listed: bool | None = None  # whether a text holds several labels; the first table tells
        self._renamed: dict[int, str] = {}  # the path of an image whose id is another one
        self.items = self._items = self._named_apart(
            Items(self._list(list(storage.stamps(files)) if held is None else [""] * len(files)))
        )
        self._ends = list(accumulate(self._rows))
        self.gives_splits = self._chosen.split is not None
        self._check_missing()

    @property
    def gives_labels(self) -> bool:
        """Whether it has a column of labels, or several, that are not captions."""
        return bool(self._chosen.hot) or (self._chosen.label is not None and not self._captions)

    def bytes_read(self, index: int) -> int:
        """Return how large the values are that are read with one; see `PictureSource.bytes_read`."""
        if self._chosen.form == "path":
            return 0
        number = bisect_right(self._ends, index)
        try:
            return self._open(self._files[number]).bytes_read(self._chosen.image, index - ([0, *self._ends][number]))
        except SourceError:  # reading it will tell
            return 0

    def picture(self, index: int) -> Picture:
        """Return the bytes of one image's file, or its path; see `ImageSource.picture`."""
        if self._chosen.form == "path":
            return self._images.picture(self._renamed.get(index) or self._items.name(index))
        number = bisect_right(self._ends, index)
        value = self._value(self._files[number], index - ([0, *self._ends][number]))
        if isinstance(value, dict):
            if not value["bytes"] and value["path"]:
                return self._images.picture(self._inside(self._files[number], value["path"]))
            value = value["bytes"]
        if value is None:
            raise ImageError("is missing: the table has none in this row")
        picture: bytes = value
        return picture

    def path(self, index: int) -> str | None:
        """Return one image's file; see `ImageSource.path`."""
        is_local = self._chosen.form == "path" and isinstance(self._images, LocalStorage)
        return str(self.picture(index)) if is_local else None

    def file_size(self, index: int) -> int | None:
        """Return about how large one image's file is; see `ImageSource.file_size`."""
        if self._chosen.form == "path":
            return super().file_size(index)
        number = bisect_right(self._ends, index)
        try:
            size = self._open(self._files[number]).value_size(self._chosen.image, index - ([0, *self._ends][number]))
        except SourceError:  # reading it will tell
            return None
        return size if size is not None and size >= _LEAST_FILE else None

    def columns(self) -> dict[str, pa.Array]:
        """Return the columns that are neither images nor labels, splits or captions; see `ImageSource.columns`.

        One that not all tables have is missing in the others.
        """
        import pyarrow as pa

        chosen, pieces = self._chosen, dict[str, list[pa.Array]]()
        told = {chosen.image, chosen.label, chosen.split, chosen.caption, *chosen.hot, *chosen.others}
        for number, (table, rows) in enumerate(zip(map(self._open, self._files), self._rows, strict=True)):
            names = [field.name for field in table.preview().schema if field.name not in told and is_plain(field.type)]
            for name, values in zip(names, table.columns(names).columns if names else [], strict=True):
                pieces.setdefault(name, [pa.nulls(each) for each in self._rows[:number]]).append(
                    values.combine_chunks()
                )
            for held in pieces.values():
                held += [pa.nulls(rows)] if len(held) == number else []
        return {name: joined(held) for name, held in pieces.items()}

    def _value(self, file: str, row: int) -> Any:
        import pyarrow as pa

        try:
            return self._open(file).value(self._chosen.image, row)
        except (OSError, SourceError, pa.ArrowException, StopIteration) as error:
            raise UnreadableError(f"cannot be read: {' '.join(str(error).split())[:120]}") from None

    def _mark(self, table: str, row: int) -> str:
        """Return what tells an image in memory, which has no time, from another."""
        value = self._value(table, row)
        if isinstance(value, dict):
            value = value["bytes"] or (value["path"] or "")
        return digest_bytes(value or b"")

    def _list(self, stamps: Sequence[str]) -> Iterator[Item]:
        for table, stamp, split in zip(map(self._open, self._files), stamps, self._splits, strict=True):
            chosen, held = self._chosen, self._read(table)
            rows = held.num_rows if table.rows is None else table.rows
            self._rows.append(rows)
            labels, sets = self._labels(held, rows)
            splits = texts(held.column(chosen.split)) if chosen.split else repeat(split, rows)
            captions = texts(held.column(chosen.caption)) if chosen.caption else [None] * rows
            if chosen.label is not None and isinstance(labels, list) and self._are_captions(labels):
                labels, captions = [None] * rows, labels
            elif isinstance(labels, list) and (several := self._sets_in(labels)) is not None:
                labels, sets = [None] * rows, several
            names = self._names(table, held, rows)
            if chosen.form == "path":
                names, marks = self._found(names)
            elif self._held is not None:
                marks = (self._mark(table.name, row) for row in range(rows))
            else:
                marks = (f"{stamp} {row}" for row in range(rows))
            said = zip(names, marks, labels, splits, captions, sets, strict=True)
            for name, mark, label, split, caption, several in said:
                yield Item(name, digest_bytes(name, mark), label, split, caption, several)

    def _labels(self, held: pa.Table, rows: int) -> tuple[Iterable[str | None], Iterable[tuple[str, ...]]]:
        """Return the label of each row, or its labels."""
        chosen = self._chosen
        none: Iterable[str | None] = repeat(None, rows)
        if chosen.hot:
            return none, sets_of_hot([held.column(name) for name in chosen.hot], chosen.hot)
        if chosen.label is None:
            return none, repeat((), rows)
        column = held.column(chosen.label)
        if is_list(column.type):
            return none, sets_of_texts(column, chosen.classes)
        return texts(column, chosen.classes), repeat((), rows)

    def _are_captions(self, labels: Iterable[str | None]) -> bool:
        if self._captions is None:
            self._captions = not self._chosen.told and look_like_captions(labels)
            if self._captions:
                where = f"the texts of column {self._chosen.label}"
                self.notes = [*self.notes, f"{describe_captions(where, labels)}; --label-column takes them for labels"]
        return self._captions

    def _sets_in(self, labels: list[str | None]) -> list[tuple[str, ...]] | None:
        """Return the labels of each row where its text holds several; the first table tells whether."""
        if self._listed is False or self._chosen.label is None:
            return None
        sets, how = sets_in_texts(labels, self._chosen.label) or (None, "")
        if sets is None:
            singles: list[tuple[str, ...]] | None
            singles = [(label,) if label else () for label in labels] if self._listed else None
            self._listed = bool(self._listed)
            return singles
        if not self._listed:
            self._listed = True
            self.notes.append(f"column {self._chosen.label} holds several labels per image, {how}")
        return sets

    def _read(self, table: Table) -> pa.Table:
        """Read all columns but the bytes."""
        chosen = self._chosen
        path = {"path": [chosen.image], "struct": [f"{chosen.image}.path"], "bytes": []}[chosen.form]
        try:
            told = (chosen.label, *chosen.hot, chosen.split, chosen.caption)
            held = table.columns([*path, *(each for each in told if each is not None)])
        except KeyError:
            raise SourceError(f"{table.name} has other columns than {self._files[0]}") from None
        check_names(held.column_names, table.name)
        return held

    def _names(self, table: Table, held: pa.Table, rows: int) -> list[str]:
        import pyarrow.compute as pc

        numbers = (f"{row:05d}" for row in range(rows))
        if self._chosen.form == "path":
            paths = held.column(self._chosen.image).to_pylist()
            return [self._placed(table.name, path or number) for path, number in zip(paths, numbers, strict=True)]
        prefix = posixpath.splitext(table.name)[0] + "/" if not self._named else ""
        if self._chosen.form == "bytes":
            return [prefix + number for number in numbers]
        paths = pc.struct_field(held.column(self._chosen.image), "path").to_pylist()
        return [
            prefix + (posixpath.basename(path or "") or number) for path, number in zip(paths, numbers, strict=True)
        ]

    def _found(self, names: list[str]) -> tuple[list[str], Iterable[str]]:
        """Return the files' names as they are on the disk, and their stamps; see `find_files`."""
        marks = list(self._images.stamps(names))
        missing = [index for index, mark in enumerate(marks) if not mark]
        if missing:
            found, moved = find_files(
                names, missing, self._images.list(SUFFIXES)[0], foreign=self._elsewhere is not None
            )
            if moved:
                index = next(index for index in missing if found[index] != names[index])
                self.notes.append(
                    f"{counted(moved, 'file')} of {self.name} found by how their paths end: {found[index]!r} is taken "
                    f"for {names[index]!r}"
                )
            names, marks = found, list(self._images.stamps(found))
            missing = [index for index in missing if not marks[index]]
        self._missing += [names[index] for index in missing]
        if self._elsewhere is not None and missing:
            raise self._elsewhere
        return names, marks

    def _check_missing(self) -> None:
        if not self._missing:
            return
        count, first, place = len(self._missing), self._missing[0], self._images.place
        if count == len(self.items):
            raise SourceError(
                f"none of the {count:,} files that {self.name} names is there: dinoscope looked for the first, "
                f"{first!r}, in {place}; name the folder that they are below with --image-root DIR"
            )
        self.notes.append(
            f"{count:,} of the {len(self.items):,} files that {self.name} names are not there; dinoscope looked for "
            f"the first, {first!r}, in {place}"
        )

    def _beside(self, table: str, path: str) -> str:
        """Return a path that a table holds as one relative to the folder of all images."""
        if (below := self._images.below(path)) is not None:
            return below
        if path.lower().startswith("file://"):
            return self._beside(table, unquote(path[len("file://") :]))
        if "://" in path:
            raise SourceError(
                f"{table} names {path!r}: a table names files; fetch them first, or name the folder that they are "
                "below with --image-root URI"
            )
        try:
            return _beside("" if self._has_root else table, path)
        except SourceError:
            folder = "the folder of --image-root" if self._has_root else "the table's folder"
            raise SourceError(
                f"{table} names {path!r}, which is not below {folder}: name the folder that holds the images with "
                "--image-root DIR"
            ) from None

    def _placed(self, table: str, path: str) -> str:
        """Return a path as `_beside` does; of one on another machine what may be found below the folder."""
        try:
            return self._beside(table, path)
        except SourceError as error:
            if not path.startswith("/") or os.path.lexists(path):
                raise
            self._elsewhere = self._elsewhere or error
            return posixpath.normpath(path).lstrip("/")

    def _inside(self, table: str, path: str) -> str:
        try:
            return self._beside(table, path)
        except SourceError:  # which names the path: it may be one of this machine, and reasons are stored
            raise ImageError("is missing: the table names a file outside its own folder") from None

    def _named_apart(self, items: Items) -> Items:
        """Give the second image of the same name the id "NAME#2", and so on."""
        counts = Counter[str]()
        ids: dict[int, str] = {}
        for index in items.doubled().tolist():
            name = items.name(index)
            counts[name] += 1
            if counts[name] > 1:
                self._renamed[index], ids[index] = name, f"{name}#{counts[name]}"
        if not ids:
            return items
        return Items(replace(item, id=ids.get(index, item.id)) for index, item in enumerate(items))


def _open(storage: Storage, file: str) -> Table:
    return open_table(storage.open(file), file, described(storage, file) if file.lower().endswith(ARROW) else None)


def _beside(table: str, path: str) -> str:
    """Return a path that a table holds as one relative to the folder of all tables."""
    path = path.replace(os.sep, "/")  # as Windows writes it
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(table), path))
    drive = any(os.path.splitdrive(each)[0] for each in (path, joined))
    if drive or joined.startswith(("/", "../")) or joined == "..":
        raise SourceError(f"{path!r} is not below the table's folder")
    return joined
