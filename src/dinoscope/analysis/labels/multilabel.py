"""How well neighbours find the labels of images that may have several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import NeighborGraph
from dinoscope.base.checks import check_count
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["LabelPrecision", "MultiLabelEvaluation", "evaluate_sets"]

_TEMPERATURE = 0.07


@dataclass(frozen=True)
class LabelPrecision:
    """A label, how many of the images asked about have it, and its average precision; NaN where none has it."""

    label: str
    images: int
    average_precision: float


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """How well neighbours rank images by whether they have a label.

    Attributes:
        method: "leave-one-out", or the split whose images were asked about.
        images: How many these are.
        mean: Mean of the labels' average precisions (mAP), 0 to 1; by chance about the mean share of a label.
        chance: That share.
        labels: Each label, the most frequent first.
    """

    method: str
    images: int
    mean: float
    chance: float
    labels: tuple[LabelPrecision, ...]


def evaluate_sets(
    graph: NeighborGraph,
    voters: Sequence[Sequence[str]],
    truth: Sequence[Sequence[str]],
    *,
    k: int = 20,
    method: str = "leave-one-out",
) -> MultiLabelEvaluation:
    """Rank images for each label by the share of their ``k`` nearest neighbours' votes, and compare with the truth.

    Args:
        graph: Neighbours (N, k or more) of the images asked about, among the V voters.
        voters: Labels of the voters (V,).
        truth: Labels of the images asked about (N,).
        k: Voters of each image, weighted as in ``knn_predict``.
        method: What to call it.

    Raises:
        InputError: There are no labels, or numbers do not fit.
    """
    with LOADING:
        from sklearn.metrics import average_precision_score

    if len(truth) != len(graph):
        raise InputError(f"truth must have one entry for each of {len(graph)} images, got {len(truth)}")
    names = sorted({label for held in truth for label in held})
    if not names:
        raise InputError("none of the images asked about has a label: label some")
    near = graph.top(min(check_count(k, "k"), graph.k))
    weights = np.exp((near.similarities - near.similarities[:, :1]).astype(np.float64) / _TEMPERATURE)
    weights /= weights.sum(axis=1, keepdims=True)
    has, told = _holds(voters, names), _holds(truth, names)
    found = []
    for at, name in enumerate(names):  # a label at a time: the votes for all would be N x C numbers
        score = (weights * has[at][near.indices]).sum(axis=1)
        found.append(LabelPrecision(name, int(told[at].sum()), float(average_precision_score(told[at], score))))
    mean = float(np.mean([each.average_precision for each in found]))
    found.sort(key=lambda each: (-each.images, each.label))
    return MultiLabelEvaluation(method, len(truth), mean, float(np.mean(list(map(np.mean, told)))), tuple(found))


def _holds(sets: Sequence[Sequence[str]], names: Sequence[str]) -> list[NDArray[np.bool_]]:
    """Return, for each name, whether each set holds it (N,)."""
    at = {name: number for number, name in enumerate(names)}
    found = [np.zeros(len(sets), bool) for _ in names]
    for row, held in enumerate(sets):
        for label in held:
            if label in at:
                found[at[label]][row] = True
    return found
