"""The explorer's server, route by route, against the collection itself."""

import csv
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dinoscope.analysis.explain.properties import PROPERTIES
from dinoscope.collection import Collection
from dinoscope.embedding.pipeline import embed_source
from dinoscope.explorer import answers as explorer_answers
from dinoscope.explorer import model_view as explorer_data
from dinoscope.explorer.model_view import ModelData
from dinoscope.explorer.sheets import Originals, draw_sheet, part_of_tile
from dinoscope.models.encoder import Encoder
from dinoscope.server.page import add_page
from dinoscope.sources.array import ArraySource
from dinoscope.sources.folder import FolderSource
from dinoscope.storage.files import read_json, write_json
from dinoscope.wording.explanation import traits_in_words
from tests import ROOT
from tests.pictures import encoded, photo
from tests.served import N, client, images, make_collection

DESCRIBED = json.loads((ROOT / "web/openapi.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = make_collection(tmp_path_factory.mktemp("served") / "c")
    opened = Collection(path)
    opened.clusters(4)
    opened.predictions()
    return path


@pytest.fixture(scope="module")
def collection(folder):
    return Collection(folder)


@pytest.fixture(scope="module")
def server(folder):
    with client(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def base(server):
    return f"/api/models/{server.get('/api/collection').json()['model']}"


@pytest.fixture(scope="module")
def view(server, base):
    return server.get(base).json()


def numbers(answer, kind):
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, kind)


def names_described(schema):
    """The fields that the page knows of an answer."""
    return set(DESCRIBED["components"]["schemas"][schema]["properties"])


def test_collection_says_what_it_is(server, folder, collection):
    told = server.get("/api/collection").json()
    assert told.keys() == names_described("CollectionInfo")
    assert (told["name"], told["kind"], told["live"], told["originals"]) == ("array", "array", True, False)
    (model,) = told["models"]
    assert model.keys() == names_described("ModelInfo")
    assert (model["key"], model["dim"], model["images"]) == (told["model"], 256, N)
    assert str(folder.parent) not in json.dumps(told)


def test_model_has_the_columns_and_maps_that_there_are(view, collection):
    assert view.keys() == names_described("ModelView")
    columns = {column["name"]: column for column in view["columns"]}
    assert list(columns) == ["label", "cluster", "predicted", "agreement", "probability", "own", "familiarity", "trust"]
    assert columns["label"].keys() == names_described("CategoryColumn")
    assert columns["trust"].keys() == names_described("NumberColumn")
    assert columns["label"]["values"] == sorted(set(collection.labels), key=str.casefold)
    assert columns["label"]["counts"] == [int((collection.labels == v).sum()) for v in columns["label"]["values"]]
    assert sum(columns["cluster"]["counts"]) == N
    assert columns["trust"]["perMap"]
    assert {each["id"] for each in view["maps"]} >= {"umap", "pca"}
    assert view["sheets"] == {"tile": 32, "columns": 16, "rows": 16, "count": 1, "positions": None}
    assert view["failures"] == []


def test_arrays_hold_what_the_collection_does(server, base, view, collection):
    state = {"v": view["state"]}
    answer = server.get(f"{base}/rows", params=state)
    np.testing.assert_array_equal(numbers(answer, "<u4"), collection.rows)
    assert "immutable" in answer.headers["cache-control"]
    assert "immutable" not in server.get(f"{base}/rows").headers["cache-control"]
    columns = {column["name"]: column for column in view["columns"]}
    codes = numbers(server.get(f"{base}/columns/label", params=state), "<u2")
    assert [columns["label"]["values"][code] for code in codes] == collection.labels.tolist()
    codes = numbers(server.get(f"{base}/columns/cluster", params=state), "<u2")
    np.testing.assert_array_equal(codes, collection.clusters(4).labels)
    sure = numbers(server.get(f"{base}/columns/probability", params=state), "<f4")
    np.testing.assert_allclose(sure, collection.predictions().probabilities, rtol=1e-6)


def test_a_map_keeps_its_shape(server, base, collection):
    packed = numbers(server.get(f"{base}/maps/umap"), "<u2").reshape(-1, 2)
    places = packed / 32767.5 - 1
    true = collection.map().astype(np.float64)
    spans = np.ptp(true, axis=0)
    assert places.min() >= -1
    assert places.max() <= 1
    np.testing.assert_allclose(np.ptp(places, axis=0), 2 * spans / spans.max(), atol=1e-4)
    np.testing.assert_allclose(places.max(axis=0) + places.min(axis=0), 0, atol=1e-4)
    scale = spans.max() / 2
    np.testing.assert_allclose(np.diff(places, axis=0) * scale, np.diff(true, axis=0), atol=1e-3 * scale)


def test_a_map_is_computed_when_it_is_asked_for(server, base, collection):
    def ready():
        return {each["id"]: each["ready"] for each in server.get(base).json()["maps"]}

    assert not ready()["pca"]
    numbers(server.get(f"{base}/maps/pca"), "<u2")
    assert ready()["pca"]
    collection.map(n_neighbors=5)
    other = next(each for each in server.get(base).json()["maps"] if each["id"].startswith("umap-"))
    assert other["title"] == "UMAP, neighbours 5"
    assert other["ready"]
    assert len(numbers(server.get(f"{base}/maps/{other['id']}"), "<u2")) == 2 * N


def test_trust_is_the_share_of_neighbours_kept(server, base, collection):
    trust = numbers(server.get(f"{base}/maps/umap/trust"), "<f4")
    np.testing.assert_allclose(trust, collection.map_quality("umap").images.kept, atol=1e-6)


def test_a_sheet_shows_every_image_in_its_tile(server, base, view):
    answer = server.get(f"{base}/sheets/0", params={"v": view["state"]})
    assert answer.headers["content-type"] == "image/webp"
    page = np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGBA"))
    source = images()
    across = view["sheets"]["columns"]
    for position in (0, across - 1, across, N - 1):
        y, x = divmod(position, across)
        tile = page[32 * y : 32 * y + 32, 32 * x : 32 * x + 32]
        np.testing.assert_array_equal(tile[2:30, 2:30, :3], source.load(position))
        assert (tile[0, :, 3] == 0).all()  # transparent around it
    assert server.get(f"{base}/sheets/1").status_code == 404
    stored = list((server.app.state.explorer.workspace.path / "results/sheets").glob("*.webp"))
    assert len(stored) == 1
    assert stored[0].read_bytes().startswith(answer.content)  # a checksum is behind it
    assert server.get(f"{base}/sheets/0").content == answer.content


def test_a_damaged_thumbnail_leaves_its_tile_empty():
    good = encoded(Image.new("RGB", (8, 8), "red"), "PNG")
    page = np.asarray(Image.open(io.BytesIO(draw_sheet([b"nonsense", None, good], 8, 3))).convert("RGBA"))
    assert (page[:, :16, 3] == 0).all()
    assert (page[:, 16:] == [255, 0, 0, 255]).all()


def test_an_image_with_its_neighbours_and_verdict(server, base, collection):
    told = server.get(f"{base}/images/7").json()
    assert told.keys() == names_described("ImageInfo")
    assert told["verdict"].keys() == names_described("VerdictInfo")
    assert (told["id"], told["label"], told["width"], told["height"]) == ("00007", collection.labels[7], 28, 28)
    expected = collection.search(7, 24)
    assert [each["row"] for each in told["neighbors"]] == [match.row for match in expected]
    assert told["neighbors"][0].keys() == names_described("MatchInfo")
    verdict = collection.classify(7)[0]
    assert told["verdict"]["label"] == verdict.label
    assert told["verdict"]["set"] == list(verdict.prediction_set)
    assert told["verdict"]["probability"] == pytest.approx(verdict.probability)
    assert 7 not in [voter["row"] for voter in told["verdict"]["voters"]]
    picture = server.get(f"{base}/images/7/picture")
    assert picture.headers["content-type"] == "image/png"
    shown = Image.open(io.BytesIO(picture.content)).convert("RGB")
    np.testing.assert_array_equal(np.asarray(shown), images().load(7))
    assert server.get(f"{base}/images/{N}").status_code == 404


def test_search_finds_names_and_places_an_image(server, base, collection):
    content = encoded(Image.fromarray(images().load(11)), "PNG")
    own = numbers(server.get(f"{base}/maps/umap"), "<u2").reshape(-1, 2)[11] / 32767.5 - 1
    answer = server.post(f"{base}/search?map=umap&k=5", content=content)
    told = answer.json()
    assert told.keys() == names_described("SearchAnswer")
    assert [each["row"] for each in told["matches"]] == [match.row for match in collection.search(content, 5)]
    assert told["matches"][0]["similarity"] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(told["place"], own, atol=1e-3)  # a copy lies on its original
    verdict = collection.classify(content)[0]
    assert told["verdict"]["label"] == verdict.label
    assert told["verdict"]["probability"] == pytest.approx(verdict.probability, abs=1e-5)
    assert told["seconds"] > 0
    assert told["here"]["row"] == 11  # another file of the same picture
    assert server.post(f"{base}/search", content=content).json()["place"] is None
    assert server.post(f"{base}/search?map=nowhere", content=content).status_code == 404


def test_a_file_of_the_collection_is_known_again(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        photo(ord(name)).save(tmp_path / "photos" / f"{name}.png")
    path = make_collection(tmp_path / "c", FolderSource(tmp_path / "photos"), "mini")
    with client(path) as server:
        base = f"/api/models/{Collection(path).key}"
        answer = server.post(f"{base}/search", content=(tmp_path / "photos" / "b.png").read_bytes())
        assert answer.json()["here"]["id"] == "b.png"
        other = server.post(f"{base}/search", content=encoded(photo(5), "PNG"))
        assert other.json()["here"] is None


def test_search_inside_tells_where(server, base, collection):
    quarter = Image.fromarray(images().load(21)).crop((14, 0, 28, 14))
    told = server.post(f"{base}/search?inside=true&k=5", content=encoded(quarter, "PNG")).json()
    assert told.keys() == names_described("SearchAnswer")
    spots = collection.search_inside(encoded(quarter, "PNG"), 5)
    assert [each["row"] for each in told["matches"]] == [spot.row for spot in spots]
    assert (told["matches"][0]["row"], spots[0].box) == (21, (14, 0, 14, 14))
    # 28 pixels in the middle of a tile of 32
    assert told["here"] is None
    assert told["parts"][0] == pytest.approx([(2 + 14) / 32, 2 / 32, 14 / 32, 14 / 32])
    assert server.post(f"{base}/search?k=5", content=encoded(quarter, "PNG")).json()["parts"] is None


@pytest.mark.parametrize(
    ("box", "size", "expected"),
    [
        ((0, 0, 400, 200), (400, 200), (0, 0.25, 1, 0.5)),
        ((100, 50, 100, 100), (400, 200), (0.25, 0.375, 0.25, 0.25)),
        ((0, 0, 10, 20), (10, 20), (27 / 64, 22 / 64, 10 / 64, 20 / 64)),
    ],
)
def test_a_part_lies_where_the_thumbnail_does(box, size, expected):
    assert part_of_tile(box, size, 64) == pytest.approx(expected)


def test_search_on_a_pca_map_projects(server, base):
    content = encoded(Image.fromarray(images().load(3)), "PNG")
    own = numbers(server.get(f"{base}/maps/pca"), "<u2").reshape(-1, 2)[3] / 32767.5 - 1
    np.testing.assert_allclose(server.post(f"{base}/search?map=pca", content=content).json()["place"], own, atol=1e-3)


def test_several_images_together_are_a_question(server, base, collection):
    rows = [1, 5, 9]
    told = server.post(f"{base}/query", json={"rows": rows, "k": 4}).json()["matches"]
    mean = collection.vectors[rows].mean(axis=0)
    similarity = collection.vectors @ (mean / np.linalg.norm(mean))
    similarity[rows] = -1
    assert [each["row"] for each in told] == np.argsort(-similarity)[:4].tolist()
    assert server.post(f"{base}/query", json={"rows": [N]}).status_code == 404


def test_find_looks_into_ids(server, base):
    assert server.get(f"{base}/find", params={"text": "0012"}).json() == {"rows": [12, *range(120, 130)]}
    assert server.get(f"{base}/find", params={"text": "nothing like it"}).json() == {"rows": []}


def test_find_looks_into_sets_of_labels(tmp_path):
    labels = [("Cat", "dog"), ("bird",), ("cat",)] * 10
    pixels = np.stack([images().load(at) for at in range(30)])
    with client(make_collection(tmp_path / "c", ArraySource(pixels, labels=labels))) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        assert server.get(f"{base}/find", params={"text": "cat"}).json()["rows"] == [
            at for at in range(30) if at % 3 != 1
        ]
        assert server.get(f"{base}/find", params={"text": "DOG"}).json()["rows"] == list(range(0, 30, 3))


def test_numbers_are_those_of_the_collection(server, base, collection):
    told = server.get(f"{base}/maps/umap/numbers").json()
    assert told.keys() == names_described("Numbers")
    scores = {each["name"]: each["value"] for each in told["scores"]}
    assert scores["map: neighbours kept"] == pytest.approx(collection.map_quality("umap").neighbors_kept)
    assert scores["clusters and labels: NMI"] > 0.3
    assert told["clusters"][0].keys() == names_described("ClusterInfo")
    assert [each["size"] for each in told["clusters"]] == np.bincount(collection.clusters(4).labels).tolist()
    assert np.sum(told["confusion"]["counts"]) == N
    assert told["evaluation"]["accuracy"] == pytest.approx(collection.evaluate().accuracy)
    counts = np.zeros((len(told["evaluation"]["labels"]),) * 2, int)
    for row, column, count in told["evaluation"]["confusion"]:
        counts[row, column] = count
    np.testing.assert_array_equal(counts, collection.evaluate().counts)


def test_what_a_map_is_made_of_is_told_and_can_colour_it(server, base, collection):
    told = server.get(f"{base}/maps/pca/numbers").json()
    found = collection.explanation(cluster_settings={"k": 4}, map_settings={"method": "pca"})
    assert [each["name"] for each in told["explained"]["properties"]] == [each.name for each in found.properties]
    for each, expected in zip(told["explained"]["properties"], found.properties, strict=True):
        assert each.keys() == names_described("PropertyInfo")
        assert each["map"] == pytest.approx(expected.map)
    assert told["explained"]["labels"]["embedding"] == pytest.approx(found.labels.embedding)
    assert [each["traits"] for each in told["clusters"]] == [traits_in_words(found, at) for at in range(4)]
    columns = [column for column in server.get(base).json()["columns"] if column["name"] in PROPERTIES]
    assert {column["name"] for column in columns} == {each.name for each in found.properties}
    assert [(column["min"], column["max"], column["perMap"]) for column in columns] == [(0, 1, False)] * len(columns)
    ranks = numbers(server.get(f"{base}/columns/border brightness"), "<f4")
    values = collection.properties()["border brightness"]
    below = [np.mean(values < value) + np.mean(values == value) / 2 for value in values]
    np.testing.assert_allclose(ranks, below, atol=1e-6)


def test_a_table_too_large_for_a_page_is_left_out(folder, monkeypatch):
    opened = Collection(folder)
    data = ModelData(opened, opened.key)
    cells = 4 * len(set(opened.labels))
    monkeypatch.setattr(explorer_answers, "_MOST_CELLS", cells)
    assert explorer_answers.numbers(data, "pca", evaluate=False).confusion is not None
    monkeypatch.setattr(explorer_answers, "_MOST_CELLS", cells - 1)
    told = explorer_answers.numbers(data, "pca", evaluate=False)
    assert told.confusion is None
    assert len(told.clusters) == 4
    assert sum(count for each in told.clusters for _, count in each.labels) == N


def test_the_number_of_clusters_is_chosen_on_the_page(tmp_path):
    path = make_collection(tmp_path / "c")
    with client(path, warm=False) as server:
        base = f"/api/models/{Collection(path).key}"

        def shown() -> dict[str, Any]:
            columns = server.get(base).json()["columns"]
            return next((column for column in columns if column["name"] == "cluster"), {})

        assert shown() == {}
        for k in (5, 7, 5):  # also one that is stored already
            assert server.put(f"{base}/clusters", json={"k": k}).status_code == 204
            assert len(shown()["values"]) == k
        assert shown()["values"] != [str(number) for number in range(5)]
        refused = server.put(f"{base}/clusters", json={"k": 199})
        assert (refused.status_code, "k must be at most" in refused.json()["error"]) == (400, True)
        assert server.put(f"{base}/clusters", json={"k": 1}).status_code == 422
    with client(path, warm=False, read_only=True) as server:
        assert server.put(f"{base}/clusters", json={"k": 6}).status_code == 403
        assert len(shown()["values"]) == 5


def test_numbers_leave_the_clusters_that_are_shown(tmp_path):
    path = make_collection(tmp_path / "c", images(40))
    opened = Collection(path)
    opened.clusters(5, seed=3)
    explorer_answers.numbers(ModelData(opened, opened.key), "pca")
    assert ModelData(Collection(path), opened.key).clusters == {"method": "kmeans", "k": 5, "seed": 3}


def test_as_many_clusters_as_labels_unless_there_are_too_many(tmp_path, monkeypatch):
    opened = Collection(make_collection(tmp_path / "c", images(40)))
    labels = len(set(opened.labels))
    asked: list[int | None] = []
    monkeypatch.setattr(explorer_data, "find_clusters", lambda _collection, k: asked.append(k))
    for most in (labels, labels - 1):
        monkeypatch.setattr(explorer_data, "_MOST_CLUSTERS", most)
        ModelData(opened, opened.key).preparations()["clusters"]()
    assert asked == [labels, None]


def test_reasons_of_look_alikes(tmp_path):
    path = make_collection(tmp_path / "c", images(40))
    collection = Collection(path)
    rows = [match.row for match in collection.search(3, k=3)]
    with client(path) as server:
        place = f"/api/models/{collection.key}/images/3/reasons"
        told = server.get(place, params={"of": rows}).json()["reasons"]
        assert [each["row"] for each in told] == rows
        for each, reason in zip(told, collection.reasons(3, rows), strict=True):
            assert each.keys() == names_described("ReasonInfo")
            assert each["without"] == pytest.approx(reason.without, abs=1e-6)
            heat = np.maximum(reason.heat, 0).ravel()
            assert each["heat"] == np.rint(255 * heat / heat.max()).astype(int).tolist()
            assert each["place"] == [2 / 32, 2 / 32, 28 / 32, 28 / 32]  # in the middle of a tile of 32 pixels
        assert server.get(place, params={"of": [3, 999]}).status_code == 404
        assert server.get(place).status_code == 422
        assert server.get(place, params={"of": [1] * 25}).status_code == 422
        # the same image from outside
        outside, content = f"/api/models/{collection.key}/reasons", encoded(Image.fromarray(images(40).load(3)), "PNG")
        again = server.post(outside, params={"of": rows}, content=content).json()["reasons"]
        assert [each["row"] for each in again] == rows
        assert [each["without"] for each in again] == pytest.approx([each["without"] for each in told], abs=1e-4)
        assert server.post(outside, params={"of": [3, 999]}, content=content).status_code == 404
        refused = server.post(outside, params={"of": rows}, content=b"no image")
        assert (refused.status_code, "cannot be searched for" in refused.json()["error"]) == (400, True)


def test_pairs_are_asked_and_answered(tmp_path):
    path = make_collection(tmp_path / "c", images(80))
    with client(path) as server:
        model = server.get("/api/collection").json()["model"]
        place = f"/api/models/{model}/questions?about=duplicates"
        told = server.get(place).json()
        assert told.keys() == names_described("Question")
        assert (told["yes"], told["no"], told["unsure"], told["precision"]) == (0, 0, 0, None)
        asked = []
        for number in range(told["enough"] + 2):
            asked.append(told["rows"])
            same = None if number == 1 else number < 6
            told = server.put(place, json={"rows": told["rows"], "yes": same}).json()
        assert len({tuple(rows) for rows in asked}) == len(asked)
        assert told["rows"] not in asked
        assert (told["yes"], told["no"], told["unsure"]) == (5, told["enough"] - 4, 1)
        fit = Collection(path).threshold_fit()
        assert (told["threshold"], told["suggested"]) == (fit.threshold, fit.suggested)
        assert told["count"] == fit.counts[fit.at(fit.threshold)]
        assert told["recall"] == fit.recall[fit.at(fit.threshold)].tolist()
        found = server.get(f"/api/models/{model}/findings").json()
        assert (found["threshold"], found["answers"]) == (fit.threshold, told["enough"] + 1)
        again = server.put(place, json={"rows": asked[0], "yes": False}).json()  # one may think again
        assert (again["yes"], again["no"]) == (4, told["enough"] - 3)
        assert server.delete(place).json()["rows"] == asked[0]
        found = server.get(f"/api/models/{model}/findings").json()
        assert (found["threshold"], found["answers"]) == (found["suggested"], 0)
        for rows, code in (([], 422), ([1], 404), ([1, 2, 3], 422), ([0, 0], 404), ([0, 999], 404)):
            assert server.put(place, json={"rows": rows, "yes": True}).status_code == code
        assert server.put(place, json={"rows": [0, 1], "yes": "yes"}).status_code == 422
    assert Collection(path).threshold_fit().answers == 0


def test_a_finding_that_is_no_problem_is_remembered(tmp_path):
    source = images(60)
    pixels = np.stack([source.load(at) for at in (*range(60), 0)])  # the first again
    labels = [*(item.label for item in source.items), source.items[0].label]
    path = make_collection(tmp_path / "c", ArraySource(pixels, labels=labels))
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        told = server.get(f"{base}/findings").json()
        assert told.keys() == names_described("Findings")
        found = next(each for each in told["findings"] if each["kind"] == "duplicate")
        assert found.keys() == names_described("Finding")
        assert sorted(found["rows"]) == [0, 60]
        assert not found["dismissed"]
        answer = server.put(f"{base}/findings/{found['key']}", json={"dismissed": True})
        assert (answer.status_code, answer.content) == (204, b"")
    assert found["key"] in Collection(path).dismissed()
    with client(path) as server:
        again = {each["key"]: each for each in server.get(f"{base}/findings").json()["findings"]}
        assert again[found["key"]]["dismissed"]
        server.put(f"{base}/findings/{found['key']}", json={"dismissed": False})
        assert server.put(f"{base}/findings/nothing", json={"dismissed": True}).status_code == 404
    assert Collection(path).dismissed() == set()


def test_what_is_only_shown_is_not_written(tmp_path):
    folder = make_collection(tmp_path / "c", images(40))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with client(folder, read_only=True, warm=True) as shown:
        base = f"/api/models/{shown.get('/api/collection').json()['model']}"
        assert shown.get("/api/collection").json()["writable"] is False
        key = shown.get(f"{base}/findings").json()["findings"][0]["key"]
        shown.get(f"{base}/sheets/0")
        assert shown.get(f"{base}/maps/pca/numbers").json()["scores"]
        rows = shown.get(f"{base}/questions?about=duplicates").json()["rows"]
        answers = [
            shown.put(f"{base}/findings/{key}", json={"dismissed": True}),
            shown.put(f"{base}/questions?about=duplicates", json={"rows": rows, "yes": True}),
            shown.delete(f"{base}/questions?about=duplicates"),
            shown.post(f"{base}/export", json={"rows": [0], "format": "collection", "name": "new"}),
        ]
        for answer in answers:
            assert answer.status_code == 403
            assert "--read-only" in answer.json()["error"]
        assert shown.post(f"{base}/export", json={"rows": [0], "format": "csv", "name": "x"}).status_code == 200
        assert shown.post(f"{base}/search?inside=true", content=encoded(photo(), "PNG")).status_code == 200
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_export_as_table_and_list(server, base, collection):
    answer = server.post(f"{base}/export", json={"rows": [3, 1], "format": "csv", "name": "../my/selection"})
    assert answer.headers["content-disposition"] == 'attachment; filename="my-selection.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(line["row"], line["label"]) for line in lines] == [(str(r), collection.labels[r]) for r in (3, 1)]
    assert [line["cluster"] for line in lines] == [str(collection.clusters(4).labels[r]) for r in (3, 1)]
    assert server.post(f"{base}/export", json={"rows": [3, 1], "format": "files"}).text == "00003\n00001\n"


def test_no_cell_of_a_table_is_a_formula(tmp_path):
    for name in ("@SUM(A1)/=cmd.png", "plain/plain.png"):  # a folder around everything would be no label
        (tmp_path / "photos" / name).parent.mkdir(parents=True)
        photo().save(tmp_path / "photos" / name)
    path = make_collection(tmp_path / "c", FolderSource(tmp_path / "photos"), "mini")
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        lines = list(
            csv.reader(io.StringIO(server.post(f"{base}/export", json={"rows": [0, 1], "format": "csv"}).text))
        )
    assert lines[1][1:3] == ["'@SUM(A1)/=cmd.png", "'@SUM(A1)"]


def test_a_selection_becomes_a_collection_of_its_own(server, base, collection, folder):
    rows = [9, 2, 40, 2]
    with subprocess.Popen([sys.executable, "-c", ""]) as killed:
        pass
    (folder.parent / f".chosen.part-{killed.pid}-0@{socket.gethostname()}" / "details").mkdir(parents=True)
    answer = server.post(f"{base}/export", json={"rows": rows, "format": "collection", "name": "a/../chosen few"})
    assert answer.json() == {"name": "a-..-chosen few"}
    chosen = Collection(folder.parent / "a-..-chosen few")
    assert chosen.rows.tolist() == [0, 1, 2]
    assert chosen.ids.tolist() == [collection.ids[row] for row in (9, 2, 40)]
    assert chosen.labels.tolist() == [collection.labels[row] for row in (9, 2, 40)]
    np.testing.assert_array_equal(chosen.vectors, collection.vectors[[9, 2, 40]])
    assert chosen.thumbnails([0, 1, 2]) == collection.thumbnails([9, 2, 40])
    assert chosen.search(0, 1)[0].row in (1, 2)
    assert sorted(p.name for p in folder.parent.iterdir()) == ["a-..-chosen few", "c"]  # nothing half-made is left
    if os.name != "nt":  # they hold pictures: of their owner alone
        assert [p.stat().st_mode & 0o777 for p in folder.parent.iterdir()] == [0o700] * 2
    again = server.post(f"{base}/export", json={"rows": rows, "format": "collection", "name": "c"})
    assert again.status_code == 409
    assert "choose another name" in again.json()["error"]


def test_the_folder_that_one_is_in(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with client(Path()) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        assert "no column 'a.b'" in server.get(f"{base}/columns/a.b").json()["error"]  # not "acb"


def test_new_images_are_shown_and_the_old_page_still_works(tmp_path):
    path = make_collection(tmp_path / "c", images(50))
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        old = server.get(base).json()
        assert server.get("/api/progress").json() is None
        embed_source(images(80), path, Encoder("mini-fashion"))
        new = server.get(base).json()
        assert (old["count"], new["count"]) == (50, 80)
        assert old["state"] != new["state"]
        assert old["images"] != new["images"]
        assert len(numbers(server.get(f"{base}/rows", params={"v": old["state"]}), "<u4")) == 50
        assert len(numbers(server.get(f"{base}/rows", params={"v": new["state"]}), "<u4")) == 80
        answer = server.get(f"{base}/rows", params={"v": "0123456789abcdef"})
        assert (answer.status_code, answer.json().keys()) == (409, {"error"})
        assert "cluster" not in {column["name"] for column in new["columns"]}
        Collection(path).clusters(3)
        clustered = server.get(base).json()
        assert "cluster" in {column["name"] for column in clustered["columns"]}
        assert clustered["state"] != new["state"]
        assert clustered["images"] == new["images"]  # what a page asked about them goes on
        assert server.put(f"{base}/labels", json={"rows": [3], "seen": 0, "label": "odd"}).status_code == 200
        assert server.get(base).json()["images"] == new["images"]


def test_larger_pictures_come_from_the_source(tmp_path):
    source = tmp_path / "photos"
    source.mkdir()
    large = Image.effect_mandelbrot((2000, 1000), (-2, -1, 1, 1), 50).convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"  # on its side, with a note
    large.save(source / "large.jpg", exif=exif)
    photo(300).save(source / "small.png")
    path = make_collection(tmp_path / "c", FolderSource(source), "mini")
    with client(path, originals=Originals(FolderSource(source))) as server:
        info = server.get("/api/collection").json()
        assert info["originals"]
        base = f"/api/models/{info['model']}"
        answer = server.get(f"{base}/images/0/picture")
        picture = Image.open(io.BytesIO(answer.content))
        assert answer.headers["content-type"] == "image/jpeg"
        assert picture.size == (800, 1600)
        assert not picture.getexif()
        (source / "small.png").write_bytes(b"changed")  # another image now: its thumbnail is shown
        small = server.get(f"{base}/images/1/picture")
        assert Image.open(io.BytesIO(small.content)).size == (128, 128)
    with client(path, originals=Originals(FolderSource(source))) as server:
        assert Image.open(io.BytesIO(server.get(f"{base}/images/1/picture").content)).size == (128, 128)


def test_originals_are_found_by_what_they_hold(tmp_path):
    """In a copy with other times, under new names, with names exchanged; not where another image has taken the name."""
    source, copy = tmp_path / "photos", tmp_path / "copy"
    source.mkdir()
    copy.mkdir()
    pictures = {name: encoded(photo(300 + 10 * at), "PNG") for at, name in enumerate("abcdef")}
    for name, held in pictures.items():
        (source / f"{name}.png").write_bytes(held)
    collection = Collection(make_collection(tmp_path / "c", FolderSource(source), "mini"))
    names = {"a": "a", "b": "new/b", "c": "d", "d": "c", "f": "f"}  # e is gone
    (copy / "new").mkdir()
    for name, new in names.items():
        (copy / f"{new}.png").write_bytes(pictures[name])
    (copy / "f.png").write_bytes(pictures["a"])
    originals = Originals(FolderSource(copy))
    assert originals.count_lost(collection) == 1
    found = [originals.read(collection, at) for at in range(6)]
    sizes = [None if held is None else Image.open(io.BytesIO(held)).size[0] for held in found]
    assert sizes == [300, 310, 320, 330, None, None]
    assert Originals(FolderSource(source)).count_lost(collection) == 0


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_handful_of_images_without_labels(tmp_path, count):
    path = make_collection(tmp_path / "c", images(count, labelled=False))
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        view = server.get(base).json()
        assert [column["name"] for column in view["columns"]] == ["trust"]
        for each in view["maps"]:
            assert len(numbers(server.get(f"{base}/maps/{each['id']}"), "<u2")) == 2 * count
        assert len(numbers(server.get(f"{base}/maps/umap/trust"), "<f4")) == count
        assert server.get(f"{base}/maps/umap/numbers").json()["evaluation"] is None
        told = server.get(f"{base}/images/0").json()
        assert told["verdict"] is None
        assert len(told["neighbors"]) == count - 1
        assert server.get(f"{base}/findings").json()["selfTest"] is None
        answer = server.post(f"{base}/search?map=umap", content=encoded(photo(), "JPEG")).json()
        assert (len(answer["matches"]), answer["verdict"]) == (count, None)


def test_a_model_that_is_not_at_hand_is_one_sentence(tmp_path):
    path = make_collection(tmp_path / "c", images(10))
    file = next(path.glob("vectors/*/model.json"))
    write_json(file, {**read_json(file), "weights_sha256": "0" * 64})
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        answer = server.post(f"{base}/search", content=encoded(photo(), "PNG"))
        assert answer.status_code == 409
        assert "embed the images again ('dinoscope embed SOURCE" in answer.json()["error"]
        assert server.get(f"{base}/images/0").status_code == 200


def test_weights_that_are_not_here_are_told_with_the_command_that_fetches_them(tmp_path, monkeypatch):
    path = make_collection(tmp_path / "c", images(10))
    file = next(path.glob("vectors/*/model.json"))
    write_json(file, {**read_json(file), "model": "dinov2-giant"})
    monkeypatch.setattr("dinoscope.models.hub.local.find_weights", lambda _: None)
    monkeypatch.setattr("dinoscope.models.hub.download._download", None)
    with client(path) as server:
        base = f"/api/models/{server.get('/api/collection').json()['model']}"
        answer = server.post(f"{base}/search", content=encoded(photo(), "PNG"))
        assert answer.status_code == 409
        told = answer.json()["error"]
        assert "not possible yet: the weights of dinov2-giant are not on this machine" in told
        assert "'dinoscope models fetch dinov2-giant' (4,546.0 MB, licence: Apache-2.0, https://" in told


def test_arrays_and_json_are_packed(server, base):
    plain = server.get(f"{base}/rows", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    # 130 rows are not worth it, a view is
    packed = server.get(base, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(packed.content)


def test_the_page_and_its_assets(tmp_path):
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    (tmp_path / "assets").mkdir()
    (tmp_path / "report").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>explorer</title>")
    (tmp_path / "assets" / "main-1a2b.js").write_text("console.log(1)")
    (tmp_path / "report" / "report.js").write_text("not for browsers")
    app = FastAPI()
    add_page(app, tmp_path)
    server = TestClient(app)
    page = server.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-cache"
    script = server.get("/assets/main-1a2b.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "immutable" in script.headers["cache-control"]
    for name in ("report/report.js", "assets/", "assets/../index.html", "nothing", "..%2fsecret"):
        assert server.get(f"/{name}").status_code == 404 or server.get(f"/{name}").content == page.content
    bare = FastAPI()
    add_page(bare, tmp_path / "missing")
    assert "make web" in TestClient(bare).get("/").text
