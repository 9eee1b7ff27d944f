"""Weights that are not on the server's machine: told with size and licence, fetched when a person asks, never else."""

from __future__ import annotations

import dataclasses
import http.client
import json
import shutil
import threading
import time
from contextlib import closing

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.models.encoder import Encoder
from dinoscope.models.hub import find_weights
from dinoscope.server.security import Access
from dinoscope.storage.files import read_json, write_json
from tests import PATIENCE
from tests.checkpoints import random_vit, write_tensors
from tests.models.test_hub import COMMIT, CONFIG, SMALL, cache, hub, settle  # noqa: F401  fixtures
from tests.pictures import encoded, photo
from tests.served import ADDRESS, client, live

PICTURE = encoded(photo(), "PNG")
SIDE = 32
PINNED = dataclasses.replace(SMALL, revision=COMMIT)  # as the collection names it


def weights(folder, seed=0):
    """Weights of more than twice the 10 MiB that are fetched at once."""
    return write_tensors(folder / "model.safetensors", random_vit(dim=256, depth=8, seed=seed)).read_bytes()


@pytest.fixture
def made(hub, cache, tmp_path):  # noqa: F811
    """A collection of vectors of a row of the table, on a machine that lost the weights, and their address."""
    hub.repos[str(SMALL.repo)] = {"model.safetensors": weights(tmp_path), "config.json": CONFIG}
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    made = Collection.from_images(pixels, tmp_path / "c", model=Encoder(SMALL, resolution=SIDE, device="cpu"))
    shutil.rmtree(cache)
    hub.requests.clear()
    return made.path, f"/api/models/{made.key}"


def search(server, base):
    return server.post(f"{base}/search", content=PICTURE)


def test_what_is_missing_is_told_and_not_fetched(made, hub):  # noqa: F811
    path, base = made
    with client(path) as server:
        for answer in (search(server, base), server.get(f"{base}/images/3/patches")):
            assert answer.status_code == 409
            assert answer.json()["weights"] == {
                "name": "dinov2-small",
                "repository": "facebook/dinov2-small",
                "megabytes": SMALL.megabytes,
                "licence": "Apache-2.0",
                "licenceLink": "https://www.apache.org/licenses/LICENSE-2.0",
                "obstacle": None,
            }
        assert server.get(f"{base}/weights").json() is None
        assert "weights" not in server.get(f"{base}/images/999").json()
    assert hub.requests == []


def test_weights_are_fetched_and_the_question_is_answered(made, hub, cache):  # noqa: F811
    path, base = made
    with client(path) as server:
        assert search(server, base).status_code == 409
        assert server.post(f"{base}/weights").status_code == 204
        found = search(server, base)
    assert found.status_code == 200
    assert len(found.json()["matches"]) == 12
    assert hub.ranges() == [None]
    assert {path.rpartition("/resolve/")[0] for _, path, _ in hub.requests if "/resolve/" in path} == {
        "/facebook/dinov2-small"
    }


def test_other_weights_than_those_that_made_the_vectors_are_not_run(made, hub, tmp_path, monkeypatch):  # noqa: F811
    path, base = made
    hub.repos[str(SMALL.repo)]["model.safetensors"] = weights(tmp_path, seed=1)
    monkeypatch.setattr("dinoscope.models.encoder.open_runtime", None)  # no session
    with client(path) as server:
        answer = server.post(f"{base}/weights")
    assert answer.status_code == 409
    assert "are not the ones that made the vectors" in answer.json()["error"]


def test_an_earlier_mini_cannot_be_asked_and_the_page_says_what_to_run(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), dtype=np.uint8)
    made = Collection.from_images(pixels, tmp_path / "c", model="mini")
    described = made.path / "vectors" / made.key / "model.json"
    write_json(described, {**read_json(described, dict), "weights_sha256": "0" * 64}, checked=True)
    with client(made.path) as server:
        for answer in (
            search(server, f"/api/models/{made.key}"),
            server.get(f"/api/models/{made.key}/images/3/patches"),
        ):
            assert 400 <= answer.status_code < 500
            assert (
                "embed the images again ('dinoscope embed SOURCE -o COLLECTION --model mini')" in answer.json()["error"]
            )


def test_a_hub_that_cannot_answer_is_told_and_another_try_goes_on(made, hub, cache):  # noqa: F811
    path, base = made
    hub.trouble = lambda handler: handler.path.startswith("/cdn/") and handler.refuse(503)
    with client(path) as server:
        answer = server.post(f"{base}/weights")
        assert answer.status_code == 409
        assert "could not fetch dinov2-small: localhost answered 503" in answer.json()["error"]
        assert answer.json().get("weights") is None
        hub.trouble = None
        assert server.post(f"{base}/weights").status_code == 204


def test_it_is_told_how_far_it_is_and_it_can_be_stopped_and_goes_on(made, hub, cache):  # noqa: F811
    """Whoever leaves ends the download, and what has come stays."""
    path, base = made
    content, go_on = hub.repos[str(SMALL.repo)]["model.safetensors"], threading.Event()
    half = 11_000_000

    def slow(handler):
        if not handler.path.startswith("/cdn/") or "Range" in handler.headers:
            return False
        handler.send(content, cut_at=half)
        go_on.wait(PATIENCE)
        handler.wfile.write(content[half:])
        return True

    hub.trouble = slow
    with live(path) as (port, app):

        def ask(method):
            with closing(http.client.HTTPConnection("127.0.0.1", port)) as asking:
                asking.request(method, f"{base}/weights")
                answer = asking.getresponse()
                return answer.status, json.loads(answer.read() or "null")

        fetching = http.client.HTTPConnection("127.0.0.1", port)
        fetching.request("POST", f"{base}/weights")
        found = None
        while not found or not found["done"]:
            found = ask("GET")[1]
        assert found == {"done": 10 << 20, "total": len(content)}
        fetching.close()
        (job,) = app.state.explorer.fetching._running.values()
        while job.waiting:
            time.sleep(0.02)
        go_on.set()
        while found is not None:
            found = ask("GET")[1]
        assert find_weights(PINNED) is None
        (part,) = cache.rglob("*.dinoscope-part")
        size = part.stat().st_size
        assert 10 << 20 <= size < len(content)
        assert ask("POST") == (204, None)
    assert hub.ranges() == [None, f"bytes={size}-"]
    whole = find_weights(PINNED)
    assert whole is not None
    assert whole.read_bytes() == content


def test_what_only_shows_fetches_nothing(made, hub):  # noqa: F811
    path, base = made
    with client(path, read_only=True) as server:
        assert search(server, base).json()["weights"]["obstacle"] == "it was started with --read-only"
        assert server.post(f"{base}/weights").status_code == 403
    assert hub.requests == []


def test_a_machine_without_a_network_says_so(made, hub, monkeypatch):  # noqa: F811
    from huggingface_hub import constants

    path, base = made
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with client(path) as server:
        assert "HF_HUB_OFFLINE is set" in search(server, base).json()["weights"]["obstacle"]
        answer = server.post(f"{base}/weights")
        assert (answer.status_code, "HF_HUB_OFFLINE is set" in answer.json()["error"]) == (409, True)
    assert hub.requests == []


def test_another_page_or_somebody_without_the_token_fetches_nothing(made, hub):  # noqa: F811
    path, base = made
    with client(path, access=Access(token="a" * 24)) as server:
        assert server.post(f"{base}/weights").status_code == 401
        known = {"Authorization": f"Bearer {'a' * 24}"}
        foreign = {**known, "Origin": "http://elsewhere.example"}
        assert server.post(f"{base}/weights", headers=foreign).status_code == 403
        assert server.post(f"{base}/weights", headers={**known, "Sec-Fetch-Site": "cross-site"}).status_code == 403
        assert hub.requests == []
        assert server.post(f"{base}/weights", headers={**known, "Origin": ADDRESS}).status_code == 204


@pytest.mark.parametrize("model", ["mini", "/etc/passwd", "../../weights", "https://elsewhere.example/x", "a/b/c"])
def test_nothing_but_rows_and_repositories_is_fetched(made, hub, model):  # noqa: F811
    """A stranger's collection may hold any name."""
    path, base = made
    file = next(path.glob("vectors/*/model.json"))
    write_json(file, {**read_json(file), "model": model, "repo": "evil/evil", "revision": "x"})
    with client(path) as server:
        assert server.post(f"{base}/weights").status_code == 409
    assert hub.requests == []


def test_of_a_repository_that_is_no_row_nothing_is_believed(made, hub):  # noqa: F811
    """Licence and size of what a stranger's collection names are not those that it says."""
    path, base = made
    file = next(path.glob("vectors/*/model.json"))
    write_json(file, {**read_json(file), "model": "somebody/something", "licence": "Apache-2.0"})
    with client(path) as server:
        told = search(server, base).json()["weights"]
    assert (told["repository"], told["megabytes"], told["licence"]) == ("somebody/something", None, "")
