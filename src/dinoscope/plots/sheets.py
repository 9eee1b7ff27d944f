"""Sheets of images: findings as blocks of pictures with captions, on one page."""

from __future__ import annotations

import io
import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dinoscope.errors import InputError
from dinoscope.plots.canvas import Picture, encode
from dinoscope.plots.fonts import drawable, font_files

__all__ = ["Block", "Frame", "Tile", "draw_sheet", "light_up", "write_line"]

Frame = Literal["keep", "doubt", "none"]
_COLUMNS = 8  # tiles across a page
_TILE = 112  # pixels a side
_GAP = 14
_TITLE, _TEXT = 19, 12  # pixels
_LINE = 16  # height of a line of text
_FADED, _VEIL = 0.15, "#8b909a"  # how much is still seen of what does not matter, and what lies over it
_INK, _GREY, _PAPER = "#1d2026", "#5d636d", "#ffffff"
_FRAMES: dict[Frame, str] = {"keep": "#189c90", "doubt": "#c03054", "none": "#d5d9df"}  # a white picture needs an edge


@dataclass(frozen=True)
class Tile:
    """One picture: its position, one or two lines below it, the colour of its frame, and a part to mark in it.

    The part is left, top, width and height as shares of its sides.
    """

    position: int
    caption: tuple[str, ...]
    frame: Frame = "none"
    part: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Block:
    """One finding: a line above, and its pictures."""

    heading: str
    tiles: tuple[Tile, ...]


def draw_sheet(
    title: str, note: str, blocks: Sequence[Block], thumbnails: Callable[[list[int]], list[bytes]]
) -> Picture:
    """Draw blocks of pictures, as many beside each other as fit, and return a PNG.

    Args:
        title: Written large above.
        note: One line that says how to read it.
        blocks: What to show; of a long block the tiles that fit into the width are shown.
        thumbnails: Gives the encoded pictures at some positions.

    Raises:
        InputError: There is nothing to draw.
    """
    if not blocks:
        raise InputError(f"{title!r} has nothing to draw: pass at least one block")
    shown = [Block(each.heading, each.tiles[:_COLUMNS]) for each in blocks]
    positions = [tile.position for block in shown for tile in block.tiles]
    pictures = dict(zip(positions, thumbnails(positions), strict=True))
    lines = max(len(tile.caption) for block in shown for tile in block.tiles)
    height = _LINE + 6 + _TILE + 4 + lines * _LINE + 2 * _GAP
    places, across, down = [], _GAP, 0
    width = _GAP + _COLUMNS * (_TILE + _GAP) + 3 * _GAP  # room between four pairs
    for block in shown:
        needed = len(block.tiles) * (_TILE + _GAP) + _GAP
        if across > _GAP and across + needed - _GAP > width:
            across, down = _GAP, down + 1
        places.append((across, down))
        across += needed
    top = 2 * _GAP + _TITLE + 2 * _LINE
    page = Image.new("RGB", (width, top + (down + 1) * height), _PAPER)
    draw = ImageDraw.Draw(page)
    write_line(draw, (_GAP, _GAP), title, width - 2 * _GAP, _TITLE, _INK)
    write_line(draw, (_GAP, _GAP + _TITLE + 8), note, width - 2 * _GAP, _TEXT, _GREY)
    for block, (x, line) in zip(shown, places, strict=True):
        y = top + line * height
        write_line(draw, (x, y), block.heading, len(block.tiles) * (_TILE + _GAP) - _GAP, _TEXT, _INK)
        for number, tile in enumerate(block.tiles):
            _draw_tile(page, draw, tile, pictures[tile.position], (x + number * (_TILE + _GAP), y + _LINE + 6))
    return encode(page, "png")


def light_up(picture: bytes, heat: NDArray[np.float32]) -> bytes:
    """Veil a picture where nothing in it matters.

    Args:
        picture: Encoded.
        heat: How much each place matters (H, W), in any unit; what is not above 0 does not.

    Returns:
        A PNG.
    """
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    strength = np.maximum(heat, 0) / max(float(heat.max()), 1e-9)
    shown = _FADED + (1 - _FADED) * strength
    mask = Image.fromarray((255 * shown).astype(np.uint8)).resize(image.size, Image.Resampling.BICUBIC)
    return encode(Image.composite(image, Image.new("RGB", image.size, _VEIL), mask), "png")


def _draw_tile(page: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, picture: bytes, at: tuple[int, int]) -> None:
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    scale = min(_TILE / image.width, _TILE / image.height)
    if scale > 2:  # whole pixels: a small picture is shown as it is
        scale, how = int(scale), Image.Resampling.NEAREST
    else:
        how = Image.Resampling.LANCZOS
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    left, top = at[0] + (_TILE - size[0]) // 2, at[1] + (_TILE - size[1]) // 2
    page.paste(image.resize(size, how), (left, top))
    wide = 1 if tile.frame == "none" else 3
    edges = (left - wide, top - wide, left + size[0] + wide - 1, top + size[1] + wide - 1)
    draw.rectangle(edges, outline=_FRAMES[tile.frame], width=wide)
    if tile.part is not None:
        x, y, across, down = (share * size[axis % 2] for axis, share in enumerate(tile.part))
        mark = (left + x, top + y, left + x + across - 1, top + y + down - 1)
        draw.rectangle(mark, outline=_PAPER, width=4)  # seen on dark and on light
        draw.rectangle((mark[0] + 1, mark[1] + 1, mark[2] - 1, mark[3] - 1), outline=_FRAMES["doubt"], width=2)
    for number, line in enumerate(tile.caption):
        place = (at[0], at[1] + _TILE + 6 + number * _LINE)
        write_line(draw, place, line, _TILE, _TEXT, _GREY if number else _INK)


def write_line(draw: ImageDraw.ImageDraw, at: tuple[int, int], text: str, room: int, size: int, ink: str) -> None:
    """Write one line, its middle left out where it does not fit: the end of a path says most."""
    line = drawable(" ".join(text.split()))
    if _length(draw, line, size) > room:
        fitting = bisect_right(
            range(1, len(line)), room, key=lambda kept: math.ceil(_length(draw, _shortened(line, kept), size))
        )
        line = _shortened(line, max(1, fitting))
    left, base = at[0], at[1] + _font(size).getmetrics()[0]
    for piece, file in font_files(line):
        draw.text((left, base), piece, ink, _font(size, file), anchor="ls")
        left += math.ceil(draw.textlength(piece, _font(size, file)))


def _length(draw: ImageDraw.ImageDraw, line: str, size: int) -> float:
    return sum(draw.textlength(piece, _font(size, file)) for piece, file in font_files(line))


def _shortened(line: str, kept: int) -> str:
    end = kept // 2
    return f"{line[: kept - end]}…{line[len(line) - end :]}"


@cache
def _font(size: int, file: str = "") -> ImageFont.FreeTypeFont:
    from matplotlib.font_manager import FontProperties, findfont

    return ImageFont.truetype(file or str(findfont(FontProperties())), size)
