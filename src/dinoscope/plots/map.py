"""Still pictures: the map as points, and the silhouette curve.

Every function returns the bytes of one picture. Nothing here touches pyplot, so there is no global state, no window,
and any thread may draw. Backgrounds are transparent: draw with ``dark=True`` for a dark page.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from dinoscope.plots.palette import OTHER, group_colors

__all__ = ["check_map", "curve_figure", "map_figure"]


def map_figure(
    coordinates: ArrayLike,
    groups: ArrayLike,
    names: Sequence[str],
    *,
    title: str | None = None,
    colors: Sequence[str] | None = None,
    legend: bool = True,
    named: bool = True,
    dark: bool = False,
    background: str | None = None,
    width: float = 8.0,
    format: str = "png",
) -> Picture:
    """Draw the map as points in the colours of their groups, each group's name at its median.

    Args:
        coordinates: The map (N, 2).
        groups: Group of each point (N,), an index into ``names``; -1 for none, drawn grey.
        names: Name of each group.
        title: Written above the map.
        colors: Colour of each group, by default ``group_colors``.
        legend: Whether to list the groups with their counts beside the map.
        named: Whether to write their names on it.
        dark: Draw for a dark page.
        background: A colour, by default none (transparent).
        width: Width in inches, 200 pixels each; the height follows from the map.
        format: "png", "webp" or "svg" (where the points are pixels too, so that 100,000 of them stay small).

    Raises:
        InputError: If the arrays do not fit each other.
    """
    from matplotlib.colors import to_rgba_array

    points, members = check_map(coordinates, groups, len(names))
    counts = np.bincount(members[members >= 0], minlength=len(names))
    paints = list(colors) if colors is not None else group_colors(counts)
    side, top = 2.1 if legend else 0.0, 0.4 if title else 0.0
    spread = np.maximum(np.ptp(points, axis=0), 1e-9)
    figure = new_figure(width, (width - side) * float(np.clip(spread[1] / spread[0], 0.55, 1.15)) + top, background)
    axes = figure.add_axes((0.01, 0.01, 0.98 - side / width, 0.98 - top / figure.get_figheight()))
    axes.set_axis_off()
    frame(figure, axes, points)
    # One call in a shuffled order: no group hides another only because it is drawn last.
    order = np.random.default_rng(0).permutation(len(points))
    rgba = np.asarray(to_rgba_array([*paints, OTHER]))[members[order]]
    size = min(max(440 / len(points) ** 0.5, 0.8), 60)
    alpha = min(max(0.9 * (2000 / len(points)) ** 0.15, 0.35), 0.9)
    x, y = points[order].T
    axes.scatter(x, y, s=size, c=rgba, alpha=alpha, linewidths=0, rasterized=True)
    if title:
        heading = axes.set_title(printable(title), loc="left", color=INK[dark], fontsize=12, parse_math=False)
        fit(figure, heading, 0.98 * width)
    if legend:
        draw_legend(axes, names, counts, paints, int((members < 0).sum()), INK[dark])
    if named:
        write_names(figure, axes, points, members, names, paints, dark)
    return render(figure, format)


def curve_figure(
    curve: Sequence[tuple[int, float]],
    *,
    chosen: int | None = None,
    dark: bool = False,
    width: float = 6.4,
    format: str = "png",
) -> Picture:
    """Draw the silhouette against the number of clusters k.

    Args:
        curve: Pairs of k and silhouette.
        chosen: The k to mark, by default the one that ``finest_k`` takes.
        dark: Draw for a dark page.
        width: Width in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: If the curve is empty, or does not hold ``chosen``.
    """
    from matplotlib.ticker import MaxNLocator

    from dinoscope.analysis.clusters.clustering import finest_k

    ks, values = [int(k) for k, _ in curve], [float(value) for _, value in curve]
    mark = chosen if chosen is not None or not ks else finest_k(curve)
    if mark not in ks:
        raise InputError(f"chosen must be a k of the curve, got {mark} for a curve over {ks}")
    figure = new_figure(width, width * 0.46)
    axes = figure.add_axes((0.1, 0.17, 0.88, 0.76))
    ink = INK[dark]
    axes.patch.set_alpha(0)
    axes.plot(ks, values, color=ACCENT[dark], linewidth=1.6, marker="o", markersize=3.5)
    at = values[ks.index(mark)]
    axes.axvline(mark, color=ink, alpha=0.35, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot([mark], [at], "o", markersize=9, mfc=PAPER[dark], mec=ACCENT[dark], mew=2)
    right = mark > (min(ks) + max(ks)) / 2
    axes.annotate(
        f"k = {mark}",
        (mark, at),
        xytext=(-11 if right else 11, 7),
        textcoords="offset points",
        color=ink,
        fontweight="bold",
        fontsize=10,
        ha="right" if right else "left",
    )
    axes.margins(x=0.04, y=0.18)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("number of clusters k", color=ink)
    axes.set_ylabel("silhouette", color=ink)
    axes.tick_params(colors=ink, labelsize=9, length=3)
    axes.grid(axis="y", color=ink, alpha=0.12, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=ink, alpha=0.4)
    return render(figure, format)


def check_map(points: ArrayLike, groups: ArrayLike, count: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return coordinates (N, 2) and groups (N,), -1 for none, or say what is wrong with them."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise InputError(f"coordinates must be finite numbers of shape (N, 2), got shape {points.shape}")
    members = np.asarray(groups, np.int64)
    if members.shape != (len(points),):
        raise InputError(f"groups must have shape ({len(points)},), one for each point, got {members.shape}")
    if members.min() < -1 or members.max() >= count:
        raise InputError(f"groups must be -1 or below {count}, got {members.min()} to {members.max()}")
    return points, members
