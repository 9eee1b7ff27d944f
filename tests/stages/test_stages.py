"""Every analysis as a stage of a collection: right, kept, and made anew when what it reads has changed."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.cleaning.outliers import Outliers
from dinoscope.analysis.clusters import clustering as clusters
from dinoscope.analysis.labels.classifier import Classifier
from dinoscope.analysis.maps.projection import transform
from dinoscope.analysis.maps.quality import map_quality
from dinoscope.errors import InputError
from dinoscope.models import encoder as encoder_module
from dinoscope.models.encoder import Encoder
from dinoscope.models.loading import load_model
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.results.packing import pack, unpack
from dinoscope.storage.result_files import stale_results
from dinoscope.storage.tables import write_table
from tests import PATIENCE
from tests.checkpoints import save_vit
from tests.patching import make_read_only

N = 120
WRONG = 7  # has the label of another class
COPIES = (3, N)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images in two splits, a wrong label, an exact copy in the other split, and two images without a label."""
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:N]]
    labels[WRONG] = next(label for label in labels if label != labels[WRONG])
    labels += [labels[COPIES[0]], None, None]
    pixels = np.concatenate([dataset.pixels[:N], dataset.pixels[[COPIES[0], N, N + 1]]])
    path: Path = tmp_path_factory.mktemp("analysis") / "c"
    Collection.from_images(pixels, path, model="mini-fashion", labels=labels)
    return path


@pytest.fixture
def collection(folder) -> Collection:
    return Collection(folder)


def same(one: Any, two: Any) -> bool:
    """Tell whether two results are equal to the last bit, and of the same types."""
    if type(one) is not type(two):
        return False
    if is_dataclass(one):
        return all(same(getattr(one, each.name), getattr(two, each.name)) for each in fields(one))
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and np.array_equal(one, two, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two or (one != one and two != two))


ASKED = {
    "map of three axes": lambda c: c.map(dims=3),
    "map quality": lambda c: c.map_quality("pca"),
    "tuning": lambda c: c.tuning(n_neighbors=[5], min_dist=[0.1], seeds=2, sample=60),
    "clusters judged": lambda c: c.judge(5, stability=True, nulls=True),
    "predictions": lambda c: c.predictions(),
    "evaluation": lambda c: c.evaluate(),
    "findings": lambda c: c.findings(),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED.keys())
def test_a_result_comes_back_as_it_was(folder, ask):
    first = ask(Collection(folder))
    again = Collection(folder)
    assert same(ask(again), first)
    assert again.stages
    assert all(stage.stored for stage in again.stages.values())
    assert again.results.seconds_computing == 0


def test_time_in_which_two_stages_are_computed_counts_once(folder):
    results, both = Collection(folder).results, threading.Barrier(2, timeout=PATIENCE)

    def compute():
        both.wait()  # so the two overlap from here on
        time.sleep(0.2)
        return {}, {}

    began = time.perf_counter()
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda seed: results.run("properties", {"seed": seed}, compute), range(2)))
    assert 0.2 <= results.seconds_computing <= time.perf_counter() - began
    assert results.stages["properties"].seconds >= 0.2


def test_what_is_one_object_comes_back_as_one(folder):
    found = ASKED["tuning"](Collection(folder))
    assert any(found.recommended is each for each in found.settings)
    assert any(found.default is each for each in found.settings)


def test_a_damaged_result_is_made_again(folder, collection, caplog):
    expected = collection.map(method="pca")
    for path in (folder / "results" / "map").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-40])
    again = Collection(folder)
    np.testing.assert_array_equal(again.map(method="pca"), expected)
    assert not again.stages["map"].stored
    assert "damaged" in caplog.text


def test_what_cannot_be_stored_is_held(folder, tmp_path, monkeypatch, caplog):
    """A colleague's collection: what was computed once is there for what comes next."""
    path = shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))
    make_read_only(monkeypatch, path)
    monkeypatch.setattr("dinoscope.stages.results.kept._HELD_BYTES", 0)
    collection = Collection(path)
    first, stage = collection.clusters(4), collection.results.stages["clusters"]
    collection.map(method="pca")
    assert collection.results.stored("clusters") == [stage.settings]
    assert collection.results.stored("map")[0]["method"] == "pca"
    monkeypatch.setattr(collection.results, "_compute", None)  # nothing is computed again
    assert same(collection.clusters(4), first)
    assert Collection(path).results.stored("clusters") == []
    assert not (path / "results").exists()
    told = [record.message for record in caplog.records if "Read-only file system" in record.message]
    assert len(told) == 1
    assert told[0].endswith("Results are used all the same, and computed again next time")


def test_stored_settings_are_those_of_this_state(collection, monkeypatch):
    collection.map(method="pca")
    assert {"method": "pca"} in collection.results.stored("map")
    collection.evaluate()
    assert len(collection.results.stored("evaluation")) == 1
    monkeypatch.setattr(collection.results, "label_state", "other labels")
    assert not collection.results.stored("evaluation")
    monkeypatch.setattr(collection.results, "state", "other images")
    assert not collection.results.stored("map")


# --- maps ------------------------------------------------------------------------------------------------------------


def test_what_was_computed_a_moment_ago_is_of_no_earlier_run(collection, folder):
    for k in (7, 8, 7):
        collection.neighbors(k)
        assert not collection.stages["neighbors"].stored
    again = Collection(folder)
    again.neighbors(7)
    assert again.stages["neighbors"].stored


def test_what_a_killed_computation_left_goes_with_the_next(folder, collection):
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    left = folder / "results" / "neighbors" / f".half.parquet.part-{int(ended.stdout)}-0@{socket.gethostname()}"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"half")
    collection.neighbors(9)
    assert not collection.stages["neighbors"].stored
    assert not left.exists()


def test_numbers_of_numpy_are_numbers(collection):
    np.testing.assert_array_equal(collection.clusters(np.int64(4)).labels, collection.clusters(4).labels)
    assert {"method": "kmeans", "k": 4, "seed": 0} in collection.results.stored("clusters")


def test_resamples_and_nulls_are_clustered_by_the_same_recipe(collection, monkeypatch):
    asked = []

    def cluster(vectors, k, quick=clusters.cluster, **recipe):
        asked.append(recipe)
        return quick(vectors, k)

    monkeypatch.setattr(clusters, "cluster", cluster)
    recipe = {"method": "ward", "space": "umap", "dims": 2, "seed": 3}
    collection.judge(4, stability=True, **recipe)
    assert asked[1:]
    assert asked[1:] == [recipe] * len(asked[1:])


@pytest.mark.parametrize("odd", [{}, {"x": 1}, {"same": "nowhere"}])
def test_an_object_in_the_place_of_an_array_is_no_result(odd):
    whole = Outliers(np.arange(2), np.ones(5), np.ones(5), np.zeros((2, 1), np.int64))
    columns, meta = pack(whole)
    np.testing.assert_array_equal(unpack(Outliers, (columns, meta)).factors, whole.factors)
    meta["result"]["tree"]["factors"] = odd
    with pytest.raises(ValueError, match="it is not Outliers"):
        unpack(Outliers, (columns, meta))


def test_results_of_other_labels_are_stale(folder, tmp_path, monkeypatch):
    path = shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))
    collection = Collection(path)
    collection.evaluate()
    collection.neighbors(5)
    assert stale_results(path) == []
    pixels = load_dataset("fashion-mnist-test").pixels[[*range(N), COPIES[0], N, N + 1]]
    stale = []
    with monkeypatch.context() as patch:
        patch.setattr("dinoscope.embedding.pipeline._remove_stale", lambda path: stale.extend(stale_results(path)))
        Collection.from_images(pixels, path, model="mini-fashion", labels=["a", "b"] * ((N + 3) // 2) + ["a"])
    assert {each.parent.name for each in stale} >= {"evaluation"}
    assert not any(each.parent.name == "neighbors" for each in stale)


def test_results_of_a_part_stay_until_the_images_or_their_labels_change(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))
    opened = Collection(path)
    opened.add_columns({"id": opened.ids.tolist(), "price": [float(at) for at in range(len(opened))]})
    part = Collection(path, where="price < 12")
    part.neighbors(5)
    part.evaluate()
    kept = {file.parent.name: file for file in (path / "results").glob("*/*.parquet")}
    assert {"neighbors", "evaluation"} <= kept.keys()
    assert stale_results(path) == []
    pixels = load_dataset("fashion-mnist-test").pixels[[*range(N), COPIES[0], N, N + 1]]
    labels: list[str | None] = opened.labels.tolist()
    assert len(labels) == len(pixels) == len(opened)
    Collection.from_images(pixels, path, model="mini-fashion", labels=labels)  # nothing changes
    assert all(file.exists() for file in kept.values())
    Collection.from_images(pixels, path, model="mini-fashion", labels=["x", *labels[1:]])
    assert (kept["neighbors"].exists(), kept["evaluation"].exists()) == (True, False)
    assert stale_results(path) == []
    Collection.from_images(pixels[:-1], path, model="mini-fashion", labels=labels[:-1])
    assert not kept["neighbors"].exists()


def test_what_a_killed_embedding_did_not_delete_goes_with_the_next(folder, tmp_path, monkeypatch):
    path = shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))
    Collection(path).neighbors(5)
    pixels = load_dataset("fashion-mnist-test").pixels[: N // 2]
    with monkeypatch.context() as patch:
        patch.setattr("dinoscope.embedding.pipeline._remove_stale", lambda _: None)  # killed before
        Collection.from_images(pixels, path, model="mini-fashion")
    (left,) = stale_results(path)
    again = Collection.from_images(pixels, path, model="mini-fashion").embedded
    assert again is not None
    assert (again.embedded, left.exists()) == (0, False)


def test_what_a_person_put_beside_the_results_stays(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))
    Collection(path).map(method="pca")
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "map").mkdir(parents=True)
    own = (
        path / "results" / "mine" / "notes.parquet",
        path / "results" / "map" / "notes.parquet",
        path / "results" / "map" / f"{'0' * 16}.parquet",
        elsewhere / f"{'1' * 16}.parquet",
    )
    for each in own:
        each.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"a": [1]}), each)
    (path / "results" / "neighbors").symlink_to(elsewhere)
    (path / "results" / "map" / f"{'2' * 16}.parquet").symlink_to(own[3])
    assert stale_results(path) == []
    stray = path / "results" / "map" / f"{'3' * 16}.parquet"
    write_table(stray, {"coordinates": np.zeros((2, 2))}, {"settings": {"method": "pca"}})
    assert stale_results(path) == [stray]
    assert all(each.exists() for each in own)


@pytest.mark.parametrize("method", ["umap", "tsne", "pca"])
def test_maps_have_the_axes_asked_for(collection, method):
    assert collection.map(method=method).shape == (len(collection), 2)
    assert collection.map(method=method, dims=3).shape == (len(collection), 3)
    with pytest.raises(InputError, match="dims must be a whole number, between 2 and 3"):
        collection.map(method=method, dims=4)


def test_quality_is_that_of_the_map_with_the_same_settings(collection):
    found = collection.map_quality("umap", n_neighbors=5, k=10)
    expected = map_quality(collection.vectors, collection.map(n_neighbors=5), labels=collection.labels, k=10)
    assert found.trustworthiness == pytest.approx(expected.trustworthiness, abs=1e-9)
    np.testing.assert_allclose(found.images.kept, expected.images.kept)
    assert found.k == 10


def test_maps_are_compared_in_the_order_asked_for(collection):
    maps = collection.compare_maps(["pca", "umap", "pca"], n_neighbors=5)
    assert [each.method for each in maps] == ["pca", "umap"]
    assert maps[1].title == "UMAP, 5 neighbours, min_dist 0.1"
    np.testing.assert_array_equal(maps[1].coordinates, collection.map(n_neighbors=5))
    assert same(maps[1].quality, collection.map_quality(n_neighbors=5))


def test_new_images_get_a_place_on_the_map(collection):
    new = collection.vectors[:3][::-1]
    places = collection.transform(new, method="pca")
    np.testing.assert_allclose(places, collection.map(method="pca")[:3][::-1], atol=1e-5)
    np.testing.assert_array_equal(collection.transform(new), transform(new, collection.vectors, collection.map()))


def test_the_axes_of_a_map_are_found_once(collection, monkeypatch):
    collection.map(method="pca")
    collection.transform(collection.vectors[:2], method="pca")
    monkeypatch.setattr("dinoscope.analysis.maps.projection._principal_axes", None)
    places = collection.transform(collection.vectors[4:6], method="pca")
    np.testing.assert_allclose(places, collection.map(method="pca")[4:6], atol=1e-5)
    with pytest.raises(InputError, match="new vectors must have the map's width, expected 256, got 3"):
        collection.transform(np.eye(3), method="pca")


# --- clusters --------------------------------------------------------------------------------------------------------


def test_nulls_and_stability_come_when_asked_for(collection):
    plain, whole = collection.judge(4), ASKED["clusters judged"](collection)
    assert np.isnan(plain.quality.stability).all()
    assert (plain.nulls, plain.weak, plain.also_in) == ((), None, ())
    assert np.isfinite(whole.quality.stability).all()
    assert [null.name for null in whole.nulls] == ["shuffled features"] * 2 + ["pixels", "untrained network"]
    assert whole.weak is not None
    assert len(whole.weak) == len(whole.also_in) == 5
    assert set(whole.agreement) == {"accuracy", "nmi", "ami", "ari"}


# --- labels ----------------------------------------------------------------------------------------------------------


def test_predictions_leave_each_image_out_of_its_own_vote(collection):
    """The definition: of the other labelled images, the 20 nearest vote with exp(similarity / 0.07)."""
    found = collection.predictions()
    labels, known = collection.labels, np.asarray([label is not None for label in collection.labels])
    similarity = collection.vectors.astype(np.float64) @ collection.vectors.T
    for at in range(len(collection)):
        others = [each for each in np.argsort(-similarity[at], kind="stable") if each != at and known[each]][:20]
        votes: dict[str, float] = {}
        for each in others:
            votes[labels[each]] = votes.get(labels[each], 0) + np.exp(similarity[at, each] / 0.07)
        assert found.labels[at] == max(votes, key=lambda label: votes[label])
    assert ((found.probabilities > 0) & (found.probabilities <= 1)).all()
    np.testing.assert_array_equal(np.isnan(found.own), ~known)
    agrees = known & (found.labels == labels.astype(str))
    np.testing.assert_array_equal(found.own[agrees], found.probabilities[agrees])
    assert found.own[WRONG] < 0.2


def test_rows_images_and_vectors_are_classified_alike(collection, tmp_path):
    asked = [int(collection.rows[WRONG]), collection.vectors[5], Path("nowhere.png")]
    row, vector = collection.classify(asked[:2])
    found = collection.predictions()
    assert row.label == found.labels[WRONG]
    assert row.probability == pytest.approx(found.probabilities[WRONG], abs=1e-9)
    assert WRONG not in [voter.position for voter in row.voters]
    assert vector.voters[0].position == 5  # a vector is a new image: nothing is left out
    for again in (collection.classify(collection.vectors[4:6])[1], collection.classify(collection.vectors[5])[0]):
        assert (again.label, again.prediction_set) == (vector.label, vector.prediction_set)
        assert again.probability == pytest.approx(vector.probability, abs=1e-6)
    with pytest.raises(Exception, match=r"nowhere\.png"):
        collection.classify(asked)
    with pytest.raises(InputError, match="is not in this collection"):
        collection.classify(10**6)


def test_how_far_out_a_left_out_image_lies_is_told_without_itself():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 8)) + np.repeat(np.eye(8)[:2] * 9, 30, axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    judge = Classifier(vectors, np.repeat(["a", "b"], 30))
    inner = vectors[:30] @ vectors[:30].T
    np.fill_diagonal(inner, -np.inf)
    distance = 1 - np.sort(inner, axis=1)[:, -5:].mean(axis=1)
    ranks = [100 * float((distance < each - 1e-12).mean()) for each in distance]
    found = judge.left_out(vectors, np.arange(30))
    np.testing.assert_allclose([each.percentile for each in found], ranks, atol=1e-6)


def test_weights_that_are_named_are_loaded_once(tmp_path, monkeypatch):
    weights = save_vit(tmp_path / "vit")
    pixels = load_dataset("fashion-mnist-test").pixels[:12]
    model = Encoder(str(weights), resolution=32, device="cpu")
    Collection.from_images(pixels, tmp_path / "c", model=model, labels=["a", "b"] * 6)
    loaded = []

    def count(*args, **more):
        loaded.append(args)
        return load_model(*args, **more)

    monkeypatch.setattr(encoder_module, "load_model", count)
    opened = Collection(tmp_path / "c")
    assert len(opened.classify(list(pixels[:5]), weights=str(weights))) == 5
    opened.search(pixels[0], weights=str(weights))
    opened.search(pixels[0])
    assert len(loaded) == 1


def test_a_classifier_is_made_once(collection):
    assert collection.classifier() is collection.classifier(k=20)
    assert collection.classifier(k=5) is not collection.classifier()


def test_splits_decide_how_labels_are_evaluated(collection):
    assert collection.evaluate().method == "leave-one-out"
    with pytest.raises(InputError, match="has no train and test images"):
        collection.evaluate("test")
    with pytest.raises(InputError, match="unknown split 'tset'; did you mean 'test'"):
        collection.evaluate("tset")


def test_a_split_to_evaluate_is_named_by_its_role_among_all(tmp_path):
    dataset = load_dataset("fashion-mnist-test")
    labels, splits = [item.label for item in dataset.items[:40]], ["train", "train", "test_unseen", "test_seen"] * 10
    opened = Collection.from_images(
        dataset.pixels[:40], tmp_path / "c", model="mini-fashion", labels=labels, splits=splits
    )
    assert opened.evaluate("test").method == opened.evaluate("auto").method == "test_seen"
    assert opened.evaluate("test_unseen").method == "test_unseen"


# --- findings --------------------------------------------------------------------------------------------------------


def test_findings_stand_at_the_positions_of_the_collection(collection):
    found = collection.findings()
    assert tuple(sorted(found.duplicates.groups[0])) == COPIES
    assert found.leaks == ()  # there are no splits
    assert found.label_errors is not None
    assert WRONG in found.label_errors.positions
    for at, given in zip(found.label_errors.positions, found.label_errors.given, strict=True):
        assert collection.labels[at] == given
    sizes = {
        "duplicates": len(found.duplicates.groups),
        "leaks": 0,
        "outliers": len(found.outliers),
        "label_errors": len(found.label_errors),
    }
    assert {kind: len(keys) for kind, keys in found.keys.items()} == sizes


def test_what_is_dismissed_is_remembered(folder, collection):
    keys = collection.findings().keys
    key = keys["label_errors"][0]
    assert collection.dismissed() == set()
    collection.dismiss(key)
    collection.dismiss(key)
    collection.dismiss(keys["duplicates"][0])
    assert Collection(folder).dismissed() == {key, keys["duplicates"][0]}
    collection.dismiss(key, dismissed=False)
    collection.dismiss(keys["duplicates"][0], dismissed=False)
    assert Collection(folder).dismissed() == set()
    for wrong in ("", "duplicates", "nothing-0123", "outliers-../x", "outliers-zz", f"x{key}", f"{key}0"):
        with pytest.raises(InputError, match="is not a key of a finding"):
            collection.dismiss(wrong)


DISMISS = """
import sys
from dinoscope import Collection
collection = Collection(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    collection.dismiss(f"outliers-{sys.argv[2]}{number:015}")
"""


def test_what_two_processes_dismiss_at_once_is_remembered(folder, tmp_path):
    path = shutil.copytree(folder, tmp_path / "c")
    command = [sys.executable, "-c", DISMISS, str(path)]
    with contextlib.ExitStack() as stack:
        running = [
            stack.enter_context(
                subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for name in "ab"
        ]
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.close()
    assert [process.returncode for process in running] == [0, 0]
    assert Collection(path).dismissed() == {f"outliers-{name}{number:015}" for name in "ab" for number in range(25)}


def test_what_is_dismissed_stays_so_when_files_are_touched_and_renamed(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    dataset = load_dataset("fashion-mnist-test")
    for number in range(12):
        Image.fromarray(dataset.pixels[number % 11]).save(photos / f"{number}.png")
    before = Collection.from_images(photos, tmp_path / "c", model="mini-fashion")
    (key,) = before.findings().keys["duplicates"]
    before.dismiss(key)
    (photos / "11.png").rename(photos / "b.png")
    os.utime(photos / "0.png", (1, 1))
    after = Collection.from_images(photos, tmp_path / "c", model="mini-fashion")
    assert after.content_keys != before.content_keys
    assert after.findings().keys["duplicates"] == (key,)
    assert after.dismissed() == {key}


def test_keys_stay_when_rows_and_models_change(tmp_path):
    """The same pictures in another order, through another model, have the same findings."""
    dataset = load_dataset("fashion-mnist-test")
    pixels = np.concatenate([dataset.pixels[:30], dataset.pixels[:2]])
    one = Collection.from_images(pixels, tmp_path / "one", model="mini-fashion")
    other = Collection.from_images(pixels[::-1], tmp_path / "other", model="mini")
    first, second = one.findings().keys["duplicates"], other.findings().keys["duplicates"]
    assert len(first) == 2
    assert set(first) == set(second)


def test_few_images_have_few_findings(tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels[:2]
    found = Collection.from_images(pixels, tmp_path / "c", model="mini-fashion").findings()
    assert (len(found.duplicates.groups), len(found.outliers), found.label_errors, found.leaks) == (0, 0, None, ())
