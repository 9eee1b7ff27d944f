"""Fixtures of the tests of the recipe that makes the bundled weights."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    from tests.pretraining.common import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with 256 colour images as Parquet, and 60 grey ones in IDX files."""
    from tests.pretraining.common import SHAPES, draw, png

    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    labels = [SHAPES[i % 4] for i in range(256)]
    cells = [png(draw(rng, label)) for label in labels]
    pq.write_table(pa.table({"image": pa.array(cells, pa.binary()), "label": labels}), folder / "cifar10-train.parquet")
    grey = np.stack([draw(rng, SHAPES[i % 4], 28)[..., 0] for i in range(60)])
    header = struct.pack(">4i", 0x803, 60, 28, 28)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + grey.tobytes()))
    header = struct.pack(">2i", 0x801, 60)
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(header + bytes(i % 4 for i in range(60))))
    return folder


@pytest.fixture(scope="module")
def colour(data):
    from tests.pretraining.common import images

    return images.load("cifar10", data)


@pytest.fixture(scope="module")
def trained(colour, tmp_path_factory):
    """A trained run of each kind of network, for the exports."""
    from tests.pretraining.common import RECIPE, fit

    folder = tmp_path_factory.mktemp("runs")
    short = replace(RECIPE, steps=6, size=24, local_size=16)
    return {
        name: fit(replace(short, backbone=name), [colour], folder / f"{name}.pt")
        for name in ("resnet-tiny", "resnet-tiny-strided", "vit-tiny")
    }
