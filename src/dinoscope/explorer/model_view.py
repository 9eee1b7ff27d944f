"""What the explorer shows of a collection: its models, columns, maps and arrays. Positions are the collection's.

Plain functions and values; the server sends them, a report holds them in itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from dinoscope._version import __version__
from dinoscope.analysis.explain.explanation import find_traits
from dinoscope.analysis.explain.properties import PROPERTIES
from dinoscope.analysis.hnsw import APPROXIMATE_FROM, takes_index
from dinoscope.analysis.maps.projection import Method, check_method
from dinoscope.base.digests import digest_json
from dinoscope.base.parallel import row_blocks
from dinoscope.base.ranks import average_ranks
from dinoscope.base.text import did_you_mean
from dinoscope.errors import CollectionError, InputError
from dinoscope.explorer.sheets import COLUMNS, tile_side
from dinoscope.explorer.types import (
    CategoryColumn,
    CollectionInfo,
    Column,
    FailureInfo,
    MapInfo,
    ModelInfo,
    ModelView,
    NumberColumn,
    Sheets,
)
from dinoscope.sources.names import sort_naturally
from dinoscope.stages.clusters import ClusterSettings, find_clusters
from dinoscope.stages.labels import predict_labels
from dinoscope.stages.maps import MethodSettings, make_map
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.properties import measured_properties
from dinoscope.storage.manifest import list_models, read_manifest, read_model
from dinoscope.storage.parts import active_rows, read_images, read_parts
from dinoscope.wording.clusters import cluster_names

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "NO_CODE",
    "MapScale",
    "ModelData",
    "Unknown",
    "can_judge",
    "check_sheet",
    "collection_info",
    "model_infos",
    "position_of",
    "standard_maps",
]

NO_CODE = 65535  # of an image without a value
_BLOCK_ROWS = 8192
_MOST_SETS = 30  # labels of images with several that can be filtered by
_WARMED = 200  # labels whose spread is measured before anybody asks
_MOST_MEASURED = 100_000  # images whose properties are measured before anybody asks, in half a minute
_A_PAIR = 5e-9  # seconds two images take to be compared
_MOST_CLUSTERS = 200  # most clusters to search for when there are many labels
_MAPS: dict[str, tuple[str, MethodSettings]] = {
    "umap": ("UMAP", {"method": "umap", "n_neighbors": 15, "min_dist": 0.1, "seed": 42}),
    "tsne": ("t-SNE", {"method": "tsne", "perplexity": 30.0, "seed": 42}),
    "pca": ("PCA", {"method": "pca"}),
}
_NUMBERS = {
    "probability": ("Probability", "how sure the neighbours are of the label that they give"),
    "own": ("Probability of its label", "how likely the neighbours find the image's own label"),
    "familiarity": ("Familiarity", "share of the labelled images that lie at least as far from all others"),
}
_PROPERTY_TITLES = {"aspect": "Shape", "size": "Pixels"}  # a file has columns of these names, in other units
_TRUST = NumberColumn(
    name="trust",
    title="Trust",
    description="share of an image's true neighbours that are near it on this map",
    min=0,
    max=1,
    per_map=True,
)


class Unknown(InputError):
    """There is nothing of this name."""


@dataclass(frozen=True, eq=False)
class _Category:
    title: str
    description: str
    values: list[str]
    codes: NDArray[np.uint16]


@dataclass(frozen=True)
class MapScale:
    """How a map's own units become -1 to 1 on both axes: one scale, the middle in the middle."""

    middle: NDArray[np.float64]
    half: float

    @classmethod
    def of(cls, coordinates: NDArray[np.float32]) -> MapScale:
        """Return the scale that just holds all points (N, 2)."""
        low, high = coordinates.min(axis=0).astype(np.float64), coordinates.max(axis=0).astype(np.float64)
        return cls((low + high) / 2, max(float((high - low).max()) / 2, 1e-12))

    def apply(self, coordinates: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return places (N, 2) from -1 to 1."""
        scaled: NDArray[np.float64] = np.clip((coordinates - self.middle) / self.half, -1, 1)
        return scaled


class ModelData:
    """One model of a collection in one state: what is shown of it does not change while this object lives.

    Attributes:
        collection: The collection, opened with this model.
        key: Key of its vectors.
        clusters: Settings of the clusters that are shown, the newest stored; None while there are none.
        predicted: Whether predictions are stored.
        measured: Whether properties of the images are stored.
        images: A digest of the images, their vectors and their thumbnails.
        state: A digest that changes whenever any array does: with what is stored, and with what makes arrays of it.
    """

    def __init__(self, collection: OpenedCollection, key: str) -> None:
        self.collection, self.key = collection, key
        self._coordinates: dict[str, NDArray[np.float32]] = {}  # of the maps that were asked for: 8 bytes an image
        found = collection.results.stored("clusters")
        self.clusters = cast(ClusterSettings, found[0]) if found else None
        asked = {"k": 20, "set_level": 0.9, "refuse": 0.05}  # what predictions() asks for
        self.predicted = any(asked.items() <= each.items() for each in collection.results.stored("predictions"))
        self.measured = bool(collection.results.stored("properties"))
        self.images = digest_json(
            __version__,
            collection.results.state,
            digest_json(collection.rows.tolist()),
            digest_json(collection.ids.tolist()),
            tile_side(collection),
        )
        self.state = digest_json(
            self.images,
            collection.results.label_state,
            digest_json(collection.label_sets.tolist()) if any(collection.label_sets) else "",
            self.clusters,
            self.predicted,
            self.measured,
            collection.columns_state,
        )

    def view(self) -> ModelView:
        """Return what there is."""
        collection = self.collection
        return ModelView(
            key=self.key,
            count=len(collection),
            state=self.state,
            images=self.images,
            columns=self._columns(),
            maps=self.maps(),
            sheets=Sheets(tile=self.tile, columns=COLUMNS, rows=COLUMNS, count=-(-len(collection) // COLUMNS**2)),
            failures=[FailureInfo(row=f.row, id=f.id, reason=f.reason) for f in collection.failures],
        )

    def preparations(self) -> dict[str, Callable[[], object]]:
        """Return what makes answers quick and is not there yet: verdicts, predictions, clusters, properties."""
        from dinoscope.stages.labels import load_classifier

        collection, work = self.collection, dict[str, Callable[[], object]]()
        labels = self._examples
        if can_judge(collection):
            work["classifier"] = lambda: load_classifier(collection)
            examples = list(labels.values())[:_WARMED]
            work["verdicts"] = lambda: load_classifier(collection).left_out(collection.vectors, examples)
            if not self.predicted:
                work["predictions"] = lambda: predict_labels(collection)
        if self.clusters is None and len(collection) >= 3:
            work["clusters"] = lambda: find_clusters(collection, self.usual_k)
        if not self.measured and len(collection) <= _MOST_MEASURED:
            work["properties"] = lambda: measured_properties(collection)
        return work

    @cached_property
    def _examples(self) -> dict[object, int]:
        """The position of one image of each label."""
        return {label: at for at, label in enumerate(self.collection.labels.tolist()) if label is not None}

    @property
    def usual_k(self) -> int | None:
        """How many clusters are found where nobody asked for any: one for each label; None leaves it to the images."""
        return len(self._examples) if 1 < len(self._examples) <= _MOST_CLUSTERS else None

    @cached_property
    def tile(self) -> int:
        """Side of a tile of the sheets, in pixels."""
        return tile_side(self.collection)

    def rows(self) -> NDArray[np.uint32]:
        """Return the row of each position (N,)."""
        return self.collection.rows.astype("<u4")

    # --- maps -------------------------------------------------------------------------------------------------------

    def map_settings(self) -> dict[str, MethodSettings]:
        """Return the settings of each map, as ``Collection.map`` takes them: the usual three and what is stored."""
        maps = {name: _MAPS[name][1] for name in standard_maps()}
        for settings in self._stored_maps():
            if settings not in maps.values():
                maps[f"{settings['method']}-{digest_json(settings)[:8]}"] = settings
        return maps

    def settings_of(self, name: str) -> MethodSettings:
        """Return the settings of a map.

        Raises:
            Unknown: If there is none of this name.
        """
        maps = self.map_settings()
        if name not in maps:
            raise Unknown(f"there is no map {name!r}{did_you_mean(name, maps)}")
        return maps[name]

    def maps(self) -> list[MapInfo]:
        """Return what maps there are."""
        stored = self._stored_maps()
        return [
            MapInfo(
                id=name,
                title=_map_title(name, settings),
                ready=(ready := settings in stored or len(self.collection) < 2),
                seconds=None if ready else _seconds(settings["method"], len(self.collection)),
                settings=cast(dict[str, str | int | float], {k: v for k, v in settings.items() if k != "method"}),
            )
            for name, settings in self.map_settings().items()
        ]

    def is_ready(self, name: str) -> bool:
        """Tell whether a map need not be computed."""
        known = name in self._coordinates or len(self.collection) < 2
        return known or self.settings_of(name) in self._stored_maps()

    def coordinates(self, name: str, on_progress: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Return a map (N, 2) in its own units, computed if it is not stored.

        Raises:
            Unknown: If there is none of this name.
        """
        if name not in self._coordinates:
            settings, count = self.settings_of(name), len(self.collection)
            zeros = np.zeros((count, 2), np.float32)
            self._coordinates[name] = (
                make_map(self.collection, **settings, on_progress=on_progress) if count > 1 else zeros
            )
        return self._coordinates[name]

    def method(self, name: str) -> Method:
        """Return how a map is made, by its name."""
        return check_method(name.partition("-")[0])

    def points(self, name: str) -> NDArray[np.uint16]:
        """Return a map (N, 2): 0 to 65535 stands for -1 to 1 on both axes."""
        coordinates = self.coordinates(name)
        return np.rint((MapScale.of(coordinates).apply(coordinates) + 1) * 32767.5).astype("<u2")

    def trust(self, name: str) -> NDArray[np.float32]:
        """Return how far to trust each place on a map (N,), 0 to 1; NaN where there are too few images to tell."""
        from dinoscope.analysis.metrics.maps import map_neighbors

        coordinates, count = self.coordinates(name), len(self.collection)
        if count < 3:
            return np.full(count, np.nan, "<f4")
        # what map_quality calls kept, without the rest of it, which takes a minute for 70,000 images
        graph = neighbor_graph(self.collection)
        k = min(15, (count - 1) // 2, graph.k)
        nearby = map_neighbors(coordinates.astype(np.float64), k)
        kept = np.empty(count, "<f4")
        for rows in row_blocks(count, _BLOCK_ROWS):
            same = graph.indices[rows, :k, None] == nearby[rows, None, :]
            kept[rows] = same.any(axis=2).mean(axis=1)
        return kept

    def _stored_maps(self) -> list[MethodSettings]:
        stored = cast(list[MethodSettings], self.collection.results.stored("map"))
        return [each for each in stored if each.get("dims", 2) == 2]

    def stored_clusters(self) -> tuple[NDArray[np.int32], list[int]]:
        """Return the cluster of each image (N,), -1 for none, and each cluster's medoid; there must be clusters."""
        # not by Collection.clusters, which computes their centres, too
        columns, meta = self.collection.results.run("clusters", self.clusters or {}, _never)
        return columns["labels"], meta["medoids"]

    # --- columns ----------------------------------------------------------------------------------------------------

    def column(self, name: str) -> NDArray[np.uint16] | NDArray[np.float32]:
        """Return a column: codes uint16 (N,) of a category, float32 (N,) of a number (NaN where there is none).

        Raises:
            Unknown: If there is none of this name, or it belongs to a map.
        """
        if name in self._categories:
            return self._categories[name].codes
        if name in _NUMBERS and self.predicted:
            found = predict_labels(self.collection)
            values = {"probability": found.probabilities, "own": found.own, "familiarity": found.familiarity}[name]
            return values.astype("<f4")
        if name in self._properties:
            return self._properties[name]
        known = [*self._categories, *(_NUMBERS if self.predicted else ()), *self._properties]
        raise Unknown(f"there is no column {name!r}{did_you_mean(name, known)}")

    def _columns(self) -> list[Column]:
        columns: list[Column] = [
            CategoryColumn(
                name=name,
                title=each.title,
                description=each.description,
                values=each.values,
                counts=np.bincount(each.codes[each.codes != NO_CODE], minlength=len(each.values)).tolist(),
            )
            for name, each in self._categories.items()
        ]
        if self.predicted:
            columns += [
                NumberColumn(name=name, title=title, description=text, min=0, max=1, per_map=False)
                for name, (title, text) in _NUMBERS.items()
            ]
        columns.append(_TRUST)
        columns += [
            NumberColumn(
                name=name,
                title=_PROPERTY_TITLES.get(name, name.capitalize()),
                min=0,
                max=1,
                per_map=False,
                description=f"share of the images that have less of it: {PROPERTIES[name].meaning}",
            )
            for name in self._properties
        ]
        return columns

    @cached_property
    def _properties(self) -> dict[str, NDArray[np.float32]]:
        """By rank, so that single extreme images take no colours from the others; those that vary."""
        values = measured_properties(self.collection) if self.measured else {}
        return {
            name: ((average_ranks(each) - 0.5) / len(each)).astype("<f4")
            for name, each in values.items()
            if np.ptp(each) > 0
        }

    @cached_property
    def _categories(self) -> dict[str, _Category]:
        collection = self.collection
        columns: dict[str, _Category] = {}
        if any(label is not None for label in collection.labels):
            columns["label"] = _category("Label", "the group that people gave the image", collection.labels)
        for name in _frequent(collection.label_sets):
            has = np.asarray(["yes" if name in held else "no" for held in collection.label_sets], object)
            told = "whether the image has this label; it may have several"
            columns[f"has_{len(columns)}"] = _category(f"Label {name}", told, has, ("yes", "no"))
        if self.clusters is not None:
            found, _ = self.stored_clusters()
            codes = np.where(found < 0, NO_CODE, np.minimum(found, NO_CODE)).astype("<u2")
            seen = {name: values for name, values in self._properties.items() if name != "order"}
            names = cluster_names(found.tolist(), collection.labels.tolist(), find_traits(seen, found))[:NO_CODE]
            columns["cluster"] = _Category("Cluster", "groups of similar images, found without labels", names, codes)
        if self.predicted:
            columns |= self._predicted()
        if any(split is not None for split in collection.splits):
            columns["split"] = _category("Split", "part of the data set", collection.splits)
        return columns

    def _predicted(self) -> dict[str, _Category]:
        found = predict_labels(self.collection)
        agreement = np.full(len(found.labels), None, object)
        labelled = ~np.isnan(found.own)
        agrees = found.labels == np.asarray([str(label) for label in self.collection.labels])
        agreement[labelled & agrees], agreement[labelled & ~agrees] = "as labelled", "another label"
        agreement[found.unknown] = "unknown kind"
        told = "whether the label that the neighbours give is the image's own"
        predicted = "the label that the neighbours give, the image itself left out"
        return {
            "predicted": _category("Predicted label", predicted, found.labels.astype(object)),
            "agreement": _category("Agreement", told, agreement, ("as labelled", "another label", "unknown kind")),
        }


def standard_maps() -> dict[str, str]:
    """Return the maps that every model has, by id, with their titles."""
    return {name: title for name, (title, _) in _MAPS.items() if name != "tsne" or find_spec("openTSNE")}


def collection_info(
    path: Path,
    shown: str,
    models: Sequence[ModelInfo],
    *,
    originals: bool,
    files: bool = False,
    writable: bool,
    copies_to: str | None = None,
) -> CollectionInfo:
    """Return what a collection is; ``shown`` is the key of the model that is shown first."""
    source = read_manifest(path)["source"]
    return CollectionInfo(
        name=source["name"],
        kind=source["kind"],
        version=__version__,
        model=shown,
        models=list(models),
        live=True,
        originals=originals,
        files=files,
        writable=writable,
        copies_to=copies_to,
    )


def model_infos(path: Path) -> list[ModelInfo]:
    """Return the models that a collection has vectors of.

    Raises:
        CollectionError: If it has none.
    """
    table = read_images(path, ["removed", "generation"])
    models = []
    for key in list_models(path):
        parts = read_parts(path / "vectors" / key, ["row"], table).values()
        images = len(active_rows([part["row"] for part in parts], table)[0])
        if images:
            told = read_model(path, key)
            models.append(
                ModelInfo(
                    key=key,
                    name=told["model"],
                    dim=told["dim"],
                    resolution=told.get("resolution"),
                    pooling=told.get("pooling", "cls"),
                    focus=told.get("focus", "image"),
                    images=images,
                    patches=told.get("patches", True),
                )
            )
    if not models:
        raise CollectionError(f"{path} has no vectors yet: wait for the first, or run 'dinoscope embed' again")
    return models


def check_sheet(collection: OpenedCollection, index: int) -> None:
    """Raise Unknown unless there is a sheet of thumbnails of this number."""
    count = -(-len(collection) // COLUMNS**2)
    if index >= count:
        raise Unknown(f"there is no sheet {index}: there are {count}")


def position_of(collection: OpenedCollection, row: int) -> int:
    """Return the position of a row.

    Raises:
        Unknown: If no image with vectors has this row number.
    """
    try:
        return collection.position(row)
    except InputError as error:
        raise Unknown(str(error)) from None


def can_judge(collection: OpenedCollection) -> bool:
    """Tell whether there are two images with a label, so that others can be named."""
    return sum(label is not None for label in collection.labels) >= 2


def _never() -> NoReturn:
    raise CollectionError("the clusters that were shown are gone: load the page again")


def _category(title: str, description: str, texts: NDArray[np.object_], order: Sequence[str] = ()) -> _Category:
    """Number the texts, None being none; where there are more than codes, the rarest have none."""
    counts = Counter(text for text in texts.tolist() if text is not None)
    kept = {text for text, _ in counts.most_common(NO_CODE)}
    if order:
        values = [text for text in order if text in kept]
    else:
        values = list(kept)
        sort_naturally(values)
    codes = {text: code for code, text in enumerate(values)}
    numbered = np.asarray([codes.get(text, NO_CODE) for text in texts.tolist()], "<u2")
    return _Category(title, description, [str(value) for value in values], numbered)


def _seconds(method: Method, images: int) -> float:
    """Return about how long a map takes to compute, by what was measured: docs/benchmarks.md."""
    each = {"umap": 0.2e-3, "tsne": 4e-3, "pca": 1e-5}[method]  # seconds an image
    neighbors = 0.0 if method == "pca" else _A_PAIR * images * (APPROXIMATE_FROM if takes_index(images) else images)
    return each * images + neighbors


def _map_title(name: str, settings: MethodSettings) -> str:
    if name in _MAPS:
        return _MAPS[name][0]
    names = {"n_neighbors": "neighbours", "min_dist": "least distance", "perplexity": "perplexity", "seed": "seed"}
    usual = _MAPS[settings["method"]][1]
    changed = [f"{names.get(key, key)} {value:g}" for key, value in settings.items() if usual.get(key) != value]
    return ", ".join([_MAPS[settings["method"]][0], *changed])


def _frequent(sets: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the labels that most images have, of images with several."""
    counts = Counter(label for held in sets for label in held)
    return [label for label, _ in counts.most_common(_MOST_SETS)]
