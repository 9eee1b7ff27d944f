"""``dinoscope diff`` as a user meets it: what is printed, what is written, what is refused."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.difference import same_pictures

SHARED, SANDALS = 30, 40


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    """BEFORE: 600 images without a sandal. AFTER: 30 of them, 230 others, 40 sandals, and no trousers."""
    folder = tmp_path_factory.mktemp("sides")
    dataset = load_dataset("fashion-mnist-test")
    labels = np.asarray([item.label for item in dataset.items])
    usual = np.flatnonzero(labels != "Sandal")
    before = usual[:600]
    others = usual[600:1200]
    shared = before[labels[before] != "Trouser"][:SHARED]
    after = np.concatenate(
        [shared, others[labels[others] != "Trouser"][:230], np.flatnonzero(labels == "Sandal")[:SANDALS]]
    )
    for name, rows in (("before", before), ("after", after)):
        Collection.from_images(dataset.pixels[rows], folder / name, labels=labels[rows], model="mini-fashion")
    return folder / "before", folder / "after"


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_differs_is_told(run, sides):
    code, out, _ = run("diff", *sides)
    assert code == 0
    assert out.startswith("before: 600 images; after: 300 images; mini-fashion\nseparation: 0.")
    assert "new: about" in out
    assert "images of after, give or take" in out
    assert "Sandal" in out.split("gone: ")[0]
    assert f"in both: {SHARED} of before, {SHARED} of after" in out
    labels = out.split("labels: ")[1]
    assert labels.startswith("2 of 10 changed their share")
    assert re.search(r"0\.0% +13\.3% +new +Sandal", labels)
    assert re.search(r"0\.0% +gone +Trouser", labels)


def test_as_json(run, sides):
    found = json.loads(run("diff", *sides, "--json", "-k", 7, "--false-share", 0.2)[1])
    assert (found["before"]["images"], found["after"]["images"]) == (600, 300)
    assert (found["before"]["in_both"], found["after"]["in_both"]) == (SHARED, SHARED)
    assert 0 < found["separation"] < 1
    assert found["p_value"] == 0.005
    new = found["new"]
    assert len(new) > 10
    assert np.mean([each["label"] == "Sandal" for each in new]) > 0.8
    assert {each["side"] for each in new} == {"after"}
    assert [each["familiarity"] for each in new] == sorted(each["familiarity"] for each in new)
    assert abs(found["after"]["new_share"] - SANDALS / 300) < 2 * found["after"]["new_error"] + 0.03
    assert {each["side"] for each in found["gone"]} <= {"before"}
    assert len(found["clusters"]) == 7
    for side, count in (("before", 600), ("after", 300)):
        assert sum(each[side] for each in found["clusters"]) == count
        assert sum(each[side] for each in found["labels"]) == count
    trousers = next(each for each in found["labels"] if each["label"] == "Trouser")
    assert (trousers["after"], trousers["share_after"], trousers["changed"]) == (0, 0, True)


def test_where_nothing_is_certain_the_likeliest_are_shown(run, sides, tmp_path):
    code, out, _ = run("diff", *sides, "--false-share", 0.0001, "-o", tmp_path / "out")
    assert code == 0
    told = out.split("gone: ")[0]
    assert "are unlike anything in before; none is certain; these are the most likely ones" in told
    assert told.count("Sandal") >= 8  # of ten
    assert (tmp_path / "out" / "new.png").exists()
    assert not any(each["finding"] == "new" for each in read_csv(tmp_path / "out" / "images.csv"))


def test_files(run, sides, tmp_path):
    assert run("diff", *sides, "-o", tmp_path / "out", "--limit", 4)[0] == 0
    images = read_csv(tmp_path / "out" / "images.csv")
    assert len(images) == 900
    assert sum(each["finding"] == "new" for each in images) > 10
    paired = [each for each in images if each["same_row"]]
    assert len(paired) == 2 * SHARED
    before, after = ([each for each in paired if each["side"] == side] for side in ("before", "after"))
    assert {(each["row"], each["same_row"]) for each in before} == {(each["same_row"], each["row"]) for each in after}
    clusters = read_csv(tmp_path / "out" / "clusters.csv")
    assert sum(int(each["before"]) + int(each["after"]) for each in clusters) == 900
    assert len(read_csv(tmp_path / "out" / "labels.csv")) == 10
    sheet, whole = (Image.open(io.BytesIO((tmp_path / "out" / name).read_bytes())) for name in ("new.png", "map.png"))
    assert sheet.width > 900  # four findings of four pictures, two beside each other
    assert whole.width == 1600


def test_an_old_sheet_does_not_pass_for_a_new_one(run, sides, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "new.png").write_bytes(b"old")
    code, out, _ = run("diff", sides[0], sides[0], "-o", tmp_path / "out")
    assert code == 0
    assert not (tmp_path / "out" / "new.png").exists()
    assert (tmp_path / "out" / "map.png").exists()
    assert "no more apart than one collection split at random" in out
    assert "new: no more of the 600 images" in out
    assert "none is certain" in out
    assert "clusters: 0 of 20 changed their share" in out
    assert "labels: 0 of 9 changed their share" in out
    assert "in both: 600 of" in out


def test_folders_of_one_name_are_told_apart(run, sides, tmp_path):
    named = []
    for parent, side in zip(("old", "new"), sides, strict=True):
        (tmp_path / parent).mkdir()
        named.append(tmp_path / parent / "photos.dino")
        named[-1].symlink_to(side, target_is_directory=True)
    out = run("diff", *named)[1]
    assert out.startswith("before: 600 images; after: 300 images")  # where the links lead
    for parent, side in zip(("old", "new"), sides, strict=True):
        target = tmp_path / parent / "real" / "photos.dino"
        target.parent.mkdir()
        for file in side.rglob("*"):
            copy = target / file.relative_to(side)
            if file.is_file() and "results" not in file.parts:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
    out = run("diff", *(tmp_path / parent / "real" / "photos.dino" for parent in ("old", "new")))[1]
    assert out.startswith("old/real/photos.dino: 600 images; new/real/photos.dino: 300 images")


def test_without_labels_there_is_nothing_of_labels(run, sides, tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels[:40]
    Collection.from_images(pixels, tmp_path / "bare", model="mini-fashion")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.csv").write_text("old", encoding="utf-8")
    code, out, _ = run("diff", tmp_path / "bare", sides[1], "-o", tmp_path / "out")
    assert code == 0
    assert "labels:" not in out
    assert not (tmp_path / "out" / "labels.csv").exists()


def test_collections_of_different_models_are_refused(run, sides, tmp_path):
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:5], tmp_path / "other", model="mini")
    code, out, err = run("diff", sides[0], tmp_path / "other")
    assert (code, out) == (1, "")
    assert "the two collections must have vectors of one model, got mini-fashion" in err
    assert "embed both with the same" in err
    with pytest.raises(InputError, match="vectors of one model"):
        same_pictures(Collection(sides[0]), Collection(tmp_path / "other"), Collection(sides[0]).neighbors())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{before}"], 2, "missing argument 'after'"),
        (["{before}", "{nothing}"], 1, "not a collection"),
        (["{before}", "{tiny}"], 1, "at least 3 images on either side, got 600 and 2"),
        (["{before}", "{after}", "-k", "0"], 2, "--clusters'"),
        (["{before}", "{after}", "-k", "901"], 1, "k must be"),
        (["{before}", "{after}", "--false-share", "1"], 1, "false_share must be above 0 and below 1"),
        (["{before}", "{after}", "--model", "dinov2-small"], 1, "dinov2-small"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, code, message, run, sides, tmp_path):
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:2], tmp_path / "tiny", model="mini-fashion")
    places: dict[str, Any] = {
        "before": sides[0],
        "after": sides[1],
        "nothing": tmp_path / "nothing",
        "tiny": tmp_path / "tiny",
    }
    got, out, err = run("diff", *(each.format(**places) for each in arguments))
    assert got == code
    assert out == ""
    assert message.lower() in err.lower()
    assert err.count("\n") == 1


def test_in_python(sides):
    before, after = map(Collection, sides)
    found = before.difference(after)
    assert found.counts == (600, 300)
    assert len(found.changes) == 18
    assert (found.new >= 600).all()
    pairs = same_pictures(before, after, found.graph)
    assert len(pairs) == SHARED
    for pair in pairs:
        first, second = pair.positions
        np.testing.assert_allclose(before.vectors[first], after.vectors[second - 600], atol=1e-6)
