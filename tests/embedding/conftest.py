"""Fixtures that several files of this folder share."""

import pytest

from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset


@pytest.fixture(scope="module")
def pixels(request):
    """As many images as the file's ``ALL`` says."""
    return load_dataset("fashion-mnist-test").pixels[: request.module.ALL]


@pytest.fixture(scope="module")
def encoder():
    return Encoder("mini-fashion", batch_size=8, threads=1)
