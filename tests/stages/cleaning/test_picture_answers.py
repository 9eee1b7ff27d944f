"""Answers about poor pictures: what they move, that they stay with the images, and the commands that take them."""

import json
import re
import shlex
import shutil
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.cleaning.pictures import SUGGESTED
from dinoscope.analysis.cleaning.threshold import ENOUGH
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.cleaning.answers import answer_questions
from dinoscope.stages.cleaning.findings import poor_pictures
from dinoscope.stages.cleaning.pictures import without_lines
from dinoscope.storage.tables import list_parts, read_table, write_table

COUNT, DARK = 150, 40


def lights():
    """How much light the first pictures have left: from hardly any to more than half."""
    return np.geomspace(0.04, 0.6, DARK)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures") / "photos"
    root.mkdir()
    for at, image in enumerate(load_dataset("fashion-mnist-test").pixels[:COUNT]):
        share = lights()[at] if at < DARK else 1
        lit = np.maximum(image, 20) * share * 255 / max(1, image.max())
        Image.fromarray(lit.astype(np.uint8)).save(root / f"{at:03d}.png")
    return Collection.from_images(root, root.parent / "photos.dino", model="mini-fashion").path


@pytest.fixture
def collection(made, tmp_path):
    return Collection(shutil.copytree(made, tmp_path / made.name))


def answer_all(collection, limit, count=20):
    """A person calls pictures dark that have at most so much light."""
    for asked in collection.questions("dark", count):
        at = int(collection.ids[collection.position(asked.rows[0])][:3])
        collection.answer_question(asked.rows, at < DARK and bool(lights()[at] <= limit), "dark")


def dark(collection):
    return {int(collection.ids[at][:3]) for at, _ in poor_pictures(collection)[0].of("dark")}


@pytest.mark.parametrize("limit", [0.1, 0.5])
def test_twenty_answers_move_the_threshold_to_where_a_person_draws_the_line(collection, limit):
    wanted = set(np.flatnonzero(lights() <= limit).tolist())
    before = dark(collection)
    assert len(before ^ wanted) > 10
    answer_all(collection, limit)
    assert len(dark(collection) ^ wanted) <= 5
    fit = collection.threshold_fit("dark")
    assert (fit.answers, fit.suggested) == (20, SUGGESTED)
    assert (fit.threshold > SUGGESTED) == (limit < 0.2)
    low, _, high = fit.precision[fit.at(fit.threshold)]
    right = len(dark(collection) & wanted) / len(dark(collection))
    assert low - 0.03 <= right <= high + 0.03
    assert list(poor_pictures(collection)[1]) == ["dark"]


def test_few_answers_say_something_of_their_own_pictures_only(collection):
    before = dark(collection)
    answer_all(collection, 0.0, ENOUGH - 1)
    asked = before - dark(collection)
    assert 0 < len(asked) <= ENOUGH - 1
    assert not collection.threshold_fit("dark").enough


def test_answers_stay_with_the_images_and_are_forgotten_by_kind(collection):
    first = collection.questions("dark")
    assert collection.questions("dark") == first
    collection.answer_question(first[0].rows, True, "dark")
    collection.answer_question(first[0].rows, None, "blurred")
    pair = collection.questions(count=1)[0]
    collection.answer_question(pair.rows, False)
    again = Collection(collection.path)
    assert first[0] not in again.questions("dark", 200)
    assert (again.threshold_fit("dark").yes, again.threshold_fit("blurred").unsure, again.threshold_fit().no) == (
        1,
        1,
        1,
    )
    assert again.forget_answers("dark") == 1
    assert again.forget_answers("dark") == 0
    assert again.questions("dark") == first
    assert (again.threshold_fit("blurred").unsure, again.threshold_fit().no) == (1, 1)
    assert again.forget_answers() == again.forget_answers("blurred") == 1
    assert not (again.path / "answers.json").exists()


def test_one_answer_about_ten_exact_copies_is_one_answer(tmp_path, run):
    root = tmp_path / "photos"
    root.mkdir()
    for at, image in enumerate(load_dataset("fashion-mnist-test").pixels[:30]):
        Image.fromarray(np.zeros_like(image) if at < ENOUGH else image).save(root / f"{at}.png")
    collection = Collection.from_images(root, tmp_path / "c.dino", model="mini-fashion")
    black = {int(row) for row, name in zip(collection.rows, collection.ids, strict=True) if int(name[:-4]) < ENOUGH}
    asked = [each.rows[0] for each in collection.questions("empty", 100)]
    assert len(black & set(asked)) == 1
    collection.answer_question((next(iter(black)),), False, "empty")
    fit = collection.threshold_fit("empty")
    assert (fit.answers, fit.enough) == (1, False)
    listed = {int(collection.rows[at]) for at, _ in poor_pictures(collection)[0].of("empty")}
    assert not black & listed  # it is said of each copy
    assert "the threshold stays" in run("calibrate", collection.path, "--kind", "empty")[2]  # nobody is asked again
    assert collection.forget_answers("empty") == 1


def test_what_an_earlier_version_did_not_measure_is_said_with_a_command_that_measures_it(made, tmp_path, run):
    path = shutil.copytree(made, tmp_path / "old.dino")
    for part in list_parts(path / "details"):
        columns, meta = read_table(part)
        write_table(part, {name: each for name, each in columns.items() if name != "ruled"}, meta)
    assert without_lines(Collection(path)) == COUNT
    said = f"not checked for screenshots: {COUNT} pictures, because"
    assert said in run("clean", path, "--pictures")[1]
    assert said in run("clean", path)[1]
    told = run("calibrate", path, "--kind", "screenshot")[2]
    assert said in told
    assert "no picture is left that could be a screenshot" in told
    named = re.search("'dinoscope (embed PHOTOS -o NEW.dino)'", told)
    assert named is not None
    command = named[1].replace("PHOTOS", str(made.parent / "photos")).replace("NEW.dino", str(tmp_path / "new.dino"))
    assert run(*command.split(), "--model", "mini-fashion")[0] == 0
    assert without_lines(Collection(tmp_path / "new.dino")) == 0
    assert "not checked" not in run("clean", tmp_path / "new.dino", "--pictures")[1]


def test_what_cannot_be_answered_is_refused_and_nothing_is_kept(collection):
    row = int(collection.rows[0])
    asked: tuple[tuple[tuple[int, ...], Any, str], ...] = (
        ((row, row + 1), "dark", "about 1 rows, got 2"),
        ((row,), "duplicates", "about 2 rows, got 1"),
        ((9999,), "dark", "9999"),
        ((row,), "ugly", "must be one of"),
    )
    for rows, about, message in asked:
        with pytest.raises(InputError, match=message):
            answer_questions(collection, {(row + 2,): True, rows: True} if about == "dark" else {rows: True}, about)
    assert not (collection.path / "answers.json").exists()


# --- the command line ------------------------------------------------------------------------------------------------


def test_a_sheet_of_pictures_is_answered_on_the_command_line(collection, run):
    code, out, err = run("calibrate", collection.path, "--kind", "dark")
    assert (code, out) == (0, "")
    err = run("calibrate", collection.path, "--kind", "dark")[2]
    assert "damaged" not in err  # what was measured is read again
    assert f"20 pictures to answer: {collection.path / 'dark.png'}" in err
    assert "--kind dark --pairs 20 --yes NUMBERS" in err
    with Image.open(collection.path / "dark.png") as sheet:
        assert sheet.width > 900
    numbers = [
        number
        for number, each in enumerate(collection.questions("dark"), 1)
        if int(collection.ids[collection.position(each.rows[0])][:3]) < 20
    ]
    code, out, err = run("calibrate", collection.path, "--kind", "dark", "--yes", ",".join(map(str, numbers)))
    assert code == 0
    assert f"20 answers: {len(numbers)} too dark, {20 - len(numbers)} not" in out
    assert "(usual: 0.65): at or above it, a picture is more likely too dark than not" in out
    fit = collection.threshold_fit("dark")
    assert re.search(rf"{fit.threshold:.2f} \* +{fit.counts[fit.at(fit.threshold)]} ", out)
    assert "clean" in err
    assert "--pictures" in err
    out = run("clean", collection.path, "--pictures")[1]
    assert "by your answers: too dark" in out
    told = json.loads(run("calibrate", collection.path, "--kind", "dark", "--json")[1])
    assert told["answers"] == {"yes": len(numbers), "no": 20 - len(numbers), "unsure": 0}
    assert (told["used"], told["pictures"][0].keys()) == (fit.used, {"number", "row", "score"})
    assert "forgot 20 answers" in run("calibrate", collection.path, "--kind", "dark", "--forget")[2]
    # the command that is named is whole, and runs
    named = re.search("'(dinoscope calibrate .*)' asks you", run("clean", collection.path, "--pictures")[1])
    assert named is not None
    assert run(*shlex.split(named[1])[1:])[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "ugly"], "--kind must be one of blurred, dark, blown-out"),
        (["--kind", "dark", "--same", "1"], "--yes answers --kind"),
        (["--yes", "1"], "--yes answers --kind"),
        (["--kind", "dark", "--labels"], "three lists"),
        (["--kind", "dark", "--yes", "21"], "--yes takes numbers from 1 to 20"),
    ],
)
def test_what_does_not_go_together_is_refused(collection, run, arguments, message):
    code, out, err = run("calibrate", collection.path, *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert not (collection.path / "answers.json").exists()
