"""What the command line says of a collection: what is not embedded yet, and which vectors it holds."""

import json
import os
import re
import shutil
import time

import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.cli.terminal import summarise
from dinoscope.embedding.pipeline import EmbedSummary, embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.sources.opening import open_source
from dinoscope.sources.pixels.formats import READ
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.progress import RunningEmbedding
from dinoscope.storage.tables import list_parts, read_table, write_table


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 60 images and a bad file, which comes last."""
    folder = tmp_path_factory.mktemp("info") / "photos"
    folder.mkdir()
    for index, pixels in enumerate(load_dataset("fashion-mnist-test").pixels[:60]):
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")
    (folder / "bad.jpg").write_text("not a picture")
    return folder


def embed_a_part(photos, path, model="mini-fashion"):
    """Embed 20 images, then stop as Ctrl-C does."""

    def stop(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_source(open_source(photos), path, Encoder(model, batch_size=20), on_progress=stop)
    return path


@pytest.fixture(scope="module")
def partial(photos):
    return embed_a_part(photos, photos.parent / "partial")


@pytest.fixture(scope="module")
def whole(photos):
    Collection.from_images(photos, photos.parent / "whole", model="mini-fashion")
    return photos.parent / "whole"


STOPPED = "20 of 61 images have vectors; 'dinoscope embed' again embeds the rest\n"


def test_info_says_how_many_images_are_not_embedded_yet(run, partial, whole):
    assert "20 (41 more are not embedded yet: 'dinoscope embed' again embeds them)" in run("info", partial)[1]
    facts = json.loads(run("info", partial, "--json")[1])
    assert (facts["images"], facts["missing"], facts["running"]) == (20, 41, False)
    assert json.loads(run("info", whole, "--json")[1])["missing"] == 0  # a file that cannot be read is not missing
    assert "not embedded yet" not in run("info", whole)[1]


@pytest.mark.parametrize(
    "command",
    [
        *(("score", "-k", 2), ("search", 1), ("receipt",), ("survey", "-k", 2, "-o", "survey.csv")),
        *(("map", "--method", "pca", "-o", "map.csv"), ("cluster", "-k", 2), ("clean", "-o", "findings")),
        *(("calibrate",), ("classify", "photos/1.png"), ("evaluate",)),
    ],
)
def test_every_command_says_that_it_has_a_part_only(run, partial, whole, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    name, *options = command
    code, _, err = run(name, shutil.copytree(partial, tmp_path / "c"), *options)
    assert code == (1 if name in ("classify", "evaluate") else 0)  # there are no labels
    assert err.startswith(STOPPED)
    assert "have vectors" not in run(name, shutil.copytree(whole, tmp_path / "w"), *options)[2]


def test_of_one_image_nothing_is_compared(run, photos, tmp_path):
    (tmp_path / "photos").mkdir()
    shutil.copy(photos / "01.png", tmp_path / "photos")
    path = tmp_path / "c"
    Collection.from_images(tmp_path / "photos", path, model="mini-fashion")
    for command in (("score",), ("map", "-o", tmp_path / "map.csv")):
        assert run(command[0], path, *command[1:])[2] == (
            f"dinoscope: {path} has one image with a vector, and this compares images: embed more of them\n"
        )


def test_what_the_limit_leaves_out_is_not_called_gone(run, photos, tmp_path):
    path = tmp_path / "c"
    run("embed", photos, "-o", path, "--model", "mini-fashion", "--limit", 20)
    err = run("embed", photos, "-o", path, "--model", "mini-fashion", "--limit", 10)[2]
    assert "10 images not among the 10 of --limit, or no longer in the source, left out" in err


def test_an_address_is_no_file(run, whole, tmp_path):
    err = run("search", whole, "https://example.org/cat.png")[2]
    assert "is an address, and images are read from files: download it first, and name the file" in err
    err = run("embed", "https://example.org/cats.zip", "-o", tmp_path / "c")[2]
    assert "or a path; download it first, and name the file or folder" in err


def test_a_row_without_a_vector_yet_is_told_from_one_that_is_none(run, partial, whole, tmp_path):
    assert "row 30 has no vector yet: run 'dinoscope embed' again" in run("search", partial, 30)[2]
    assert run("search", whole, 60)[2] == (
        f"dinoscope: row 60 could not be read (is not a {READ} image): it has no vector\n"
    )


def test_while_an_embedding_runs_nobody_is_told_to_start_one(run, partial, monkeypatch):
    running = RunningEmbedding(20, 61, 20, 9.0, 5.0, "mini-fashion", os.getpid(), "here", time.time())
    monkeypatch.setattr("dinoscope.storage.progress.read_progress", lambda _path: running)
    assert "20 of 61 images have vectors; an embedding that runs now adds the rest" in run("search", partial, 1)[2]
    assert "20 (41 more are not embedded yet: a process is at it)" in run("info", partial)[1]


def test_of_several_models_the_one_that_is_not_done_is_named(run, whole, photos, tmp_path):
    path = embed_a_part(photos, shutil.copytree(whole, tmp_path / "c"), "mini")
    assert run("search", path, 1)[2] == ""
    err = run("search", path, 1, "--model", "mini")[2]
    assert err.startswith("20 of 60 images have vectors of mini-32px-")
    shutil.copytree(photos, tmp_path / "photos")
    (tmp_path / "photos" / "00.png").unlink()
    embed_source(open_source(tmp_path / "photos"), path, Encoder("mini-fashion"))  # a removed image is not missing
    assert Collection(path).missing == 0


def test_variants_of_a_model_can_be_told_apart_and_named(run, photos, tmp_path):
    path = tmp_path / "c"
    for options in ((), ("--pooling", "cls+mean", "--pad")):
        assert run("embed", photos, "-o", path, "--model", "mini-fashion", *options)[0] == 0
    plain, other = sorted(json.loads(run("info", path, "--json")[1])["models"], key=len)
    out = run("info", path)[1]
    assert re.search(rf"{plain}: mini-fashion +\n", out)
    assert f"{other}: mini-fashion, cls+mean, --pad" in out
    assert f"mini-fashion, cls+mean, --pad (--model {other})" in out
    facts = json.loads(run("info", path, "--model", plain, "--json")[1])
    assert (facts["key"], facts["vector"], facts["pooling"], facts["devices"]) == (plain, 256, "cls", ["cpu"])


def test_info_tells_device_and_precision(run, whole, tmp_path):
    path = shutil.copytree(whole, tmp_path / "c")
    (folder,) = (path / "vectors").iterdir()
    write_json(folder / "model.json", {**read_json(folder / "model.json"), "precision": "bf16"})
    (part,) = list_parts(folder)
    columns, meta = read_table(part)
    write_table(part, columns, {"made_by": {**meta["made_by"], "device": "openvino"}})
    assert "mini-fashion, in bf16, on openvino (--model mini-fashion-28px-" in run("info", path)[1]


def test_the_summary_tells_what_computed(capsys):
    summarise(EmbedSummary(8, 0, 0, (), 1.0, "mini", "openvino", "bf16"))
    assert capsys.readouterr().err == "embedded 8 images with mini on openvino in bf16 in 1.0 s (8 images/s)\n"
    summarise(EmbedSummary(8, 0, 0, (), 1.0, "mini"))
    assert capsys.readouterr().err == "embedded 8 images with mini in 1.0 s (8 images/s)\n"


def test_a_file_that_vanishes_costs_no_info(run, whole, monkeypatch):
    monkeypatch.setattr(os, "walk", lambda path: [(path, [], ["gone", "collection.json"])])
    assert run("info", whole)[0] == 0
