"""The explorer's page in a real browser, software WebGL: ``python -m benchmarks.page``.

First picture, frames while the map is dragged and the longest one when it rests again, memory, a filter on five
columns while it is drawn, search by upload. With ``--collection`` the server is dinoscope's; with ``--points`` a
stand-in serves so many synthetic points with thumbnails of noise, which says what the page alone can do.
"""

from __future__ import annotations

import argparse
import http.server
import io
import json
import shutil
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import dinoscope
import dinoscope.sources.datasets.named
from benchmarks.explored import explored

__all__ = ["main"]

_BROWSER = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
_TILE, _TILES = 32, 16  # pixels a side; columns and rows of a sheet
_OPENED = 5  # times the page is opened, each in a browser that has just started
_GROUPS = 20
# Notes when the first points and the first thumbnail are drawn, in milliseconds from the start of the navigation.
_WATCH = """
window.seen = {};
const draw = WebGL2RenderingContext.prototype.drawElements;
WebGL2RenderingContext.prototype.drawElements = function (...given) {
  if (!window.seen.points) requestAnimationFrame(() => setTimeout(() => { window.seen.points ??= performance.now(); }));
  return draw.apply(this, given);
};
const put = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (...given) {
  window.seen.thumbnail ??= performance.now();
  return put.apply(this, given);
};
"""
_DRAG = """async () => {
  const map = document.querySelector('[role=application]');
  map.setPointerCapture = () => {};
  const send = (type, x, y) => map.dispatchEvent(
    new PointerEvent(type, {pointerId: 1, button: 0, buttons: 1, clientX: x, clientY: y, bubbles: true}));
  send('pointerdown', 600, 360);
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < 5000) {
    await new Promise(requestAnimationFrame);
    frames += 1;
    send('pointermove', 600 + 150 * Math.sin(frames / 10), 360 + 100 * Math.cos(frames / 12));
  }
  const rate = 1000 * frames / (performance.now() - began);
  send('pointerup', 600, 360);
  let longest = 0;
  for (let last = performance.now(), end = last + 2000; last < end;) {
    await new Promise(requestAnimationFrame);
    await new Promise((then) => setTimeout(then));  // it has been drawn
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }
  return [rate, longest / 1000];
}"""

# Draws over a histogram; notes how long the counts and the map's next frame take for each step, in milliseconds.
_BRUSH = """async () => {
  const bars = document.querySelector('aside .bars');
  const box = bars.getBoundingClientRect();
  bars.setPointerCapture = () => {};
  const send = (type, share) => bars.dispatchEvent(
    new PointerEvent(type,
      {pointerId: 1, clientX: box.left + share * box.width, clientY: box.top + 9, bubbles: true}));
  let counted = 0;
  new MutationObserver(() => { counted = performance.now(); }).observe(
    document.querySelector('.chips .count'), {subtree: true, characterData: true, childList: true});
  const idle = [];
  for (let step = 0; step < 20; step++) {
    const began = performance.now();
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    idle.push(performance.now() - began);
  }
  send('pointerdown', 0.1);
  const steps = [];
  for (let step = 0; step < 40; step++) {
    await new Promise((then) => setTimeout(then, 20));
    const began = performance.now();
    send('pointermove', 0.4 + 0.5 * Math.abs(Math.sin(step)));
    await new Promise(requestAnimationFrame);  // what the map draws in
    await new Promise(requestAnimationFrame);  // it has been drawn
    steps.push({frame: performance.now() - began, counts: counted - began});
  }
  send('pointerup', 0.9);
  return {steps, idle};
}"""

# Whether every look-alike of an answer shows its thumbnail: a canvas is one pixel wide until it is drawn.
_PICTURED = """() => {
  const all = [...document.querySelectorAll('ul[aria-label="Look-alikes in the collection"] canvas')];
  return all.length > 0 && all.every((each) => each.width > 1);
}"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--collection", type=Path, help="by default the 10,000 images that ship with dinoscope")
    parser.add_argument("--points", type=int, nargs="*", default=[70_000, 1_000_000])
    arguments = parser.parse_args()
    print(
        "| points | first picture, s | first thumbnail, s | frames/s, whole map | longest at rest, s | "
        "frames/s, zoomed in | longest at rest, s | memory, GB |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |", flush=True)
    with explored(arguments.collection) as explorer:
        _measure(explorer.address, None)  # warms the server
        name = f"{len(dinoscope.Collection(explorer.collection)):,} images"
        _measure(explorer.address, f"{name}, dinoscope's server")
        searched = _search(explorer.address)
    brushed = []
    for count in arguments.points:
        handler = type("Handler", (_StandIn,), {"answers": _answers(count), "sheet": _sheet()})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        _measure(address, f"{count:,} synthetic")
        brushed.append((count, _brush(address)))
        server.shutdown()
    print(
        "\n| points, five columns filtered | counts, ms | slowest | next frame, ms | slowest | two empty frames, ms |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for count, told in brushed:
        print(f"| {count:,} | " + " | ".join(f"{each:.0f}" for each in told) + " |", flush=True)
    print(f"\nsearch by upload among {name}, from the file to the answer on the screen: {searched:.2f} s, median of 20")


def _search(address: str) -> float:
    """Upload images and wait for what the page says of each and for all its look-alikes; the median, in seconds."""
    from playwright.sync_api import sync_playwright

    pixels, seconds = dinoscope.sources.datasets.named.load_dataset("fashion-mnist-test").pixels[:21], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(address)
        answer = page.get_by_text("The mark on the map shows where it belongs.")
        for each in pixels:
            file = io.BytesIO()
            Image.fromarray(each).save(file, "PNG")
            page.wait_for_timeout(1500)  # the map has come to rest
            began = time.perf_counter()
            page.locator("input[type=file]").set_input_files(
                {"name": "image.png", "mimeType": "image/png", "buffer": file.getvalue()}
            )
            answer.wait_for()
            page.wait_for_function(_PICTURED)
            seconds.append(time.perf_counter() - began)
            page.keyboard.press("Escape")
            answer.wait_for(state="detached")
        browser.close()
    return statistics.median(seconds[1:])  # the first loads the model


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


def _measure(address: str, name: str | None) -> None:
    """Open the page, drag, zoom, drag again; print a row, of medians, if it has a name."""
    from playwright.sync_api import sync_playwright

    seen = []
    for number in range(_OPENED if name else 1):
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=_chromium(), args=_BROWSER)
            page = browser.new_page(viewport={"width": 1280, "height": 720}, bypass_csp=True)
            page.add_init_script(_WATCH)
            page.goto(address)
            page.wait_for_function("window.seen.thumbnail > 0 && window.seen.points > 0", timeout=120_000)
            seen.append(page.evaluate("window.seen"))
            page.wait_for_timeout(3000)
            if number == 0:
                moved = _drag(page)
                memory = _memory(browser)
            browser.close()
    if name:
        first = " | ".join(
            f"{statistics.median(each[what] for each in seen) / 1000:.2f}" for what in ("points", "thumbnail")
        )
        told = " | ".join(f"{rate:.0f} | {longest:.2f}" for rate, longest in moved)
        print(f"| {name} | {first} | {told} | {memory:.2f} |", flush=True)


def _memory(browser: Any) -> float:
    """Return what the page's and the graphics process hold, in GB; zero where there is no /proc."""
    told = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    files = [Path(f"/proc/{each['id']}/status") for each in told if each["type"] in ("renderer", "GPU")]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1e6


def _brush(address: str) -> tuple[float, ...]:
    """Draw over the histogram of one of five filtered columns.

    Returns:
        Median and most of the time to the counts, the same to the map's next frame, and the median of two frames in
        which nothing is drawn, in milliseconds.
    """
    from playwright.sync_api import sync_playwright

    asked = ["data%253Anumber%25200:range:0.1:0.9", *(f"data%253Anumber%2520{n}:range:0.05:0.95" for n in (1, 2))]
    asked += ["data%253Agroup%25203:not:0", "data%253Agroup%25204:not:1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 720}, bypass_csp=True)
        page.goto(f"{address}#panel=filter&filter={';'.join(asked)}")
        page.locator("aside .bars").nth(2).wait_for()
        page.wait_for_function("document.querySelectorAll('.chips li').length === 5")
        page.wait_for_timeout(3000)
        told = page.evaluate(_BRUSH)
        browser.close()
    counts, frames = ([each[what] for each in told["steps"]] for what in ("counts", "frame"))
    idle = statistics.median(told["idle"])
    return statistics.median(counts), max(counts), statistics.median(frames), max(frames), idle


def _drag(page: Any) -> list[tuple[float, float]]:
    """Return frames a second while the map is dragged, and seconds of the longest frame then: whole, and zoomed in."""
    whole = page.evaluate(_DRAG)
    page.mouse.move(600, 360)
    for _ in range(5):
        page.mouse.wheel(0, -200)
        page.wait_for_timeout(100)
    page.wait_for_timeout(2000)
    return [whole, page.evaluate(_DRAG)]


def _answers(count: int) -> dict[str, tuple[str, bytes]]:
    """Return what the stand-in answers to each path: groups of points, one model, one map, one column."""
    random = np.random.default_rng(0)
    group = random.integers(0, _GROUPS, count).astype(np.uint16)
    centers = random.uniform(-0.75, 0.75, (_GROUPS, 2))
    points = np.clip(centers[group] + random.normal(0, 0.1, (count, 2)), -1, 1)
    label = {
        "kind": "category",
        "name": "label",
        "title": "Label",
        "description": "",
        "values": [f"group {number}" for number in range(_GROUPS)],
        "counts": np.bincount(group).tolist(),
    }
    view = {
        "key": "m",
        "count": count,
        "state": "s",
        "columns": [label],
        "failures": [],
        "maps": [{"id": "umap", "title": "UMAP", "settings": {}, "ready": True}],
        "sheets": {
            "tile": _TILE,
            "columns": _TILES,
            "rows": _TILES,
            "count": -(-count // _TILES**2),
            "positions": None,
        },
    }
    model = {"key": "m", "name": "m", "dim": 8, "resolution": 28, "pooling": "cls", "images": count, "patches": True}
    info = {
        "name": "synthetic",
        "kind": "array",
        "version": "",
        "model": "m",
        "models": [model],
        "live": False,
        "originals": False,
    }
    numbers = [random.random(count, np.float32) for _ in range(3)]
    groups = [random.integers(0, 8, count).astype(np.float32) for _ in range(2)]
    empty: dict[str, Any] = {"missing": 0, "distinct": 8, "low": None, "high": None, "values": [], "private": False}
    columns = [{**empty, "name": f"number {n}", "kind": "number", "low": 0, "high": 1} for n in range(3)]
    for n, codes in enumerate(groups, 3):
        values = [{"value": str(code), "count": int((codes == code).sum())} for code in range(8)]
        columns.append({**empty, "name": f"group {n}", "kind": "category", "values": values})
    plain = {
        **{f"/api/models/m/columns/{n}/values": values for n, values in enumerate([*numbers, *groups])},
        "/api/models/m/rows": np.arange(count, dtype="<u4"),
        "/api/models/m/maps/umap": np.round((points + 1) * 32767.5).astype("<u2"),
        "/api/models/m/columns/label": group,
    }
    return {
        "/api/collection": ("application/json", json.dumps(info).encode()),
        "/api/models/m": ("application/json", json.dumps(view).encode()),
        "/api/models/m/columns": ("application/json", json.dumps({"columns": columns}).encode()),
        **{path: ("application/octet-stream", values.tobytes()) for path, values in plain.items()},
    }


class _StandIn(http.server.BaseHTTPRequestHandler):
    answers: dict[str, tuple[str, bytes]]
    sheet: bytes

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if "/sheets/" in path:
            kind, body = "image/webp", self.sheet
        elif path in self.answers:
            kind, body = self.answers[path]
        else:
            file = Path(dinoscope.__file__).parent / "web" / path.removeprefix("/")
            file = file / "index.html" if path == "/" else file
            kinds = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
            kind, body = kinds.get(file.suffix, "text/plain"), file.read_bytes() if file.is_file() else b""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def _sheet() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (_TILE * _TILES // 4,) * 2, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((_TILE * _TILES,) * 2).convert("RGB").save(file, "WEBP", quality=70)
    return file.getvalue()


if __name__ == "__main__":
    main()
