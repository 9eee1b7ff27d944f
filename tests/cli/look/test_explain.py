"""``dinoscope explain`` as a user meets it, on clothes of which one half was lit."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from tests.patching import make_read_only

COUNT = 400


@pytest.fixture(scope="module")
def lit(tmp_path_factory):
    """Every other image is lit by 80 levels, so a light border is in one half of them."""
    dataset = load_dataset("fashion-mnist-test")
    pixels = dataset.pixels[:COUNT].astype(int)
    pixels[::2] += 80
    labels = [dataset.items[at].label for at in range(COUNT)]
    path = tmp_path_factory.mktemp("lit") / "lit"
    return Collection.from_images(np.clip(pixels, 0, 255).astype(np.uint8), path, labels=labels, model="mini")


def test_the_light_is_found(run, lit, tmp_path):
    picture = tmp_path / "maps.png"
    code, out, _ = run("explain", lit.path, "-k", 6, "-o", picture)
    assert code == 0
    lines = out.splitlines()
    assert re.match(r" similar in +embedding +map +variance +within labels +by labels", lines[1])
    assert lines[3].startswith(" (labels)")
    told = dict(re.findall(r"^ ([a-z ]+?)  +(-?0\.\d\d) ", out, re.MULTILINE))
    assert float(told["border brightness"]) > 0.5
    assert abs(float(told["order"])) < 0.15
    assert "The same in all images: colourfulness, warmth, greenness, aspect, size." in out
    assert re.search(r"(brighter|darker) at the border than \d\d%", out)
    assert out.rstrip().endswith(str(picture))
    with Image.open(picture) as drawn:
        assert drawn.size == (2000, 1312)  # seven maps, four beside each other


def test_as_json_and_as_a_table(run, lit, tmp_path):
    table = tmp_path / "images.csv"
    found = json.loads(run("explain", lit.path, "-k", 6, "--json", "-o", table)[1])
    properties = {each["name"]: each for each in found["properties"]}
    assert [each["map"] for each in found["properties"]] == sorted(
        (each["map"] for each in found["properties"]), reverse=True
    )
    assert properties["border brightness"]["embedding"] > 0.5
    assert properties["border brightness"]["by_labels"] < 0.2
    assert sum(each["size"] for each in found["clusters"]) == COUNT
    assert len(found["clusters"]) == 6
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["row"]) for row in rows] == list(range(COUNT))
    assert all(len(row["brightness"]) <= 6 for row in rows)
    assert np.mean([float(row["border brightness"]) for row in rows[::2]]) > 0.3
    assert np.mean([float(row["border brightness"]) for row in rows[1::2]]) < 0.15
    assert not (lit.path / "explain.png").exists()


def test_the_picture_goes_into_the_collection(run, lit):
    out = run("explain", lit.path)[1]
    assert out.rstrip().endswith("explain.png")
    assert Image.open(io.BytesIO((lit.path / "explain.png").read_bytes())).format == "PNG"
    (lit.path / "explain.png").unlink()


def test_it_is_computed_once(lit):
    first = lit.explanation(cluster_settings={"k": 6})
    again = Collection(lit.path)
    second = again.explanation(cluster_settings={"k": 6})
    assert again.stages["explanation"].stored
    assert (first.properties, first.labels, first.traits, first.sizes) == (
        second.properties,
        second.labels,
        second.traits,
        second.sizes,
    )
    np.testing.assert_array_equal(again.properties()["contrast"], lit.properties()["contrast"])
    assert again.stages["properties"].stored


def test_too_few_images(run, tmp_path):
    few = Collection.from_images(np.zeros((19, 28, 28), np.uint8), tmp_path / "few")
    code, _, err = run("explain", few.path)
    assert code == 1
    assert "what a map is made of can be measured on 20 images or more, got 19" in err
    with pytest.raises(InputError, match="20 images or more"):
        few.explanation()
    assert run("explain", few.path, "-o", "map.pdf")[0] == 1


def test_of_a_read_only_collection_the_figures_are_told(run, lit, tmp_path, monkeypatch):
    path = shutil.copytree(lit.path, tmp_path / "c", ignore=shutil.ignore_patterns("*.png"))
    make_read_only(monkeypatch, path)
    code, out, err = run("explain", path, "-k", 6)
    assert code == 0
    assert "border brightness" in out
    assert "explain.png" not in out
    assert re.search(
        r"no picture: cannot write .*explain.png: Read-only file system.* or name another one, with -o", err
    )
    code, _, err = run("explain", path, "-k", 6, "-o", path / "mine.png")
    assert code == 1
    assert "cannot write" in err
