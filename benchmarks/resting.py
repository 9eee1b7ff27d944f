"""The explorer's map at rest: how much of it pictures cover, and how much of the canvas it fills.

``python -m benchmarks.resting DIR...`` takes collections, by default the 10,000 images that ship with dinoscope. The
free canvas is what neither the legend nor the tools stand on. ``--pictures FOLDER`` keeps what was seen, day and dark.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from benchmarks.explored import explored
from tests.watched import Visit, opened_browser

__all__ = ["main"]

_SIZES = ((1440, 900), (1280, 720), (820, 1180), (390, 844))  # of the window, in pixels
# Notes where the map's canvas draws pictures in its last frame, in its own pixels.
_WATCH = """
window.pictures = [];
const isMap = (brush) => brush.canvas.closest("[role=application]") !== null;
const clear = CanvasRenderingContext2D.prototype.clearRect;
CanvasRenderingContext2D.prototype.clearRect = function (...given) {
  if (isMap(this)) window.pictures = [];
  return clear.apply(this, given);
};
const put = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...given) {
  if (isMap(this)) window.pictures.push(given.slice(-4));
  return put.apply(this, given);
};
"""
_ABOVE = ".legend, .stage > .tools, .status .line, .chips"


class Rest(NamedTuple):
    """A map at rest: shares of the free canvas and of the canvas's width or height, pictures and their median side."""

    covered: float
    filled: float
    pictures: int
    side: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", type=Path, nargs="*", help="by default the demo's 10,000 images")
    parser.add_argument("--pictures", type=Path, help="where to keep what was seen")
    arguments = parser.parse_args()
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
    print("| collection | window | free canvas under pictures | canvas filled | pictures | their side |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for given in arguments.collections or [None]:
        with explored(given) as explorer, opened_browser() as browser:
            for size in _SIZES:
                see = Visit(browser, explorer.address, size)
                see.context.add_init_script(_WATCH)
                see.go()
                rest, images = _measured(see), see.count()
                for scheme in ("light", "dark") if arguments.pictures else ():
                    see.page.emulate_media(color_scheme=scheme)
                    see.settled()
                    name = f"{explorer.collection.stem}-{size[0]}x{size[1]}-{scheme}.png"
                    see.page.screenshot(path=arguments.pictures / name)
                see.close()
                print(
                    f"| {explorer.collection.stem}, {images:,} images | {size[0]} x {size[1]} | {rest.covered:.1%} | "
                    f"{rest.filled:.0%} | {rest.pictures} | {rest.side:.0f} px |",
                    flush=True,
                )


def _measured(see: Visit) -> Rest:
    look = np.asarray(Image.open(BytesIO(see.page.screenshot())).convert("RGB")).astype(int)
    box = see.map.bounding_box()
    left, top, width, height = (round(box[name]) for name in ("x", "y", "width", "height"))
    free = np.ones((height, width), bool)
    for part in see.page.locator(_ABOVE).all():
        over = part.bounding_box()
        if over is not None:
            x, y = round(over["x"]) - left, round(over["y"]) - top
            free[max(0, y) : max(0, y + round(over["height"])), max(0, x) : max(0, x + round(over["width"]))] = False
    drawn: list[Any] = see.page.evaluate("window.pictures")
    under = np.zeros_like(free)
    for x, y, wide, high in drawn:
        under[max(0, round(y)) : max(0, round(y + high)), max(0, round(x)) : max(0, round(x + wide))] = True
    canvas = look[top : top + height, left : left + width]
    ground = np.array(np.median(canvas.reshape(-1, 3), axis=0))
    rows, columns = ((np.abs(canvas - ground).max(axis=2) > 24) & free).nonzero()
    filled = max(np.ptp(columns) / width, np.ptp(rows) / height)
    side = float(np.median([max(wide, high) for _, _, wide, high in drawn])) if drawn else 0.0
    return Rest(float((under & free).sum() / free.sum()), float(filled), len(drawn), side)


if __name__ == "__main__":
    main()
