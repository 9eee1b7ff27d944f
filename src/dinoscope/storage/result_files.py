"""Names of stored results. The name says which images, vectors, labels and settings made the result."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_json
from dinoscope.base.types import JsonObject
from dinoscope.errors import DamagedError
from dinoscope.storage.annotations import given_labels
from dinoscope.storage.manifest import list_models
from dinoscope.storage.parts import active_rows, read_images, read_parts
from dinoscope.storage.tables import read_table

__all__ = ["STAGES", "belongs", "label_state_of", "result_file", "settings_of", "stale_results", "state_of"]

# Raise a stage's number when the same input and settings give another result, or its dataclass gets other fields.
_VERSIONS = {
    "neighbors": 1,
    "map": 3,
    "map_quality": 3,
    "tuning": 4,
    "layout": 3,
    "clusters": 2,
    "cluster_quality": 2,
    "stability": 3,
    "nulls": 3,
    "scores": 5,
    "predictions": 2,
    "evaluation": 2,
    "duplicates": 5,
    "outliers": 2,
    "label_errors": 3,
    "index": 1,
    "verdicts": 2,
    "properties": 1,
    "explanation": 4,
    "windows": 2,
    "picking": 1,
    "pictures": 3,
    "patches": 2,
    "tokens": 2,
    "patch_colours": 2,
}
# Stages whose results depend on those of another one: a new version of that one makes them stale, too.
_BUILT_ON = {"patch_colours": "patches"}

# In the order in which people see them.
STAGES = tuple(_VERSIONS)
_NAME = re.compile(r"[0-9a-f]{16}\.parquet")


def result_file(folder: Path, state: str, stage: str, settings: JsonObject) -> Path:
    """Return the file of a stage's result.

    Args:
        folder: The collection.
        state: See ``state_of``.
        stage: Name of the stage.
        settings: JSON values; see ``OpenedCollection.results``.
    """
    name = digest_json(stage, _version(stage, settings), state, settings)
    return folder / "results" / stage / f"{name}.parquet"


def _version(stage: str, settings: object) -> int | list[int]:
    """Return the version of a stage, and that of the stage that it was built on: the layout, for clusters on a map."""
    clusters = settings.get("clusters", settings) if isinstance(settings, Mapping) else None
    on_layout = isinstance(clusters, Mapping) and clusters.get("space") == "umap"
    base = "layout" if on_layout else _BUILT_ON.get(stage)
    return _VERSIONS[stage] if base is None else [_VERSIONS[stage], _VERSIONS[base]]


def state_of(key: str, contents: Sequence[str], rows: NDArray[np.int64]) -> str:
    """Return a digest of vectors: of their key and of what the images of these rows are (see ``images.parquet``)."""
    return digest_json(key, [contents[row] for row in rows.tolist()])


def label_state_of(labels: Sequence[str | None], splits: Sequence[str | None]) -> str:
    """Return a digest of all labels and splits."""
    return digest_json(labels, splits)


def settings_of(path: Path) -> JsonObject:
    """Return the settings of a stored result.

    Raises:
        DamagedError: If it is damaged.
    """
    settings: JsonObject = read_table(path, [])[1].get("settings", {})
    return settings


def belongs(path: Path, settings: JsonObject, state: str, label_state: str) -> bool:
    """Tell whether a stored result with these settings is of this state and these labels."""
    folder, stage = path.parents[2], path.parent.name
    return (
        stage in _VERSIONS
        and path.name == result_file(folder, state, stage, settings).name
        and settings.get("labels", label_state) == label_state
    )


def stale_results(folder: Path) -> list[Path]:
    """Return the stored results of a collection that belong to none of its models' present vectors.

    A result of a part of the images belongs to the state of all images that the part was taken of.

    Only files that dinoscope wrote there: of a known stage, under a name of its own, with its own metadata, and behind
    no link. What a person put beside them is theirs.

    Raises:
        DamagedError: If vectors or images are damaged.
    """
    results = _own_results(folder)
    if not results:
        return []
    images = read_images(folder, ["key", "label", "split", "removed", "generation"])
    states = []
    for key in list_models(folder):
        parts = read_parts(folder / "vectors" / key, ["row"], images).values()
        held, _ = active_rows([part["row"] for part in parts], images)
        labels, splits = ([images[column][row] for row in held.tolist()] for column in ("label", "split"))
        state = state_of(key, images["key"], held)
        mine = given_labels(folder, images, held)
        merged = [source if own is None else own for own, source in zip(mine, labels, strict=True)]
        states += [(state, label_state_of(each, splits)) for each in (labels, mine, merged)]
    stale = []
    for path in results:
        try:
            meta = read_table(path, [])[1]
        except (DamagedError, FileNotFoundError):
            continue
        if "settings" not in meta:  # somebody else's
            continue
        settings = meta["settings"]
        if not any(
            belongs(path, settings, *state) or _of_part(meta.get("whole"), settings, *state) for state in states
        ):
            stale.append(path)
    return stale


def _of_part(whole: object, settings: JsonObject, state: str, label_state: str) -> bool:
    """Tell whether a result is of a part of the images of this state, and of their labels if it depends on labels."""
    if not isinstance(whole, list) or len(whole) != 2 or whole[0] != state:
        return False
    return "labels" not in settings or whole[1] == label_state


def _own_results(folder: Path) -> list[Path]:
    """Return the files of a collection that have the names and places of results."""
    results = folder / "results"
    stages = [results / stage for stage in _VERSIONS]
    if results.is_symlink():
        return []
    return sorted(
        path
        for stage in stages
        if not stage.is_symlink()
        for path in stage.glob("*.parquet")
        if _NAME.fullmatch(path.name) and not path.is_symlink()
    )
