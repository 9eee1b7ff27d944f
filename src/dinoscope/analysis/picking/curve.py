"""How good a choice of images is, by its length, beside images that are drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.voting import knn_predict
from dinoscope.analysis.neighbors import NeighborGraph, query_neighbors
from dinoscope.base.checks import check_count, check_positions, check_vectors
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import InputError

__all__ = ["Picking", "PickingCurve", "picking_curve"]

_STEPS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_VOTERS = 5
_MEASURED = 10_000  # images that the distances and the accuracy are measured on, at most


@dataclass(frozen=True, eq=False)
class PickingCurve:
    """How good the first of a choice are, and as many that are drawn at random.

    Attributes:
        sizes: How many of the choice (S,), the last is all of it.
        radius: Cosine distance of the image that is farthest from all picked ones (S,).
        distance: Mean cosine distance of an image to the nearest picked one (S,).
        accuracy: Share of the other images that their five nearest picked ones name right (S,); NaN without labels.
        random_radius: The radius of random choices (R, S), and so are the two after it.
        random_distance: See above.
        random_accuracy: See above.
    """

    sizes: NDArray[np.int64]
    radius: NDArray[np.float64]
    distance: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    random_radius: NDArray[np.float64]
    random_distance: NDArray[np.float64]
    random_accuracy: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Picking:
    """A choice of images.

    Attributes:
        positions: Which (P,), in the order in which they were picked: the first n are the choice of n.
        curve: How good it is by its length, beside random choices.
    """

    positions: NDArray[np.int64]
    curve: PickingCurve


def picking_curve(
    vectors: ArrayLike,
    picked: ArrayLike,
    labels: Sequence[str | None] | None = None,
    *,
    beside: ArrayLike = (),
    draws: int = 20,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> PickingCurve:
    """Measure how far the other images are from the picked ones, and how well those name them.

    Both choices, the one that is measured and the random ones, are beside the same images. Of more than 10,000 images
    a random 10,000 are measured.

    Args:
        vectors: Array (N, D), of any scale.
        picked: Positions (P,) in the order in which they were picked.
        labels: Labels (N,), None where there is none.
        beside: Positions (B,) of images that were picked before.
        draws: How many random choices.
        seed: Of those; the same seed gives the same choices.
        on_progress: Told how many choices of how many are measured; what it raises ends the work.

    Raises:
        InputError: See ``l2_normalize``; or nothing was picked, a position is out of range, or labels do not fit.
    """
    unit = l2_normalize(check_vectors(vectors))
    chosen, before = check_positions(picked, len(unit)), check_positions(beside, len(unit))
    if not len(chosen):
        raise InputError("picked must hold at least one position, got none")
    if labels is not None and len(labels) != len(unit):
        raise InputError(f"labels must have one entry per image, expected {len(unit)}, got {len(labels)}")
    check_count(draws, "draws")
    generator = np.random.default_rng(seed)
    known = np.asarray([label is not None for label in labels or [None] * len(unit)], bool)
    texts = np.asarray([str(label) for label in labels or [None] * len(unit)])
    measured = np.sort(generator.permutation(len(unit))[:_MEASURED])
    sizes = np.asarray([step for step in _STEPS if step < len(chosen)] + [len(chosen)], np.int64)
    pool = np.setdiff1d(np.arange(len(unit)), before)

    def measure(order: NDArray[np.int64], number: int) -> NDArray[np.float64]:
        found = []
        for size in sizes.tolist():
            if on_progress is not None:
                on_progress(number, draws + 1)
            found.append(_measure(unit, np.concatenate([before, order[:size]]), measured, known, texts))
        return np.asarray(found).T

    radius, distance, accuracy = measure(chosen, 0)
    random = np.stack(
        [measure(generator.permutation(pool)[: len(chosen)], number) for number in range(1, draws + 1)], axis=1
    )
    return PickingCurve(sizes, radius, distance, accuracy, *random)


def _measure(
    unit: NDArray[np.floating],
    chosen: NDArray[np.int64],
    measured: NDArray[np.int64],
    known: NDArray[np.bool_],
    texts: NDArray[np.str_],
) -> tuple[float, float, float]:
    found = query_neighbors(unit[chosen], unit[measured], _VOTERS)
    nearest = found.distances[:, 0].astype(np.float64)
    voters, named = chosen[known[chosen]], known[measured] & ~np.isin(measured, chosen)
    accuracy = float("nan")
    if len(voters) and named.any():
        if len(voters) == len(chosen):
            graph = NeighborGraph(found.indices[named], found.similarities[named])
        else:
            graph = query_neighbors(unit[voters], unit[measured[named]], _VOTERS)
        accuracy = float((knn_predict(graph, texts[voters], k=graph.k).labels == texts[measured[named]]).mean())
    return float(nearest.max()), float(nearest.mean()), accuracy
