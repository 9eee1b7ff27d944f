"""Pictures of an evaluation: the confusion matrix, and how far to trust the probabilities."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.analysis.labels.scoring import wilson_interval
from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError
from dinoscope.plots.canvas import ACCENT, PAPER, Picture, new_figure, printable, render
from dinoscope.plots.canvas import INK as INKS
from dinoscope.plots.fonts import dress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from scipy.sparse import coo_array

    from dinoscope.analysis.labels.evaluation import Evaluation, Reliability

__all__ = ["confusion_figure", "evaluation_figures", "reliability_figure"]

INK, _BLUE, _RED, _GREY = "#1d2026", "#2f5fc4", "#c03054", "#8b9098"
_PALE = (0.953, 0.957, 0.965)
_FEW = 10  # images of a bin that say next to nothing
_MOST = 30  # labels in one picture
_LETTERS = 22  # of a label


def evaluation_figures(evaluation: Evaluation) -> dict[str, Picture]:
    """Draw an evaluation: file name -> PNG."""
    with LOADING:
        from scipy.sparse import coo_array

    # Made from labels and confusions, which contain every count except zeros, for any number of labels.
    names = [each.label for each in evaluation.labels]
    place = {name: number for number, name in enumerate(names)}
    cells = [(at, at, round(each.recall * each.images)) for at, each in enumerate(evaluation.labels) if each.images]
    cells += [(place[each.true], place[each.predicted], each.images) for each in evaluation.confusions]
    rows, columns, images = np.asarray(cells).T
    return {
        "confusion.png": confusion_figure(coo_array((images, (rows, columns)), shape=(len(names),) * 2), names),
        "reliability.png": reliability_figure(evaluation.votes, evaluation.calibrated),
    }


def confusion_figure(counts: ArrayLike | coo_array, names: Sequence[str]) -> Picture:
    """Draw the confusion matrix as PNG: what is right in blue, mistakes in red, in percent of the true label.

    Of more than 30 labels, those with the most mistakes have lines of their own, and the rest share one.

    Args:
        counts: Images (C, C) with the true label of the row, given the label of the column; may be sparse.
        names: The C labels.

    Raises:
        InputError: The matrix does not fit the names.
    """
    with LOADING:
        from scipy.sparse import coo_array, issparse

    given: Any = counts if issparse(counts) else np.asarray(counts, np.float64)
    if not len(names) or given.shape != (len(names), len(names)):
        raise InputError(f"counts must have shape (C, C) for C names, got {given.shape} for {len(names)} names")
    table = coo_array(given)
    matrix, titles = _merge(table, list(names))
    size = len(titles)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    cell = 0.9 if size <= 4 else 0.52 if size <= 15 else 0.36
    left = 0.5 + 0.085 * max(map(len, titles))
    below = 0.55 + 0.075 * max(map(len, titles))
    width, height = max(left + cell * size + 0.25, 4.5), cell * size + below + 0.75
    figure = _figure(width, height)
    axes = figure.add_axes((left / width, below / height, cell * size / width, cell * size / height))
    tints = _tints(share)
    if size < len(names):
        tints[-1, -1] = _PALE  # those among themselves: neither right nor a mistake
    axes.imshow(tints, aspect="auto", interpolation="nearest")
    for row, column in zip(*np.nonzero(share >= 0.005), strict=True):
        axes.text(
            column,
            row,
            str(int(100 * share[row, column] + 0.5)),
            ha="center",
            va="center",
            fontsize=9 if size <= 15 else 7,
            color="white" if tints[row, column].mean() < 0.6 else INK,
        )
    places = np.arange(size)
    axes.set_xticks(places, titles, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(places, titles, parse_math=False)
    axes.set_xticks(places[1:] - 0.5, minor=True)
    axes.set_yticks(places[1:] - 0.5, minor=True)
    axes.grid(which="minor", color=PAPER[False], linewidth=1.5)
    axes.tick_params(which="both", length=0, colors=INK, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("true label", color=INK)
    axes.set_xlabel("label given", color=INK)
    right = table.diagonal().sum() / max(matrix.sum(), 1)
    merged = f"; the {size - 1} labels with the most mistakes, of {len(names):,}" if size < len(names) else ""
    figure.text(
        0.12 / width,
        1 - 0.2 / height,
        f"{right:.1%} of {matrix.sum():,.0f} images named right",
        color=INK,
        fontsize=12,
        va="top",
    )
    figure.text(
        0.12 / width,
        1 - 0.46 / height,
        f"in percent of the images of each line; below 0.5 left out{merged}",
        color=_GREY,
        fontsize=9,
        va="top",
    )
    return _png(figure)


def reliability_figure(
    votes: Reliability, calibrated: Reliability, *, dark: bool | None = None, format: str = "png"
) -> Picture:
    """Draw the share named right against the probability claimed, and how many images claim it.

    Args:
        votes: Reliability of the shares of the votes.
        calibrated: The same of the calibrated probabilities.
        dark: Draw see-through for a dark page, or for a light one; None draws on white.
        format: "png", "webp" or "svg".
    """
    ink, blue = INKS[bool(dark)], ACCENT[bool(dark)]
    figure = new_figure(5.6, 6.4, PAPER[False] if dark is None else None)
    upper = figure.add_axes((0.13, 0.33, 0.83, 0.6))
    lower = figure.add_axes((0.13, 0.09, 0.83, 0.17))
    upper.plot([0, 1], [0, 1], color=ink, alpha=0.35, linewidth=0.9, linestyle=(0, (4, 3)))
    slope = float(np.degrees(np.arctan(0.6 * 6.4 / (0.83 * 5.6))))
    upper.text(0.04, 0.075, "as claimed", color=ink, alpha=0.6, fontsize=9, rotation=slope)
    for one, name, color in ((votes, "shares of the votes", _GREY), (calibrated, "calibrated probabilities", blue)):
        _curve(upper, one, f"{name}: calibration error {one.error:.3f}", color)
    upper.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=ink)
    upper.set_ylabel("share named right", color=ink)
    upper.set_title("How far the probabilities can be believed", loc="left", color=ink, fontsize=12)
    _bars(lower, calibrated, ink, blue)
    for axes in (upper, lower):
        axes.patch.set_alpha(0)
        axes.set_xlim(-0.02, 1.02)
        axes.tick_params(colors=ink, labelsize=9, length=3)
        axes.grid(axis="y", color=ink, alpha=0.1, linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set(color=ink, alpha=0.4)
    upper.set_ylim(-0.02, 1.04)
    return render(figure, format)


def _curve(axes: Axes, one: Reliability, name: str, color: str) -> None:
    """Draw the bins with at least ten images, each with its 95% interval, and join them."""
    bins = np.flatnonzero(one.images >= min(_FEW, one.images.max()))
    claimed, right, images = one.claimed[bins], one.right[bins], one.images[bins]
    ends = [wilson_interval(round(share * count), count) for share, count in zip(right, images.tolist(), strict=True)]
    low, high = np.asarray(ends).T
    axes.vlines(claimed, low, high, color=color, alpha=0.35, linewidth=3)
    axes.plot(claimed, right, color=color, linewidth=1.2, marker="o", markersize=4.5, label=name)


def _bars(axes: Axes, one: Reliability, ink: str, blue: str) -> None:
    """Draw how many images claim how much."""
    bins = len(one.images)
    share = 100 * one.images / one.images.sum()
    axes.bar((np.arange(bins) + 0.5) / bins, share, width=0.9 / bins, color=blue, alpha=0.85)
    axes.set_ylabel("% of images", color=ink)
    axes.set_xlabel("probability claimed for the label given", color=ink)


def _tints(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colours (C, C, 3) of shares: from paper to blue on the diagonal, to red beside it."""
    from matplotlib.colors import to_rgb

    paper = np.asarray(_PALE)
    ends = np.where(np.eye(len(share), dtype=bool)[:, :, None], to_rgb(_BLUE), to_rgb(_RED))
    # Mistakes are few: a third of a label's images is as red as it gets, and the root shows the rare ones.
    depth = np.where(np.eye(len(share), dtype=bool), share, np.sqrt(np.minimum(share * 3, 1)))[:, :, None]
    tints: NDArray[np.float64] = paper + (ends - paper) * depth
    return tints


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=PAPER[False])


def _png(figure: Figure) -> Picture:
    dress(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=200, metadata={"Software": None})  # the same figure gives the same bytes
    return Picture(out.getvalue())


def _merge(table: coo_array, titles: list[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Return matrix and names with all but the labels with the most mistakes summed up, names cut short."""
    titles = [printable(name, _LETTERS) for name in titles]
    if len(titles) <= _MOST:
        return table.toarray().astype(np.float64), titles
    mistakes = table.sum(axis=0) + table.sum(axis=1) - 2 * table.diagonal()
    kept = np.sort(np.argsort(-mistakes, kind="stable")[: _MOST - 1])
    group = np.full(len(titles), _MOST - 1)
    group[kept] = np.arange(_MOST - 1)
    merged = np.zeros((_MOST, _MOST))
    np.add.at(merged, (group[table.row], group[table.col]), table.data)
    return merged, [*(titles[index] for index in kept.tolist()), f"{len(titles) - len(kept):,} other labels"]
