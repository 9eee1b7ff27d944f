"""How far clusters and labels agree: accuracy, NMI, AMI, ARI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_labels
from dinoscope.errors import InputError

__all__ = [
    "Contingency",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "clustering_accuracy",
    "contingency",
    "normalized_mutual_information",
]


@dataclass(frozen=True, eq=False)
class Contingency:
    """How often each pair of labels meets.

    Attributes:
        counts: Items (R, C) with the true label of the row and the predicted label of the column, int64.
        true_labels: The R true labels, sorted.
        predicted_labels: The C predicted labels, sorted.
    """

    counts: NDArray[np.int64]
    true_labels: NDArray[Any]
    predicted_labels: NDArray[Any]


def contingency(labels_true: ArrayLike, labels_pred: ArrayLike) -> Contingency:
    """Count how often each true label meets each predicted one.

    Args:
        labels_true: Integers or strings (N,).
        labels_pred: Integers or strings (N,).

    Raises:
        InputError: See ``check_labels``; or N is 0.
    """
    truth = check_labels(labels_true, name="labels_true")
    guess = check_labels(labels_pred, len(truth), name="labels_pred")
    if not len(truth):
        raise InputError("labels_true must not be empty, got shape (0,); pass at least one label")
    rows, row = np.unique(truth, return_inverse=True)
    columns, column = np.unique(guess, return_inverse=True)
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return Contingency(counts.reshape(len(rows), len(columns)), rows, columns)


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of items that agree under the best one-to-one match of clusters and labels, 0 to 1.

    The match is the optimal assignment (Kuhn 1955, the "Hungarian" method); with more clusters than labels, or the
    reverse, the surplus counts as wrong. Arguments and errors as in ``contingency``.
    """
    from scipy.optimize import linear_sum_assignment

    counts = contingency(labels_true, labels_pred).counts
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / counts.sum())


def normalized_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information over the mean of both entropies, 0 to 1; arguments as in ``contingency``."""
    from sklearn.metrics import normalized_mutual_info_score

    return _compare(normalized_mutual_info_score, labels_true, labels_pred)


def adjusted_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information beyond chance (Vinh et al. 2010), about 0 to 1; arguments as above."""
    from sklearn.metrics import adjusted_mutual_info_score

    return _compare(adjusted_mutual_info_score, labels_true, labels_pred)


def adjusted_rand_index(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of agreeing pairs beyond chance (Hubert and Arabie 1985), -0.5 to 1; arguments as above."""
    from sklearn.metrics import adjusted_rand_score

    return _compare(adjusted_rand_score, labels_true, labels_pred)


def _compare(score: Callable[..., Any], labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    truth = check_labels(labels_true, name="labels_true")
    guess = check_labels(labels_pred, len(truth), name="labels_pred")
    if not len(truth):
        raise InputError("labels_true must not be empty, got shape (0,); pass at least one label")
    return float(score(truth, guess))
