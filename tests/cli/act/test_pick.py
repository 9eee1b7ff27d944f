import csv
import json

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.datasets.named import load_dataset


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    path = tmp_path_factory.mktemp("pick") / "fashion.dino"
    dataset = load_dataset("fashion-mnist-test")
    labels = [None if at % 4 == 0 else item.label for at, item in enumerate(dataset.items[:200])]
    Collection.from_images(dataset.pixels[:200], path, model="mini-fashion", labels=labels)
    return path


def test_a_choice_is_printed_and_written(collection, run, tmp_path):
    code, out, _ = run("pick", collection, "-n", 30)
    assert code == 0
    assert "and 10 more" in out
    assert "accuracy" in out
    wanted = [arg for name in ("a.txt", "a.csv", "a.png") for arg in ("-o", tmp_path / name)]
    assert run("pick", collection, "-n", 30, *wanted)[0] == 0
    opened = Collection(collection)
    picked = opened.pick(30).positions
    names = (tmp_path / "a.txt").read_text().splitlines()
    assert names == opened.ids[picked].tolist()
    with (tmp_path / "a.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["row"]) for line in lines] == opened.rows[picked].tolist()
    assert [line["label"] for line in lines] == [opened.labels[at] or "" for at in picked]
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.width > 300


@pytest.mark.parametrize("name", ["had.txt", "had.csv"])
def test_images_of_a_list_are_not_picked_again(collection, run, tmp_path, name):
    run("pick", collection, "-n", 40, "-o", tmp_path / name)
    opened = Collection(collection)
    had = opened.pick(40).positions
    for by in ("coverage", "typical", "uncertain", "balanced"):
        code, out, _ = run("pick", collection, "-n", 20, "--by", by, "--beside", tmp_path / name, "--json")
        assert code == 0, by
        found = json.loads(out)
        picked = [each["row"] for each in found["images"]]
        assert len(picked) == 20
        assert not set(picked) & set(opened.rows[had].tolist()), by
        assert found["curve"][-1]["images"] == 20


def test_doubt_is_about_images_without_a_label(collection):
    opened = Collection(collection)
    picked = opened.pick(30, "uncertain").positions
    assert {opened.labels[at] for at in picked} == {None}
    labels = [opened.labels[at] for at in opened.pick(50, "balanced").positions]
    assert None not in labels
    assert np.ptp(np.unique(labels, return_counts=True)[1]) == 0  # ten classes, five each


def test_a_choice_is_kept_and_follows_labels(collection):
    opened = Collection(collection)
    first = opened.pick(17, "coverage")
    again = Collection(collection)
    np.testing.assert_array_equal(again.pick(17, "coverage").curve.random_radius, first.curve.random_radius)
    assert again.stages["picking"].stored


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--by", "coverage", "--beside", "nothing.txt"], "does not exist"),
        (["--beside", "odd.txt"], "names 'cat.jpg', which is not an image of"),
        (["--beside", "odd.csv"], "has no column row or id: its columns are name"),
        (["-o", "out.pdf"], "expected a name that ends with .txt, .csv or .png"),
        (["--by", "uncertain", "--beside", "one.txt"], "needs images of two labels"),
    ],
)
def test_what_cannot_work_is_one_line(collection, run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.txt").write_text("1\ncat.jpg\n")
    (tmp_path / "odd.csv").write_text("name\n1\n")
    (tmp_path / "one.txt").write_text("1\n")
    code, _, err = run("pick", collection, *arguments)
    assert code in (1, 2)
    assert said in " ".join(err.split())
    assert len(err.strip().splitlines()) == 1
