"""What a file of annotations says: boxes with a label, in COCO, YOLO or Pascal VOC."""

from __future__ import annotations

import json
import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from dinoscope.base.checks import shown
from dinoscope.base.text import printable
from dinoscope.errors import SourceError

__all__ = ["Box", "read_coco", "read_voc", "read_yolo", "read_yolo_names"]

_IDS = ("id", "image_id", "category_id")
_OBJECT_IN_VOC = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class Box:
    """One object in a picture.

    Attributes:
        picture: Name of the image file in the annotations; YOLO's has no ending.
        file: The file of annotations, relative to the folder that was opened.
        number: What the object is called among those of its picture: COCO's id; the place from 1 in YOLO and VOC.
        label: Its class; None where it has none.
        corners: Left, top, right and bottom, in units of ``size``.
        size: Width and height of that image in the units of the corners: (1, 1) for shares; None for its pixels.
    """

    picture: str
    file: str
    number: str
    label: str | None
    corners: tuple[float, float, float, float]
    size: tuple[float, float] | None


def read_coco(text: bytes, file: str) -> list[Box]:
    """Read the objects of a COCO file: ``images``, ``annotations`` with ``bbox`` or polygons, ``categories``.

    Args:
        text: The file.
        file: Its name, for messages and ``Box.file``.

    Returns:
        The objects, except for crowds (``iscrowd``), which are regions.

    Raises:
        SourceError: If it is not a COCO file, or an annotation is impossible.
    """
    try:
        held = json.loads(text)
    except (ValueError, RecursionError):
        raise SourceError(f"{printable(file)} is not JSON: expected annotations in the form of COCO") from None
    if not isinstance(held, dict) or not isinstance(held.get("annotations"), list):
        raise SourceError(
            f"{printable(file)} holds no annotations: expected COCO's form, an object with 'images', 'annotations' "
            "and 'categories'"
        )
    names = {each.get("id"): str(each.get("name")) for each in _objects(held, "categories", file)}
    pictures = {each.get("id"): each for each in _objects(held, "images", file)}
    found, numbers = [], set[str]()
    for each in _objects(held, "annotations", file):
        number = each.get("id")
        if number is None or str(number) in numbers:
            raise SourceError(
                f"{printable(file)}: expected an id of its own for each annotation, got "
                + ("one without" if number is None else f"{shown(number)} twice")
            )
        numbers.add(str(number))
        picture = pictures.get(each.get("image_id"))
        if picture is None or not isinstance(picture.get("file_name"), str):
            raise SourceError(
                f"{printable(file)}: annotation {shown(each.get('id'))} is of image {shown(each.get('image_id'))}, "
                "which has no file_name in the file"
            )
        if each.get("iscrowd") not in (1, True):
            corners = _coco_corners(each, file)
            size = _positive(picture.get("width"), picture.get("height"))
            label = names.get(each.get("category_id"))
            found.append(Box(picture["file_name"], file, str(number), label, corners, size))
    return found


def read_voc(text: bytes, file: str) -> list[Box]:
    """Read the objects of a Pascal VOC file, which is about one picture; VOC counts pixels from 1.

    Raises:
        SourceError: If it is no such file.
    """
    wrong = SourceError(
        f"{printable(file)} is not an annotation of Pascal VOC: expected XML with <annotation> and <object>"
    )
    # entities that stand for entities grow without end, and UTF-16 and UTF-32 would hide them
    if b"\0" in text or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise wrong
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  without a document type there are no entities
    except (ElementTree.ParseError, ValueError, LookupError):
        raise wrong from None
    if root.tag != "annotation":
        raise wrong
    picture = (root.findtext("filename") or "").strip() or posixpath.splitext(posixpath.basename(file))[0]
    size = _positive(root.findtext("size/width"), root.findtext("size/height"))
    found = []
    for number, each in enumerate(root.iterfind("object"), 1):
        given = [_number(each.findtext(f"bndbox/{name}")) for name in _OBJECT_IN_VOC]
        label = (each.findtext("name") or "").strip() or None
        left, top, right, bottom = _corners(given, file, str(number))
        found.append(Box(picture, file, str(number), label, (left - 1, top - 1, right, bottom), size))
    return found


def read_yolo(text: bytes, file: str, names: Mapping[int, str]) -> list[Box]:
    """Read the objects of a YOLO file: a line each, of a class and a box or the corners of a polygon, in shares.

    Args:
        text: The file.
        file: Its name; the picture's is the same except for the ending.
        names: The names of the classes; one without a name is called by its number.

    Raises:
        SourceError: If a line is of another form.
    """
    found = []
    for number, line in enumerate(filter(None, map(bytes.strip, text.splitlines())), 1):
        values = [_number(each) for each in line.split()]
        code, rest = values[0], [each for each in values[1:] if each is not None]
        is_box, is_polygon = len(rest) in (4, 5), len(rest) >= 6 and len(rest) % 2 == 0
        if code is None or code != int(code) or len(rest) < len(values) - 1 or not (is_box or is_polygon):
            raise SourceError(
                f"{printable(file)}, object {number}: expected YOLO's 'class x y width height', or a polygon, got "
                f"{shown(line.decode(errors='replace'))}"
            )
        if is_box:
            x, y, wide, high = rest[:4]
            given: list[float | None] = [x - wide / 2, y - high / 2, x + wide / 2, y + high / 2]
        else:
            given = [*_around(rest)]
        label = names.get(int(code), str(int(code)))
        picture = posixpath.splitext(posixpath.basename(file))[0]
        found.append(Box(picture, file, str(number), label, _corners(given, file, str(number)), (1.0, 1.0)))
    return found


def read_yolo_names(text: bytes, file: str) -> dict[int, str]:
    """Read the names of the classes: of ``data.yaml`` its ``names``, of any other file a name a line.

    Raises:
        SourceError: If there are none.
    """
    if not file.lower().endswith((".yaml", ".yml")):
        lines = text.decode("utf-8", "replace").splitlines()
        return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    import yaml

    try:
        held = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        held = None
    names = held.get("names") if isinstance(held, dict) else None
    listed = enumerate(names) if isinstance(names, list) else names.items() if isinstance(names, dict) else ()
    found = {key: str(name) for key, name in listed if isinstance(key, int)}
    if not found:
        raise SourceError(f"{printable(file)} has no names of classes: expected a YOLO data.yaml with 'names'")
    return found


def _objects(held: Mapping[str, Any], name: str, file: str) -> Iterator[Mapping[str, Any]]:
    listed = held.get(name) or []
    if not isinstance(listed, list):
        raise SourceError(f"{printable(file)}: expected a list in {name!r}, got {shown(listed)}")
    for each in listed:
        if not isinstance(each, dict) or any(isinstance(each.get(key), dict | list) for key in _IDS):
            raise SourceError(f"{printable(file)}: expected objects in {name!r}, got {shown(each)}")
        yield each


def _coco_corners(each: Mapping[str, Any], file: str) -> tuple[float, float, float, float]:
    box, outline = each.get("bbox"), each.get("segmentation")
    if isinstance(box, list) and len(box) == 4:
        left, top, wide, high = map(_number, box)
        far = [None if low is None or side is None else low + side for low, side in ((left, wide), (top, high))]
        return _corners([left, top, *far], file, str(each.get("id")))
    if isinstance(outline, list) and outline and all(isinstance(part, list) for part in outline):
        points = [_number(value) for part in outline for value in part]
        known = [value for value in points if value is not None]
        if len(known) == len(points) and len(points) >= 4 and len(points) % 2 == 0:
            return _corners([*_around(known)], file, str(each.get("id")))
    raise SourceError(f"{printable(file)}: annotation {shown(each.get('id'))} has no box: expected 'bbox' of 4 numbers")


def _around(points: Sequence[float]) -> tuple[float, float, float, float]:
    """Return the corners of the box around points x, y, x, y..."""
    across, down = points[::2], points[1::2]
    return min(across), min(down), max(across), max(down)


def _corners(given: Sequence[float | None], file: str, number: str) -> tuple[float, float, float, float]:
    left, top, right, bottom = given
    if left is None or top is None or right is None or bottom is None:
        raise SourceError(f"{printable(file)}, object {number}: expected a box of 4 numbers, got {shown(list(given))}")
    return left, top, right, bottom


def _positive(width: object, height: object) -> tuple[float, float] | None:
    wide, high = _number(width), _number(height)
    return (wide, high) if wide is not None and high is not None and wide > 0 and high > 0 else None


def _number(value: object) -> float | None:
    """Return a finite number that a file holds as a number or a text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | bytes):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
