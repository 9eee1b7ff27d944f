"""The panel "Label" in a real browser: labels by keys alone, seen on the map at once, undone and redone."""

import pytest

from dinoscope.collection import Collection
from tests.served import images, make_collection
from tests.watched import served

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
    said = Collection(folder).annotations()
    assert len(said) == 15
    assert all(label in (None, truth[row]) for row, label in enumerate(said.labels.tolist()))
    legend = page.locator(".stage").inner_text()
    assert all(label in legend for label in keys)
    for key, left in (("Backspace", 14), ("Shift+Backspace", 15), ("Control+z", 14)):
        page.keyboard.press(key)
        page.get_by_text(f"{left} of 130 images have a label from you.").wait_for()
    assert len(Collection(folder).annotations()) == 14
    see.keep("labelling")
