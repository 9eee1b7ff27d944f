"""Labels by neighbours in words: how often sets contain the truth, and how true probabilities are."""

from __future__ import annotations

import math

from dinoscope.analysis.labels.classifier import Classifier
from dinoscope.analysis.labels.evaluation import Evaluation

__all__ = ["tell_calibration", "tell_coverage"]


def tell_calibration(found: Evaluation) -> str:
    """Say what the calibration error is, and which probabilities it is of."""
    gap = "how far a probability is from the share that is right, on average"
    if found.calibrated.error < found.votes.error:
        return f"{gap} ({found.votes.error:.3f} without calibration)"
    return f"{gap} (a probability is the share of the votes, because calibration did not help)"


def tell_coverage(judge: Classifier) -> str:
    """Say how often sets of labels held the truth, and how often they should; "" where that was not measured."""
    if math.isnan(judge.measured):
        return ""
    where = f"on the {judge.measured_on} images" if judge.measured_on != "leave-one-out" else "with each image left out"
    return f"sets held the right label in {judge.measured:.0%} of cases {where}; asked for: {judge.coverage:.0%}"
