"""Commands that act on the images that meet a condition, and what they say of columns."""

import csv
import json
import shlex
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.opened import OpenedCollection
from dinoscope.stages.queries.search import Match
from tests.pictures import photograph

N = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of two labels; a table says a price, which is the place in the source, and nothing of the first."""
    place = tmp_path_factory.mktemp("where")
    lines = ["file_name,price"]
    dataset = load_dataset("fashion-mnist-test")
    for index in range(N):
        pixels = dataset.pixels[2 if index == 3 else index]  # two labels have the same picture
        name = f"{'ab'[index % 2]}/{index:02d}.jpg"
        (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        content = photograph(Image.fromarray(pixels).convert("RGB"), place=(10.5, 20.25), iso=100)
        (place / "photos" / name).write_bytes(content)
        lines.append(f"{name},{index or ''}")
    (place / "photos" / "metadata.csv").write_text("\n".join(lines))
    Collection.from_images(place / "photos", place / "c.dino", model="mini-fashion")
    return place / "c.dino"


def ids(rows):
    return sorted(row["id"] for row in rows)


def test_embed_takes_the_columns_that_were_named(run, folder, tmp_path):
    photos = folder.parent / "photos"
    code, _, _ = run("embed", photos, "-o", tmp_path / "c", "--model", "mini-fashion", "--columns", "price,iso")
    assert code == 0
    assert list(Collection(tmp_path / "c").columns()) == ["price", "iso"]
    code, _, err = run("embed", photos, "-o", tmp_path / "c", "--model", "mini-fashion", "--columns", "prise")
    assert code == 1
    assert "there is no column 'prise'; did you mean 'price'?" in err


def test_info_counts_and_lists_columns(run, folder):
    code, out, _ = run("info", folder, "--where", "price < 10 and label = a", "--json")
    told = json.loads(out)
    assert (code, told["images"], told["where"]) == (0, 4, "price < 10 and label = a")
    assert told["columns"]["price"] == "number"
    assert told["missing"] == 0
    assert "4 of 40 where price < 10 and label = a" in run("info", folder, "--where", "price < 10 and label = a")[1]


def test_a_wrong_condition_is_one_error_with_its_place(run, folder):
    code, out, err = run("info", folder, "--where", "prise < 10")
    assert (code, out) == (1, "")
    assert "there is no column 'prise'; did you mean 'price'?" in err
    assert "(letter 1: >>>prise < 10)" in err
    code, _, err = run("cluster", folder, "--where", "price > 1000")
    assert code == 1
    assert "no image of 40 images" in err


def test_clusters_are_those_of_the_part(run, folder):
    code, out, err = run("cluster", folder, "-k", 2, "--where", "label = 'a'", "--json")
    assert code == 0
    assert sum(cluster["size"] for cluster in json.loads(out)["clusters"]) == N // 2
    assert "20 images of 40 where label = 'a'" in err


def test_a_map_shows_a_part_of_the_whole(run, folder, tmp_path):
    whole, part = tmp_path / "whole.csv", tmp_path / "part.csv"
    assert run("map", folder, "--method", "pca", "-o", whole)[0] == 0
    assert run("map", folder, "--method", "pca", "-o", part, "--where", "price > 35")[0] == 0
    with whole.open() as first, part.open() as second:
        places = {row["id"]: row for row in csv.DictReader(first)}
        shown = list(csv.DictReader(second))
    assert len(shown) == 4
    assert all(places[row["id"]] == row for row in shown)
    assert run("map", folder, "--method", "pca", "-o", tmp_path / "part.png", "--where", "price > 35")[0] == 0
    with Image.open(tmp_path / "part.png") as drawn:
        assert drawn.size[0] > 100
    assert run("map", folder, "--compare", "pca,umap", "--where", "price > 35")[0] == 1


def test_a_part_of_a_map_has_the_clusters_and_colours_of_the_whole(run, tmp_path, monkeypatch):
    path = tmp_path / "c"
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:60], path, model="mini-fashion")
    whole = Collection(path).clusters(4).labels
    drawn = []

    def draw(coordinates, members, names, colors, **_):
        drawn.append([(names[each], colors[each]) for each in members.tolist()])
        return b"picture"

    monkeypatch.setattr("dinoscope.plots.collection.map_figure", draw)
    opened, load = [], OpenedCollection._load

    def count(self):
        opened.append(self.path)
        load(self)

    monkeypatch.setattr(OpenedCollection, "_load", count)
    assert run("map", path, "--method", "pca")[0] == 0
    code, _, err = run("map", path, "--method", "pca", "--where", "cluster = 1 or cluster = 3")
    assert (code, len(opened)) == (0, 2)  # the vectors are read once a command
    keep = np.isin(whole, (1, 3))
    assert [name for name, _ in drawn[0]] == [f"cluster {number}" for number in whole]
    assert drawn[1] == [shown for shown, stays in zip(drawn[0], keep, strict=True) if stays]
    assert f"{keep.sum()} images of 60 where cluster = 1 or cluster = 3" in err
    assert not (path / "results" / "neighbors").exists()  # nothing is computed of the part
    assert len(list((path / "results" / "clusters").glob("*.parquet"))) == 1


def test_answers_of_a_search_meet_the_condition(run, folder):
    collection = Collection(folder)
    asked = collection.ids.tolist().index("a/00.jpg")
    code, out, _ = run(
        "search", folder, collection.rows[asked], "--where", "label = b and price < 20", "-k", 3, "--json"
    )
    assert code == 0
    part = np.flatnonzero(collection.matching("label = b and price < 20"))
    near = part[np.argsort(-(collection.vectors[part] @ collection.vectors[asked]))[:3]]
    assert [match["id"] for match in json.loads(out)] == collection.ids[near].tolist()
    assert run("search", folder, 0, "--where", "label = b", "--on", "x.db")[0] == 1


@pytest.mark.parametrize("several", [False, True])
def test_an_image_that_was_published_and_is_gone_is_still_an_answer(run, tmp_path, monkeypatch, several):
    labels = [("a", "b"), ("b",), ("a",)] if several else ["a", "b", "a"]
    path = tmp_path / "c"
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:3], path, labels=labels, model="mini-fashion")
    answers = [Match(99, "gone.jpg", "old", 0.9), Match(1, "00001", None if several else "b", 0.8)]
    monkeypatch.setattr("dinoscope.milvus.search_published", lambda *_, **__: answers)
    code, out, err = run("search", path, 0, "--on", "vectors.db")
    assert code == 0, err
    assert [line.split() for line in out.splitlines() if "0.9" in line or "0.8" in line] == [
        ["0.900", "99", "gone.jpg", "old"],
        ["0.800", "1", "00001", "b"],
    ]
    code, out, _ = run("search", path, 0, "--on", "vectors.db", "--json")
    told = json.loads(out)
    assert (code, [each["id"] for each in told]) == (0, ["gone.jpg", "00001"])
    assert [each.get("labels") for each in told] == [None, ["b"] if several else None]


def test_clean_pick_and_export_take_the_part(run, folder, tmp_path):
    code, out, _ = run("pick", folder, "-n", 5, "--by", "coverage", "--where", "label = b", "--json")
    picked = ids(json.loads(out)["images"])
    assert (code, len(picked)) == (0, 5)
    assert all(name.startswith("b/") for name in picked)
    found = {}
    for where in ("price > 0", "label = b"):
        code, out, _ = run("clean", folder, "--duplicates", "--where", where, "--json")
        assert code == 0
        found[where] = len(json.loads(out)["duplicates"]["found"])
    assert found["price > 0"] > 0
    assert found["label = b"] == 0
    assert run("export", folder, "--as", "csv", "--to", tmp_path / "out", "--where", "price <= 3")[0] == 0
    with (tmp_path / "out" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["price"], row["iso"]) for row in rows] == [
        ("a/02.jpg", "2.0", "100.0"),
        ("b/01.jpg", "1.0", "100.0"),
        ("b/03.jpg", "3.0", "100.0"),
    ]
    assert "latitude" not in rows[0]


def test_private_columns_are_exported_when_they_are_asked_for(run, folder, tmp_path):
    assert run("export", folder, "--as", "parquet", "--to", tmp_path / "out", "--private-columns")[0] == 0
    import pyarrow.parquet as pq

    table = pq.read_table(tmp_path / "out" / "table.parquet")
    assert table.column("latitude").to_pylist() == [10.5] * N
    assert table.column("price").to_pylist() == [None, *range(2, N, 2), *range(1, N, 2)]


def test_explain_tells_how_far_columns_go_along(run, folder):
    code, out, _ = run("explain", folder, "-k", 2, "--map", "pca", "--json")
    told = {each["name"]: each for each in json.loads(out)["columns"]}
    assert code == 0
    assert {"price", "size", "folder"} <= set(told)
    assert not {"iso", "latitude", "width", "format"} & set(told)  # the same in all, or among the properties
    assert told["price"]["images"] == N - 1
    assert "by clusters" in run("explain", folder, "-k", 2, "--map", "pca")[1]


def test_the_next_command_asks_for_the_same_images(run, folder, tmp_path, monkeypatch):
    path = shutil.copytree(folder, tmp_path / "my photos.dino")
    where = 'price > 1 and not label = "x"'
    part, same = ["--where", where], ["--model", "mini-fashion", "--labels-from", "merged"]
    code, out, _ = run("clean", path, *part, *same, "--threshold", 0.4)
    assert code == 0
    told = [shlex.split(line.partition(": dinoscope ")[2]) for line in out.splitlines() if ": dinoscope clean" in line]
    assert told
    for command in told:
        assert command[:2] + command[3:] == ["clean", str(path), *part, *same, "--threshold", "0.4"]
        assert run(*command)[0] == 0
    again = shlex.join(["dinoscope", "calibrate", str(path), *same[:2]])
    assert f"then: {again} --pairs 20 --same" in run("calibrate", path, *same[:2])[2]
    assert f"then: {again} --labels --pairs 20 --wrong" in run("calibrate", path, "--labels", *same[:2])[2]
    said = run("calibrate", path, "--same", "none", *same[:2])[2]
    assert f"more certain: {again}\n" in said
    assert said.endswith(f"next: {shlex.join(['dinoscope', 'clean', str(path), '--duplicates', *same[:2]])}\n")
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    for asked, after in (
        (("search", path, 3, *part, *same[:2]), ("search", path, 3, "--why", *part, *same[:2])),
        (("search", path, 3, "--crop", "0,0,20,20"), ("search", path, 3, "--why", "--crop", "0,0,20,20")),
        (("cluster", path, "-k", 2, *part, *same), ("explore", path, *same)),
        (("map", path, "--method", "pca", *part, *same), ("explore", path, *same)),
        (("evaluate", path, *same), ("clean", path, "--label-errors", *same)),
        (
            ("pick", path, "-n", 4, *part, *same[:2]),
            ("pick", path, "-n", 4, "--by", "typical", "-o", "picked.csv", *part, *same[:2]),
        ),
        (("info", path), ("explore", path)),
    ):
        code, _, err = run(*asked)
        assert code == 0, err
        assert f"next: dinoscope {shlex.join(map(str, after))}\n" in err
