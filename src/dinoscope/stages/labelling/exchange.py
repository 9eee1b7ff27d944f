"""Labels and tags written to a file for other tools, and read back: CSV, Parquet or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from dinoscope.base.typed import parse_json
from dinoscope.errors import InputError
from dinoscope.stages.labelling.by_hand import all_annotations, check_text, say_of
from dinoscope.storage.annotations import Annotation
from dinoscope.storage.files import csv_text, plain_text, write_bytes, write_csv
from dinoscope.storage.tables import write_table

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["FORMATS", "Imported", "annotations_csv", "export_annotations", "import_annotations"]

FORMATS = (".csv", ".parquet", ".jsonl")
_COLUMNS = ("id", "content", "label", "tags", "how", "who", "when")
_BETWEEN = "|"  # tags of a cell


class _Said(TypedDict, total=False):
    how: Literal["import"]
    label: str | None
    tags: tuple[str, ...]


class Imported(TypedDict):
    """Result of an import: images that it labelled or tagged, and lines that name no image of the collection."""

    images: int
    unknown: int


def export_annotations(collection: OpenedCollection, path: Path) -> int:
    """Write the labels and tags that people gave, one line per image; return how many.

    See ``Collection.export_annotations``.
    """
    kind, lines = _format(path), _lines(collection)
    if kind == ".csv":
        write_csv(path, _COLUMNS, _cells(lines))
    elif kind == ".jsonl":
        write_bytes(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())
    else:
        write_table(path, {name: [line[name] for line in lines] for name in _COLUMNS})
    return len(lines)


def annotations_csv(collection: OpenedCollection) -> str:
    """Return the labels and tags that people gave as CSV, as ``export_annotations`` writes it."""
    return csv_text(_COLUMNS, _cells(_lines(collection)))


def _lines(collection: OpenedCollection) -> list[dict[str, Any]]:
    said = all_annotations(collection)
    return [
        {
            "id": collection.ids[at],
            "content": collection.contents[at],
            "label": said.labels[at],
            "tags": list(said.tags[at]),
            "how": said.how[at],
            "who": said.who[at],
            "when": datetime.fromtimestamp(said.when[at] / 1e9, UTC).isoformat(timespec="seconds"),
        }
        for at, how in enumerate(said.how.tolist())
        if how
    ]


def _cells(lines: list[dict[str, Any]]) -> list[list[Any]]:
    return [[*{**line, "tags": _BETWEEN.join(line["tags"])}.values()] for line in lines]


def import_annotations(collection: OpenedCollection, path: Path) -> Imported:
    """Read labels and tags from a file, as one act that can be undone.

    See ``Collection.import_annotations``.
    """
    lines = _read(path)
    by_content = {content: at for at, content in enumerate(collection.contents)}
    by_id = {name: at for at, name in enumerate(collection.ids.tolist())}
    found, unknown = dict[int, Callable[[Annotation], Annotation]](), 0
    for number, line in enumerate(lines, 1):
        at = by_content.get(str(line.get("content") or ""), by_id.get(str(line.get("id") or "")))
        if at is None:
            unknown += 1
            continue
        said: _Said = {"how": "import"}
        try:
            if "label" in line:
                said["label"] = check_text(_text(line["label"]), "label", empty=True) or None
            if "tags" in line:
                said["tags"] = _tags(line["tags"])
        except InputError as error:
            raise InputError(f"line {number} of {path.name}: {error}") from None
        found[at] = partial(_take, said=said)
    if not found:
        raise InputError(
            f"none of the {len(lines):,} lines of {path.name} names an image of {collection.path}: expected a column "
            "id or content, as --export writes"
        )
    say_of(collection, found)
    return {"images": len(found), "unknown": unknown}


def _take(before: Annotation, said: _Said) -> Annotation:
    return replace(before, **said)


def _format(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise InputError(f"labels are written and read as {', '.join(FORMATS)}, got {path.name!r}")
    return kind


def _read(path: Path) -> list[dict[str, object]]:
    """Return the lines of a file.

    Raises:
        InputError: It cannot be read, or its content does not fit its name.
    """
    kind = _format(path)
    lines: list[dict[str, object]]
    try:
        if kind == ".parquet":
            import pyarrow.parquet as pq

            lines = pq.read_table(path).to_pylist()
        elif kind == ".jsonl":
            lines = [parse_json(line) for line in path.read_bytes().splitlines() if line.strip()]
        else:
            with path.open(encoding="utf-8-sig", newline="") as file:
                lines = [
                    {name: plain_text(cell or "") for name, cell in each.items() if name}
                    for each in csv.DictReader(file)
                ]
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"cannot read {path}: {reason}") from None
    for number, line in enumerate(lines, 1):
        if not isinstance(line, dict):
            raise InputError(f"line {number} of {path.name} is not an object with a label or tags")
    if lines and not ({"label", "tags"} & set(lines[0])):
        raise InputError(
            f"{path.name} has neither a column label nor tags: it has {', '.join(map(str, lines[0]))}"[:300]
        )
    return lines


def _text(told: object) -> str:
    if not isinstance(told, str | int | None):
        raise InputError(f"a label is a text, got {told!r}"[:200])
    return "" if told is None else str(told)


def _tags(told: object) -> tuple[str, ...]:
    parts = told.split(_BETWEEN) if isinstance(told, str) else told or ()
    if not isinstance(parts, list | tuple):
        raise InputError(f"tags are a list of texts, got {told!r}"[:200])
    return tuple(dict.fromkeys(check_text(_text(tag), "tag") for tag in parts if tag))
