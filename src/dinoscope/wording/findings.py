"""What is told of the findings: what is not looked for, and the self-test of the doubtful labels."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from dinoscope.analysis.labels.label_errors import FEWEST, SelfTest
from dinoscope.base.text import counted

__all__ = ["NO_CROPS", "judged_labels", "tell_few", "tell_self_test"]

NO_CROPS = "Crops of 15% and more and heavy edits are not looked for; 'dinoscope search --inside' finds crops."


def tell_self_test(test: SelfTest, labels: int) -> str:
    """Say what the self-test of the label errors means, for so many different labels: one or two sentences."""
    changed = f"Of labels changed on purpose, {test.found / test.flipped:.0%} would be listed that high."
    if math.isnan(test.precision):
        return f"{changed} How many of these are wrong cannot be told."
    about = "at most about" if labels == 2 else "about"  # see self_test
    low, high = max(0.0, test.precision - 2 * test.error), min(1.0, test.precision + 2 * test.error)
    return (
        f"{changed} Of the first {test.listed:,}, {about} {test.precision:.0%} ({low:.0%} to {high:.0%}) are random "
        "errors. The others are of classes that look alike: see for yourself."
    )


def tell_few(labels: Iterable[str | None]) -> str:
    """Say how many labels have too few images for the list of label errors; "" if none has."""
    few = [count for label, count in Counter(labels).items() if label is not None and count < FEWEST]
    if not few:
        return ""
    have = "has" if len(few) == 1 else "have"
    return (
        f"{counted(len(few), 'label')} with one or two images ({counted(sum(few))}) {have} too few to judge by, and "
        f"{'is' if len(few) == 1 else 'are'} left out."
    )


def judged_labels(labels: Iterable[str | None]) -> int:
    """Return how many labels have enough images for the list of label errors."""
    return sum(label is not None and count >= FEWEST for label, count in Counter(labels).items())
