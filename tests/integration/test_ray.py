"""Embedding on Ray: a real cluster of two nodes on this machine gives the collection that a local run gives."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.embedding import pipeline
from dinoscope.errors import ModelError, RayError
from dinoscope.models.encoder import Encoder
from dinoscope.on_ray.embedding import OnRay, Recipe
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.opening import open_source
from dinoscope.sources.selection import select
from tests.ray_cluster import PATIENCE
from tests.sources.archives.test_archive import MEMBERS, make_tar

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(2 * PATIENCE)

IMAGES, SAMPLED = 1100, 1000  # from so many on the order is a random one; units of 256 are given out


@pytest.fixture(scope="module")
def source():
    whole = load_dataset("fashion-mnist-test")
    images = np.stack([whole.load(i)[..., 0] for i in range(IMAGES)])
    return ArraySource(images, [whole.items[i].label for i in range(IMAGES)])


@pytest.fixture(scope="module")
def local(source, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "_SAMPLE_FROM", SAMPLED)
        return Collection.from_images(source, tmp_path_factory.mktemp("local") / "c", model="mini-fashion")


def ray_workers():
    """The workers that this process started, through its nodes: others may run on this machine, too."""
    parents, workers = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_the_name = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(after_the_name[1])
            if b"ray::MapWorker" in (folder / "cmdline").read_bytes():
                workers.append(int(folder.name))
        except OSError:  # it has just ended
            continue
    return [pid for pid in workers if os.getpid() in ancestors(pid, parents)]


def ancestors(pid, parents):
    while pid in parents:
        pid = parents[pid]
        yield pid


def check_same(found, expected):
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.vectors, expected.vectors)
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.thumbnails(np.arange(0, IMAGES, 50)) == expected.thumbnails(np.arange(0, IMAGES, 50))
    assert found.results.state == expected.results.state


def embed(address, source, path, model="mini-fashion", workers=None, on_progress=None):
    """Embed on Ray, in the process of the cluster; returns how many images."""
    pipeline._SAMPLE_FROM = SAMPLED
    found = Collection.from_images(
        source, path, model=model, batches=OnRay(address, workers=workers), on_progress=on_progress
    )
    assert found.embedded is not None
    return found.embedded.embedded


def embed_with_a_kill(address, source, path):
    """Embed on Ray while a worker is killed; returns how many images and how many workers."""
    killed: list[int] = []

    def kill_once(progress):
        if not killed:
            killed.extend(ray_workers()[:1])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    return embed(address, source, path, on_progress=kill_once), len(killed)


def embed_of_another_key(address, path):
    encoder = Encoder("mini")
    encoder.key = "another"  # as if this machine had another runtime than the nodes
    embed(address, np.zeros((3, 8, 8), np.uint8), path, model=encoder)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_a_cluster_of_two_nodes_with_a_worker_killed_gives_the_local_collection(cluster, source, local, tmp_path):
    assert cluster.call(embed_with_a_kill, cluster.address, source, tmp_path / "c") == (IMAGES, 1)
    check_same(Collection(tmp_path / "c"), local)


def test_only_what_is_missing_is_embedded(cluster, source, local, tmp_path):
    some = Collection.from_images(select(source, range(300)), tmp_path / "c", model="mini-fashion")
    assert len(some) == 300
    assert cluster.call(embed, cluster.address, source, tmp_path / "c", "mini-fashion", 1) == IMAGES - 300
    np.testing.assert_array_equal(Collection(tmp_path / "c").vectors, local.vectors)


def test_an_archive_is_read_by_every_worker(cluster, tmp_path):
    archive = make_tar(tmp_path / "a.tar", MEMBERS)
    local = Collection.from_images(archive, tmp_path / "local", model="mini")
    assert cluster.call(embed, cluster.address, open_source(archive), tmp_path / "c", "mini") == len(MEMBERS)
    found = Collection(tmp_path / "c")
    assert found.results.state == local.results.state
    assert found.labels.tolist() == local.labels.tolist()
    np.testing.assert_array_equal(found.vectors, local.vectors)


def test_the_command_line_names_what_cannot_be_read(cluster, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 30), (40 * number, 90, 10)).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    command = [sys.executable, "-m", "dinoscope", "embed", folder, "-o", tmp_path / "c", "--on", cluster.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert "broken.jpg" in done.stderr
    assert len(Collection(tmp_path / "c")) == 6


def test_an_error_of_a_worker_is_the_error(cluster, tmp_path):
    with pytest.raises(ModelError, match=r"a worker makes vectors of 'mini-.*expected 'another'"):
        cluster.call(embed_of_another_key, cluster.address, tmp_path / "c")


def test_workers_run_on_the_device_that_was_asked_for():
    pytest.importorskip("openvino")
    assert Recipe.of(Encoder("mini", device="openvino-fp32")).load().device == "openvino"
    assert Recipe.of(Encoder("mini")).load().device == "cpu"


def test_no_cluster_at_that_address(tmp_path):
    with pytest.raises(RayError, match=r"no Ray cluster at 127\.0\.0\.1:1 .*expected HOST:PORT"):
        Collection.from_images(np.zeros((3, 8, 8), np.uint8), tmp_path / "c", batches=OnRay("127.0.0.1:1"))


def test_workers_without_ray(run, tmp_path):
    code, _, err = run("embed", "fashion-mnist-test", "-o", tmp_path / "c", "--workers", "2")
    assert code == 1
    assert "add --on ray" in err
