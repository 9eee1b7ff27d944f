"""An explanation in words, for the command line, the report and the explorer."""

from __future__ import annotations

import math

from dinoscope.analysis.explain.explanation import Explained, Explanation
from dinoscope.analysis.explain.properties import in_words

__all__ = ["MEANINGS", "conclusions", "direction_in_words", "traits_in_words"]

MEANINGS = {
    "embedding": "how similar the nearest images are in it (Moran's I, by rank): 0 is chance, 1 is the same",
    "map": "the same for neighbours on the map",
    "variance": "share of the variance of the vectors that it explains",
    "within_labels": "how similar the nearest images are in it, once each label's mean is taken away",
    "by_labels": "share of its own variance that the labels explain",
}
"""Field of ``Explained`` -> what it says."""
_SIDES = ("right", "upper right", "top", "upper left", "left", "lower left", "bottom", "lower right")
_TRAITS = 3


def direction_in_words(told: Explained) -> str:
    """Return to which side of the map a property rises, an empty text where it does not."""
    if told.rises is None:
        return ""
    x, y = told.rises
    return f"rises to the {_SIDES[round(math.atan2(y, x) / (math.pi / 4)) % 8]}"


def conclusions(found: Explanation) -> list[str]:
    """Return in sentences what all properties together explain."""
    told = []
    if found.variance is not None:
        labels = "" if found.labels is None else f", your labels {max(0.0, found.labels.variance):.0%}"
        told.append(
            f"Simple properties such as brightness explain {max(0.0, found.variance):.0%} of the variance of the "
            f"vectors{labels}."
        )
    if found.named_by_properties is not None:
        told.append(
            f"From these properties alone, {found.named_by_properties:.0%} of the labels can be guessed, from the "
            f"vectors {found.named_by_vectors:.0%}. The most common label is that of {found.most_common:.0%} of the "
            "images."
        )
    if found.properties:
        told.append(
            f"A figure above {found.chance:.3f} is more than chance. It doesn't prove that the model uses the property."
        )
    if found.constant:
        told.append(f"The same in all images: {', '.join(found.constant)}.")
    return told


def traits_in_words(found: Explanation, cluster: int) -> str:
    """Return what sets a cluster apart from all other images, an empty text where nothing does."""
    traits = found.traits[cluster][:_TRAITS]
    return ", ".join(in_words(each.name, each.superiority) for each in traits)
