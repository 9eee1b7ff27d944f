"""Findings that a person checks at random, and what that says of the others."""

import json
import shutil

import numpy as np
import pytest

from dinoscope.analysis.cleaning.checked import LEVEL, count_right
from dinoscope.collection import Collection
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.cleaning.findings import answer_findings, confirmed_keys

N, PLANTED = 600, 40


@pytest.fixture(scope="module")
def planted():
    """Make images, their labels with some changed on purpose, and which these are."""
    dataset = load_dataset("fashion-mnist-test")
    labels = [str(item.label) for item in dataset.items[:N]]
    names = sorted(set(labels))
    rng = np.random.default_rng(0)
    changed = rng.choice(N, PLANTED, replace=False)
    for at in changed:
        labels[at] = rng.choice([name for name in names if name != labels[at]])
    return dataset.pixels[:N], labels, set(changed.tolist())


@pytest.fixture(scope="module")
def made(tmp_path_factory, planted):
    pixels, labels, _ = planted
    path = tmp_path_factory.mktemp("checks") / "c"
    Collection.from_images(pixels, path, model="mini-fashion", labels=labels).findings()
    return path


@pytest.fixture
def collection(made, tmp_path):
    return Collection(shutil.copytree(made, tmp_path / "c"))


def test_what_is_drawn_is_from_the_list_and_stays_until_it_is_answered(collection):
    asked = collection.findings_to_check("label_errors", 20)
    assert len(asked) == 20
    keys = collection.findings().keys["label_errors"]
    assert {key for key, _ in asked} <= set(keys)
    assert collection.findings_to_check("label_errors", 20) == asked
    first = {keys.index(key) for key, _ in asked}
    assert first != set(range(20))  # not the top of the list
    collection.answer_finding(asked[4][0], True)
    assert collection.findings_to_check("label_errors", 20) == asked[:4] + asked[5:]


def test_the_draw_is_uniform(collection):
    keys = collection.findings().keys["label_errors"]
    order = [keys.index(key) for key, _ in collection.findings_to_check("label_errors", len(keys))]
    assert sorted(order) == list(range(len(keys)))
    assert abs(np.corrcoef(order, range(len(keys)))[0, 1]) < 0.2


def test_planted_mistakes_among_the_rest_are_held_by_the_interval(collection, planted):
    listed = [int(row) for _, row in collection.findings_to_check("label_errors", 10**6)]
    is_wrong = np.asarray([row in planted[2] for row in listed])
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        drawn = rng.permutation(len(listed))[:20]
        found = count_right(len(listed), 20, int(is_wrong[drawn].sum()))
        held += found.low <= is_wrong.sum() - is_wrong[drawn].sum() <= found.high
    assert held >= LEVEL * 200


def test_answers_say_how_many_of_the_rest_may_be_wrong(collection, planted):
    asked = collection.findings_to_check("label_errors", 20)
    total = len(collection.findings().keys["label_errors"])
    assert collection.findings_checked("label_errors").checked == 0
    for key, row in asked:
        collection.answer_finding(key, row in planted[2])
    found = collection.findings_checked("label_errors")
    right = sum(row in planted[2] for _, row in asked)
    assert found == count_right(total, 20, right)
    assert Collection(collection.path).findings_checked("label_errors") == found


def test_what_was_looked_at_by_choice_does_not_count(collection):
    asked = collection.findings_to_check("label_errors", 20)
    later = collection.findings_to_check("label_errors", 60)[40][0]
    collection.dismiss(later)
    assert collection.findings_checked("label_errors").checked == 0
    collection.answer_finding(asked[0][0], False)
    assert collection.findings_checked("label_errors").checked == 1


def test_labels_that_were_mended_still_count_as_wrong(collection, planted):
    pixels, labels, changed = planted
    asked = collection.findings_to_check("label_errors", 20)
    for key, row in asked:
        collection.answer_finding(key, row in changed)
    before = collection.findings_checked("label_errors")
    truth = [str(item.label) for item in load_dataset("fashion-mnist-test").items[:N]]
    mended = [truth[at] if at in {row for _, row in asked} else label for at, label in enumerate(labels)]
    again = Collection.from_images(pixels, collection.path, model="mini-fashion", labels=mended)
    for key, row in again.findings_to_check("label_errors", 20):  # what is listed anew may be among those drawn
        again.answer_finding(key, row in changed)
    after = again.findings_checked("label_errors")
    assert after.checked >= before.checked
    assert after.right >= before.right > 0


def test_answers_for_the_list_of_another_model_do_not_count(collection, planted):
    pixels, labels, _ = planted
    other = Collection.from_images(pixels, collection.path, model="mini", labels=labels)
    first = Collection(collection.path, "mini-fashion")
    for key, _ in first.findings_to_check("label_errors", 20):
        first.answer_finding(key, True)
    assert first.findings_checked("label_errors").checked == 20
    mine, theirs = set(other.findings().keys["label_errors"]), set(first.findings().keys["label_errors"])
    found = other.findings_checked("label_errors")
    assert found.checked + found.rest == len(mine)
    assert mine != theirs


def test_the_answers_of_a_sheet_are_kept_together_or_not_at_all(collection):
    asked = collection.findings_to_check("label_errors", 3)
    keys = [key for key, _ in asked]
    with pytest.raises(InputError, match="is not a key"):
        answer_findings(collection, {keys[0]: True, "label_errors-1": True})
    assert collection.findings_to_check("label_errors", 3) == asked
    answer_findings(collection, {keys[0]: True, keys[1]: False})
    assert collection.findings_to_check("label_errors", 3) == asked[2:]
    assert (confirmed_keys(collection), collection.dismissed()) == ({keys[0]}, {keys[1]})
    answer_findings(collection, {keys[0]: None, keys[1]: True})
    assert (confirmed_keys(collection), collection.dismissed()) == ({keys[1]}, set())


def test_kinds_and_keys_that_are_none_are_refused(collection):
    with pytest.raises(InputError, match="must be one of label_errors, outliers, got 'leaks'"):
        collection.findings_to_check("leaks")
    with pytest.raises(InputError, match="is not a key"):
        collection.answer_finding("label_errors-1", True)


def test_the_terminal_draws_a_sheet_and_takes_the_numbers(collection, run):
    code, out, err = run("calibrate", collection.path, "--labels")
    assert code == 0
    assert (collection.path / "label-errors.png").exists()
    assert "20 findings to check, drawn at random" in " ".join(err.split())
    assert "--wrong NUMBERS" in " ".join(err.split())
    code, out, err = run("calibrate", collection.path, "--labels", "--wrong", "1 3-5")
    assert code == 0
    total = len(collection.findings().keys["label_errors"])
    found = count_right(total, 20, 4)
    said = f"drawn at random, 4 are wrong; so of the other {total - 20:,}, {found.low:,} to {found.high:,} are"
    assert said in " ".join(out.split())
    told = json.loads(run("calibrate", collection.path, "--labels", "--json")[1])
    assert (told["checked"], told["right"], told["asked"]) == (20, 4, [])
    assert said in " ".join(run("clean", collection.path, "--label-errors")[1].split())


def test_the_command_that_answers_is_about_the_sheet_that_was_drawn(collection, run):
    said = " ".join(run("calibrate", collection.path, "--labels", "--pairs", 7)[2].split())
    assert "7 findings to check" in said
    assert "--labels --pairs 7 --wrong NUMBERS" in said


@pytest.mark.parametrize("words", ["--wrong 1", "--labels --same 1", "--labels --outliers"])
def test_options_that_do_not_go_together_are_refused(collection, run, words):
    code, _, err = run("calibrate", collection.path, *words.split())
    assert code == 1
    assert "--" in err
