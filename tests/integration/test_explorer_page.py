"""The explorer's page in Chromium, with a server of its own: each thing that it must show, as a person sees it.

Every state leaves its picture in artefacts/explorer/ (or $DINOSCOPE_ARTEFACTS/explorer/).
"""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from dinoscope.collection import Collection
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests import ROOT
from tests.served import images, make_collection, prepared
from tests.watched import PHONE, TABLET, WIDE, Visit, served

pytestmark = pytest.mark.browser

N = 600
COPIED = 5  # this image is in the collection twice


@pytest.fixture(scope="module")
def address(chromium, tmp_path_factory):
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    pixels = np.concatenate([dataset.pixels[:N], dataset.pixels[COPIED : COPIED + 1]])
    source = ArraySource(pixels, labels=[*labels, labels[COPIED]])
    with served(prepared(make_collection(tmp_path_factory.mktemp("page") / "fashion", source))) as found:
        yield found


def differing(one: Any, other: Any) -> float:
    """Share of the pixels that differ visibly."""
    assert one.shape == other.shape, (one.shape, other.shape)
    return float((np.abs(one - other).max(axis=2) > 24).mean())


def longest_run(flags: Any) -> int:
    """The most true values in a row, left to right, of (H, W) ones."""
    edges = np.diff(np.pad(flags, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    return int((np.argwhere(edges == -1)[:, 1] - np.argwhere(edges == 1)[:, 1]).max())


# Through a canvas of its own: Chromium warns of one that is read more than once.
READ = """each => {
  const brush = document.createElement("canvas").getContext("2d");
  brush.drawImage(each, 0, 0);
  return Array.from(brush.getImageData(0, 0, 16, 16).data);
}"""


def counts(panel: Any, title: str) -> dict[str, int]:
    """What the panel's bars say, by name; all of them."""
    part = panel.locator("section").filter(has=panel.page.get_by_role("heading", name=title, exact=True))
    part.wait_for()
    more = part.get_by_role("button", name=re.compile(r"^\d+ more$"))
    if more.count():
        more.click()
        part.get_by_role("button", expanded=True).wait_for()
    rows = part.get_by_role("listitem").all()
    return {row.locator(".value").inner_text(): int(row.locator(".count").inner_text()) for row in rows}


def test_open(visit):
    see = visit()
    expect(see.page).to_have_title("array \N{EN DASH} dinoscope")
    expect(see.map).to_have_attribute("aria-label", f"Map UMAP of {N + 1} images")
    # between the thumbnails each colour is still seen as points
    assert all(len(see.places_of(value)) > 9 for value in ("Bag", "Trouser", "Sneaker"))
    # thumbnails: Fashion-MNIST's pictures have a black ground, which nothing else on the light map has
    assert (see.settled().max(axis=2) < 8).sum() > 2000
    see.keep("open")


def test_zooming_turns_points_into_thumbnails(visit):
    see = visit()
    heights = [longest_run((see.settled().max(axis=2) < 8).T)]  # the black ground of a thumbnail
    for _ in range(6):
        # a thumbnail may stand beside its point: where it is aimed at only once, the image leaves the window
        see.page.mouse.move(*see.heart_of("Trouser"))
        for _ in range(2):
            see.page.mouse.wheel(0, -240)
        see.until(lambda: "&at=" in see.page.url, "the zoom is not in the address")
        heights.append(longest_run((see.settled().max(axis=2) < 8).T))
    # thumbnails never shrink, and grow with the room that most images have, up to 160 pixels
    assert heights == sorted(heights)
    assert heights[0] > 20
    assert 1.3 * heights[0] < heights[-1] <= 160
    see.keep("zoomed-in")
    see.page.get_by_role("button", name="Show everything").click()
    see.until(lambda: "&at=" not in see.page.url, "the map does not show everything")


def test_hover(visit):
    see = visit()
    before = see.settled()
    see.page.mouse.move(*see.heart_of("Bag"))
    see.tip.wait_for()
    see.until(
        lambda: re.fullmatch(r"Bag( → \w[\w /-]*\?)?\s+Cluster\b.+", see.tip.inner_text()),
        "the card says neither label nor cluster",
    )
    assert differing(before, see.settled()) > 0.005
    see.keep("hover")
    see.page.mouse.move(640, 20)
    see.tip.wait_for(state="detached")


def test_click_shows_the_image_and_its_neighbours(visit):
    see = visit("#panel=image")
    before = see.settled()
    see.click_an_image("Sandal")
    expect(see.panel.get_by_role("heading", level=2)).to_have_text("Sandal")
    expect(see.panel).to_contain_text(f"#{see.row}")
    neighbours = see.panel.get_by_role("list", name="Nearest neighbours").get_by_role("listitem")
    assert neighbours.count() >= 10
    similarities = [
        float(text) for text in neighbours.locator(".similarity").all_inner_texts() for text in [text.split()[-1]]
    ]
    assert similarities == sorted(similarities, reverse=True)
    picture = see.panel.get_by_role("img", name="Picture of Sandal")
    assert see.width_of(picture) == 28
    see.page.mouse.move(640, 20)
    assert differing(before, see.settled()) > 0.002  # lines, and the neighbours brought to the front
    see.keep("image")


def test_why_neighbours_are_alike(visit):
    see = visit("#row=7&panel=image")
    neighbours = see.panel.get_by_role("list", name="Nearest neighbours")
    neighbours.wait_for()
    expect(neighbours.locator(".tile > canvas")).to_have_count(24)
    see.panel.get_by_role("button", name="Why?").click()
    see.panel.get_by_text("Bright areas make the first 12 similar").wait_for()
    veiled = neighbours.locator("li").filter(has=see.page.locator("canvas[aria-hidden]"))
    expect(veiled).to_have_count(12)
    pair = see.panel.get_by_role("group", name="The image and its look-alike")
    expect(pair.locator("img")).to_have_count(2)
    for each in pair.locator("img").all():
        assert see.width_of(each) == 28
        box = each.bounding_box()
        assert min(box["width"], box["height"]) >= 160

    def drawn() -> Any:
        return np.reshape(pair.locator("canvas").evaluate(READ), (256, 4))

    see.until(lambda: len(np.unique(drawn(), axis=0)) > 20, "it is not in colour")
    first = drawn()
    neighbours.get_by_role("button").nth(3).hover()
    see.until(lambda: not np.array_equal(drawn(), first), "pointing at a neighbour does not show it large")
    matters = re.compile("without the part that matters most")
    expect(veiled.first.get_by_role("button")).to_have_attribute("title", matters)
    see.keep("why")
    see.panel.get_by_role("button", name="Why?").click()
    expect(pair).to_have_count(0)
    expect(neighbours.locator("canvas[aria-hidden]")).to_have_count(0)


def test_travel_and_back(visit):
    see = visit()
    see.click_an_image("Coat")
    first = see.row
    see.panel.get_by_role("list", name="Nearest neighbours").get_by_role("button").nth(2).click()
    see.until(lambda: see.row != first, "no travel")
    second = see.row
    see.panel.get_by_text(f"#{second}", exact=True).wait_for()
    see.keep("travelled")
    see.page.go_back()
    see.panel.get_by_text(f"#{first}", exact=True).wait_for()
    see.page.go_forward()
    see.panel.get_by_text(f"#{second}", exact=True).wait_for()
    see.panel.get_by_role("button", name="Back", exact=True).click()
    see.panel.get_by_text(f"#{first}", exact=True).wait_for()


def test_lasso(visit):
    see = visit()
    x, y = see.heart_of("Trouser")
    see.lasso([(x - 70, y - 60), (x, y - 75), (x + 70, y - 60), (x + 75, y), (x + 70, y + 60), (x - 70, y + 60)])
    total = see.panel.locator(".total")
    total.wait_for()
    count = int(total.inner_text().split()[0])
    by_label = counts(see.panel, "By label")
    assert count > 20
    assert sum(by_label.values()) == count == sum(counts(see.panel, "By cluster").values())
    assert by_label["Trouser"] > 0.7 * count
    grid = see.panel.get_by_role("listbox", name="Images of the selection").get_by_role("option")
    expect(grid.first).to_have_attribute("aria-setsize", str(count))
    grid.and_(see.page.get_by_title(re.compile("^Trouser, row "))).nth(10).wait_for()
    see.keep("lasso")
    see.panel.get_by_role("button", name=re.compile("Trouser")).first.click()
    see.panel.get_by_text(f"{by_label['Trouser']} of {count} images").wait_for()


def test_export_of_a_selection(visit):
    see = visit()
    see.page.keyboard.press("/")
    see.page.keyboard.type("bag")
    see.page.keyboard.press("Enter")
    see.panel.get_by_role("button", name="Export").click()
    see.keep("export")
    with see.page.expect_download() as coming:
        see.page.get_by_role("button", name=re.compile("^Table")).click()
    lines = coming.value.path().read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("row,")
    assert len(lines) - 1 == int(see.panel.locator(".total").inner_text().split()[0])
    assert all("Bag" in line for line in lines[1:])


def test_search_by_class_name(visit):
    see = visit()
    field = see.page.get_by_role("combobox", name=re.compile("^Search"))
    field.fill("trou")
    see.page.get_by_role("option", name=re.compile("Trouser.*Label")).wait_for()
    see.keep("search-typing")
    see.page.get_by_role("option", name=re.compile("Trouser.*Label")).click()
    total = see.panel.locator(".total")
    total.wait_for()
    assert counts(see.panel, "By label") == {"Trouser": int(total.inner_text().split()[0])}
    see.keep("search-class")
    field.fill("no such thing")
    see.page.get_by_text("Nothing here is called “no such thing”.").wait_for()
    field.fill("#5000")
    see.page.get_by_text(f"There is no row 5000 in this model: its rows run from 0 to {N}.").wait_for()


def test_search_by_upload(visit, tmp_path):
    see = visit()
    dataset = load_dataset("fashion-mnist-test")
    held_out = next(row for row in range(N, 2 * N) if dataset.items[row].label == "Trouser")
    Image.fromarray(dataset.pixels[held_out]).save(tmp_path / "held-out.png")
    before = see.settled()
    with see.page.expect_file_chooser() as choosing:
        see.page.get_by_role("button", name="Search by an image from your disk").click()
    choosing.value.set_files(tmp_path / "held-out.png")
    see.panel.get_by_text("The mark on the map shows where it belongs.").wait_for()
    expect(see.panel).to_contain_text(re.compile("nearest says?: Trouser"))
    matches = see.panel.get_by_role("list", name="Look-alikes in the collection").get_by_role("listitem")
    labels = matches.locator(".label").all_inner_texts()
    assert labels.count("Trouser") > 0.8 * len(labels) > 8
    see.page.mouse.move(640, 20)
    assert differing_in_common(before, see.settled()) > 0.002
    see.keep("search-upload")
    see.panel.get_by_role("button", name="More", exact=True).click()
    see.panel.get_by_role("button", name="Why?").click()
    see.panel.get_by_text("Bright areas make the first 12 similar").wait_for()
    expect(matches.locator("canvas[aria-hidden]")).to_have_count(12)
    see.keep("why-upload")
    see.panel.get_by_role("button", name="More", exact=True).click()
    see.panel.get_by_role("button", name="Why?").click()
    (tmp_path / "words.txt").write_text("not an image")
    see.page.locator("input[type=file]").set_input_files(tmp_path / "words.txt")
    refusal = see.page.get_by_role("alert").filter(has_text="words.txt is not an image")
    refusal.wait_for()
    first = see.page.get_by_role("option").first  # what can be searched for stands below it
    assert refusal.bounding_box()["y"] < first.bounding_box()["y"]
    see.page.keyboard.press("Escape")


def test_of_two_images_the_last_is_answered(visit, tmp_path):
    see = visit()
    dataset = load_dataset("fashion-mnist-test")
    for label in ("Trouser", "Bag"):
        row = next(row for row in range(N, 2 * N) if dataset.items[row].label == label)
        Image.fromarray(dataset.pixels[row]).save(tmp_path / f"{label}.png")
        see.page.locator("input[type=file]").set_input_files(tmp_path / f"{label}.png")
    see.panel.get_by_text("The mark on the map shows where it belongs.").wait_for()
    expect(see.panel).to_contain_text(re.compile("nearest says?: Bag"))
    expect(see.page.get_by_role("alert")).to_have_count(0)


def test_a_collection_that_is_only_shown(chromium, tmp_path):
    token = "a-token-of-the-test-s-own"
    with served(make_collection(tmp_path / "c", images(60)), "--read-only", "--token", token) as address:
        base = address.partition("?")[0]
        see = Visit(chromium, base)
        try:
            see.page.goto(address)
            see.page.wait_for_url(lambda url: "token" not in url)
            see.page.get_by_role("region", name="Legend").wait_for()  # all is loaded before it is opened again
            see.go()
            findings = see.open_panel("Findings")
            findings.get_by_role("list", name="List of findings").get_by_role("listitem").first.wait_for()
            assert findings.get_by_role("button", name=re.compile("Not a problem")).count() == 0
            assert findings.get_by_role("button", name="Answer pairs").count() == 0
            findings.get_by_role("button", name="Select all").click()
            see.panel.get_by_role("button", name="Export").click()
            see.panel.get_by_text("This explorer only shows the collection").wait_for()
            assert see.mistakes == []
        finally:
            see.close()


def test_a_patch_is_kept_searched_by_and_matched(chromium, tmp_path):
    with served(make_collection(tmp_path / "c", images(20))) as address:
        see = Visit(chromium, address)
        try:
            see.go("#row=7&panel=image")
            part = see.panel.locator("section").filter(has=see.page.get_by_role("heading", name="What DINO sees"))
            part.get_by_role("button", name="Show").click()
            stage = part.get_by_role("button", name=re.compile("^The image with its patches"))
            stage.wait_for()
            box = stage.bounding_box()
            stage.click(position={"x": 0.55 * box["width"], "y": 0.3 * box["height"]})
            part.get_by_text("The frame marks the patch that you chose.").wait_for()
            frame = part.locator(".patch").bounding_box()
            see.page.mouse.move(box["x"] + 4, box["y"] + 4)
            assert part.locator(".patch").bounding_box() == frame  # it stays
            assert frame["x"] - box["x"] == pytest.approx(8 / 16 * box["width"], abs=1)  # of 16 patches the ninth
            part.get_by_role("button", name="Search the collection").click()
            part.get_by_text("For 20 images it takes about").wait_for()
            see.keep("patch")
            part.get_by_role("button", name="Prepare the search").click()
            found = see.panel.get_by_role("list", name="Look-alikes in the collection")
            found.wait_for(timeout=120_000)  # it waits for what is prepared at the start
            expect(see.panel.get_by_role("heading", level=2)).to_have_text("Part of #7")
            expect(found.get_by_role("listitem")).to_have_count(19)
            expect(see.panel.locator(".part")).to_have_count(19)
            see.keep("patch-found")
            see.panel.get_by_role("button", name="#7", exact=True).click()
            see.panel.get_by_role("button", name="Why?").click()
            see.panel.get_by_role("radio", name="Matches").click()
            see.panel.get_by_text(re.compile(r"\d+ of 256 patches match")).wait_for()
            see.panel.locator(".pair svg line").first.wait_for(
                state="attached"
            )  # they wait for the sizes of both images
            assert 2 <= see.panel.locator(".pair svg line").count() <= 80  # each has a white one under it
            see.keep("matches")
            assert see.mistakes == []
        finally:
            see.close()


def test_search_by_a_part_and_inside_the_images(visit):
    see = visit("#row=7&panel=image")
    button = see.panel.get_by_role("button", name="Search by a part")
    button.click()
    frame = see.panel.get_by_role("button", name=re.compile("^The part: "))
    expect(frame).to_have_attribute("aria-label", "The part: 50% by 50% of it, 25% from the left, 25% from the top")
    see.page.keyboard.press("ArrowUp")
    see.page.keyboard.press("Shift+ArrowRight")
    moved = re.compile("55% by 50% of it, 25% from the left, 20% from the top")
    expect(frame).to_have_attribute("aria-label", moved)
    see.page.keyboard.press("Escape")
    expect(frame).to_have_count(0)
    assert see.row == 7  # no more than the frame was closed
    box = see.panel.locator("img").first.bounding_box()
    corner, other = ((box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.5, 1))
    see.page.mouse.move(*corner)
    see.page.mouse.down()
    see.page.mouse.move(*other, steps=4)
    see.page.mouse.up()
    quarter = re.compile("50% by 50% of it, 50% from the left, 50% from the top")
    expect(frame).to_have_attribute("aria-label", quarter)
    see.keep("part")
    see.page.keyboard.press("Enter")
    found = see.panel.get_by_role("list", name="Look-alikes in the collection")
    found.wait_for()
    expect(see.panel.get_by_role("heading", level=2)).to_have_text("Part of #7")
    see.panel.get_by_text("What its neighbours say").wait_for()
    assert see.panel.get_by_text("The mark on the map").count() == 0
    assert see.panel.locator(".part").count() == 0
    asked = see.panel.locator("img").first
    assert see.width_of(asked) == asked.evaluate("image => image.naturalHeight") == 14
    see.panel.get_by_role("button", name="More", exact=True).click()
    see.panel.get_by_role("button", name="Look inside the images").click()
    see.panel.locator(".part").first.wait_for()
    see.panel.get_by_role("button", name="How these were found: Look-alikes").click()
    see.panel.get_by_text("A frame marks the part that is like it.").wait_for()
    first = found.get_by_role("button").first
    expect(first).to_contain_text(re.compile("#7|00007"))
    frames = see.panel.locator(".part")
    assert 1 <= frames.count() <= 24
    tile, part = first.locator(".tile").bounding_box(), first.locator(".part").bounding_box()
    assert part["x"] - tile["x"] == pytest.approx(tile["width"] / 2, abs=2)
    assert part["width"] == pytest.approx(tile["width"] * 14 / 32, abs=3)
    assert see.panel.get_by_text("What its neighbours say").count() == 0  # it spoke of whole images
    see.keep("inside")
    see.panel.get_by_role("button", name="#7", exact=True).click()
    see.until(lambda: see.row == 7, "the part does not lead back to its image")


def differing_in_common(one: Any, other: Any) -> float:
    """Share of differing pixels where both pictures are, from their left upper corner."""
    height, width = np.minimum(one.shape[:2], other.shape[:2])
    return differing(one[:height, :width], other[:height, :width])


def test_switching_the_map_moves_the_points(visit):
    see = visit(still=False)
    before = see.settled()
    see.choose("Map", "PCA")
    see.until(lambda: "map=pca" in see.page.url, "the address keeps the old map")
    expect(see.map).to_have_attribute("aria-label", re.compile("Map PCA"))
    after = see.settled()
    assert differing(before, after) > 0.03
    see.keep("map-pca")
    see.choose("Map", "UMAP")
    assert differing(before, see.settled()) < 0.01  # everything is back in its place


def test_two_maps(visit):
    see = visit()
    see.colour_of("Bag")  # while the legend is open
    see.choose("Beside it", "PCA")
    second = see.page.get_by_role("application").nth(1)
    expect(second).to_have_attribute("aria-label", re.compile("Map PCA"))
    legend = see.page.get_by_role("region", name="Legend")
    legend.wait_for(state="hidden")  # it would hide a quarter of the first map
    see.click_an_image("Bag")
    see.until(lambda: "beside=pca" in see.page.url, "the address does not keep the second map")
    see.keep("two-maps")
    left, right = see.map.bounding_box(), second.bounding_box()
    assert left["x"] + left["width"] <= right["x"] + 1
    assert abs(left["width"] - right["width"]) < 3
    assert see.overlaps() == []
    see.page.get_by_role("main").get_by_role("button", name="Label", exact=True).click()
    legend.wait_for()
    legend.get_by_role("button", name="Hide the legend").click()
    legend.wait_for(state="hidden")


def test_filter_by_the_legend(visit):
    see = visit()
    before = len(see.places_of("Trouser"))
    trousers = int(see.legend("Trouser").locator(".count").inner_text())
    see.legend("Trouser").click()
    see.page.get_by_text(f"{N + 1 - trousers} of {N + 1} images in colour").wait_for()
    expect(see.legend("Trouser")).to_have_attribute("aria-pressed", "false")
    assert len(see.places_of("Trouser")) < 0.1 * before  # grey now
    see.keep("filtered")
    see.legend("Bag").dblclick()
    bags = int(see.legend("Bag").locator(".count").inner_text())
    see.page.get_by_text(f"{bags} of {N + 1} images in colour").wait_for()
    see.page.get_by_role("region", name="Legend").get_by_role("button", name="Show all").click()
    assert len(see.places_of("Trouser")) > 0.9 * before


def test_colour_by_another_column(visit):
    see = visit()
    before = see.settled()
    see.choose("Colour by", "Cluster")
    see.page.get_by_role("region", name="Legend: Cluster").wait_for()
    assert differing(before, see.settled()) > 0.005
    see.keep("colour-cluster")
    see.choose("Colour by", "Trust")
    legend = see.page.get_by_role("region", name="Legend: Trust")
    legend.wait_for()
    least, most = (float(end) for end in legend.locator(".ends").inner_text().split())
    assert 0 <= least < most <= 1
    assert "What the model thinks" in see.page.locator("optgroup").evaluate_all("all => all.map(each => each.label)")
    see.keep("colour-trust")
    bars = legend.locator(".bars").bounding_box()
    middle = bars["y"] + bars["height"] / 2
    see.page.mouse.move(bars["x"] + bars["width"] / 2, middle)
    see.page.mouse.down()
    see.page.mouse.move(bars["x"] + bars["width"] - 1, middle, steps=4)
    see.page.mouse.up()
    shown = legend.get_by_text(f"of {N + 1} images in colour")
    shown.wait_for()
    assert 0 < int(shown.inner_text().split()[0]) < N
    assert float(legend.locator(".ends").inner_text().split()[0]) > least
    see.keep("range")
    legend.get_by_role("button", name="Show all").click()
    shown.wait_for(state="detached")


def test_clusters_are_divided_more_finely(chromium, tmp_path):
    path = make_collection(tmp_path / "c", images(60))
    Collection(path).clusters(4)
    with served(path) as address:
        see = Visit(chromium, address).go("#by=cluster")
        legend = see.page.get_by_role("region", name="Legend: Cluster")
        expect(legend.get_by_role("listitem")).to_have_count(4)
        legend.get_by_role("slider", name="Number of clusters").fill("7")
        expect(legend.get_by_role("listitem")).to_have_count(7)
        assert Collection(path).results.stored("clusters")[0]["k"] == 7
        see.close()
    assert see.mistakes == []


def test_on_a_telephone_the_panel_is_a_sheet(visit):
    see = visit("#row=7&panel=image", size=PHONE, touch=True)
    see.panel.get_by_role("list", name="Nearest neighbours").wait_for()
    window, header = PHONE[1], see.page.get_by_role("banner").bounding_box()
    assert header["height"] < 70  # one row
    assert see.page.locator(".keyed:visible").count() == 0
    handle = see.panel.get_by_role("button", name="Height of the panel")

    def height() -> float:
        return float(see.panel.bounding_box()["height"] / window)

    def draw(to: float) -> None:
        box = handle.bounding_box()
        middle = box["x"] + box["width"] / 2
        see.page.mouse.move(middle, box["y"] + 10)
        see.page.mouse.down()
        see.page.mouse.move(middle, to * window, steps=4)
        see.page.wait_for_timeout(400)  # rests, so that it is no flick
        see.page.mouse.move(middle, to * window + 1)
        see.page.mouse.up()

    see.until(lambda: 0.35 < height() < 0.55, "the sheet does not take half of the window")
    draw(0.1)
    see.until(lambda: height() > 0.7, "the sheet is not drawn up")
    handle.focus()
    see.page.keyboard.press("Enter")
    see.until(lambda: height() < 0.3, "a key does not go on to the next height")
    see.page.get_by_role("button", name="Search", exact=True).click()
    see.page.get_by_role("combobox", name="Search").wait_for()
    see.page.keyboard.press("Escape")
    see.page.get_by_role("button", name="What the map shows").click()
    see.choose("Colour by", "Trust")
    small = see.page.evaluate(
        "() => [...document.querySelectorAll('.bar button, .rail button, .panel .button')]"
        ".filter((each) => each.offsetParent && each.offsetHeight < 44).map((each) => each.outerHTML.slice(0, 90))"
    )
    assert small == []
    draw(0.93)
    see.panel.wait_for(state="detached")
    see.keep("telephone")


def test_findings(visit):
    see = visit()
    panel = see.open_panel("Findings")
    panel.get_by_role("tab", name=re.compile("Duplicates")).click()
    rows = panel.get_by_role("list", name="List of findings").get_by_role("listitem")
    count = int(panel.get_by_role("tab", name=re.compile("Duplicates")).locator(".count").inner_text())
    assert count > 0
    expect(rows).to_have_count(count)
    see.keep("findings")
    rows.first.get_by_role("button").first.click()
    card = panel.get_by_role("region", name=re.compile("^1 of "))
    expect(card.locator("img")).to_have_count(2)
    see.page.keyboard.press("o")  # its image, with the neighbours
    panel.get_by_role("list", name="Nearest neighbours").wait_for()
    see.until(lambda: "&at=" in see.page.url, "the map did not go there")
    assert see.row in (COPIED, N)
    see.keep("finding-on-the-map")
    see.open_panel("Findings")
    expect(rows).to_have_count(count)
    see.page.keyboard.press("x")
    panel.get_by_text("Marked as not a problem.", exact=True).wait_for()
    see.until(lambda: "panel=findings" in see.page.url, "the address does not keep the panel")
    see.reload()
    panel.get_by_role("tab", name=re.compile("Duplicates")).click()
    panel.get_by_text(re.compile(r"Show dismissed \(1\)")).click()
    expect(rows).to_have_count(count)
    panel.get_by_role("button", name=re.compile("It is one")).click()  # as it was, for whoever comes next
    panel.get_by_role("button", name=re.compile("Not a problem")).first.wait_for()
    see.settled()


def test_findings_are_worked_through_by_keys(visit):
    panel = (see := visit()).open_panel("Findings")
    tab = panel.get_by_role("tab", name=re.compile("Outliers"))
    tab.click()
    count = int(tab.locator(".count").inner_text())
    assert count > 3
    for place in (1, 2, 3):
        see.page.keyboard.press("n")
        panel.get_by_role("region", name=f"{place} of {count}").wait_for()
    see.page.keyboard.press("p")
    panel.get_by_role("region", name=f"2 of {count}").wait_for()
    see.page.keyboard.press("x")  # the next one takes its place
    panel.get_by_role("region", name=f"2 of {count - 1}").wait_for()
    assert see.hindrances() == []
    see.keep("finding-by-keys")
    panel.get_by_role("button", name="Undo").click()  # as it was, for whoever comes next
    panel.get_by_role("region", name=f"3 of {count}").wait_for()


def test_a_first_visit_says_what_one_can_do(visit):
    see = visit(is_new=True)
    strip = see.page.get_by_text("to see its look-alikes")
    strip.wait_for()
    assert see.hindrances() == []
    see.page.get_by_role("button", name="Got it").click()
    strip.wait_for(state="detached")
    see.reload()
    expect(strip).to_have_count(0)
    see.page.keyboard.press("?")
    keys = see.page.get_by_role("dialog", name="All keys")
    keys.get_by_text("Show these keys").wait_for()
    assert see.hindrances() == []
    see.page.keyboard.press("Escape")
    keys.wait_for(state="hidden")


def test_the_middle_is_opened_by_enter(visit):
    see = visit()
    see.map.focus()
    see.page.keyboard.press("Enter")
    see.panel.get_by_role("list", name="Nearest neighbours").wait_for()


def test_an_empty_place_leads_back(visit):
    see = visit("#at=0.99,-0.99,20")
    see.page.get_by_text("No image is here.").wait_for()
    see.page.get_by_role("button", name="Show everything").first.click()
    see.page.get_by_text("No image is here.").wait_for(state="detached")


def test_pairs_are_answered(visit):
    panel = (see := visit()).open_panel("Findings")
    panel.get_by_role("tab", name=re.compile("Duplicates")).click()
    panel.get_by_text("chosen automatically").wait_for()
    panel.get_by_role("button", name="Answer pairs").click()
    pictures = panel.get_by_role("img", name="of the pair")
    pictures.nth(1).wait_for()
    assert [see.width_of(picture) for picture in pictures.all()] == [28, 28]
    assert all(picture.bounding_box()["width"] > 300 for picture in pictures.all())  # two beside each other
    assert see.hindrances() == []
    see.keep("pairs")
    for number, key in enumerate("sd?ddddddddd", 1):
        before = panel.locator("figcaption").all_inner_texts()
        if number == 2:
            panel.get_by_role("button", name="Different").click()
        else:
            see.page.keyboard.press(key)
        panel.get_by_role("progressbar", name=f"{number} of 20 answers").wait_for()
        see.until(lambda before=before: panel.locator("figcaption").all_inner_texts() != before, "no next pair")
    panel.get_by_text("1 the same, 10 different, 1 unsure").wait_for()
    panel.get_by_text("where same and different are equally likely").wait_for()
    see.keep("pairs-answered")
    panel.get_by_role("button", name="Back").click()
    expect(panel.locator("figcaption")).to_have_text(before, use_inner_text=True)
    see.page.keyboard.press("?")  # another answer to the same pair
    panel.get_by_text("1 the same, 9 different, 2 unsure").wait_for()
    panel.get_by_role("tab", name=re.compile("Outliers")).click()  # leaving is being done, too
    panel.get_by_role("tab", name=re.compile("Duplicates")).click()
    panel.get_by_text("by 10 answers").wait_for()
    panel.get_by_role("button", name="Answer pairs").click()
    panel.get_by_role("button", name="Done").click()
    panel.get_by_text("by 10 answers").wait_for()
    panel.get_by_role("button", name="Answer pairs").click()
    panel.get_by_role("button", name="Forget all answers").click()  # as it was, for whoever comes next
    panel.get_by_text("0 the same, 0 different").wait_for()
    panel.get_by_role("button", name="Done").click()
    panel.get_by_text("chosen automatically").wait_for()


def test_pictures_are_answered(visit):
    panel = (see := visit()).open_panel("Findings")
    panel.get_by_role("tab", name=re.compile("Poor pictures")).click()
    panel.get_by_role("combobox", name="Kind of poor pictures").select_option("Blurred")
    panel.get_by_role("button", name="Answer pictures").click()
    panel.get_by_text("Is this picture blurred?").wait_for()
    picture = panel.get_by_role("img", name="The picture")
    assert see.width_of(picture) == 28
    assert see.hindrances() == []
    see.keep("pictures")
    see.page.keyboard.press("d")  # an answer about pairs
    for number, key in enumerate("yn?nnnnnnnnn", 1):
        before = panel.locator("figcaption").all_inner_texts()
        assert before[0].endswith("28 \N{MULTIPLICATION SIGN} 28")
        see.page.keyboard.press(key)
        panel.get_by_role("progressbar", name=f"{number} of 20 answers").wait_for()
        see.until(lambda before=before: panel.locator("figcaption").all_inner_texts() != before, "no next picture")
    panel.get_by_text("1 yes, 10 no, 1 unsure").wait_for()
    panel.get_by_text("where yes and no are equally likely").wait_for()
    see.keep("pictures-answered")
    panel.get_by_role("button", name="Forget all answers").click()  # as it was, for whoever comes next
    panel.get_by_text("0 yes, 0 no").wait_for()
    panel.get_by_role("button", name="Done").click()
    panel.get_by_role("button", name="Answer pictures").wait_for()


def test_label_errors_say_what_to_expect_of_them(visit):
    panel = (see := visit()).open_panel("Findings")
    panel.get_by_role("tab", name=re.compile("Labels to check")).click()
    panel.get_by_text("Self-test").first.wait_for()
    expect(panel.get_by_role("list", name="List of findings")).to_contain_text(re.compile(r"\S+ → \S+\?"))
    see.keep("label-errors")


def test_numbers(visit):
    see = visit()
    panel = see.open_panel("Numbers")
    panel.get_by_role("heading", name="This map is drawn by UMAP, from what mini-fashion sees").wait_for()
    expect(panel.locator(".judged li")).to_have_count(3)
    judged = panel.locator(".judged li").all_inner_texts()
    assert "map" in judged[0]
    assert re.search(r"neighbours name \d+% of the images", judged[2].replace("only ", ""))
    panel.get_by_text("Details", exact=True).click()
    row = panel.get_by_role("row").filter(has_text="Trustworthiness")
    assert 0.8 < float(row.get_by_role("cell").inner_text()) <= 1
    see.keep("numbers")
    panel.get_by_role("heading", name="Which labels are mixed up").scroll_into_view_if_needed()
    see.keep("numbers-confusion")
    before = see.settled()
    brightness = panel.get_by_role("button", name=re.compile("^Brightness 0"))
    brightness.click()
    see.page.get_by_role("region", name=re.compile("Brightness")).get_by_text("mean lightness").wait_for()
    expect(brightness).to_have_attribute("aria-pressed", "true")
    assert (see.settled() != before).mean() > 0.001
    see.keep("numbers-brightness")
    worst = panel.get_by_role("list", name="Most frequent mistakes").get_by_role("button").first
    name, count = worst.inner_text().split("\n")[0], int(re.findall(r"\b(\d+)\b", worst.inner_text())[0])
    worst.click()
    expect(panel.locator(".total")).to_have_text(re.compile(rf"^\s*{count}\b"))
    expect(panel.get_by_role("heading", level=2)).to_have_text(name)


def test_dark(visit):
    see = visit(dark=True)
    assert see.settled().mean() < 60
    see.click_an_image("Ankle boot")
    see.keep("dark")
    theme = see.page.get_by_role("button", name=re.compile("^Theme"))
    theme.click()
    expect(theme).to_have_attribute("aria-label", "Theme: light")
    assert see.settled().mean() > 180
    see.until(lambda: "theme=light" in see.page.url, "the address does not keep the theme")


def test_keyboard(visit):
    see = visit()
    page = see.page
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("[document.activeElement.ariaLabel, document.activeElement.innerText].join(' ')"))
        if "Numbers" in reached[-1]:
            break
    order = " | ".join(reached)
    assert re.search(
        r"Search.*UMAP.*Theme.*Map UMAP of.*Bag: .*Lasso.*Image.*Selection.*Findings.*Numbers", order, re.S
    ), order
    page.keyboard.press("Enter")
    see.panel.get_by_role("heading", name="This map is drawn by UMAP, from what mini-fashion sees").wait_for()
    page.keyboard.press("Escape")
    see.panel.wait_for(state="detached")
    page.keyboard.press("/")
    page.keyboard.type("#7")
    page.keyboard.press("Enter")
    see.panel.get_by_text("#7", exact=True).wait_for()
    page.keyboard.press("Escape")  # leaves the field
    see.map.focus()
    page.keyboard.press("ArrowRight")  # to the nearest neighbour
    see.until(lambda: see.row not in (7, None), "the arrow did not travel")
    page.keyboard.press("ArrowLeft")
    see.until(lambda: see.row == 7, "the arrow did not come back")
    page.keyboard.press("Escape")
    see.panel.wait_for(state="detached")
    before = see.settled()
    see.map.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowLeft")
    assert differing(before, see.settled()) > 0.02
    see.until(lambda: "&at=" in page.url, "the address does not keep the place")


def test_reload_shows_the_same(visit):
    see = visit()
    see.choose("Colour by", "Predicted label")
    see.legend("Bag").click()
    x, y = see.heart_of("Trouser")  # the map makes room for a legend that grows
    see.lasso([(x - 70, y - 60), (x, y - 75), (x + 70, y - 60), (x + 75, y), (x + 70, y + 60), (x - 70, y + 60)])
    total = see.panel.locator(".total")
    total.wait_for()
    see.page.mouse.move(300, 300)
    see.page.mouse.wheel(0, -300)
    see.page.mouse.move(640, 20)
    before, count = see.settled(), total.inner_text()
    see.until(
        lambda: all(part in see.page.url for part in ("&at=", "pick=lasso", "filter=")), "not all is in the address"
    )
    see.reload()
    expect(total).to_have_text(count, use_inner_text=True)
    expect(see.legend("Bag")).to_have_attribute("aria-pressed", "false")
    assert differing(before, see.settled()) < 0.01


@pytest.mark.parametrize(
    "state",
    [
        "#model=../../etc/passwd&map=nothing&by=nothing&row=99999999&panel=everything&theme=blue",
        "#at=1e999,NaN,-3&hide=-1,x,7e99&row=1.5&pick=lasso:umap:1,2&beside=umap&panel=none",
        "#pick=answer:4294967296,5&row=-1&by=%E0%A4%A&&&===&at=0,0,0",
    ],
)
def test_malformed_addresses_are_ignored(visit, state):
    see = visit(state)
    assert all(len(see.places_of(value, frames=True)) > 100 for value in ("Bag", "Trouser"))
    expect(see.map).to_have_attribute("aria-label", f"Map UMAP of {N + 1} images")
    see.until(lambda: "map=umap&by=label" in see.page.url, "the address is not set right")
    assert "etc/passwd" not in unquote(see.page.url)
    # the browser notes that an image was asked for that is not there
    see.mistakes[:] = [text for text in see.mistakes if "Failed to load resource" not in text]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, TABLET], ids=["1280x720", "820x1180"])
def test_every_state_can_be_read_and_fits(visit, size, dark):
    see = visit(size=size, dark=dark)
    name = f"{'x'.join(map(str, size))}{'-dark' if dark else ''}"
    found: dict[str, list[str]] = {}

    def look(state: str) -> None:
        see.keep(f"fits-{name}-{state}")
        found[state] = see.overlaps() + see.hindrances()

    look("open")
    see.click_an_image("Bag")
    look("image")
    see.panel.get_by_role("button", name="Select all").click()
    see.panel.locator(".total").wait_for()
    look("selection")
    see.open_panel("Findings").get_by_role("tab").first.wait_for()
    look("findings")
    see.open_panel("Numbers").get_by_role("heading", name="Cluster sizes").wait_for()
    look("numbers")
    assert {state: wrong for state, wrong in found.items() if wrong} == {}


SLOW = """
import sys, time
from pathlib import Path
from dinoscope.embedding import pipeline as embedding
from dinoscope.models.encoder import Encoder
from tests.served import images, make_collection

def run(self, pixels, quick=Encoder.run):
    time.sleep(0.02 * len(pixels))  # a second a batch and more, however many cores decode
    return quick(self, pixels)

Encoder.run = run
embedding._PART_SECONDS = 1.0
make_collection(Path(sys.argv[1]), images(5000))
"""


def test_while_images_are_embedded(chromium, tmp_path):
    path = make_collection(tmp_path / "growing", images(150))
    with subprocess.Popen([sys.executable, "-c", SLOW, str(path)], cwd=ROOT) as running, served(path) as address:
        try:
            see = Visit(chromium, address)
            see.page.goto(address)
            see.page.get_by_text(re.compile(r"Embedding: [\d,]+ of [\d,]+ images, \d+ a second, .+ left")).wait_for()
            see.page.get_by_role("region", name="Legend").wait_for()
            shown = see.count()
            assert shown >= 150
            progress = see.page.get_by_role("progressbar")
            begun = float(progress.get_attribute("value"))
            see.until(lambda: float(progress.get_attribute("value")) > begun, "the progress does not move")
            see.keep("embedding")
            see.page.get_by_role("button", name="Show new images").click()
            see.until(lambda: see.count() > shown, "no image was added")
            running.terminate()
            running.wait()
            see.page.get_by_text("The embedding has finished.").wait_for()
            see.keep("embedding-finished")
            see.close()
            assert see.mistakes == []
        finally:
            running.kill()
