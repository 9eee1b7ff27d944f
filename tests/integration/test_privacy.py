"""Nothing leaves: every command is watched from outside, by its system calls, with a home folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from dinoscope.base.telemetry import switched_off
from dinoscope.cli.main import app
from tests import traced

# What the packages below dinoscope keep for their own speed, and nothing else: fonts that were found on this machine.
CACHES = (".cache/matplotlib", ".config/matplotlib", "/var/cache/fontconfig")
PARENTS = (".cache", ".config")

# Each command as a person types it in a folder with photos/, their collections c and d, and a receipt.
COMMANDS = {
    "embed": ["embed", "photos", "-o", "out/c"],
    "demo": ["demo", "--dataset", "photos", "-o", "out/d"],
    "map": ["map", "c", "--images", "-o", "out/map.png"],
    "tune": ["tune", "c", "--n-neighbors", "5", "--min-dist", "0", "--seeds", "1", "-o", "out/tune.png"],
    "cluster": ["cluster", "c", "-k", "3", "-o", "out/clusters.csv", "-o", "out/clusters.png"],
    "survey": ["survey", "c", "--sample", "40", "-k", "3", "--neighbors", "5"],
    "score": ["score", "c"],
    "explain": ["explain", "c", "-o", "out/properties.png"],
    "search": ["search", "c", "photos/a/0.png", "-k", "3", "-o", "out/answer.png"],
    "look": ["look", "c", "photos/a/0.png", "3", "-o", "out/look.png"],
    "report": ["report", "c", "-o", "out/report.html"],
    "receipt": ["receipt", "c"],
    "verify": ["verify", "receipt.json", "photos"],
    "classify": ["classify", "c", "photos/b/0.png"],
    "evaluate": ["evaluate", "c", "-o", "out/evaluation.png"],
    "clean": ["clean", "c", "-o", "out/clean.csv"],
    "label": ["label", "c", "--export", "out/labels.csv"],
    "calibrate": ["calibrate", "c", "-o", "out/pairs.png"],
    "pick": ["pick", "c", "-n", "5", "-o", "out/picked.csv"],
    "apply": ["apply", "plan.json", "--images", "photos", "--to", "out/quarantine", "--do"],
    "sort": ["sort", "c", "--images", "photos", "--into", "out/sorted", "--do"],
    "export": ["export", "c", "--images", "photos", "--as", "webdataset", "--to", "out/shards"],
    "compare": ["compare", "photos", "--models", "mini", "--sample", "20"],
    "diff": ["diff", "c", "d"],
    "info": ["info", "c", "--verify"],
    "models": ["models"],
}
EXPLORE = ["explore", "c", "--beside", "d", "--no-browser", "--port", "0"]
ELSEWHERE = {"explore", "open", "publish"}  # in tests of their own below; open is embed, then explore


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    traced.needed()
    home = tmp_path_factory.mktemp("home")
    generator = np.random.default_rng(0)
    for label, colour in (("a", (200, 40, 40)), ("b", (40, 200, 40))):
        (home / "photos" / label).mkdir(parents=True)
        for number in range(30):
            pixels = generator.integers(0, 256, (40, 48, 3), dtype=np.uint8)
            pixels[8:30, 8:30] = colour
            Image.fromarray(pixels).save(home / "photos" / label / f"{number}.png")
    (home / "out").mkdir()
    for made in ("c", "d"):
        command = [sys.executable, "-m", "dinoscope", "embed", "photos", "-o", made]
        subprocess.run(command, cwd=home, check=True, capture_output=True)
    receipt = [sys.executable, "-m", "dinoscope", "receipt", "c", "-o", "receipt.json"]
    subprocess.run(receipt, cwd=home, check=True, capture_output=True)
    (home / "plan.json").write_text('{"moves": []}')
    return home


def beyond(done, home):
    """Return what was made outside of the collections, of what -o names, of the temporary folder and known caches."""
    allowed = [home / place for place in ("c", "d", "out", "tmp", *CACHES)]
    made = (path for path in done.made if not any(path.is_relative_to(place) for place in allowed))
    return sorted(set(made) - {home / parent for parent in PARENTS})


def check(done, home):
    assert done.called == set()
    assert beyond(done, home) == []
    left = sorted(path.name for path in (home / "tmp").iterdir())
    assert left == []


def test_every_command_is_tried():
    assert set(vars(get_command(app))["commands"]) == set(COMMANDS) | ELSEWHERE


# All of them in one process, which is loaded once; what it prints says which one was running.
ALL = """
import json, sys
from dinoscope.cli.main import main
for name, arguments in json.loads(sys.argv[1]).items():
    sys.argv = ["dinoscope", *arguments]
    print("---", name, flush=True)
    try:
        main()
    except SystemExit as stop:
        if stop.code:
            raise
"""


def test_no_command_tells_anybody_or_leaves_anything_elsewhere(home):
    done = traced.traced([json.dumps(COMMANDS)], home, program=("-c", ALL))
    assert done.code == 0, done.text
    check(done, home)


@pytest.mark.stress
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_tells_nobody_and_leaves_nothing_elsewhere(home, command):
    done = traced.traced(COMMANDS[command], home)
    assert done.code == 0, done.text
    check(done, home)


def test_the_server_tells_nobody(home):
    check(traced.traced(EXPLORE, home, idle=4), home)


@pytest.mark.stress
def test_the_server_tells_nobody_for_a_minute(home):
    """ONNX Runtime sends what it has collected after 18 seconds."""
    check(traced.traced(EXPLORE, home, idle=60), home)


def test_publishing_to_a_file_tells_nobody_else(home):
    pytest.importorskip("milvus_lite")
    done = traced.traced(["publish", "c", "--to", "out/milvus.db"], home)
    assert done.code == 0, done.text
    check(done, home)


def test_openvino_tells_nobody(home):
    pytest.importorskip("openvino")
    code = "import dinoscope as ds; ds.Encoder('mini', device='openvino').encode([ds.read_image('photos/a/0.png')])"
    done = traced.traced([], home, program=("-c", code))
    assert done.code == 0, done.text
    check(done, home)


@pytest.mark.stress
def test_ray_tells_nobody(home):
    pytest.importorskip("ray")
    done = traced.traced(["embed", "photos", "-o", "out/ray", "--on", "ray", "--workers", "1"], home)
    assert done.code == 0, done.text
    own = subprocess.run(["hostname", "--all-ip-addresses"], capture_output=True, text=True, check=True).stdout.split()
    called = {address for address in done.called if address.rpartition(":")[0].removeprefix("::ffff:") not in own}
    # a Ray of this machine alone asks the machine's own cloud, by name and at its fixed address, which one it is
    assert {address for address in called if not address.endswith(":53")} <= {"169.254.169.254:80"}
    assert [path for path in beyond(done, home) if not str(path).startswith("/tmp/ray")] == []


@pytest.mark.stress  # half a minute of compiling
def test_umap_learn_tells_nobody(home):
    pytest.importorskip("umap")
    code = "import numpy, umap; umap.UMAP(n_neighbors=5).fit(numpy.random.default_rng(0).random((60, 8)))"
    done = traced.traced([], home, program=("-W", "ignore", "-c", code))
    assert (done.code, done.called) == (0, set())
    assert [path for path in beyond(done, home) if path.name != "__pycache__"] == []  # numba's, of what it compiled


def test_a_program_that_loaded_onnxruntime_itself_goes_on_with_its_environment(monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    with switched_off():
        assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert "ORT_DISABLE_TELEMETRY" not in os.environ
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
