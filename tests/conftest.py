"""Fixtures that several test files share."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress

import pytest

from dinoscope.cli import main as cli
from dinoscope.models import runtime
from dinoscope.sources.datasets import named
from tests.patching import quicken, read_once
from tests.ray_cluster import ray_cluster
from tests.watched import WIDE, Visit, needed, opened_browser

# read when huggingface_hub is imported: models that a developer has fetched are not there
os.environ["HF_HUB_CACHE"] = os.path.join(os.devnull, "no-cache")
# read when grpc is imported: its threads outlive the test that used them, and would write into the output of another
os.environ["GRPC_VERBOSITY"] = "NONE"


# a command that runs in this process hides it from Arrow for good, and the tests of tables need it
with suppress(ImportError):
    import pandas  # noqa: F401


# replaced before the tests import it: to unpack a data set takes as long as a whole test
pytest.MonkeyPatch().setattr(named, "load_dataset", read_once(named.load_dataset))


@pytest.fixture(scope="session", autouse=True)
def quick():
    """Let tests wait for nothing that they do not look at."""
    with pytest.MonkeyPatch.context() as patch:
        quicken(patch)
        yield


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command line in this process: exit code, stdout, stderr."""

    def call(*args):
        monkeypatch.setattr(sys, "argv", ["dinoscope", *map(str, args)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def chromium():
    """Start a browser."""
    needed()
    with opened_browser() as browser:
        yield browser


@pytest.fixture
def visit(chromium, address):
    """Open what lies at the file's ``address``; nothing may go wrong in it, and it may ask nobody else."""
    visits = []

    def begin(state="", size=WIDE, dark=False, still=True, is_new=False, touch=False):
        visits.append(Visit(chromium, address, size, dark, still, is_new, touch))
        return visits[-1].go(state)

    yield begin
    for each in visits:
        each.close()
        assert each.mistakes == []


@pytest.fixture
def shortened(monkeypatch):
    """A machine whose processor is said to compute in bfloat16."""
    pytest.importorskip("openvino")
    loaded = runtime._load_openvino
    monkeypatch.setattr(runtime, "_load_openvino", lambda: (*loaded()[:2], ["FP32", "BF16"]))
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)


@pytest.fixture(scope="module")
def cluster():
    """Start a Ray cluster."""
    pytest.importorskip("ray")
    with ray_cluster() as started:
        yield started


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 600 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if not made or made.returncode:
        pytest.skip("a small file system can only be mounted by root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
