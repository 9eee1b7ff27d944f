"""The explorer's server while something changes, is missing, or is computed: what a page sees of it."""

from __future__ import annotations

import errno
import io
import itertools
import os
import random
import threading
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.explorer import model_view as explorer_data
from dinoscope.explorer.model_view import ModelData
from dinoscope.models.encoder import Encoder
from dinoscope.stages.labels import has_classifier
from dinoscope.storage.checksums import seal_bytes
from tests import PATIENCE
from tests.patching import make_read_only
from tests.pictures import encoded, photo
from tests.served import client, images, make_collection


@pytest.fixture
def folder(tmp_path):
    return make_collection(tmp_path / "served" / "c", images(50))


def opened(server: Any) -> tuple[str, dict[str, Any], Any]:
    """Where the model is, what the page is told of it, and what the routes share."""
    base = f"/api/models/{server.get('/api/collection').json()['model']}"
    return base, server.get(base).json(), server.app.state.explorer


def test_what_is_prepared_waits_for_the_first_page(folder, monkeypatch):
    monkeypatch.setattr("dinoscope.server.app._PAUSE", 1.5)
    monkeypatch.setattr("dinoscope.server.app._PATIENCE", 60)
    begun = threading.Event()
    monkeypatch.setattr(ModelData, "preparations", lambda _: {"clusters": begun.set})
    with client(folder, warm=True) as server:
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            server.get("/api/progress")
            assert not begun.is_set()
        assert begun.wait(PATIENCE)


def test_what_is_prepared_does_not_wait_for_ever(folder, monkeypatch):
    monkeypatch.setattr("dinoscope.server.app._PATIENCE", 0.3)
    begun = threading.Event()
    monkeypatch.setattr(ModelData, "preparations", lambda _: {"clusters": begun.set})
    with client(folder, warm=True):
        assert begun.wait(PATIENCE)


def test_of_a_read_only_collection_what_was_prepared_is_shown(folder, monkeypatch):
    make_read_only(monkeypatch, folder)
    with client(folder) as server:
        base, before, explorer = opened(server)
        assert "cluster" not in {column["name"] for column in before["columns"]}
        for work in explorer.workspace.data(before["key"]).preparations().values():
            work()
        after = server.get(base).json()
        assert {"cluster", "predicted", "probability", "brightness"} <= {column["name"] for column in after["columns"]}
        assert len(server.get(f"{base}/columns/cluster?state={after['state']}").content) == 2 * before["count"]
        assert server.get(base).json()["state"] == after["state"]
        assert server.get(f"{base}/sheets/0").status_code == 200
    assert not (folder / "results").exists()


def test_a_click_does_not_wait_for_what_is_computed(folder):
    upload = encoded(photo(), "PNG")
    with client(folder) as server:
        base, _, explorer = opened(server)

        def ask(done):
            computed = explorer.heavy.start(object(), lambda: done.wait(PATIENCE))
            try:
                told = [server.get(f"{base}/images/0").json(), server.post(f"{base}/search", content=upload).json()]
                assert not computed.done()
            finally:
                done.set()
            return told

        for told in ask(threading.Event()):
            assert told["verdict"] is None
            assert (told["neighbors"] if "neighbors" in told else told["matches"])[0]["row"] >= 0
        deadline = time.monotonic() + PATIENCE
        while explorer.heavy.busy and time.monotonic() < deadline:  # the verdict is prepared meanwhile
            time.sleep(0.01)
        assert has_classifier(explorer.workspace.data(base.rpartition("/")[2]).collection)
        for told in ask(threading.Event()):
            assert told["verdict"] is not None


def test_a_page_goes_on_with_the_state_that_it_began_with(folder):
    with client(folder) as server:
        base, view, explorer = opened(server)
        state = {"v": view["state"]}
        embed_source(images(80), folder, Encoder("mini-fashion"))
        assert server.get(f"{base}/find", params={"text": "0005", **state}).json()["rows"] == [5]
        assert server.get(f"{base}/images/60", params=state).status_code == 404
        assert server.get(f"{base}/images/60/picture", params=state).status_code == 404
        assert server.post(f"{base}/query", params=state, json={"rows": [60]}).status_code == 404
        asked = {"rows": [60], "format": "files"}
        assert server.post(f"{base}/export", params=state, json=asked).status_code == 404
        found = server.post(f"{base}/search", params={"k": 200, **state}, content=encoded(photo(), "PNG")).json()
        assert len(found["matches"]) == 50
        told = server.get(f"{base}/maps/pca/numbers", params=state).json()
        assert sum(images for _, _, images in told["evaluation"]["confusion"]) == 50
        assert server.get(f"{base}/findings", params=state).status_code == 200
        gone = server.put(f"{base}/findings/nothing", params=state, json={"dismissed": True})
        assert gone.status_code == 404
        (states,) = explorer.workspace._states.values()
        assert list(states) == [view["state"]]  # nothing was opened for a page that did not ask for it
        assert server.get(f"{base}/images/60").status_code == 200


def test_the_state_of_a_page_in_use_is_kept(folder):
    with client(folder) as server:
        base, view, _ = opened(server)
        newer = []
        for k in (2, 3, 4, 5):
            Collection(folder).clusters(k)
            newer.append(server.get(base).json()["state"])
            assert server.get(f"{base}/rows", params={"v": view["state"]}).status_code == 200
        assert len({view["state"], *newer}) == 5
        assert server.get(base).json()["state"] == newer[-1]
        assert server.get(f"{base}/rows", params={"v": newer[0]}).status_code == 409


def test_a_sheet_without_its_pictures_is_not_kept(folder, tmp_path):
    """Neither here nor by the browser, which would show it after they are back."""
    with client(folder) as server:
        base, view, _ = opened(server)
        state = {"v": view["state"]}
        (folder / "details").rename(tmp_path / "details")
        without = server.get(f"{base}/sheets/0", params=state)
        assert without.status_code == 200
        assert without.headers["cache-control"] == "no-cache"
        assert not list((folder / "results").glob("sheets/*.webp"))
    (tmp_path / "details").rename(folder / "details")
    with client(folder) as server:
        complete = server.get(f"{base}/sheets/0", params=state)
        assert complete.content != without.content
        assert "immutable" in complete.headers["cache-control"]
        assert len(list((folder / "results").glob("sheets/*.webp"))) == 1


@pytest.mark.parametrize("kept", [0, 3, 500, -1])
def test_a_stored_sheet_that_was_cut_is_drawn_again(folder, kept):
    with client(folder) as server:
        base, _, _ = opened(server)
        drawn = server.get(f"{base}/sheets/0").content
        (stored,) = (folder / "results").glob("sheets/*.webp")
        whole = stored.read_bytes()
        stored.write_bytes(whole[:kept])
        assert server.get(f"{base}/sheets/0").content == drawn
        assert stored.read_bytes() == whole


def test_a_wrecked_sheet_is_never_shown(folder):
    """Of the right length, so that only its checksum can tell; a browser would keep it for ever."""
    with client(folder) as server:
        base, view, _ = opened(server)
        state = {"v": view["state"]}
        drawn = server.get(f"{base}/sheets/0", params=state)
        (stored,) = (folder / "results").glob("sheets/*.webp")
        whole = stored.read_bytes()
        for wrecked in (bytes([*whole[:200], whole[200] ^ 1, *whole[201:]]), drawn.content, bytes(len(whole))):
            stored.write_bytes(wrecked)
            answer = server.get(f"{base}/sheets/0", params=state)
            assert answer.content == drawn.content
            assert "immutable" in answer.headers["cache-control"]
            assert stored.read_bytes() == whole


@pytest.mark.parametrize("kind", ["HTML", "PNG", "large", "moving", "empty", "huge"])
def test_a_stranger_s_sheet_is_drawn_again(folder, kind):
    """Its checksum is right, as anybody can make one."""
    with client(folder) as server:
        base, _, _ = opened(server)
        drawn = server.get(f"{base}/sheets/0").content
        (stored,) = (folder / "results").glob("sheets/*.webp")
        whole, out = stored.read_bytes(), io.BytesIO()
        with Image.open(io.BytesIO(drawn)) as image:
            page = image.convert("RGB")
        if kind == "PNG":
            page.save(out, "PNG")
        elif kind == "large":
            page.resize((page.width * 2, page.height * 2)).save(out, "WEBP")
        elif kind == "moving":
            page.save(out, "WEBP", save_all=True, append_images=[Image.new("RGB", page.size)])
        elif kind == "HTML":
            out.write(b"<script>alert(1)</script>")
        elif kind == "huge":
            out.write(drawn + bytes(9 * page.width * page.height))
        stored.write_bytes(seal_bytes(out.getvalue()))
        assert server.get(f"{base}/sheets/0").content == drawn
        assert stored.read_bytes() == whole


def test_codes_do_not_depend_on_the_process():
    """Texts that differ in case alone are equal to the natural order; the order of a set is chance."""
    texts = ["".join(letters) for letters in itertools.product(*zip("abcdefg", "ABCDEFG", strict=True))]
    random.Random(0).shuffle(texts)
    found = explorer_data._category("", "", np.asarray([*texts, "2", "10", "02"], object))
    assert found.values == ["02", "2", "10", *sorted(texts)]


def test_another_version_of_dinoscope_is_another_state(folder, monkeypatch):
    collection = Collection(folder)
    before = ModelData(collection, collection.key).state
    assert ModelData(collection, collection.key).state == before
    monkeypatch.setattr(explorer_data, "__version__", "0.0.0")
    assert ModelData(collection, collection.key).state != before


def test_a_collection_that_cannot_be_written_is_one_sentence_without_a_path(folder, monkeypatch):
    def replace(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    with client(folder) as server:
        base, _, _ = opened(server)
        asked = {"rows": [0, 1], "format": "collection", "name": "few"}
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            answer = server.post(f"{base}/export", json=asked)
        assert answer.status_code == 409
        assert answer.json() == {"error": f"cannot write the collection 'few': {os.strerror(errno.ENOSPC)}"}
        assert [path.name for path in folder.parent.iterdir()] == ["c"]
        assert server.post(f"{base}/export", json=asked).json() == {"name": "few"}
