"""Pictures of clusters: how they fall on the labels, and the silhouette of each number of clusters."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dinoscope.analysis.clusters.clustering import Clustering
from dinoscope.analysis.clusters.methods import NO_CLUSTER
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError
from dinoscope.plots.canvas import PAPER, Picture, encode, printable, render
from dinoscope.plots.map import curve_figure
from dinoscope.plots.palette import label_groups

__all__ = ["cluster_label_figure", "cluster_picture", "match_order"]

_MOST_ROWS, _MOST_COLUMNS = 60, 40  # of a heat map that one can still read
INK, _GREY = "#1d2026", "#5b616b"


def cluster_picture(found: Clustering, labels: ArrayLike | Sequence[str | None], title: str = "") -> Picture:
    """Draw what there is to see of a clustering as one PNG: the curve of k above the heat map with the labels.

    Args:
        found: The clusters.
        labels: Labels (N,), None for an image without one.
        title: Written above the heat map.

    Raises:
        InputError: There are neither labels nor a curve.
    """
    members, names = label_groups(np.asarray(labels, dtype=object))
    known = members >= 0
    pictures = []
    if len(found.curve) > 1:
        pictures.append(curve_figure(found.curve, width=8.0))  # a mixture may lose a cluster of the chosen number
    if known.any():
        counts = np.zeros((len(found.medoids) + 1, len(names)), np.int64)
        np.add.at(counts, (found.labels[known], members[known]), 1)  # -1, no cluster, counts in the last row
        rows = [f"cluster {number}" for number in range(len(found.medoids))]
        apart = int((found.labels == NO_CLUSTER).any())
        rows += ["no cluster"] * apart
        pictures.append(cluster_label_figure(counts[: len(rows)], rows, names, apart=apart, title=title))
    if not pictures:
        raise InputError(
            "there is nothing to draw: the images have no labels and there is no curve of k; leave out -k, or write a "
            ".csv"
        )
    return _stack(pictures)


def match_order(counts: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order clusters and labels so that the best one-to-one match of both is on the diagonal.

    Args:
        counts: Images (R, C) of each cluster and label.

    Returns:
        Rows (R,) and columns (C,): the matched pairs, those that share the most images first; then the others, the
        largest first.
    """
    with LOADING:
        from scipy.optimize import linear_sum_assignment

    table = np.asarray(counts, np.int64)
    rows, columns = linear_sum_assignment(table, maximize=True)
    order = np.argsort(-table[rows, columns], kind="stable")
    return _with_rest(rows[order], table.sum(axis=1)), _with_rest(columns[order], table.sum(axis=0))


def cluster_label_figure(
    counts: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    apart: int = 0,
    title: str = "",
    format: str = "png",
) -> Picture:
    """Draw how clusters fall on labels as a heat map, sorted by ``match_order``; each row sums to 100%.

    Of more than 60 clusters or 40 labels, the rest is left out, which the caption tells.

    Args:
        counts: Images (R, C) of each cluster and label.
        rows: Names of the clusters.
        columns: Names of the labels.
        apart: How many of the last rows are not clusters, such as images without one; they stay below all clusters.
        title: Written above.
        format: "png", "webp" or "svg".

    Raises:
        InputError: If the names do not fit the counts, or there are none.
    """
    table = np.asarray(counts, np.int64)
    if table.shape != (len(rows), len(columns)) or not table.size:
        raise InputError(f"counts must have shape ({len(rows)}, {len(columns)}), one or more each, got {table.shape}")
    clusters = len(table) - apart
    down, across = match_order(table[:clusters])
    down = np.concatenate([down[: _MOST_ROWS - apart], np.arange(clusters, len(table))])
    down, across = down[:_MOST_ROWS], across[:_MOST_COLUMNS]
    sizes = table.sum(axis=1)
    shares = table[np.ix_(down, across)] / np.maximum(sizes[down], 1)[:, None]
    names = [f"{rows[row]}  ({sizes[row]:,})" for row in down]
    left_out = _left_out(table, down, across)
    return _heat_map(shares, names, [columns[column] for column in across], title, left_out, format)


def _with_rest(first: NDArray[np.intp], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    rest = np.setdiff1d(np.arange(len(sizes)), first)
    return np.concatenate([first, rest[np.argsort(-sizes[rest], kind="stable")]]).astype(np.int64)


def _left_out(table: NDArray[np.int64], down: NDArray[np.int64], across: NDArray[np.int64]) -> str:
    """Say how many clusters and labels a heat map does not show."""
    missing = [(len(table) - len(down), "clusters"), (table.shape[1] - len(across), "labels")]
    return " and ".join(f"{count} {what}" for count, what in missing if count)


def _heat_map(
    shares: NDArray[np.float64], rows: list[str], columns: list[str], title: str, left_out: str, format: str
) -> Picture:
    from matplotlib.figure import Figure

    count, wide = len(rows), len(columns)
    cell = float(np.clip(5.6 / wide, 0.24, 0.56))
    high = max(0.24, 0.75 * cell)
    names = [_short(name) for name in columns]
    rise = 0.055 * max(len(name) for name in names)  # inches that a slanting name takes, both ways
    right = max(0.2 + rise, 8.0 - 1.7 - wide * cell)
    margin = {"left": 1.7, "right": right, "top": (0.55 if title else 0.15) + rise, "bottom": 0.45}
    width = margin["left"] + wide * cell + margin["right"]
    height = margin["top"] + count * high + margin["bottom"]
    figure = Figure(figsize=(width, height), dpi=100, facecolor=PAPER[False])
    box = (margin["left"] / width, margin["bottom"] / height, wide * cell / width, count * high / height)
    axes = figure.add_axes(box)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(wide), names, rotation=40, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(count), rows)
    axes.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0, labelsize=8.5, colors=INK)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.set_xticks(np.arange(wide + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER[False], linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    if cell >= 0.33:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                axes.text(
                    column,
                    row,
                    f"{100 * share:.0f}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=PAPER[False] if share > 0.5 else INK,
                )
    if title:
        figure.text(
            0.15 / width, 1 - 0.12 / height, _short(title, 90), va="top", color=INK, fontsize=12, parse_math=False
        )
    caption = "percent of each cluster's labelled images (how many: in brackets) that have the label"
    caption += f"; {left_out} left out" if left_out else ""
    figure.text(0.15 / width, 0.14 / height, caption, color=_GREY, fontsize=8.5)
    return render(figure, format)


def _short(text: str, length: int = 22) -> str:
    return printable(text, length)


def _stack(pictures: Sequence[bytes]) -> Picture:
    """Put pictures below each other on white."""
    images = [Image.open(io.BytesIO(each)).convert("RGBA") for each in pictures]
    canvas = Image.new("RGBA", (max(each.width for each in images), sum(each.height for each in images)), "white")
    top = 0
    for image in images:
        canvas.alpha_composite(image, (0, top))
        top += image.height
    return encode(canvas.convert("RGB"), "png")
