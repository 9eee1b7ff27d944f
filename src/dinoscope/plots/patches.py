"""Pictures of what a model sees: images beside their layers, and lines between patches that match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dinoscope.analysis.patches.matches import PatchMatches
from dinoscope.errors import InputError
from dinoscope.plots.canvas import Picture, encode
from dinoscope.plots.palette import PALETTE
from dinoscope.plots.sheets import write_line

if TYPE_CHECKING:
    from dinoscope.stages.queries.patches import Look

__all__ = [
    "Layers",
    "dim_ground",
    "draw_layers",
    "draw_matches",
    "layers_of",
    "paint_colours",
    "paint_heat",
    "paint_parts",
]

Pixels = NDArray[np.uint8]
Layers = Mapping[str, Pixels]  # name of a layer -> its picture (h, w, 3)
_TILE, _GAP, _LINE = 168, 10, 17
_TITLE, _TEXT = 19, 12
_INK, _GREY, _PAPER = "#1d2026", "#5d636d", "#ffffff"
_SHADE = 0.25  # how much is left of the ground
_FEW = 6  # images below each other; more get a second column
_MATCHES = 40  # lines, the most similar: more would blur into each other
_LARGE = 420  # of a picture with lines


def dim_ground(picture: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """Return a picture (h, w, 3) whose patches outside the mask (H, W) are dark."""
    shown = Image.fromarray((255 * (_SHADE + (1 - _SHADE) * mask)).astype(np.uint8))
    light = np.asarray(shown.resize((picture.shape[1], picture.shape[0]), Image.Resampling.NEAREST))
    dimmed: Pixels = (picture * (light[..., None] / 255)).astype(np.uint8)
    return dimmed


def paint_colours(colours: Pixels) -> Picture:
    """Return the colours of patches (H, W, 3) as a WebP that is large enough for a page, its edges soft."""
    return encode(_fit(colours, _TILE), "webp")


def paint_parts(numbers: NDArray[np.int64]) -> Pixels:
    """Return a picture of the parts that patches belong to (H, W), with sharp edges: (16 H, 16 W, 3)."""
    colours = np.array([[int(each[at : at + 2], 16) for at in (1, 3, 5)] for each in PALETTE], np.uint8)
    painted: Pixels = colours[numbers % len(colours)].repeat(16, axis=0).repeat(16, axis=1)
    return painted


def paint_heat(heat: NDArray[np.floating]) -> Pixels:
    """Return numbers (H, W) as colours from dark violet, the lowest, to light yellow, the highest (H, W, 3)."""
    from matplotlib import colormaps

    low, high = float(heat.min()), float(heat.max())
    levels = (heat - low) / max(high - low, 1e-12)
    painted: Pixels = (colormaps["inferno"](levels)[..., :3] * 255).astype(np.uint8)
    return painted


def layers_of(found: Look) -> Layers:
    """Return an image and all that a model sees in it, as pictures."""
    layers = {
        "image": found.picture,
        "colours": found.colours,
        "foreground": dim_ground(found.picture, found.foreground.mask),
        "parts": paint_parts(found.parts),
    }
    return layers if found.attention is None else layers | {"attention": paint_heat(found.attention)}


def draw_layers(title: str, note: str, images: Sequence[tuple[str, Layers]]) -> Picture:
    """Draw images one below the other, each with its layers side by side, and return a PNG.

    Args:
        title: Written large above.
        note: One line that says how to read it.
        images: The name of each, and its layers, all images the same ones.

    Raises:
        InputError: If there is nothing to draw.
    """
    if not images:
        raise InputError(f"{title!r} has nothing to draw: pass at least one image")
    names = list(images[0][1])
    rows = [(name, {layer: _fit(picture, _TILE) for layer, picture in layers.items()}) for name, layers in images]
    height = max(tile.height for _, tiles in rows for tile in tiles.values()) + _LINE + _GAP
    beside = 1 if len(images) <= _FEW else 2
    block = len(names) * (_TILE + _GAP) + _GAP
    down = -(-len(images) // beside)
    top = 2 * _GAP + _TITLE + 3 * _LINE
    page = Image.new("RGB", (max(_GAP + beside * block, 4 * (_TILE + _GAP)), top + down * height + _GAP), _PAPER)
    draw = ImageDraw.Draw(page)
    write_line(draw, (_GAP, _GAP), title, page.width - 2 * _GAP, _TITLE, _INK)
    write_line(draw, (_GAP, _GAP + _TITLE + 8), note, page.width - 2 * _GAP, _TEXT, _GREY)
    for number, (name, tiles) in enumerate(rows):
        left, y = _GAP + number // down * block, top + number % down * height
        for place, (layer, tile) in enumerate(tiles.items()):
            x = left + place * (_TILE + _GAP)
            page.paste(tile, (x + (_TILE - tile.width) // 2, y))
            if y == top:
                write_line(draw, (x, top - _LINE - 2), layer, _TILE, _TEXT, _INK)
        write_line(draw, (left, y + height - _LINE - _GAP + 2), name, block - 2 * _GAP, _TEXT, _GREY)
    return encode(page, "png")


def draw_matches(
    title: str,
    note: str,
    first: tuple[Pixels, tuple[int, int]],
    second: tuple[Pixels, tuple[int, int]],
    matches: PatchMatches,
) -> Picture:
    """Draw two images side by side, with lines between the patches that match, and return a PNG.

    Args:
        title: Written large above.
        note: One line that says how to read it.
        first: The first picture (h, w, 3), and how many rows and columns of patches it has.
        second: The same of the second.
        matches: The pairs; the 40 most similar are drawn.
    """
    tiles = [_fit(picture, _LARGE) for picture, _ in (first, second)]
    top, between = 2 * _GAP + _TITLE + 2 * _LINE, 4 * _GAP
    width = 2 * _GAP + tiles[0].width + between + tiles[1].width
    page = Image.new("RGB", (width, top + max(tile.height for tile in tiles) + _GAP), _PAPER)
    draw = ImageDraw.Draw(page)
    write_line(draw, (_GAP, _GAP), title, width - 2 * _GAP, _TITLE, _INK)
    write_line(draw, (_GAP, _GAP + _TITLE + 8), note, width - 2 * _GAP, _TEXT, _GREY)
    lefts = (_GAP, _GAP + tiles[0].width + between)
    for tile, left in zip(tiles, lefts, strict=True):
        page.paste(tile, (left, top))
    ends = []
    for places, tile, left, (_, (rows, columns)) in zip(
        (matches.first, matches.second), tiles, lefts, (first, second), strict=True
    ):
        ends.append((places[:_MATCHES, ::-1] + 0.5) / (columns, rows) * tile.size + (left, top))
    # the same place along the picture, the same colour: lines that cross others show
    order = np.argsort(np.argsort(ends[0][:, 1], kind="stable"))
    for number, (start, end) in enumerate(zip(*(each.tolist() for each in ends), strict=True)):
        colour = PALETTE[int(order[number]) % len(PALETTE)]
        draw.line((*start, *end), fill=_PAPER, width=4)
        draw.line((*start, *end), fill=colour, width=2)
        for x, y in (start, end):
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour, outline=_PAPER)
    return encode(page, "png")


def _fit(picture: Pixels, side: int) -> Image.Image:
    """Scale a picture to a longest side; one of few patches keeps their edges soft."""
    image = Image.fromarray(picture)
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)
