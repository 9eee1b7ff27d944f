"""Which model embeds where nobody named one: what is here, one question at a terminal, a collection's own."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.cli.collect.choice import _as_before
from dinoscope.models import choice
from dinoscope.models.catalogue import AUTO_ORDER, MODELS, get_model, read_weights
from dinoscope.models.hub import fetch_weights
from dinoscope.sources.array import ArraySource
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.manifest import list_models, read_model
from tests.models.test_hub import SMALL, Hub, cache, hub, settle, tiny_weights

__all__ = ["cache", "hub", "settle"]  # fixtures

QUESTION = "dinov2-small sorts photographs by what they show (88 MB, Apache-2.0, fetched once)."
SMALLER = ("--resolution", 32, "--device", "cpu")  # tiny weights on few pixels


@pytest.fixture
def machine(hub: Hub, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A folder with three photographs, no weights, settings of its own, and a hub that has a tiny dinov2-small."""
    hub.repos[str(SMALL.repo)] = {"model.safetensors": tiny_weights(tmp_path)}
    monkeypatch.setattr(choice, "user_config_path", lambda _: tmp_path / "config" / "dinoscope")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return hub


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sit at a terminal and give an answer; None where nobody sits there."""

    def give(text: str | None) -> list[str]:
        asked: list[str] = []

        def confirm(question: str, **settings: Any) -> bool:
            assert settings == {"default": True, "err": True}
            asked.append(question)
            return text in ("", "y")

        monkeypatch.setattr("typer.confirm", confirm)
        for stream in (sys.stdin, sys.stderr):
            monkeypatch.setattr(stream, "isatty", lambda: text is not None, raising=False)
        return asked

    return give


def weights_of(name: str) -> str:
    return hashlib.sha256(read_weights(get_model(name))).hexdigest()


def model_of(run: Any, *more: object) -> str:
    code, out, err = run("embed", "photos", *more, "--json")
    assert code == 0, err
    return str(json.loads(out)["model"])


def test_every_model_of_the_hub_has_a_place_unless_it_is_large():
    small = {row.name for row in MODELS.values() if row.repo and row.megabytes < 400}
    assert set(AUTO_ORDER) == small
    assert len(AUTO_ORDER) == len(small)


def test_nobody_is_asked_without_a_terminal(run, machine, answer):
    asked = answer(None)
    code, _, err = run("embed", "photos")
    assert code == 0
    assert "with mini" in err
    assert QUESTION not in err
    assert (asked, machine.requests) == ([], [])
    *_, last, command = err.splitlines()
    assert last.startswith("mini sees too little of these photographs.")
    assert command == "dinoscope embed photos -o photos.dino --model dinov2-small"


def test_yes_fetches_and_embeds(run, machine, answer):
    asked = answer("y")
    code, _, err = run("embed", "photos", *SMALLER)
    assert code == 0, err
    assert " ".join(err.split()).count(QUESTION) == 1
    assert asked == ["Fetch it?"]
    assert "downloading dinov2-small" in err
    assert "too little" not in err
    assert [key.split("-32px")[0] for key in list_models(Path("photos.dino"))] == ["dinov2-small"]


def test_no_is_remembered(run, machine, answer, tmp_path):
    asked = answer("n")
    assert model_of(run) == "mini"
    assert model_of(run, "-o", "other.dino") == "mini"
    assert asked == ["Fetch it?"]  # never twice
    assert machine.requests == []
    assert json.loads((tmp_path / "config" / "dinoscope" / "declined.json").read_text()) == ["dinov2-small"]
    assert choice.is_declined(SMALL)


def test_the_option_answers_without_a_question(run, machine, answer):
    asked = answer(None)
    choice.decline(SMALL)
    assert model_of(run, "--yes", *SMALLER) == "dinov2-small"
    assert asked == []


def test_offline_means_neither_question_nor_download(run, machine, answer, monkeypatch):
    from huggingface_hub import constants

    asked = answer("y")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert model_of(run, "--yes") == "mini"
    assert (asked, machine.requests) == ([], [])


def test_a_failed_download_does_not_stop_the_embedding(run, machine, answer):
    answer("y")
    machine.repos.pop(str(SMALL.repo))
    code, _, err = run("embed", "photos")
    assert code == 0, err
    assert "Until then, dinoscope uses mini." in err


def test_the_best_model_here_is_taken(run, machine, answer):
    asked = answer("y")
    machine.repos["facebook/dinov2-base"] = machine.repos[str(SMALL.repo)]
    for name in ("dinov2-small", "dinov2-base"):
        fetch_weights(get_model(name))
    code, _, err = run("embed", "photos", *SMALLER)
    assert code == 0, err
    assert "model: dinov2-base, the best one on this machine (--model names another)" in err
    assert asked == []


def test_a_damaged_model_is_left_out_and_the_next_is_taken(run, machine, answer):
    answer("y")
    machine.repos["facebook/dinov2-base"] = machine.repos[str(SMALL.repo)]
    files = [fetch_weights(get_model(name)).resolve() for name in ("dinov2-base", "dinov2-small")]
    files[0].write_bytes(files[0].read_bytes()[:1000])
    code, _, err = run("embed", "photos", *SMALLER)
    told = " ".join(err.split())
    assert code == 0, err
    assert "dinov2-base is left out, because its weights cannot be used (" in told
    assert f"to mend it, delete {files[0]} and run 'dinoscope models fetch dinov2-base'" in err.replace("\n", " ")
    assert "model: dinov2-small, the best one on this machine" in told
    files[0].unlink()
    assert fetch_weights(get_model("dinov2-base")).read_bytes() == files[1].read_bytes()  # as the line said
    for file in (files[0], files[1]):
        file.write_bytes(b"")
    code, _, err = run("embed", "photos", "-o", "other.dino", "--yes")
    assert (code, "with mini" in err, "Until then" in err) == (0, True, False)
    assert err.count("is left out, because its weights") == 2


def test_a_collection_keeps_its_own_model_and_settings(run, machine, answer):
    assert model_of(run, "--model", "mini") == "mini"
    fetch_weights(SMALL)
    answer("y")
    assert model_of(run) == "mini"  # though a better one has come
    assert model_of(run, "--model", "dinov2-small", *SMALLER, "--pooling", "cls+mean") == "dinov2-small"
    held = list_models(Path("photos.dino"))
    assert len(held) == 2
    code, out, err = run("embed", "photos", "--json")
    assert code == 0, err
    assert (json.loads(out)["reused"], list_models(Path("photos.dino"))) == (3, held)


def test_a_precision_that_this_machine_lacks_is_told(monkeypatch, tmp_path):
    encoder = SimpleNamespace(precision="fp32")
    monkeypatch.setattr("dinoscope.models.encoder.Encoder.from_description", lambda _shown, device, precision: encoder)
    said: list[str] = []
    description: Any = {"model": "dinov2-small", "dim": 4, "resolution": 32, "precision": "bf16"}
    _as_before(description, ArraySource(np.zeros((1, 8, 8), np.uint8)), tmp_path, {"device": "auto"}, said.append)
    assert ["all images are embedded again" in each for each in said] == [True]
    _as_before(description, ArraySource(np.zeros((1, 8, 8), np.uint8)), tmp_path, {"device": "cpu"}, said.append)
    assert len(said) == 1  # a person decides


def test_a_model_that_is_named_again_goes_on_in_the_precision_of_its_vectors(run, machine, shortened):
    """Where a machine would compute in another one by itself, all images would be embedded a second time."""
    named = ("--model", "dinov2-small", "--resolution", 32)
    assert run("embed", "photos", "--yes", *named, "--device", "cpu")[0] == 0
    held = list_models(Path("photos.dino"))
    code, out, err = run("embed", "photos", *named, "--json")
    assert (code, json.loads(out)["reused"], list_models(Path("photos.dino"))) == (0, 3, held)
    assert "in fp32: as the vectors that are there" in " ".join(err.split())
    assert run("embed", "photos", *named, "--device", "openvino", "--json")[0] == 0
    assert list_models(Path("photos.dino")) == [*held, f"{held[0]}-bf16"]  # a person asked for it


def test_a_damaged_description_is_mended_by_the_same_model(run, machine, answer):
    assert model_of(run, "--model", "mini") == "mini"
    fetch_weights(SMALL)
    answer("y")
    held = list_models(Path("photos.dino"))
    description = Path("photos.dino", "vectors", held[0], "model.json")
    whole = description.read_bytes()
    description.write_bytes(whole[:20])
    assert model_of(run) == "mini"
    assert (list_models(Path("photos.dino")), description.read_bytes()) == (held, whole)


def test_a_collection_fetches_nothing(run, machine, answer, cache):
    """Its model may be named by a stranger."""
    assert model_of(run, "--yes", *SMALLER) == "dinov2-small"
    shutil.rmtree(cache)
    before = len(machine.requests)
    code, _, err = run("embed", "photos", "--yes")
    assert (code, len(machine.requests)) == (1, before)
    assert "run 'dinoscope models fetch dinov2-small" in err


def test_vectors_of_your_own_are_named_again(run, machine, answer, tmp_path):
    np.save(tmp_path / "own.npy", np.eye(3, dtype=np.float32))
    assert run("embed", "photos", "--vectors", tmp_path / "own.npy")[0] == 0
    code, _, err = run("embed", "photos")
    assert code == 1
    assert "photos.dino has vectors of your own (own:own): name their file again (--vectors), or a model" in err


def made_by_an_earlier_mini(run: Any, *settings: object) -> Path:
    """Embed the photographs, and let the collection say that other weights of mini made its vectors."""
    assert model_of(run, "--model", "mini", *settings) == "mini"
    place = Path("photos.dino")
    (key,) = list_models(place)
    earlier = place / "vectors" / key.replace(weights_of("mini")[:8], "0" * 8)
    (place / "vectors" / key).rename(earlier)
    description = read_json(earlier / "model.json", dict)
    write_json(earlier / "model.json", {**description, "weights_sha256": "0" * 64}, checked=True)
    write_json(place / "collection.json", {**read_json(place / "collection.json", dict), "vectors": earlier.name})
    return place


@pytest.mark.parametrize(
    "settings", [("--pad",), ("--focus", "foreground"), ("--precision", "int8")], ids=lambda each: each[0]
)
def test_a_collection_of_an_earlier_mini_is_embedded_again_as_it_was(run, machine, answer, settings):
    place = made_by_an_earlier_mini(run, *settings)
    (earlier,) = list_models(place)
    fetch_weights(SMALL)
    code, out, err = run("embed", "photos", "--json")
    assert code == 0, err
    assert "photos.dino was embedded by the mini of another version of dinoscope: all" in " ".join(err.split())
    assert (json.loads(out)["model"], json.loads(out)["embedded"]) == ("mini", 3)
    (made,) = set(list_models(place)) - {earlier}
    assert made == earlier.replace("0" * 8, weights_of("mini")[:8])  # with the settings that it had
    assert run("search", place, "photos/1.png")[0] == 0
    code, out, err = run("embed", "photos", "--json")
    assert (code, json.loads(out)["embedded"], "another version" in err) == (0, 0, False)


def test_a_collection_of_an_earlier_mini_that_saw_fewer_pixels_gets_the_usual_ones(run, machine, answer):
    place = made_by_an_earlier_mini(run, "--resolution", 32)
    (earlier,) = list_models(place)
    assert model_of(run) == "mini"
    (made,) = set(list_models(place)) - {earlier}
    assert read_model(place, made)["resolution"] == 40


def test_foreground_and_whole_image_have_each_their_own_pixels(run, machine, answer):
    for focus in ("image", "foreground", "image"):
        assert model_of(run, "--focus", focus) == "mini"
    made = [read_model(Path("photos.dino"), key) for key in list_models(Path("photos.dino"))]
    assert [(each["resolution"], each.get("focus")) for each in made] == [(128, "foreground"), (40, None)]


@pytest.mark.parametrize("command", [("search",), ("look",)])
def test_what_shows_a_new_image_to_an_earlier_mini_says_what_to_run(run, machine, answer, command):
    place = made_by_an_earlier_mini(run)
    code, _, err = run(command[0], place, "photos/1.png")
    told = " ".join(err.split())
    assert code == 1
    assert "these weights of 'mini' are not the ones that made the vectors" in told
    assert "embed the images again ('dinoscope embed SOURCE -o COLLECTION --model mini')" in told
    assert "--weights" not in told
