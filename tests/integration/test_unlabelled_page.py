"""The explorer of images without labels, in Chromium: too few for clusters, and enough."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests.served import make_collection
from tests.watched import served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=[2, 90])
def count(request):
    return request.param


@pytest.fixture(scope="module")
def address(chromium, count, tmp_path_factory):
    images = load_dataset("fashion-mnist-test").pixels[:count]
    with served(make_collection(tmp_path_factory.mktemp("unlabelled") / "c", ArraySource(images))) as found:
        yield found


def test_images_have_the_colours_of_their_clusters_or_none(visit, count):
    see = visit()
    see.settled()
    colour = see.page.get_by_label("Colour by")
    legend = see.page.locator("section.legend")
    if count < 10:
        expect(colour.locator("option:checked")).to_have_text("nothing")
        expect(legend).to_have_count(0)
    else:
        expect(colour.locator("option:checked")).to_have_text("Cluster")
        expect(colour.get_by_text("nothing")).to_have_count(0)
        expect(legend.get_by_role("heading", name="Cluster")).to_be_visible()
    see.keep(f"unlabelled-{count}")
    assert see.hindrances() == []
    colour.select_option(label="Brightness")
    expect(legend.get_by_role("heading", name="Brightness")).to_be_visible()
    if count < 10:  # and back
        colour.select_option(label="nothing")
        expect(legend).to_have_count(0)
