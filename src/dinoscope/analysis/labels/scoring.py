"""Labels given against true ones: precision and recall, what is mixed up, and how sure a share of hits is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_count

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Confusion", "LabelScore", "confusions", "label_scores", "wilson_interval"]

_EXAMPLES = 3


@dataclass(frozen=True)
class LabelScore:
    """How well one label is found.

    Attributes:
        label: The label.
        images: Images that have it.
        precision: Share of the images named so that are; NaN where none is named so.
        recall: Share of its images that are named so; NaN where it has none.
    """

    label: str
    images: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """A pair of labels that is mixed up.

    Attributes:
        true: The label that the images have.
        predicted: The label that they are given.
        images: How many.
        share: Which share of the images of ``true`` that is.
        examples: Positions of those about which the neighbours are surest.
    """

    true: str
    predicted: str
    images: int
    share: float
    examples: tuple[int, ...]


def wilson_interval(hits: int, count: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927), which stays within 0 and 1 and suits small numbers.

    Raises:
        InputError: ``count`` is not positive or ``hits`` is not between 0 and it.
    """
    hits = check_count(hits, "hits", at_least=0, at_most=check_count(count, "count"), why="count")
    z = 1.959963984540054  # the normal distribution's 97.5% point
    middle = (hits + z * z / 2) / (count + z * z)
    reach = z / (count + z * z) * (hits * (count - hits) / count + z * z / 4) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)


def label_scores(counts: NDArray[np.int64] | csr_array, names: ArrayLike) -> tuple[LabelScore, ...]:
    """Return precision and recall of each label from the confusion matrix (C, C), true labels in the rows."""
    hits = counts.diagonal()
    with np.errstate(invalid="ignore"):
        precision, recall = hits / counts.sum(axis=0), hits / counts.sum(axis=1)
    lines = zip(
        np.asarray(names).tolist(), counts.sum(axis=1).tolist(), precision.tolist(), recall.tolist(), strict=True
    )
    return tuple(LabelScore(str(name), images, p, r) for name, images, p, r in lines)


def confusions(
    truth: NDArray[np.generic],
    given: NDArray[np.generic],
    probabilities: NDArray[np.float64],
    positions: NDArray[np.intp],
) -> tuple[Confusion, ...]:
    """Return the pairs of labels that are mixed up, the most frequent first.

    Args:
        truth: True labels (M,).
        given: Labels given (M,).
        probabilities: Probabilities of the labels given (M,); the surest mistakes become the examples.
        positions: What to call the images (M,).
    """
    wrong = np.flatnonzero(truth != given)
    groups: dict[tuple[str, str], list[int]] = {}
    for row in wrong[np.argsort(-probabilities[wrong], kind="stable")].tolist():
        groups.setdefault((str(truth[row]), str(given[row])), []).append(row)
    names, sizes = np.unique(truth, return_counts=True)
    total = {str(name): size for name, size in zip(names.tolist(), sizes.tolist(), strict=True)}
    found = [
        Confusion(true, guess, len(rows), len(rows) / total[true], tuple(positions[rows[:_EXAMPLES]].tolist()))
        for (true, guess), rows in groups.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.images, each.true, each.predicted)))
