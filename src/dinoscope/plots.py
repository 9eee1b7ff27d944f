"""Still pictures: the map as points, and the silhouette curve.

Every function returns the bytes of one picture. Nothing here touches pyplot, so there is no global state, no window,
and any thread may draw. Backgrounds are transparent: draw with ``dark=True`` for a dark page.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from dinoscope.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from dinoscope.collection import Collection

__all__ = [
    "ACCENT", "INK", "OTHER", "PALETTE", "PAPER", "Picture", "check_map", "collection_map", "curve_figure",
    "draw_legend", "encode", "fit", "frame", "group_colors", "image_colors", "label_groups", "map_figure", "new_figure",
    "printable", "render", "write_names",
]  # fmt: skip

# Chosen to lie far apart in OKLab, also as seen with deuteranopia and protanopia (Machado et al. 2009), among colours
# that stand out from white and from near-black alike; the first ten are the furthest apart.
PALETTE = (
    "#3078cc", "#f09018", "#c03054", "#189c90", "#a884fc", "#844890", "#78cc84", "#30c0f0", "#908400", "#2f7010",
    "#f06060", "#fc90d8", "#7890cc", "#5454b4", "#e460a8", "#00786c", "#b454a8", "#009c54", "#6c78f0", "#48b484",
)  # fmt: skip
OTHER = "#a3a7ad"  # groups beyond the palette, and images without a group

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


def collection_map(collection: Collection, coordinates: ArrayLike, *, dark: bool = False) -> Picture:
    """Draw a collection's map as PNG, coloured by label, or by cluster where no image has a label."""
    members, names = label_groups(collection.labels)
    if not names:
        members = collection.clusters().labels.astype(np.int64)
        names = [f"cluster {number}" for number in range(int(members.max()) + 1)]
    title = f"{collection.name}: {len(collection):,} images through {collection.model['model']}"
    if np.asarray(coordinates).shape[1:] == (3,):
        from dinoscope.map_plots import solid_map_figure

        return solid_map_figure(coordinates, members, names, title=title, dark=dark)
    return map_figure(coordinates, members, names, title=title, dark=dark, background=PAPER[dark])


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


def map_figure(
    coordinates: ArrayLike, groups: ArrayLike, names: Sequence[str], *, title: str | None = None,
    colors: Sequence[str] | None = None, legend: bool = True, named: bool = True, dark: bool = False,
    background: str | None = None, width: float = 8.0, format: str = "png",
) -> Picture:  # fmt: skip
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
    curve: Sequence[tuple[int, float]], *, chosen: int | None = None, dark: bool = False, width: float = 6.4,
    format: str = "png",
) -> Picture:  # fmt: skip
    """Draw the silhouette against the number of clusters k.

    Args:
        curve: Pairs of k and silhouette.
        chosen: The k to mark, by default the one with the best silhouette.
        dark: Draw for a dark page.
        width: Width in inches, 200 pixels each.
        format: "png", "webp" or "svg".

    Raises:
        InputError: If the curve is empty, or does not hold ``chosen``.
    """
    from matplotlib.ticker import MaxNLocator

    ks, values = [int(k) for k, _ in curve], [float(value) for _, value in curve]
    mark = chosen if chosen is not None or not ks else ks[int(np.argmax(values))]
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
    axes.annotate(f"k = {mark}", (mark, at), xytext=(-11 if right else 11, 7), textcoords="offset points", color=ink,
                  fontweight="bold", fontsize=10, ha="right" if right else "left")  # fmt: skip
    axes.margins(x=0.04, y=0.18)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("number of clusters k", color=ink)
    axes.set_ylabel("silhouette", color=ink)
    axes.tick_params(colors=ink, labelsize=9, length=3)
    axes.grid(axis="y", color=ink, alpha=0.12, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set(color=ink, alpha=0.4)
    return render(figure, format)


# --- inside ----------------------------------------------------------------------------------------------------------


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


def new_figure(width: float, height: float, background: str | None = None) -> Figure:
    """Make an empty figure of so many inches, see-through without a background."""
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
    """Make a text smaller where it is wider than so many inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    for _ in range(3):  # letters are whole pixels wide: their width follows the size by steps
        wide = text.get_window_extent(renderer).width / figure.dpi
        if wide > width:
            text.set_fontsize(float(text.get_fontsize()) * width / wide)


def printable(text: str, length: int = 200) -> str:
    """Shorten a text, and put a box for what the font cannot draw (matplotlib would warn of each letter)."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    short = text if len(text) <= length else text[: length - 1].rstrip() + "…"
    return "".join(letter if ord(letter) in known else "▯" for letter in short)


def draw_legend(
    axes: Axes, names: Sequence[str], counts: NDArray[Any], colors: Sequence[str], none: int, ink: str
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
    legend = axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9,
                         labelcolor=ink, handletextpad=0.2, borderaxespad=0.2)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def write_names(
    figure: Figure, axes: Axes, points: NDArray[np.float64], members: NDArray[np.int64], names: Sequence[str],
    colors: Sequence[str], dark: bool,
) -> None:  # fmt: skip
    """Write each coloured group's name in its midst, moved apart where two would overlap, and inside the axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.patheffects import withStroke

    texts = []
    for group, name in enumerate(names):
        own = members == group
        if not own.any() or colors[group] == OTHER or not name:
            continue
        x, y = _seat(points, own)
        texts.append(axes.text(
            x, y, printable(name, 20), ha="center", va="center" if own.sum() > 3 else "top", color=INK[dark],
            fontsize=10, fontweight="bold", path_effects=[withStroke(linewidth=3, foreground=PAPER[dark])],
            zorder=5, parse_math=False,
        ))  # fmt: skip
    if not texts:
        return
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
        raise InputError(f"format must be 'png' or 'webp', or 'svg' but for a map of images, got {format!r}")
    image.save(out, format, quality=82, method=2)  # of WebP; twice as fast as the usual 4, a twentieth larger
    return Picture(out.getvalue())
