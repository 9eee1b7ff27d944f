"""Colours of groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.colors import LinearSegmentedColormap

__all__ = ["OTHER", "PALETTE", "cluster_colors", "group_colors", "image_colors", "label_groups", "ramp"]

# Chosen to lie far apart in OKLab, also as seen with deuteranopia and protanopia (Machado et al. 2009), among colours
# that stand out from white and from near-black. Labels take them from the first on, clusters from the eleventh: up to
# ten of each, no cluster has the colour of a label. Each half begins with those that are the furthest apart.
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
    "#5454b4",
    "#48b484",
    "#00786c",
    "#7890cc",
    "#6c78f0",
    "#009c54",
    "#fc90d8",
    "#b454a8",
    "#f06060",
    "#e460a8",
)
OTHER = "#a3a7ad"  # groups beyond the palette, and images without a group
# Of numbers, from violet over green to amber, as in the explorer: evenly in OKLab, seen on light and on dark ground.
_RAMP = ("#59479a", "#3c61ae", "#007bb3", "#0092a8", "#00a593", "#4ab177", "#8fb75a", "#c7b84b", "#f5b75b")


def label_groups(labels: ArrayLike) -> tuple[NDArray[np.int64], list[str]]:
    """Number the labels (N,) in the order of their names; None becomes -1."""
    texts = [None if label is None else str(label) for label in np.asarray(labels, dtype=object).tolist()]
    names = sorted({text for text in texts if text is not None})
    number = {name: index for index, name in enumerate(names)}
    return np.asarray([-1 if text is None else number[text] for text in texts], np.int64), names


def group_colors(counts: ArrayLike, palette: Sequence[str] = PALETTE) -> list[str]:
    """Return one colour for each group: its own for the 20 largest, grey for the rest.

    Args:
        counts: Members of each group (G,).
        palette: The 20 colours.
    """
    sizes = np.asarray(counts)
    largest = np.sort(np.argsort(-sizes, kind="stable")[: len(PALETTE)])
    colors = [OTHER] * len(sizes)
    for color, group in zip(palette, largest.tolist(), strict=False):
        colors[group] = color
    return colors


def cluster_colors(counts: ArrayLike) -> list[str]:
    """Return one colour for each cluster as ``group_colors`` does, but none of those that ten labels have."""
    return group_colors(counts, PALETTE[10:] + PALETTE[:10])


def image_colors(members: NDArray[np.int64], palette: Sequence[str]) -> list[str]:
    """Return the colour of each image (N,) from those of the groups, grey for an image without a group."""
    return [palette[member] if member >= 0 else OTHER for member in members.tolist()]


def ramp() -> LinearSegmentedColormap:
    """Return the colours of numbers, from the least (0) to the largest (1)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("ramp", _RAMP)
