"""Every command that writes, killed at any change of a file: run again, nothing is lost, mixed or left over."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dinoscope.collection import Collection
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.files import is_leftover

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")

COMMANDS = {
    "embed": ["embed", "photos", "-o", "new.dino", "--model", "mini"],
    "embed more": ["embed", "more/photos", "-o", "c.dino", "--moved", "--model", "mini"],
    "embed another model": ["embed", "photos", "-o", "c.dino", "--model", "mini-fashion"],
    "map": ["map", "c.dino", "--images", "-o", "out/map.png", "-o", "out/map.csv"],
    "tune": ["tune", "c.dino", "--n-neighbors", "5", "--min-dist", "0", "--seeds", "1", "-o", "out/tune.png"],
    "cluster": ["cluster", "c.dino", "-k", "3", "-o", "out/clusters.csv", "-o", "out/clusters.png"],
    "survey": ["survey", "c.dino", "--sample", "30", "-k", "3", "--neighbors", "5"],
    "explain": ["explain", "c.dino", "-o", "out/properties.png"],
    "search": ["search", "c.dino", "3", "-o", "out/answer.png"],
    "report": ["report", "c.dino", "-o", "out/report.html"],
    "receipt": ["receipt", "c.dino", "-o", "out/receipt.json"],
    "evaluate": ["evaluate", "c.dino", "-o", "out/evaluation.png"],
    "clean": ["clean", "c.dino", "-o", "out/findings", "--write-plan", "out/plan.json"],
    "calibrate": ["calibrate", "c.dino", "--pairs", "3", "--same", "1"],
    "calibrate's sheet": ["calibrate", "c.dino", "--pairs", "3", "-o", "out/pairs.png"],
    "diff": ["diff", "c.dino", "d.dino", "-o", "out/changes"],
    "compare": ["compare", "photos", "--models", "mini", "--sample", "20", "-o", "out/compare.png"],
    "pack": ["models", "pack", "dinov2-small", "-o", "out/weights.tar"],
    "unpack": ["models", "unpack", "weights.tar"],
    "publish": ["publish", "c.dino", "--to", "out/milvus.db"],
    "decide": ["decide", "c.dino"],
    "take": ["take", "c.dino"],
}
EXACT = (".csv", ".png", ".tar", ".txt", ".safetensors")
CHANGING = ("milvus.db", "home")  # a data base and caches of other programs
COMMIT = "ab" * 20


def run(home, arguments, moment=0):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    kept |= {"HOME": str(home / "home"), "XDG_DATA_HOME": str(home / "data"), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-m", "tests.killed", str(moment), *arguments]
    ended = subprocess.run(command, cwd=home, env=kept, capture_output=True, text=True, check=False)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr[-3000:]
    return ended


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with pictures, two collections with decisions, and weights."""
    home = tmp_path_factory.mktemp("kills") / "home"
    (home / "out").mkdir(parents=True)
    (home / "home").mkdir()
    chance = np.random.default_rng(0)
    for at in range(60):
        pixels = np.kron(chance.integers(0, 256, (6, 6, 3)), np.ones((6, 6, 1))).astype(np.uint8)
        place = home / ("more/photos" if at >= 40 else "photos") / ("train", "test")[at % 2] / "ab"[at % 4 // 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{at}.png")
    shutil.copytree(home / "photos", home / "more" / "photos", dirs_exist_ok=True)
    weights = home / "data" / "dinoscope" / "models" / "facebook--dinov2-small" / COMMIT / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(range(256)) * 4000)
    for name in ("c.dino", "d.dino"):
        run(home, ["embed", "photos" if name == "c.dino" else "more/photos", "-o", name, "--model", "mini"])
        run(home, ["decide", name])
    run(home, ["models", "pack", "dinov2-small", "-o", "weights.tar"])
    shutil.rmtree(weights.parent)
    return home


@pytest.fixture(scope="module")
def undisturbed(home, tmp_path_factory):
    """What a command makes, and how often it changes a file, by its name."""
    known = {}

    def get(name):
        if name not in known:
            place = begin(home, name, tmp_path_factory.mktemp("undisturbed") / "home")
            told = run(place, COMMANDS[name]).stderr
            known[name] = place, int(told.rsplit("changes: ", 1)[1])
        return known[name]

    return get


def begin(home, name, place):
    shutil.copytree(home, place)
    if name == "pack":
        run(place, COMMANDS["unpack"])
    return place


def decisions(path):
    return {name: json.loads((path / name).read_text()) for name in ("dismissed.json", "answers.json")}


def check_kept(path, before):
    """What was there before is there, whatever else was killed."""
    opened, expected = Collection(path), Collection(before)
    assert set(expected.ids) <= set(opened.ids)
    places = [opened.ids.tolist().index(name) for name in expected.ids]
    if opened.model["model"] == expected.model["model"]:
        np.testing.assert_array_equal(opened.vectors[places], expected.vectors)
    assert opened.labels[places].tolist() == expected.labels.tolist()
    for name, kept in decisions(before).items():
        now = decisions(path)[name]
        assert now == kept or len(str(now)) >= len(str(kept))


def check_same(place, whole):
    """Everything is as if nobody had killed anything."""
    files = {path.relative_to(place): path for path in place.rglob("*") if path.is_file()}
    expected = {path.relative_to(whole): path for path in whole.rglob("*") if path.is_file()}
    assert [name for name in files if is_leftover(name) or ".part-" in str(name)] == []
    own = [{name for name in each if not set(CHANGING) & set(name.parts)} for each in (files, expected)]
    assert own[0] == own[1]
    for name in own[0]:
        if name.suffix in EXACT:
            assert files[name].read_bytes() == expected[name].read_bytes(), name
    for path in whole.glob("*.dino"):
        got, right = Collection(place / path.name), Collection(path)
        assert got.ids.tolist() == right.ids.tolist()
        np.testing.assert_array_equal(got.vectors, right.vectors)
        assert got.thumbnails(range(len(got))) == right.thumbnails(range(len(right)))
        assert verify_collection(place / path.name).damage == ()
        if (path / "answers.json").exists():
            assert decisions(place / path.name) == decisions(path)


def kill(home, undisturbed, name, place, chance):
    """Kill a command at a random moment and run it again; returns the moment."""
    if name == "publish":
        pytest.importorskip("milvus_lite")
    whole, changes = undisturbed(name)
    assert changes > 0, f"{name} writes nothing"
    moment = chance.randint(1, changes)
    begin(home, name, place)
    assert run(place, COMMANDS[name], moment).returncode == -signal.SIGKILL, moment
    for path in ("c.dino", "d.dino"):
        check_kept(place / path, home / path)
        assert verify_collection(place / path).damage == ()
    run(place, COMMANDS[name])
    check_same(place, whole)
    return moment


@pytest.mark.parametrize("name", ["embed more", "take"])
def test_a_command_is_killed(home, undisturbed, tmp_path, name):
    kill(home, undisturbed, name, tmp_path / "home", random.Random(name))


@pytest.mark.stress
@pytest.mark.parametrize("trial", range(3))
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_killed(home, undisturbed, tmp_path, name, trial):
    kill(home, undisturbed, name, tmp_path / "home", random.Random(f"{name} {trial}"))
