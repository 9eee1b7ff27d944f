"""Pictures of several maps, or views of one: methods beside each other, the grid of a tuning, a map of three axes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.errors import InputError
from dinoscope.plots.canvas import (
    ACCENT,
    INK,
    PAPER,
    Picture,
    draw_legend,
    fit,
    frame,
    new_figure,
    printable,
    render,
    write_names,
)
from dinoscope.plots.map import check_map
from dinoscope.plots.palette import OTHER, group_colors, ramp

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from dinoscope.analysis.maps.quality import MapQuality, MeasuredMap
    from dinoscope.analysis.maps.tuning import Setting, Tuning

__all__ = ["figures_of", "flat_view", "maps_figure", "solid_map_figure", "trust_map_figure", "tuning_figure"]

_TURN, _TILT = 35.0, 25.0  # degrees from which a map of three axes is looked at


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


def maps_figure(
    panels: Sequence[MeasuredMap],
    groups: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    dark: bool = False,
    side: float = 4.4,
    format: str = "png",
) -> Picture:
    """Draw maps of the same images beside each other in the same colours, the figures under each, the best bold.

    Args:
        panels: The maps; those of three axes are shown from one side.
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
    counts, members, paints, rgba = _paint(flat_view(panels[0].coordinates), groups, names)
    tables = [{} if panel.quality is None else figures_of(panel.quality) for panel in panels]
    legend, top, line = (2.3 if len(names) else 0.2), 0.95, 0.24
    below = 0.25 + line * max(len(table) for table in tables)
    figure = new_figure(0.2 + (side + 0.25) * len(panels) + legend, top + side + below, PAPER[dark])
    width, height = figure.get_figwidth(), figure.get_figheight()
    ink = INK[dark]
    best = _best(tables)
    _write_title(figure, title, ink)
    if best:
        figure.text(1 - 0.2 / width, 0.18 / height, "bold: the best of a line", color=ink, fontsize=9, ha="right")
    for at, (panel, table) in enumerate(zip(panels, tables, strict=True)):
        left = 0.2 + at * (side + 0.25)
        points, _ = check_map(flat_view(panel.coordinates), members, len(names))
        axes = figure.add_axes((left / width, below / height, side / width, side / height))
        axes.set_axis_off()
        frame(figure, axes, points)
        _scatter(axes, points, rgba, side)
        heading = axes.set_title(panel.title, loc="left", color=ink, fontsize=12, fontweight="bold", parse_math=False)
        fit(figure, heading, side)
        write_names(figure, axes, points, members, names, paints, dark)
        for row, (name, value) in enumerate(table.items()):
            y = (below - 0.18 - line * row) / height
            weight = "bold" if best.get(name) == _number(value) else "normal"
            figure.text((left + 0.05) / width, y, name, color=ink, fontsize=10, va="center")
            figure.text(
                (left + side - 0.35) / width,
                y,
                _number(value),
                color=ink,
                fontsize=10,
                va="center",
                ha="right",
                fontweight=weight,
            )
    if len(names):
        draw_legend(figure.axes[-1], names, counts, paints, int((members < 0).sum()), ink)
    return render(figure, format)


def tuning_figure(
    tuning: Tuning,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    dark: bool = False,
    side: float = 2.3,
    format: str = "png",
) -> Picture:
    """Draw the maps of a tuning as a sheet: a row for each n_neighbors, a column for each min_dist.

    The recommended setting is framed, a dot marks the Pareto front.

    Args:
        tuning: What ``tune`` found.
        groups: Group of each mapped image (N,), an index into ``names``; -1 for none.
        names: Name of each group.
        title: Written above all, with the verdict; neither where it is empty.
        dark: Draw for a dark page.
        side: Side of a map in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: The arrays do not fit each other.
    """
    counts, members, paints, rgba = _paint(tuning.recommended.coordinates, groups, names)
    sizes = sorted({each.n_neighbors for each in tuning.settings})
    dists = sorted({each.min_dist for each in tuning.settings})
    gap, text, edge, legend = 0.2, 0.5, 1.2, (2.3 if len(names) else 0.2)
    width = edge + (side + gap) * len(dists) + legend
    verdict = textwrap.wrap(tuning.verdict, int((width - 0.4) / 0.075))  # inches a letter, about
    top = 0.98 + 0.17 * len(verdict) if title else 0.4
    height = top + (side + gap + text) * len(sizes)
    figure, ink = new_figure(width, height, PAPER[dark]), INK[dark]
    if title:
        _write_title(figure, title, ink)
        figure.text(0.2 / width, 1 - 0.54 / height, "\n".join(verdict), color=ink, fontsize=10, va="top")
    for column, dist in enumerate(dists):
        x = edge + column * (side + gap) + side / 2
        figure.text(
            x / width, 1 - (top - 0.18) / height, f"min_dist {dist:g}", color=ink, fontsize=11, ha="center", va="center"
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
        axes.spines[:].set(
            color=ACCENT[dark] if framed else ink, alpha=1 if framed else 0.2, linewidth=2.5 if framed else 0.6
        )
        points, _ = check_map(each.coordinates, members, len(names))
        frame(figure, axes, points)
        _scatter(axes, points, rgba, side)
        figure.text(
            left / width,
            (bottom - 0.06) / height,
            _caption(each, tuning),
            color=ink,
            fontsize=9,
            va="top",
            fontweight="bold" if framed else "normal",
            linespacing=1.3,
        )
    if len(names):
        corner = figure.axes[max(range(len(figure.axes)), key=lambda at: figure.axes[at].get_position().x1)]
        draw_legend(corner, names, counts, paints, int((members < 0).sum()), ink)
    return render(figure, format)


def solid_map_figure(
    coordinates: ArrayLike,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    title: str,
    colors: Sequence[str] | None = None,
    dark: bool = False,
    side: float = 4.2,
    format: str = "png",
) -> Picture:
    """Draw a map of three axes: as a solid seen from one side, and along each of its axes.

    The axes are turned so that the first is the one on which the images spread most. What lies behind is paler.

    Args:
        coordinates: The map (N, 3).
        groups: Group of each image (N,), an index into ``names``; -1 for none.
        names: Name of each group.
        title: Written above all.
        colors: Colour of each group, by default ``group_colors``.
        dark: Draw for a dark page.
        side: Side of a view in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: The arrays do not fit each other, or the map has not three axes.
    """
    solid = _principal(coordinates)
    counts, members, paints, rgba = _paint(solid[:, :2], groups, names, colors)
    gap, top, legend = 0.25, 0.9, (2.3 if len(names) else 0.2)
    figure = new_figure(0.2 + 2 * (side + gap) + legend, top + 2 * (side + gap + 0.15), PAPER[dark])
    width, height = figure.get_figwidth(), figure.get_figheight()
    _write_title(figure, title, INK[dark])
    views = {
        "seen from one side": _turned(solid),
        "axes 1 and 2": solid,
        "axes 1 and 3": solid[:, [0, 2, 1]],
        "axes 2 and 3": solid[:, [1, 2, 0]],
    }
    for at, (name, view) in enumerate(views.items()):
        left = 0.2 + at % 2 * (side + gap)
        bottom = height - top - side - at // 2 * (side + gap + 0.3)
        axes = figure.add_axes((left / width, bottom / height, side / width, side / height))
        axes.patch.set_alpha(0)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=INK[dark], alpha=0.2, linewidth=0.6)
        frame(figure, axes, view[:, :2])
        _scatter(axes, view[:, :2], rgba, side, depth=view[:, 2])
        axes.set_title(name, loc="left", color=INK[dark], fontsize=11)
        write_names(figure, axes, view[:, :2], members, names, paints, dark)
    if len(names):
        draw_legend(figure.axes[1], names, counts, paints, int((members < 0).sum()), INK[dark])
    return render(figure, format)


def trust_map_figure(
    coordinates: ArrayLike, kept: ArrayLike, *, dark: bool = False, width: float = 6.4, format: str = "png"
) -> Picture:
    """Draw a map whose points have the colour of how far to believe their place, as the explorer colours it.

    Args:
        coordinates: The map (N, 2).
        kept: Share of its neighbours that each image kept (N,), 0 to 1.
        dark: Draw for a dark page.
        width: Width in inches, 200 pixels each; the height follows from the map.
        format: "png", "webp" or "svg".

    Raises:
        InputError: The arrays do not fit each other.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    shares = np.asarray(kept, np.float64)
    points, _ = check_map(coordinates, np.zeros(len(shares)), 1)
    spread = np.maximum(np.ptp(points, axis=0), 1e-9)
    below = 0.62
    figure = new_figure(width, width * float(np.clip(spread[1] / spread[0], 0.55, 1.15)) + below)
    axes = figure.add_axes((0.01, below / figure.get_figheight(), 0.98, 0.99 - below / figure.get_figheight()))
    axes.set_axis_off()
    frame(figure, axes, points)
    least, most = float(np.nanmin(shares)), float(np.nanmax(shares))
    end = max(most, least + 1e-9)
    scale = Normalize(least, end)
    _scatter(axes, points, ramp()(scale(shares)), width)
    bar = figure.add_axes((0.03, 0.4 / figure.get_figheight(), 0.5, 0.12 / figure.get_figheight()))
    legend = figure.colorbar(ScalarMappable(scale, ramp()), cax=bar, orientation="horizontal")
    legend.outline.set_visible(False)
    legend.set_ticks([least, end], labels=[f"{least:.0%} kept", f"{most:.0%}"])
    bar.tick_params(colors=INK[dark], labelsize=9, length=0)
    first, last = bar.get_xticklabels()
    first.set_horizontalalignment("left")
    last.set_horizontalalignment("right")
    return render(figure, format)


def flat_view(coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return what a picture shows of a map (N, 2): itself, or one of three axes as seen from one side."""
    points = np.asarray(coordinates, np.float64)
    return points if points.ndim != 2 or points.shape[1] != 3 else _turned(_principal(points))[:, :2]


def _write_title(figure: Figure, title: str, ink: str) -> None:
    width, height = figure.get_figwidth(), figure.get_figheight()
    text = figure.text(
        0.2 / width, 1 - 0.3 / height, printable(title), color=ink, fontsize=14, va="center", parse_math=False
    )
    fit(figure, text, width - 0.4)


def _paint(
    coordinates: ArrayLike, groups: ArrayLike, names: Sequence[str], colors: Sequence[str] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.int64], list[str], NDArray[np.float64]]:
    """Return the size of each group, the group of each image, the groups' colours and the images' (N, 4)."""
    from matplotlib.colors import to_rgba_array

    _, members = check_map(coordinates, groups, len(names))
    counts = np.bincount(members[members >= 0], minlength=len(names))
    paints = group_colors(counts) if colors is None else list(colors)
    return counts, members, paints, np.asarray(to_rgba_array([*paints, OTHER]))[members]


def _principal(coordinates: ArrayLike) -> NDArray[np.float64]:
    """Return a map (N, 3) on its own principal axes, each turned so that its largest coordinate is positive."""
    points = np.asarray(coordinates, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points) or not np.isfinite(points).all():
        raise InputError(f"coordinates must be finite numbers of shape (N, 3), got shape {points.shape}")
    centred = points - points.mean(axis=0)
    turned: NDArray[np.float64] = centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
    largest = turned[np.abs(turned).argmax(axis=0), np.arange(3)]
    return turned * np.where(largest < 0, -1.0, 1.0)


def _turned(solid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return right, up and towards the eye (N, 3) of points whose axes are right, back and up."""
    turn, tilt = math.radians(_TURN), math.radians(_TILT)
    right = solid[:, 0] * math.cos(turn) + solid[:, 1] * math.sin(turn)
    back = solid[:, 1] * math.cos(turn) - solid[:, 0] * math.sin(turn)
    up = solid[:, 2] * math.cos(tilt) + back * math.sin(tilt)
    return np.column_stack([right, up, solid[:, 2] * math.sin(tilt) - back * math.cos(tilt)])


def _scatter(
    axes: Axes,
    points: NDArray[np.float64],
    rgba: NDArray[np.float64],
    side: float,
    depth: NDArray[np.float64] | None = None,
) -> None:
    """Draw points in a shuffled order: no group hides another only because it is drawn last.

    With a ``depth`` (N,), towards the eye, the nearest are drawn last and largest.
    """
    order = np.random.default_rng(0).permutation(len(points)) if depth is None else np.argsort(depth, kind="stable")
    size: float | NDArray[np.floating] = min(max(40 * side / len(points) ** 0.5, 0.4), 8 * side)
    alpha: Any = 0.75
    if depth is not None:
        near = (depth[order] - depth.min()) / max(float(np.ptp(depth)), 1e-9)
        size, alpha = size * (0.5 + near), 0.25 + 0.6 * near
    x, y = points[order].T
    axes.scatter(x, y, s=size, c=rgba[order], alpha=alpha, linewidths=0, rasterized=True)


def _best(tables: Sequence[dict[str, float]]) -> dict[str, str]:
    """Return, as printed, the largest of each figure on which the tables differ as printed."""
    best = {}
    for name in tables[0]:
        values = [table.get(name, math.nan) for table in tables]
        if len({_number(value) for value in values}) > 1:
            best[name] = _number(float(np.nanmax(values)))
    return best


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"


def _caption(setting: Setting, tuning: Tuning) -> str:
    marks = [
        text
        for text, holds in (
            ("recommended", setting is tuning.recommended),
            ("default", setting is tuning.default),
            ("● front", setting.on_front),
        )
        if holds
    ]
    return f"kept {setting.neighbors_kept:.3f}   {tuning.aim} {setting.aim:.3f}\n{'  ·  '.join(marks)}"
