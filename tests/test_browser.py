"""The report in a real browser: everything it shows is inside it, and nothing sticks out of a narrow window."""

import json
import re
import shutil
import subprocess

import pytest

from dinoscope.collection import Collection
from dinoscope.datasets import load_dataset

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")]

# Appended to a copy of the page: what only a browser knows.
MEASURE = """
<pre id="measured"></pre>
<script>
addEventListener("load", () => {
  const images = [...document.images];
  const ids = new Set([...document.querySelectorAll("[id]")].map(e => e.id));
  document.getElementById("measured").textContent = JSON.stringify({
    images: images.length,
    broken: images.filter(i => !i.complete || i.naturalWidth === 0).length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    loaded: performance.getEntriesByType("resource").map(e => e.name).filter(n => !n.startsWith("data:")),
    dead: [...document.querySelectorAll("a[href^='#']")].filter(a => !ids.has(a.hash.slice(1))).length,
  });
});
</script>
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:300]]
    collection = Collection.from_images(dataset.pixels[:300], folder / "c", model="mini-fashion", labels=labels)
    return collection.report(folder / "report.html", k=5)


@pytest.mark.parametrize("width", [1280, 500])
def test_report_in_a_browser(report, tmp_path, width):
    page = tmp_path / "page.html"
    page.write_text(report.read_text(encoding="utf-8").replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [
        str(CHROMIUM), *flags.split(), "--disable-component-update", "--disable-sync", f"--window-size={width},900",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'<pre id="measured">(\{.*?\})</pre>', dom)
    assert found, dom[-500:]
    measured = json.loads(found[1].replace("&amp;", "&"))
    assert measured["images"] > 2
    assert {key: measured[key] for key in ("broken", "overflow", "loaded", "dead")} == {
        "broken": 0, "overflow": 0, "loaded": [], "dead": 0,
    }  # fmt: skip
