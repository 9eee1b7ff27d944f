"""Clothes whose patches are kept in several small parts."""

import shutil

import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.queries import tokens

COUNT = 20


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(tokens, "_PART", 8)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Clothes, some of them wider than high: their grids differ."""
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(load_dataset("fashion-mnist-test").pixels[:COUNT]):
        size = (56, 28) if number % 5 == 0 else (28, 28)
        Image.fromarray(pixels).resize(size).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def embedded(images, tmp_path_factory):
    return Collection.from_images(images, tmp_path_factory.mktemp("embedded") / "clothes", model="mini").path


@pytest.fixture
def clothes(embedded, tmp_path):
    return Collection(shutil.copytree(embedded, tmp_path / "clothes"))
