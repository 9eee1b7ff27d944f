"""Colours of groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["OTHER", "PALETTE", "group_colors", "image_colors", "label_groups"]

# Chosen to lie far apart in OKLab, also as seen with deuteranopia and protanopia (Machado et al. 2009), among colours
# that stand out from white and from near-black alike; the first ten are the furthest apart.
PALETTE = (
    "#3078cc",
    "#f09018",
    "#c03054",
    "#189c90",
    "#a884fc",
    "#844890",
    "#78cc84",
    "#30c0f0",
    "#908400",
    "#2f7010",
    "#f06060",
    "#fc90d8",
    "#7890cc",
    "#5454b4",
    "#e460a8",
    "#00786c",
    "#b454a8",
    "#009c54",
    "#6c78f0",
    "#48b484",
)
OTHER = "#a3a7ad"  # groups beyond the palette, and images without a group


def label_groups(labels: ArrayLike) -> tuple[NDArray[np.int64], list[str]]:
    """Number the labels (N,) in the order of their names; None becomes -1."""
    texts = [None if label is None else str(label) for label in np.asarray(labels, dtype=object).tolist()]
    names = sorted({text for text in texts if text is not None})
    number = {name: index for index, name in enumerate(names)}
    return np.asarray([-1 if text is None else number[text] for text in texts], np.int64), names


def group_colors(counts: ArrayLike) -> list[str]:
    """Return one colour for each group: its own for the 20 largest, grey for the rest.

    Args:
        counts: Members of each group (G,).
    """
    sizes = np.asarray(counts)
    largest = np.sort(np.argsort(-sizes, kind="stable")[: len(PALETTE)])
    colors = [OTHER] * len(sizes)
    for color, group in zip(PALETTE, largest.tolist(), strict=False):
        colors[group] = color
    return colors


def image_colors(members: NDArray[np.int64], palette: Sequence[str]) -> list[str]:
    """Return the colour of each image (N,) from those of the groups, grey for an image without a group."""
    return [palette[member] if member >= 0 else OTHER for member in members.tolist()]
