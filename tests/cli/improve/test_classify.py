import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from dinoscope.cli.improve.classify import classify, evaluate
from dinoscope.collection import Collection
from dinoscope.errors import ImageError, InputError, WriteError
from dinoscope.sources.array import ArraySource
from dinoscope.sources.datasets.named import load_dataset

app = typer.Typer()
app.command()(classify)
app.command()(evaluate)


def run(*args):
    """Run a command that ends well: stdout, stderr."""
    found = CliRunner().invoke(app, list(map(str, args)), catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout, found.stderr


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("fashion-mnist-test")


@pytest.fixture(scope="module")
def clothes(dataset, tmp_path_factory):
    """A collection of 400 images."""
    path = tmp_path_factory.mktemp("classify") / "clothes"
    labels = [item.label for item in dataset.items[:400]]
    Collection.from_images(dataset.pixels[:400], path, model="mini-fashion", labels=labels)
    return path


@pytest.fixture
def pictures(dataset, tmp_path):
    """An image of the collection, a new one, a fade from black to white, and a bad file."""
    Image.fromarray(dataset.pixels[17]).save(tmp_path / "old.png")
    Image.fromarray(dataset.pixels[500]).save(tmp_path / "new.png")
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))).save(tmp_path / "fade.png")
    (tmp_path / "bad.png").write_text("not a picture")
    return tmp_path


def test_classify_as_json(clothes, pictures, dataset):
    out, _ = run("classify", clothes, pictures / "old.png", pictures / "fade.png", "-k", 7, "--json")
    old, fade = json.loads(out)
    assert old["label"] == dataset.items[17].label
    assert not old["unknown"]
    assert 0.3 < old["probability"] < 1
    assert old["set"][0] == old["label"]
    assert old["set_level"] == 0.9
    assert len(old["neighbors"]) == 7
    nearest = old["neighbors"][0]
    assert (nearest["row"], nearest["id"], nearest["label"]) == (17, "00017", old["label"])
    assert nearest["similarity"] == pytest.approx(1, abs=1e-5)
    assert 0 <= old["percentile"] <= 100
    assert fade["unknown"]
    assert fade["familiarity"] <= 0.05 < old["familiarity"]


def test_classify_as_a_table_with_a_bad_file_among_others(clothes, pictures):
    out, err = run("classify", clothes, *(pictures / name for name in ("new.png", "bad.png", "fade.png")))
    assert "new.png" in out
    assert "could be (90% sure)" in out
    assert "unknown (nearest: " in out
    assert "(row " in out
    assert err.startswith(f"could not be read: {pictures / 'bad.png'}: ")
    results = json.loads(run("classify", clothes, pictures / "bad.png", pictures / "new.png", "--json")[0])
    assert set(results[0]) == {"image", "error"}
    assert results[1]["label"]
    with pytest.raises(ImageError, match=r"bad\.png: "):
        run("classify", clothes, pictures / "bad.png")


def test_a_higher_level_needs_larger_sets(clothes, pictures):
    sets = [
        json.loads(run("classify", clothes, pictures / "new.png", "--set-level", level, "--json")[0])[0]["set"]
        for level in (0.5, 0.9, 0.99, 0.999)
    ]
    assert [len(each) for each in sets] == sorted(len(each) for each in sets)
    assert len(sets[0]) == 1
    assert len(sets[-1]) == 10  # 400 images cannot promise that much: every label


def test_evaluate_leaves_one_out_and_draws(clothes, tmp_path):
    found = json.loads(run("evaluate", clothes, "-o", tmp_path / "e", "--json")[0])
    assert (found["method"], found["images"]) == ("leave-one-out", 400)
    assert 0.5 < found["interval"][0] < found["accuracy"] < found["interval"][1] < 1
    assert sum(map(sum, found["counts"])) == 400
    assert len(found["labels"]) == 10
    assert {(each["k"], each["temperature"]) for each in found["sweep"]} >= {(20, 0.07), (100, "alike")}
    assert found["confusions"][0]["examples"]
    for path in found["pictures"]:
        with Image.open(path) as picture:
            assert min(picture.size) > 500
    out, err = run("evaluate", clothes)
    for text in ("images correctly (leave-one-out)", "Calibration error", "in its set of candidates", "recall", "-k "):
        assert text in out
    assert (clothes / "evaluation" / "confusion.png").exists()
    assert "reliability.png" in err


def test_evaluate_names_the_test_images_by_the_training_images(dataset, tmp_path):
    # rows 0 to 199 train, the others in turn neither and test
    source = ArraySource(dataset.pixels[:300], [item.label for item in dataset.items[:300]])
    splits = ["train" if row < 200 else ("test" if row % 2 else None) for row in range(300)]
    source.items = [replace(item, split=split) for item, split in zip(source.items, splits, strict=True)]
    path = tmp_path / "c"
    collection = Collection.from_images(source, path, model="mini-fashion")
    assert (collection.splits == "test").sum() == 50
    found = json.loads(run("evaluate", path, "--json")[0])
    assert (found["method"], found["images"]) == ("test", 50)
    examples = [row for pair in found["confusions"] for row in pair["examples"]]
    assert examples
    assert all(row >= 200 and row % 2 for row in examples)
    assert json.loads(run("evaluate", path, "--split", "leave-one-out", "--json")[0])["images"] == 300


def test_test_images_without_labels_leave_the_training_images_to_be_evaluated(dataset, tmp_path):
    source = ArraySource(dataset.pixels[:60], [item.label for item in dataset.items[:60]])
    source.items = [
        replace(item, split="train" if row < 40 else "test", label=item.label if row < 40 else None)
        for row, item in enumerate(source.items)
    ]
    Collection.from_images(source, tmp_path / "c", model="mini-fashion")
    found = json.loads(run("evaluate", tmp_path / "c", "--json")[0])
    assert (found["method"], found["images"]) == ("leave-one-out", 40)
    with pytest.raises(InputError, match=r"\(2 and 1 are needed, got 40 and 0\)"):
        run("evaluate", tmp_path / "c", "--split", "test")


@pytest.fixture
def with_splits(dataset, tmp_path):
    def make(*splits, labels=None):
        """Make a collection of 90 images, the splits one after another."""
        labels = [item.label for item in dataset.items[:90]] if labels is None else labels
        source = ArraySource(dataset.pixels[:90], labels)
        length = 90 // len(splits)
        source.items = [replace(item, split=splits[row // length]) for row, item in enumerate(source.items)]
        return Collection.from_images(source, tmp_path / "-".join(map(str, splits)), model="mini-fashion")

    return make


@pytest.mark.parametrize(
    ("splits", "method", "count"),
    [
        (("train", "val"), "val", 45),
        (("train", "val", "test"), "test", 30),
        (("Training", "validation"), "validation", 45),
        (("train", "dev", None), "dev", 30),
        (("train", None), "leave-one-out", 90),
        (("fold1", "fold2"), "leave-one-out", 90),
    ],
)
def test_test_is_held_out_else_val(with_splits, splits, method, count):
    found = with_splits(*splits).evaluate()
    assert (found.method, len(found.positions)) == (method, count)


def test_any_split_can_be_evaluated(with_splits):
    collection = with_splits("train", "val", "test")
    found = collection.evaluate("validation")
    assert (found.method, found.positions.tolist()) == ("val", list(range(30, 60)))
    assert collection.evaluate("train").positions.tolist() == list(range(30))  # by all others
    assert collection.evaluate("auto").positions.tolist() == list(range(60, 90))
    assert (
        "fold2"
        in json.loads(run("evaluate", with_splits("fold1", "fold2").path, "--split", "fold2", "--json")[0]).values()
    )
    with pytest.raises(InputError, match=r"unknown split 'fold' .*known: auto, test, leave-one-out, train, val"):
        collection.evaluate("fold")
    names = {score.name for score in with_splits("train", "val").scores(2)}
    assert "labels: k-NN accuracy, train to val" in names


def test_val_is_held_out_where_test_has_no_labels(dataset, with_splits):
    labels = [item.label if row < 60 else None for row, item in enumerate(dataset.items[:90])]
    assert with_splits("train", "val", "test", labels=labels).evaluate().method == "val"


def test_one_label_is_nothing_to_evaluate(with_splits):
    for splits in (("train", "val"), (None,)):
        collection = with_splits(*splits, labels=["cat"] * 90)
        with pytest.raises(InputError, match=r"have one label \('cat'\), expected two or more"):
            run("evaluate", collection.path)


def test_pictures_that_cannot_be_written_are_no_reason_to_lose_the_figures(dataset, tmp_path):
    labels = [item.label for item in dataset.items[:60]]
    Collection.from_images(dataset.pixels[:60], tmp_path / "c", model="mini-fashion", labels=labels)
    (tmp_path / "c" / "evaluation").write_text("in the way")
    out, err = run("evaluate", tmp_path / "c", "--json")
    assert json.loads(out)["pictures"] == []
    assert err.startswith("no picture: cannot write ")
    with pytest.raises(WriteError):
        run("evaluate", tmp_path / "c", "-o", tmp_path / "c" / "evaluation")


def test_very_many_labels_are_not_all_listed(dataset, tmp_path, monkeypatch):
    labels = [f"{item.label} {row % 5}" for row, item in enumerate(dataset.items[:200])]
    Collection.from_images(dataset.pixels[:200], tmp_path / "c", model="mini-fashion", labels=labels)
    out = run("evaluate", tmp_path / "c")[0]
    assert f"the 30 labels with the most mistakes, of {len(set(labels))}; --json has all of them" in out
    found = json.loads(run("evaluate", tmp_path / "c", "--json")[0])
    monkeypatch.setattr("dinoscope.analysis.labels.evaluation.MOST_COUNTED", 20)
    less = json.loads(run("evaluate", tmp_path / "c", "--json")[0])
    assert less["counts"] is None
    assert (less["labels"], less["confusions"]) == (found["labels"], found["confusions"])


def test_what_cannot_be_evaluated_or_classified(clothes, dataset, pictures, tmp_path):
    with pytest.raises(InputError, match=r"has no train and test images with labels .*: evaluate with --split leave"):
        run("evaluate", clothes, "--split", "test")
    with pytest.raises(InputError, match="unknown split 'tests'; did you mean 'test'"):
        run("evaluate", clothes, "--split", "tests")
    with pytest.raises(InputError, match="must be above 0 and below 1, got 90"):
        run("classify", clothes, pictures / "new.png", "--set-level", 90)
    Collection.from_images(dataset.pixels[:5], tmp_path / "bare", model="mini-fashion")
    with pytest.raises(InputError, match="classification needs at least 2 images with a label, got 0 of 5"):
        run("classify", tmp_path / "bare", pictures / "new.png")
    with pytest.raises(InputError, match="an evaluation needs at least 4 images with a label, got 0"):
        run("evaluate", tmp_path / "bare")
