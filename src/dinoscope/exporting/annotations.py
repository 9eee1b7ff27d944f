"""The annotations that a collection of objects was made of, with the labels that it has."""

from __future__ import annotations

from collections import defaultdict

from dinoscope.base.text import counted
from dinoscope.errors import CollectionError, InputError
from dinoscope.exporting.records import Records
from dinoscope.sources.boxes import (
    BoxSource,
    read_file,
    read_yolo_names,
    relabel_coco,
    relabel_voc,
    relabel_yolo,
    write_yolo_names,
)

__all__ = ["relabelled"]

_NAMES = "classes.txt"


def relabelled(records: Records) -> tuple[dict[str, bytes], list[str]]:
    """Return the COCO, YOLO or Pascal VOC files as they were read except for the labels, by name, and remarks.

    Raises:
        InputError: If the collection is not of objects, or they have several labels each.
        CollectionError: If an object is not in the annotations any more.
    """
    source = records.originals.source if records.originals is not None else None
    if not isinstance(source, BoxSource):
        raise InputError(
            "annotations are written of a collection of objects: name the COCO, YOLO or Pascal VOC files that it was "
            "made of by --images"
        )
    if records.several:
        raise InputError("images have several labels each, and an object of an annotation has one")
    labels, changed = _labels(records, source)
    storage, told = source.files
    names = {} if told is None else read_yolo_names(read_file(storage, told), told)
    codes = {name: code for code, name in names.items()}
    for label in {box.label or "" for box in source.boxes}:
        if label.isdecimal():  # the number of a class of YOLO without a name
            codes.setdefault(label, int(label))
    before, files = len(codes), dict[str, bytes]()
    for file in dict.fromkeys(box.file for box in source.boxes):
        text, here = read_file(storage, file), labels[file]
        if file.lower().endswith(".txt"):
            files[file] = relabel_yolo(text, here, codes)
        else:
            files[file] = (relabel_coco if file.lower().endswith(".json") else relabel_voc)(text, here)
    if told is not None:
        files[told] = write_yolo_names(read_file(storage, told), told, codes)
    elif len(codes) > before:
        files[_NAMES] = write_yolo_names(b"", _NAMES, codes)
    return files, [f"{counted(changed, 'object')} with another label than before"]


def _labels(records: Records, source: BoxSource) -> tuple[dict[str, dict[str, str]], int]:
    """Return the label of each object that has one, by file and number, and how many have another one than there."""
    assert records.originals is not None
    found: dict[str, dict[str, str]] = defaultdict(dict)
    changed = 0
    for at in range(len(records.collection)):
        index = records.originals.index_of(records.collection, at)
        if index is None:
            raise CollectionError(
                f"{records.collection.ids[at]} is not in the annotations of --images as it was embedded: run "
                "'dinoscope embed' again first"
            )
        box, labels = source.boxes[index], records.labels(at)
        if labels:
            found[box.file][box.number] = labels[0]
            changed += labels[0] != box.label
    return found, changed
