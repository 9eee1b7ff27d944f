"""How many findings of a list are right, after a person has checked some that were drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["LEVEL", "Checked", "count_right"]

LEVEL = 0.9  # of the interval


@dataclass(frozen=True)
class Checked:
    """What checking a part of a list says about the rest.

    Attributes:
        checked: Findings that a person has checked.
        right: Those of them that are right: the label is wrong, the image does not belong.
        rest: Findings that nobody has checked.
        low: Fewest of the rest that are right.
        high: Most of the rest that are right.
    """

    checked: int
    right: int
    rest: int
    low: int
    high: int


def count_right(listed: int, checked: int, right: int, *, level: float = LEVEL) -> Checked:
    """Return how many findings of a list may be right, from some that were drawn at random without replacement.

    The number of right ones among those drawn is hypergeometric. The interval holds every total under which neither
    as many nor as few would be rarer than half of ``1 - level`` (Clopper and Pearson 1934, for a finite list). So it
    contains the truth with a probability of at least ``level``.

    Args:
        listed: Findings of the list.
        checked: How many of them were drawn and checked.
        right: How many of these are right.
        level: Probability that the interval holds the truth, 0..1.

    Raises:
        InputError: The numbers do not fit together.
    """
    if not 0 <= right <= checked <= listed:
        raise InputError(f"expected 0 <= right <= checked <= listed, got {right}, {checked} and {listed}")
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    if checked in (0, listed):  # nothing is known, or everything
        return Checked(checked, right, listed - checked, 0, listed - checked)
    with LOADING:
        from scipy.stats import hypergeom  # loading scipy.stats takes a second

    totals = np.arange(right, listed - (checked - right) + 1)
    tail = (1 - level) / 2
    few = hypergeom.cdf(right, listed, totals, checked) > tail
    many = hypergeom.sf(right - 1, listed, totals, checked) > tail
    held = totals[few & many] - right
    return Checked(checked, right, listed - checked, int(held.min()), int(held.max()))
