"""The explorer in a real browser, as a person sees it: its pixels, its words, its address, and what it asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, find_objects, label

from tests import PATIENCE, ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PAGE = ROOT / "src" / "dinoscope" / "web" / "index.html"
ARTEFACTS = Path(os.environ.get("DINOSCOPE_ARTEFACTS", ROOT / "artefacts"))
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
# WebGL by the processor: what a machine without a graphics card has
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
WIDE, TABLET, PHONE = (1280, 720), (820, 1180), (390, 780)  # pixels of a window
_STILL = 5  # looks, two frames and 20 ms apart, at which nothing was drawn: the map is at rest

Pixels = NDArray[np.int16]
Point = tuple[float, float]


def needed() -> None:
    """Skip what needs a browser where there is none, or no page; where changes are accepted that is a failure."""
    lacking = [
        what
        for what, present in (
            ("Chromium, such as by apt-get install chromium", CHROMIUM is not None),
            ("the page: make web", PAGE.is_file()),
            ("axe-core: make web", AXE.is_file()),
        )
        if not present
    ]
    if lacking and os.environ.get("CI") == "true":
        pytest.fail(f"missing: {', '.join(lacking)}")
    if lacking:
        pytest.skip(f"missing: {', '.join(lacking)}")


@contextmanager
def served(collection: Path, *options: str) -> Iterator[str]:
    """Run ``dinoscope explore``; yields its address."""
    command = [sys.executable, "-m", "dinoscope", "explore", str(collection), "--no-browser", "--port", "0"]
    token = () if "--token" in options else ("--no-token",)
    with subprocess.Popen([*command, *token, *options], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        later: list[str] = []
        reading = Thread(target=lambda: later.extend(process.stderr or ()), daemon=True)  # a full pipe would hold it up
        try:
            said = ""
            # that images are missing is said before the address
            while not (address := re.search(r"http://\S+", said)):
                line = process.stderr.readline()
                assert line, f"explore has ended: {said}"
                said += line
            reading.start()
            yield address[0]
        finally:
            process.kill()
            if reading.is_alive():
                reading.join()
            sys.stdout.writelines(later)  # shown where a test fails


@contextmanager
def opened_browser() -> Iterator[Any]:
    """Start Chromium; yields Playwright's browser."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=1000 * PATIENCE)  # of each; what comes later than what was waited for is expected
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def shapes_of(places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixels (M, 2) that belong to points, and the middles of frames that touch no other (F, 2)."""
    pixels = places.astype(int)
    mask = np.zeros(pixels.max(axis=0, initial=0) + 1, bool)
    mask[tuple(pixels.T)] = True
    names, _ = label(mask, np.ones((3, 3)))
    solid, middles = [0], [np.empty(2)]
    for name, box in enumerate(find_objects(names), 1):
        sides = [each.stop - each.start for each in box]
        share = (names[box] == name).mean()
        if min(sides) > 1 and share > 0.4:  # what is left of a frame's line is one pixel wide
            solid.append(name)
        elif min(sides) > 8 and abs(sides[0] - sides[1]) < 4:
            middles.append(np.array([(each.start + each.stop) / 2 for each in box]))
    return places[np.isin(names[tuple(pixels.T)], solid[1:])], np.array(middles[1:], float).reshape(-1, 2)


class Visit:
    """One person's look at the explorer: a fresh window, and all that went wrong in it."""

    def __init__(
        self,
        browser: Any,
        address: str,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        still: bool = True,
        is_new: bool = False,
        touch: bool = False,
    ) -> None:
        self.address = address
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
            has_touch=touch,
            is_mobile=touch,
        )
        self.context.set_default_timeout(1000 * PATIENCE)
        self.context.add_init_script(_COUNT)
        if not is_new:
            self.context.add_init_script("try { localStorage.setItem('dinoscope.met', '1') } catch {}")
        self.page = self.context.new_page()
        self._devtools = self.context.new_cdp_session(self.page)
        self.mistakes: list[str] = []
        self._colours: dict[str, NDArray[np.int16]] = {}
        self.page.on("console", lambda message: self._note(message.type, f"{message.text} {message.location['url']}"))
        self.page.on("pageerror", lambda error: self.mistakes.append(str(error)))
        self.page.on("request", lambda request: self._ask(request.url))

    def _note(self, kind: str, text: str) -> None:
        # the driver of software WebGL remarks that reading pixels is slow: for its maker, not for the page
        if kind in ("error", "warning") and "GPU stall" not in text:
            self.mistakes.append(f"{kind}: {text}")

    def _ask(self, url: str) -> None:
        if not url.startswith((self.address, "blob:", "data:")):
            self.mistakes.append(f"asked for {url}")

    def go(self, state: str = "") -> Visit:
        """Open the page, perhaps at a state of the address, and wait for the first picture."""
        return self._opened(lambda: self.page.goto(f"{self.address}{state}"))

    def reload(self) -> Visit:
        """Open the page at its own address again."""
        return self._opened(self.page.reload)

    def _opened(self, load: Callable[[], object]) -> Visit:
        if self.address.startswith("file:"):  # which holds its thumbnails
            load()
            if "=" not in self.page.url.partition("#")[2]:  # the report opens with its document
                self.page.get_by_role("button", name="Explore", exact=True).click()
        else:
            with self.page.expect_response(lambda response: "/sheets/" in response.url):
                load()
        self.map.wait_for()
        self._rest()
        return self

    def count(self) -> int:
        """Images on the map, as it is called."""
        return int(re.findall(r"of ([\d,]+) images", self.map.get_attribute("aria-label"))[0].replace(",", ""))

    def close(self) -> None:
        """End the visit. What the page said last is written: where a test fails, that is shown with it."""
        try:
            if not self.page.is_closed():
                said = self.page.evaluate(_SAID)
                sys.stdout.writelines(f"{line}\n" for line in [self.page.url, *said, *self.mistakes])
        finally:
            self.context.close()

    # ---- what is seen

    @property
    def map(self) -> Any:
        """The map, or the first of two."""
        return self.page.get_by_role("application").first

    @property
    def panel(self) -> Any:
        """The panel that is open."""
        return self.page.get_by_role("complementary")

    @property
    def row(self) -> int | None:
        """The image that the address names."""
        found = re.search(r"[#&]row=(\d+)", self.page.url)
        return int(found[1]) if found else None

    @property
    def tip(self) -> Any:
        """What appears beside the image under the pointer."""
        return self.page.locator(".tip")

    def pixels(self) -> Pixels:
        """The map as it looks now (H, W, 3)."""
        box = self.map.bounding_box()
        edges = (box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"])
        shot = Image.open(BytesIO(self._picture())).crop(tuple(round(edge) for edge in edges))
        return np.asarray(shot.convert("RGB")).astype(np.int16)

    def settled(self) -> Pixels:
        """The map when it has come to rest."""
        self._rest()
        return self.pixels()

    def _picture(self) -> bytes:
        """The window as it looks now, as PNG: in half the time of Playwright's own."""
        taken = self._devtools.send("Page.captureScreenshot", {"format": "png", "optimizeForSpeed": True})
        return b64decode(taken["data"])

    def _rest(self) -> None:
        """Wait until the map has been drawn and for a while nothing was, and nothing is fetched or computed."""
        before, same = 0, 0
        for _ in range(20 * PATIENCE):
            drawn = self.page.evaluate(_AT_REST)
            same = same + 1 if drawn == before > 0 else 0
            if same == _STILL:
                return
            before = drawn
            self.page.wait_for_timeout(20)
        raise AssertionError("the map does not come to rest")

    def colour_of(self, value: str) -> NDArray[np.int16]:
        """The colour that the legend gives a value, or gave it before it was switched off (3)."""
        if value not in self._colours:
            dot = self.legend(value).locator(".dot")
            found: str = dot.evaluate("dot => getComputedStyle(dot).backgroundColor")
            self._colours[value] = np.array([int(part) for part in re.findall(r"\d+", found)], np.int16)
        return self._colours[value]

    def legend(self, value: str) -> Any:
        """The legend's button of a value."""
        return self.page.get_by_role("region", name="Legend").get_by_role("button", name=f"{value}: ")

    def places_of(self, value: str, frames: bool = False) -> NDArray[np.float64]:
        """Where the map shows the colour of a value, in pixels of the window (M, 2)."""
        same = np.abs(self.settled() - self.colour_of(value)).max(axis=2) < 12
        near = (same if frames else binary_erosion(same, np.ones((3, 3)))).nonzero()
        box = self.map.bounding_box()
        places = np.stack([near[1] + box["x"], near[0] + box["y"]], axis=1).astype(float)
        for other in self.page.locator("#app .legend, #app .tools").all():
            over = other.bounding_box()
            inside = (places >= [over["x"], over["y"]]) & (
                places < [over["x"] + over["width"], over["y"] + over["height"]]
            )
            places = places[~inside.all(axis=1)]
        return places

    def heart_of(self, value: str) -> Point:
        """A point of this colour in the middle of the others."""
        places = shapes_of(self.places_of(value))[0]
        if not len(places):  # thumbnails hide all points: the middle of one is the point that it stands for
            frames = self.places_of(value, frames=True)
            middles = shapes_of(frames)[1]
            places = middles if len(middles) else frames  # frames that touch: each belongs to its thumbnail, too
        assert len(places), f"nothing on the map has the colour of {value}"
        middle = np.median(places, axis=0)
        x, y = places[np.argmin(np.abs(places - middle).sum(axis=1))]
        return float(x), float(y)

    def width_of(self, picture: Any) -> int:
        """How many pixels wide the file is that a picture shows, once it has come."""
        return int(picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)"))

    def lasso(self, corners: list[Point]) -> None:
        """Draw a lasso with the Shift key held."""
        mouse = self.page.mouse
        self.page.keyboard.down("Shift")
        mouse.move(*corners[0])
        mouse.down()
        for corner in [*corners[1:], corners[0]]:
            mouse.move(*corner, steps=4)
        mouse.up()
        self.page.keyboard.up("Shift")

    def choose(self, name: str, value: str) -> None:
        """Choose in one of the bar's lists."""
        label = self.page.locator("label").filter(has=self.page.get_by_text(name, exact=True))
        option = label.locator("option").filter(has_text=re.compile(f"^{re.escape(value)}"))
        label.locator("select").select_option(option.first.get_attribute("value"))

    def open_panel(self, name: str) -> Any:
        """Open a panel by its tab; returns it."""
        self.page.get_by_role("navigation", name="Panels").get_by_role("button", name=name).click()
        self.page.get_by_role("complementary", name=name).wait_for()
        return self.panel

    def click_an_image(self, value: str) -> None:
        """Click an image of this label and wait for all that the panel tells of it."""
        self.page.mouse.click(*self.heart_of(value))
        self.panel.get_by_role("list", name="Nearest neighbours").wait_for()
        self.panel.get_by_text("its true neighbours").wait_for()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds."""
        for _ in range(10 * PATIENCE):
            if holds():
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{what}; the address is {self.page.url}")

    # ---- what is kept, and what must hold in every state

    def keep(self, name: str) -> None:
        """Keep a picture of the window."""
        folder = ARTEFACTS / "explorer"
        folder.mkdir(parents=True, exist_ok=True)
        self._rest()
        (folder / f"{name}.png").write_bytes(self._picture())

    def hindrances(self) -> list[str]:
        """What axe finds that keeps people from reading or using what is shown."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
            for violation in found["violations"]
            for node in violation["nodes"]
        ]

    def overlaps(self) -> list[str]:
        """Parts of the page that stick out of the window or lie on each other."""
        return list(self.page.evaluate(_OVERLAPS))


# Counts what is drawn on the map and what is waited for.
_COUNT = """
window.drawn = 0;
window.awaited = 0;
function count(object, names, note) {
  for (const name of names) {
    const own = object[name];
    object[name] = function (...all) {
      return note(own.apply(this, all));
    };
  }
}
const gl = ["clear", "drawArrays", "drawArraysInstanced", "drawElements", "drawElementsInstanced"];
const brush = ["clearRect", "drawImage", "fill", "fillRect", "stroke"];
for (const [kind, names] of [[WebGL2RenderingContext, gl], [CanvasRenderingContext2D, brush]])
  count(kind.prototype, names, () => void window.drawn++);
const awaits = (promise) => {
  window.awaited++;
  promise.catch(() => {}).then(() => window.awaited--);
  return promise;
};
count(window, ["fetch", "createImageBitmap"], awaits);
count(Response.prototype, ["arrayBuffer", "blob", "json", "text"], awaits);
"""
# after a frame: on a busy machine one that was asked for comes late
_AT_REST = """new Promise((tell) => requestAnimationFrame(() => requestAnimationFrame(() =>
  tell(document.querySelector(".busy") || window.awaited ? 0 : window.drawn))))"""

_SAID = '[...document.querySelectorAll(".status, aside.panel")].map((each) => each.innerText)'

_OVERLAPS = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
  if (root.scrollHeight > root.clientHeight) found.push(`the page is ${root.scrollHeight} high`);
  const above = [".legend", ".stage > .tools", ".status .line", ".chips"];
  const names = ["header.bar", "[role=application]", "aside.panel", ".rail", ...above];
  const shown = (name) => [...document.querySelectorAll(name)].filter((element) => element.getClientRects().length > 0);
  const parts = names.flatMap((name) => shown(name).map((element) => ({name, element})));
  const over = (name) => above.includes(name);
  const boxes = parts.map(({name, element}) => ({name, box: element.getBoundingClientRect(), element}));
  for (const {name, box} of boxes) {
    if (box.left < -0.5 || box.top < -0.5 || box.right > innerWidth + 0.5 || box.bottom > innerHeight + 0.5)
      found.push(`${name} sticks out: ${JSON.stringify(box)}`);
    if (box.width < 8 || box.height < 8) found.push(`${name} is squeezed: ${JSON.stringify(box)}`);
  }
  boxes.forEach((one, index) => boxes.slice(index + 1).forEach((other) => {
    if (over(one.name) !== over(other.name) && [one.name, other.name].includes("[role=application]")) return;
    const wide = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
    const high = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
    if (wide > 1 && high > 1) found.push(`${one.name} lies on ${other.name}`);
  }));
  const rows = document.querySelectorAll("header.bar, .choices, aside.panel, .rail, .pane");
  for (const element of rows)
    if (element.scrollWidth > element.clientWidth + 1) found.push(`${element.className} is cut at its side`);
  return found;
}"""
