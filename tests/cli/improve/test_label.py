"""``dinoscope label`` without a browser: labels out and in, one step back, and a simulated person."""

import json
import shutil
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dinoscope import Collection
from dinoscope.cli.improve.classify import evaluate
from dinoscope.cli.improve.label import label
from dinoscope.errors import InputError
from tests.served import N, make_collection

app = typer.Typer()
app.command("label")(label)
app.command("evaluate")(evaluate)


def run(*args: Any) -> Any:
    result = CliRunner().invoke(app, [str(each) for each in args])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("label") / "c")


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "c")


def test_labels_go_out_and_come_in_and_are_taken_back(folder, made, tmp_path):
    Collection(folder).annotate([1, 2], label="shirt")
    assert "labels and tags of 2 images" in run("label", folder, "--export", tmp_path / "labels.csv").stderr
    other = shutil.copytree(made, tmp_path / "other")
    found = json.loads(run("label", other, "--import", tmp_path / "labels.csv", "--json").stdout)
    assert found == {"images": 2, "unknown": 0}
    assert len(Collection(other).annotations()) == 2
    assert "undone: 2 images" in run("label", other, "--undo").stderr
    assert "there is nothing to undo" in run("label", other, "--undo").stderr
    assert len(Collection(other).annotations()) == 0


def test_a_simulated_person_names_all_images(folder):
    told = json.loads(run("label", folder, "--simulate", "--answers", N, "--json").stdout)
    assert [each["answers"] for each in told] == [20, 50, 100, N]
    shares = [each["right"] for each in told]
    assert shares[0] < shares[1] <= shares[-1] == 1
    assert all(0 <= each["rest"]["low"] <= each["rest"]["high"] <= 1 for each in told)
    assert "all, right" in run("label", folder, "--simulate", "--answers", 30).stdout
    assert not (folder / "annotations.parquet").exists()


def test_commands_use_the_labels_that_they_are_told(folder, tmp_path):
    opened = Collection(folder)
    for at in range(60):
        opened.annotate([int(opened.rows[at])], label="even" if at % 2 else "odd")

    def accuracy(*more):
        command = ("evaluate", folder, "--split", "leave-one-out", "-o", tmp_path / "out", "--json", *more)
        return json.loads(run(*command).stdout)

    source, mine = accuracy(), accuracy("--labels-from", "mine")
    assert source != mine
    assert accuracy() == source
    with pytest.raises(InputError, match="labels must be one of source, mine, merged"):
        run("evaluate", folder, "--labels-from", "yours")


def test_what_contradicts_itself_is_refused(folder):
    with pytest.raises(InputError, match="one at a time"):
        run("label", folder, "--undo", "--simulate")
    with pytest.raises(InputError, match="--json is for"):
        run("label", folder, "--json")
