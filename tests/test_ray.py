"""Embedding on Ray: a real cluster of two nodes on this machine gives the collection that a local run gives."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from dinoscope import Collection
from dinoscope.datasets import load_dataset
from dinoscope.errors import ClusterError
from dinoscope.images import ArraySource
from dinoscope.ray_batches import OnRay

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own

IMAGES = 2200  # a random order from 2,000 on


@pytest.fixture(scope="module")
def cluster():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    memory = 100_000_000
    head = {"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(num_cpus=1, object_store_memory=memory)
    yield cluster.address
    cluster.shutdown()


@pytest.fixture(scope="module")
def source():
    whole = load_dataset("fashion-mnist-test")
    images = np.stack([whole.load(i)[..., 0] for i in range(IMAGES)])
    return ArraySource(images, [whole.items[i].label for i in range(IMAGES)])


@pytest.fixture(scope="module")
def local(source, tmp_path_factory):
    return Collection.from_images(source, tmp_path_factory.mktemp("local") / "c", model="mini-fashion")


def ray_workers():
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return found


def check_same(found, expected):
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.thumbnails(np.arange(0, IMAGES, 50)) == expected.thumbnails(np.arange(0, IMAGES, 50))
    assert found.state == expected.state


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_cluster_of_two_nodes_with_a_worker_killed_gives_the_local_collection(cluster, source, local, tmp_path):
    killed: list[int] = []

    def kill_once(progress):
        if not killed:
            killed.extend(ray_workers()[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    found = Collection.from_images(
        source, tmp_path / "c", model="mini-fashion", batches=OnRay(cluster), on_progress=kill_once
    )
    assert len(killed) == 1
    assert found.embedded is not None
    assert found.embedded.embedded == IMAGES
    check_same(found, local)


def test_only_what_is_missing_is_embedded(cluster, source, local, tmp_path):
    from dinoscope.images import select

    some = Collection.from_images(select(source, range(300)), tmp_path / "c", model="mini-fashion")
    assert len(some) == 300
    found = Collection.from_images(source, tmp_path / "c", model="mini-fashion", batches=OnRay(cluster, workers=1))
    assert found.embedded is not None
    assert found.embedded.embedded == IMAGES - 300
    np.testing.assert_array_equal(found.vectors, local.vectors)


def test_the_command_line_names_what_cannot_be_read(cluster, run, tmp_path):
    from PIL import Image

    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), (40 * number, 90, 10)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    code, _, err = run("embed", folder, "-o", tmp_path / "c", "--on", cluster)
    assert code == 0
    assert "broken.jpg" in err
    assert len(Collection(tmp_path / "c")) == 6


def test_an_error_of_a_worker_is_the_error(cluster, tmp_path):
    from dinoscope.encoder import Encoder
    from dinoscope.errors import ModelError

    encoder = Encoder("mini")
    encoder.key = "another"  # as if this machine had another runtime than the nodes
    with pytest.raises(ModelError, match=r"a worker makes vectors of 'mini-.*expected 'another'"):
        Collection.from_images(np.zeros((3, 8, 8), np.uint8), tmp_path / "c", model=encoder, batches=OnRay(cluster))


def test_workers_run_on_the_device_that_was_asked_for():
    from dinoscope.encoder import Encoder
    from dinoscope.ray_batches import Recipe

    pytest.importorskip("openvino")
    assert Recipe.of(Encoder("mini", device="openvino-fp32")).load().device == "openvino"
    assert Recipe.of(Encoder("mini")).load().device == "cpu"


def test_no_cluster_at_that_address(tmp_path):
    with pytest.raises(ClusterError, match=r"no Ray cluster at 127\.0\.0\.1:1 .*expected HOST:PORT"):
        Collection.from_images(np.zeros((3, 8, 8), np.uint8), tmp_path / "c", batches=OnRay("127.0.0.1:1"))


def test_workers_without_ray(run, tmp_path):
    code, _, err = run("embed", "fashion-mnist-test", "-o", tmp_path / "c", "--workers", "2")
    assert code == 1
    assert "add --on ray" in err
