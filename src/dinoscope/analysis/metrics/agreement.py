"""How far clusters and labels agree: accuracy, NMI, AMI, ARI."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_labels
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["adjusted_mutual_information", "adjusted_rand_index", "clustering_accuracy", "normalized_mutual_information"]


def clustering_accuracy(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of items that agree under the best one-to-one match of clusters and labels, 0 to 1.

    The match is the optimal assignment (Kuhn 1955, the "Hungarian" method); with more clusters than labels, or the
    reverse, the surplus counts as wrong.

    Args:
        labels_true: Integers or strings (N,), N >= 1.
        labels_pred: Integers or strings (N,).

    Raises:
        InputError: See ``check_labels``; or N is 0.
    """
    with LOADING:
        from scipy.optimize import linear_sum_assignment
        from sklearn.metrics.cluster import contingency_matrix

    counts = contingency_matrix(*_check_pair(labels_true, labels_pred))
    matched = linear_sum_assignment(counts, maximize=True)
    return float(counts[matched].sum() / counts.sum())


def normalized_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information over the mean of both entropies, 0 to 1; arguments as above."""
    with LOADING:
        from sklearn.metrics import normalized_mutual_info_score

    return _compare(normalized_mutual_info_score, labels_true, labels_pred)


def adjusted_mutual_information(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the mutual information beyond chance (Vinh et al. 2010), about 0 to 1; arguments as above."""
    with LOADING:
        from sklearn.metrics import adjusted_mutual_info_score

    return _compare(adjusted_mutual_info_score, labels_true, labels_pred)


def adjusted_rand_index(labels_true: ArrayLike, labels_pred: ArrayLike) -> float:
    """Return the share of agreeing pairs beyond chance (Hubert and Arabie 1985), -0.5 to 1; arguments as above."""
    with LOADING:
        from sklearn.metrics import adjusted_rand_score

    return _compare(adjusted_rand_score, labels_true, labels_pred)


def _compare(
    score: Callable[[NDArray[np.generic], NDArray[np.generic]], float], labels_true: ArrayLike, labels_pred: ArrayLike
) -> float:
    return float(score(*_check_pair(labels_true, labels_pred)))


def _check_pair(labels_true: ArrayLike, labels_pred: ArrayLike) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Check two labellings of the same items."""
    truth = check_labels(labels_true, name="labels_true")
    guess = check_labels(labels_pred, len(truth), name="labels_pred")
    if not len(truth):
        raise InputError("labels_true must not be empty, got shape (0,); pass at least one label")
    return truth, guess
