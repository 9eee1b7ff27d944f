"""Thumbnails in patch colours, as the page asks for them."""

import io
import threading
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.server import app as server_app
from dinoscope.server.jobs import while_wanted
from dinoscope.server.routes import colours as colour_routes
from dinoscope.server.security import Access
from dinoscope.stages.queries.tokens import keep_tokens
from tests import PATIENCE
from tests.served import client, images, make_collection, until_stopped

COUNT = 12


@pytest.fixture
def folder(tmp_path):
    return make_collection(tmp_path / "c", images(COUNT))


def explorer_of(server: Any) -> Any:
    return server.app.state.explorer


def first_told(server, address):
    """Ask for progress until there is some."""
    while (told := server.get(address).json()) is None:
        pass
    return told


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
        assert (refused.status_code, "press the button for patch colours" in refused.json()["error"]) == (400, True)
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
    monkeypatch.setattr(server_app, "TOKEN_IMAGES", COUNT - 1)
    address = f"/api/models/{Collection(folder).key}/colours"
    with client(folder) as server:
        told = server.get(address).json()["obstacle"]
        assert f"run dinoscope look c --keep-tokens --at-most {COUNT} on the machine" in told
        refused = server.put(address)
        assert (refused.status_code, refused.json()["error"]) == (400, told)
        Collection(folder).keep_tokens()
        assert server.get(address).json()["obstacle"] is None  # they are made of these
        assert server.put(address).status_code == 204


def test_a_command_names_the_model_where_there_are_several(folder, monkeypatch):
    make_collection(folder, images(COUNT), model="mini")
    monkeypatch.setattr(server_app, "TOKEN_IMAGES", COUNT - 1)
    key = Collection(folder).key
    with client(folder) as server:
        for kept in ("colours", "tokens"):
            told = server.get(f"/api/models/{key}/{kept}").json()["obstacle"]
            assert f"--keep-tokens --model {key} --at-most {COUNT} on" in told


def test_people_on_other_machines_have_fewer_images_looked_at(folder, monkeypatch):
    monkeypatch.setattr(server_app, "_LOOKS_FOR_OTHERS", COUNT - 1)
    key = Collection(folder).key
    for access, status in ((Access.of("127.0.0.1"), 204), (Access.of("127.0.0.1", allowed=["photos.example"]), 400)):
        with client(folder, access=access, read_only=True) as server:
            assert server.put(f"/api/models/{key}/colours").status_code == status
    with client(folder, access=access) as server:
        refused = server.put(f"/api/models/{key}/tokens")
        assert (refused.status_code, f"no more than {COUNT - 1} images" in refused.json()["error"]) == (400, True)


def test_other_work_goes_on_while_all_images_are_looked_at(folder, monkeypatch):
    begun, ended = threading.Event(), threading.Event()

    def hold(*_, **__):
        until_stopped(lambda: while_wanted(4, COUNT), begun, ended)

    monkeypatch.setattr(colour_routes, "keep_colours", hold)
    key = Collection(folder).key
    base = f"/api/models/{key}"
    with client(folder) as server:
        pressed = threading.Thread(target=lambda: server.put(f"{base}/colours"))
        pressed.start()
        assert begun.wait(PATIENCE)
        assert first_told(server, f"{base}/colours/progress") == {"done": 4, "total": COUNT}
        assert server.get(f"{base}/findings").status_code == 200  # it needs the thread for long work
        assert not ended.is_set()
        explorer_of(server).looking.stop()
        pressed.join(PATIENCE)
        assert not pressed.is_alive()
        assert ended.wait(PATIENCE)


def test_reading_tokens_is_told(folder, monkeypatch):
    begun, ended = threading.Event(), threading.Event()
    keep_tokens(Collection(folder))
    monkeypatch.setattr(
        "dinoscope.server.routes.patches.prepare_search",
        lambda _, report: until_stopped(lambda: report(1, 3), begun, ended),
    )
    base = f"/api/models/{Collection(folder).key}"
    with client(folder) as server:
        asked = threading.Thread(target=lambda: server.get(f"{base}/images/3/patches/search?x=0.5&y=0.5"))
        asked.start()
        assert begun.wait(PATIENCE)
        assert first_told(server, f"{base}/tokens/reading") == {"done": 1, "total": 3}
        explorer_of(server).asking.stop()
        asked.join(PATIENCE)
        assert not asked.is_alive()
        assert ended.wait(PATIENCE)
