"""Every command that writes, killed at any change of a file: run again, nothing is lost, mixed or left over."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from dinoscope.cli.main import app
from dinoscope.collection import Collection
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.stages.labelling.by_hand import all_annotations
from dinoscope.storage.files import is_leftover
from tests.killed import perform

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
    "map's comparison": ["map", "c.dino", "--compare", "umap,pca", "-o", "out/maps.png"],
    "search": ["search", "c.dino", "3", "-o", "out/answer.png"],
    "search inside": ["search", "c.dino", "photos/train/a/0.png", "--inside"],
    "look": ["look", "c.dino", "0", "1", "-o", "out/look.png"],
    "score": ["score", "c.dino"],
    "demo": ["demo", "--dataset", "photos", "-o", "new.dino", "--no-browser"],
    "classify": ["classify", "c.dino", "photos/train/a/0.png"],
    "report": ["report", "c.dino", "-o", "out/report.html"],
    "receipt": ["receipt", "c.dino", "-o", "out/receipt.json"],
    "evaluate": ["evaluate", "c.dino", "-o", "out/evaluation.png"],
    "clean": ["clean", "c.dino", "-o", "out/findings", "--write-plan", "out/plan.json"],
    "calibrate": ["calibrate", "c.dino", "--pairs", "3", "--same", "1"],
    "calibrate's sheet": ["calibrate", "c.dino", "--pairs", "3", "-o", "out/pairs.png"],
    "calibrate's outliers": ["calibrate", "c.dino", "--outliers", "--pairs", "3", "-o", "out/outliers.png"],
    "pictures answered": ["calibrate", "c.dino", "--kind", "dark", "--pairs", "3", "--yes", "1"],
    "outliers checked": ["calibrate", "c.dino", "--outliers", "--pairs", "3", "--wrong", "1"],
    "labels checked": ["calibrate", "c.dino", "--labels", "--pairs", "2", "--wrong", "all"],
    "labels read": ["label", "c.dino", "--import", "labels.csv"],
    "labels written": ["label", "d.dino", "--export", "out/labels.csv"],
    "pick": ["pick", "c.dino", "-n", "5", "-o", "out/picked.csv", "-o", "out/picked.png"],
    "apply": ["apply", "plan.json", "--images", "photos", "--to", "out/away", "--do"],
    "sort": ["sort", "c.dino", "--images", "photos", "--into", "out/sorted", "--do"],
    "sort by links": ["sort", "c.dino", "--images", "photos", "--into", "out/sorted", "--link", "--do"],
    "sort by moving": ["sort", "c.dino", "--images", "photos", "--into", "out/sorted", "--move", "--do"],
    **{
        f"export as {form}": ["export", "c.dino", "--images", "photos", "--as", form, "--to", f"out/{form}"]
        for form in ("imagefolder", "coco", "yolo-cls", "huggingface", "fiftyone", "webdataset", "csv", "parquet")
    },
    "diff": ["diff", "c.dino", "d.dino", "-o", "out/changes"],
    "compare": ["compare", "photos", "--models", "mini", "--sample", "20", "-o", "out/compare.png"],
    "pack": ["models", "pack", "dinov2-small", "-o", "out/weights.tar"],
    "unpack": ["models", "unpack", "weights.tar"],
    "publish": ["publish", "c.dino", "--to", "out/milvus.db"],
    "decide": ["decide", "c.dino"],
    "take": ["take", "c.dino"],
    "annotate": ["annotate", "c.dino"],
}
# explore and open write what "decide", "take" and "annotate" do, and what embed does
WRITE_NOTHING_ELSE = {"info", "verify", "explore", "open"}
SIMILAR = range(8, 20)  # pictures that are nearly another one
EXACT = (".csv", ".png", ".tar", ".txt", ".safetensors")
ANSWERS = ("calibrate", "pictures answered", "outliers checked", "labels checked")  # nobody answers a sheet twice
TIMED = ("compare.png",)  # says how many seconds it took
CHANGING = ("milvus.db", "home")  # a data base and caches of other programs
COMMIT = "ab" * 20


def environment(home):
    return {"HOME": str(home / "home"), "XDG_DATA_HOME": str(home / "data")}


def run(home, arguments, moment=0):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    kept |= {**environment(home), "PYTHONPATH": os.pathsep.join(sys.path)}
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
    chance, known = np.random.default_rng(0), list[np.ndarray]()
    for at in range(60):
        pixels = np.kron(chance.integers(0, 256, (6, 6, 3)), np.ones((6, 6, 1))).astype(np.uint8)
        if at in SIMILAR:  # to be asked about
            pixels = np.clip(known[at % 4] + chance.normal(0, 2.0 * at, pixels.shape), 0, 255).astype(np.uint8)
        known.append(pixels)
        place = home / ("more/photos" if at >= 40 else "photos") / ("train", "test")[at % 2] / "ab"[at % 4 // 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{at}.png")
    shutil.copytree(home / "photos", home / "more" / "photos", dirs_exist_ok=True)
    weights = home / "data" / "dinoscope" / "models" / "facebook--dinov2-small" / COMMIT / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(range(256)) * 4000)
    labels = "".join(f"train/a/{at}.png,{('cat', 'dog')[at % 3 == 0]}\n" for at in range(0, 40, 4))
    (home / "labels.csv").write_text(f"id,label\n{labels}")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(home)
        patch.setattr(sys, "argv", [])
        for name, folder in environment(home).items():
            patch.setenv(name, folder)
        for name in ("c.dino", "d.dino"):
            perform("embed", "photos" if name == "c.dino" else "more/photos", "-o", name, "--model", "mini")
            perform("decide", name)
        perform("label", "d.dino", "--import", "labels.csv")
        perform("clean", "c.dino", "--write-plan", "plan.json")
        perform("models", "pack", "dinov2-small", "-o", "weights.tar")
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


def given(path):
    """The label and the tags that people gave each image."""
    said = all_annotations(Collection(path))
    return list(zip(said.labels, map(tuple, said.tags), strict=True))


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
    for place, (label, tags) in zip(places, given(before), strict=True):
        assert label is None or given(path)[place] == (label, tags)


def check_same(place, whole):
    """Everything is as if nobody had killed anything."""
    files = {path.relative_to(place): path for path in place.rglob("*") if path.is_file()}
    expected = {path.relative_to(whole): path for path in whole.rglob("*") if path.is_file()}
    assert [name for name in files if is_leftover(name) or ".part-" in str(name)] == []
    own = [
        {name for name in each if not set(CHANGING) & set(name.parts) and ".journal-" not in name.name}
        for each in (files, expected)
    ]
    assert own[0] == own[1]
    for name in own[0]:
        if name.name in TIMED:
            with Image.open(files[name]) as drawn, Image.open(expected[name]) as other:
                assert drawn.size == other.size
        elif name.suffix in EXACT:
            assert files[name].read_bytes() == expected[name].read_bytes(), name
    for path in whole.glob("*.dino"):
        got, right = Collection(place / path.name), Collection(path)
        assert got.ids.tolist() == right.ids.tolist()
        np.testing.assert_array_equal(got.vectors, right.vectors)
        assert got.thumbnails(range(len(got))) == right.thumbnails(range(len(right)))
        assert verify_collection(place / path.name).damage == ()
        if (path / "answers.json").exists():
            assert decisions(place / path.name) == decisions(path)
        assert given(place / path.name) == given(path)


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
    is_answered = name in ANSWERS and decisions(place / "c.dino") != decisions(home / "c.dino")
    is_exported = name.startswith("export") and Path(place, COMMANDS[name][-1]).exists()  # whole, and never overwritten
    if not is_answered and not is_exported:
        run(place, COMMANDS[name])
    check_same(place, whole)
    return moment


def test_every_command_that_writes_is_in_the_table():
    killed = {arguments[0] for arguments in COMMANDS.values()} - {"decide", "take", "annotate"}
    assert killed == set(vars(get_command(app))["commands"]) - WRITE_NOTHING_ELSE


@pytest.mark.parametrize("name", ["embed more", "take"])
def test_a_command_is_killed(home, undisturbed, tmp_path, name):
    kill(home, undisturbed, name, tmp_path / "home", random.Random(name))


@pytest.mark.stress
@pytest.mark.parametrize("trial", range(3))
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_killed(home, undisturbed, tmp_path, name, trial):
    kill(home, undisturbed, name, tmp_path / "home", random.Random(f"{name} {trial}"))
