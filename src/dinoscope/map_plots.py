"""Pictures that set maps beside each other: methods with their figures, and the grid of a tuning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.errors import InputError
from dinoscope.plots import (
    ACCENT,
    INK,
    OTHER,
    PAPER,
    check_map,
    draw_legend,
    frame,
    group_colors,
    new_figure,
    printable,
    render,
    write_names,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from dinoscope.map_quality import MapQuality
    from dinoscope.tune import Setting, Tuning

__all__ = ["Panel", "comparison_figure", "figures_of", "tuning_figure"]


@dataclass(frozen=True, eq=False)
class Panel:
    """One map of a comparison: coordinates (N, 2), its title, and how far to trust it."""

    coordinates: NDArray[np.float32]
    title: str
    quality: MapQuality | None


def figures_of(quality: MapQuality) -> dict[str, float]:
    """Return the figures of a map by the names that people read."""
    figures = {
        f"neighbours kept, of {quality.k}": quality.neighbors_kept,
        "trustworthiness": quality.trustworthiness,
        "continuity": quality.continuity,
        "rank correlation of distances": quality.rank_correlation,
    }
    if quality.silhouette_map is not None and quality.silhouette_embedding is not None:
        figures["silhouette of the labels on the map"] = quality.silhouette_map
        figures["the same in the embedding"] = quality.silhouette_embedding
    return figures


def comparison_figure(
    panels: Sequence[Panel], groups: ArrayLike, names: Sequence[str], *, title: str, dark: bool = False,
    side: float = 4.4, format: str = "png",
) -> bytes:  # fmt: skip
    """Draw maps of the same images beside each other in the same colours, the figures under each, the best bold.

    Args:
        panels: The maps.
        groups: Group of each image (N,), an index into ``names``; -1 for none.
        names: Name of each group.
        title: Written above all.
        dark: Draw for a dark page.
        side: Side of a map in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: There is no panel, or the arrays do not fit each other.
    """
    if not panels:
        raise InputError("there is nothing to draw: expected one map or more")
    counts, members, paints, rgba = _paint(panels[0].coordinates, groups, names)
    tables = [{} if panel.quality is None else figures_of(panel.quality) for panel in panels]
    legend, top, line = (2.3 if len(names) else 0.2), 0.95, 0.24
    below = 0.25 + line * max(len(table) for table in tables)
    figure = new_figure(0.2 + (side + 0.25) * len(panels) + legend, top + side + below, PAPER[dark])
    width, height = figure.get_figwidth(), figure.get_figheight()
    ink = INK[dark]
    best = _best(tables)
    figure.text(0.2 / width, 1 - 0.3 / height, printable(title), color=ink, fontsize=14, va="center", parse_math=False)
    if best:
        figure.text(1 - 0.2 / width, 0.18 / height, "bold: the best of a line", color=ink, fontsize=9, ha="right")
    for at, (panel, table) in enumerate(zip(panels, tables, strict=True)):
        left = 0.2 + at * (side + 0.25)
        points, _ = check_map(panel.coordinates, members, len(names))
        axes = figure.add_axes((left / width, below / height, side / width, side / height))
        axes.set_axis_off()
        frame(figure, axes, points)
        _scatter(axes, points, rgba, side)
        axes.set_title(panel.title, loc="left", color=ink, fontsize=12, fontweight="bold", parse_math=False)
        write_names(figure, axes, points, members, names, paints, dark)
        for row, (name, value) in enumerate(table.items()):
            y = (below - 0.18 - line * row) / height
            weight = "bold" if best.get(name) == at else "normal"
            figure.text((left + 0.05) / width, y, name, color=ink, fontsize=10, va="center")
            figure.text((left + side - 0.35) / width, y, _number(value), color=ink, fontsize=10, va="center",
                        ha="right", fontweight=weight)  # fmt: skip
    if len(names):
        draw_legend(figure.axes[-1], names, counts, paints, int((members < 0).sum()), ink)
    return render(figure, format)


def tuning_figure(
    tuning: Tuning, groups: ArrayLike, names: Sequence[str], *, title: str, dark: bool = False, side: float = 2.3,
    format: str = "png",
) -> bytes:  # fmt: skip
    """Draw the maps of a tuning as a sheet: a row for each n_neighbors, a column for each min_dist.

    The recommended setting is framed, a dot marks the Pareto front.

    Args:
        tuning: What ``tune`` found.
        groups: Group of each mapped image (N,), an index into ``names``; -1 for none.
        names: Name of each group.
        title: Written above all.
        dark: Draw for a dark page.
        side: Side of a map in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: The arrays do not fit each other.
    """
    counts, members, paints, rgba = _paint(tuning.recommended.coordinates, groups, names)
    sizes = sorted({each.n_neighbors for each in tuning.settings})
    dists = sorted({each.min_dist for each in tuning.settings})
    gap, text, edge, top, legend = 0.2, 0.5, 1.2, 1.15, (2.3 if len(names) else 0.2)
    width = edge + (side + gap) * len(dists) + legend
    height = top + (side + gap + text) * len(sizes)
    figure, ink = new_figure(width, height, PAPER[dark]), INK[dark]
    figure.text(0.2 / width, 1 - 0.3 / height, printable(title), color=ink, fontsize=14, va="center", parse_math=False)
    figure.text(0.2 / width, 1 - 0.62 / height, tuning.verdict, color=ink, fontsize=10, va="center")
    for column, dist in enumerate(dists):
        x = edge + column * (side + gap) + side / 2
        figure.text(
            x / width, 1 - 0.97 / height, f"min_dist {dist:g}", color=ink, fontsize=11, ha="center", va="center"
        )
    for row, size in enumerate(sizes):
        y = height - top - row * (side + gap + text) - side / 2
        figure.text(0.2 / width, y / height, f"{size}\nneighbours", color=ink, fontsize=11, va="center")
    for each in tuning.settings:
        left = edge + dists.index(each.min_dist) * (side + gap)
        bottom = height - top - sizes.index(each.n_neighbors) * (side + gap + text) - side
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.patch.set_alpha(0)
        axes.set(xticks=[], yticks=[])
        framed = each is tuning.recommended
        axes.spines[:].set(color=ACCENT[dark] if framed else ink, alpha=1 if framed else 0.2,
                           linewidth=2.5 if framed else 0.6)  # fmt: skip
        points, _ = check_map(each.coordinates, members, len(names))
        frame(figure, axes, points)
        _scatter(axes, points, rgba, side)
        figure.text(left / width, (bottom - 0.06) / height, _caption(each, tuning), color=ink, fontsize=9, va="top",
                    fontweight="bold" if framed else "normal", linespacing=1.3)  # fmt: skip
    if len(names):
        corner = figure.axes[max(range(len(figure.axes)), key=lambda at: figure.axes[at].get_position().x1)]
        draw_legend(corner, names, counts, paints, int((members < 0).sum()), ink)
    return render(figure, format)


# --- inside ----------------------------------------------------------------------------------------------------------


def _paint(
    coordinates: ArrayLike, groups: ArrayLike, names: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.int64], list[str], NDArray[np.float64]]:
    """Return the size of each group, the group of each image, the groups' colours and the images' (N, 4)."""
    from matplotlib.colors import to_rgba_array

    _, members = check_map(coordinates, groups, len(names))
    counts = np.bincount(members[members >= 0], minlength=len(names))
    paints = group_colors(counts)
    return counts, members, paints, np.asarray(to_rgba_array([*paints, OTHER]))[members]


def _scatter(axes: Axes, points: NDArray[np.float64], rgba: NDArray[np.float64], side: float) -> None:
    """Draw points in a shuffled order: no group hides another only because it is drawn last."""
    order = np.random.default_rng(0).permutation(len(points))
    size = min(max(40 * side / len(points) ** 0.5, 0.4), 8 * side)
    x, y = points[order].T
    axes.scatter(x, y, s=size, c=rgba[order], alpha=0.75, linewidths=0, rasterized=True)


def _best(tables: Sequence[dict[str, float]]) -> dict[str, int]:
    """Return which table holds the largest of each figure on which they differ as printed."""
    best = {}
    for name in tables[0]:
        values = [table.get(name, math.nan) for table in tables]
        if len({_number(value) for value in values}) > 1:
            best[name] = int(np.nanargmax(values))
    return best


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"


def _caption(setting: Setting, tuning: Tuning) -> str:
    aim = setting.rank_correlation if setting.silhouette is None else setting.silhouette
    marks = [
        text
        for text, holds in (
            ("recommended", setting is tuning.recommended),
            ("default", setting is tuning.default),
            ("● front", setting.on_front),
        )
        if holds
    ]
    return f"kept {setting.neighbors_kept:.3f}   {tuning.aim} {aim:.3f}\n{'  ·  '.join(marks)}"
