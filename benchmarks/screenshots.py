"""Makes screenshots and charts for ``benchmarks.quality``: ``python -m benchmarks.screenshots PHOTOS INTO``.

Needs Chromium. PHOTOS is a folder of photographs that the pages show.

Pages of eleven layouts (an article, a chat, settings, a table, code, mail, a shop, a feed, tiles of numbers, a form, a
lock screen) are filled with words of this project's documentation and with photographs, in random colours, sizes of
letters and scroll positions, light or dark, at the sizes of phones, tablets and desktops, and saved as PNG or as JPEG.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image

_DOCS = Path(__file__).parents[1] / "docs"
# width and height of the window, and pixels of the screen for each of it
_SCREENS = (
    (390, 844, 3),
    (412, 915, 2.625),
    (360, 640, 3),
    (820, 1180, 2),
    (1440, 900, 1),
    (1280, 720, 1.5),
    (1920, 1080, 1),
)
_HUES = ("#1a73e8", "#0a7d5a", "#d93025", "#6d28d9", "#e8710a", "#111827", "#0891b2", "#be185d")


def main() -> None:
    """Write the files: s000.png or s000.jpg and so on, and charts as c000."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--count", type=int, default=200, help="screenshots, and half as many charts")
    arguments = parser.parse_args()
    arguments.into.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    words = _words()
    drawn = {
        "c": charts(words, generator, arguments.count // 2),
        "s": screenshots(_smaller(arguments.photos), words, generator, arguments.count),
    }
    for letter, pictures in drawn.items():
        for number, picture in enumerate(pictures):
            ending, content = _saved(picture, generator)
            (arguments.into / f"{letter}{number:03d}{ending}").write_bytes(content)


def screenshots(photos: Sequence[bytes], words: list[str], generator: Generator, count: int) -> Iterator[bytes]:
    """Yield PNG files of screenshots of pages that show photographs (JPEG files) and words."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for _ in range(count):
            width, height, scale = _SCREENS[generator.integers(len(_SCREENS))]
            page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
            page.set_content(_page(generator, words, photos))
            page.evaluate("y => scrollTo(0, y)", float(generator.uniform(0, 400)))
            shot = page.screenshot()
            page.close()
            yield shot
        browser.close()


def charts(words: list[str], generator: Generator, count: int) -> Iterator[bytes]:
    """Yield PNG files of charts as matplotlib draws them: lines, bars, points, fields, shares."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    across = np.arange(40)
    for _ in range(count):
        with plt.style.context("dark_background" if generator.random() < 0.3 else "default"):
            figure, axes = plt.subplots(figsize=generator.uniform(4, 9, 2), dpi=int(generator.choice([72, 100, 150])))
            kind = int(generator.integers(5))
            if kind == 0:
                axes.plot(across, generator.normal(size=(40, 3)).cumsum(axis=0))
            elif kind == 1:
                axes.bar(across[:12], generator.uniform(1, 9, 12))
            elif kind == 2:
                axes.scatter(
                    generator.normal(size=500), generator.normal(size=500), s=generator.uniform(2, 60, 500), alpha=0.6
                )
            elif kind == 3:
                axes.imshow(generator.normal(size=(12, 12)).cumsum(axis=0), cmap="viridis")
            else:
                axes.pie(generator.uniform(1, 5, 6), labels=words[:6])
            axes.set_title(" ".join(generator.choice(words, 4)))
            if kind < 3 and generator.random() < 0.6:
                axes.grid()
            out = io.BytesIO()
            figure.savefig(out)
            plt.close(figure)
        yield out.getvalue()


def _smaller(folder: Path) -> list[bytes]:
    """Return some photographs of a folder, small, as JPEG files."""
    found = []
    for path in sorted(folder.rglob("*.jpg"))[::12]:
        image = Image.open(path).convert("RGB")
        image.thumbnail((640, 640))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=85)
        found.append(out.getvalue())
    return found


def _saved(png: bytes, generator: Generator) -> tuple[str, bytes]:
    """Return how the name ends and the file: a PNG as it is, or as often a JPEG of quality 85, as chats send it."""
    if generator.random() < 0.5:
        return ".png", png
    out = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(out, "JPEG", quality=85)
    return ".jpg", out.getvalue()


def _words() -> list[str]:
    told = " ".join(path.read_text("utf-8") for path in sorted(_DOCS.glob("*.md")))
    return re.findall(r"[A-Za-z]{2,}[a-z,.]*", told)


_STYLE = """
body { margin: 0; background: PAPER; color: INK; font: SIZE/1.45 LETTERS }
header { background: HUE; color: white; padding: 14px 16px; font-weight: 600 }
main { padding: 18px; max-width: 860px; margin: auto }
img { object-fit: cover; width: 100%; height: 260px; display: block }
td { border: 1px solid #8885; padding: 6px 10px }
table { border-collapse: collapse }
small { display: block; opacity: .65 }
.bubble { max-width: 70%; margin: 8px 12px; background: CARD; border-radius: 16px; padding: 9px 13px }
.bubble:nth-child(2n) { margin-left: auto; background: HUE; color: white }
.line { padding: 12px 16px; border-bottom: 1px solid #8883 }
.round { float: left; width: 38px; height: 38px; border-radius: 50%; background: HUE; margin-right: 12px }
.tiles { display: grid; gap: 12px; padding: 12px; grid-template-columns: repeat(auto-fill, minmax(160px, 1fr)) }
.card { background: CARD; border-radius: 10px; overflow: hidden; padding: 0 0 10px }
.card p { margin: 8px 12px }
.large { font-size: 30px; color: HUE }
.bar { height: 8px; background: HUE; margin: 0 12px }
.post { max-width: 640px; margin: 0 auto 14px }
.wall { position: fixed; inset: 0; height: 100%; z-index: -1 }
.note { background: CARD; margin: 10px 14px; padding: 12px 16px; border-radius: 16px }
.clock { color: white; text-align: center; font-size: 72px; margin: 90px 0 40px }
input { width: 90%; padding: 9px; margin: 5px 0 16px; border: 1px solid #8886; background: CARD; color: INK }
"""


def _page(generator: Generator, words: list[str], photos: Sequence[bytes]) -> str:
    """Return the HTML of one page."""

    def text(least: int, most: int) -> str:
        at = int(generator.integers(len(words) - most))
        return " ".join(words[at : at + int(generator.integers(least, most + 1))])

    def number(most: int = 9999) -> str:
        return str(generator.integers(most))

    def photo(name: str = "") -> str:
        held = b64encode(photos[int(generator.integers(len(photos)))]).decode()
        return f'<img class="{name}" src="data:image/jpeg;base64,{held}">'

    def code() -> str:
        indent = "&nbsp;" * int(4 * generator.integers(4))
        return f"<div>{indent}<b>{text(1, 1)}</b> = {text(1, 4).replace(' ', '_')}()</div>"

    header = f"<header>{text(1, 3)}</header>"
    # of each layout: what stands above, what is repeated, how often, and what is around that
    layouts: dict[str, tuple[str, Callable[[], str], int, str]] = {
        "article": (header + photo(), lambda: f"<p>{text(30, 90)}</p><h2>{text(2, 5)}</h2>", 15, "<main>"),
        "chat": (header, lambda: f'<div class="bubble">{text(2, 25)}</div>', 40, "<div>"),
        "settings": (header, lambda: f'<div class="line">{text(1, 4)}<small>{text(3, 9)}</small></div>', 30, "<div>"),
        "table": ("", lambda: f"<tr><td>{text(1, 2)}" + "".join(f"<td>{number()}" for _ in range(7)), 50, "<table>"),
        "code": ("", code, 70, '<main style="font-family:monospace">'),
        "mail": (
            header,
            lambda: f'<div class="line"><i class="round"></i>{text(1, 3)}<small>{text(5, 14)}</small></div>',
            30,
            "<div>",
        ),
        "shop": (
            header,
            lambda: f'<div class="card">{photo()}<p>{text(2, 5)}</p><p><b>{number(99)},99</b></p></div>',
            24,
            '<div class="tiles">',
        ),
        "feed": (header, lambda: f'<div class="card post"><p>{text(4, 18)}</p>{photo()}</div>', 9, "<div>"),
        "numbers": (
            "",
            lambda: f'<div class="card"><p>{text(1, 2)}<p class="large">{number()}<div class="bar"></div></div>',
            40,
            '<div class="tiles">',
        ),
        "form": ("", lambda: f'<label>{text(1, 4)}<input value="{text(1, 3)}"></label>', 20, "<main>"),
        "lock": (
            f'{photo("wall")}<div class="clock">{generator.integers(10, 24)}:42</div>',
            lambda: f'<div class="note"><b>{text(1, 3)}</b><br>{text(5, 15)}</div>',
            int(generator.integers(2, 6)),
            "<div>",
        ),
    }
    above, repeated, times, around = layouts[generator.choice(list(layouts))]
    is_dark = generator.random() < 0.4
    ink, paper, card = ("#e6e6e6", "#121417", "#1f2328") if is_dark else ("#1b1f24", "#ffffff", "#f1f3f5")
    chosen = {
        "INK": ink,
        "PAPER": paper,
        "CARD": card,
        "HUE": str(generator.choice(_HUES)),
        "SIZE": f"{generator.integers(13, 18)}px",
        "LETTERS": str(generator.choice(["sans-serif", "serif", "monospace"], p=[0.8, 0.15, 0.05])),
    }
    style = re.sub("|".join(chosen), lambda found: chosen[found[0]], _STYLE)
    return f"<style>{style}</style>{above}{around}{''.join(repeated() for _ in range(times))}"


if __name__ == "__main__":
    main()
