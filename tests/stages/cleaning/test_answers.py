"""Answers to pairs of images: what they set, what they keep apart, and that they stay with the images."""

import json
import re
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.cleaning.candidates import score_pairs
from dinoscope.analysis.cleaning.duplicates import group_pairs
from dinoscope.analysis.cleaning.threshold import ENOUGH
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.cleaning.answers import answer_questions

COUNT = 150


def test_the_answers_of_a_sheet_are_kept_together_or_not_at_all(collection):
    """Half of them would shift the numbers of the others on the next sheet."""
    asked = [pair.rows for pair in collection.questions(count=3)]
    with pytest.raises(InputError, match="9999"):
        answer_questions(collection, {asked[0]: True, asked[1]: False, (0, 9999): True})
    assert [pair.rows for pair in collection.questions(count=3)] == asked
    answer_questions(collection, dict.fromkeys(asked, False))
    assert not {pair.rows for pair in collection.questions(count=3)} & set(asked)
    assert collection.threshold_fit().no == 3


def write_photos(folder, copies=20):
    """150 images and, of the first ones, copies that are less sharp and brighter; others are turned a little."""
    pixels = load_dataset("fashion-mnist-test").pixels[:COUNT]
    folder.mkdir()
    for at, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{at:03d}.png")
        if copies <= at < 2 * copies:
            Image.fromarray(image).rotate(4, Image.Resampling.BICUBIC).save(folder / f"{at:03d}-turned.png")
        if at < copies:
            bright = np.clip(image * 1.1 + 5, 0, 255).astype(np.uint8)
            Image.fromarray(bright).resize((24, 24)).resize((28, 28)).save(folder / f"{at:03d}-copy.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("answers") / "photos")


@pytest.fixture(scope="module")
def made(photos):
    found = Collection.from_images(photos, photos.parent / "photos.dino", model="mini-fashion")
    found.questions()  # what all of them need is computed once
    return found.path


@pytest.fixture
def collection(made, tmp_path):
    return Collection(shutil.copytree(made, tmp_path / made.name))


def is_same(collection, rows, kinds=("copy", "turned")):
    """Whether a person says the same of two images, who takes such for the same."""
    one, other = sorted((collection.ids[collection.position(row)].removesuffix(".png") for row in rows), key=len)
    return other in [f"{one}-{kind}" for kind in kinds]


def answer_all(collection, count=20, **taste):
    for _ in range(count):
        for pair in collection.questions(count=1):
            collection.answer_question(pair.rows, is_same(collection, pair.rows, **taste))


def grouped(collection, **settings):
    """Pairs of ids that are in one group."""
    groups = collection.findings(**settings).duplicates.groups
    return {
        frozenset((collection.ids[a], collection.ids[b])) for group in groups for a in group for b in group if a < b
    }


def test_it_is_cut_where_the_person_cuts(collection):
    suggested = grouped(collection)
    pairs = {
        kind: {frozenset((f"{at:03d}.png", f"{at:03d}-{kind}.png")) for at in rows}
        for kind, rows in (("copy", range(20)), ("turned", range(20, 40)))
    }
    assert len(suggested & pairs["turned"]) < 10
    found, thresholds = [], []
    for kinds in (("copy",), ("copy", "turned")):
        collection.forget_answers()
        answer_all(collection, 30, kinds=kinds)
        fit = collection.threshold_fit()
        assert fit.enough
        thresholds.append(fit.threshold)
        found.append(grouped(collection))
        assert collection.findings().duplicates.threshold == fit.threshold
    strict, generous = found
    assert thresholds[0] > thresholds[1]
    assert len(strict & pairs["copy"]) >= 18
    assert len(strict - pairs["copy"]) <= 2
    assert len(generous & pairs["turned"]) > len(strict & pairs["turned"])
    assert len(generous & pairs["turned"]) >= len(suggested & pairs["turned"])
    assert grouped(collection, threshold=1.0) < generous  # a threshold that is asked for stands


def test_pairs_are_kept_apart_or_together_as_was_said(collection):
    found = collection.findings(threshold=0.5)
    (a, b), row = found.duplicates.groups[0][:2], collection.rows
    pair = frozenset((collection.ids[a], collection.ids[b]))
    assert pair in grouped(collection, threshold=0.5)
    collection.answer_question((int(row[b]), int(row[a])), False)
    assert pair not in grouped(collection, threshold=0.5)
    collection.answer_question((int(row[a]), int(row[b])), True)  # the last word counts
    assert pair in grouped(collection, threshold=1.0)
    collection.answer_question((int(row[a]), int(row[b])), None)
    assert pair not in grouped(collection, threshold=1.0)
    assert (collection.threshold_fit().answers, collection.threshold_fit().unsure) == (0, 1)


def test_a_group_never_holds_a_pair_that_differs():
    vectors = np.zeros((12, 8))
    vectors[:3] = [1, 0, 0, 0, 0, 0, 0, 0]
    vectors[:3] += np.random.default_rng(0).normal(0, 1e-4, (3, 8))
    vectors[3:] = np.random.default_rng(1).normal(0, 1, (9, 8))
    found = score_pairs(vectors)
    assert group_pairs(found).groups == ((0, 1, 2),)
    apart = group_pairs(found, answers={(0, 2): False}).groups
    assert len(apart) == 1
    assert not {0, 2} <= set(apart[0])
    low = min(zip(found.pairs.first.tolist(), found.pairs.second.tolist(), strict=True), key=lambda each: -each[1])
    assert low in group_pairs(found, 1.0, {low: True}).groups


def test_answers_stay_with_the_images(collection, photos, tmp_path):
    answer_all(collection, 12)
    threshold = collection.threshold_fit().threshold
    assert Collection(collection.path).threshold_fit().threshold == threshold
    moved = tmp_path / "elsewhere" / photos.name
    moved.mkdir(parents=True)
    for path in photos.iterdir():
        (moved / f"x{path.name}").write_bytes(path.read_bytes())
    again = Collection.from_images(moved, collection.path, model="mini-fashion")
    assert again.threshold_fit().answers == 12
    assert again.threshold_fit().threshold == pytest.approx(threshold, abs=0.02)
    fewer = Collection.from_images(photos, tmp_path / "fewer.dino", model="mini-fashion", limit=100)
    (tmp_path / "fewer.dino" / "answers.json").write_bytes((collection.path / "answers.json").read_bytes())
    assert 0 < Collection(fewer.path).threshold_fit().answers < 12  # of images that are there


def test_they_can_be_forgotten(collection):
    first = collection.questions()
    answer_all(collection, 3)
    assert collection.questions() != first
    assert collection.forget_answers() == 3
    assert collection.forget_answers() == 0
    assert collection.questions() == first


def test_bad_answers(collection):
    row = int(collection.rows[0])
    with pytest.raises(InputError, match="hold the same image"):
        collection.answer_question((row, row), True)
    with pytest.raises(InputError, match="9999"):
        collection.answer_question((row, 9999), True)
    with pytest.raises(InputError, match="count"):
        collection.questions(count=0)
    assert not (collection.path / "answers.json").exists()


# --- the command line ------------------------------------------------------------------------------------------------


def test_the_sheet_is_answered_on_the_command_line(collection, run):
    code, out, err = run("calibrate", collection.path)
    assert (code, out) == (0, "")
    assert f"20 pairs to answer: {collection.path / 'pairs.png'}" in err
    assert "--same NUMBERS" in err
    with Image.open(collection.path / "pairs.png") as sheet:
        assert sheet.width > 900
    numbers = [at for at, pair in enumerate(collection.questions(), 1) if is_same(collection, pair.rows)]
    unsure = next(at for at in range(1, 21) if at not in numbers)
    code, out, err = run("calibrate", collection.path, "--same", f"{','.join(map(str, numbers))} {unsure}?")
    assert code == 0
    assert f"19 answers: {len(numbers)} the same picture, {19 - len(numbers)} not, 1 that you could not tell" in out
    fit = collection.threshold_fit()
    assert f"threshold {fit.threshold:.2f} (the collection suggests {fit.suggested:.2f})" in out
    assert re.search(rf"{fit.threshold:.2f} \* +{fit.counts[fit.at(fit.threshold)]} ", out)
    assert "next: dinoscope clean" in err
    out = run("clean", collection.path, "--duplicates")[1]
    assert f"(threshold {fit.threshold:.2f}, by 19 answers)" in out
    told = json.loads(run("calibrate", collection.path, "--json")[1])
    assert told["answers"] == {"same": len(numbers), "different": 19 - len(numbers), "unsure": 1}
    assert (told["threshold"], told["used"]) == (fit.threshold, fit.threshold)
    assert len(told["thresholds"]) == len(fit.thresholds)
    code, out, err = run("calibrate", collection.path, "--forget", "--same", "none", "--pairs", ENOUGH - 1)
    assert "forgot 20 answers" in err
    assert "once there are 10" in err
    assert "suggested by the collection" in run("clean", collection.path, "--duplicates")[1]


def test_at_a_terminal_with_a_screen_the_sheet_is_opened(collection, run, monkeypatch):
    from dinoscope.cli.improve import calibrate as module

    opened: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(module, "has_display", lambda: True)
    monkeypatch.setattr("typer.launch", opened.append)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: "none")
    assert run("calibrate", collection.path)[0] == 0
    assert opened == [str(collection.path / "pairs.png")]
    assert run("calibrate", collection.path, "--no-browser", "--forget")[0] == 0
    assert len(opened) == 1


def test_thresholds_that_no_pair_reaches_are_not_listed(collection, run):
    run("calibrate", collection.path, "--same", "all")
    out = run("calibrate", collection.path)[1]
    fit = collection.threshold_fit()
    listed = re.findall(r"^ +([\d.]+)(?: \*)? +(\d+) +\d+% \(", out, re.MULTILINE)
    assert len(listed) > 1
    for threshold, pairs in listed:
        assert int(pairs) == fit.counts[fit.at(float(threshold))] > 0


@pytest.mark.parametrize("said", ["", "0", "21", "3-2", "1 x", "1;2", "all 3", "1?-4"])
def test_what_is_no_answer_is_refused_and_nothing_is_kept(collection, run, said):
    code, out, err = run("calibrate", collection.path, "--same", said)
    assert (code, out) == (1, "")
    assert err.startswith("dinoscope: --same ")
    assert not (collection.path / "answers.json").exists()


def test_in_a_terminal_it_asks_until_it_understands(collection, run, monkeypatch):
    said = iter(["what?", "1-3 5?"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.prompt", lambda *_, **__: next(said))
    code, out, err = run("calibrate", collection.path, "--pairs", 12)
    assert code == 0
    assert "11 answers: 3 the same picture, 8 not, 1 that you could not tell" in out
    assert "got 'what?'" in err


def test_hardly_any_images(tmp_path, run):
    pixels = load_dataset("fashion-mnist-test").pixels
    for count in (1, 2):
        Collection.from_images(pixels[:count], tmp_path / str(count), model="mini-fashion")
        code, out, err = run("calibrate", tmp_path / str(count))
        assert (code, out) == (0, "")
        assert "no pair is left" in err or "1 pair to answer" in err
        assert run("calibrate", tmp_path / str(count), "--same", "all")[0] in (0, 1)
