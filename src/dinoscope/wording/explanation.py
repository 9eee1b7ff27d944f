"""What is told of an explanation in words: by the command line, the report and the explorer."""

from __future__ import annotations

import math

from dinoscope.analysis.explain.explanation import Explained, Explanation
from dinoscope.analysis.explain.properties import in_words

__all__ = ["MEANINGS", "conclusions", "direction_in_words", "traits_in_words"]

MEANINGS = {
    "embedding": "how alike neighbours in the embedding are in it (Moran's I, by rank): 0 is chance, 1 the same",
    "map": "the same for neighbours on the map",
    "variance": "share of the variance of the vectors that it tells",
    "within_labels": "how alike neighbours are in what is left of it within labels",
    "by_labels": "share of its own variance that the labels tell",
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
    """Return in sentences what all properties together tell."""
    told = []
    if found.variance is not None:
        share = f"{max(0.0, found.variance):.0%} of the variance of the vectors"
        labels = "" if found.labels is None else f", the labels {max(0.0, found.labels.variance):.0%}"
        told.append(f"All that the images show together tells {share}{labels}.")
    if found.named_by_properties is not None:
        told.append(
            f"From the properties alone {found.named_by_properties:.0%} of the labels are guessed right, from the "
            f"vectors {found.named_by_vectors:.0%}; {found.most_common:.0%} of the images have the most common one."
        )
    if found.properties:
        told.append(
            f"Dealt out at random, neighbours are alike by {found.chance:.3f} at most. Alike need not mean that the "
            "model looks at it."
        )
    if found.constant:
        told.append(f"The same in all images: {', '.join(found.constant)}.")
    return told


def traits_in_words(found: Explanation, cluster: int) -> str:
    """Return what sets a cluster apart from all other images, an empty text where nothing does."""
    traits = found.traits[cluster][:_TRAITS]
    return ", ".join(in_words(each.name, each.superiority) for each in traits)
