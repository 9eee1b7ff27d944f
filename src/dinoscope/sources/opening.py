"""What a person names, opened as a source of images: the only module that knows every kind."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_arguments
from dinoscope.base.digests import digest_bytes
from dinoscope.base.paths import similar_path
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError, SourceError
from dinoscope.sources.array import ArraySource, Labels
from dinoscope.sources.base import ImageSource, as_source
from dinoscope.sources.filesystems import is_remote
from dinoscope.sources.folders import FolderRule
from dinoscope.sources.in_memory import open_in_memory
from dinoscope.sources.selection import give_labels, select
from dinoscope.sources.tables.columns import TableColumns

__all__ = ["Source", "open_source"]


class Indexed(Protocol):
    """What a program may hold its images in; see `open_in_memory`."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: Any, /) -> Any: ...


Source: TypeAlias = str | os.PathLike[str] | NDArray[np.generic] | ImageSource | Indexed


@check_arguments
def open_source(
    source: Source,
    *,
    labels: Labels | None = None,
    splits: Labels | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    image_root: str | os.PathLike[str] | None = None,
    folders: FolderRule | None = None,
) -> ImageSource:
    """Open what a person names as a source of images.

    Args:
        source: A data set's name (it wins over a folder of that name; write "./name" for the folder), a folder, a
            `.npy` file, a `.npz` file with `images` and perhaps `labels`, an array, or a source; a tar or zip archive,
            a Parquet, Arrow, CSV, TSV or JSON-lines table, a folder or a pattern of them ("shards/{0000..0099}.tar"); a
            URI of any of these that pyarrow reaches ("s3://bucket/photos"); or what a program holds: a list of paths,
            of arrays, of Pillow images; a table of pandas, polars or Arrow; a Hugging Face or torch data set.
        labels: (N,) labels of what a program holds, or of an array file.
        splits: (N,) splits, such as "train", of the same.
        data_dir: Where a data set's files are looked for first.
        limit: Keep this many images, chosen at random. A larger limit keeps those of a smaller one, and images that are
            added to the source later displace few.
        seed: Seed of that choice.
        image_column: Column of a table that holds the images; by default the one that looks like it.
        label_column: Column of a table that holds the labels; "none" for none.
        split_column: Column of a table that holds the splits; "none" for none.
        image_root: Folder that the paths in a table are below, where it is not the table's own.
        folders: How the names of folders become labels and splits, other than by ``read_folders`` alone.

    Raises:
        SourceError: Nothing is there, or it holds no images.
        InputError: An array, `labels`, `limit` or `folders` does not fit.
        DownloadError: A data set's files are missing and cannot be downloaded.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    root = None if image_root is None else os.fspath(image_root)
    opened = _open(source, labels, data_dir, TableColumns(image_column, label_column, split_column, root), folders)
    if splits is not None or (labels is not None and not isinstance(opened, ArraySource)):
        if isinstance(source, str | os.PathLike) and not isinstance(opened, ArraySource):
            raise InputError(
                "labels go with an array or a list, and so do splits; those of a folder are the names of its "
                "sub-folders"
            )
        opened = give_labels(opened, labels, splits)
    if limit is None or limit >= len(opened.items):
        return opened
    ranks = np.fromiter(
        (int(digest_bytes(str(seed), item.id), 16) for item in opened.items), np.uint64, len(opened.items)
    )
    return select(opened, np.sort(np.argsort(ranks, kind="stable")[:limit]).tolist())


def _open(
    source: Source,
    labels: Labels | None,
    data_dir: str | os.PathLike[str] | None,
    columns: TableColumns,
    folders: FolderRule | None,
) -> ImageSource:
    from dinoscope.sources.array import load_array_file
    from dinoscope.sources.datasets.named import DATASETS, load_dataset

    path = os.path.expanduser(source) if isinstance(source, str | os.PathLike) else None
    by_path = path is not None and not path.endswith((".npy", ".npz")) and source not in DATASETS
    if folders is not None and not by_path:
        raise InputError("--root, --labels and --splits are for folders and archives, whose folders have names")
    if isinstance(source, np.ndarray) and source.ndim == 1 and source.dtype.kind in "UO":  # of paths, or of pictures
        source = source.tolist()
    if isinstance(source, np.ndarray):
        return ArraySource(source, labels)
    if path is not None and path.endswith((".npy", ".npz")) and os.path.isfile(path):
        return load_array_file(path, labels)
    known = as_source(source) or (open_in_memory(source, columns) if path is None else None)
    if known is not None:
        return known
    if path is None:
        hint = "; list(...) makes a list of what it yields" if isinstance(source, Iterable) else ""
        raise InputError(
            "expected a path, a data set's name, an array, a list of paths or pictures, a table (pandas, polars, "
            f"Arrow), a data set (Hugging Face, torch) or a source, got {type(source).__name__}{hint}"
        )
    if isinstance(source, str) and source in DATASETS:
        return load_dataset(source, data_dir)
    return _open_path(path, columns, folders, DATASETS)


def _open_path(path: str, columns: TableColumns, folders: FolderRule | None, datasets: Iterable[str]) -> ImageSource:
    from dinoscope.sources.filesystems import is_pattern
    from dinoscope.sources.kinds import open_files

    exists = os.path.exists(path)
    if exists or is_remote(path) or is_pattern(path):
        opened = open_files(path, columns, folders)
        if opened is not None:
            return opened
    possible = (
        "expected a folder of images, a .npy or .npz file, a tar or zip archive, a Parquet, Arrow, CSV, TSV or "
        f"JSON-lines table, s3://BUCKET/PREFIX, or a data set ({', '.join(datasets)})"
    )
    if is_remote(path):
        raise SourceError(f"{path.partition('?')[0].rpartition('/')[2]!r} is a single file; {possible}")
    if exists:
        raise SourceError(f"{path!r} is a single file; {possible}")
    near = did_you_mean(path.lower(), datasets) or similar_path(path)
    raise SourceError(f"nothing is called {path!r}; {possible}{near}")
