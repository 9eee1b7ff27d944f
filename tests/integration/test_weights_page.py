"""The explorer's page where the model's weights are missing: it offers them, fetches them, and answers then."""

from __future__ import annotations

import re
import shutil
import threading

import pytest
from PIL import Image
from playwright.sync_api import expect

from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset
from tests import PATIENCE
from tests.checkpoints import random_vit, write_tensors
from tests.models.test_hub import CONFIG, SMALL, cache, hub, settle  # noqa: F401  fixtures
from tests.served import images
from tests.watched import ARTEFACTS, PHONE, Visit, served

pytestmark = pytest.mark.browser

COUNT = 60


@pytest.fixture
def made(hub, cache, tmp_path, monkeypatch):  # noqa: F811
    """A collection whose weights are at a hub alone, for this process and for those that it starts."""
    from dinoscope.embedding.pipeline import embed_source

    weights = write_tensors(tmp_path / "w" / "model.safetensors", random_vit(dim=256, depth=8))
    hub.repos[str(SMALL.repo)] = {"model.safetensors": weights.read_bytes(), "config.json": CONFIG}
    embed_source(images(COUNT), tmp_path / "c", Encoder(SMALL, resolution=32, device="cpu"))
    shutil.rmtree(cache)
    hub.requests.clear()
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "c"


def test_missing_weights_are_offered_fetched_and_cancelled(made, hub, chromium, tmp_path):  # noqa: F811
    go_on, dataset = threading.Event(), load_dataset("fashion-mnist-test")
    Image.fromarray(dataset.pixels[COUNT]).save(tmp_path / "new.png")

    def slow(handler):
        if not handler.path.startswith("/cdn/") or go_on.is_set():
            return False
        content = hub.repos[str(SMALL.repo)]["model.safetensors"]
        handler.send(content, cut_at=11_000_000)
        go_on.wait(PATIENCE)
        return True

    hub.trouble = slow
    with served(made) as address:
        see = Visit(chromium, address)
        try:
            see.go()
            see.page.locator("input[type=file]").set_input_files(tmp_path / "new.png")
            offer = see.page.get_by_role("group", name="Missing weights")
            fetch = offer.get_by_role("button", name=f"Fetch dinov2-small ({SMALL.megabytes:.0f} MB, Apache-2.0)")
            fetch.wait_for()
            expect(offer).to_contain_text("From huggingface.co/facebook/dinov2-small, once.")
            expect(offer.get_by_role("link")).to_have_attribute("href", "https://www.apache.org/licenses/LICENSE-2.0")
            assert hub.requests == []
            see.keep("weights-offered")
            fetch.click()
            offer.get_by_text(re.compile("Fetching dinov2-small: 10 of 2[0-9] MB")).wait_for()
            see.page.screenshot(path=ARTEFACTS / "explorer" / "weights-coming.png")  # it never comes to rest
            offer.get_by_role("button", name="Cancel").click()
            fetch.wait_for()
            go_on.set()
            fetch.click()
            see.panel.get_by_role("heading", name="Look-alikes").wait_for()
            expect(offer).to_have_count(0)
            see.keep("weights-fetched")
        finally:
            see.close()
        # the browser notes that there was no answer yet
        assert [text for text in see.mistakes if "Failed to load resource" not in text] == []


def test_a_page_that_only_shows_says_why_it_fetches_nothing(made, hub, chromium, tmp_path):  # noqa: F811
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "new.png")
    with served(made, "--read-only") as address:
        see = Visit(chromium, address, size=PHONE, touch=True)
        try:
            see.go()
            see.page.locator("input[type=file]").set_input_files(tmp_path / "new.png")
            offer = see.page.get_by_role("group", name="Missing weights")
            offer.get_by_text("The page cannot fetch them, because it was started with --read-only.").wait_for()
            see.keep("weights-read-only")
            offer.get_by_role("button", name="Do without").click()
            offer.wait_for(state="detached")
        finally:
            see.close()
    assert hub.requests == []
