"""Make the pictures of the README from a collection: ``python -m docs.pictures photos.dino LABEL``.

The map with its images (map.png), the explorer with an image open (explorer.png) and a short film of the explorer
(explorer.webp): hover over an image of the label, click it, draw a lasso. Needs the built page and Chromium.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.plots.collection import collection_image_map
from dinoscope.storage.files import write_bytes
from tests.watched import Visit, opened_browser, served

__all__ = ["main"]

DOCS = Path(__file__).parent
SIZE = (1280, 760)  # of the window, in pixels
_WIDTH = 960  # of the film
_MOST = 2_000_000  # bytes of the film
# Browsers without a screen draw no pointer.
_POINTER = """() => {
  const dot = document.createElement("div");
  dot.id = "pointer";
  dot.style.cssText = `position: fixed; left: -50px; z-index: 99; width: 18px; height: 18px; margin: -9px;
    border: 2px solid white; border-radius: 50%; background: rgb(240 144 24 / .75); pointer-events: none`;
  document.body.append(dot);
  addEventListener("pointermove", (event) => {
    dot.style.left = `${event.clientX}px`;
    dot.style.top = `${event.clientY}px`;
  }, true);
}"""


@dataclass
class Film:
    """Frames and how long each is shown, in milliseconds."""

    see: Visit
    frames: list[Image.Image] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    at: tuple[float, float] = (SIZE[0] / 2, SIZE[1] - 40.0)

    def take(self, milliseconds: int) -> None:
        """Add the window as it looks now."""
        frame = Image.open(io.BytesIO(self.see.page.screenshot())).convert("RGB")
        height = round(_WIDTH * frame.height / frame.width)
        self.frames.append(frame.resize((_WIDTH, height), Image.Resampling.LANCZOS))
        self.shown.append(milliseconds)

    def move(self, x: float, y: float, steps: int = 8) -> None:
        """Move the pointer, slower at both ends."""
        left, top = self.at
        for step in range(1, steps + 1):
            share = (1 - np.cos(np.pi * step / steps)) / 2
            self.see.page.mouse.move(left + share * (x - left), top + share * (y - top))
            self.take(60)
        self.at = (x, y)

    def encoded(self) -> bytes:
        """Return the film as WebP, as good as it may be in ``_MOST`` bytes."""
        for quality in range(80, 0, -10):
            out = io.BytesIO()
            first, *others = self.frames
            first.save(
                out, "WEBP", save_all=True, append_images=others, duration=self.shown, loop=0, quality=quality, method=6
            )
            if len(out.getvalue()) <= _MOST:
                return out.getvalue()
        raise AssertionError(f"the film is larger than {_MOST:,} bytes")


def _film(see: Visit, label: str) -> tuple[bytes, bytes]:
    """Return a picture of the window with an image open, and the film."""
    film = Film(see)
    see.page.evaluate(_POINTER)
    film.take(900)
    film.move(*see.heart_of(label))
    see.tip.wait_for()
    film.take(1200)
    see.page.mouse.click(*film.at)
    see.panel.get_by_text("its true neighbours").wait_for()
    see.settled()
    film.take(2400)
    hidden = "document.getElementById('pointer').hidden = {}"
    see.page.evaluate(hidden.format("true"))
    still = see.page.screenshot()
    see.page.evaluate(hidden.format("false"))
    see.page.keyboard.press("Escape")  # an image that is open pales the others
    see.settled()
    places = see.places_of(label, frames=True)
    middle, reach = np.median(places, axis=0), 90.0
    turns = np.linspace(0, 2 * np.pi, 25)
    corners = [(float(middle[0] + reach * np.cos(turn)), float(middle[1] + reach * np.sin(turn))) for turn in turns]
    tool = see.page.get_by_role("button", name="Lasso").bounding_box()
    assert tool is not None
    film.move(tool["x"] + tool["width"] / 2, tool["y"] + tool["height"] / 2)
    see.page.mouse.click(*film.at)
    film.move(*corners[0])
    see.page.mouse.down()
    for corner in corners[1:]:
        film.move(*corner, steps=1)
    see.page.mouse.up()
    film.move(SIZE[0] / 2, SIZE[1] - 40)  # no tip over what was chosen
    see.settled()
    film.take(2600)
    return still, film.encoded()


def main(folder: Path, label: str) -> None:
    """Write the three pictures.

    Args:
        folder: A collection with labels.
        label: The label of the image that is clicked.
    """
    collection = Collection(folder)
    drawn = Image.open(io.BytesIO(collection_image_map(collection, collection.map(), dark=False)))
    out = io.BytesIO()
    drawn.convert("RGB").quantize(256).save(out, "PNG", optimize=True)  # a third of the size
    write_bytes(DOCS / "map.png", out.getvalue())
    with served(folder) as address, opened_browser() as browser:
        see = Visit(browser, address, SIZE).go()
        still, film = _film(see, label)
        see.close()
    write_bytes(DOCS / "explorer.png", still)
    write_bytes(DOCS / "explorer.webp", film)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
