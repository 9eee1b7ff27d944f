"""The five points of a collection are true for labelled, unlabelled, tiny, one-class and photograph collections."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dinoscope.analysis.cleaning.checked import Checked
from dinoscope.wording import in_short as short
from dinoscope.wording.findings import tell_your_check

NONE: dict[str, list[int]] = {"duplicates": [], "leaks": [], "outliers": [], "label_errors": []}
GOOD = SimpleNamespace(k=15, neighbors_kept=0.4, trustworthiness=0.97)


def points(count: int, labels: list[Any], *, quality: Any = GOOD, model: str = "dinov2-small", **told: Any) -> Any:
    collection: Any = SimpleNamespace(
        name="shoes",
        path=SimpleNamespace(name="my shoes.dino"),
        model={"model": model},
        labels=np.asarray(labels or [None] * count, dtype=object),
        sizes=np.full((count, 2), told.pop("side", 500)),
        label_sets=told.pop("sets", [()] * count),
        failures=[],
    )
    told = {"explanation": None, "kept": NONE, "copies": 0, **told}
    return short.in_short(type("C", (), {**vars(collection), "__len__": lambda _: count})(), quality=quality, **told)


def test_labelled():
    kept = {**NONE, "duplicates": [0, 1], "leaks": [1], "label_errors": [4, 5, 6]}
    what, map_, copies, labels, step = points(100, ["boot"] * 60 + ["hat"] * 40, kept=kept, copies=3)
    assert what.verdict == "shoes: 100 images."
    assert (
        what.text == "They have 2 labels, from 40 (“hat”) to 60 images (“boot”). The model dinov2-small looked at them."
    )
    assert map_.verdict == "You can trust the groups on the map."
    assert map_.text.startswith("On average, 6 of the 15 images most similar to an image are also among its 15 nearest")
    assert copies.verdict == "3 possible duplicates."
    assert copies.text.startswith("3 images are so similar to another one that they may show the same picture. Look")
    assert (labels.verdict, labels.tone) == ("3 labels to check.", "look")
    assert "3 of 100 disagree with their nearest images (3.0%)" in labels.text
    assert (step.verdict, step.command) == ("Next: look at 6 findings.", "dinoscope explore 'my shoes.dino'")


def test_unlabelled():
    what, _, copies, labels, step = points(100, [])
    assert "no labels" in what.text
    assert (copies.verdict, copies.tone) == ("No duplicates found.", "good")
    assert labels.verdict == "No labels to check."
    assert labels.text == "None of the 100 images has a label."
    assert step.verdict == "Next: explore the map."


def test_tiny():
    what, map_, _, labels, step = points(2, ["boot", "hat"], quality=None)
    assert "2 labels, 1 image each" in what.text
    assert (map_.verdict, map_.text) == ("The map says little.", "2 images are too few for one.")
    assert labels.text == "Labels can be compared once two of them have three images or more."
    assert step.command == "dinoscope embed YOUR-PHOTOS -o 'my shoes.dino'"


def test_one_class():
    what, *_, labels, _ = points(30, ["boot"] * 30)
    assert "All of them have the label “boot”." in what.text
    assert labels.text == "There is only one, “boot”, so nothing can disagree with it."
    assert "29 of them have the label" in points(30, ["boot"] * 29 + [None])[0].text


def test_a_model_too_weak_for_photographs():
    found: Any = SimpleNamespace(
        labels=SimpleNamespace(map=0.2), properties=[SimpleNamespace(name="contrast", map=0.64)], chance=0.02
    )
    kept = {**NONE, "label_errors": [1]}
    _, map_, _, labels, step = points(30, ["a", "b"] * 15, model="mini", kept=kept, explanation=found)
    assert (map_.verdict, map_.tone) == ("Don't trust the map much.", "bad")
    assert map_.text.endswith("sorted by contrast (0.64) more than by your labels (0.20).")
    assert "may be right, because the model cannot see enough" in labels.text
    assert step.command == "dinoscope embed YOUR-PHOTOS -o 'my shoes.dino' --model dinov2-small"
    small = points(30, ["a", "b"] * 15, model="mini", side=32)  # the model sees all of these
    assert small[1].tone == "good"
    assert "stronger" not in small[4].verdict


def collection_of(side: int, model: str) -> Any:
    return SimpleNamespace(
        path=SimpleNamespace(name="my shoes.dino"),
        model={"model": model, "resolution": 32},
        sizes=np.full((30, 2), side),
    )


def test_advice_says_what_a_small_model_cannot_see_and_what_helps():
    told = short.advice(collection_of(500, "mini"), source="my photos", folder="a/b.dino")
    assert told is not None
    assert told.verdict == "mini sees too little of these photographs."
    assert "shrinks each one to 32 pixels" in told.text
    assert told.text.endswith("dinov2-small sees what they show (88 MB, downloaded once).")
    assert told.command == "dinoscope embed 'my photos' -o a/b.dino --model dinov2-small"
    assert short.advice(collection_of(32, "mini")) is None
    assert short.advice(collection_of(500, "dinov2-small")) is None


def test_advice_says_what_the_map_follows_more_than_the_labels():
    found: Any = SimpleNamespace(
        labels=SimpleNamespace(map=0.2), properties=[SimpleNamespace(name="contrast", map=0.64)], chance=0.02
    )
    told = short.advice(collection_of(500, "dinov2-small"), found)
    assert told is not None
    assert told.verdict == "The map is sorted by contrast (0.64) more than by your labels (0.20)."
    assert told.command == "dinoscope compare YOUR-PHOTOS"
    weak = short.advice(collection_of(500, "mini"), found)
    assert weak is not None
    assert told.verdict in weak.text
    assert "--model dinov2-small" in weak.command


@pytest.mark.parametrize(("trust", "tone"), [(0.96, "good"), (0.9, "look"), (0.6, "bad")])
def test_the_verdict_on_a_map_follows_its_trustworthiness(trust, tone):
    quality: Any = SimpleNamespace(k=15, neighbors_kept=0.4, trustworthiness=trust)
    assert short.about_map(100, quality, None, weak=False).tone == tone


def test_what_was_not_searched_is_not_called_clean():
    _, _, copies, labels, step = points(30_000, ["a", "b"] * 15_000, kept=None)
    assert copies.verdict == "Duplicates were not searched."
    assert labels.verdict == "Labels were not checked."
    assert step.command == "dinoscope clean 'my shoes.dino'"


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ([("a",), ("b",), ("a",)], "Each has one of the 2 labels."),
        ([("a",), ("a",)], "Each has the label “a”."),
        ([("a",), ("b",), (), ()], "2 of them have one of the 2 labels. 2 images have none."),
        ([("a",), ()], "1 of them has the label “a”. 1 image has none."),
        ([("a", "b"), ("a",), ()], "1 of them has several of the 2 labels. 1 image has none."),
        ([("a", "b"), ("a", "c")], "2 of them have several of the 3 labels."),
        ([("a",)], "It has the label “a”."),
        ([("a", "b", "c")], "It has 3 labels."),
    ],
)
def test_several_labels_an_image(sets, told):
    what, *_ = points(len(sets), [], sets=sets)
    assert (
        what.text.removesuffix(" The model dinov2-small looked at them.").removesuffix(
            " The model dinov2-small looked at it."
        )
        == told
    )


@pytest.mark.parametrize(
    ("kind", "checked", "told"),
    [
        (
            "label_errors",
            Checked(20, 3, 180, 9, 60),
            "You checked 20 labels drawn at random: 3 are wrong. So of the other 180, 9 to 60 are (90% certain).",
        ),
        (
            "outliers",
            Checked(1, 1, 0, 0, 0),
            "You checked 1 outlier drawn at random: 1 is not where it belongs. These are all.",
        ),
    ],
)
def test_what_a_person_checked_is_told_in_sentences(kind, checked, told):
    assert tell_your_check(kind, checked) == told
    kept = {**NONE, "label_errors": [1, 2]}
    labels = points(100, ["boot"] * 60 + ["hat"] * 40, kept=kept, checked=told)[3]
    assert labels.text == f"2 of 100 disagree with their nearest images (2.0%). {told}"


def test_a_model_that_does_not_see_the_labels_is_blamed_and_not_the_labels():
    names = ["boot"] * 30 + ["hat"] * 30
    _, map_, _, labels, step = points(60, names, kept={**NONE, "label_errors": list(range(30))})
    assert (map_.tone, labels.verdict, step.verdict) == ("good", "30 labels to check.", "Next: look at 30 findings.")
    _, map_, _, labels, step = points(60, names, kept={**NONE, "label_errors": list(range(31))})
    assert (map_.verdict, map_.tone) == ("Don't trust the map much.", "bad")
    assert map_.text.endswith("But the model does not see your labels.")
    assert (labels.verdict, labels.tone) == ("The labels can't be checked.", "bad")
    assert labels.text.startswith("31 of 60 disagree with their nearest images (51.7%). Most of them may be right")
    assert step.command == "dinoscope compare YOUR-PHOTOS"
