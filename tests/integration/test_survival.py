"""Processes killed at any moment, full disks, folders that may not be written: run again, and nothing is lost."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.progress import read_progress

resource = pytest.importorskip("resource")  # not on Windows
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and rights are POSIX's")


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch):
    """Where nothing may be written, the processes write down no coverage either."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


N = 700
_BEGIN = """
import os, signal, sys, tempfile
from pathlib import Path
import numpy as np
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell runs in the background
import dinoscope.embedding.pipeline as embedding
from dinoscope.models.encoder import Encoder
from dinoscope.sources.array import ArraySource
embedding._SAMPLE_FROM, embedding._PART_ROWS, embedding._FIRST_ROWS = 500, 160, 64
"""
_EMBED = (
    _BEGIN
    + """
Encoder.run_ = Encoder.run
pause = float(sys.argv[3])
def slow(self, batch):
    import time
    time.sleep(pause)
    return self.run_(batch)
Encoder.run = slow
source, encoder = ArraySource(np.load(sys.argv[1])), Encoder("mini-fashion", batch_size=32, threads=1)
print("ready", flush=True)
embedding.embed_source(source, Path(sys.argv[2]), encoder)
print("done", flush=True)
"""
)
_STAGES = """
import sys
from dinoscope.collection import Collection

collection = Collection(sys.argv[1])
print("ready", flush=True)
collection.neighbors(10)
collection.map(method=sys.argv[2])
collection.clusters(5)
print("done", flush=True)
"""


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    path = tmp_path_factory.mktemp("pixels") / "pixels.npy"
    np.save(path, load_dataset("fashion-mnist-test").pixels[:N])
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, pixels):
    path = tmp_path_factory.mktemp("undisturbed") / "c"
    run(_EMBED, pixels, path, 0)
    return path


def run(code, *arguments, **options):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


def kill_at(code, *arguments, after, **options):
    """Start a run, kill it so many seconds after it is ready; tell whether it was still at work."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(after)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def equal(path, undisturbed):
    expected, got = Collection(undisturbed), Collection(path)
    assert got.ids.tolist() == expected.ids.tolist()
    np.testing.assert_array_equal(got.rows, expected.rows)
    np.testing.assert_array_equal(got.vectors, expected.vectors)
    some = range(0, len(expected), 97)
    assert got.thumbnails(some) == expected.thumbnails(some)
    found = verify_collection(path)
    assert found.damage == ()
    assert not any("not embedded" in check.note for check in found.checks)
    assert not list(path.rglob("*.part-*"))
    assert not (path / "progress.json").exists()


def equal_results(path, undisturbed, scratch, method):
    shutil.copytree(undisturbed, scratch)
    expected, got = Collection(scratch), Collection(path)
    np.testing.assert_array_equal(got.map(method=method), expected.map(method=method))
    np.testing.assert_array_equal(got.clusters(5).labels, expected.clusters(5).labels)
    assert got.stages["map"].stored
    assert not expected.stages["map"].stored
    equal(path, undisturbed)


def killed_embeddings(path, pixels, times):
    rng, killed = np.random.default_rng(times), 0
    for _ in range(times):
        killed += kill_at(_EMBED, pixels, path, 0.02, after=float(rng.uniform(0.0, 0.6)))
        assert read_progress(path) is None
    run(_EMBED, pixels, path, 0)
    return killed


def killed_stages(path, times, method="pca", seconds=0.25):
    rng, killed = np.random.default_rng(times), 0
    for _ in range(times):
        killed += kill_at(_STAGES, path, method, after=float(rng.uniform(0.0, seconds)))
        if rng.integers(2):
            shutil.rmtree(path / "results", ignore_errors=True)
    run(_STAGES, path, method)
    return killed


def test_embed_is_killed(tmp_path, pixels, undisturbed):
    assert killed_embeddings(tmp_path / "c", pixels, 3) >= 1
    equal(tmp_path / "c", undisturbed)


def test_stages_are_killed(tmp_path, undisturbed):
    path = shutil.copytree(undisturbed, tmp_path / "c")
    assert killed_stages(path, 3) >= 1
    equal_results(path, undisturbed, tmp_path / "d", "pca")


def test_control_c_leaves_a_valid_collection(tmp_path, pixels, undisturbed):
    path = tmp_path / "c"
    command = [sys.executable, "-c", _EMBED, str(pixels), str(path), "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not any(path.glob("vectors/*/part-*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate()[1].endswith("KeyboardInterrupt\n")
    assert verify_collection(path).damage == ()
    assert len(Collection(path)) % 32 == 0  # whole batches
    assert not (path / "progress.json").exists()
    run(_EMBED, pixels, path, 0)
    equal(path, undisturbed)


@pytest.mark.stress
def test_embed_is_killed_thirty_times(tmp_path, pixels, undisturbed):
    for trial in range(6):
        assert killed_embeddings(tmp_path / f"c{trial}", pixels, 5) >= 3
        equal(tmp_path / f"c{trial}", undisturbed)


@pytest.mark.stress
def test_stages_are_killed_thirty_times(tmp_path, undisturbed):
    path = shutil.copytree(undisturbed, tmp_path / "c")
    assert killed_stages(path, 30, "umap", 2.0) >= 8
    equal_results(path, undisturbed, tmp_path / "d", "umap")


def test_a_file_that_outgrows_its_limit(tmp_path, pixels, undisturbed):
    """What a full disk or a quota does, at the first part, without a disk: the limit on the size of a file."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(_EMBED, pixels, tmp_path / "c", 0, preexec_fn=limit)
    told = failed.value.stderr.splitlines()[-1]
    assert "WriteError: cannot write" in told
    assert "File too large; free some space and run the same command again: what was written before is kept" in told
    run(_EMBED, pixels, tmp_path / "c", 0)
    equal(tmp_path / "c", undisturbed)


def test_a_full_disk(small_disk, pixels, undisturbed):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(_EMBED, pixels, small_disk / "c", 0)
    told = failed.value.stderr.splitlines()[-1]
    assert "No space left on device; free some space and run the same command again" in told
    assert not list(small_disk.rglob("*.part-*"))
    kept = len(Collection(small_disk / "c"))
    assert 0 < kept < N
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    run(_EMBED, pixels, small_disk / "c", 0)
    equal(small_disk / "c", undisturbed)


def test_a_result_on_a_full_disk_is_shown_all_the_same(small_disk, undisturbed):
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    path = shutil.copytree(undisturbed, small_disk / "c")
    with (small_disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    done = run(_STAGES, path, "pca")
    assert done.stdout == "ready\ndone\n"
    assert "No space left on device" in done.stderr
    assert "Results are used all the same, and computed again next time" in done.stderr
    assert not list(path.rglob("*.part-*"))


_WITHOUT_RIGHTS = (
    _BEGIN
    + """
pixels, encoder = np.load(sys.argv[1]), Encoder("mini-fashion", batch_size=32, threads=1)
with tempfile.TemporaryDirectory() as folder:  # loads all that root alone may load
    embedding.embed_source(ArraySource(pixels[:32]), Path(folder) / "c", encoder)
if os.geteuid() == 0:  # whom no right stops
    os.seteuid(65534)
path, lost_at = Path(sys.argv[2]), int(sys.argv[3])
def lose(progress):
    if progress.done >= lost_at:
        for folder in (path, path / "details", *path.glob("vectors/*")):
            folder.chmod(0o555)
embedding.embed_source(ArraySource(pixels), path, encoder, on_progress=lose)
"""
)


@pytest.fixture
def public():
    """A folder that everybody can reach."""
    folder = Path(tempfile.mkdtemp(prefix="dinoscope-"))
    folder.chmod(0o777)
    yield folder
    for each in [folder, *folder.rglob("*")]:
        if each.is_dir():
            each.chmod(0o777)
    shutil.rmtree(folder)


def test_a_folder_that_may_not_be_written(public, pixels):
    public.chmod(0o555)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(_WITHOUT_RIGHTS, pixels, public / "c", N)
    told = failed.value.stderr.splitlines()[-1]
    assert "WriteError: cannot make the folder" in told
    assert "make the folder writable and run the same command again, or name another one" in told
    assert list(public.iterdir()) == []


def test_permission_is_lost_halfway(public, pixels, undisturbed):
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run(_WITHOUT_RIGHTS, pixels, public / "c", 100)
    told = failed.value.stderr.splitlines()[-1]
    assert "WriteError: cannot write" in told
    assert "Permission denied; make the folder writable and run the same command again" in told
    assert len(Collection(public / "c")) == 64  # the part from before
    for folder in (public / "c", *(public / "c").rglob("*/")):
        folder.chmod(0o777)
    run(_EMBED, pixels, public / "c", 0)
    equal(public / "c", undisturbed)


def test_a_read_only_collection_is_read(public, undisturbed):
    """A colleague's collection: results are shown, though they cannot be stored there."""
    path = shutil.copytree(undisturbed, public / "c")
    for each in [path, *path.rglob("*")]:
        each.chmod(0o555 if each.is_dir() else 0o444)
    drop = (
        "import getpass, os, pyarrow.parquet, sklearn.cluster\n"
        "import dinoscope.analysis.neighbors, dinoscope.analysis.clusters.clustering\n"
        "import dinoscope.analysis.clusters.quality, dinoscope.collection\n"
    )
    drop += "from dinoscope.analysis.maps.projection import pca\n"
    drop += "if os.geteuid() == 0: os.seteuid(65534)\n"
    done = run(drop + _STAGES, path, "pca")
    assert done.stdout == "ready\ndone\n"
    assert "Permission denied" in done.stderr
    assert not (path / "results").exists()
