"""A picture of what a map is made of: the map once for each property, in its colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.ranks import average_ranks
from dinoscope.plots.canvas import INK, Picture, fit, frame, new_figure, printable, render
from dinoscope.plots.map import check_map
from dinoscope.plots.palette import ramp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dinoscope.analysis.explain.explanation import Explained, Explanation

__all__ = ["property_map", "property_maps"]

_COLUMNS = 4
_SIDE, _HEAD, _TOP, _FOOT = 2.5, 0.36, 0.5, 0.34  # inches


def property_maps(
    coordinates: ArrayLike,
    values: Mapping[str, ArrayLike],
    found: Explanation,
    *,
    title: str = "",
    most: int = 12,
    dark: bool = False,
    columns: int = _COLUMNS,
    background: str | None = None,
    format: str = "png",
) -> Picture:
    """Draw the map in the colours of each property, by rank, first those that neighbours share most.

    Args:
        coordinates: The map (N, 2).
        values: Name -> numbers (N,), as ``explain`` was given them.
        found: What it found.
        title: Written above.
        most: Properties to draw at most.
        dark: Draw for a dark page.
        columns: Maps beside each other.
        background: A colour, by default none (transparent).
        format: "png", "webp" or "svg".

    Raises:
        InputError: If the arrays do not fit each other.
    """
    shown = found.properties[:most]
    points, _ = check_map(coordinates, np.zeros(len(np.asarray(coordinates))), 1)
    wide = max(1, min(columns, len(shown)))
    rows = -(-len(shown) // wide)
    top, foot = (_TOP if title else 0.0), _FOOT
    width, height = wide * _SIDE, max(1, rows) * (_SIDE + _HEAD) + top + foot
    figure = new_figure(width, height, background)
    for at, each in enumerate(shown):
        row, column = divmod(at, wide)
        bottom = height - top - (row + 1) * (_SIDE + _HEAD)
        place = ((column * _SIDE + 0.08) / width, bottom / height, (_SIDE - 0.16) / width, _SIDE / height)
        axes = figure.add_axes(place)
        axes.set_axis_off()
        frame(figure, axes, points)
        _draw(axes, points, average_ranks(values[each.name]) / len(points))
        axes.set_title(f"{each.name}  {each.map:z.2f}", loc="left", fontsize=10.5, color=INK[dark], pad=5)
        _arrow(axes, each, INK[dark])
    if title:
        heading = figure.text(
            0.1 / width,
            1 - 0.26 / height,
            printable(title),
            va="center",
            fontsize=12.5,
            color=INK[dark],
            parse_math=False,
        )
        fit(figure, heading, width - 0.2)
    _scale(figure, foot, INK[dark])
    return render(figure, format)


def property_map(coordinates: ArrayLike, values: ArrayLike, *, side: float = _SIDE, format: str = "png") -> Picture:
    """Draw one map without words, see-through, in the colours of a property, by rank.

    Args:
        coordinates: The map (N, 2).
        values: A number of each image (N,).
        side: Side in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: If the arrays do not fit each other.
    """
    points, _ = check_map(coordinates, np.zeros(len(np.asarray(values))), 1)
    figure = new_figure(side, side)
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    axes.set_axis_off()
    frame(figure, axes, points)
    _draw(axes, points, average_ranks(values) / len(points))
    return render(figure, format)


def _draw(axes: Axes, points: NDArray[np.float64], ranks: NDArray[np.float64]) -> None:
    order = np.random.default_rng(0).permutation(len(points))  # none hides another only because it is drawn last
    size = min(max(150 / len(points) ** 0.5, 0.5), 18)
    x, y = points[order].T
    axes.scatter(x, y, s=size, c=ranks[order], cmap=ramp(), vmin=0, vmax=1, alpha=0.85, linewidths=0, rasterized=True)


def _arrow(axes: Axes, told: Explained, ink: str) -> None:
    """Show in the corner beside the name where a property rises, if it does from one side to the other."""
    if told.rises is None:
        return
    x, y = told.rises
    half = 0.045
    axes.annotate(
        "",
        (0.94 + half * x, 1.055 + half * y),
        (0.94 - half * x, 1.055 - half * y),
        xycoords="axes fraction",
        textcoords="axes fraction",
        annotation_clip=False,
        arrowprops={"arrowstyle": "-|>", "color": ink, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9},
    )


def _scale(figure: Figure, foot: float, ink: str) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    width, height = figure.get_figwidth(), figure.get_figheight()
    bar = figure.add_axes((0.1 / width, (foot - 0.2) / height, 1.1 / width, 0.11 / height))
    scale = figure.colorbar(ScalarMappable(Normalize(0, 1), ramp()), cax=bar, orientation="horizontal")
    scale.outline.set_visible(False)
    scale.set_ticks([])
    what = "least to most, by rank; the number: how closely the map follows it (1 is best); the arrow: where it rises"
    note = figure.text(1.3 / width, (foot - 0.145) / height, what, va="center", fontsize=8.5, color=ink)
    fit(figure, note, width - 1.4)
