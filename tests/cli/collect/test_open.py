"""Where a collection goes when nobody says so, and images that are seen with one command."""

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from dinoscope.cli.collect.places import default_collection
from dinoscope.errors import InputError
from dinoscope.sources.opening import open_source
from tests import PATIENCE


@pytest.fixture
def photos(tmp_path, monkeypatch):
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name in ("a", "b", "more/c"):
        Image.new("L", (20, 20), ord(name[-1])).save(tmp_path / "photos" / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_it_is_beside_the_folder_and_found_again(run, photos, monkeypatch):
    code, out, err = run("embed", "photos/")
    assert (code, out) == (0, "")
    assert err.endswith("3 images in photos.dino\n")
    monkeypatch.chdir(photos)
    result = json.loads(run("embed", ".", "--json")[1])
    assert (result["embedded"], result["reused"]) == (0, 3)
    assert result["collection"] == str(photos.parent / "photos.dino")
    assert run("info", "../photos.dino")[0] == 0
    assert sorted(path.name for path in photos.iterdir()) == ["a.png", "b.png", "more"]


def test_the_collection_there_remembers_what_it_was_told(run, photos):
    assert "1 label: more" not in run("embed", "photos", "--labels", "none")[2]
    again = run("embed", "photos")[2]
    assert "no labels; no splits; as chosen: --labels none" in again
    assert "another label" not in again


def test_a_table_takes_over_from_a_folder_with_a_rule(run, photos):
    assert run("embed", "photos", "--labels", "none", "-o", "kept.dino")[0] == 0
    lines = ["image,label", *(f"photos/{name}.png,{name[-1]}" for name in ("a", "b", "more/c"))]
    (photos.parent / "table.csv").write_text("\n".join(lines))
    code, out, _ = run("embed", "table.csv", "-o", "kept.dino", "--moved", "--json")
    assert code == 0
    assert (json.loads(out)["embedded"], json.loads(out)["reused"]) == (0, 3)
    code, _, err = run("embed", "table.csv", "-o", "kept.dino", "--labels", "none")
    assert code != 0
    assert "--root, --labels and --splits are for folders and archives" in err


def test_an_array_and_a_folder_of_one_name_have_a_collection_each(run, photos):
    photos.rename(photos.with_name("images"))
    np.save("images.npy", np.arange(2 * 400, dtype=np.uint16).astype(np.uint8).reshape(2, 20, 20))
    for source, place, count in (("images", "images", 3), ("images.npy", "images.npy", 2)):
        for embedded in (count, 0):  # and it is found again
            result = json.loads(run("embed", source, "--json")[1])
            assert (result["collection"], result["embedded"]) == (f"{place}.dino", embedded)


def test_a_folder_gives_way_to_an_array_that_was_first(run, photos):
    photos.rename(photos.with_name("images"))
    np.save("images.npy", np.arange(2 * 400, dtype=np.uint16).astype(np.uint8).reshape(2, 20, 20))
    places = [json.loads(run("embed", source, "--json")[1])["collection"] for source in ("images.npy", "images")]
    assert places == ["images.dino", "images.folder.dino"]


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("photos", "photos.dino"),
        ("./photos/", "photos.dino"),
        ("photos/more", "photos/more.dino"),
        ("images.npy", "images.dino"),
        ("holiday.tar.gz", "holiday.dino"),
        ("fashion-mnist-test", "fashion-mnist-test.dino"),
    ],
)
def test_every_kind_of_source_has_its_place(photos, source, place):
    for name in ("images.npy", "holiday.tar.gz"):
        (photos.parent / name).write_bytes(b"")
    images = open_source("fashion-mnist-test" if source.startswith("fashion") else photos)
    assert default_collection(source, images).as_posix() == place


def test_it_is_never_inside_the_images(photos, monkeypatch):
    images = open_source(photos)
    monkeypatch.chdir(photos / "more")
    assert default_collection("..", images) == photos.parent / "photos.dino"
    monkeypatch.setattr(os, "access", lambda *_: False)  # the folder beside it may not be written
    with pytest.raises(InputError, match=r"no place for a collection beside \.\.: name a folder outside it with -o"):
        default_collection("..", images)
    monkeypatch.chdir(photos.parent.parent)
    assert default_collection(str(photos), images).as_posix() == "photos.dino"


def test_open_embeds_and_explores(photos, tmp_path):
    def serve(*arguments):
        command = [sys.executable, "-m", "dinoscope", "open", *arguments, "--no-browser", "--port", "0"]
        process: Any = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        try:
            lines: list[str] = []
            while not lines or "http://" not in lines[-1]:
                lines.append(process.stderr.readline())
                assert lines[-1], "it ended"
            address = re.findall(r"http://\S+", lines[-1])[0]
            page, token = address.split("?token=")
            told = httpx.get(f"{page}api/collection", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
        return "".join(lines), told

    text, told = serve("photos")
    assert "embedded 3 images with mini" in text
    assert (told.json()["name"], told.json()["originals"]) == ("photos", True)
    assert "nothing to embed: 3 images with vectors already" in serve("photos")[0]
    assert "embed" not in serve("photos.dino")[0]


def test_a_collection_is_opened_as_it_is(run, photos):
    run("embed", "photos")
    assert run("open", "photos.dino", "--limit", 2)[::2] == (
        1,
        "dinoscope: photos.dino is a collection, which is opened as it is: leave out -o and --limit\n",
    )


@pytest.mark.parametrize(("shell", "word"), [("bash", "explo"), ("zsh", "explo"), ("fish", "explo")])
def test_the_shell_completes_commands(shell, word):
    words = {"COMP_WORDS": f"dinoscope {word}", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": f"dinoscope {word}"}
    asked = {
        **os.environ,
        **words,
        "_DINOSCOPE_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    command = [sys.executable, "-m", "dinoscope"]
    done = subprocess.run(command, env=asked, capture_output=True, text=True, check=False)
    assert "explore" in done.stdout
    assert "explain" not in done.stdout
