"""A small collection, and the explorer of one without a network, for the tests of the server."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.explorer.model_view import ModelData
from dinoscope.models.encoder import Encoder
from dinoscope.server.app import create_app
from dinoscope.server.connections import ExplorerServer
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from tests import PATIENCE

N = 130
ADDRESS = "http://127.0.0.1:8347"


@cache
def images(count: int = N, labelled: bool = True) -> ArraySource:
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:count]] if labelled else None
    return ArraySource(dataset.pixels[:count], labels=labels)


def make_collection(path: Path, source: Any = None, model: str = "mini-fashion") -> Path:
    """Embed images, by default those of ``images()``; what was embedded before is a copy of those files.

    So never call it under a patch of the encoder or the pipeline.
    """
    source = images() if source is None else source
    if type(source) is ArraySource and not path.exists():
        return Path(shutil.copytree(_embedded(source, model), path))
    embed_source(source, path, Encoder(model))
    return path


@cache
def _embedded(source: ArraySource, model: str) -> Path:
    path = Path(tempfile.mkdtemp(dir=_embeddings().name)) / "c"
    embed_source(source, path, Encoder(model))
    return path


@cache
def _embeddings() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with the process."""
    return tempfile.TemporaryDirectory(prefix="dinoscope-embedded-")


def prepared(path: Path) -> Path:
    """Compute what the explorer computes in its first seconds: no verdict, column or finding comes later."""
    collection = Collection(path)
    for work in ModelData(collection, collection.key).preparations().values():
        work()
    collection.findings()
    return path


def client(path: Path, *, raising: bool = False, **settings: Any) -> TestClient:
    app = create_app(path, **{"warm": False, **settings})
    return TestClient(app, base_url=ADDRESS, raise_server_exceptions=raising)


def until_stopped(check: Callable[[], object], begun: threading.Event, ended: threading.Event) -> None:
    """Work that goes on until ``check`` raises; it says when it has begun and ended."""
    begun.set()
    try:
        while True:
            check()
            ended.wait(0.01)
    finally:
        ended.set()


@contextmanager
def live(path: Path, **settings: Any) -> Iterator[tuple[int, Any]]:
    """Run the real server on a real port, for what a test client does not let through; yields port and application."""
    app = create_app(path, **{"warm": False, **settings})
    listening = socket.create_server(("127.0.0.1", 0))
    running = ExplorerServer(app)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not running.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield listening.getsockname()[1], app
    finally:
        running.should_exit = True
        thread.join(PATIENCE)
