"""The report opened from disk in a real browser: the explorer, the sections below it, and the sections alone."""

from __future__ import annotations

import re

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.report import embedded as report_explorer
from dinoscope.sources.datasets import load_dataset
from tests.watched import ARTEFACTS, PHONE, TABLET, WIDE

pytestmark = pytest.mark.browser

N = 300

# What only a browser knows of the sections.
MEASURE = """() => {
  const images = [...document.querySelectorAll("#report img")];
  for (const image of images) image.loading = "eager";
  const ids = new Set([...document.querySelectorAll("[id]")].map((element) => element.id));
  const root = document.documentElement;
  return Promise.all(images.map((image) => image.decode().then(() => true, () => false))).then((whole) => ({
    images: images.length > 2,
    broken: whole.filter((each) => !each).length,
    overflow: root.scrollWidth - root.clientWidth,
    dead: [...document.querySelectorAll("a[href^='#']")].filter((link) => !ids.has(link.hash.slice(1))).length,
  }));
}"""
SOUND = {"images": True, "broken": 0, "overflow": 0, "dead": 0}


@pytest.fixture(scope="module")
def collection(chromium, tmp_path_factory):
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    folder = tmp_path_factory.mktemp("browser") / "c"
    return Collection.from_images(dataset.pixels[:N], folder, model="mini-fashion", labels=labels)


@pytest.fixture(scope="module")
def address(collection):
    assert report_explorer.find_bundle() is not None, "the report's page is not built: make web"
    return collection.report(collection.path.parent / "report.html", k=5).as_uri()


def test_the_map_is_the_first_screen(visit):
    see = visit()
    assert see.map.get_attribute("aria-label") == f"Map UMAP of {N} images"
    assert all(len(see.places_of(value)) > 0 for value in ("Bag", "Trouser", "Sneaker"))
    assert (see.settled().max(axis=2) < 8).sum() > 2000  # thumbnails: their ground is black
    line = see.page.locator("#more").bounding_box()
    assert line["y"] + line["height"] == pytest.approx(720, abs=1)
    see.page.mouse.move(*see.heart_of("Bag"))
    see.tip.wait_for()
    assert re.fullmatch(r"Bag( → \w[\w /-]*\?)?\s*(Cluster \d+)?", see.tip.inner_text())
    see.keep("report")


def test_an_image_and_its_neighbours(visit, collection):
    see = visit()
    see.click_an_image("Sandal")
    first = see.row
    assert first is not None
    told = see.panel.inner_text()
    assert "Sandal" in told
    assert str(collection.ids[first]) in told
    assert see.panel.get_by_role("img", name="Picture of").evaluate(
        "picture => picture.decode().then(() => picture.naturalWidth)"
    )
    shown = see.panel.get_by_role("list", name="Nearest neighbours").get_by_role("button")
    assert shown.count() == 12
    shown.nth(1).click()
    see.until(lambda: see.row != first, "a click on a neighbour leads nowhere")
    assert see.row == collection.search(first, 2)[1].row
    see.keep("report-image")
    see.page.go_back()
    see.until(lambda: see.row == first, "back leads nowhere")


def test_colouring_and_lasso(visit):
    see = visit()
    before = see.settled()
    see.choose("Colour by", "Cluster")
    see.legend("4").wait_for()
    after = see.settled()
    assert (np.abs(before - after).max(axis=2) > 24).mean() > 0.005
    box = see.map.bounding_box()
    left, top, right, bottom = (
        box["x"] + 230,
        box["y"] + 20,
        box["x"] + box["width"] - 80,
        box["y"] + box["height"] - 20,
    )
    see.lasso([(left, top), (right, top), (right, bottom), (left, bottom)])
    see.until(lambda: bool(re.search(r"\d+ images", see.panel.inner_text())), "the lasso selects nothing")
    assert see.panel.get_by_role("list").first.is_visible()


def test_findings_and_numbers(visit, collection):
    see = visit()
    see.open_panel("Findings")
    see.until(lambda: "Loading" not in see.panel.inner_text(), "no findings")
    assert any(str(len(listed)) in see.panel.inner_text() for listed in collection.findings().keys.values() if listed)
    see.open_panel("Numbers")
    see.panel.get_by_text("Details", exact=True).click()
    see.panel.get_by_text("trustworthiness").first.wait_for()


@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_the_sections_are_below_and_nothing_sticks_out(visit, size, dark):
    see = visit(size=size, dark=dark)
    assert see.page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    assert see.page.evaluate(MEASURE) == SOUND
    state = see.page.url
    see.page.locator("#more").click()
    see.until(lambda: see.page.evaluate("scrollY") >= size[1] - 1, "the line leads nowhere")
    ground = see.page.evaluate("getComputedStyle(document.getElementById('report')).backgroundColor")
    assert ground == ("rgb(21, 23, 28)" if dark else "rgb(255, 255, 255)")
    assert see.page.locator("#report h1").is_visible()
    see.page.wait_for_timeout(300)
    see.page.screenshot(path=ARTEFACTS / "explorer" / f"report-below-{size[0]}-{'dark' if dark else 'light'}.png")
    see.page.locator("#report nav a", has_text="Clusters").first.click()
    top = "document.getElementById('clusters').getBoundingClientRect().top"
    see.until(lambda: abs(see.page.evaluate(top)) < 2, "a link of the sections leads nowhere")
    assert see.page.url == state  # the explorer keeps what it showed
    see.page.get_by_role("link", name="The map to explore").click()
    see.until(lambda: see.page.evaluate("scrollY") == 0, "the way back is closed")


def test_on_a_phone(visit):
    """Nothing of the map lies under its buttons, and what a figure means is not a column of one word a line."""
    see = visit(size=PHONE)
    names = ("Ankle boot", "Dress", "Pullover", "Trouser")
    see.page.get_by_role("button", name="Label", exact=True).click()
    for name in names:
        see.colour_of(name)
    see.page.get_by_role("button", name="Hide the legend").click()
    see.open_panel("Numbers")
    tools = see.page.locator(".tools").bounding_box()
    places = np.concatenate([see.places_of(value) for value in names])
    assert places[:, 0].max() < tools["x"]
    widths = see.page.locator("#report .meanings td:last-child").evaluate_all("all => all.map((td) => td.offsetWidth)")
    assert len(widths) > 10
    assert min(widths) > 300


def test_on_paper(visit):
    see = visit(size=(718, 1047))  # A4 without its margins
    see.page.emulate_media(media="print")
    assert see.page.evaluate(
        "[...document.querySelectorAll('#report .scroll')].map((t) => t.scrollWidth - t.clientWidth)"
    ) == ([0] * see.page.locator("#report .scroll").count())
    assert see.page.locator("#report .dot").first.evaluate("dot => getComputedStyle(dot).printColorAdjust") == "exact"
    assert not see.map.is_visible()
    legend = see.page.locator("#report .legend").first.bounding_box()
    assert legend["y"] + legend["height"] < 1047  # the first map has its place on the first page


def test_the_sections_follow_the_theme_that_was_chosen(visit):
    see = visit()
    picture = "document.querySelector('#report picture img').currentSrc"
    light = see.page.evaluate(picture)
    for _ in range(2):  # from the system's over light to dark
        see.page.get_by_role("button", name="Theme: ").click()
    see.until(lambda: see.page.evaluate(picture) != light, "the pictures stay light")
    ground = see.page.evaluate("getComputedStyle(document.getElementById('report')).backgroundColor")
    assert ground == "rgb(21, 23, 28)"


def test_everybody_can_read_it(visit):
    assert visit().hindrances() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_without_scripts_the_sections_are_the_page(chromium, collection, address, tmp_path, monkeypatch, scripts):
    """Where JavaScript is switched off, and where the explorer was not built."""
    if scripts:
        monkeypatch.setattr(report_explorer, "_FOLDER", tmp_path)
        address = collection.report(tmp_path / "report.html", k=5).as_uri()
    context = chromium.new_context(java_script_enabled=scripts, viewport={"width": 390, "height": 780})
    try:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        assert page.locator("#report h1").bounding_box()["y"] < 100
        assert not page.locator("#more").is_visible()
        if scripts:
            assert page.evaluate(MEASURE) == SOUND
        assert {url for url in asked if not url.startswith("data:")} == {address}
    finally:
        context.close()
