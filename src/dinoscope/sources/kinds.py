"""Which kind of source a path, a pattern or a URI names: a folder, archives or tables, on this machine or elsewhere."""

from __future__ import annotations

import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from dinoscope.base.text import counted, printable
from dinoscope.errors import InputError, SourceError
from dinoscope.sources.archives.index import ARCHIVES, PACKED_TARS
from dinoscope.sources.archives.source import ArchiveSource
from dinoscope.sources.archives.storage import ArchiveStorage
from dinoscope.sources.boxes import ANNOTATIONS, FOLDERS_OF_ANNOTATIONS, open_boxes
from dinoscope.sources.filesystems import (
    COLLECTION,
    Listing,
    LocalStorage,
    Storage,
    is_pattern,
    is_remote,
    open_storage,
    split_pattern,
)
from dinoscope.sources.folders import BY_NAMES, FolderRule
from dinoscope.sources.names import METADATA, SUFFIXES
from dinoscope.sources.tables.columns import TableColumns
from dinoscope.sources.tables.files import TABLES
from dinoscope.sources.tables.metadata import add_metadata
from dinoscope.sources.tables.saved import ARROW, arrow_files
from dinoscope.sources.tables.source import TableSource

if TYPE_CHECKING:
    from dinoscope.sources.base import ImageSource

__all__ = ["open_files"]

_MARKED = re.compile(r"^(data\.yaml|.*coco.*\.json|instances_.*\.json)$")  # COCO and YOLO, as tools call them
_TEXT_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
_CLONED = ".gitattributes"  # every clone of a hub's repository contains it
_UNPACK = {"gz": "gzip", "tgz": "gzip", "bz2": "bzip2", "tbz2": "bzip2", "xz": "xz", "txz": "xz", "zst": "zstd"}


def open_files(source: str, wanted: TableColumns, rule: FolderRule | None = None) -> ImageSource | None:
    """Open a folder, an archive, a table, a pattern of either, or a URI of any of them.

    Args:
        source: What a person names.
        wanted: Columns of a table that a person names.
        rule: What a person wants of the names of folders.

    Returns:
        The source; None for a file whose name says that it is something else.

    Raises:
        SourceError: It cannot be opened, or holds no images.
        InputError: Columns are named, and it is not a table; or a rule for folders, and it is one.
    """
    storage: Storage
    file: str | None = None
    pattern: str | None = None
    if is_remote(source):
        storage, file, pattern = open_storage(source)
    elif os.path.isdir(source):
        storage = LocalStorage(source)
    elif os.path.exists(source) or not is_pattern(source):
        storage, file = LocalStorage(os.path.dirname(source) or "."), os.path.basename(source)
    else:
        folder, pattern = split_pattern(source.replace(os.sep, "/"))
        storage = LocalStorage(folder)
    if pattern is not None:
        opened = _open_named(storage, _match(storage, pattern), False, wanted, rule)
    elif file is not None:
        opened = _open_named(storage, [file], True, wanted, rule)
    else:
        opened = _open_folder(storage, wanted, rule)
    if opened is not None and opened.kind == "boxes":
        wanted = replace(wanted, root=None)
        _check_has_table(opened, wanted)
    if isinstance(opened, ArchiveSource) and not opened.tables:
        _check_has_table(opened, wanted)
    if rule is not None and opened is not None:
        if opened.kind in ("table", "boxes"):
            is_table = opened.kind == "table"
            what = "a table; name its columns with --label-column and --split-column" if is_table else "of annotations"
            raise InputError(f"--root, --labels and --splits are for folders and archives: {opened.name} is {what}")
        opened.folder_rule = rule
    return opened


def _open_folder(storage: Storage, wanted: TableColumns, rule: FolderRule | None) -> ImageSource:
    from dinoscope.sources.folder import FolderSource

    listed = storage.list(SUFFIXES)
    if listed[0]:
        data, note = _data_beside(storage, listed, wanted, rule)
        if data is not None:
            return data
        source = FolderSource(storage, listed, rule or BY_NAMES)
        source.notes = [*source.notes, *note, *_annotations_beside(storage, source.ignored_endings)]
        has_tables = any(source.ignored_endings[posixpath.splitext(name)[1]] for name in METADATA)
        if not (has_tables and add_metadata(source, storage, wanted, rule or BY_NAMES)):
            _check_has_table(source, wanted)
        _point_at_table(source, storage)
        return source
    files = storage.list(ARCHIVES)[0] or storage.list((".parquet",))[0] or arrow_files(storage)
    if files:
        return _open_all(storage, files, False, wanted, rule)
    for packed in storage.list(PACKED_TARS)[0]:
        raise _packed(packed)
    if isinstance(storage, LocalStorage):
        marked = _annotations(storage, listed[2], wanted.root)
        if marked:
            return open_boxes(storage, marked, wanted.root)
    if all(storage.stamps(sorted(COLLECTION))):
        raise SourceError(
            f"{storage.name!r} is a collection: expected the folder, archive or table of images that it was made of"
        )
    return FolderSource(storage, listed)  # which says that there is none


def _annotations(storage: LocalStorage, endings: Counter[str], root: str | None) -> list[str]:
    """Return the files of annotations in a folder without pictures; none where it may be about something else."""
    if root is not None or storage.name.casefold() in FOLDERS_OF_ANNOTATIONS:
        for ending in (".json", ".xml", ".txt"):
            if endings[ending]:
                return storage.list((ending,))[0]
    return []


def _annotations_beside(storage: Storage, endings: Counter[str]) -> list[str]:
    """Say how the objects become images, where the name of a file says that objects are marked."""
    known = tuple(ending for ending in (".json", ".yaml") if endings[ending])
    names = storage.list(known)[0] if known else []  # a second listing, which a folder of pictures and texts is spared
    found = next((name for name in names if _MARKED.search(posixpath.basename(name).lower())), None)
    if found is None:
        return []
    return [f"{printable(found)} marks objects in the pictures: name it instead of the folder to embed each object"]


def _point_at_table(source: ImageSource, storage: Storage) -> None:
    """Say that a table beside images without labels is not read, and how it would be."""
    if any(source.ignored_endings[ending] for ending in _TEXT_TABLES) and not any(
        item.label is not None or item.labels for item in source.items
    ):
        file = next(iter(storage.list(_TEXT_TABLES)[0]), None)
        if file is not None and posixpath.basename(file) not in METADATA:
            source.notes = [
                *source.notes,
                f"{file} is not read: if it names the images and their labels, name it instead of the folder",
            ]


def _data_beside(
    storage: Storage, listed: Listing, wanted: TableColumns, rule: FolderRule | None
) -> tuple[ImageSource | None, list[str]]:
    """Open the tables or shards of a data set in which a few pictures lie, such as the banner of its README.

    Tables with images inside count, and archives in a clone of a hub's repository, where they hold more images than
    there are pictures. Otherwise the pictures are the source.

    Returns:
        The data set, if it is one, and what a person should know if it is none.
    """
    pictures, _, endings = listed
    groups: list[list[str]] = []
    if endings[".parquet"]:
        groups.append([name for name in storage.list((".parquet",))[0] if posixpath.basename(name) not in METADATA])
    if endings[ARROW]:
        groups.append(arrow_files(storage))
    if (endings[".tar"] or endings[".zip"]) and any(storage.stamps([_CLONED])):
        groups.append(storage.list(ARCHIVES)[0])
    notes = []
    for files in filter(None, groups):
        try:
            data = _open_all(storage, files, False, wanted, rule)
        except SourceError as error:
            if len(files) >= len(pictures):  # the data set is what was meant
                raise
            notes.append(f"{counted(len(files), 'table')} beside the pictures left out: {error}")
            continue
        is_inside = not (isinstance(data, TableSource) and data.random_access)  # no mere list of these pictures
        if is_inside and len(data.items) > len(pictures):
            data.notes = [
                *data.notes,
                f"{storage.name} is a data set: {counted(len(data.items))} in {counted(len(files), 'file')}; left out: "
                f"{counted(len(pictures), 'picture')} beside them, such as {printable(pictures[0])}",
            ]
            return data, []
    return None, notes


def _check_has_table(opened: ImageSource, wanted: TableColumns) -> None:
    if wanted != TableColumns():
        raise InputError(f"columns are those of a table: {opened.name} is of kind {opened.kind}, which has none")


def _open_named(
    storage: Storage, files: Sequence[str], named: bool, wanted: TableColumns, rule: FolderRule | None
) -> ImageSource | None:
    for file in files:
        if file.lower().endswith(PACKED_TARS):
            raise _packed(file)
    if all(file.lower().endswith(ANNOTATIONS) for file in files) and not (named and files[0].lower().endswith(".txt")):
        if not isinstance(storage, LocalStorage):
            raise SourceError("annotations are read on this machine: download them with their pictures first")
        return open_boxes(storage, files, wanted.root)
    if not all(file.lower().endswith((*ARCHIVES, *TABLES)) for file in files):
        return None
    return _open_all(storage, files, named, wanted, rule)


def _open_all(
    storage: Storage, files: Sequence[str], named: bool, wanted: TableColumns, rule: FolderRule | None
) -> ImageSource:
    """Open one file that was named, or all that a folder or a pattern has at the moment."""
    if all(file.lower().endswith(ARCHIVES) for file in files):
        source = ArchiveSource(storage, files, named=named, rule=rule or BY_NAMES)
        if source.tables:
            add_metadata(source, ArchiveStorage(source), wanted, rule or BY_NAMES)
        return source
    if all(file.lower().endswith(TABLES) for file in files):
        return TableSource(storage, files, wanted, named=named)
    raise SourceError(f"{storage.name} has both archives and tables: name those of one kind")


def _packed(file: str) -> SourceError:
    tool = _UNPACK[file.lower().rpartition(".")[2]]
    return SourceError(
        f"{printable(file)} is compressed as a whole, so that no image in it can be read without all before it: "
        f"'{tool} -dk' makes a .tar of it, which dinoscope reads as it is"
    )


def _match(storage: Storage, pattern: str) -> list[str]:
    """Return the files that a pattern names, in natural order; those of {0000..0099} must all be there."""
    expanded = list(_expand(pattern))
    for each in expanded:
        if each.startswith("/") or ".." in each.split("/") or os.path.splitdrive(each)[0]:  # ids would hold the path
            raise SourceError(
                f"{pattern!r} names files that are not below one folder: write the folder before the braces, as in "
                "'/data/{a,b}.tar', and no '..' in them"
            )
    # a text beside shards is seldom one of YOLO's: annotations are meant where nothing else is
    found = _matching(storage, expanded, (*ARCHIVES, *TABLES))
    if len(found) == sum(not is_pattern(each) for each in expanded):
        found = _matching(storage, expanded, ANNOTATIONS)
    if not found:
        raise SourceError(f"no archive, table or annotations in {storage.name!r} is called {pattern!r}")
    missing = [name for name, stamp in zip(found, storage.stamps(found), strict=True) if not stamp]
    if missing:
        raise SourceError(
            f"{len(missing)} of {len(found)} files are missing in {storage.name!r}; the first: {missing[0]}"
        )
    return list(dict.fromkeys(found))


def _matching(storage: Storage, patterns: Sequence[str], endings: tuple[str, ...]) -> list[str]:
    """Return the files with these endings that patterns name, and named files with any ending."""
    listed = storage.list(endings)[0] if any(map(is_pattern, patterns)) else []
    found: list[str] = []
    for each in patterns:
        deep = each.count("/")
        found += [name for name in listed if name.count("/") == deep and fnmatchcase(name, each)]
        found += [] if is_pattern(each) else [each]
    return found


def _expand(pattern: str) -> Iterator[str]:
    """Yield what braces stand for, as in a shell: "{08..10}" is 08, 09, 10, and "{a,b}" is a, b."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        yield pattern
        return
    span = re.fullmatch(r"([0-9]+)\.\.([0-9]+)", braces[1])
    if span is None:
        choices = braces[1].split(",")
    else:
        choices = [f"{number:0{len(span[1])}d}" for number in range(int(span[1]), int(span[2]) + 1)]
    for choice in choices:
        yield from _expand(pattern[: braces.start()] + choice + pattern[braces.end() :])
