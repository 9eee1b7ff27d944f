"""Every sentence of "In short", read against the collection that it is about."""

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from dinoscope.collection import Collection
from dinoscope.report.facts import gather
from dinoscope.report.sections.images import cleaning
from dinoscope.report.sections.in_short import in_short
from tests.report.test_report import LABELS, make, pictures


def told(path: Path) -> list[str]:
    """Return the five points as they are read."""
    points = re.findall(r"<li.*?</li>", in_short(gather(Collection(path), None)), re.DOTALL)
    texts = [unescape(" ".join(re.sub("<[^>]+>", " ", point).split())) for point in points]
    assert len(texts) == 5
    return texts


def test_labelled(tmp_path):
    images = pictures(60)
    images[7] = images[4]  # a copy, and it has the same label
    labels = [LABELS[at % 3] for at in range(60)]
    labels[10] = "blue things"  # the picture is green
    what, map_, copies, doubtful, step = told(make(tmp_path / "c.dino", images, labels).path)
    assert what == (
        "squares: 60 images. They have 3 labels, from 19 (“green things”) to 21 images (“blue things”). The model fake "
        "looked at them."
    )
    quality = Collection(tmp_path / "c.dino").map_quality()
    assert f"{round(quality.neighbors_kept * 15)} of the 15 images" in map_
    assert f"trustworthiness {quality.trustworthiness:.2f}" in map_
    found = Collection(tmp_path / "c.dino").findings()
    assert copies.startswith(f"{sum(len(each) - 1 for each in found.duplicates.groups)} possible duplicate")
    assert found.label_errors is not None
    listed = found.label_errors.positions.tolist()
    assert 10 in listed
    assert doubtful.startswith(f"{len(listed)} label{'s' * (len(listed) > 1)} to check. {len(listed)} of 60 disagree")
    total = sum(map(len, found.keys.values()))
    assert step.startswith(f"Next: look at {total} finding")


def test_what_was_dismissed_is_not_called_never_found(tmp_path):
    images = pictures(60)
    images[7] = images[4]
    labels = [LABELS[at % 3] for at in range(60)]
    labels[10] = "blue things"
    opened = make(tmp_path / "c.dino", images, labels)
    for kind in ("duplicates", "label_errors"):
        for key in opened.findings().keys[kind]:
            opened.dismiss(key)
    _, _, copies, doubtful, _ = told(opened.path)
    assert copies.startswith("No duplicates left. You called ")
    assert copies.endswith("of similar images no problem.")
    assert doubtful.startswith("No labels left to check. You called ")


def test_unlabelled(tmp_path):
    what, *_, doubtful, _ = told(make(tmp_path / "c.dino", pictures(40)).path)
    assert what == "squares: 40 images. They have no labels. The model fake looked at them."
    assert doubtful == "No labels to check. None of the 40 images has a label."


@pytest.mark.parametrize("count", [1, 2, 5])
def test_tiny(tmp_path, count):
    what, map_, copies, doubtful, step = told(
        make(tmp_path / "c.dino", pictures(count), ["a", "b", "a", "b", "a"][:count]).path
    )
    assert what.startswith(f"squares: {count} image")
    says = {1: "It has the label “a”. The model fake looked at it.", 2: "They have 2 labels, 1 image each."}
    assert says.get(count, "They have 2 labels, from 2 (“b”) to 3 images (“a”).") in what
    assert map_ == f"The map says little. {'1 image is' if count == 1 else f'{count} images are'} too few for one."
    assert copies.startswith("No duplicates found.")
    assert doubtful.startswith("No labels to check.")
    assert step.startswith("Next: add images.")


def test_one_label(tmp_path):
    what, *_, doubtful, _ = told(make(tmp_path / "c.dino", pictures(30), ["boot"] * 29 + [None]).path)
    assert "29 of them have the label “boot”." in what
    assert "There is only one, “boot”, so nothing can disagree with it." in doubtful


def test_several_labels_an_image(tmp_path):
    sets = [["a", "b"], ["b"], [], ["c", "a"]] * 10
    what, *_, doubtful, _ = told(make(tmp_path / "c.dino", pictures(40), sets).path)
    assert "20 of them have several of the 3 labels. 10 images have none." in what
    assert doubtful.startswith("Labels were not checked. Images may have several labels")


def test_a_model_that_sees_too_little(tmp_path):
    rng = np.random.default_rng(0)
    photographs = rng.integers(0, 255, (24, 120, 160, 3), np.uint8)
    opened = Collection.from_images(photographs, tmp_path / "c.dino", model="mini", labels=["a", "b"] * 12)
    _, map_, _, doubtful, step = told(opened.path)
    assert map_.startswith("Don't trust the map much.")
    assert "the model sees only thumbnails of these photographs" in map_
    assert "the model cannot see enough" in doubtful or "agrees with its nearest images" in doubtful
    assert step.startswith("Next: use a stronger model.")


def test_what_a_person_checked_stands_in_the_report(tmp_path):
    rng = np.random.default_rng(1)
    labels = [LABELS[at % 3] for at in range(60)]
    for at in rng.choice(60, 8, replace=False).tolist():
        labels[at] = LABELS[(at + 1) % 3]
    opened = make(tmp_path / "c.dino", pictures(60), labels)
    asked = opened.findings_to_check("label_errors", 3)
    for key, _ in asked:
        opened.answer_finding(key, True)
    found = opened.findings_checked("label_errors")
    line = (
        "You checked 3 labels drawn at random: 3 are wrong. "
        f"So of the other {found.rest:,}, {found.low:,} to {found.high:,} are"
    )
    assert line in told(opened.path)[3]
    assert line in cleaning(gather(Collection(opened.path), None))
