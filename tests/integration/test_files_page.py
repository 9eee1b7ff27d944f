"""Files of a selection on the explorer's page: fetched as a ZIP, copied into a folder, and their names copied."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect

from dinoscope.embedding.pipeline import embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.folder import FolderSource
from tests.pictures import encoded, photo
from tests.watched import PHONE, Visit, served

pytestmark = pytest.mark.browser

COUNT = 12  # images of each label


@pytest.fixture(scope="module")
def place(chromium, tmp_path_factory):
    place = tmp_path_factory.mktemp("files")
    for label in ("cat", "dog"):
        for number in range(COUNT):
            file = place / "photos" / label / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(photo(64 + number + COUNT * (label == "dog")), "JPEG"))
    embed_source(FolderSource(place / "photos"), place / "c", Encoder("mini"))
    (place / "sorted").mkdir()
    return place


@pytest.fixture(scope="module")
def address(place):
    token = "a-token-of-ones-own"
    options = ("--images", str(place / "photos"), "--allow-copy", str(place / "sorted"), "--token", token)
    with served(place / "c", *options) as found:
        yield found.removesuffix(f"?token={token}")


def select(see, label="cat"):
    see.page.keyboard.press("/")
    see.page.keyboard.type(label)
    see.page.keyboard.press("Enter")
    see.panel.get_by_role("button", name="Export").click()


@pytest.fixture
def see(visit):
    return visit("?token=a-token-of-ones-own")


def test_a_selection_is_fetched_as_a_zip_after_its_size_is_told(see, place):
    select(see)
    see.page.get_by_role("button", name=re.compile(r"^Files \(ZIP\)")).click()
    see.page.get_by_text(re.compile(rf"^{COUNT} files, about [\d,.]+ (kB|MB)$")).wait_for()
    see.keep("files-zip")
    assert see.hindrances() == []
    with see.page.expect_download() as coming:
        see.page.get_by_role("link", name="Download").click()
    assert coming.value.suggested_filename == "photos-cat.zip"
    with zipfile.ZipFile(coming.value.path()) as packed:
        assert packed.testzip() is None
        held = {name: packed.read(name) for name in packed.namelist()}
    assert held == {f"cat/{n}.jpg": (place / f"photos/cat/{n}.jpg").read_bytes() for n in range(COUNT)}


def test_files_are_copied_and_taken_away_again(see, place):
    select(see, "dog")
    field = see.page.get_by_label(re.compile("^Copy files to sorted/"))
    field.fill(" ")
    see.page.get_by_role("button", name="Copy", exact=True).click()
    see.page.get_by_text("Give the folder a name.").wait_for()
    field.fill("good dogs")
    field.press("Enter")
    see.page.get_by_text(f"{COUNT} files copied to sorted/good dogs.").wait_for()
    see.keep("files-copied")
    there = sorted(path.name for path in (place / "sorted/good dogs/dog").iterdir())
    assert there == sorted(f"{n}.jpg" for n in range(COUNT))
    see.panel.get_by_role("heading", level=2).first.click()  # a click beside it closes the menu
    expect(field).to_have_count(0)
    select(see, "cat")
    see.page.get_by_text(f"{COUNT} files copied to sorted/good dogs.").wait_for()
    see.page.get_by_role("button", name="Undo", exact=True).click()
    see.page.get_by_text(f"{COUNT} files taken away from good dogs again.").wait_for()
    expect(field).to_be_focused()  # the button is gone
    assert not (place / "sorted/good dogs").exists()
    assert len(list((place / "photos/dog").iterdir())) == COUNT


def test_names_are_copied(see):
    see.context.grant_permissions(["clipboard-read", "clipboard-write"])
    select(see)
    see.page.get_by_role("button", name=re.compile("^Copy the names")).click()
    see.page.get_by_text(f"{COUNT} names copied.").wait_for()
    names = see.page.evaluate("navigator.clipboard.readText()").splitlines()
    assert sorted(names) == sorted(f"cat/{n}.jpg" for n in range(COUNT))


def test_the_menu_fits_on_a_telephone(visit):
    see = visit("?token=a-token-of-ones-own", size=PHONE, touch=True)
    see.page.get_by_role("button", name="Search", exact=True).tap()
    see.page.get_by_role("combobox", name=re.compile("^Search")).fill("cat")
    see.page.get_by_role("option", name=re.compile("^cat.*Label")).first.click()
    see.panel.get_by_role("button", name="Export").click()
    see.page.get_by_role("button", name=re.compile(r"^Files \(ZIP\)")).wait_for()
    see.keep("files-phone")
    assert see.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_that_may_not_copy_does_not_offer_it(chromium, place):
    with served(place / "c") as found:
        see = Visit(chromium, found)
        try:
            select(see.go())
            see.page.get_by_text("start the explorer with --images").wait_for()
            assert see.page.get_by_label(re.compile("^Copy files to")).count() == 0
            assert see.page.get_by_role("button", name=re.compile(r"^Files \(ZIP\)")).count() == 0
            assert see.mistakes == []
        finally:
            see.close()
