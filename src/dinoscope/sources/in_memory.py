"""Images that a Python program holds: lists of paths or pictures, data frames, Hugging Face's and torch's data sets.

Each is known by its protocol; none of their packages is imported.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import ImageError, InputError, SourceError
from dinoscope.sources.array import has_several, hot_columns, label_text
from dinoscope.sources.base import ImageSource, PictureSource
from dinoscope.sources.filesystems import LocalStorage, Storage, is_remote, open_root
from dinoscope.sources.frames import FramePictures, as_table, pictures_in_frame
from dinoscope.sources.items import Item, Items
from dinoscope.sources.pixels.decode import Picture
from dinoscope.sources.pixels.levels import check_images, check_shape
from dinoscope.sources.selection import give_labels
from dinoscope.sources.tables.columns import TableColumns, choose_columns
from dinoscope.sources.tables.files import MemoryTable
from dinoscope.sources.tables.source import TableSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SequenceSource", "open_in_memory"]

_IMAGES = ("image", "img", "pixel_values")  # what a data set of dictionaries calls them
_LABELS = ("label", "labels", "class", "target")


def open_in_memory(source: object, wanted: TableColumns) -> ImageSource | None:
    """Open what a Python program holds; None for anything else.

    Args:
        source: A table with `__arrow_c_stream__` or `__dataframe__` (pandas, polars, Arrow); a Hugging Face `Dataset`,
            or a `DatasetDict` of its splits; a sequence or a column of paths; or a sequence, such as a torch `Dataset`,
            of images (arrays, Pillow images, tensors, bytes of files), of pairs of an image and a label, or of
            dictionaries.
        wanted: Columns of a table that a person names, and the folder of the images.

    Raises:
        SourceError: A table has no column of images, or a file is not there.
        InputError: An image is none.
    """
    table = _open_table(source, wanted)
    if table is not None:
        return table
    for kind, as_list in (("dtype", "to_list"), ("type", "to_pylist")):  # a column of pandas or polars, and of Arrow
        if hasattr(source, kind) and hasattr(source, as_list):
            source = getattr(source, as_list)()
    if isinstance(source, Mapping | str | bytes | os.PathLike) or not _is_sequence(source):
        return None
    count = len(source)  # type: ignore[arg-type]
    if count == 0:
        raise SourceError("the list of images is empty: expected paths or pictures")
    samples = getattr(source, "samples", None)  # of torchvision's folders: paths, and numbers of classes
    if isinstance(samples, list) and samples and isinstance(samples[0], tuple) and _is_path(samples[0][0]):
        labels = [_class_name(_classes(source), number) for _, number in samples]
        return _path_source([path for path, _ in samples], labels, wanted)
    if _is_path(source[0]):  # type: ignore[index]
        return _path_source(list(source), None, wanted)  # type: ignore[call-overload]
    return SequenceSource(source)


def _open_table(source: object, wanted: TableColumns) -> ImageSource | None:
    held = pictures_in_frame(source, wanted) or as_table(source)
    if isinstance(held, FramePictures):
        found = SequenceSource(held.rows)
        found.columns_beside = held.columns
        return found if held.splits is None else give_labels(found, None, held.splits)
    if held is not None:
        return _table_source({"table": held}, wanted, "table")
    if _is_hugging_face(source):
        name = str(getattr(source, "split", None) or "dataset")
        return _table_source({name: _hugging_face(source)}, wanted, _dataset_name(source))
    if isinstance(source, Mapping) and source and all(map(_is_hugging_face, source.values())):
        tables = {str(split): _hugging_face(each) for split, each in source.items()}
        return _table_source(tables, wanted, _dataset_name(next(iter(source.values()))))
    return None


class SequenceSource(PictureSource):
    """Images in a sequence: a list, or a data set of torch's kind, whose images are read once to tell them apart.

    Args:
        source: Has `__len__` and `__getitem__`, which gives an image, a pair of an image and a label, or a dictionary
            with "image" and perhaps "label". Tensors have their channels first. `classes` names the label numbers.

    Raises:
        InputError: An array's shape, type or range does not fit, or something is not an image.
    """

    kind, has_splits, random_access = "array", False, False

    def __init__(self, source: Any) -> None:
        self._source = source
        self._turn = nullcontext() if isinstance(source, list | tuple) else threading.Lock()  # who knows what it opens
        self.name = "array" if isinstance(source, list | tuple) else type(source).__name__
        self.has_labels, self._classes = False, _classes(source)
        self.items: Sequence[Item] = Items(map(self._item, range(len(source))))

    def picture(self, index: int) -> Picture:
        """Return one image as it is in the sequence; see `ImageSource.picture`."""
        return self._get(index)[0]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_turn": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._turn = threading.Lock()

    def _get(self, index: int) -> tuple[Picture, object]:
        try:
            with self._turn:
                held = self._source[index]
        except Exception as error:  # of somebody's code
            raise ImageError(f"cannot be read: {(str(error) or type(error).__name__).splitlines()[0][:120]}") from error
        label: object = None
        if isinstance(held, Mapping):
            label = next((held[name] for name in _LABELS if name in held), None)
            held = next((held[name] for name in _IMAGES if name in held), held)
        elif isinstance(held, tuple | list) and held:
            held, label = held[0], held[1] if len(held) > 1 else None
        return _picture(held, index), label

    def _item(self, index: int) -> Item:
        id = f"{index:05d}"
        try:
            picture, label = self._get(index)
            if isinstance(picture, np.ndarray):
                check_shape(picture[None])
                if picture.dtype.kind == "f" and not isinstance(self._source, list | tuple):
                    check_images(picture[None])  # normalised for a network they are no longer pictures
                key = digest_bytes(picture.dtype.str, str(picture.shape), picture.tobytes())
            elif isinstance(picture, Image.Image):
                key = digest_bytes(picture.mode, str(picture.size), picture.tobytes())
            else:
                key = digest_bytes(picture if isinstance(picture, bytes) else os.fspath(picture))
        except InputError as error:
            hint = "; leave Normalize out of its transform" if "float pixels" in str(error) else ""
            raise InputError(f"image {index}: {error}{hint}") from None
        except (ImageError, OSError, SyntaxError) as error:  # which `load` tells again
            return Item(id, digest_bytes(id, str(error)))
        held = hot_columns(label)
        several = held if held is not None else label if has_several(label) else None
        labels = [_class_name(self._classes, each) for each in ([label] if several is None else several)]
        known = tuple(each for each in labels if each is not None)
        self.has_labels = self.has_labels or bool(known)
        return Item(id, key, labels[0]) if several is None else Item(id, key, labels=known)


def _picture(held: Any, index: int) -> Picture:
    if isinstance(held, str | os.PathLike | bytes | Image.Image | np.ndarray):
        return held
    if isinstance(held, io.BytesIO):
        return held.getvalue()
    if hasattr(held, "__array__") and hasattr(held, "shape"):  # a tensor, with its channels first
        array = np.asarray(held.detach().cpu() if hasattr(held, "detach") else held)
        return np.moveaxis(array, 0, -1) if array.ndim == 3 and array.shape[0] in (1, 3, 4) else array
    raise InputError(
        f"expected an array, a Pillow image, a tensor or a file's bytes, or a pair of one and a label, got "
        f"{type(held).__name__} in place {index}"
    )


def _classes(source: object) -> Sequence[str]:
    """Return the names of a data set's classes: of torchvision, of a part of one, or of Hugging Face's features."""
    found = getattr(source, "classes", None)
    if not isinstance(found, list | tuple):
        features = getattr(source, "features", None)
        described = [features.get(name) for name in _LABELS] if isinstance(features, Mapping) else []
        found = next((names for each in described if (names := getattr(each, "names", None))), None)
    if isinstance(found, list | tuple):
        return found
    if (whole := getattr(source, "dataset", None)) is not None:
        return _classes(whole)
    parts = getattr(source, "datasets", None)  # that torch put one after the other
    each = [list(_classes(part)) for part in parts] if isinstance(parts, list | tuple) else []
    return each[0] if each and all(names == each[0] for names in each) else ()


def _class_name(classes: Sequence[str], label: object) -> str | None:
    value: Any = label.item() if getattr(label, "ndim", None) == 0 and hasattr(label, "item") else label
    if classes and isinstance(value, int) and not isinstance(value, bool):
        return str(classes[value]) if 0 <= value < len(classes) else None
    return label_text(value)


def _is_hugging_face(source: object) -> bool:
    return all(hasattr(source, name) for name in ("with_format", "column_names", "features", "__len__", "__getitem__"))


def _is_sequence(source: object) -> bool:
    return hasattr(source, "__len__") and hasattr(source, "__getitem__")


def _is_path(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _dataset_name(source: object) -> str:
    return getattr(getattr(source, "info", None), "dataset_name", None) or "dataset"


def _hugging_face(source: Any) -> pa.Table:
    """Return the rows of a data set as they are stored: images stay the bytes of their files."""
    return source.with_format("arrow")[:]


def _path_source(paths: Sequence[object], labels: Sequence[str | None] | None, wanted: TableColumns) -> ImageSource:
    import pyarrow as pa

    strange = next((each for each in paths if not _is_path(each)), None)
    if strange is not None:
        raise InputError(f"a list that begins with a path must hold paths alone, got {type(strange).__name__}")
    texts = [os.fspath(each) for each in paths]  # type: ignore[call-overload]
    columns = {"path": pa.array(texts, pa.string())}
    if labels is not None:
        columns["label"] = pa.array(labels, pa.string())
    return _table_source({"list": pa.table(columns)}, replace(wanted, image=wanted.image or "path"), "list")


def _table_source(tables: dict[str, pa.Table], wanted: TableColumns, name: str) -> ImageSource:
    first = next(iter(tables.values()))
    chosen = choose_columns(first.slice(0, 20), wanted, name)
    storage: Storage = LocalStorage(os.path.abspath(os.sep))  # what a struct's paths are below
    if chosen.form == "path":
        paths = [each for table in tables.values() for each in table.column(chosen.image).to_pylist()]
        storage = _common_root(paths) if wanted.root is None else open_root(wanted.root)
        tables = {each: _whole(table, chosen.image, wanted) for each, table in tables.items()}
        name = storage.name
    held = {each: MemoryTable(table, each) for each, table in tables.items()}
    return TableSource(storage, list(tables), wanted, named=len(tables) == 1, held=held, name=name)


def _common_root(paths: Sequence[str | None]) -> LocalStorage:
    """Return the folder that all files are below."""
    remote = next((path for path in paths if path is not None and is_remote(path)), None)
    if remote is not None:
        raise InputError(f"{remote!r} is a URI: name the folder that the files are below, as with image_root")
    folders = {os.path.dirname(os.path.abspath(os.path.expanduser(path))) for path in paths if path}
    try:
        return LocalStorage(os.path.commonpath(folders)) if folders else LocalStorage(".")
    except ValueError:
        raise InputError("the files lie on several drives: copy them to one") from None


def _whole(table: pa.Table, column: str, wanted: TableColumns) -> pa.Table:
    """Write relative paths of a column as absolute ones, unless the folder that they are below was named."""
    if wanted.root is not None:
        return table
    paths: Iterator[str | None] = (
        path and os.path.abspath(os.path.expanduser(path)) for path in table.column(column).to_pylist()
    )
    import pyarrow as pa

    return table.set_column(table.column_names.index(column), column, pa.array(list(paths), pa.string()))
