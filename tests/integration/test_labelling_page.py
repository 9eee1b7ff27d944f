"""The panel "Label" in a real browser: labels by keys alone, seen on the map at once, undone and redone."""

import csv

import numpy as np
import pytest
from playwright.sync_api import expect
from scipy.ndimage import binary_erosion

from dinoscope.collection import Collection
from tests.labeller import label_all
from tests.served import images, make_collection
from tests.watched import PHONE, Visit, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("labelling") / "c")


@pytest.fixture(scope="module")
def address(folder):
    with served(folder) as found:
        yield found


def asked(page):
    """The row that is asked about."""
    return int(page.locator(".pane img.picture").get_attribute("src").split("/images/")[1].split("/")[0])


def test_labels_are_given_by_keys_alone(visit, folder):
    truth = [item.label for item in images().items]
    see = visit("#panel=label&by=mine")
    page = see.page
    keys: list[str] = []
    page.get_by_role("heading", name="What is this?").wait_for()
    for _ in range(15):
        row = asked(page)
        if truth[row] in keys[:9]:
            page.keyboard.press(str(keys.index(truth[row]) + 1))
        else:
            keys += [truth[row]] if truth[row] not in keys else []
            page.keyboard.type(truth[row])
            page.keyboard.press("Enter")
        see.until(lambda row=row: page.locator(".pane img.picture").count() and asked(page) != row, "no next question")
    see.until(lambda: len(Collection(folder).annotations()) == 15, "not every answer is kept")
    said = Collection(folder).annotations()
    assert all(label in (None, truth[row]) for row, label in enumerate(said.labels.tolist()))
    for label in keys:
        expect(page.locator(".stage")).to_contain_text(label)
    for key, left in (("Backspace", 14), ("Shift+Backspace", 15), ("Control+z", 14)):
        page.keyboard.press(key)
        page.get_by_text(f"{left} of 130 images have a label from you.").wait_for()
    assert len(Collection(folder).annotations()) == 14
    see.keep("labelling")


FEW = 40


@pytest.fixture
def few(chromium, tmp_path):
    """The panel over images without labels, the truth of each row, and the collection."""
    path = make_collection(tmp_path / "few", images(FEW, labelled=False))
    truth = dict(enumerate(str(item.label) for item in images(FEW).items))
    with served(path) as address:
        see = Visit(chromium, address, (1440, 900)).go("#panel=label&by=mine")
        yield see, truth, path
        see.close()
        assert see.mistakes == []


def test_every_image_gets_its_label_and_the_pointer_is_never_used(few):
    see, truth, path = few
    work = label_all(see, truth, unknown=9)
    said = Collection(path).annotations()
    assert dict(enumerate(said.labels.tolist())) == truth
    assert work.questions["one"] == FEW
    assert work.questions["unknown"] == work.keys["I do not know"] > 2  # each of these was asked again at the end
    assert work.keys["accept"] <= work.right  # a proposal below 50% is not taken by Enter
    # beside letters of labels that are new, or have no digit, one key an image
    assert work.keys["accept"] + work.keys["a digit"] > FEW / 2
    assert work.keys.total() - work.keys["typed"] < FEW + work.questions["unknown"]
    see.page.get_by_text(f"{FEW} of {FEW} images have a label from you.").wait_for()
    see.keep("labelled-by-keys")
    assert see.overlaps() + see.hindrances() == []
    with see.page.expect_download() as coming:
        see.panel.get_by_role("link", name="Export labels").click()
    with open(coming.value.path(), newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    ids = Collection(path).ids
    assert {line["id"]: line["label"] for line in lines} == {str(ids[row]): label for row, label in truth.items()}


def test_keys_answer_the_question_wherever_one_pressed_before(few):
    see, _, path = few
    page = see.page
    page.get_by_role("heading", name="What is this?").wait_for()
    page.keyboard.type("bag")
    page.keyboard.press("Enter")
    box = see.map.bounding_box()
    places = {
        "the ground of the map": lambda: page.mouse.click(box["x"] + 8, box["y"] + 8),
        "a switch": lambda: see.panel.get_by_role("checkbox").click(),
        "the switch, by keys": lambda: (see.panel.get_by_role("checkbox").focus(), page.keyboard.press("Space")),
        "a tool of the map": lambda: page.get_by_role("button", name="Zoom in").click(),
        "the rail": lambda: [page.get_by_role("button", name="Label", exact=True).click() for _ in range(2)],
    }
    for what, press in places.items():
        press()
        for key in ("1", "0"):
            page.locator(".answered").wait_for(state="detached")
            row = asked(page)
            page.keyboard.press(key)
            see.until(
                lambda row=row: page.locator(".pane img.picture").count() and asked(page) != row,
                f"{key} does nothing after a press on {what}",
            )
    given = 1 + len(places)
    see.until(lambda: len(Collection(path).annotations()) == given, "not every answer is kept")
    see.panel.get_by_role("button", name="bag", exact=False).last.click()  # Enter must not press it once more
    page.get_by_text(f"{given + 1} of {FEW} images have a label from you.").wait_for()
    assert "&row=" not in page.url
    expect(page.locator(".pane")).to_be_focused()


def test_a_click_on_the_map_chooses_the_image_that_is_labelled(few):
    see, _, path = few
    page = see.page
    page.get_by_role("heading", name="What is this?").wait_for()
    see.map.focus()
    page.keyboard.press("0")  # somebody who went to the map by Tab moves it
    corner = binary_erosion(see.settled().max(axis=2) < 8, np.ones((5, 5))).nonzero()  # the black ground of a thumbnail
    box = see.map.bounding_box()
    page.mouse.click(box["x"] + float(corner[1][0]), box["y"] + float(corner[0][0]))
    page.get_by_role("heading", name="1 image that you chose").wait_for()
    row = asked(page)
    page.keyboard.type("boot")
    page.keyboard.press("Enter")
    see.until(lambda: Collection(path).annotations().labels[row] == "boot", "the image that was chosen has no label")
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="What is this?").wait_for()


def test_the_picture_is_as_large_as_the_window_lets_it_be(few):
    see, _, _ = few
    page = see.page
    for label in ("bag", "dress", "coat", "shirt"):
        page.locator(".answered").wait_for(state="detached")
        row = asked(page)
        page.keyboard.type(label)
        page.keyboard.press("Enter")
        see.until(lambda row=row: asked(page) != row, "no next question")
    page.locator(".answered").wait_for(state="detached")
    assert see.width_of(page.locator("img.picture"))
    assert page.locator("img.picture").bounding_box()["height"] >= 400
    for button in see.panel.locator("section").nth(1).get_by_role("button").all():
        box = button.bounding_box()
        assert box["y"] + box["height"] <= 900
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    see.keep("labelling-phone")
    assert see.overlaps() + see.hindrances() == []
