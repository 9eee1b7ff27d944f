"""What a stored result must be: asked once, where it is read. One that is something else is computed again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.typed import mismatch
from dinoscope.base.types import Columns, JsonObject

__all__ = ["check_arrays", "check_stored"]

# Shapes by stage and name, as the dataclasses' docstrings have them: N images; a letter is the same number everywhere.
_SHAPES: dict[str, dict[str, str]] = {
    "neighbors": {"indices": "Nk", "similarities": "Nk"},
    "map": {"coordinates": "Nd"},
    "layout": {"coordinates": "Nd"},
    "clusters": {"labels": "N"},
    "windows": {"windows": "nw"},
    "tokens": {"tokens": "pD"},
    "patches": {
        **{"mean": "D", "axes": "3D", "low": "3", "high": "3", "variance": "3"},
        **{"centres": "PD", "coverage": "P", "images": "P"},
    },
    "predictions": dict.fromkeys(("labels", "probabilities", "own", "familiarity", "unknown"), "N"),
    "outliers": {"positions": "M", "factors": "N", "z_scores": "N", "neighbors": "Mk"},
    "label_errors": {
        **dict.fromkeys(("positions", "given", "suggested", "probabilities", "scores"), "M"),
        "neighbors": "Mk",
    },
    "duplicates": {
        **dict.fromkeys(("first", "second", "similarities", "agreements", "scores"), "P"),
        "copy_of": "N",
        "preference": "NQ",
    },
    "map_quality": {
        **dict.fromkeys(("kept", "torn", "glued"), "N"),
        **dict.fromkeys(("lost", "nearby", "gained"), "Nk"),
    },
    "tuning": {"coordinates": "S2", "positions": "S"},
    "cluster_quality": dict.fromkeys(("sizes", "cohesion", "stability", "purity"), "C"),
    "stability": {"0": "C"},
    "pictures": {"scores": "N8", "values": "N8"},  # of eight kinds
    "picking": {
        "positions": "P",
        **dict.fromkeys(("sizes", "radius", "distance", "accuracy"), "S"),
        **dict.fromkeys(("random_radius", "random_distance", "random_accuracy"), "RS"),
    },
    "evaluation": {"positions": "E", "names": "L", "counts": "LL", "images": "B", "claimed": "B", "right": "B"},
}
_POSITIONS = {"indices", "positions", "neighbors", "first", "second", "copy_of", "nearby"}  # of images
_FINITE = {"indices", "similarities", "coordinates", "windows", "tokens", "preference", "scores"}
_INFINITE = 0x7C00  # infinity as a 16-bit float, without its sign; NaN lies above
_FINITE |= {"mean", "axes", "low", "high", "centres"}


def check_stored(stage: str, columns: Columns, meta: JsonObject, settings: object, sizes: Mapping[str, int]) -> None:
    """Check columns and metadata of a stored result.

    Args:
        stage: Its stage.
        columns: What was read.
        meta: The same.
        settings: Those that were asked for.
        sizes: What is known about its shapes: N, the number of images, and more.

    Raises:
        ValueError: If it is none of this stage.
    """
    seconds = meta.get("seconds")
    if meta.get("settings") != settings or mismatch(seconds, float):
        raise ValueError("it does not say how it was made")
    if stage in ("neighbors", "map", "layout", "clusters", "windows", "tokens"):
        missing = [name for name in _SHAPES[stage] if not isinstance(columns.get(name), np.ndarray)]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
    if stage == "properties":
        from dinoscope.analysis.explain.properties import PROPERTIES

        measured = all(_is_measured(column, sizes["N"]) for column in columns.values())
        if not measured or columns.keys() != PROPERTIES.keys():
            raise ValueError("it is not of these images, or lacks a property")
    check_arrays(stage, columns, sizes)
    if stage == "clusters":
        _check_clusters(columns["labels"], meta, sizes["N"])
    if stage == "neighbors" and mismatch(meta.get("recall"), float | None):
        raise ValueError("its recall is not a number")
    if stage == "scores" and mismatch(meta.get("scores"), list[tuple[str, float, str]], nan=True):
        raise ValueError("it holds no scores")
    if stage == "index" and not all(isinstance(each, bytes) for each in columns.get("content", [None])):
        raise ValueError("it holds no index")


def check_arrays(stage: str, arrays: Mapping[str, object], sizes: Mapping[str, int]) -> None:
    """Check shapes and ranges of the arrays of a result, by the last part of their names.

    Raises:
        ValueError: If one cannot be used.
    """
    groups: dict[str, dict[str, int]] = {}
    for path, values in arrays.items():
        group, _, name = path.rpartition(".")
        letters = _SHAPES.get(stage, {}).get(name)
        if letters is None:
            continue
        known = groups.setdefault(group, dict(sizes))
        array = np.asarray(values)
        shape = array.shape
        if len(shape) != len(letters):
            raise ValueError(f"its {name} have shape {shape}, expected {len(letters)} axes")
        for letter, length in zip(letters, shape, strict=True):
            wanted = int(letter) if letter.isdigit() else known.setdefault(letter, length)
            if length != wanted:
                raise ValueError(f"its {name} have shape {shape}, expected {wanted} instead of {length}")
        _check_range(name, array, sizes["N"])


def _is_measured(column: object, count: int) -> bool:
    return isinstance(column, np.ndarray) and column.shape == (count,) and column.dtype.kind == "f"


def _check_range(name: str, values: NDArray[np.generic], count: int) -> None:
    if name in _POSITIONS and values.dtype.kind not in "iu":
        raise ValueError(f"its {name} are not whole numbers")
    if name in _FINITE and (values.dtype.kind not in "iuf" or not _is_finite(values)):
        raise ValueError(f"its {name} are not finite")
    if values.dtype.kind in "iu" and values.size:
        least, most = (0, count - 1) if name in _POSITIONS else (-1, count)
        if values.min() < least or values.max() > most:
            raise ValueError(f"its {name} are not from {least} to {most:,}")


def _is_finite(values: NDArray[np.generic]) -> bool:
    if (
        values.dtype == np.float16 and values.size
    ):  # by their bits, in a quarter of NumPy's time: they come in gigabytes
        return bool((values.view(np.uint16) & 0x7FFF).max() < _INFINITE)
    return bool(np.isfinite(values).all())


def _check_clusters(labels: NDArray[np.int64], meta: JsonObject, count: int) -> None:
    medoids, curve = meta.get("medoids"), meta.get("curve")
    wrong = mismatch(curve, list[tuple[int, float]], nan=True) or mismatch(meta.get("silhouette"), float, nan=True)
    if wrong or not isinstance(medoids, list) or mismatch(medoids, list[int]):
        raise ValueError("it holds no clusters")
    found = np.unique(labels[labels >= 0]).tolist() if labels.dtype.kind == "i" else None
    if any(not 0 <= each < count for each in medoids) or found != list(range(len(medoids))):
        raise ValueError("its clusters and their medoids do not fit")
