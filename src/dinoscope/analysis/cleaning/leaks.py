"""Leaks: the same picture in more than one split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dinoscope.analysis.cleaning.duplicates import Duplicates
from dinoscope.errors import InputError

__all__ = ["Leak", "find_leaks"]


@dataclass(frozen=True)
class Leak:
    """Near-duplicates in different splits: positions of the group, those splits, and the lowest score of a pair."""

    positions: tuple[int, ...]
    splits: tuple[str, ...]
    score: float


def find_leaks(duplicates: Duplicates, splits: ArrayLike) -> tuple[Leak, ...]:
    """List the groups of near-duplicates whose images are in different splits.

    Args:
        duplicates: What ``find_duplicates`` found.
        splits: Splits (N,), None where an image has none.

    Raises:
        InputError: If there is not exactly one split per image.
    """
    names: list[object] = np.asarray(splits, dtype=object).tolist()
    if len(names) != len(duplicates.copy_of):
        raise InputError(f"splits must have one entry per image, expected {len(duplicates.copy_of)}, got {len(names)}")
    leaks = []
    for group, score in zip(duplicates.groups, duplicates.scores, strict=True):
        named = tuple(sorted(at for at in group if names[at] is not None))
        found = tuple(sorted({str(names[at]) for at in named}))
        if len(found) > 1:
            leaks.append(Leak(named, found, score))
    return tuple(leaks)
