"""Weights from a hub: the real huggingface_hub against a real server that answers as the hub does."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import shutil
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from dinoscope import Collection
from dinoscope.comparison import compare_models
from dinoscope.errors import DownloadError, InputError, ModelError
from dinoscope.milvus import _of_other_weights, published_name
from dinoscope.models.catalogue import Model, get_model
from dinoscope.models.encoder import Encoder
from dinoscope.models.hub import download as module
from dinoscope.models.hub import fetch_weights, find_weights, local
from dinoscope.models.hub import offline as archive_module
from dinoscope.models.hub.offline import pack, unpack
from dinoscope.models.processor import PROCESSOR
from dinoscope.sources.opening import open_source
from dinoscope.stages.checking.receipt import make_receipt
from tests import PATIENCE
from tests.checkpoints import random_vit, write_tensors

COMMIT, NEWER = "ab" * 20, "cd" * 20
WEIGHTS, CONFIG = b"official weights " * 100, b'{"model_type": "dinov2"}'
SMALL, GATED = get_model("dinov2-small"), get_model("dinov3-vitb16")
STRANGE = get_model("somebody/something")
LARGE = bytes(range(251)) * 50_000  # more than the 10 MiB that the hub's client writes at once
CUT_AT, KEPT = 11_000_000, 10 << 20
Trouble = Callable[["Handler"], bool]


class Handler(BaseHTTPRequestHandler):
    """Answers as huggingface.co does; `trouble` may answer first, which it says by returning True."""

    server: Hub

    def do_HEAD(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers)))
        if not (self.server.trouble and self.server.trouble(self)):
            self.answer()

    do_GET = do_HEAD
    do_CONNECT = do_HEAD

    def answer(self) -> None:
        repo, _, rest = unquote(self.path)[1:].partition("/resolve/")
        revision, _, name = rest.partition("/")
        if self.path.startswith("/cdn/"):
            self.send(self.server.blobs[self.path[5:]])
        elif repo not in self.server.repos:
            self.refuse(404, "RepoNotFound", "Repository not found")
        elif revision not in ("main", COMMIT):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
        elif name not in self.server.repos[repo]:
            self.refuse(404, "EntryNotFound", "Entry not found")
        else:
            self.send_file(self.server.repos[repo][name], large=not name.endswith(".json"))

    def send_file(self, content: bytes, *, large: bool, sha256: str = "", size: int | None = None) -> bool:
        """Send a small file, or where the large one is: at another host, as the hub's storage is."""
        digest = hashlib.sha256(content).hexdigest()
        if not large:
            return self.send(content, ("X-Repo-Commit", COMMIT), ("ETag", f'"{digest[:40]}"'))
        self.server.blobs[digest] = content
        self.send_response(302)
        for name, value in (
            ("X-Repo-Commit", COMMIT),
            ("X-Linked-ETag", f'"{sha256 or digest}"'),
            ("Content-Length", "0"),
            ("X-Linked-Size", str(len(content) if size is None else size)),
            ("Location", f"http://localhost:{self.server.server_port}/cdn/{digest}"),
        ):
            self.send_header(name, value)
        self.end_headers()
        return True

    def send(self, content: bytes, *headers: tuple[str, str], cut_at: int | None = None) -> bool:
        start = int(self.headers.get("Range", "bytes=0-")[6:-1])
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        for name, value in (("Content-Length", str(len(content) - start)), ("Accept-Ranges", "bytes"), *headers):
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[start:cut_at])
        return True

    def refuse(self, status: int, code: str = "", message: str = "") -> bool:
        self.send_response(status)
        for name, value in (("X-Error-Code", code), ("X-Error-Message", message), ("Content-Length", "0")):
            if value:
                self.send_header(name, value)
        self.end_headers()
        return True

    def log_message(self, *_: object) -> None: ...


class Hub(ThreadingHTTPServer):
    """A hub with the repositories of two models."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        files = {"model.safetensors": WEIGHTS, "config.json": CONFIG}
        self.repos: dict[str, dict[str, bytes]] = {str(SMALL.repo): dict(files), str(GATED.repo): dict(files)}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.blobs: dict[str, bytes] = {}
        self.trouble: Trouble | None = None
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None: ...  # a client that went away

    def paths(self, method: str) -> list[str]:
        return [path for made, path, _ in self.requests if made == method]

    def ranges(self) -> list[str | None]:
        """What each request for the large file asked for."""
        return [headers.get("Range") for method, path, headers in self.requests if path.startswith("/cdn/")]


@pytest.fixture
def hub() -> Iterator[Hub]:
    server = Hub()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make this a machine without weights that asks the hub at an address; returns its cache."""
    local.prepare_hub()
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between the hub's retries

    def machine(name: str, address: str) -> Path:
        cache = tmp_path / name / "hub"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / name / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        for each in (local, archive_module):
            monkeypatch.setattr(each, "unpacked_store", lambda: tmp_path / name / "models")
        return cache

    return machine


@pytest.fixture
def cache(settle: Callable[..., Path], hub: Hub) -> Path:
    return settle("machine", hub.address)


def is_large(handler: Handler) -> bool:
    return handler.path.startswith("/cdn/")


def fail(model: Model = SMALL) -> str:
    """Fetch weights that cannot be had, and return the message, which must be one line without a secret."""
    with pytest.raises((DownloadError, ModelError)) as caught:
        fetch_weights(model)
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert "hf_secret" not in message
    return message


def parts(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*part") if path.is_file()]


# --- what is here, and what comes -------------------------------------------------------------------------------------


def test_a_download_says_what_comes_and_happens_once(hub, cache):
    said: list[str] = []
    assert find_weights(SMALL) is None
    path = fetch_weights(SMALL, say=said.append)
    assert path.read_bytes() == WEIGHTS
    assert path.with_name("config.json").read_bytes() == CONFIG
    assert path.is_relative_to(cache)
    assert said == [
        "downloading dinov2-small: model.safetensors, 0.0 MB, from "
        f"{hub.address}/facebook/dinov2-small, once, to {cache}\n"
        "licence: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0"
    ]
    assert hub.ranges() == [None]
    assert not parts(cache)
    hub.requests.clear()
    assert fetch_weights(SMALL, say=said.append) == find_weights(SMALL) == path
    assert not hub.requests
    assert len(said) == 1


def test_nothing_but_file_requests_and_no_name_is_sent(hub, cache):
    fetch_weights(SMALL)
    for method, path, headers in hub.requests:
        assert method in ("HEAD", "GET")
        assert is_file(path), path
        assert "authorization" not in {name.lower() for name in headers}
        assert "dinoscope" not in str(headers)


def is_file(path: str) -> bool:
    return path.startswith(("/cdn/", f"/{SMALL.repo}/resolve/main/"))


def test_a_token_goes_to_the_hub_and_not_beyond(hub, cache, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetch_weights(GATED)
    for _, path, headers in hub.requests:
        sent = {name.lower(): value for name, value in headers.items()}.get("authorization")
        assert sent == (None if path.startswith("/cdn/") else "Bearer hf_secret"), path


def test_a_pinned_revision_is_asked_for(hub, cache):
    pinned = dataclasses.replace(SMALL, revision=COMMIT)
    path = fetch_weights(pinned)
    assert path.parent.name == COMMIT
    assert all(f"/resolve/{COMMIT}/" in path for path in hub.paths("HEAD"))
    assert find_weights(pinned) == path
    assert find_weights(dataclasses.replace(SMALL, revision=NEWER)) is None


def test_a_repository_may_do_without_config(hub, cache):
    del hub.repos[str(SMALL.repo)]["config.json"]
    path = fetch_weights(SMALL)
    assert [each.name for each in path.parent.iterdir()] == ["model.safetensors"]


def test_weights_that_are_no_row_come_with_their_processor(hub, cache):
    """A row of the table carries what it needs; of other weights it stands beside them."""
    hub.repos[str(STRANGE.repo)] = {"model.safetensors": WEIGHTS, "config.json": CONFIG, PROCESSOR: b"{}"}
    hub.repos[str(SMALL.repo)][PROCESSOR] = b"{}"
    assert fetch_weights(STRANGE).with_name(PROCESSOR).read_bytes() == b"{}"
    assert not fetch_weights(SMALL).with_name(PROCESSOR).exists()
    del hub.repos[str(STRANGE.repo)][PROCESSOR]
    fetch_weights(dataclasses.replace(STRANGE, revision=COMMIT))


def test_what_another_program_left_out_is_asked_for_when_a_person_says_so(hub, cache):
    files = {"model.safetensors": WEIGHTS, PROCESSOR: b"{}"}
    hub.repos[str(STRANGE.repo)] = files
    path = fetch_weights(STRANGE)
    path.with_name(PROCESSOR).unlink()
    hub.requests.clear()
    assert fetch_weights(STRANGE) == path
    assert not hub.requests
    assert fetch_weights(STRANGE, complete=True) == path
    assert path.with_name(PROCESSOR).read_bytes() == b"{}"
    assert hub.ranges() == []


def test_a_system_without_links_keeps_one_copy(hub, cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_SYMLINKS", True)
    path = fetch_weights(SMALL)
    assert not path.is_symlink()
    assert [each for each in cache.rglob("*") if each.is_file() and each.read_bytes() == WEIGHTS] == [path]
    assert fetch_weights(SMALL) == path


def test_it_is_told_how_far_it_is_and_whoever_is_told_may_end_it(hub, cache):
    hub.repos[str(SMALL.repo)]["model.safetensors"] = LARGE

    class Enough(Exception): ...

    def stop(here: int, whole: int) -> None:
        if here:
            raise Enough

    with pytest.raises(Enough):
        fetch_weights(SMALL, on_progress=stop)
    assert [part.stat().st_size for part in parts(cache)] == [KEPT]
    told: list[tuple[int, int]] = []
    path = fetch_weights(SMALL, on_progress=lambda here, whole: told.append((here, whole)))
    assert told == [(KEPT, len(LARGE)), (len(LARGE), len(LARGE))]
    assert hub.ranges() == [None, f"bytes={KEPT}-"]
    assert path.read_bytes() == LARGE


def test_two_that_fetch_at_once_download_once(hub, cache):
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(fetch_weights(SMALL))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert hub.ranges() == [None]


def test_models_without_a_repository(hub, cache):
    assert find_weights(get_model("mini")) is None
    with pytest.raises(
        ModelError, match=r"^mini ships with dinoscope: expected a model that comes from a hub; see 'dinos"
    ):
        fetch_weights(get_model("mini"))
    with pytest.raises(ModelError, match="x is named by its path"):
        fetch_weights(Model("x", "", "", path="/x"))


# --- revisions --------------------------------------------------------------------------------------------------------


def tiny_weights(tmp_path: Path, seed: int = 0) -> bytes:
    return write_tensors(tmp_path / "tiny" / "model.safetensors", random_vit(seed=seed)).read_bytes()


def move_main(cache: Path, content: bytes) -> None:
    """Let the main branch of a repository in the cache be another commit."""
    folder = cache / "models--somebody--something"
    (folder / "snapshots" / NEWER).mkdir()
    (folder / "snapshots" / NEWER / "model.safetensors").write_bytes(content)
    (folder / "refs" / "main").write_text(NEWER)


def encoder_of(model: Model) -> Encoder:
    return Encoder(model, resolution=32, device="cpu")


def test_what_was_fetched_is_kept_with_the_vectors_and_found_again(hub, cache, tmp_path):
    hub.repos[str(STRANGE.repo)] = {"model.safetensors": tiny_weights(tmp_path)}
    encoder = encoder_of(STRANGE)
    described = encoder.describe()
    assert (described["repo"], described["revision"]) == (STRANGE.repo, COMMIT)
    move_main(cache, tiny_weights(tmp_path, seed=1))
    newer = encoder_of(STRANGE)
    assert (newer.describe()["revision"], newer.key != encoder.key) == (NEWER, True)
    again = Encoder.from_description(described, device="cpu")
    assert (again.key, again.describe()) == (encoder.key, described)
    assert encoder_of(get_model(str(STRANGE.repo), COMMIT)).key == encoder.key


def test_another_commit_with_the_same_weights_will_do(hub, cache, tmp_path):
    hub.repos[str(STRANGE.repo)] = {"model.safetensors": tiny_weights(tmp_path)}
    described = encoder_of(STRANGE).describe()
    move_main(cache, tiny_weights(tmp_path))
    shutil.rmtree(cache / "models--somebody--something" / "snapshots" / COMMIT)
    assert Encoder.from_description(described, device="cpu").describe()["revision"] == NEWER
    (cache / "models--somebody--something" / "snapshots" / NEWER / "model.safetensors").write_bytes(b"other")
    hub.requests.clear()
    with pytest.raises(DownloadError, match=f"fetch somebody/something --revision {COMMIT}' .size and licence"):
        Encoder.from_description(described, device="cpu")
    with pytest.raises((ModelError, DownloadError), match=r"not on this machine|are not the ones|not a safetensors"):
        Encoder.from_description({**described, "revision": "../../elsewhere"}, device="cpu")
    assert not hub.requests


def test_other_weights_of_one_name_are_told(hub, cache, tmp_path, caplog, run):
    hub.repos[str(STRANGE.repo)] = {"model.safetensors": tiny_weights(tmp_path)}
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    Collection.from_images(pixels, tmp_path / "c", model=encoder_of(STRANGE))
    assert "other weights" not in caplog.text
    move_main(cache, tiny_weights(tmp_path, seed=1))
    Collection.from_images(pixels, tmp_path / "c", model=encoder_of(STRANGE))
    told = (
        rf"somebody/something has other weights in each \(commit {COMMIT[:12]}, SHA-256 \w{{12}}; commit {NEWER[:12]}, "
    )
    assert re.search(f"c has vectors of .* and now gets those of .*: {told}.*cannot be compared", caplog.text)
    keys = {encoder_of(get_model(str(STRANGE.repo), commit)).key for commit in (COMMIT, NEWER)}
    one, other = (Collection(tmp_path / "c", key) for key in sorted(keys))
    with pytest.raises(InputError, match=r"has other weights in each .*: their vectors cannot be compared; embed both"):
        one.difference(other)
    assert make_receipt(one)["model"].get("revision") in (COMMIT, NEWER)
    assert _of_other_weights([published_name(one), published_name(other), "x"], one) == [published_name(other)]


def test_embed_says_what_was_fetched_and_takes_a_revision(hub, cache, tmp_path, run):
    hub.repos[str(STRANGE.repo)] = {"model.safetensors": tiny_weights(tmp_path)}
    np.save(tmp_path / "a.npy", np.zeros((3, 16, 16, 3), np.uint8))
    command = ("embed", tmp_path / "a.npy", "-o", tmp_path / "c", "--model", STRANGE.repo, "--resolution", 32)
    code, _, told = run(*command, "--revision", COMMIT, "--device", "cpu")
    assert code == 0, told
    digest = hashlib.sha256(tiny_weights(tmp_path)).hexdigest()[:12]
    assert f"weights: somebody/something, commit {COMMIT[:12]}, SHA-256 {digest}..." in told
    assert all(f"/resolve/{COMMIT}/" in path for path in hub.paths("HEAD"))
    said: list[str] = []
    source = open_source(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8))
    compare_models(source, [str(STRANGE.repo)], resolutions=[32], device="cpu", say=said.append)
    assert f"weights: somebody/something, commit {COMMIT[:12]}, SHA-256 {digest}..." in said
    code, _, told = run(*command, "--revision", "nowhere")
    assert (code, "has no revision nowhere: see which there are at" in told) == (1, True)
    code, _, told = run(*command, "--revision", "../x")
    assert (code, "a revision is a commit, a tag or a branch of somebody/something, got '../x'" in told) == (1, True)
    code, _, told = run("embed", tmp_path / "a.npy", "-o", tmp_path / "c", "--revision", COMMIT)
    assert (code, "--revision is for a model that comes from a hub: name it with --model" in told) == (1, True)


# --- cut and resumed --------------------------------------------------------------------------------------------------


def test_a_cut_download_goes_on_by_itself(hub, cache):
    hub.repos[str(SMALL.repo)]["model.safetensors"] = LARGE

    def cut_once(handler: Handler) -> bool:
        if is_large(handler) and "Range" not in handler.headers:
            return handler.send(LARGE, cut_at=CUT_AT)
        return False

    hub.trouble = cut_once
    assert fetch_weights(SMALL).read_bytes() == LARGE
    assert hub.ranges() == [None, f"bytes={KEPT}-"]


def test_a_cut_download_goes_on_in_the_next_run(hub, cache):
    hub.repos[str(SMALL.repo)]["model.safetensors"] = LARGE

    def cut(handler: Handler) -> bool:
        if is_large(handler):
            return handler.send(LARGE, cut_at=CUT_AT if "Range" not in handler.headers else 0)
        return False

    hub.trouble = cut
    message = fail()
    assert "the connection to 127.0.0.1 was cut after 10.5 of 12.6 MB of model.safetensors: run the same" in message
    assert [part.stat().st_size for part in parts(cache)] == [KEPT]
    assert find_weights(SMALL) is None
    hub.trouble = None
    hub.requests.clear()
    assert fetch_weights(SMALL).read_bytes() == LARGE
    assert hub.ranges() == [f"bytes={KEPT}-"]
    assert not parts(cache)


def test_the_last_try_is_what_counts(hub, cache):
    def cut_then_refuse(handler: Handler) -> bool:
        if not is_large(handler):
            return False
        return handler.refuse(403) if len(hub.ranges()) > 1 else handler.send(WEIGHTS, cut_at=1000)

    hub.trouble = cut_then_refuse
    assert "localhost answered 403" in fail()


def test_a_reset_connection_is_a_cut(hub, cache):
    def reset(handler: Handler) -> bool:
        if is_large(handler):
            handler.send(LARGE, cut_at=1000)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            return True
        return False

    hub.trouble = reset
    assert "was cut after 0.0 of 0.0 MB of model.safetensors" in fail()


def test_a_server_that_knows_no_ranges_starts_anew(hub, cache):
    (blobs := cache / "models--facebook--dinov2-small" / "blobs").mkdir(parents=True)
    (blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.dinoscope-part").write_bytes(b"other")

    def whole(handler: Handler) -> bool:
        if is_large(handler):
            del handler.headers["Range"]
        return False

    hub.trouble = whole
    assert fetch_weights(SMALL).read_bytes() == WEIGHTS


def test_too_much_of_an_earlier_run_is_dropped(hub, cache):
    (blobs := cache / "models--facebook--dinov2-small" / "blobs").mkdir(parents=True)
    (blobs / f"{hashlib.sha256(WEIGHTS).hexdigest()}.dinoscope-part").write_bytes(WEIGHTS * 2)
    assert fetch_weights(SMALL).read_bytes() == WEIGHTS
    assert hub.ranges() == [None]


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_wrong_content_is_deleted_and_not_kept(hub, cache):
    hub.trouble = lambda to: "safetensors" in to.path and to.send_file(WEIGHTS, large=True, sha256="0" * 64)
    assert "expected SHA-256 000000000000..., got " in (message := fail())
    assert message.endswith(
        "it is deleted: run the same command again, and if that repeats, another network or HF_ENDPOINT"
    )
    assert not parts(cache)
    assert find_weights(SMALL) is None
    hub.trouble = None
    assert fetch_weights(SMALL).read_bytes() == WEIGHTS


def test_wrong_size(hub, cache):
    hub.trouble = lambda to: "safetensors" in to.path and to.send_file(WEIGHTS, large=True, size=2000)
    assert (
        "what came as model.safetensors of dinov2-small is not what the hub announced: expected 2,000 bytes, got 1,700"
        in (fail())
    )
    assert not parts(cache)


ELSEWHERE = (
    "run 'dinoscope models pack dinov2-small -o weights.tar' where there is a network and 'dinoscope models unpack "
    "weights.tar' here, or name a folder with the weights (--model ./FOLDER), or take the bundled --model mini"
)
OPEN = "or use --model dinov2-base, which is open"
ASK = "ask for access at https://huggingface.co/facebook/dinov3-vitb16-pretrain-lvd1689m"


@pytest.mark.parametrize(
    ("model", "token", "answer", "message"),
    [
        (SMALL, "", (404, "RepoNotFound"), "no repository facebook/dinov2-small on 127.0.0.1 (404): the name is wrong"),
        (SMALL, "", (401, "", "Invalid username or password."), "the name is wrong, or it is private and HF_TOKEN m"),
        (SMALL, "", (404, "RevisionNotFound"), "has no revision main: see which there are"),
        (GATED, "", (401, "GatedRepo"), f"is gated, and no token was sent (401): {ASK}, then set HF_TOKEN to a"),
        (GATED, "", (401, ""), OPEN),
        (GATED, "hf_secret", (403, "GatedRepo"), "account of your token is not on its list (403): " + ASK),
        (GATED, "hf_secret", (403, "GatedRepo"), OPEN),
        (STRANGE, "hf_secret", (403, "GatedRepo"), "or use --model dinov2-small, which is open"),
        (
            GATED,
            "hf_secret",
            (401, "", "Invalid credentials in Authorization header"),
            "could not fetch dinov3-vitb16: the hub does not know the token that was sent (401): set HF_TOKEN to a",
        ),
        (SMALL, "hf_sec\u2192ret", (401, ""), "HF_TOKEN is not a token: expected hf_ and letters"),
        (SMALL, "", (403, ""), "127.0.0.1 answered 403: see https://huggingface.co/facebook/dinov2-small, or run"),
        (SMALL, "", (429, ""), "127.0.0.1 answered 429: wait some minutes, or set HF_TOKEN, then run the same"),
        (SMALL, "", (503, ""), "127.0.0.1 answered 503: the fault is there: wait, then run the same command ag"),
        (SMALL, "", (500, ""), ELSEWHERE),
    ],
)
def test_refusals(hub, cache, monkeypatch, model, token, answer, message):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.trouble = lambda to: to.refuse(*answer)
    assert message in fail(model)
    assert len(hub.requests) <= 1
    assert not cache.exists() or not parts(cache)


@pytest.mark.parametrize(
    ("command", "name", "host"),
    [("HEAD", "config.json", "127.0.0.1"), ("GET", "config.json", "127.0.0.1"), ("GET", "/cdn/", "localhost")],
)
def test_trouble_after_the_first_answer(hub, cache, command, name, host):
    hub.trouble = lambda to: to.command == command and name in to.path and to.refuse(503)
    assert f"{host} answered 503: the fault is there" in fail()
    assert find_weights(SMALL) is None


def test_the_storage_behind_the_hub_knows_no_gates(hub, cache):
    hub.trouble = lambda to: is_large(to) and to.refuse(403)
    assert "could not fetch dinov3-vitb16: localhost answered 403: see https://huggingface.co/facebook/dinov3" in fail(
        GATED
    )


@pytest.mark.parametrize("pickled", [True, False])
def test_a_repository_without_safetensors(hub, cache, pickled):
    del hub.repos[str(SMALL.repo)]["model.safetensors"]
    if pickled:
        hub.repos[str(SMALL.repo)]["pytorch_model.bin"] = b"pickle"
    only = ", only pytorch_model.bin" if pickled else ""
    assert f"facebook/dinov2-small on 127.0.0.1 has no model.safetensors{only}: dinoscope reads model.saf" in fail()


def test_a_name_that_no_hub_has(hub, cache):
    message = "'a--b/c' is not a name of a repository: expected OWNER/NAME; see 'dinoscope models'"
    assert fail(Model("a--b/c", "", "", repo="a--b/c")) == message
    assert not hub.requests


def test_a_page_to_log_in_is_no_hub(hub, cache):
    hub.trouble = lambda to: to.send(b"<html>welcome to our hotel</html>")
    assert (
        "is not a hub (no commit and ETag): check HF_ENDPOINT, and whether this network wants you to log in" in fail()
    )
    assert not cache.exists()


def test_a_circle_is_no_hub(hub, cache):
    def circle(handler: Handler) -> bool:
        handler.send_response(302)
        handler.send_header("Location", handler.path)
        handler.end_headers()
        return True

    hub.trouble = circle
    assert "127.0.0.1 does not answer as a hub does: check HF_ENDPOINT and HTTPS_PROXY, or run" in fail()


def test_offline_and_not_here(hub, cache, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fail() == (
        "could not fetch dinov2-small: it is not on this machine, and HF_HUB_OFFLINE is set: unset it, or " + ELSEWHERE
    )
    assert not hub.requests


def test_offline_and_here(hub, cache, monkeypatch):
    from huggingface_hub import constants

    path = fetch_weights(SMALL)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_weights(SMALL) == path


def test_no_network(settle):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settle("machine", f"http://127.0.0.1:{port}")
    message = fail()
    assert "no connection to 127.0.0.1 (Connection refused): check the network and HF_ENDPOINT, or run" in message
    assert message.endswith(ELSEWHERE)


def test_no_name_resolution(settle, monkeypatch):
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    settle("machine", "https://hub.invalid")
    assert "cannot find hub.invalid: check the network, HTTPS_PROXY and HF_ENDPOINT, or " in fail()


@pytest.fixture
def new_client() -> Iterator[None]:
    """A client of the hub that reads the environment anew; it takes 60 ms, so the other tests share one."""
    from huggingface_hub.utils import close_session  # type: ignore[attr-defined]

    close_session()
    yield
    close_session()


def test_a_proxy_that_refuses(hub, settle, new_client, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", hub.address)
    hub.trouble = lambda to: to.refuse(403)
    settle("machine", "https://hub.invalid")
    assert "the proxy refuses to connect to hub.invalid: check HTTPS_PROXY and NO_PROXY, or " in fail()
    assert hub.paths("CONNECT") == ["hub.invalid:443"]


def test_tls_that_is_none(hub, settle):
    settle("machine", hub.address.replace("http:", "https:"))
    assert "the certificate of 127.0.0.1 is not trusted: set SSL_CERT_FILE" in fail()


@pytest.mark.parametrize("address", ["huggingface.co", "ftp://huggingface.co"])
def test_an_endpoint_that_is_no_address(settle, address):
    settle("machine", address)
    assert "HF_ENDPOINT is not an address: expected one like https://huggingface.co" in fail()


@pytest.mark.parametrize("what", ["HEAD", "GET"])
def test_a_server_that_stops_answering(hub, cache, monkeypatch, what):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 1)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    done = threading.Event()
    hub.trouble = lambda to: to.command == what and "json" not in to.path and done.wait(PATIENCE)
    came = " after 0.0 of 0.0 MB of model.safetensors" if what == "GET" else ""
    assert f"127.0.0.1 stopped answering{came}: run the same command again, which goes on where it stopped" in fail()
    done.set()


def test_a_disk_that_is_too_small(hub, cache, monkeypatch):
    usage = shutil.disk_usage(cache.parents[1])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100))
    assert "the disk is too full for dinov2-small: 0.0 MB needed in " in (message := fail())
    assert message.endswith("0.0 MB free: make room, or set HF_HOME to a folder on another disk")
    assert not hub.ranges()


def test_a_disk_that_fills_up(hub, cache, monkeypatch):
    def full(_url: str, file: Any, **_: object) -> None:
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    assert "the disk is too full for dinov2-small (88.2 MB) in " in fail()


def test_a_cache_that_cannot_be_written(hub, cache):
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    assert "could not write dinov2-small to " in (message := fail())
    assert message.endswith("(Not a directory): set HF_HOME to a folder that you may write to")


def test_a_mistake_in_the_program_is_no_trouble_of_the_network(hub, cache, monkeypatch):
    def wrong(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(module, "_transfer", wrong)
    with pytest.raises(KeyError):
        fetch_weights(SMALL)


# --- packed and unpacked ----------------------------------------------------------------------------------------------


@pytest.fixture
def archive(hub: Hub, cache: Path, settle: Callable[..., Path], tmp_path: Path) -> Path:
    """An archive of two models; the machine is now another one, without weights and without a network."""
    path = tmp_path / "weights.tar"
    packed = pack([SMALL, GATED, SMALL], path)
    assert [(each.name, each.repo, each.revision, each.licence) for each in packed] == [
        (model.name, model.repo, COMMIT, model.licence) for model in (SMALL, GATED)
    ]
    settle("other", "http://127.0.0.1:9")
    hub.requests.clear()
    return path


Members = list[tuple[tarfile.TarInfo, bytes]]


def rewrite(archive: Path, change: Callable[[Members], object]) -> Path:
    """Write an archive anew, with its members changed."""
    with tarfile.open(archive) as tar:
        members = []
        for info in tar:
            content = tar.extractfile(info)
            assert content is not None
            members.append((info, content.read()))
    change(members)
    with tarfile.open(archive, "w") as tar:
        for info, data in members:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return archive


def put(members: Members, index: int, content: bytes) -> None:
    members[index] = (members[index][0], content)


def rewrite_manifest(archive: Path, change: Callable[[Any], object]) -> Path:
    def edit(members: Members) -> None:
        manifest = json.loads(members[0][1])
        change(manifest)
        put(members, 0, json.dumps(manifest).encode())

    return rewrite(archive, edit)


def other_files(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "other").rglob("*") if path.is_file())


def test_weights_travel(archive, hub, tmp_path):
    assert find_weights(SMALL) is None
    assert unpack(archive) == ["dinov2-small", "dinov3-vitb16"]
    path = fetch_weights(SMALL)
    assert path == find_weights(SMALL)
    assert path.read_bytes() == WEIGHTS
    assert path.with_name("config.json").read_bytes() == CONFIG
    assert path.parent.name == COMMIT
    assert find_weights(dataclasses.replace(SMALL, revision=COMMIT)) == path
    assert find_weights(dataclasses.replace(SMALL, revision=NEWER)) is None
    assert not hub.requests
    before = path.stat().st_mtime_ns
    assert unpack(archive) == ["dinov2-small", "dinov3-vitb16"]
    assert path.stat().st_mtime_ns == before
    assert other_files(tmp_path) == ["config.json", "config.json", "model.safetensors", "model.safetensors"]
    again = pack([SMALL], tmp_path / "again" / "weights.tar")  # from what was unpacked
    assert again[0].revision == COMMIT


def test_the_manifest_says_all_and_nothing_of_the_machine(archive):
    with tarfile.open(archive) as tar:
        infos = tar.getmembers()
        first = tar.extractfile(infos[0])
        assert first is not None
        manifest = json.load(first)
    assert {(info.mtime, info.uid, info.uname, info.mode) for info in infos} == {(0, 0, "", 0o644)}
    assert (manifest["format"], manifest["version"]) == ("dinoscope-weights", 1)
    gated = manifest["models"][1]
    assert (gated["name"], gated["repo"], gated["revision"]) == ("dinov3-vitb16", GATED.repo, COMMIT)
    assert (gated["licence"], gated["licence_link"][:24]) == ("DINOv3", "https://ai.meta.com/reso")
    assert gated["files"] == [
        {"name": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in (("model.safetensors", WEIGHTS), ("config.json", CONFIG))
    ]
    assert str(archive.parent) not in json.dumps(manifest)


def test_the_last_unpacked_revision_counts(archive, tmp_path):
    unpack(archive)

    def rename(members: Members) -> None:
        put(members, 0, members[0][1].replace(COMMIT.encode(), NEWER.encode()))
        for info, _ in members:
            info.name = info.name.replace(COMMIT, NEWER)

    unpack(rewrite(archive, rename))
    found = find_weights(SMALL)
    assert found is not None
    os.utime(found.parents[1] / COMMIT, (0, 0))
    assert find_weights(SMALL) == found.parents[1] / NEWER / "model.safetensors"


def test_what_is_there_already_is_not_lost(archive, tmp_path):
    unpack(archive)
    path = find_weights(SMALL)
    assert path is not None
    path.write_bytes(b"mine")
    with pytest.raises(
        ModelError, match=r"is not what the archive holds, and nothing was changed: move .* away, then run"
    ):
        unpack(archive)
    assert path.read_bytes() == b"mine"


def add(members: Members, name: str, kind: bytes = tarfile.REGTYPE) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    members.append((info, b"x" if kind == tarfile.REGTYPE else b""))


def name_file(name: str) -> Callable[[Any], object]:
    return lambda it: it["models"][0]["files"][0].update(name=name)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda a: rewrite(a, lambda m: add(m, "../../evil")),
            "it holds '../../evil', which its manifest does not name as",
        ),
        (lambda a: rewrite(a, lambda m: add(m, "/evil")), "it holds '/evil', which"),
        (lambda a: rewrite(a, lambda m: add(m, "evil", tarfile.SYMTYPE)), "it holds 'evil', which"),
        (lambda a: rewrite(a, lambda m: add(m, m[1][0].name)), "it holds 'facebook--dinov2-small/abab"),
        (lambda a: rewrite(a, lambda m: add(m, m.pop(1)[0].name, tarfile.SYMTYPE)), "which its manifest does not name"),
        (lambda a: rewrite(a, lambda m: add(m, m.pop(1)[0].name, tarfile.LNKTYPE)), "which its manifest does not name"),
        (
            lambda a: rewrite(a, lambda m: m.pop(0)),
            "it must begin with dinoscope-weights.json, got 'facebook--dinov2-small",
        ),
        (lambda a: rewrite(a, lambda m: m.clear()), "it must begin with dinoscope-weights.json, got 'nothing'"),
        (lambda a: rewrite(a, lambda m: m.pop()), r"it was cut: facebook--dinov3.*/config.json is missing"),
        (lambda a: rewrite(a, lambda m: put(m, 1, b"y" * 1700)), "is not what its manifest says: e"),
        (lambda a: rewrite(a, lambda m: put(m, 0, b"{")), "its manifest is damaged"),
        (lambda a: rewrite(a, lambda m: put(m, 0, b"[]")), "its manifest is damaged"),
        (lambda a: rewrite(a, lambda m: put(m, 0, bytes(2 << 20))), "it must begin with"),
        (
            lambda a: rewrite_manifest(a, lambda it: it.update(version=2)),
            r"expected format dinoscope-weights 1, got .* 2 \(a",
        ),
        (lambda a: rewrite_manifest(a, lambda it: it.update(models=[])), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"].append(it["models"][0])), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"][0].pop("repo")), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"][0].update(repo="../x/y")), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"][0].update(repo=7)), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"][0].update(name="\x1b[2J")), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, lambda it: it["models"][0].update(revision="..")), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, name_file("../evil")), "its manifest is damaged"),
        (lambda a: rewrite_manifest(a, name_file("/evil")), "its manifest is damaged"),
        (lambda a: a.write_bytes(a.read_bytes()[:4000]), "it "),
        (lambda a: a.write_bytes(a.read_bytes()[:700]), "it "),
        (lambda a: a.write_bytes(b"not a tar"), "it is not a plain tar, or was cut"),
        (lambda a: a.write_bytes(b""), "it is not a plain tar, or was cut"),
    ],
)
def test_damaged_archives_change_nothing(archive, tmp_path, damage, reason):
    damage(archive)
    with pytest.raises(ModelError, match=rf"^weights.tar cannot be unpacked: .*{reason}") as caught:
        unpack(archive)
    assert "\n" not in str(caught.value)
    assert "; nothing was changed: copy it again, or pack it again with 'dinoscope models pack'" in str(caught.value)
    assert other_files(tmp_path) == []
    assert not list((tmp_path / "other").rglob(".unpack*"))
    assert not list(tmp_path.rglob("evil*"))


def test_no_archive(tmp_path, cache):
    with pytest.raises(
        ModelError, match=r"no archive at .*nowhere.tar: expected one that 'dinoscope models pack' wrote"
    ):
        unpack(tmp_path / "nowhere.tar")


def test_packing_needs_weights(settle, tmp_path):
    settle("machine", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match="no connection to"):
        pack([SMALL], tmp_path / "weights.tar")
    with pytest.raises(InputError, match="nothing to pack: expected one model or more"):
        pack([], tmp_path / "weights.tar")
    with pytest.raises(ModelError, match="mini ships with dinoscope"):
        pack([get_model("mini")], tmp_path / "weights.tar")
    assert not list(tmp_path.glob("*.tar*"))


@pytest.mark.parametrize("folder", [".", "/", ".."])
def test_an_archive_called_as_a_folder_is_told_before_any_download(hub, cache, folder):
    with pytest.raises(InputError, match=r"is a folder: expected the name of the archive, such as .*weights\.tar$"):
        pack([SMALL], Path(folder))
    assert not hub.requests


def test_an_archive_is_written_whole_or_not_at_all(hub, cache, tmp_path, monkeypatch):
    (tmp_path / "weights.tar").write_text("older")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archive_module, "_add", full)
    with pytest.raises(OSError, match="No space left"):
        pack([SMALL], tmp_path / "weights.tar")
    assert (tmp_path / "weights.tar").read_text() == "older"
    assert not list(tmp_path.glob(".weights*"))
