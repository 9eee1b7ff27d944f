"""Labels put back into annotations, which stay as they are else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.etree import ElementTree

__all__ = ["relabel_coco", "relabel_voc", "relabel_yolo", "write_yolo_names"]


def relabel_coco(text: bytes, labels: Mapping[str, str]) -> bytes:
    """Return a COCO file in which objects have these labels, by their ids; new categories follow the old ones."""
    held = json.loads(text)
    categories = held.setdefault("categories", [])
    ids = {str(each.get("name")): each.get("id") for each in reversed(categories)}
    for each in held["annotations"]:
        label = labels.get(str(each.get("id")))
        if label is None:
            continue
        if label not in ids:
            ids[label] = max((known["id"] for known in categories if isinstance(known.get("id"), int)), default=0) + 1
            categories.append({"id": ids[label], "name": label})
        each["category_id"] = ids[label]
    return json.dumps(held, ensure_ascii=False).encode()


def relabel_voc(text: bytes, labels: Mapping[str, str]) -> bytes:
    """Return a Pascal VOC file in which objects have these labels, by their places from 1."""
    root = ElementTree.fromstring(text)  # noqa: S314  it was read by `read_voc`, which takes none with entities
    for number, each in enumerate(root.iterfind("object"), 1):
        label = labels.get(str(number))
        if label is not None:
            name = each.find("name")
            name = ElementTree.SubElement(each, "name") if name is None else name
            name.text = label
    held: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return held


def relabel_yolo(text: bytes, labels: Mapping[str, str], codes: dict[str, int]) -> bytes:
    """Return a YOLO file in which objects have these labels, by their places from 1.

    Args:
        text: The file.
        labels: The labels.
        codes: The number of each class; labels that it lacks are added.
    """
    lines = []
    for number, line in enumerate(filter(None, map(bytes.strip, text.splitlines())), 1):
        label = labels.get(str(number))
        if label is not None:
            code = codes.setdefault(label, max(codes.values(), default=-1) + 1)
            line = b" ".join([str(code).encode(), *line.split()[1:]])
        lines.append(line + b"\n")
    return b"".join(lines)


def write_yolo_names(text: bytes, name: str, codes: Mapping[str, int]) -> bytes:
    """Return the file with the names of YOLO's classes, with these in it."""
    names = {code: label for label, code in codes.items()}
    if not name.lower().endswith((".yaml", ".yml")):
        return "".join(f"{names.get(code, code)}\n" for code in range(max(names, default=-1) + 1)).encode()
    import yaml

    held = {**yaml.safe_load(text), "nc": len(names), "names": dict(sorted(names.items()))}
    written: str = yaml.safe_dump(held, sort_keys=False, allow_unicode=True)
    return written.encode()
