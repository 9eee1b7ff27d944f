"""A picture of a comparison: how good against how fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.analysis.ranking import Contender
from dinoscope.errors import InputError
from dinoscope.plots.canvas import ACCENT, INK, PAPER, new_figure, printable, render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["comparison_figure"]

# Pixels of the layout: of a letter, a line, half a point; then offsets of a name from its point, and which part of the
# name is there (0 its start, 1 its end).
_LETTER, _LINE, _DOT = 6.0, 12.0, 6.0
_PLACES = [(9.0, 0.0, 0.0), (-9.0, 0.0, 1.0), (0.0, 14.0, 0.5), (0.0, -14.0, 0.5)] + [
    (9.0 * side, dy, 0.0 if side > 0 else 1.0) for dy in (12.0, -12.0, 24.0, -24.0, 36.0, -36.0) for side in (1, -1)
]


def comparison_figure(contenders: Sequence[Contender], *, dark: bool = False, format: str = "png") -> bytes:
    """Draw accuracy (without labels the share of changed images found again) over images a second; baselines hollow.

    Raises:
        InputError: If there is nothing to draw.
    """
    if not contenders:
        raise InputError("there is nothing to draw: expected one contender or more")
    labelled = not any(math.isnan(each.scores.knn_accuracy) for each in contenders)
    heights = [each.scores.knn_accuracy if labelled else each.found_again for each in contenders]
    speeds = [each.images_per_second for each in contenders]
    figure = new_figure(7.2, 4.4)
    axes = figure.add_axes((0.1, 0.14, 0.86, 0.8))
    axes.patch.set_alpha(0)
    ink = INK[dark]
    axes.set_xscale("log")
    for each, speed, height in zip(contenders, speeds, heights, strict=True):
        fill = PAPER[dark] if each.baseline else ACCENT[dark]
        axes.plot([speed], [height], "o", markersize=8, mfc=fill, mec=ink if each.baseline else ACCENT[dark], mew=1.4)
    axes.set_xlim(min(speeds) / 2, max(speeds) * 4)
    axes.margins(y=0.15)
    axes.set_xlabel("images a second on this machine", color=ink)
    axes.set_ylabel("k-NN accuracy" if labelled else "changed images found again", color=ink)
    axes.grid(color=ink, alpha=0.12, linewidth=0.6)
    axes.tick_params(which="both", colors=ink, labelsize=9, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=ink, alpha=0.4)
    _write_names(axes, [each.name for each in contenders], speeds, heights, ink)
    return render(figure, format)


def _write_names(axes: Axes, names: Sequence[str], speeds: Sequence[float], heights: Sequence[float], ink: str) -> None:
    """Write each name beside its point, at the first place where it covers no point and no other name."""
    points = axes.transData.transform(np.column_stack([speeds, heights]))
    frame = axes.get_window_extent()
    taken = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in points]
    for name, (x, y), speed, height in zip(names, points, speeds, heights, strict=True):
        text = printable(name, 40)
        wide = _LETTER * len(text)
        boxes = [
            (x + dx - wide * shift, y + dy - _LINE / 2, x + dx + wide * (1 - shift), y + dy + _LINE / 2)
            for dx, dy, shift in _PLACES
        ]
        free = [
            number
            for number, box in enumerate(boxes)
            if frame.x0 < box[0] and box[2] < frame.x1 and not any(_overlap(box, other) for other in taken)
        ]
        best = free[0] if free else 0
        taken.append(boxes[best])
        dx, dy, shift = _PLACES[best]
        scale = 72 / axes.figure.dpi
        axes.annotate(
            text,
            (speed, height),
            xytext=(dx * scale, dy * scale),
            textcoords="offset points",
            color=ink,
            fontsize=8,
            ha=("left", "center", "right")[round(2 * shift)],
            va="center",
            parse_math=False,
        )


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
