"""A small collection, and the explorer of one without a network, for the tests of the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from dinoscope.embedding.pipeline import embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.server.app import create_app
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets import load_dataset

N = 130
ADDRESS = "http://127.0.0.1:8347"


def images(count: int = N, labelled: bool = True) -> ArraySource:
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:count]] if labelled else None
    return ArraySource(dataset.pixels[:count], labels=labels)


def make_collection(path: Path, source: Any = None, model: str = "mini-fashion") -> Path:
    embed_source(images() if source is None else source, path, Encoder(model))
    return path


def client(path: Path, *, raising: bool = False, **settings: Any) -> TestClient:
    app = create_app(path, **{"warm": False, **settings})
    return TestClient(app, base_url=ADDRESS, raise_server_exceptions=raising)
