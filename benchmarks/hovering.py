"""What a hover over a patch and a search by one cost, up to the screen; ``benchmarks.patches --only hover``.

The model is a ViT-S/16 with random weights at 224 pixels, 14 x 14 patches of 384 numbers. The page shows 300
photographs whose tokens are kept. The search is among 10,000 images, whose tokens are drawn at random and kept as those
of a model are: what a search costs does not depend on what they say.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from benchmarks.explored import explored
from dinoscope.collection import Collection
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset
from tests.checkpoints import save_vit
from tests.watched import opened_browser

__all__ = ["print_hover"]

_SIDE, _DIM, _DEPTH, _PATCH = 224, 384, 12, 16
_GRID = _SIDE // _PATCH
_TIMES = 12

# Points at patches one after another; notes the milliseconds until the frame after the one that shows the change, the
# same where nothing changes, the part of it in which the page works, and how many of the pictures changed.
_HOVER = """async () => {
  const stage = document.querySelector('.stage.first');
  const box = stage.getBoundingClientRect();
  const pictures = [...document.querySelectorAll('.pictures canvas')];
  const pixels = () => pictures.map((each) => {
    return each.getContext('2d').getImageData(0, 0, each.width, each.height).data.join();
  });
  const frames = async () => {
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
  };
  const idle = [], steps = [], work = [];
  let changed = 0;
  let before = pixels();
  for (let step = 0; step < 60; step++) {
    let began = performance.now();
    await frames();
    idle.push(performance.now() - began);
    const [x, y] = [(0.05 + 0.37 * step) % 1, (0.11 + 0.23 * step) % 1];
    began = performance.now();
    stage.dispatchEvent(new PointerEvent('pointermove',
      {clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true}));
    await new Promise(queueMicrotask);
    work.push(performance.now() - began);
    await frames();
    steps.push(performance.now() - began);
    const now = pixels();
    changed += now.filter((each, at) => each !== before[at]).length;
    before = now;
  }
  return {idle, steps, work, changed: changed / 60, pictures: pictures.length};
}"""


def print_hover(photos: NDArray[np.uint8]) -> None:
    """Print both tables.

    Args:
        photos: uint8 (N, h, w, 3).
    """
    with TemporaryDirectory() as place:
        weights = str(save_vit(Path(place, "vit"), "dinov3", dim=_DIM, depth=_DEPTH, patch=_PATCH))
        made = Collection.from_images(photos, Path(place, "seen"), model=Encoder(weights, resolution=_SIDE))
        plan = made.keep_tokens(weights=weights)
        print(f"\n{plan.missing} images, {plan.size / 1e6:.0f} MB of tokens", flush=True)
        with explored(made.path, "--weights", weights) as server:
            _print_hover(server.address, made)
        shallow = str(save_vit(Path(place, "shallow"), "dinov3", dim=_DIM, depth=1, patch=_PATCH))
        many = _planted(Path(place, "many"), shallow)
        with explored(many.path, "--weights", shallow) as server:
            _print_search(server.address, many)


def _print_hover(address: str, collection: Collection) -> None:
    row = int(collection.rows[len(collection) // 2])
    base = f"{address.rstrip('/')}/api/models/{quote(collection.key)}/images/{row}"
    first, later = _seconds(lambda: _ask(f"{base}/patches"), 5)
    with opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(120_000)
        page.goto(f"{address}#panel=image&row={row}")
        began = time.perf_counter()
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator(".stage.first canvas").wait_for()
        shown = time.perf_counter() - began
        page.wait_for_timeout(2000)
        told = page.evaluate(_HOVER)
    print("\n| what DINO sees | ms |\n| --- | --- |")
    print(
        f"| the server looks at an image and four neighbours, first; again | {1000 * first:.0f}; {1000 * later:.0f} |"
    )
    print(f"| the page shows them, from the click | {1000 * shown:.0f} |")
    idle, steps, work = (np.asarray(told[name]) for name in ("idle", "steps", "work"))
    print(f"| two frames in which nothing changes, median | {np.median(idle):.0f} |")
    print(f"| a hover: the page's work until all pictures are painted, median | {np.median(work):.0f} |")
    print(
        f"| hover to highlighted patches, two frames later: median; worst | {np.median(steps):.0f}; {steps.max():.0f} |"
    )
    print(f"\nof {told['pictures']} pictures {told['changed']:.1f} change with each hover", flush=True)


def _print_search(address: str, collection: Collection) -> None:
    base = f"{address.rstrip('/')}/api/models/{quote(collection.key)}"
    draw = np.random.default_rng(0)

    def search() -> None:
        x, y = draw.random(2)
        found = _ask(f"{base}/images/{draw.integers(len(collection))}/patches/search?x={x}&y={y}&k=24")
        assert len(found["matches"]) == 24

    before = time.perf_counter()
    search()
    first = time.perf_counter() - before
    times = [_seconds(search, 1)[0] for _ in range(_TIMES)]
    tokens = len(collection) * _GRID**2
    print(f"\n| search among {tokens:,} tokens of {_DIM} numbers, {len(collection):,} images | s |\n| --- | --- |")
    print(f"| the first, which reads them | {first:.1f} |")
    print(f"| later ones, median; worst | {statistics.median(times):.2f}; {max(times):.2f} |")
    with opened_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(120_000)
        page.goto(f"{address}#panel=image&row=17")
        page.get_by_role("button", name="Show", exact=True).click()
        page.locator(".stage.first canvas").wait_for()
        page.locator(".stage.first").click()
        began = time.perf_counter()
        page.get_by_role("button", name="Search the collection").click()
        page.locator('ul[aria-label="Look-alikes in the collection"] canvas').nth(23).wait_for()
        print(f"| from the click to the answer in the page | {time.perf_counter() - began:.2f} |", flush=True)


def _planted(path: Path, weights: str) -> Collection:
    """Return a collection of 10,000 images, with tokens as a ViT-S would give them."""
    model = Encoder(weights, resolution=4 * _PATCH)
    made = Collection.from_images(load_dataset("fashion-mnist-test").pixels, path, model=model)
    draw = np.random.default_rng(0)

    def drawn(*_: object, **__: object) -> NDArray[np.float16]:
        tokens = draw.standard_normal((_GRID, _GRID, _DIM), np.float32)
        unit: NDArray[np.float16] = (tokens / np.linalg.norm(tokens, axis=2, keepdims=True)).astype(np.float16)
        return unit

    one = patch("dinoscope.stages.queries.tokens.in_threads", lambda work, items: [work(each) for each in items])
    with one, patch("dinoscope.stages.queries.tokens.look_at_tokens", drawn):
        made.keep_tokens(weights=weights)
    return made


def _ask(address: str) -> Any:
    with urllib.request.urlopen(address) as answer:
        return json.loads(answer.read())


def _seconds(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Return the seconds of the first run, and the median of the others."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found[0], statistics.median(found[1:] or found)
