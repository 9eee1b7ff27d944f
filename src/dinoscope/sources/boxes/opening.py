"""Annotations that a person names, and the pictures that they are about."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from unicodedata import normalize

from dinoscope.base.splits import named_splits, split_role
from dinoscope.base.text import counted, printable
from dinoscope.errors import SourceError
from dinoscope.sources.boxes.annotations import Box, read_coco, read_voc, read_yolo, read_yolo_names
from dinoscope.sources.boxes.source import AnnotationFiles, BoxSource, read_file
from dinoscope.sources.filesystems import LocalStorage
from dinoscope.sources.names import SUFFIXES

if TYPE_CHECKING:
    from dinoscope.sources.base import ImageSource

__all__ = ["ANNOTATIONS", "FOLDERS_OF_ANNOTATIONS", "open_boxes"]

ANNOTATIONS = (".json", ".xml", ".txt", ".yaml", ".yml")
_YAML = (".yaml", ".yml")
FOLDERS_OF_ANNOTATIONS = frozenset(["labels", "annotations", "xml", "xmls"])
_LAYERS = FOLDERS_OF_ANNOTATIONS | {"images", "jpegimages"}  # folders beside each other
_NAMES = ("classes.txt", "obj.names", "labels.txt")  # of YOLO's classes, a name a line
_LISTED = 3  # names in a message


def open_boxes(storage: LocalStorage, files: Sequence[str], root: str | None) -> BoxSource:
    """Open the objects that files of annotations mark.

    The pictures are below the folder of the annotations; where that is called annotations, labels or the like and holds
    none, below the folder above it.

    Args:
        storage: The folder of the annotations.
        files: Those in it that were named, of one format.
        root: The folder of the pictures, where a person names it.

    Raises:
        SourceError: If a file is no such annotation, or there are none of the pictures.
    """
    pictures, folder = _pictures(storage, root)
    boxes, names = _read(storage, files, pictures)
    if not boxes:
        raise SourceError(f"{storage.name} marks no object: expected COCO, YOLO or Pascal VOC with boxes")
    placed, missing = _place(boxes, pictures, folder)
    if not placed:
        raise SourceError(
            f"{storage.name} is about pictures such as {printable(boxes[0].picture)!r}, and {pictures.name} has none "
            "of them: name their folder with --image-root"
        )
    roles = named_splits({_stem(file) for file in files})
    splits = [roles.get(_stem(box.file)) or split_role(_stem(box.file)) for _, box in placed]
    name = printable(files[0]) if len(files) == 1 else storage.name
    found = BoxSource(name, pictures, placed, splits, AnnotationFiles(storage, names))
    marked = {at for at, _ in placed}
    found.notes = [
        f"{counted(len(placed), 'object')} in {counted(len(marked), 'picture')}; each is an image of its own",
        *_note_rest(len(pictures.items) - len(marked), missing),
    ]
    return found


def _read(storage: LocalStorage, files: Sequence[str], pictures: ImageSource) -> tuple[list[Box], str | None]:
    """Return the objects, and the file with the names of YOLO's classes, if there is one."""
    endings = {posixpath.splitext(file)[1].lower() for file in files}
    if endings == {".json"} or endings == {".xml"}:
        reader = read_coco if endings == {".json"} else read_voc
        return [box for file in files for box in reader(read_file(storage, file), file)], None
    if endings != {".txt"} and not (len(files) == 1 and endings <= set(_YAML)):
        raise SourceError(
            f"{storage.name} has annotations of several forms: name the files of one, as in 'labels/*.txt'"
        )
    texts, by_yaml = storage.list((".txt", ".names"))[0], endings <= set(_YAML)
    told = files[0] if by_yaml else next(filter(_is_names, texts), None)
    names = {} if told is None else read_yolo_names(read_file(storage, told), told)
    listed = _of_yolo(texts, pictures) if by_yaml else files
    listed = [file for file in listed if file.lower().endswith(".txt") and not _is_names(file)]
    return [box for file in listed for box in read_yolo(read_file(storage, file), file, names)], told


def _of_yolo(texts: Sequence[str], pictures: ImageSource) -> list[str]:
    """Return the files in folders called labels; where there are none, those that are called as a picture is.

    A README or a list of pictures lies beside them as well.
    """
    inside = [file for file in texts if "labels" in map(str.casefold, PurePosixPath(file).parts[:-1])]
    stems = set() if inside else {_key(_stem(item.id)) for item in pictures.items}
    return inside or [file for file in texts if _key(_stem(file)) in stems]


def _is_names(name: str) -> bool:
    return posixpath.basename(name).lower() in _NAMES


def _pictures(storage: LocalStorage, root: str | None) -> tuple[ImageSource, tuple[str, ...]]:
    """Return the pictures, and the folders from theirs down to that of the annotations, as far as they are known."""
    from dinoscope.sources.folder import FolderSource

    if root is not None:
        return FolderSource(root), ()
    listed = storage.list(SUFFIXES)
    if listed[0] or storage.name.casefold() not in FOLDERS_OF_ANNOTATIONS:
        return FolderSource(storage, listed), ()
    return FolderSource(storage.above), (storage.name,)


def _place(
    boxes: Iterable[Box], pictures: ImageSource, folder: tuple[str, ...]
) -> tuple[list[tuple[int, Box]], list[str]]:
    """Find the picture of each box by its name, and by folders of the same names where several have it."""
    by_stem: dict[str, list[int]] = defaultdict(list)
    for at, item in enumerate(pictures.items):
        by_stem[_key(_stem(item.id))].append(at)
    placed: list[tuple[int, Box]] = []
    known: dict[tuple[str, str], int | None] = {}
    for box in boxes:
        asked = (box.picture, box.file)
        if asked not in known:
            known[asked] = _find(box, folder, by_stem, pictures)
        place = known[asked]
        if place is not None:
            placed.append((place, box))
    return placed, [picture for (picture, _), place in known.items() if place is None]


def _find(box: Box, folder: tuple[str, ...], by_stem: dict[str, list[int]], pictures: ImageSource) -> int | None:
    name = PurePosixPath(box.picture.replace("\\", "/"))
    stem, ending = (name.stem, name.suffix.lower()) if name.suffix.lower() in SUFFIXES else (name.name, "")
    near = by_stem.get(_key(stem), [])
    if not near and box.file.lower().endswith(".xml"):  # both were renamed, and the name inside was left
        near, ending = by_stem.get(_key(_stem(box.file)), []), ""
    above = (*folder, *PurePosixPath(box.file).parts[:-1], *name.parts[:-1])
    found = {
        at: _same_folders(pictures.items[at].id, above)
        for at in near
        if ending in ("", posixpath.splitext(pictures.items[at].id)[1].lower())
    }
    best = [at for at, score in found.items() if score == max(found.values())]
    if len(best) > 1:
        names = [pictures.items[at].id for at in best]
        raise SourceError(
            f"{printable(box.file)} says {printable(box.picture)!r}, which may be any of {', '.join(names[:_LISTED])}: "
            "put annotations and pictures in folders of the same names, or name the pictures with their folder"
        )
    return best[0] if best else None


def _same_folders(picture: str, wanted: Sequence[str]) -> int:
    """Count how many folders above a picture are those that are wanted, from the last one up."""
    held = [_key(part) for part in PurePosixPath(picture).parts[:-1] if part.casefold() not in _LAYERS]
    asked = [_key(part) for part in wanted if part.casefold() not in _LAYERS]
    same = 0
    while same < min(len(held), len(asked)) and held[-1 - same] == asked[-1 - same]:
        same += 1
    return same


def _note_rest(unmarked: int, missing: Sequence[str]) -> list[str]:
    notes = []
    if unmarked:
        notes.append(f"{counted(unmarked, 'picture')} without an object left out")
    if missing:
        some = ", ".join(map(printable, missing[:_LISTED]))
        notes.append(f"{counted(len(missing), 'picture')} of the annotations not found, such as {some}")
    return notes


def _stem(name: str) -> str:
    return posixpath.splitext(posixpath.basename(name))[0]


def _key(name: str) -> str:
    return normalize("NFC", name)
