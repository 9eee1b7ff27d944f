"""Small pieces of HTML for the cells of a notebook. Their style is inline, for some front ends drop style sheets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from dinoscope.report.html import shorten, uri

__all__ = ["Tile", "calls", "heading", "sentence", "strip", "table"]

_SOFT = "opacity:.7"
_PIXELATED = 32  # side up to which a thumbnail is shown with its pixels, as a magnifier would
_SIDE = 84
_CAPTION = 22  # letters


@dataclass(frozen=True)
class Tile:
    """One picture of a strip.

    Attributes:
        picture: The bytes of a PNG or JPEG.
        captions: Lines below it.
        title: What appears when the pointer rests on it.
        size: Width and height in pixels; (0, 0) if unknown.
        box: A part to mark: left, top, width and height as shares of the sides.
        strong: Whether it stands out: the image that was asked about.
    """

    picture: bytes
    captions: tuple[str, ...] = ()
    title: str = ""
    size: tuple[int, int] = (0, 0)
    box: tuple[float, float, float, float] | None = None
    strong: bool = False


def heading(text: str, note: str = "") -> str:
    """Return a heading, with a note behind it in a softer tone."""
    soft = f' <span style="font-weight:normal;{_SOFT}">{escape(note)}</span>' if note else ""
    return f'<div style="font-weight:600;margin:10px 0 4px">{escape(text)}{soft}</div>'


def sentence(text: str) -> str:
    """Return a paragraph."""
    return f'<div style="margin:2px 0">{escape(text)}</div>'


def calls(lines: Iterable[tuple[str, str]]) -> str:
    """Return calls that could come next, each with what it does."""
    rows = "".join(
        f'<div><code>{escape(call)}</code> <span style="{_SOFT}">{escape(what)}</span></div>' for call, what in lines
    )
    return f'<div style="margin-top:8px">{rows}</div>'


def strip(tiles: Sequence[Tile]) -> str:
    """Return pictures side by side, as many in a line as fit."""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:8px;align-items:flex-start">'
        + "".join(map(_figure, tiles))
        + "</div>"
    )


def _figure(tile: Tile) -> str:
    small = 0 < max(tile.size) <= _PIXELATED
    look = f"width:{_SIDE}px;height:{_SIDE}px;object-fit:contain;display:block;background:rgba(128,128,128,.12)"
    look += ";image-rendering:pixelated" if small else ""
    edge = "outline:2px solid #2f5fc4;" if tile.strong else ""
    mark = _mark(tile) if tile.box else ""
    lines = "".join(
        f'<div style="overflow:hidden;text-overflow:ellipsis;white-space:nowrap{"" if at == 0 else ";" + _SOFT}">'
        f"{escape(shorten(text, _CAPTION))}</div>"
        for at, text in enumerate(tile.captions)
    )
    name = escape(tile.title or ", ".join(tile.captions), quote=True)
    return (
        f'<figure style="margin:0;width:{_SIDE}px;font-size:12px;line-height:1.3">'
        f'<div style="position:relative;{edge}">'
        f'<img src="{uri(tile.picture)}" alt="{name}" title="{name}" style="{look}">{mark}</div>{lines}</figure>'
    )


def _mark(tile: Tile) -> str:
    """Return the frame of a part, on a picture that keeps its aspect within a square."""
    assert tile.box is not None
    width, height = (max(1, side) for side in tile.size)
    scale = _SIDE / max(width, height)
    left, top, across, down = tile.box
    x, y = (_SIDE - width * scale) / 2 + left * width * scale, (_SIDE - height * scale) / 2 + top * height * scale
    return (
        f'<div style="position:absolute;left:{x:.1f}px;top:{y:.1f}px;width:{across * width * scale:.1f}px;'
        f'height:{down * height * scale:.1f}px;outline:2px solid #f0b000"></div>'
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str | float | int]]) -> str:
    """Return a table; numbers are on the right, floats with three decimals."""
    head = "".join(f'<th style="text-align:left;padding:2px 8px">{escape(each)}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cell(value: str | float | int) -> str:
    if isinstance(value, str):
        return f'<td style="text-align:left;padding:2px 8px;white-space:normal">{escape(value)}</td>'
    text = f"{value:,}" if isinstance(value, int) else "" if math.isnan(value) else f"{value:.3f}"
    return f'<td style="text-align:right;padding:2px 8px;font-variant-numeric:tabular-nums">{text}</td>'
