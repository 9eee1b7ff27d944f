"""Labels and tags by hand: kept by content, undone and redone, never lost, and used by analyses that are asked to."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.errors import ConflictError, DamagedError, InputError, WriteError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages import labels as label_stage
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.annotations import ANNOTATIONS, read_history
from dinoscope.storage.tables import read_table, write_table

N = 40


def write_photos(folder):
    folder.mkdir(parents=True)
    for at, image in enumerate(load_dataset("fashion-mnist-test").pixels[:N]):
        (folder / "ab"[at % 2]).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / "ab"[at % 2] / f"{at:02d}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("labels") / "photos")


@pytest.fixture(scope="module")
def made(photos):
    return Collection.from_images(photos, photos.parent / "photos.dino", model="mini-fashion").path


@pytest.fixture
def collection(made, tmp_path):
    return Collection(shutil.copytree(made, tmp_path / made.name))


def labels_of(collection):
    return dict(zip(collection.ids.tolist(), collection.annotations().labels.tolist(), strict=True))


def state(collection):
    said = collection.annotations()
    return said.labels.tolist(), said.tags.tolist()


def test_labels_and_tags_are_given_and_taken_away(collection):
    assert collection.annotate([3, 5], label=" shirt ", tags=["good", "old", "good"]) == 1
    assert collection.annotate([5], add_tags=["new"], drop_tags=["old"]) == 2
    said = collection.annotations()
    assert (said.labels[3], said.tags[3], said.how[3]) == ("shirt", ("good", "old"), "hand")
    assert (said.labels[5], said.tags[5]) == ("shirt", ("good", "new"))
    assert len(said) == 2
    assert time.time() - said.when[5] / 1e9 < 3600
    collection.annotate([5], label="", tags=[])
    assert len(collection.annotations()) == 1
    assert set(collection.source_labels.tolist()) == {"a", "b"}
    assert collection.labels.tolist() == collection.source_labels.tolist()


def test_every_step_is_undone_and_redone_also_after_a_restart(collection):
    rng, states = np.random.default_rng(0), [state(collection)]
    for step in range(30):
        rows = rng.choice(N, 3, replace=False).tolist()
        collection.annotate(rows, label=f"{step % 4}", add_tags=[f"t{step % 3}"])
        states.append(state(collection))
    for expected in states[-2::-1]:
        collection = Collection(collection.path)
        assert len(collection.undo()) == 3
        assert state(collection) == expected
    assert collection.undo() == []
    for expected in states[1:]:
        assert len(Collection(collection.path).redo()) == 3
        assert state(collection) == expected
    assert collection.redo() == []
    assert collection.annotations().revision == 90


def test_what_is_said_after_an_undo_ends_what_could_be_redone(collection):
    collection.annotate([1], label="one")
    collection.annotate([2], label="two")
    collection.undo()
    collection.annotate([3], label="three")
    assert collection.redo() == []
    assert collection.annotations().redoable == 0
    assert collection.undo() == [3]
    assert collection.undo() == [1]
    assert len(collection.annotations()) == 0


def test_labels_stay_with_the_images(photos, collection, tmp_path):
    collection.annotate([collection.position(int(row)) for row in collection.rows[:4]], label="shirt", tags=["x"])
    before = {name: label for name, label in labels_of(collection).items() if label}
    moved = shutil.copytree(photos, tmp_path / "photos")
    for path in sorted(moved.rglob("*.png")):
        path.rename(path.with_name(f"new-{path.name}"))
    again = Collection.from_images(moved, collection.path, model="mini")
    found = {name: label for name, label in labels_of(again).items() if label}
    assert found == {f"{name[:2]}new-{name[2:]}": label for name, label in before.items()}
    fresh = Collection.from_images(moved, tmp_path / "fresh.dino", model="mini-fashion")
    shutil.copy(collection.path / ANNOTATIONS, fresh.path)
    assert {name: label for name, label in labels_of(fresh).items() if label} == found


def test_analyses_use_the_labels_that_they_are_told(collection):
    truth = load_dataset("fashion-mnist-test")
    rows = collection.rows.tolist()
    images = [int(name[2:4]) for name in collection.ids]
    mine, merged = Collection(collection.path, labels="mine"), Collection(collection.path, labels="merged")
    source = collection.evaluate("leave-one-out").accuracy
    with pytest.raises(InputError):
        mine.evaluate("leave-one-out")
    for row, at in list(zip(rows, images, strict=True))[:30]:
        mine.annotate([row], label=truth.items[at].label)
    by_hand = mine.evaluate("leave-one-out")
    assert len(by_hand.positions) == 30
    assert by_hand.accuracy > 0.5
    assert len(merged.labels) == 40
    merged.annotations()  # which reads what the other said
    assert merged.labels[30:].tolist() == collection.labels[30:].tolist()
    assert merged.labels[:30].tolist() == mine.labels[:30].tolist()
    verdict = mine.classify([rows[35]])[0]
    assert verdict.label in set(mine.labels[:30].tolist())
    mine.undo()
    assert len(mine.evaluate("leave-one-out").positions) == 29  # nothing stale
    assert len(mine.classifier().positions) == 29
    assert collection.evaluate("leave-one-out").accuracy == source
    assert collection.findings().label_errors is not None
    again = Collection(collection.path, labels="mine")
    again.evaluate("leave-one-out")
    assert again.stages["evaluation"].stored
    assert not any("belong to no" in check.note for check in verify_collection(collection.path).checks)
    with pytest.raises(InputError, match="labels must be one of source, mine, merged, got 'yours'"):
        Collection(collection.path, labels="yours")


def test_what_is_computed_while_labels_change_is_kept_under_no_labels(collection, monkeypatch):
    rows = collection.rows.tolist()
    mine = Collection(collection.path, labels="mine")
    mine.annotate(rows[:15], label="a")
    mine.annotate(rows[15:30], label="b")
    load = label_stage.load_classifier

    def load_late(opened, **settings):
        monkeypatch.setattr(label_stage, "load_classifier", load)
        mine.annotate(rows[30:], label="z")
        return load(opened, **settings)

    monkeypatch.setattr(label_stage, "load_classifier", load_late)
    assert "z" in mine.predictions().labels
    assert not mine.stages["predictions"].stored
    mine.undo()
    for again in (mine, Collection(collection.path, labels="mine")):
        assert set(again.predictions().labels.tolist()) == {"a", "b"}


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_labels_go_out_and_come_in(collection, tmp_path, made, kind):
    collection.annotate([0, 1], label="=SUM(1)", tags=["a, b", "ü"])
    collection.annotate([2], tags=["only a tag"])
    file = tmp_path / f"labels.{kind}"
    assert collection.export_annotations(file) == 3
    other = Collection(shutil.copytree(made, tmp_path / "other"))
    assert other.import_annotations(file) == {"images": 3, "unknown": 0}
    assert state(other) == state(collection)
    assert other.annotations().how[0] == "import"
    other.undo()
    assert len(other.annotations()) == 0


def test_labels_come_from_tables_of_other_tools(collection, tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(f"id,label,colour\n{collection.ids[4]},shirt,red\nelsewhere.png,coat,blue\n")
    collection.annotate([4], tags=["kept"])
    assert collection.import_annotations(file) == {"images": 1, "unknown": 1}
    assert (collection.annotations().labels[4], collection.annotations().tags[4]) == ("shirt", ("kept",))
    for text, reason in (
        ("id,name\nx,y\n", "has neither a column label nor tags: it has id, name"),
        ("id,label\nx,y\n", "none of the 1 lines"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=reason):
            collection.import_annotations(file)
    lines = tmp_path / "labels.jsonl"
    lines.write_text('{"id": "x", "label": "y"}\n{"id"')
    with pytest.raises(InputError, match="cannot read"):
        collection.import_annotations(lines)
    with pytest.raises(InputError, match=r"labels are written and read as .csv, .parquet, .jsonl, got 'labels.xls'"):
        collection.export_annotations(tmp_path / "labels.xls")


def test_the_later_writer_sees_the_earlier(collection):
    other = Collection(collection.path)
    collection.annotate([1], label="one")
    seen = other.annotations().revision
    collection.annotate([1, 2], label="two")
    other.annotate([3], label="three", since=seen)  # other images
    with pytest.raises(ConflictError, match="somebody else has labelled these images meanwhile"):
        other.annotate([2], label="mine", since=seen)
    with pytest.raises(ConflictError):
        other.undo(since=seen)
    assert collection.annotations().labels[:4].tolist() == [None, "two", "two", "three"]
    assert other.undo(since=other.annotations().revision) == [3]


_WRITER = """
import sys
from dinoscope import Collection
collection = Collection(sys.argv[1])
first, count = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for at in range(first, first + count):
    collection.annotate([at % 40], label=f"{at}", add_tags=[f"t{at}"])
    print(at, flush=True)
"""


def write_until(path, first, count, after=None):
    """Let a process label; kill it after some seconds. Return the answers that it reported as kept."""
    command = [sys.executable, "-c", _WRITER, str(path), str(first), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if after is not None:
            time.sleep(after)
            process.send_signal(signal.SIGKILL)
        return [int(line) for line in process.stdout]


def answers_of(path):
    columns, _ = read_table(path / ANNOTATIONS)
    return [int(label) for label in columns["label"]]


def test_two_writers_lose_nothing(collection):
    command = [sys.executable, "-c", _WRITER, str(collection.path)]
    writers = [subprocess.Popen([*command, str(first), "40"], stdout=subprocess.DEVNULL) for first in (0, 100)]
    assert [each.wait() for each in writers] == [0, 0]
    assert sorted(answers_of(collection.path)) == [*range(40), *range(100, 140)]
    assert collection.annotations().revision == 80
    assert {len(tags) for tags in collection.annotations().tags} == {2}


def killed(path, times):
    rng, told = np.random.default_rng(times), []
    for trial in range(times):
        told += write_until(path, 1000 * trial, 500, after=float(rng.uniform(0, 0.3)))
        kept = answers_of(path) if (path / ANNOTATIONS).exists() else []
        assert len(set(kept)) == len(kept)
        assert set(told) <= set(kept)
        assert len(kept) - len(told) <= trial + 1  # one that was kept and not yet told, each time
    assert verify_collection(path).damage == ()
    Collection(path).annotate([0], label="5000000")
    assert read_history(path).revision == len(answers_of(path))


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_no_answer_is_lost_or_made_twice_by_kills(collection):
    killed(collection.path, 3)


@pytest.mark.stress
@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_no_answer_is_lost_or_made_twice_by_thirty_kills(collection):
    killed(collection.path, 30)


def test_a_full_disk_keeps_what_was_said(collection, monkeypatch):
    collection.annotate([1], label="one")
    before = (collection.path / ANNOTATIONS).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(WriteError, match="No space left on device"):
            collection.annotate([2], label="two")
        with pytest.raises(WriteError, match="No space left on device"):
            collection.undo()
    assert (collection.path / ANNOTATIONS).read_bytes() == before
    assert labels_of(collection) == labels_of(Collection(collection.path))
    collection.annotate([2], label="two")
    assert collection.annotations().labels[1:3].tolist() == ["one", "two"]


def test_damage_is_found_and_set_aside(collection, photos):
    collection.annotate([1], label="one")
    file = collection.path / ANNOTATIONS
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 4
    file.write_bytes(content)
    assert [each.split(":")[0] for each in verify_collection(collection.path).damage] == [ANNOTATIONS]
    with pytest.raises(DamagedError):
        Collection(collection.path).annotations()
    Collection.from_images(photos, collection.path, model="mini-fashion")
    assert (collection.path / f"{ANNOTATIONS}.damaged").exists()
    assert len(Collection(collection.path).annotations()) == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"act": [1, 3]}, "its acts are in no possible order"),
        ({"kind": ["undo", "set"]}, "it undoes an act that it does not have"),
        ({"content": [None, "x"]}, "it names no image"),
        ({"how": ["guess", "hand"]}, "its acts are in no possible order"),
        ({"tags": [["a"], [None]]}, "its column 'tags' holds a list with null"),
    ],
)
def test_what_cannot_be_a_history_is_damaged(collection, changes, reason):
    collection.annotate([1], label="one", tags=["a"])
    collection.annotate([2], label="two", tags=["b"])
    columns, _ = read_table(collection.path / ANNOTATIONS)
    write_table(collection.path / ANNOTATIONS, {**columns, **changes})
    with pytest.raises(DamagedError, match=reason):
        Collection(collection.path).annotations()


@pytest.mark.parametrize("label", ["x" * 40_000, "two\nlines", "\x00"])
def test_odd_labels_are_refused(collection, label):
    with pytest.raises(InputError):
        collection.annotate([1], label=label)
    with pytest.raises(InputError):
        collection.annotate([1], tags=[label])
    with pytest.raises(InputError, match="a tag has 1 to"):
        collection.annotate([1], add_tags=[" "])
    assert not (collection.path / ANNOTATIONS).exists()


def test_the_exported_lines_say_who_and_when(collection, tmp_path):
    collection.annotate([1], label="one")
    collection.export_annotations(tmp_path / "labels.jsonl")
    line = json.loads((tmp_path / "labels.jsonl").read_text())
    assert line["id"] == collection.ids[1]
    assert line["when"].endswith("+00:00")
    assert line["who"] == collection.annotations().who[1]
