"""Parts that recur in the images of a collection: groups of patches that look similar to the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["Parts", "find_parts", "nearest_part"]

_STARTS, _MOST = 3, 10_000


@dataclass(frozen=True, eq=False)
class Parts:
    """Parts of a collection's images, the one with most patches first.

    Attributes:
        centres: Mean token of each part (K, D).
        coverage: Share of all patches that each part has (K,).
        images: Share of the images that show each part (K,).
    """

    centres: NDArray[np.float32]
    coverage: NDArray[np.float64]
    images: NDArray[np.float64]


def find_parts(tokens: Sequence[NDArray[np.float32]], count: int = 6, *, seed: int = 0) -> Parts:
    """Group the patches of all images by k-means.

    The groups are found in at most 10,000 patches, spread evenly over all of them.

    Args:
        tokens: Unit tokens of each image (H, W, D).
        count: Number of parts.
        seed: The same seed gives the same parts.

    Raises:
        InputError: If there are fewer different patches than parts.
    """
    with LOADING:
        from sklearn.cluster import KMeans

    rows = (
        np.concatenate([each.reshape(-1, each.shape[-1]) for each in tokens])
        if len(tokens)
        else np.empty((0, 1), np.float32)
    )
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).round().astype(int)]
    if count < 1 or len(np.unique(some, axis=0)) < count:
        raise InputError(f"count must be at least 1 and at most the number of different patches, got {count}")
    centres = KMeans(count, n_init=_STARTS, random_state=seed).fit(some).cluster_centers_.astype(np.float32)
    labels = _nearest(rows, centres)
    sizes = np.bincount(labels, minlength=count)
    order = np.argsort(-sizes, kind="stable")
    owner = np.repeat(np.arange(len(tokens)), [each.shape[0] * each.shape[1] for each in tokens])
    shown = np.zeros((len(tokens), count), bool)
    shown[owner, labels] = True
    return Parts(centres[order], sizes[order] / len(rows), shown.mean(axis=0)[order])


def nearest_part(tokens: NDArray[np.float32], parts: Parts) -> NDArray[np.int64]:
    """Return the number of the part that each patch of an image belongs to (H, W): the nearest centre."""
    return _nearest(tokens, parts.centres)


def _nearest(tokens: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int64]:
    distances = (centres**2).sum(axis=1) - 2 * tokens @ centres.T
    found: NDArray[np.int64] = distances.argmin(axis=-1)
    return found
