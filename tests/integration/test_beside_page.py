"""Two models' maps in Chromium, linked: what stands where, what both show, and the list of what moved most."""

from __future__ import annotations

import io
import json
import re
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests.served import make_collection
from tests.watched import PHONE, served

pytestmark = pytest.mark.browser

N, LATER = 300, 30  # images of the first collection, and with which of them the second begins


@pytest.fixture(scope="module")
def opened(chromium, tmp_path_factory):
    """Address of the page, and what it opens with."""
    place = tmp_path_factory.mktemp("beside")
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    first = make_collection(place / "first", ArraySource(dataset.pixels[:N], labels=labels))
    second = make_collection(place / "second", ArraySource(dataset.pixels[LATER : N + LATER][::-1]), "mini")
    with served(first, "--beside", str(second)) as printed:
        yield printed.split("#")


@pytest.fixture(scope="module")
def address(opened):
    return opened[0]


@pytest.fixture(scope="module")
def state(opened):
    return f"#{opened[1]}"


@pytest.fixture(scope="module")
def told(address, state):
    """What the server says moved."""
    model = json.load(urlopen(f"{address}api/collection"))["model"]
    (other,) = re.findall(r"beside=(.*):umap&", state)
    return json.load(urlopen(f"{address}api/models/{model}/moved?other={other}"))


def maps(see):
    """Both maps, once the second one is there."""
    second = see.page.get_by_role("application").nth(1)
    second.wait_for()
    return see.page.get_by_role("application").nth(0), second


def seen(place):
    return np.asarray(Image.open(io.BytesIO(place.screenshot())).convert("RGB")).astype(int)


def changed(before, after):
    return int((np.abs(before - after).max(axis=2) > 24).sum())


def middle_of(picture):
    """Return the height with half of the map's images above it; its layout differs from processor to processor."""
    below_title = picture[60:, :300]  # and beside the tools
    ground = np.median(below_title.reshape(-1, 3), axis=0)
    shown = (np.abs(below_title - ground).max(axis=2) > 24).sum(axis=1).cumsum()
    return 60 + int(np.searchsorted(shown, shown[-1] / 2))


def test_both_maps_stand_side_by_side_and_the_panel_says_what_both_share(visit, state, told):
    see = visit(state)
    one, two = (each.bounding_box() for each in maps(see))
    assert abs(one["width"] - two["width"]) < 3
    assert one["y"] == two["y"]
    expect(see.page.get_by_text(re.compile(r"^mini-fashion · UMAP$"))).to_have_count(1)
    expect(see.page.locator("p.title").get_by_text("second: mini · UMAP")).to_have_count(1)
    see.panel.get_by_text(f"{N - LATER} images in both, matched by content").wait_for()
    sentence = see.panel.get_by_role("status").first
    expect(sentence).to_contain_text(f"both models find {told['shared']:.1f} of an image's 10 nearest neighbours")
    expect(sentence).to_contain_text(f"drawn at random they would share {told['chance']:.2f}.")
    # a row says the label and how many neighbours both models find, and frames just these in both lines
    listed = see.panel.get_by_role("list", name="Images whose neighbours changed most")
    moved = told["moved"][0]
    label = load_dataset("fashion-mnist-test").items[moved["row"]].label
    first = listed.get_by_role("button", name=re.compile(rf"^{re.escape(label)} {moved['kept']} of 10 kept ")).first
    expect(first.locator(".strip")).to_have_count(2)
    for strip, rows in zip(first.locator(".strip").all(), (moved["here"], moved["there"]), strict=True):
        assert len(rows) == 10
        expect(strip.locator(".one")).to_have_count(10)
        expect(strip.locator(".both")).to_have_count(moved["kept"])
    assert moved["kept"] == len({*moved["here"]} & {*moved["there"]})
    see.keep("beside")
    assert see.overlaps() == []
    assert see.hindrances() == []


def test_the_list_is_worked_through_by_keys_and_both_maps_show_where_each_is(visit, state, told):
    see = visit(state)
    one, two = maps(see)
    buttons = see.panel.get_by_role("list", name="Images whose neighbours changed most").get_by_role("button")
    buttons.first.wait_for()
    see.settled()
    before = [seen(each) for each in (one, two)]
    see.page.keyboard.press("n")
    see.settled()
    for earlier, each in zip(before, (one, two), strict=True):
        assert changed(earlier, seen(each)) > 30
    see.page.keyboard.press("n")
    see.page.keyboard.press("p")
    expect(buttons.first).to_have_attribute("aria-current", "true")
    see.page.keyboard.press("o")
    see.until(lambda: see.row == told["moved"][0]["row"], "the image was not opened")


def test_the_keys_keep_the_focus_in_the_list(visit, state, told):
    see = visit(state)
    maps(see)
    rows = see.panel.get_by_role("list", name="Images whose neighbours changed most").get_by_role("listitem")
    rows.first.get_by_role("button").first.focus()
    for _ in range(15):
        see.page.keyboard.press("n")
    focused = "document.activeElement.closest('[data-index]')?.dataset.index"
    see.until(lambda: see.page.evaluate(focused) == "14", "the focus does not go along")
    see.panel.locator(".pane").evaluate("pane => pane.scrollTop = 0")
    see.settled()
    assert see.page.evaluate(focused) == "14"  # it is out of view, and still there


def test_a_lasso_on_the_other_map_selects_on_both(visit, state):
    see = visit(state)
    one, two = maps(see)
    see.settled()
    before = [seen(each) for each in (one, two)]
    box, half = two.bounding_box(), middle_of(before[1])
    left, top, right = box["x"] + 9, box["y"] + 60, box["x"] + box["width"] - 9
    see.lasso([(left, top), (right, top), (right, box["y"] + half), (left, box["y"] + half)])
    selected = see.page.get_by_role("complementary", name="Selection")
    expect(selected).to_contain_text(re.compile(r"\d+ images"), use_inner_text=True)
    count = int(re.findall(r"(\d+) images", selected.inner_text())[0])
    assert 10 < count < N - LATER  # the other has nothing of those that it does not hold
    see.settled()
    for earlier, each in zip(before, (one, two), strict=True):
        assert changed(earlier, seen(each)) > 300
    see.keep("beside-lasso")
    see.until(lambda: "pick=lasso" in see.page.url, "the address does not keep the area")
    see.reload()
    expect(selected).to_contain_text(f"{count} images", use_inner_text=True)


def test_hovering_an_image_that_the_other_does_not_hold_changes_its_own_map_alone(visit, state):
    see = visit(state.replace("panel=moved", "panel=selection&pick=images:3"))
    one, two = maps(see)
    tile = see.panel.get_by_role("listbox", name="Images of the selection").get_by_role("option").first
    tile.wait_for()
    see.settled()
    before = [seen(each) for each in (one, two)]
    tile.hover()
    see.settled()
    assert changed(before[0], seen(one)) > 30
    assert changed(before[1], seen(two)) == 0


def test_they_are_stacked_on_a_telephone(visit, state, told):
    see = visit(state, size=PHONE, touch=True)
    one, two = (each.bounding_box() for each in maps(see))
    assert one["x"] == two["x"]
    assert one["y"] + one["height"] <= two["y"] + 1
    see.keep("beside-phone")
    assert see.overlaps() == []
    see.panel.get_by_role("heading", name="What moved most").evaluate(
        "title => title.scrollIntoView({ block: 'start' })"
    )
    see.panel.get_by_role("button", name=re.compile("^Open ?: ")).first.tap()
    see.until(lambda: see.row == told["moved"][0]["row"], "the image was not opened")


def test_another_map_of_the_other_model_is_a_choice_in_the_bar(visit, state):
    see = visit(state)
    maps(see)
    see.choose("Beside it", "second: mini · PCA")
    see.until(lambda: ":pca" in see.page.url, "the address keeps the old map")
    see.choose("Beside it", "nothing")
    expect(see.page.get_by_role("application")).to_have_count(1)
    see.panel.get_by_role("button", name="Show the map of second: mini beside this one").click()
    maps(see)
