"""Writing the forms that other tools read; see docs/acting.md for what reads which."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np

from dinoscope.base.checks import check_choice
from dinoscope.base.splits import split_roles
from dinoscope.errors import InputError, WriteError
from dinoscope.exporting.annotations import relabelled
from dinoscope.exporting.records import Records
from dinoscope.filing.names import folder_names
from dinoscope.storage.files import make_folder, remove_leftover_folders, temporary, write_bytes, write_csv, write_json

__all__ = ["FORMS", "Form", "write_export"]

Form: TypeAlias = Literal[
    "imagefolder", "coco", "yolo-cls", "huggingface", "fiftyone", "webdataset", "csv", "parquet", "annotations"
]
FORMS: tuple[Form, ...] = get_args(Form)
_SHARD = 1_000  # images of a tar file or a Parquet file
_NO_SPLIT = "no split"


def write_export(records: Records, folder: Path, form: Form) -> list[str]:
    """Write a collection in a form that other tools read.

    Args:
        records: The images.
        folder: Where to; it must be new or empty. It is there whole or not at all.
        form: See ``FORMS``.

    Returns:
        Remarks for people, such as how many images were left out.

    Raises:
        InputError: If the form is unknown or does not fit, the folder is not empty, or there are no pictures.
        CollectionError: If a picture is not what was embedded.
        WriteError: If something cannot be written.
    """
    check_choice(form, "form", FORMS)
    if folder.name in ("", ".."):  # what is put in a folder's place cannot be put in the place of one that is in use
        raise InputError(f"{folder} is not a new folder: give a name that does not exist yet")
    if os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is there and not empty: name a new folder, nothing is overwritten")
    make_folder(folder.parent)
    remove_leftover_folders(folder.parent)
    part = temporary(folder)
    try:
        part.mkdir()
        remarks = _WRITERS[form](records, part)
        if folder.is_dir():
            folder.rmdir()
        part.rename(folder)
    except OSError as error:
        if isinstance(error, WriteError):
            raise
        raise WriteError(f"cannot write {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return remarks


def _imagefolder(records: Records, folder: Path) -> list[str]:
    """SPLIT/LABEL/FILE, as torchvision, Keras and datasets' imagefolder read it."""
    records.check_single("an imagefolder")
    return _labelled_folders(records, folder, records.by_split(_NO_SPLIT if records.has_splits else ""))


def _yolo(records: Records, folder: Path) -> list[str]:
    """The same with the splits that Ultralytics knows: train, val, test."""
    records.check_single("yolo-cls")
    splits: dict[str, list[int]] = {}
    roles = split_roles(records.collection.splits)
    for positions in records.by_split("train").values():
        role = roles.get(records.collection.splits[positions[0]], "train")
        splits.setdefault(role, []).extend(positions)
    return _labelled_folders(records, folder, splits)


def _labelled_folders(records: Records, folder: Path, splits: dict[str, list[int]]) -> list[str]:
    labels, left_out = folder_names(records.classes), 0
    for split, positions in splits.items():
        known = [at for at in positions if records.labels(at)]
        left_out += len(positions) - len(known)
        for at, name, picture in records.pictures(known):
            _put(folder / split / labels[records.labels(at)[0]] / name, picture)
    renamed = [f"{label!r} is the folder {name!r}" for label, name in labels.items() if label != name]
    return [f"{left_out:,} without a label left out"] * bool(left_out) + renamed


def _coco(records: Records, folder: Path) -> list[str]:
    """Write images/FILE and annotations/SPLIT.json: an annotation a label, whose box is the whole image."""
    categories = [{"id": number, "name": name} for number, name in enumerate(records.classes, 1)]
    number_of = {name: number for number, name in enumerate(records.classes, 1)}
    sizes, lines, made = records.collection.sizes.tolist(), records.lines(), 0
    for split, positions in records.by_split(_NO_SPLIT if records.has_splits else "all").items():
        images, annotations = [], list[dict[str, object]]()
        for at, name, picture in records.pictures(positions):
            _put(folder / "images" / name, picture)
            width, height = sizes[at]
            number = int(records.collection.rows[at]) + 1
            images.append({"id": number, "file_name": name, "width": width, "height": height, "source": lines[at]})
            for label in records.labels(at):
                made += 1
                annotations.append(
                    {
                        "id": made,
                        "image_id": number,
                        "category_id": number_of[label],
                        "bbox": [0, 0, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
        held = {"info": {}, "licenses": [], "categories": categories, "images": images, "annotations": annotations}
        write_json(folder / "annotations" / f"{split}.json", held, durable=False)
    return _vectors_beside(records, folder)


def _fiftyone(records: Records, folder: Path) -> list[str]:
    """SPLIT/data/FILE and SPLIT/labels.json: FiftyOne's FiftyOneImageClassificationDataset."""
    if records.several:
        records.check_single("FiftyOne's classification")
    number_of = {name: number for number, name in enumerate(records.classes)}
    for split, positions in records.by_split(_NO_SPLIT if records.has_splits else "all").items():
        place, labels = folder / split, dict[str, int | None]()
        for at, name, picture in records.pictures(positions):
            _put(place / "data" / name, picture)
            labels[Path(name).stem] = number_of[records.labels(at)[0]] if records.labels(at) else None
        write_json(place / "labels.json", {"classes": records.classes, "labels": labels}, durable=False)
    return _vectors_beside(records, folder)


def _webdataset(records: Records, folder: Path) -> list[str]:
    """SPLIT-000000.tar of KEY.jpg, KEY.cls, KEY.json and KEY.npy; classes.txt names the numbers of .cls."""
    number_of, lines = {name: number for number, name in enumerate(records.classes)}, records.lines()
    splits = records.by_split(_NO_SPLIT if records.has_splits else "train", plain=True)
    for split, positions in splits.items():
        for shard, first in enumerate(range(0, len(positions), _SHARD)):
            with tarfile.open(folder / f"{split}-{shard:06d}.tar", "w") as archive:
                for at, name, picture in records.pictures(positions[first : first + _SHARD]):
                    key, ending = Path(name).stem, Path(name).suffix
                    _add(archive, key + ending, picture)
                    labels = records.labels(at)
                    if len(labels) == 1:
                        _add(archive, f"{key}.cls", str(number_of[labels[0]]).encode())
                    told = {**lines[at], "labels": labels} if records.several else lines[at]
                    _add(archive, f"{key}.json", json.dumps(told, ensure_ascii=False).encode())
                    if records.vectors:
                        buffer = io.BytesIO()
                        np.save(buffer, records.collection.vectors[at])
                        _add(archive, f"{key}.npy", buffer.getvalue())
    _put(folder / "classes.txt", "".join(f"{name}\n" for name in records.classes).encode())
    return []


def _huggingface(records: Records, folder: Path) -> list[str]:
    """data/SPLIT-00000-of-00001.parquet with an Image and a ClassLabel, as datasets and the Hub read it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = records.classes
    columns = {name: pa.array(values) for name, values in records.columns().items() if name not in ("label", "split")}
    number_of = {name: number for number, name in enumerate(names)}
    label: object = {"names": names, "_type": "ClassLabel"}
    if records.several:
        label = {"feature": label, "_type": "Sequence"}
    for split, positions in records.by_split("train", plain=True).items():
        shards = max(1, -(-len(positions) // _SHARD))
        for shard in range(shards):
            part = positions[shard * _SHARD : (shard + 1) * _SHARD]
            pictures = [{"bytes": picture, "path": name} for _, name, picture in records.pictures(part)]
            codes = [[number_of[each] for each in records.labels(at)] for at in part]
            kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
            held: dict[str, pa.Array] = {"image": pa.array(pictures, kind)}
            if records.several:
                held["label"] = pa.array(codes, pa.list_(pa.int64()))
            elif names:
                held["label"] = pa.array([each[0] if each else None for each in codes], pa.int64())
            held |= {name: column.take(pa.array(part)) for name, column in columns.items()}
            held |= _vector_column(records, part)
            table = pa.table(held)
            features = {name: _feature(table.schema.field(name).type) for name in held}
            features["image"] = {"_type": "Image"}
            if "label" in held:
                features["label"] = label
            told = {"huggingface": json.dumps({"info": {"features": features}})}
            path = folder / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
            path.parent.mkdir(exist_ok=True)
            pq.write_table(table.replace_schema_metadata(told), path, row_group_size=100)
    return []


def _csv(records: Records, folder: Path) -> list[str]:
    """images.csv, a line an image; vectors.npy beside it."""
    columns = records.columns()
    write_csv(folder / "images.csv", list(columns), list(zip(*columns.values(), strict=True)))
    return _vectors_beside(records, folder)


def _parquet(records: Records, folder: Path) -> list[str]:
    """table.parquet, a line an image, with lists of labels where images have several, and the vectors."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {name: pa.array(values) for name, values in records.columns().items()}
    if records.several:
        columns["labels"] = pa.array([records.labels(at) for at in range(len(records.collection))])
    columns |= _vector_column(records, list(range(len(records.collection))))
    pq.write_table(pa.table(columns), folder / "table.parquet")
    return []


def _annotations(records: Records, folder: Path) -> list[str]:
    """Write the COCO, YOLO or Pascal VOC files that objects were marked in, with the labels of the collection."""
    files, remarks = relabelled(records)
    for name, content in files.items():
        _put(folder / name, content)
    return remarks


_WRITERS: dict[Form, Callable[[Records, Path], list[str]]] = {
    "imagefolder": _imagefolder,
    "coco": _coco,
    "yolo-cls": _yolo,
    "huggingface": _huggingface,
    "fiftyone": _fiftyone,
    "webdataset": _webdataset,
    "csv": _csv,
    "parquet": _parquet,
    "annotations": _annotations,
}


def _vector_column(records: Records, positions: list[int]) -> dict[str, object]:
    import pyarrow as pa

    if not records.vectors:
        return {}
    vectors = np.ascontiguousarray(records.collection.vectors[positions])
    return {"vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])}


def _vectors_beside(records: Records, folder: Path) -> list[str]:
    """Write vectors.npy (N, D), in the order of the rows, for a form that holds none."""
    if records.vectors:
        buffer = io.BytesIO()
        np.save(buffer, records.collection.vectors)
        _put(folder / "vectors.npy", buffer.getvalue())
        _put(folder / "vectors.txt", "".join(f"{row}\n" for row in records.collection.rows).encode())
    return []


def _feature(kind: object) -> object:
    text = str(kind)
    if text.startswith("fixed_size_list"):
        return {"feature": {"dtype": "float32", "_type": "Value"}, "length": kind.list_size, "_type": "Sequence"}  # type: ignore[attr-defined]
    return {"dtype": {"double": "float64"}.get(text, text), "_type": "Value"}


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _put(path: Path, content: bytes) -> None:
    """Write a file of the folder that gets its name when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, durable=False)
