"""Filters, checks at random and a few images picked, in Chromium: what a person does with them, by mouse and by keys.

Every state leaves its picture in artefacts/explorer/ (or $DINOSCOPE_ARTEFACTS/explorer/).
"""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from scipy.ndimage import label as find_parts

from dinoscope.collection import Collection
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.opening import open_source
from tests.served import make_collection
from tests.watched import PHONE, WIDE, Visit, served

pytestmark = pytest.mark.browser

N = 240
CAMERAS = ("Sony A7", "Pixel 5", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs in folders, with a table beside them."""
    place = tmp_path_factory.mktemp("photos")
    dataset = load_dataset("fashion-mnist-test")
    table = []
    for row in range(N):
        label = str(dataset.items[row].label).replace("/", "-")
        (place / "photos" / label).mkdir(parents=True, exist_ok=True)
        name = f"{label}/{row:03}.png"
        Image.fromarray(dataset.pixels[row]).save(place / "photos" / name)
        day = np.datetime64("2020-01-01") + 6 * row
        table.append(
            (
                name,
                CAMERAS[row % 3],
                str(day),
                "yes" if row % 4 == 0 else "no",
                f"a {label} of {row % 10}, number {row}",
            )
        )
    with (place / "photos" / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file_name", "camera", "taken", "blurred", "about"), *table])
    path = make_collection(place / "c", open_source(str(place / "photos")))
    Collection(path).findings()
    return path


@pytest.fixture(scope="module")
def address(chromium, folder):
    with served(folder) as found:
        yield found


def passing(see: Visit) -> int:
    """How many images pass, by the words above the map, when it has come to rest."""
    see.settled()
    return int(see.page.locator(".chips .count").inner_text().split()[0].replace(",", ""))


def test_filters_read_like_a_sentence(chromium, address, folder):
    see = Visit(chromium, address, WIDE).go("#panel=filter")
    panel = see.panel
    camera = panel.get_by_role("list", name="Values of Camera")
    camera.get_by_role("button", name="Only Sony A7").click()
    see.page.get_by_role("button", name="Remove: camera is Sony A7").wait_for()
    assert passing(see) == N // 3
    chips = see.page.get_by_role("region", name="What the images shown have")
    # draw over the histogram of dates: the right half
    taken = panel.locator("details").filter(has_text="Taken")
    bars = taken.locator(".bars").bounding_box()
    middle = bars["y"] + bars["height"] / 2
    see.page.mouse.move(bars["x"] + bars["width"] / 2, middle)
    see.page.mouse.down()
    see.page.mouse.move(bars["x"] + bars["width"] - 1, middle, steps=5)
    see.page.mouse.up()
    expect(chips.get_by_role("listitem")).to_have_count(2)
    half = passing(see)
    assert 0.35 * N / 3 < half < 0.65 * N / 3
    panel.get_by_role("list", name="Values of Blurred").get_by_role("checkbox").nth(1).uncheck()
    expect(chips.get_by_role("listitem")).to_have_count(3)
    said = chips.get_by_role("listitem").all_inner_texts()
    assert re.fullmatch(r"camera is Sony A7 · \w+ 2021 to \w+ 2023 · (not )?blurred", " · ".join(said)), said
    assert 0 < passing(see) < half
    see.keep("filter")
    assert see.overlaps() + see.hindrances() == []
    # what does not pass is grey, or gone
    grey = see.settled()
    panel.get_by_role("radio", name="Hidden").check()
    see.until(lambda: "rest=hidden" in see.page.url, "the address does not keep what is hidden")
    gone = see.settled()
    left = np.abs(grey - gone).max(axis=2) > 8
    ground = np.median(gone.reshape(-1, 3), axis=0)
    # where something went there is nothing now, and it went in many places: thumbnails of what passes hide most points
    assert (np.abs(gone[left] - ground).max(axis=1) < 8).mean() > 0.9
    assert find_parts(left)[1] > 12
    # the address keeps it all
    count = passing(see)
    see.reload()
    expect(chips.get_by_role("listitem")).to_have_text(said, use_inner_text=True)
    assert passing(see) == count
    # by keys: the lower end of the dates moves back to the beginning
    handle = see.panel.get_by_role("slider", name="Taken: From")
    handle.focus()
    see.page.keyboard.press("Home")
    see.until(lambda: passing(see) > count, "the key moves nothing")
    chips.get_by_role("button", name=re.compile("^Remove: .*blurred")).click()
    # a text, and the selection of what passes
    about = see.panel.locator("details").filter(has_text="About")
    about.locator("summary").click()
    about.get_by_role("searchbox").fill("of 3,")
    see.page.get_by_role("button", name="Remove: about contains “of 3,”").wait_for()
    few = len([row for row in range(N) if row % 3 == 0 and row % 10 == 3])
    see.until(lambda: passing(see) == few, f"not {few} images hold that text")
    see.open_panel("Selection")
    see.panel.get_by_text("Pick a few").click()
    see.panel.get_by_label("How many").fill("5")
    see.panel.get_by_role("button", name="Pick", exact=True).click()
    see.panel.get_by_text("on average").wait_for()
    grid = see.panel.get_by_role("listbox", name="Images of the selection").get_by_role("option")
    expect(grid).to_have_count(5)
    expect(see.panel.locator(".total")).to_have_text("5 of 5 images, filtered")
    see.panel.get_by_role("combobox", name="Sort by").select_option(label="Taken")
    see.panel.get_by_role("button", name="Smallest first").click()
    see.settled()
    rows = [int(re.findall(r"row (\d+)", each.get_attribute("title"))[0]) for each in grid.all()]
    opened = Collection(folder)
    assert np.all(np.diff(opened.columns()["taken"].values[[opened.position(row) for row in rows]]) <= 0)
    see.keep("filter-picked")
    assert see.hindrances() == []
    chips.get_by_role("button", name="Show all").click()
    expect(chips).to_have_count(0)
    see.choose("Colour by", "Taken")
    legend = see.page.get_by_role("region", name="Legend: Taken")
    legend.wait_for()
    expect(legend.locator(".ends")).to_have_text(re.compile(r"Jan 2020\s*Dec 2023"))
    see.close()
    assert see.mistakes == []


def test_findings_are_checked_at_random_on_a_telephone(chromium, address, folder):
    see = Visit(chromium, address, PHONE, touch=True).go("#panel=findings")
    panel = see.panel
    panel.get_by_role("tab", name=re.compile("Labels to check")).click()
    before = (
        panel.get_by_role("list", name="List of findings").get_by_role("listitem").first.get_attribute("aria-setsize")
    )
    panel.get_by_role("button", name=re.compile(r"^Check \d+ at random")).click()
    for asked, key in enumerate("yxx", 1):
        place = panel.get_by_role("status").filter(has_text=re.compile(r"^\d+ of \d+$"))
        place.wait_for()
        see.page.keyboard.press(key)
        panel.get_by_text(re.compile(f"^Of {asked} drawn at random, 1 is wrong")).wait_for()
    said = panel.get_by_text(re.compile("drawn at random, 1 is wrong")).inner_text()
    assert re.search(r"Of the other \d+, between \d+% and \d+% are wrong \(90% certain\)\.", said)
    found = Collection(folder).findings_checked("label_errors")
    assert (found.checked, found.right, found.checked + found.rest) == (3, 1, int(before))
    see.keep("checked-phone")
    assert see.overlaps() + see.hindrances() == []
    panel.get_by_role("tab", name=re.compile("Poor pictures")).click()
    panel.get_by_text("compared with the others").wait_for()
    see.page.goto(f"{address}#panel=filter&filter=label:is:Bag")
    see.page.get_by_role("button", name="Remove: label is Bag").wait_for()
    see.keep("filter-phone")
    assert see.overlaps() + see.hindrances() == []
    see.close()
    assert see.mistakes == []
