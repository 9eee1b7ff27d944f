"""Thumbnails in patch colours, as the page asks for them."""

import io

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.explorer import patches as explorer_patches
from tests.served import client, images, make_collection

COUNT = 12


@pytest.fixture
def folder(tmp_path):
    return make_collection(tmp_path / "c", images(COUNT))


def pixels(content):
    with Image.open(io.BytesIO(content)) as sheet:
        return np.asarray(sheet.convert("RGBA"))


def test_they_are_made_once_and_drawn_as_sheets(folder):
    collection = Collection(folder)
    base = f"/api/models/{collection.key}"
    with client(folder) as server:
        before = server.get(f"{base}/colours").json()
        assert (before["kept"], before["images"], before["obstacle"]) == (False, COUNT, None)
        assert before["seconds"] > 0
        refused = server.get(f"{base}/colours/0")
        assert (refused.status_code, "look at all images first" in refused.json()["error"]) == (400, True)
        assert server.put(f"{base}/colours").status_code == 204
        assert server.get(f"{base}/colours/progress").json() is None
        assert server.get(f"{base}/colours").json()["kept"] is True
        answer = server.get(f"{base}/colours/0")
        photos = pixels(server.get(f"{base}/sheets/0").content)
        assert server.get(f"{base}/colours/1").status_code == 404
        tile = server.get(base).json()["sheets"]["tile"]
    assert answer.headers["content-type"] == "image/webp"
    sheet = pixels(answer.content)
    assert sheet.shape == photos.shape
    np.testing.assert_array_equal(sheet[..., 3], photos[..., 3])  # each as large as its photograph, at the same place
    edge = (tile - 28) // 2
    for position in (0, 7, COUNT - 1):
        colours = collection.look(int(collection.rows[position])).colours
        expected = np.asarray(Image.fromarray(colours).resize((28, 28), Image.Resampling.BILINEAR))
        drawn = sheet[edge : edge + 28, position * tile + edge : position * tile + edge + 28, :3]
        assert np.abs(drawn.astype(int) - expected).max() <= 3


def test_a_server_that_writes_nothing_holds_them(folder):
    address = f"/api/models/{Collection(folder).key}/colours"
    with client(folder, read_only=True) as server:
        assert server.get(address).json()["obstacle"] is None
        assert server.put(address).status_code == 204
        assert server.get(address).json()["kept"] is True
        assert server.get(f"{address}/0").status_code == 200
    assert not (folder / "results" / "patch_colours").exists()


def test_too_many_images_are_told_with_a_way_on(folder, monkeypatch):
    monkeypatch.setattr(explorer_patches, "TOKEN_IMAGES", COUNT - 1)
    address = f"/api/models/{Collection(folder).key}/colours"
    with client(folder) as server:
        assert f"dinoscope look c --keep-tokens --at-most {COUNT}" in server.get(address).json()["obstacle"]
        Collection(folder).keep_tokens()
        assert server.get(address).json()["obstacle"] is None  # they are made of these
