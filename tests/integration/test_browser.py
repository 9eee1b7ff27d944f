"""The report opened from disk in a real browser: the document, the explorer as a tab, and the document alone."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import expect

from dinoscope.collection import Collection
from dinoscope.explorer.export import as_csv, as_list
from dinoscope.explorer.model_view import ModelData
from dinoscope.report import bundle as report_bundle
from dinoscope.sources.datasets.named import load_dataset
from tests.watched import ARTEFACTS, PHONE, TABLET, WIDE, Visit

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
    dead: [...document.querySelectorAll("a[href^='#']:not(.open)")]
      .filter((link) => !ids.has(link.hash.slice(1))).length,
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
    assert report_bundle.find_bundle() is not None, "the report's page is not built: make web"
    return collection.report(collection.path.parent / "report.html", k=5).as_uri()


def read(see):
    see.page.get_by_role("button", name="Report", exact=True).click()
    see.page.locator("#report h1").wait_for()


def test_the_explorer_is_a_tab(visit):
    see = visit()
    expect(see.map).to_have_attribute("aria-label", f"Map UMAP of {N} images")
    assert all(len(see.places_of(value)) > 0 for value in ("Bag", "Trouser", "Sneaker"))
    assert (see.settled().max(axis=2) < 8).sum() > 2000  # thumbnails: their ground is black
    box = see.page.locator("#app").bounding_box()
    assert box["y"] + box["height"] == pytest.approx(720, abs=1)
    see.page.mouse.move(*see.heart_of("Bag"))
    see.tip.wait_for()
    expect(see.tip).to_have_text(re.compile(r"^\s*Bag( → \w[\w /-]*\?)?\s*(Cluster\b.*)?$"), use_inner_text=True)
    see.keep("report")


def test_the_wheel_scrolls_the_document_and_a_picture_opens_the_explorer(visit):
    see = visit()
    read(see)
    see.page.mouse.move(600, 400)
    see.page.mouse.wheel(0, 700)
    see.until(lambda: see.page.evaluate("scrollY") > 300, "the wheel does not scroll the document")
    picture = see.page.locator("#queries a.open").first
    row = int(picture.get_attribute("href").removeprefix("#row="))
    picture.click()
    see.map.wait_for()
    see.until(lambda: see.row == row, "a picture opens another image")
    see.page.go_back()
    see.page.locator("#report h1").wait_for(state="visible")
    see.until(lambda: see.page.evaluate("scrollY") > 300, "the place in the document is lost")


def test_an_image_and_its_neighbours(visit, collection):
    see = visit()
    see.click_an_image("Sandal")
    first = see.row
    assert first is not None
    expect(see.panel).to_contain_text("Sandal")
    expect(see.panel).to_contain_text(str(collection.ids[first]))
    assert see.width_of(see.panel.get_by_role("img", name="Picture of"))
    shown = see.panel.get_by_role("list", name="Nearest neighbours").get_by_role("button")
    expect(shown).to_have_count(12)
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
    see.page.get_by_role("region", name="Legend").get_by_role("heading", name="Cluster").wait_for()
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
    expect(see.panel).to_contain_text(re.compile(r"\d+ images"))
    see.panel.get_by_role("list").first.wait_for()


def test_a_selection_is_exported_as_the_server_exports_it(visit, collection):
    see = visit()
    see.page.keyboard.press("/")
    see.page.keyboard.type("bag")
    see.page.keyboard.press("Enter")
    data = ModelData(collection, collection.key)
    rows = [int(row) for row, label in zip(collection.rows, collection.labels, strict=True) if label == "Bag"]
    for button, expected in (("Table", as_csv(data, rows)), ("List", as_list(collection, rows))):
        see.panel.get_by_role("button", name="Export").click()
        with see.page.expect_download() as coming:
            see.page.get_by_role("button", name=re.compile(f"^{button}")).click()
        assert coming.value.path().read_bytes().decode() == expected


def test_findings_and_numbers(visit, collection):
    see = visit()
    see.open_panel("Findings")
    listed = "|".join(str(len(keys)) for keys in collection.findings().keys.values() if keys)
    assert listed
    see.panel.get_by_role("tab").locator(".count").filter(has_text=re.compile(rf"^\s*({listed})\s*$")).first.wait_for()
    see.open_panel("Numbers")
    see.panel.get_by_text("Details", exact=True).click()
    see.panel.get_by_text("trustworthiness").first.wait_for()


@pytest.mark.parametrize("size", [WIDE, TABLET, PHONE])
@pytest.mark.parametrize("dark", [False, True])
def test_in_the_document_nothing_sticks_out(visit, size, dark):
    see = visit(size=size, dark=dark)
    assert see.page.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
    read(see)
    assert see.page.evaluate(MEASURE) == SOUND
    ground = see.page.evaluate("getComputedStyle(document.getElementById('report')).backgroundColor")
    assert ground == ("rgb(21, 23, 28)" if dark else "rgb(255, 255, 255)")
    see.page.screenshot(path=ARTEFACTS / "explorer" / f"report-{size[0]}-{'dark' if dark else 'light'}.png")
    see.page.locator("#report nav a", has_text="Clusters").first.click()
    top = "document.getElementById('clusters').getBoundingClientRect().top"
    see.until(lambda: 0 <= see.page.evaluate(top) < 80, "a link of the sections leads nowhere")
    see.page.get_by_role("button", name="Explore", exact=True).click()
    see.map.wait_for()


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
    read(see)
    see.page.evaluate("for (const fold of document.querySelectorAll('#report details')) fold.open = true")
    widths = see.page.locator("#report .meanings td:last-child").evaluate_all("all => all.map((td) => td.offsetWidth)")
    assert len(widths) > 10
    assert min(widths) > 300


@pytest.mark.parametrize(("size", "screens"), [((1440, 900), 8), ((390, 844), 16)])
def test_the_document_is_short_until_something_is_unfolded(visit, size, screens):
    see = visit(size=size)
    read(see)
    height = see.page.evaluate("document.documentElement.scrollHeight")
    assert height <= screens * size[1]
    see.page.evaluate("for (const fold of document.querySelectorAll('#report details')) fold.open = true")
    assert see.page.evaluate("document.documentElement.scrollHeight") > 1.2 * height
    assert see.page.evaluate(MEASURE) == SOUND


def test_on_a_phone_what_is_wider_says_so_and_figures_lie_above_their_bars(visit):
    see = visit(size=PHONE)
    read(see)
    see.page.evaluate("for (const fold of document.querySelectorAll('#report details')) fold.open = true")
    see.page.wait_for_selector(".wider")
    boxes = see.page.locator("#report .scroll").evaluate_all(
        """all => all.map((box) => [
          box.scrollWidth > box.clientWidth + 1, getComputedStyle(box, "::before").content, box.tabIndex,
        ])"""
    )
    assert {wide for wide, _, _ in boxes} == {True, False}
    for wide, hint, tab in boxes:
        assert ("Scroll sideways" in hint) == wide
        assert tab == 0 or not wide
    lines = see.page.locator("#report td.bar").evaluate_all(
        """all => all.map((cell) => {
          const text = document.createRange();
          text.selectNodeContents(cell);
          const top = parseFloat(getComputedStyle(cell).backgroundPositionY);
          return [text.getBoundingClientRect().bottom - cell.getBoundingClientRect().top, top];
        })"""
    )
    assert len(lines) > 10
    assert all(bottom <= top + 6 for bottom, top in lines)  # a line of text is higher than its digits


def test_a_dark_system_gets_a_dark_document(chromium, address):
    context = chromium.new_context(color_scheme="dark")
    try:
        page = context.new_page()
        page.goto(address)
        ground = page.evaluate("getComputedStyle(document.getElementById('report')).backgroundColor")
        assert ground == "rgb(21, 23, 28)"
    finally:
        context.close()


@pytest.mark.parametrize("scripts", [True, False])
def test_what_is_folded_is_printed(chromium, address, scripts):
    context = chromium.new_context(java_script_enabled=scripts, viewport={"width": 718, "height": 1047})
    try:
        page = context.new_page()
        page.goto(address)
        expect(page.locator("#scores table")).to_be_hidden()
        page.emulate_media(media="print")
        expect(page.locator("#scores table")).to_be_visible()
        assert page.locator("#scores table").bounding_box()["height"] > 200
    finally:
        context.close()


def test_on_paper(visit):
    see = visit(size=(718, 1047))  # A4 without its margins
    see.page.emulate_media(media="print")
    assert see.page.evaluate(
        "[...document.querySelectorAll('#report .scroll')].map((t) => t.scrollWidth - t.clientWidth)"
    ) == ([0] * see.page.locator("#report .scroll").count())
    assert see.page.locator("#report .dot").first.evaluate("dot => getComputedStyle(dot).printColorAdjust") == "exact"
    expect(see.map).to_be_hidden()
    short = see.page.locator("#in-short").bounding_box()
    assert 0 < short["y"] < short["y"] + short["height"] < 1047  # on the first page


def test_the_sections_follow_the_theme_that_was_chosen(visit):
    see = visit()
    read(see)
    picture = "document.querySelector('#report picture img').currentSrc"
    light = see.page.evaluate(picture)
    see.page.get_by_role("button", name="Explore", exact=True).click()
    for _ in range(2):  # from the system's over light to dark
        see.page.get_by_role("button", name="Theme: ").click()
    see.until(lambda: see.page.evaluate(picture) != light, "the pictures stay light")
    read(see)
    ground = see.page.evaluate("getComputedStyle(document.getElementById('report')).backgroundColor")
    assert ground == "rgb(21, 23, 28)"


def test_everybody_can_read_it(visit):
    see = visit()
    assert see.hindrances() == []
    read(see)
    assert see.hindrances() == []


@pytest.mark.parametrize("scripts", [True, False])
def test_without_scripts_the_sections_are_the_page(chromium, collection, address, tmp_path, monkeypatch, scripts):
    """Where JavaScript is switched off, and where the explorer was not built."""
    if scripts:
        monkeypatch.setattr(report_bundle, "_FOLDER", tmp_path)
        address = collection.report(tmp_path / "report.html", k=5).as_uri()
    context = chromium.new_context(java_script_enabled=scripts, viewport={"width": 390, "height": 780})
    try:
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        assert page.locator("#report h1").bounding_box()["y"] < 100
        expect(page.locator("#views")).to_be_hidden()
        if scripts:
            assert page.evaluate(MEASURE) == SOUND
        assert {url for url in asked if not url.startswith("data:")} == {address}
    finally:
        context.close()


def test_long_labels_do_not_widen_the_page(chromium, tmp_path):
    dataset = load_dataset("fashion-mnist-test")
    labels = [f"{item.label} {'W' * 120}" for item in dataset.items[:40]]
    made = Collection.from_images(dataset.pixels[:40], tmp_path / "c", model="mini-fashion", labels=labels)
    see = Visit(chromium, made.report(tmp_path / "report.html", k=4).as_uri(), PHONE, False, True).go("")
    assert see.page.evaluate(MEASURE)["overflow"] == 0
    see.close()
