"""Images with several labels: how they are read, kept, told and evaluated."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import average_precision_score

from dinoscope.analysis.labels.multilabel import evaluate_sets
from dinoscope.analysis.neighbors import neighbors
from dinoscope.collection import Collection
from dinoscope.errors import InputError
from dinoscope.explorer.answers import image_info
from dinoscope.explorer.model_view import ModelData
from dinoscope.sources.array import ArraySource
from dinoscope.sources.items import Item, Items
from dinoscope.sources.opening import open_source
from tests.pictures import corners, encoded

SETS = [("cat", "indoor"), ("dog",), (), ("cat",)] * 6


def write(path, **columns):
    picture = encoded(corners(), "PNG")
    rows = len(next(iter(columns.values())))
    pq.write_table(pa.table({"image": [picture] * rows, **columns}), path)
    return path


def sets_of(source):
    assert {item.label for item in source.items} == {None}
    return [item.labels for item in source.items]


def test_lists_are_sets(tmp_path):
    lists = [list(held) for held in SETS]
    assert sets_of(open_source(write(tmp_path / "a.parquet", labels=lists))) == SETS
    pixels = np.zeros((24, 5, 5), np.uint8)
    assert sets_of(ArraySource(pixels, lists)) == SETS
    mixed = sets_of(ArraySource(pixels[:3], [["b", "a"], "c", None]))  # sorted, as a set has no order
    assert mixed == [("a", "b"), ("c",), ()]
    numbers = write(tmp_path / "b.parquet", label=[[0, 1], [1], None, []])
    assert sets_of(open_source(numbers)) == [("0", "1"), ("1",), (), ()]


def test_names_of_numbers_in_lists(tmp_path):
    path = write(tmp_path / "a.parquet", label=[[0, 1], [1]])
    feature = {"feature": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "_type": "Sequence"}
    meta = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
    pq.write_table(pq.read_table(path).replace_schema_metadata(meta), path)
    assert sets_of(open_source(path)) == [("cat", "dog"), ("dog",)]


def test_columns_of_0_and_1_are_sets(tmp_path):
    hot = {"cat": [1, 0, 0], "indoor": [True, False, True], "weight": [3, 1, 0]}
    path = write(tmp_path / "a.parquet", **hot)
    source = open_source(path)
    assert sets_of(source) == [("cat", "indoor"), (), ("indoor",)]
    assert "label column: those of 0 and 1 (cat, indoor)" in source.notes[0]
    assert sets_of(open_source(path, label_column="none")) == [()] * 3
    assert [item.label for item in open_source(path, label_column="indoor").items] == ["True", "False", "True"]
    assert sets_of(open_source(path, label_column="cat,indoor")) == [("cat", "indoor"), (), ("indoor",)]


def test_one_label_each_is_no_set():
    items = Items(Item(str(row), "0" * 16, labels=held) for row, held in enumerate([("b",), (), ("a",), ("b",)]))
    assert [(item.label, item.labels) for item in items] == [("b", ()), (None, ()), ("a", ()), ("b", ())]


@pytest.fixture
def collection(tmp_path):
    """Make one in which the labels go by the picture."""
    greys = [40 * ("cat" in held) + 80 * ("dog" in held) + 20 * ("indoor" in held) for held in SETS]
    noise = np.random.default_rng(0).integers(0, 8, (24, 16, 16))
    pixels = (np.asarray(greys)[:, None, None] + noise).astype(np.uint8)
    pixels[:, :8] += np.asarray([60 * ("cat" in held) for held in SETS], np.uint8)[:, None, None]
    return Collection.from_images(pixels, tmp_path / "c", labels=[list(held) for held in SETS])


def test_sets_are_kept_told_and_shown(collection, run):
    assert collection.label_sets.tolist() == SETS
    assert set(collection.labels) == {None}
    assert json.loads(run("info", collection.path, "--json")[1])["labels"] == {"cat": 12, "indoor": 6, "dog": 6}
    data = ModelData(collection, collection.key)
    assert image_info(data, 0, None).labels == ["cat", "indoor"]
    shown = {column.title: column.counts for column in data.view().columns if column.kind == "category"}
    assert shown["Label cat"] == [12, 12]


def test_sets_that_go_are_told(tmp_path, run):
    path = write(tmp_path / "a.parquet", labels=[["cat", "dog"], ["dog"]])
    assert "images may have several labels" in run("embed", path, "-o", tmp_path / "c")[2]
    _, out, _ = run("embed", path, "-o", tmp_path / "c", "--label-column", "none", "--json")
    assert json.loads(out)["relabelled"] == 2
    assert Collection(tmp_path / "c").label_sets.tolist() == [(), ()]


def test_scores_of_one_label_say_so(collection, run):
    for ask in (lambda: collection.classify(0), collection.predictions, collection.evaluate):
        with pytest.raises(InputError, match=r"may have several labels each, and .* needs one"):
            ask()
    assert "scores of labels are left out" in run("score", collection.path, "-k", "2")[2]
    assert (
        "images may have several labels, and this list is for one" in run("clean", collection.path, "--label-errors")[1]
    )


def test_the_average_precision_is_that_of_scikit_learn(collection, run):
    found = collection.evaluate_sets(k=5)
    known = np.flatnonzero([bool(held) for held in SETS])
    graph = neighbors(collection.vectors[known], 5)
    weights = np.exp(graph.similarities.astype(float) / 0.07)
    weights /= weights.sum(axis=1, keepdims=True)
    expected = {}
    for name in ("cat", "dog", "indoor"):
        has = np.asarray([name in SETS[at] for at in known])
        votes = [
            sum(w for w, at in zip(*row, strict=True) if has[at]) for row in zip(weights, graph.indices, strict=True)
        ]
        expected[name] = average_precision_score(has, np.round(votes, 12))
    assert {each.label: each.average_precision for each in found.labels} == pytest.approx(expected, abs=1e-6)
    assert found.mean == pytest.approx(np.mean(list(expected.values())), abs=1e-6)
    assert (found.images, found.method) == (18, "leave-one-out")
    assert [(each.label, each.images) for each in found.labels] == [("cat", 12), ("dog", 6), ("indoor", 6)]
    assert "mAP" in run("evaluate", collection.path)[1]
    assert json.loads(run("evaluate", collection.path, "-k", "5", "--json")[1])["mean"] == pytest.approx(found.mean)
    with pytest.raises(InputError, match="truth must have one entry for each of 18 images, got 1"):
        evaluate_sets(graph, SETS, SETS[:1])


def test_lists_of_labels_beside_what_a_program_holds(tmp_path):
    pictures = [np.full((6, 8, 3), shade, np.uint8) for shade in (0, 90, 180)]
    given = open_source(pictures, labels=[["cat", "indoor"], "dog", None])
    paired = open_source([(pictures[0], ["cat", "indoor"]), (pictures[1], ["dog"]), (pictures[2], [])])
    arrays = open_source(pictures, labels=[np.array(["cat", "indoor"]), np.array(["dog"]), np.array([], str)])
    for source in (given, paired, arrays):
        assert sets_of(source) == [("cat", "indoor"), ("dog",), ()]
        assert [item.label for item in source.items] == [None] * 3
        assert source.has_labels
    first = Collection.from_images(given, tmp_path / "c", model="mini")
    again = Collection.from_images(pictures, tmp_path / "c", model="mini")
    assert again.embedded is not None
    assert again.embedded.relabelled == 0
    assert list(map(tuple, again.label_sets)) == list(map(tuple, first.label_sets)) == sets_of(given)


def test_what_commands_print_of_images_with_several_labels(tmp_path, run):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (12, 24, 24, 3), np.uint8)
    Collection.from_images(pixels, tmp_path / "a.dino", labels=[list(held) for held in SETS[:12]], model="mini")
    out = run("search", tmp_path / "a.dino", 2, "-k", 11)[1]
    assert out.count("cat, indoor") == 3
    told = json.loads(run("search", tmp_path / "a.dino", 2, "-k", 11, "--json")[1])
    assert {tuple(each["labels"]) for each in told} == set(SETS)
    own = Collection(tmp_path / "a.dino")
    assert [own.label_text(at) for at in range(4)] == ["cat, indoor", "dog", "", "cat"]
