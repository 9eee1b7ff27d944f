"""Surveys: fitted to a sample, applied part by part; here, on Ray, stopped and continued, always the same."""

import os
import shutil
from typing import Any

import numpy as np
import pytest

from dinoscope import Collection
from dinoscope.analysis.maps.projection import transform
from dinoscope.analysis.neighbors import neighbors
from dinoscope.base.checks import check_count
from dinoscope.base.parallel import run_here
from dinoscope.base.vectors import l2_normalize
from dinoscope.errors import CollectionError, InputError
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.storage.files import write_json
from dinoscope.storage.tables import list_parts, read_table, write_table
from dinoscope.survey import graph as survey_graph
from dinoscope.survey.fit import apply_fit, fit_sample
from dinoscope.survey.parts import open_vectors
from dinoscope.survey.survey import survey
from tests.patching import replace_everywhere

IMAGES, PART, WIDTH = 1200, 128, 24
REMOVED = (3, 500, 1199)


def clustered(count, seed=0):
    random = np.random.default_rng(seed)
    means = random.normal(size=(12, WIDTH))
    return l2_normalize(means[random.integers(0, 12, count)] + 0.9 * random.normal(size=(count, WIDTH)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A collection of vectors alone, their rows in a random order over the parts, some of them removed."""
    import pyarrow as pa

    path = tmp_path_factory.mktemp("collection") / "c"
    write_json(path / "collection.json", {"format": 1, "source": {"kind": "array", "name": "made"}, "vectors": "m"})
    write_json(
        path / "vectors" / "m" / "model.json",
        {"model": "made", "dim": WIDTH, "resolution": 32, "weights_sha256": "0", "licence": "MIT"},
    )
    texts = pa.array([str(row) for row in range(IMAGES)])
    nothing = pa.array([None] * IMAGES, pa.string())
    columns = {"row": np.arange(IMAGES), "id": texts, "key": texts, "label": nothing, "split": nothing}
    removed = np.isin(np.arange(IMAGES), REMOVED)
    write_table(path / "images.parquet", {**columns, "removed": removed})
    vectors, order = clustered(IMAGES), np.random.default_rng(1).permutation(IMAGES)
    for number, start in enumerate(range(0, IMAGES, PART)):
        rows = order[start : start + PART]
        write_table(path / "vectors/m" / f"part-{number:05}.parquet", {"row": rows, "vector": vectors[rows]})
    return path


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "c", ignore=shutil.ignore_patterns("results"))


def set_cells(patch):
    patch.setattr(survey_graph, "_CELL", 64)
    patch.setattr(survey_graph, "_CELLS", 4)


@pytest.fixture(autouse=True)
def small_cells(monkeypatch):
    set_cells(monkeypatch)


SETTINGS: dict[str, Any] = {"sample": 300, "k": 12, "neighbors": 10}


@pytest.fixture(scope="module")
def made(folder):
    with pytest.MonkeyPatch.context() as patch:
        set_cells(patch)
        return survey(folder, **SETTINGS)


def graph_of(made):
    """The graph as arrays by row: neighbours and similarities."""
    rows, nearest, similarities = map(np.concatenate, zip(*made.neighbors(), strict=True))
    order = np.argsort(rows)
    return rows[order], nearest[order], similarities[order]


def check_same(found, expected):
    one, other = found.load(), expected.load()
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_array_equal(one.coordinates, other.coordinates)
    np.testing.assert_array_equal(one.clusters, other.clusters)
    for mine, theirs in zip(graph_of(found), graph_of(expected), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (found.sizes, found.recall, found.silhouette) == (expected.sizes, expected.recall, expected.silhouette)


def test_every_image_is_placed_and_goes_to_the_nearest_centre(folder, made):
    opened, placed, fitted = Collection(folder), made.load(), made.fit()
    np.testing.assert_array_equal(placed.rows, opened.rows)  # so they go together with every array of the collection
    np.testing.assert_array_equal(placed.coordinates, transform(opened.vectors, fitted.vectors, fitted.coordinates))
    gaps = ((opened.vectors[:, None].astype(np.float64) - fitted.centers) ** 2).sum(axis=2)
    np.testing.assert_array_equal(placed.clusters, gaps.argmin(axis=1))
    assert made.sizes == tuple(np.bincount(placed.clusters, minlength=12))
    assert (made.images, made.sample, len(fitted.vectors)) == (IMAGES - len(REMOVED), 300, 300)
    assert np.concatenate([part.rows for part in made]).size == made.images


def test_the_sample_is_mapped_as_by_itself_and_stays_there(folder, made):
    fitted = made.fit()
    alone = fit_sample(fitted.vectors, 12)
    np.testing.assert_array_equal(fitted.coordinates, alone.coordinates)
    coordinates, clusters = apply_fit(fitted, fitted.vectors)
    np.testing.assert_array_equal(coordinates, fitted.coordinates)
    np.testing.assert_array_equal(clusters, fitted.clusters)
    rows = read_table(made.path / "fit.parquet", ["row"])[0]["row"]
    np.testing.assert_array_equal(fitted.vectors, clustered(IMAGES)[rows])
    assert not np.isin(rows, REMOVED).any()


def test_the_sample_is_random_and_of_its_seed(folder):
    vectors = open_vectors(folder)
    rows, values = vectors.sample(400, 0)
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(vectors.sample(400, 0)[0], rows)
    assert len(np.intersect1d(vectors.sample(400, 1)[0], rows)) < 200  # 134 by chance
    np.testing.assert_array_equal(values, clustered(IMAGES)[rows])
    assert abs(rows.mean() - IMAGES / 2) < 60  # 3.5 standard deviations
    everything, _ = vectors.sample(10_000, 0)
    np.testing.assert_array_equal(everything, np.setdiff1d(np.arange(IMAGES), REMOVED))


def test_neighbours_are_true_similarities_and_their_recall_is_measured(folder, made):
    opened = Collection(folder)
    rows, nearest, similarities = graph_of(made)
    np.testing.assert_array_equal(rows, opened.rows)
    vectors = clustered(IMAGES)
    true = np.einsum("nkd,nd->nk", vectors[nearest], vectors[rows])
    np.testing.assert_allclose(similarities, true, atol=1e-6)
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert not (nearest == rows[:, None]).any()
    assert not np.isin(nearest, REMOVED).any()
    assert all(len(set(each)) == 10 for each in nearest.tolist())
    exact = opened.rows[neighbors(opened.vectors, 10).indices]
    recall = np.mean([len(set(one) & set(other)) / 10 for one, other in zip(nearest, exact, strict=True)])
    assert recall == pytest.approx(made.recall, abs=0.02)  # that of the 300 of the sample
    assert 0.8 < made.recall < 1


def test_all_cells_together_are_exact(copy, monkeypatch):
    monkeypatch.setattr(survey_graph, "_CELLS", 100)
    found = survey(copy, **SETTINGS)
    opened = Collection(copy)
    assert found.recall == 1
    np.testing.assert_allclose(graph_of(found)[2], neighbors(opened.vectors, 10).similarities, atol=1e-6)


def test_a_cell_of_copies_is_searched_in_pieces(copy):
    rows = np.concatenate([rows for rows, _ in open_vectors(copy)])
    for part in list_parts(copy / "vectors" / "m"):
        held = read_table(part)[0]["row"]
        values = np.where((held < 900)[:, None], clustered(1), clustered(IMAGES)[held])
        write_table(part, {"row": held, "vector": values.astype(np.float32)})
    found = survey(copy, sample=300, k=3, neighbors=5)
    listed, nearest, similarities = graph_of(found)
    np.testing.assert_array_equal(listed, np.sort(rows))
    assert not (nearest == listed[:, None]).any()
    np.testing.assert_allclose(similarities[listed < 900], 1, atol=1e-6)


class Stopped(Exception):
    """What ends a run in the middle, as a kill does."""


@pytest.mark.parametrize("after", [0, 1, 4, 11, 14, 25, 33])
def test_a_stopped_survey_goes_on_and_is_the_same(copy, made, after, monkeypatch):
    written: list[str] = []
    write = write_table

    def write_some(path, *args, **keywords):
        if len(written) == after:
            raise Stopped
        written.append(path.name)
        write(path, *args, **keywords)

    with monkeypatch.context() as patch:
        replace_everywhere(patch, write_table, write_some)
        with pytest.raises(Stopped):
            survey(copy, **SETTINGS)
    files = {path: path.stat().st_mtime_ns for path in copy.glob("results/**/*.parquet")}
    assert len(files) == after
    found = survey(copy, **SETTINGS)
    check_same(found, made)
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())  # nothing is done twice
    assert not list(copy.glob("results/**/.cells*"))


def test_a_finished_survey_is_there_at_once(copy, monkeypatch):
    first = survey(copy, **SETTINGS)
    replace_everywhere(monkeypatch, write_table, lambda *_, **__: pytest.fail("something was computed again"))
    check_same(survey(copy, **SETTINGS), first)


def test_a_whole_number_is_the_same_setting(copy):
    first = survey(copy, sample=300, k=3, min_dist=0.0)
    assert survey(copy, sample=300, k=3, min_dist=0).path == first.path
    assert len(list(first.path.parent.iterdir())) == 1


def test_damaged_parts_are_made_again(copy, made, caplog):
    first = survey(copy, **SETTINGS)
    victims = ["part-00002.parquet", "neighbors-10/part-00003.parquet", "neighbors-10/cells.parquet", "fit.parquet"]
    for name in victims:
        content = bytearray((first.path / name).read_bytes())
        content[100] ^= 1
        (first.path / name).write_bytes(content)
        (first.path / "neighbors-10" / "part-00004.parquet").unlink()
        caplog.clear()
        check_same(survey(copy, **SETTINGS), made)
        assert f"{name} was damaged" in caplog.text
        assert caplog.text.count("was damaged") == 1


def test_verify_reads_surveys(copy):
    made = survey(copy, **SETTINGS)
    assert not [check for check in verify_collection(copy).checks if check.name == "surveys" and check.damage]
    victim = made.path / "neighbors-10" / "part-00001.parquet"
    content = bytearray(victim.read_bytes())
    content[200] ^= 1
    victim.write_bytes(content)
    damage = [text for check in verify_collection(copy).checks if check.name == "surveys" for text in check.damage]
    assert len(damage) == 1
    assert damage[0].startswith(f"{victim.relative_to(copy).as_posix()}: the checksum")


def test_other_images_make_another_survey(copy, made):
    first = survey(copy, sample=300, k=12)
    assert survey(copy, sample=300, k=12, seed=1).path != first.path
    part = list_parts(copy / "vectors" / "m")[-1]
    part.unlink()
    fewer = survey(copy, sample=300, k=12)
    assert fewer.path != first.path
    assert fewer.images < first.images


def test_few_images(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 255, (5, 16, 16), np.uint8)
    path = tmp_path / "c"
    Collection.from_images(pictures, path, model="mini-fashion")
    found = survey(path, neighbors=30)
    assert (found.images, found.sample, found.recall) == (5, 5, 1)
    assert graph_of(found)[1].shape == (5, 4)


def test_a_part_without_an_image_left(copy):
    images, _ = read_table(copy / "images.parquet")
    gone = read_table(list_parts(copy / "vectors" / "m")[2], ["row"])[0]["row"]
    write_table(copy / "images.parquet", {**images, "removed": images["removed"] | np.isin(images["row"], gone)})
    found = survey(copy, **SETTINGS)
    np.testing.assert_array_equal(graph_of(found)[0], Collection(copy).rows)
    np.testing.assert_array_equal(found.load().rows, Collection(copy).rows)


def test_bad_arguments_are_named(copy, tmp_path):
    with pytest.raises(InputError, match="sample must be a whole number, 2 or more; got 1"):
        survey(copy, sample=1)
    with pytest.raises(InputError, match="seed must be a whole number, between 0 and 4294967295; got -1"):
        survey(copy, seed=-1)
    numbers: Any = np.array([100, 2])  # those of NumPy are numbers
    assert survey(copy, sample=numbers[0], k=numbers[1]).path == survey(copy, sample=100, k=2).path
    with pytest.raises(CollectionError, match="is not a collection"):
        survey(tmp_path / "nothing")
    with pytest.raises(CollectionError, match=r"has no vectors of 'dinov9' \(it has: made\)"):
        survey(copy, model="dinov9")
    with pytest.raises(CollectionError, match="make it again with --neighbors"):
        next(survey(copy, sample=100, k=2).neighbors())
    assert not list((tmp_path).glob("nothing*"))


def double(factor, item):
    if item == 13:
        raise InputError("13 is not a number")
    return item, factor * item


def test_items_are_taken_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3}, raising=False)  # as in a container
    taken = []

    def items():
        for item in range(12):
            taken.append(item)
            yield item

    most = 0
    found = []
    for result in run_here(double, 2, items()):
        found.append(result)
        most = max(most, len(taken) - len(found))
    assert sorted(found) == [(item, 2 * item) for item in range(12)]
    assert most <= 1
    with pytest.raises(InputError, match="13"):
        list(run_here(double, 2, [13, *range(9)]))


def survey_on_ray(address, copy):
    from dinoscope.on_ray.tasks import RunOnRay

    with pytest.MonkeyPatch.context() as patch:
        set_cells(patch)
        return survey(copy, **SETTINGS, run=RunOnRay(address))


def count_on_ray(address, items):
    from dinoscope.on_ray.tasks import RunOnRay

    return list(RunOnRay(address)(check_count, 0, items))


def test_two_nodes_give_what_this_machine_gives(cluster, copy, made):
    check_same(cluster.call(survey_on_ray, cluster.address, copy), made)
    with pytest.raises(InputError, match=r"^k must be a whole number, 1 or more; got 0$"):
        cluster.call(count_on_ray, cluster.address, ["k"])


def test_command_line(copy, run, tmp_path):
    import json

    code, out, _ = run("survey", copy, "--sample", 300, "-k", 12, "--neighbors", 10, "--json")
    assert code == 0
    said = json.loads(out)
    assert (said["images"], said["sample"], said["clusters"]) == (1197, 300, 12)
    assert (copy / said["folder"]).is_dir()
    placed = survey(copy, **SETTINGS).load()
    for name in ("t.csv", "t.parquet", "t.npz", "t.png"):
        code, out, err = run("survey", copy, "--sample", 300, "-k", 12, "-o", tmp_path / name)
        assert (code, out.strip()) == (0, str(tmp_path / name))
        assert "1,197 images in 12 clusters, fitted to 300" in err
    table, _ = read_table(tmp_path / "t.parquet")
    np.testing.assert_array_equal(table["row"], placed.rows)
    np.testing.assert_array_equal(table["x"], placed.coordinates[:, 0])
    np.testing.assert_array_equal(np.load(tmp_path / "t.npz")["clusters"], placed.clusters)
    csv = np.loadtxt(tmp_path / "t.csv", delimiter=",", skiprows=1)
    np.testing.assert_array_equal(csv[:, 1:3].astype(np.float32), placed.coordinates)
    assert "on 300 images" in run("survey", copy, "--sample", 300, "-k", 12, "--neighbors", 10)[2]
    assert "in 1 cluster, fitted to 100\n" in run("survey", copy, "--sample", 100, "-k", 1)[2]
    code, _, err = run("survey", copy, "-o", tmp_path / "t.doc")
    assert code == 1
    assert "expected a name that ends with" in err
    code, _, err = run("survey", copy, "--workers", 2)
    assert "add --on ray" in err
