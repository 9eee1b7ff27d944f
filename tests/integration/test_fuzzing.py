import json
import random
import subprocess
import sys

import pytest

from dinoscope.sources.pixels.decode import read_image
from tests.fuzzing import mutated, pictures

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@pytest.mark.parametrize(
    ("count", "seed"),
    [(200, 0), pytest.param(2000, 1, marks=pytest.mark.stress), pytest.param(2000, 2, marks=pytest.mark.stress)],
)
def test_damaged_images_are_outcomes(count, seed):
    """No crash, no other error than the one for images, none takes five seconds, and memory stays small."""
    # libtiff complains on stderr, from C
    command = [sys.executable, "-m", "tests.fuzzing", str(count), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    outcome = json.loads(ended.stdout)
    assert outcome["decoded"] + outcome["refused"] == count
    assert min(outcome["decoded"], outcome["refused"]) > count / 20  # both ends of the decoder were tried
    assert outcome["megabytes"] < 400


@pytest.mark.parametrize(
    ("count", "seed"),
    [(24, 0), *(pytest.param(500, at, marks=pytest.mark.stress) for at in (24, *range(1000, 3000, 500)))],
)
def test_crafted_collections_are_read_or_refused(tmp_path, count, seed):
    """Whatever a whole collection holds, a command ends well or with one line, and memory stays small."""
    command = [sys.executable, "-m", "tests.crafted", str(count), str(seed), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    outcome = json.loads(ended.stdout)
    assert outcome["faults"] == []
    assert min(outcome["succeeded"], outcome["refused"]) > count / 5
    assert outcome["megabytes"] < 1500


@pytest.mark.parametrize(("count", "seed"), [(30, 0), pytest.param(500, 1, marks=pytest.mark.stress)])
def test_damaged_weights_are_one_error(count, seed):
    """ONNX, safetensors and what stands beside them: no traceback, none takes ten seconds, memory stays small."""
    command = [sys.executable, "-m", "tests.fuzzing_models", str(count), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    outcome = json.loads(ended.stdout)
    assert outcome["loaded"] + outcome["refused"] == count
    assert min(outcome["loaded"], outcome["refused"]) > count / 10
    assert outcome["megabytes"] < 400


@pytest.mark.parametrize(("count", "seed"), [(22, 0), pytest.param(330, 0, marks=pytest.mark.stress)])
def test_hostile_archives_and_tables_are_read_or_refused(count, seed):
    """One of each kind at least: one line at most, nothing from outside, ten seconds and 1.5 GB at most."""
    command = [sys.executable, "-m", "tests.fuzzing_sources", str(count), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    outcome = json.loads(ended.stdout)
    assert outcome["faults"] == []
    assert outcome["read"] + outcome["refused"] + outcome["nothing in it read"] == count
    assert min(outcome["read"], outcome["refused"]) > count / 5
    assert outcome["megabytes"] < 1500


def test_what_is_mutated_was_whole():
    files = pictures()
    assert {read_image(content).shape for content in files} == {(96, 120, 3), (40, 56, 3)}
    assert sum(mutated(content, random.Random(0)) != content for content in files) > 0.9 * len(files)
