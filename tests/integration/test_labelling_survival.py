"""Nothing that a person said is lost or counted twice: kills, two who label at once, a full disk, and restarts."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

from dinoscope.errors import WriteError
from dinoscope.stages.labelling.by_hand import all_annotations, annotate, turn
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.annotations import read_history
from tests import ROOT
from tests.served import images, make_collection


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return make_collection(tmp_path_factory.mktemp("labelled") / "c", images(1000, labelled=False))


def killed(path, rng, writers=2):
    """Let people label at once, kill all of them after a while, and return the images whose labels they saw kept."""
    command = [sys.executable, "-m", "tests.labelling_killed", str(path)]
    running = [
        subprocess.Popen([*command, str(each), str(writers)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for each in range(writers)
    ]
    kept = []
    for each in running:
        assert each.stdout is not None
        kept.append(each.stdout.readline())  # it has begun
    time.sleep(rng.uniform(0, 0.4))
    for each in running:
        each.kill()
    for each in running:
        assert each.stdout is not None
        kept += each.stdout.readlines()
        each.wait()
        each.stdout.close()
    return [int(line) for line in kept if line.endswith("\n")]


def kills(path, rounds):
    """Kill two who label, again and again; return how many labels were kept, and how many of these unseen."""
    rng, seen, unseen = random.Random(0), set(), 0
    for _ in range(rounds):
        seen.update(new := killed(path, rng))
        assert new
        opened = OpenedCollection(path)
        labels = all_annotations(opened).labels
        there = {at for at, label in enumerate(labels) if label is not None}
        assert seen <= there, f"lost: {seen - there}"
        assert all(labels[at] == f"{at % 2}: {at}" for at in there)
        unseen += len(there - seen)  # kept, and killed before it could be said: one of each at most
        assert len(there - seen) <= 2
        seen |= there
        history = read_history(path)
        times: Counter[str] = Counter(history.columns["content"])
        assert history.revision == len(there) == len(times) == sum(times.values())  # none twice
    return len(seen), unseen


def test_two_who_label_are_killed(collection, tmp_path):
    shutil.copytree(collection, tmp_path / "c")
    assert kills(tmp_path / "c", 2)[0] >= 4


@pytest.mark.stress
def test_thirty_kills_while_labelling(collection, tmp_path, capsys):
    shutil.copytree(collection, tmp_path / "c")
    seen, unseen = kills(tmp_path / "c", 15)
    with capsys.disabled():
        sys.stdout.write(f"\n30 kills: {seen:,} labels kept, {unseen} of them unseen; none lost, none twice\n")
    assert seen > 60
    # a restart forgets no step: all are undone, and done again
    before = all_annotations(OpenedCollection(tmp_path / "c"))
    for _ in range(20):
        turn(OpenedCollection(tmp_path / "c"), "undo")
    undone = all_annotations(OpenedCollection(tmp_path / "c"))
    assert len(undone) == len(before) - 20
    assert undone.redoable == 20
    for _ in range(20):
        turn(OpenedCollection(tmp_path / "c"), "redo")
    assert all_annotations(OpenedCollection(tmp_path / "c")).labels.tolist() == before.labels.tolist()


def test_labels_on_a_full_disk(small_disk):
    path = make_collection(small_disk / "c", images(60, labelled=False))
    opened = OpenedCollection(path)
    annotate(opened, [0], label="kept")
    with (small_disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass
    kept, refusal = 1, ""
    for row in range(1, 59):
        try:
            annotate(opened, [row], label="x" * 190)
        except WriteError as error:
            refusal = str(error)
            break
        kept += 1
    assert "No space left on device" in refusal
    assert all_annotations(OpenedCollection(path)).revision == kept  # what was refused is not there by half
    (small_disk / "filler").unlink()
    annotate(opened, [59], label="after")
    labels = all_annotations(OpenedCollection(path)).labels
    assert (labels[0], labels[59]) == ("kept", "after")
    assert sum(label is not None for label in labels) == kept + 1
    turn(OpenedCollection(path), "undo")
    assert all_annotations(OpenedCollection(path)).labels[59] is None
