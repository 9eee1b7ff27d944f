"""The command line's `models`; where a hub is needed, the real program asks a real server."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dinoscope.cli.collect import models as module
from dinoscope.cli.main import app
from dinoscope.models.catalogue import MODELS
from dinoscope.models.hub import download as hub_module
from tests.models.test_hub import COMMIT, CONFIG, GATED, SMALL, WEIGHTS, Hub, cache, hub, settle
from tests.patching import replace_everywhere

__all__ = ["cache", "hub", "settle"]  # fixtures

Invoke = Callable[..., str]
Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def invoke(cache: Path) -> Invoke:
    """Run the command line in this process, on a machine without weights; returns stdout."""

    def call(*args: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, [str(arg) for arg in args])
        assert result.exit_code == code, result.output
        return result.stdout

    return call


@pytest.fixture
def program(hub: Hub, tmp_path: Path) -> Program:
    """Run the program itself, with the environment variables that huggingface_hub reads."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith(("_proxy", "_token"))}
    kept |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "XDG_DATA_HOME": str(tmp_path / "data")}
    kept |= {"HOME": str(tmp_path), "PYTHONWARNINGS": "error", "AI_AGENT": "none"}
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        kept.pop(name, None)

    def call(*args: object, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dinoscope", "models", *map(str, args)]
        result = subprocess.run(command, env=kept | environment, capture_output=True, text=True, cwd=tmp_path)
        assert result.returncode == code, result.stderr
        return result

    return call


# --- the table --------------------------------------------------------------------------------------------------------


def test_json_has_every_row_of_the_table(invoke):
    rows = json.loads(invoke("models", "--json"))
    assert [row["name"] for row in rows] == list(MODELS)
    assert {row["name"] for row in rows if row["here"]} == {"mini", "mini-fashion"}
    assert all(row["megabytes"] > 0 and row["dim"] and row["licence"] for row in rows)


def test_piped_the_table_cuts_nothing_off(invoke):
    lines = invoke("models").splitlines()
    assert [line for line in lines if any(f" {name} " in line for name in MODELS)] == [
        line for name in MODELS for line in lines if f" {name} " in line
    ]
    for row in MODELS.values():
        line = next(line for line in lines if f" {row.name} " in line)
        assert row.licence in line
        assert line.rstrip().endswith(module._title_and_rest(row)[1])
    titles = [
        line.strip() for line in lines if line.strip() in {module._title_and_rest(row)[0] for row in MODELS.values()}
    ]
    assert titles == ["bundled", "DINOv2 (2023)", "DINOv2 with registers (2023)", "DINO (2021)", "DINOv3 (2025)"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [80, 100, 120, 140])
def test_on_a_terminal_each_model_is_one_line(monkeypatch, columns):
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    said: list[str] = []
    monkeypatch.setattr("dinoscope.cli.terminal.say", said.append)
    module._print_models(list(MODELS.values()), dict.fromkeys(MODELS, False))
    left_out = {80: "images/s and descriptions", 100: "descriptions"}.get(columns)
    assert said == ([f"{left_out} need a terminal of 120 columns, or --json"] if left_out else [])
    lines = re.sub(r"\x1b\[\d*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= columns
    assert len([line for line in lines if line.strip()]) == len(MODELS) + 5 + 2  # titles; head and rule
    assert any("dinov2-with-registers-giant " in line for line in lines)
    assert any("no, gated" in line for line in lines)
    assert any("for photographs" in line for line in lines) is (columns >= 120)


def test_what_was_fetched_is_here(hub, invoke):
    hub_module.fetch_weights(SMALL)
    hub.requests.clear()
    line = next(line for line in invoke("models").splitlines() if " dinov2-small " in line)
    assert " yes " in line
    assert {row["name"] for row in json.loads(invoke("models", "--json")) if row["here"]} == {
        "mini",
        "mini-fashion",
        "dinov2-small",
    }
    assert not hub.requests


def test_speeds_stand_there_where_they_are_known(invoke):
    lines = invoke("models").splitlines()
    assert "images/s" in lines[1]
    assert f" {MODELS['mini'].images_per_second:,.0f} " in next(line for line in lines if " mini " in line)
    assert " 3.6 " in next(line for line in lines if " dinov2-base " in line)


@pytest.mark.parametrize("name", ["fetch", "pack", "unpack"])
def test_every_command_shows_an_example(invoke, name):
    assert f"dinoscope models {name}" in invoke("models", name, "--help").split("Example")[1]


def test_help_loads_neither_hub_nor_table():
    code = (
        "import sys, dinoscope.cli.main; "
        "print([m for m in sys.modules if m.startswith(('huggingface', 'dinoscope.models.hub'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# --- weights ----------------------------------------------------------------------------------------------------------


def test_weights_travel_from_the_hub_to_a_machine_without_one(hub, program, tmp_path):
    result = program("fetch", "dinov2-small", "mini")
    path = tmp_path / "hf/hub/models--facebook--dinov2-small/snapshots" / COMMIT / "model.safetensors"
    assert result.stdout == f"dinov2-small: {path}\nmini: needs no download\n"
    assert result.stderr.splitlines() == [
        f"downloading dinov2-small: model.safetensors, 0.0 MB, from {hub.address}/facebook/dinov2-small, once, to "
        f"{tmp_path}/hf/hub",
        "licence: Apache-2.0, https://www.apache.org/licenses/LICENSE-2.0",
    ]
    assert all(each.startswith(("/facebook/dinov2-small/resolve/main/", "/cdn/")) for _, each, _ in hub.requests)
    assert "none" not in str([headers for _, _, headers in hub.requests])
    hub.requests.clear()
    assert json.loads(program("fetch", "dinov2-small", "--json").stdout) == [
        {"name": "dinov2-small", "path": str(path)}
    ]

    packed = program("pack", "dinov2-small", "-o", "weights.tar")
    assert packed.stdout == "weights.tar\n"
    assert packed.stderr.splitlines() == [
        "pass it on only where the licence of the weights allows it: dinov2-small Apache-2.0 "
        "https://www.apache.org/licenses/LICENSE-2.0",
        "next, on the other machine: dinoscope models unpack weights.tar",
    ]
    (tmp_path / "hf").rename(tmp_path / "gone")
    assert "dinov2-small" in program("fetch", "dinov2-small", code=1, HF_HUB_OFFLINE="1").stderr
    unpacked = program("unpack", "weights.tar", HF_HUB_OFFLINE="1")
    assert unpacked.stdout == "dinov2-small\n"
    assert unpacked.stderr == "next: dinoscope embed YOUR-FOLDER -o my-images --model dinov2-small\n"
    found = json.loads(program("fetch", "dinov2-small", "--json", HF_HUB_OFFLINE="1").stdout)[0]["path"]
    assert Path(found).read_bytes() == WEIGHTS
    assert Path(found).with_name("config.json").read_bytes() == CONFIG
    assert Path(found).is_relative_to(tmp_path / "data" / "dinoscope" / "models")
    assert not hub.requests


def test_a_token_is_sent_and_its_refusal_is_one_line(hub, program):
    hub.trouble = lambda to: to.refuse(403, "GatedRepo")
    result = program("fetch", str(GATED.repo), code=1, HF_TOKEN="hf_secret")
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(
        "dinoscope: dinov3-vitb16 is gated, and the account of your token is not on its list"
    )
    assert "hf_secret" not in result.stderr
    assert {name.lower(): value for name, value in hub.requests[0][2].items()}["authorization"] == "Bearer hf_secret"


def test_a_wrong_name_comes_before_any_download(hub, program):
    result = program("fetch", "dinov2-small", "dinov2-smal", code=1)
    assert result.stderr.startswith("dinoscope: unknown model 'dinov2-smal'; did you mean 'dinov2-small'")
    assert not hub.requests


def test_archives_as_json(invoke, tmp_path):
    target = tmp_path / "weights.tar"
    packed = json.loads(invoke("models", "pack", "dinov2-small", "-o", target, "--json"))
    assert packed["archive"] == str(target)
    assert [(each["name"], each["revision"], len(each["files"])) for each in packed["models"]] == [
        ("dinov2-small", COMMIT, 2)
    ]
    assert json.loads(invoke("models", "unpack", target, "--json")) == ["dinov2-small"]


def test_stopping_a_download_is_calm(invoke, monkeypatch):
    def stop(*_args: object, **_kwargs: object) -> Path:
        raise KeyboardInterrupt

    replace_everywhere(monkeypatch, hub_module.fetch_weights, stop)
    assert invoke("models", "fetch", "dinov2-small", code=130) == ""
