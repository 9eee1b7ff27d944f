"""How closely columns, such as a date or a camera, follow the neighbours, the map and the clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.explain.explanation import FEWEST, alike, morans_i, rank_scores, variance_share
from dinoscope.analysis.metrics.maps import map_neighbors
from dinoscope.analysis.neighbors import NeighborGraph, check_graph
from dinoscope.errors import InputError

__all__ = ["ExplainedColumn", "explain_columns"]

_SHUFFLES = 19
_MOST_GROUPS = 200  # of a category; the rarest count as one


@dataclass(frozen=True)
class ExplainedColumn:
    """How closely a column follows what the model sees. Images without a value are left out.

    Attributes:
        name: Its name.
        images: How many have a value.
        embedding: Moran's I of the ranks, or of the indicators of a category, with the neighbours in the embedding.
        map: The same with the neighbours on the map.
        clusters: Share of its variance (by rank; of a category, of its indicators) that the clusters tell, adjusted for
            their number; None without clusters.
        chance: The largest absolute value of the first two for the same values in 19 random orders.
    """

    name: str
    images: int
    embedding: float
    map: float
    clusters: float | None
    chance: float


def explain_columns(
    columns: Mapping[str, ArrayLike],
    graph: NeighborGraph,
    coordinates: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    k: int = 15,
    seed: int = 0,
) -> tuple[ExplainedColumn, ...]:
    """Measure each column on the images that have a value.

    Args:
        columns: Name -> numbers (N,), NaN being none, or texts (N,), None being none. One that is the same in all
            images, or that fewer than 20 have, is left out.
        graph: Neighbours of the vectors.
        coordinates: The map (N, 2).
        clusters: Cluster of each image (N,), -1 for none.
        k: Neighbours that count; at most a quarter of the other images.
        seed: Of the random deals.

    Returns:
        The columns, first those that neighbours on the map share most.

    Raises:
        InputError: If the arrays do not fit each other.
    """
    points = np.asarray(coordinates, np.float64)
    count = len(points)
    k = max(1, min(k, (count - 1) // 4))
    near = check_graph(graph, count).top(k).indices
    nearby = map_neighbors(points, k)
    members = None if clusters is None else np.asarray(clusters, np.int64)
    draw, told = np.random.default_rng(seed), []
    for name, held in columns.items():
        values = np.asarray(held)
        if values.shape != (count,):
            raise InputError(f"column {name!r} must have shape ({count},), one value per image, got {values.shape}")
        codes = _codes(values) if values.dtype == object else None
        known = np.isfinite(values) if codes is None else codes >= 0
        if known.sum() < FEWEST or len(np.unique(values[known] if codes is None else codes[known])) < 2:
            continue
        scores = codes if codes is not None else _scores(values, known)
        dealt = [_dealt(scores, known, draw) for _ in range(_SHUFFLES)]
        told.append(
            ExplainedColumn(
                name,
                int(known.sum()),
                _similar(scores, near),
                _similar(scores, nearby),
                None if members is None else _told_by(scores, known, members),
                max(abs(_similar(each, where)) for each in dealt for where in (near, nearby)),
            )
        )
    return tuple(sorted(told, key=lambda each: -each.map))


def _codes(values: NDArray[np.object_]) -> NDArray[np.int64]:
    """Return a number for each text, the most common first; -1 for none."""
    known = np.asarray([each is not None for each in values], bool)
    codes = np.full(len(values), -1, np.int64)
    if known.any():
        _, found, counts = np.unique(values[known].astype(str), return_inverse=True, return_counts=True)
        order = np.empty(len(counts), np.int64)
        order[np.argsort(-counts, kind="stable")] = np.arange(len(counts))
        codes[known] = np.minimum(order[found], _MOST_GROUPS - 1)
    return codes


def _scores(values: NDArray[np.generic], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    scores = np.full(len(values), np.nan)
    scores[known] = rank_scores(values[known].astype(np.float64))
    return scores


def _dealt(
    scores: NDArray[np.float64] | NDArray[np.int64], known: NDArray[np.bool_], draw: np.random.Generator
) -> NDArray[np.float64] | NDArray[np.int64]:
    dealt = scores.copy()
    dealt[known] = draw.permutation(scores[known])
    return dealt


def _similar(scores: NDArray[np.float64] | NDArray[np.int64], near: NDArray[np.integer]) -> float:
    return alike(scores.astype(np.int64), near) if scores.dtype.kind == "i" else morans_i(scores, near)


def _share_of_codes(codes: NDArray[np.int64], groups: NDArray[np.int64]) -> float | None:
    """Return what ``variance_share`` says about a column of 0 and 1 for each code, from counts alone.

    For a million images and 200 codes these columns would take 1.6 GB.
    """
    counts = np.zeros((groups.max() + 1, codes.max() + 1))
    np.add.at(counts, (groups, codes), 1)
    count, sizes = len(codes), counts.sum(axis=1, keepdims=True)
    alike = float(np.square(counts.sum(axis=0)).sum()) / count
    between, total, freedom = float((counts**2 / sizes).sum()) - alike, count - alike, count - len(counts)
    return None if freedom < 1 or total <= 0 else 1 - (1 - between / total) * (count - 1) / freedom


def _told_by(
    scores: NDArray[np.float64] | NDArray[np.int64], known: NDArray[np.bool_], members: NDArray[np.int64]
) -> float | None:
    """Return the share of the variance that lies between clusters."""
    held = known & (members >= 0)
    groups = np.unique(members[held], return_inverse=True)[1].astype(np.int64)
    if len(groups) == 0 or groups.max() == 0:
        return None
    if scores.dtype.kind == "i":
        return _share_of_codes(scores[held].astype(np.int64), groups)
    return variance_share(scores[held, None], [groups])
