"""What all pictures are drawn on and with: figures, legends, names, and the bytes of a picture."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dinoscope.errors import InputError
from dinoscope.plots.fonts import drawable, dress
from dinoscope.plots.palette import OTHER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = [
    "ACCENT",
    "INK",
    "PAPER",
    "Picture",
    "draw_legend",
    "encode",
    "fit",
    "frame",
    "narrow",
    "new_figure",
    "printable",
    "render",
    "write_names",
]

_DPI = 100  # of the layout; pixels of a picture are twice that, for sharp screens
INK = {False: "#1d2026", True: "#e8eaee"}
PAPER = {False: "#ffffff", True: "#15171c"}
ACCENT = {False: "#2f5fc4", True: "#8fb2ff"}
_one_svg_at_a_time = Lock()


class Picture(bytes):
    """The bytes of a picture file; a notebook shows it."""

    def _repr_png_(self) -> bytes | None:
        return bytes(self) if self.startswith(b"\x89PNG") else None

    def _repr_svg_(self) -> str | None:
        return self.decode() if self.startswith((b"<?xml", b"<svg")) else None

    def __repr__(self) -> str:
        kinds = {b"\x89PNG": "PNG", b"RIFF": "WebP", b"<?xm": "SVG", b"<svg": "SVG"}
        return f"Picture({kinds.get(bytes(self[:4]), 'unknown')}, {len(self):,} bytes)"


def new_figure(width: float, height: float, background: str | None = None) -> Figure:
    """Make an empty figure of this many inches, see-through without a background."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, facecolor=background or "none")


def frame(figure: Figure, axes: Axes, points: NDArray[np.float64]) -> None:
    """Set limits that hold all points, with one scale for both axes."""
    box = axes.get_position()
    width, height = box.width * figure.get_figwidth(), box.height * figure.get_figheight()
    low, high = points.min(axis=0), points.max(axis=0)
    scale = max(1.08 * float(max((high - low) / (width, height))), 1e-6)  # units an inch
    x, y = ((low + high) / 2).tolist()
    axes.set_xlim(x - width * scale / 2, x + width * scale / 2)
    axes.set_ylim(y - height * scale / 2, y + height * scale / 2)


def fit(figure: Figure, text: Text, width: float) -> None:
    """Make a text smaller where it is wider than this many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    dress(text)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    for _ in range(3):  # letters are whole pixels wide: their width follows the size by steps
        wide = text.get_window_extent(renderer).width / figure.dpi
        if wide > width:
            text.set_fontsize(float(text.get_fontsize()) * width / wide)


def printable(text: str, length: int = 200) -> str:
    """Shorten a text, and put a box for what no font can draw (matplotlib would warn of each letter)."""
    return drawable(text if len(text) <= length else text[: length - 1].rstrip() + "…")


def draw_legend(
    axes: Axes, names: Sequence[str], counts: NDArray[np.integer], colors: Sequence[str], none: int, ink: str
) -> None:
    """List groups by size with their counts; the grey ones as one line."""
    from matplotlib.lines import Line2D

    order = [group for group in np.argsort(-counts, kind="stable").tolist() if counts[group]]
    lines = [(names[group], int(counts[group]), colors[group]) for group in order if colors[group] != OTHER]
    rest = [group for group in order if colors[group] == OTHER]
    if rest:
        lines.append((f"{len(rest)} other", int(counts[rest].sum()), OTHER))
    if none:
        lines.append(("none", none, OTHER))
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=color, label=f"{printable(name, 20)}  {count:,}")
        for name, count, color in lines
    ]
    legend = axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=9,
        labelcolor=ink,
        handletextpad=0.2,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def write_names(
    figure: Figure,
    axes: Axes,
    points: NDArray[np.float64],
    members: NDArray[np.int64],
    names: Sequence[str],
    colors: Sequence[str],
    dark: bool,
) -> None:
    """Write each coloured group's name in its midst, moved apart where two would overlap, and inside the axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patheffects import withStroke

    texts = []
    for group, name in enumerate(names):
        own = members == group
        if not own.any() or colors[group] == OTHER or not name:
            continue
        x, y = _seat(points, own)
        texts.append(
            axes.text(
                x,
                y,
                printable(name, 20),
                ha="center",
                va="center" if own.sum() > 3 else "top",
                color=INK[dark],
                fontsize=10,
                fontweight="bold",
                path_effects=[withStroke(linewidth=3, foreground=PAPER[dark])],
                zorder=5,
                parse_math=False,
            )
        )
    if not texts:
        return
    dress(*texts)
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    boxes = np.asarray([text.get_window_extent(renderer).extents for text in texts])
    left, bottom, right, top = axes.bbox.extents
    inward = np.maximum(left - boxes[:, 0], 0) + np.minimum(right - boxes[:, 2], 0)
    boxes[:, [0, 2]] += inward[:, None]
    upward = _keep_inside(boxes, _spread(boxes), bottom, top)
    for text, *move in zip(texts, inward.tolist(), upward.tolist(), strict=True):
        place = axes.transData.transform(text.get_position()) + move
        x, y = axes.transData.inverted().transform(place).tolist()
        text.set_position((x, y))


def _seat(points: NDArray[np.float64], own: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the median of a group; where others live there, the place where it is most among its own."""
    x, y = np.median(points[own], axis=0).tolist()
    around = np.argsort(np.abs(points - (x, y)).max(axis=1), kind="stable")[:30]
    if own[around].sum() * 2 >= min(len(around), own.sum()):
        return x, y
    lead, columns, rows = np.histogram2d(points[:, 0], points[:, 1], bins=24, weights=np.where(own, 1.0, -1.0))
    column, row = np.unravel_index(lead.argmax(), lead.shape)
    return float(columns[column : column + 2].mean()), float(rows[row : row + 2].mean())


def _spread(boxes: NDArray[np.float64], rounds: int = 80) -> NDArray[np.float64]:
    """Return by how much to move boxes (x0, y0, x1, y1) up or down until none overlap."""
    shift = np.zeros(len(boxes))
    middle = (boxes[:, 1] + boxes[:, 3]) / 2
    for _ in range(rounds):
        moved = False
        for i, j in itertools.combinations(range(len(boxes)), 2):
            a, b = boxes[i], boxes[j]
            over = min(a[3] + shift[i], b[3] + shift[j]) - max(a[1] + shift[i], b[1] + shift[j])
            if over > 0 and min(a[2], b[2]) > max(a[0], b[0]):
                push = (over / 2 + 0.5) * (1 if middle[i] + shift[i] > middle[j] + shift[j] else -1)
                shift[i], shift[j] = shift[i] + push, shift[j] - push
                moved = True
        if not moved:
            break
    return shift


def _keep_inside(
    boxes: NDArray[np.float64], shift: NDArray[np.float64], bottom: float, top: float
) -> NDArray[np.float64]:
    """Return ``shift`` with no box below or above; those in the way move on, as far as there is room."""
    beside = (boxes[:, None, 0] < boxes[:, 2]) & (boxes[:, 0] < boxes[:, None, 2])
    low, height = boxes[:, 1] + shift, boxes[:, 3] - boxes[:, 1]
    upwards = np.argsort(low + height / 2, kind="stable")
    for at, box in enumerate(upwards):
        under = upwards[:at][beside[box, upwards[:at]]]
        low[box] = max(low[box], bottom, (low + height)[under].max(initial=-np.inf))
    for at, box in enumerate(upwards[::-1]):
        over = upwards[::-1][:at][beside[box, upwards[::-1][:at]]]
        low[box] = min(low[box], top - height[box], low[over].min(initial=np.inf) - height[box])
    moved: NDArray[np.float64] = low - boxes[:, 1]
    return moved


def render(figure: Figure, format: str) -> Picture:
    """Return a figure as the bytes of a PNG, WebP or SVG file; the same figure gives the same bytes."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    dress(figure)
    out = io.BytesIO()
    if format == "svg":  # without a date and with fixed identifiers: the same figure gives the same bytes
        with _one_svg_at_a_time, matplotlib.rc_context({"svg.hashsalt": "dinoscope"}):  # that is global
            figure.savefig(out, format="svg", dpi=2 * _DPI, metadata={"Date": None})
        return Picture(out.getvalue())
    figure.set_dpi(2 * _DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return encode(Image.fromarray(pixels), format)


def encode(image: Image.Image, format: str) -> Picture:
    """Return a picture as the bytes of a PNG or WebP file."""
    out = io.BytesIO()
    if format not in ("png", "webp"):
        raise InputError(f"format must be 'png' or 'webp', or 'svg' except for a map of images, got {format!r}")
    image.save(out, format, quality=82, method=2)  # of WebP; twice as fast as the usual 4, a twentieth larger
    return Picture(out.getvalue())


def narrow(picture: Picture, width: int) -> Picture:
    """Return a PNG at this width in pixels, its height in proportion; one that is not wider stays as it is."""
    with Image.open(io.BytesIO(picture)) as large:
        if large.width <= width:
            return picture
        height = max(1, round(large.height * width / large.width))
        return encode(large.resize((width, height), Image.Resampling.LANCZOS), "png")
