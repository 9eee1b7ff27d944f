"""The explorer inside a report: the page's script and style, and all that the page asks for, in one HTML file.

web/src/lib/file.ts describes where the data are in the file. What they are comes from the functions that the
server answers with; here they are counted, so that the file stays below a size.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import InputError
from dinoscope.explorer import answers as explorer_answers
from dinoscope.explorer import findings as explorer_findings
from dinoscope.explorer.columns import column_bytes, describe_columns
from dinoscope.explorer.model_view import ModelData, can_judge, collection_info, model_infos
from dinoscope.explorer.sheets import COLUMNS, all_sheets, draw_sheet
from dinoscope.explorer.types import Sheets
from dinoscope.report.bundle import MEGABYTE
from dinoscope.stages.clusters import ClusterSettings
from dinoscope.stages.columns import public_columns
from dinoscope.stages.labels import load_classifier, predict_labels
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from pydantic import BaseModel

    from dinoscope.analysis.neighbors import NeighborGraph
    from dinoscope.columns.kinds import Column
    from dinoscope.explorer.types import Findings
    from dinoscope.report.facts import Facts
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Embedded", "embed"]

_NEIGHBORS, _LEAST_NEIGHBORS = 12, 4  # stored of each image
_SIDES = (56, 48, 40, 32, 24)  # of tiles that are tried where the full size is too much, in pixels
_READABLE = 32  # side from which on fewer thumbnails are better than smaller ones
_SAMPLE = 256  # thumbnails that are drawn to tell how many bytes all take
_PLACE = 16 / 3  # bytes for the position of a thumbnail, where not every image has one
_SPARE = 1000  # bytes for the sentence about the choice, and for longer numbers
_MARGIN = 1.05  # how far the sample may be off; where that is not enough, the last sheets are left out


@dataclass(frozen=True)
class Embedded:
    """The elements that hold the data, and what was chosen to make them fit, in one sentence."""

    elements: str
    choice: str


def embed(facts: Facts, most: int, taken: int) -> Embedded:
    """Return a collection's data as elements of a page.

    Args:
        facts: What the report says; the explorer shows the same clusters.
        most: Bytes that the whole file may have.
        taken: Bytes of the page without these elements.

    Raises:
        InputError: If it does not fit in that many bytes.
    """
    writer = _Writer(facts)
    parts = writer.required()
    taken += _size([writer.view(None)]) + _SPARE
    left = most - taken - _size(parts) - writer.neighbor_bytes(_LEAST_NEIGHBORS)
    if left < 0:
        least = math.ceil((most - left) / MEGABYTE)
        raise InputError(
            f"the report of {len(facts.collection):,} images needs {least} MB without a single thumbnail, and --max-mb "
            f"allows {most / MEGABYTE:g}: give --max-mb {least} or, for thumbnails, more"
        )
    k = next(k for k in range(_NEIGHBORS, 0, -1) if k == _LEAST_NEIGHBORS or writer.neighbor_bytes(k) <= left // 4)
    parts += writer.neighbors(k)
    verdicts = writer.verdicts()
    if _size(verdicts) <= left // 8:
        parts += verdicts
    parts += writer.columns(left // 8)
    pictures = _draw(writer, most - taken - _size(parts))
    parts += [*writer.pictures(pictures), writer.view(pictures)]
    return Embedded("".join(parts), _choice(facts.collection, pictures, min(k, writer.graph_k)))


def _choice(collection: OpenedCollection, pictures: _Pictures, k: int) -> str:
    images, shown = len(collection), len(pictures.positions)
    some = f"all {images:,} images" if shown == images else f"{shown:,} of {images:,} images"
    if not shown:
        return f"no thumbnails: there is no room; {k} neighbours of each of {images:,} images"
    smaller = "" if pictures.full and shown == images else "; a larger --max-mb shows more"
    return f"thumbnails of {pictures.side} px for {some}, {k} neighbours of each{smaller}"


def _json(name: str, text: str) -> str:
    # without "<" nothing in it can end the element
    held = text.replace("<", "\\u003c")
    return f'<script type="application/json" id="{escape(name)}">{held}</script>\n'


def _bytes(name: str, content: bytes | NDArray[np.generic]) -> str:
    held = base64.b64encode(content if isinstance(content, bytes) else content.tobytes()).decode()
    return f'<script type="application/octet-stream;base64" id="{escape(name)}">{held}</script>\n'


def _size(parts: Sequence[str]) -> int:
    return sum(len(part.encode("utf-8", "replace")) for part in parts)


class _Writer:
    """Writes the elements of one collection, those of one kind at a time."""

    def __init__(self, facts: Facts) -> None:
        self.facts, self.collection = facts, facts.collection
        collection = self.collection
        if facts.few and can_judge(collection):
            predict_labels(collection)
        self.data = ModelData(collection, collection.key)
        self.data.measured &= facts.few  # of many images they would take the room of thumbnails
        if facts.clusters is not None:  # those that the sections show
            self.data.clusters = cast(ClusterSettings, collection.results.stages["clusters"].settings)
        self.at = f"model/{collection.key}"

    def required(self) -> list[str]:
        """Return everything but pictures, neighbours and verdicts."""
        data, collection, at = self.data, self.collection, self.at
        models = [each for each in model_infos(collection.path) if each.key == collection.key]
        info = collection_info(collection.path, collection.key, models, originals=False, writable=False)
        parts = [self._model("collection", info.model_copy(update={"live": False})), _bytes(f"{at}/rows", data.rows())]
        for name in self.maps:
            parts += [
                _bytes(f"{at}/maps/{name}", data.points(name)),
                _bytes(f"{at}/maps/{name}/trust", data.trust(name)),
                self._model(
                    f"{at}/maps/{name}/numbers",
                    explorer_answers.numbers(
                        data, name, evaluate=self._evaluated, explain=self.facts.explanation is not None
                    ),
                ),
            ]
        for column in data.view().columns:
            if column.kind == "category" or not column.per_map:
                parts.append(_bytes(f"{at}/columns/{column.name}", data.column(column.name)))
        images = {"ids": collection.ids.tolist(), "sizes": collection.sizes.tolist()}
        if any(collection.captions):
            images["captions"] = collection.captions.tolist()
        if any(collection.label_sets):
            images["labels"] = collection.label_sets.tolist()
        parts.append(_json(f"{at}/images", json.dumps(images, ensure_ascii=False, separators=(",", ":"))))
        if self.findings is not None:
            parts.append(self._model(f"{at}/findings", self.findings))
        return parts

    @cached_property
    def maps(self) -> list[str]:
        """The maps that are stored; of many images, only those whose quality is known, which takes minutes."""
        judged = [each["map"] for each in self.collection.results.stored("map_quality")]
        shown = {each.id: self.data.settings_of(each.id) for each in self.data.maps() if each.ready}
        return [name for name, settings in shown.items() if self.facts.few or settings in judged]

    @cached_property
    def findings(self) -> Findings | None:
        """What there is to look at, None where it was not looked for."""
        return None if self.facts.findings is None else explorer_findings.findings(self.collection)

    @property
    def _evaluated(self) -> bool:
        return self.facts.evaluation is not None

    def view(self, pictures: _Pictures | None) -> str:
        """Return the description of the model with the sheets that there are."""
        view = self.data.view()
        sheets = Sheets(
            tile=pictures.side if pictures else self.data.tile,
            columns=COLUMNS,
            rows=COLUMNS,
            count=len(pictures.sheets) if pictures else 0,
        )
        maps = [each.model_copy(update={"ready": True}) for each in view.maps if each.id in self.maps]
        return self._model(self.at, view.model_copy(update={"sheets": sheets, "maps": maps}))

    # --- neighbours, verdicts, pictures -----------------------------------------------------------------------------

    @property
    def graph_k(self) -> int:
        """Number of neighbours that can be stored."""
        return 0 if self._graph is None else min(_NEIGHBORS, self._graph.k)

    def neighbor_bytes(self, k: int) -> int:
        """Return how long the elements of ``neighbors`` are."""
        cells = len(self.collection) * min(k, self.graph_k)
        return 4 * math.ceil(4 * cells / 3) + 4 * math.ceil(cells / 3) + 2 * (len(self.at) + 100)

    def neighbors(self, k: int) -> list[str]:
        """Return the nearest neighbours of every image."""
        k = min(k, self.graph_k)
        indices, similarities = np.zeros((len(self.collection), 0), "<u4"), np.zeros((len(self.collection), 0), "u1")
        if self._graph is not None:
            indices = self._graph.indices[:, :k].astype("<u4")
            similarities = np.rint(np.clip(self._graph.similarities[:, :k], 0, 1) * 255).astype("u1")
        return [_bytes(f"{self.at}/neighbors", indices), _bytes(f"{self.at}/similarities", similarities)]

    @cached_property
    def _graph(self) -> NeighborGraph | None:
        return neighbor_graph(self.collection) if len(self.collection) > 1 else None

    def verdicts(self) -> list[str]:
        """Return what the others say about every image, if that takes only seconds."""
        collection = self.collection
        if not (self.facts.few and can_judge(collection)):
            return []

        def compute() -> Computed:
            classifier = load_classifier(collection)
            told = [
                {
                    "label": str(each.label),
                    "probability": round(each.probability, 4),
                    "set": [str(label) for label in each.prediction_set],
                    "setLevel": classifier.coverage,
                    "setMeasured": classifier.measured if math.isfinite(classifier.measured) else None,
                    "measuredOn": classifier.measured_on,
                    "unknown": bool(each.unknown),
                    "percentile": round(each.percentile, 2) if math.isfinite(each.percentile) else None,
                }
                for each in classifier.left_out(collection.vectors, list(range(len(collection))))
            ]
            return {"verdict": [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in told]}, {}

        columns, _ = collection.results.run("verdicts", {"labels": collection.results.label_state}, compute)
        return [_json(f"{self.at}/verdicts", f"[{','.join(columns['verdict'])}]")]

    def columns(self, room: int) -> list[str]:
        """Return the columns that others may see, except for texts, as many as fit in that many bytes."""
        shown = {
            name: column
            for name, column in public_columns(self.collection, private=self.facts.private).items()
            if column.kind != "text"
        }
        of_source = self.collection.columns_of_source
        kept: dict[str, Column] = {}
        values: list[str] = []
        for name, column in shown.items():
            held = _bytes(f"{self.at}/table/{len(kept)}", column_bytes(column))
            listed = self._model(f"{self.at}/table", describe_columns(kept | {name: column}, of_source))
            if _size([*values, held, listed]) <= room:
                kept[name] = column
                values.append(held)
        return [self._model(f"{self.at}/table", describe_columns(kept, of_source)), *values] if kept else []

    def pictures(self, pictures: _Pictures) -> list[str]:
        """Return the sheets of thumbnails and, where not every image has one, whose they are."""
        parts = pictures.elements(self.at)
        if len(pictures.positions) < len(self.collection):
            parts.append(_bytes(f"{self.at}/positions", pictures.positions.astype("<u4")))
        return parts

    def first_positions(self) -> list[int]:
        """Return the images whose thumbnails matter most: those of findings, and the middles of clusters."""
        rows = [] if self.findings is None else [row for each in self.findings.findings for row in each.rows]
        named = [self.collection.position(row) for row in rows]
        return named + ([] if self.facts.clusters is None else self.facts.clusters.medoids.tolist())

    def _model(self, name: str, value: BaseModel) -> str:
        return _json(name, value.model_dump_json(by_alias=True))


@dataclass(frozen=True)
class _Pictures:
    """Thumbnails on sheets, in the order of their positions; ``full`` where no larger ones are stored."""

    side: int
    full: bool
    positions: NDArray[np.int64]
    sheets: list[bytes]

    def elements(self, at: str) -> list[str]:
        return [_bytes(f"{at}/sheets/{number}", each) for number, each in enumerate(self.sheets)]


def _draw(writer: _Writer, room: int) -> _Pictures:
    """Draw the thumbnails: all as large as they fit in that many bytes, or as many as do."""
    collection, tile = writer.collection, writer.data.tile
    count = len(collection)
    spread = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    sample = collection.thumbnails(spread)

    def cost(side: int, lossless: bool | None) -> float:
        drawn = draw_sheet(sample, side, math.ceil(math.sqrt(len(sample))), lossless=lossless)
        return len(drawn) / len(sample) * 4 / 3 * _MARGIN

    def fits(side: int, lossless: bool | None) -> bool:
        return (cost(side, lossless) + 0.2) * count <= room

    if fits(tile, None):
        return _cut(_Pictures(tile, True, np.arange(count), all_sheets(collection, tile)), writer, room)
    sides = [tile, *(side for side in _SIDES if side < tile)]
    side = next((side for side in sides if fits(side, False)), None)
    chosen = np.arange(count)
    if side is None:
        side = min(tile, _READABLE)
        chosen = _choose(writer, int((room - 400) / (cost(side, False) + _PLACE + 0.2)))
    groups = [chosen[start : start + COLUMNS**2] for start in range(0, len(chosen), COLUMNS**2)]
    sheets = [draw_sheet(collection.thumbnails(group), side, lossless=False) for group in groups]
    return _cut(_Pictures(side, side == tile, chosen, sheets), writer, room)


def _choose(writer: _Writer, number: int) -> NDArray[np.int64]:
    """Return the positions of that many images: those that matter most, then any, dense where the map is dense."""
    if number < 1:
        return np.zeros(0, np.int64)
    anyone = np.random.default_rng(0).permutation(len(writer.collection)).tolist()
    order = list(dict.fromkeys([*writer.first_positions(), *anyone]))
    return np.sort(np.asarray(order[:number], np.int64))


def _cut(pictures: _Pictures, writer: _Writer, room: int) -> _Pictures:
    """Leave out the last sheets where the sample promised too much."""
    sizes = [_size([each]) for each in pictures.elements(writer.at)]
    count = len(pictures.positions)
    for kept in range(len(sizes), -1, -1):
        shown = min(count, kept * COLUMNS**2)
        listed = 400 + math.ceil(_PLACE * shown) if shown < len(writer.collection) else 0
        if sum(sizes[:kept]) + listed <= room:
            break
    return replace(pictures, positions=pictures.positions[:shown], sheets=pictures.sheets[:kept])
