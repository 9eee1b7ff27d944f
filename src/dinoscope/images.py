"""Where images come from: folders, arrays, data sets; `sources` opens archives, tables and other machines.

A source lists its images (`items`) and decodes one of them (`load`); a bad image raises `ImageError` with the reason
when it is loaded, so that rows stay aligned. Everything comes out as (H, W, 3) uint8 RGB: upright, alpha laid on white.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dinoscope.decode import ReducedImage, check_images, read_image
from dinoscope.errors import InputError, SourceError, did_you_mean
from dinoscope.items import (
    SUFFIXES,
    Item,
    Items,
    describe_endings,
    digest,
    has_split_folders,
    place_in_folders,
    printable,
)
from dinoscope.storage import Listing, LocalStorage, Storage, is_remote
from dinoscope.table_columns import TableColumns

__all__ = [
    "SUFFIXES",
    "ArraySource",
    "FolderSource",
    "ImageSource",
    "Item",
    "content_of",
    "digest",
    "load_reduced",
    "open_source",
    "select",
]

Labels: TypeAlias = Sequence[Any] | NDArray[Any]
_MISSING = ("nan", "<NA>", "NaT")  # what NumPy and pandas have in place of a label, as text


@runtime_checkable
class ImageSource(Protocol):
    """A sequence of images in a fixed order."""

    @property
    def name(self) -> str:
        """Short name for people."""

    @property
    def kind(self) -> str:
        """One of "folder", "archive", "table", "array" and "dataset"."""

    @property
    def items(self) -> Sequence[Item]:
        """What is known of each image before it is decoded."""

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one image to (H, W, 3) RGB; safe to call from several threads.

        Raises:
            ImageError: The image cannot be read; the message is the reason.
        """


@runtime_checkable
class _ReducingSource(Protocol):
    """A source of files, some of which can be decoded smaller than they are in less time."""

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one image, perhaps reduced; see `dinoscope.decode.read_reduced`."""


@runtime_checkable
class _FileSource(Protocol):
    """A source of files, whose bytes have a digest."""

    def content(self, index: int) -> str | None:
        """Return it, or None if it cannot be had cheaply; the same as `ReducedImage.content`."""


class FolderSource:
    """The images below a folder, in natural order of their relative paths ("2.png" before "10.png").

    Hidden files and folders, `__MACOSX`, `Thumbs.db` and dinoscope's own collections do not exist for it. Whatever has
    an image's suffix is an item, also when it turns out to be none. The first-level sub-folder is the label; where all
    first-level sub-folders are called train, test, val, valid or validation, they are the split and the second level is
    the label. `ignored` counts the files left out because of their suffix, `ignored_endings` says how many have which.

    Raises:
        SourceError: The folder cannot be listed or holds no images.
    """

    kind = "folder"

    def __init__(self, root: str | os.PathLike[str] | Storage, listed: Listing | None = None) -> None:
        self._storage: Storage = LocalStorage(root) if isinstance(root, str | os.PathLike) else root
        self.name = self._storage.name
        names, stamps, self.ignored_endings = listed or self._storage.list(SUFFIXES)
        self.ignored = self.ignored_endings.total()
        if not names:
            others = describe_endings(self.ignored_endings) or "nor other files"
            raise SourceError(f"no images in {self.name!r} ({others}); expected {', '.join(SUFFIXES)}")
        has_splits = has_split_folders(map(printable, names))
        self._items = Items(_file_items(map(printable, names), stamps, has_splits))
        self._odd = {index: name for index, name in enumerate(names) if printable(name) != name}  # no UTF-8

    @property
    def items(self) -> Sequence[Item]:
        """See `ImageSource.items`."""
        return self._items

    def load(self, index: int) -> NDArray[np.uint8]:
        """Decode one file; see `ImageSource.load`."""
        return self._storage.load(self._path(index), None).pixels

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        """Decode one file, a large JPEG at reduced size; see `load_reduced`."""
        return self._storage.load(self._path(index), least)

    def content(self, index: int) -> str | None:
        """Return the digest of one file's bytes; see `content_of`."""
        return self._storage.content(self._path(index))

    def _path(self, index: int) -> str:
        return self._odd.get(index) or self._items.name(index)


class ArraySource:
    """Images in one NumPy array.

    Args:
        images: (N, H, W), (N, H, W, 1), (N, H, W, 3) or (N, H, W, 4) with alpha; uint8, uint16 (65535 is white), bool
            or floats in 0..1. Other ranges are refused, since guessing one turns half of the greys upside down.
        labels: (N,) class names or numbers; None, or NaN as pandas has it, where unknown.
        name: Short name for people.

    Raises:
        InputError: Shape, type, range or number of labels do not fit.
    """

    kind = "array"

    def __init__(self, images: NDArray[Any], labels: Labels | None = None, *, name: str = "array") -> None:
        if images.ndim == 3 and images.shape[2] in (3, 4):
            raise InputError(f"images must have shape (N, H, W[, C]), got one image {images.shape}? pass images[None]")
        check_images(images)
        if getattr(labels, "ndim", 1) != 1:
            raise InputError(
                f"labels must have shape (N,), got {getattr(labels, 'shape', ())}; of one-hot rows, pass argmax(1)"
            )
        if labels is not None and len(labels) != len(images):
            raise InputError(f"labels must be as many as the images: expected {len(images)}, got {len(labels)}")
        self.name, self._images = name, images
        known = [None] * len(images) if labels is None else [_label(each) for each in labels]
        self.items: Sequence[Item] = Items(
            Item(f"{row:05d}", digest(images.dtype.str, str(image.shape), image.tobytes()), label)
            for row, (image, label) in enumerate(zip(images, known, strict=True))
        )

    def load(self, index: int) -> NDArray[np.uint8]:
        """Convert one image; see `ImageSource.load`."""
        return read_image(self._images[index])


class _Subset:
    """Some items of another source, in that source's order."""

    def __init__(self, source: ImageSource, rows: Sequence[int]) -> None:
        self.name, self.kind = source.name, source.kind
        chosen = (source.items[row] for row in rows)
        self.items: Sequence[Item] = Items(chosen) if isinstance(source.items, Items) else list(chosen)
        self.random_access: bool = getattr(source, "random_access", True)
        self.ignored: int = getattr(source, "ignored", 0)
        self.ignored_endings: Counter[str] = getattr(source, "ignored_endings", None) or Counter()
        self.notes: Sequence[str] = getattr(source, "notes", ())
        self._source, self._rows = source, rows

    def load(self, index: int) -> NDArray[np.uint8]:
        return self._source.load(self._rows[index])

    def load_reduced(self, index: int, least: tuple[int, int]) -> ReducedImage:
        return load_reduced(self._source, self._rows[index], least)

    def content(self, index: int) -> str | None:
        return content_of(self._source, self._rows[index])


def content_of(source: ImageSource, index: int) -> str | None:
    """Return the digest of the bytes of an image's file, for a source of files; it tells a renamed file from a new one.

    Args:
        source: The images; only one with a method `content` knows of files.
        index: Which one.
    """
    return source.content(index) if isinstance(source, _FileSource) else None


def load_reduced(source: ImageSource, index: int, least: tuple[int, int]) -> ReducedImage:
    """Decode one image of a source, at reduced size where the source can do so and enough is left.

    Args:
        source: The images; only one with a method of this name reduces, the others give whole images.
        index: Which one.
        least: What must be left of the shortest and of the longest side, in pixels.

    Raises:
        ImageError: The image cannot be read; the message is the reason.
    """
    if isinstance(source, _ReducingSource):
        return source.load_reduced(index, least)
    return ReducedImage.whole(source.load(index))


def open_source(
    source: str | os.PathLike[str] | NDArray[Any] | ImageSource,
    *,
    labels: Labels | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
    image_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
) -> ImageSource:
    """Open what a person names as a source of images.

    Args:
        source: A data set's name (it wins over a folder of that name; write "./name" for the folder), a folder, a
            `.npy` file, a `.npz` file with `images` and perhaps `labels`, an array, or a source; a tar or zip archive,
            a Parquet, CSV or TSV table, a folder or a pattern of them ("shards/{0000..0099}.tar"); or a URI of any of
            these that pyarrow reaches ("s3://bucket/photos").
        labels: (N,) labels of an array or array file.
        data_dir: Where a data set's files are looked for first.
        limit: Keep this many images, chosen at random. A larger limit keeps those of a smaller one, and images that are
            added to the source later displace few.
        seed: Seed of that choice.
        image_column: Column of a table that holds the images; by default the one that looks like it.
        label_column: Column of a table that holds the labels; "none" for none.
        split_column: Column of a table that holds the splits; "none" for none.

    Raises:
        SourceError: Nothing is there, or it holds no images.
        InputError: An array, `labels` or `limit` does not fit.
        DownloadError: A data set's files are neither here nor to be had.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1, got {limit}")
    opened = _open(source, labels, data_dir, TableColumns(image_column, label_column, split_column))
    if limit is None or limit >= len(opened.items):
        return opened
    ranks = np.fromiter((int(digest(str(seed), item.id), 16) for item in opened.items), np.uint64, len(opened.items))
    return select(opened, np.sort(np.argsort(ranks, kind="stable")[:limit]).tolist())


def select(source: ImageSource, indices: Sequence[int]) -> ImageSource:
    """Return a source of some images of another one, by their places in it, in the order given."""
    return _Subset(source, indices)


def _open(
    source: Any, labels: Labels | None, data_dir: str | os.PathLike[str] | None, columns: TableColumns
) -> ImageSource:
    from dinoscope.datasets import DATASETS, load_array_file, load_dataset  # it stands on this module

    path = os.path.expanduser(source) if isinstance(source, str | os.PathLike) else None
    if isinstance(source, np.ndarray):
        return ArraySource(source, labels)
    if path is not None and path.endswith((".npy", ".npz")) and os.path.isfile(path):
        return load_array_file(path, labels)
    if labels is not None:
        raise InputError("labels go with an array; a folder's labels are the names of its sub-folders")
    if isinstance(source, ImageSource):
        return source
    if path is None:
        raise InputError(f"expected a path, a data set's name, an array or a source, got {type(source).__name__}")
    if isinstance(source, str) and source in DATASETS:
        return load_dataset(source, data_dir)
    return _open_path(path, columns, DATASETS)


def _open_path(path: str, columns: TableColumns, datasets: Iterable[str]) -> ImageSource:
    from dinoscope.sources import open_files
    from dinoscope.storage import is_pattern

    exists = os.path.exists(path)
    if exists or is_remote(path) or is_pattern(path):
        opened = open_files(path, columns)
        if opened is not None:
            return opened
    possible = (
        "expected a folder of images, a .npy or .npz file, a tar or zip archive, a Parquet, CSV or TSV table, "
        f"s3://BUCKET/PREFIX, or a data set ({', '.join(datasets)})"
    )
    if is_remote(path):
        raise SourceError(f"{path.partition('?')[0].rpartition('/')[2]!r} is a single file; {possible}")
    if exists:
        raise SourceError(f"{path!r} is a single file; {possible}")
    raise SourceError(f"nothing is called {path!r}; {possible}{did_you_mean(path.lower(), datasets)}")


def _label(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    text = str(value)
    return None if value is None or (text in _MISSING and not isinstance(value, str)) else text


def _file_items(names: Iterable[str], stamps: Iterable[str], has_splits: bool) -> Iterator[Item]:
    for name, stamp in zip(names, stamps, strict=True):
        yield Item(name, digest(name, stamp), *place_in_folders(name, has_splits))
