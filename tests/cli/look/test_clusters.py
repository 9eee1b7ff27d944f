import io
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.clusters.clustering import kmeans
from dinoscope.base.digests import digest_json
from dinoscope.errors import InputError
from dinoscope.plots.clusters import cluster_label_figure, cluster_picture, match_order
from dinoscope.sources.datasets.named import load_dataset


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    dataset = load_dataset("fashion-mnist-test")
    labels = [item.label for item in dataset.items[:120]]
    path = tmp_path_factory.mktemp("clusters") / "c"
    Collection.from_images(dataset.pixels[:120], path, model="mini-fashion", labels=labels)
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A collection without labels."""
    path = tmp_path_factory.mktemp("plain") / "c"
    Collection.from_images(load_dataset("fashion-mnist-test").pixels[:40], path, model="mini-fashion")
    return path


def test_the_table_the_csv_and_json_tell_the_same(run, collection, tmp_path):
    code, out, err = run("cluster", collection, "-k", 4, "--json", "-o", tmp_path / "c.csv")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert [each["cluster"] for each in result["clusters"]] == [0, 1, 2, 3]
    assert sum(each["size"] for each in result["clusters"]) == 120
    assert (result["method"], result["space"], result["no_cluster"], result["nulls"]) == ("kmeans", "embedding", 0, [])
    rows = [line.split(",") for line in (tmp_path / "c.csv").read_text().splitlines()]
    assert rows[0] == ["row", "id", "label", "cluster"]
    assert sum(row[-1] == "0" for row in rows[1:]) == result["clusters"][0]["size"]
    first = result["clusters"][0]
    assert first["purity"] == pytest.approx(first["labels"][0][1] / first["size"])
    assert {"stability", "weak"}.isdisjoint(first)
    out = run("cluster", collection, "-k", 4)[1]
    assert "4 clusters, silhouette" in out
    assert "stability" not in out
    assert f"{first['cohesion']:.2f}" in out


def test_stability_and_nulls(run, collection):
    result = json.loads(run("cluster", collection, "-k", 3, "--stability", "--nulls", "--json")[1])
    assert [null["name"] for null in result["nulls"]] == ["shuffled features"] * 2 + ["pixels", "untrained network"]
    assert all(null["clusters"] == 3 and 0 <= null["stability"] <= 1 for null in result["nulls"])
    assert result["nmi"] > max(null["nmi"] for null in result["nulls"][:2])
    for each in result["clusters"]:
        assert 0 <= each["stability"] <= 1
        assert each["weak"] in (True, False)
        assert set(each["also_in"]) <= {"pixels", "untrained network"}
    out = run("cluster", collection, "-k", 3, "--stability", "--nulls")[1]
    for words in ("weak?", "also in", "stability   accuracy", "labels (accuracy, NMI, AMI, ARI)", "untrained network"):
        assert words in out


def test_on_a_narrow_terminal_nothing_is_cut_off(run, collection, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    out = re.sub(r"\x1b\[\d*m", "", run("cluster", collection, "-k", 3, "--stability", "--nulls")[1])
    assert "…" not in out
    assert max(map(len, out.splitlines())) <= 80
    for words in ("weak?", "also in", "medoid", "most common labels", "stability", "ARI"):
        assert words in out


def test_what_cannot_be_told_of_one_cluster_is_left_empty(run, collection):
    out = run("cluster", collection, "-k", 1)[1]
    assert "nan" not in out
    assert "purity" in out


def test_purity_is_of_the_labelled_images(run, collection, tmp_path):
    note = "purity is of the images with a label"
    assert note not in run("cluster", collection, "-k", 3)[1]
    labels = [None if at % 3 else "a" for at in range(60)]
    pixels = load_dataset("fashion-mnist-test").pixels[:60]
    Collection.from_images(pixels, tmp_path / "c", model="mini-fashion", labels=labels)
    assert note in run("cluster", tmp_path / "c", "-k", 3)[1]


def test_clusters_of_which_the_nulls_sample_holds_nothing(collection, monkeypatch):
    monkeypatch.setattr("dinoscope.stages.clusters._NULL_IMAGES", 30)
    for k in (26, 28):
        judged = Collection(collection).judge(k, nulls=True)
        assert len(judged.also_in) == k
        if len(judged.nulls[0].match) < k:
            return
    pytest.fail("the sample holds the last cluster every time")


@pytest.mark.parametrize("method", ["kmeans", "ward", "hdbscan"])
def test_every_method_in_the_umap(run, collection, method):
    code, out, _ = run("cluster", collection, "--method", method, "--space", "umap", "--json")
    result = json.loads(out)
    assert code == 0
    assert result["space"] == "umap"
    assert sum(each["size"] for each in result["clusters"]) + result["no_cluster"] == 120
    assert bool(result["curve"]) == (method != "hdbscan")
    assert run("cluster", collection, "--method", method, "--space", "umap", "--json")[1] == out


def test_images_without_a_cluster_are_told(run, plain):
    assert json.loads(run("cluster", plain, "--method", "hdbscan", "--json")[1])["space"] == "umap"
    code, out, _ = run("cluster", plain, "--method", "hdbscan", "--space", "embedding")
    assert code == 0
    left_out = json.loads(run("cluster", plain, "--method", "hdbscan", "--space", "embedding", "--json")[1])[
        "no_cluster"
    ]
    assert left_out > 0
    assert f"{left_out} of 40 images are in no cluster" in out


def test_the_picture(run, collection, plain, tmp_path):
    sizes = []
    for args in ((collection, "-k", 4), (collection,), (plain,)):
        assert run("cluster", *args, "-o", tmp_path / "c.png", "-o", tmp_path / "c.csv")[0] == 0
        with Image.open(tmp_path / "c.png") as picture:
            sizes.append(picture.size)
    assert min(min(size) for size in sizes) > 400
    code, out, err = run("cluster", plain, "-k", 4, "-o", tmp_path / "d.png")
    assert (code, out) == (1, "")
    assert err.startswith("dinoscope: there is nothing to draw: the images have no labels")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("-o", "c.docx"), "cannot write 'c.docx': expected a name that ends with .csv or .png"),
        (("--method", "hdbscan", "-k", "3"), "hdbscan finds the number of clusters itself, got k=3"),
        (("-k", "500"), "k must be a whole number, between 1 and 120"),
    ],
)
def test_expected_errors_are_one_line(run, collection, args, message):
    code, out, err = run("cluster", collection, *args)
    assert (code, out) == (1, "")
    assert err.startswith(f"dinoscope: {message}")
    assert err.count("\n") == 1


def test_stored_clusters_of_plain_k_means_stay_valid(collection):
    opened = Collection(collection)
    plain, ward = opened.clusters(5), opened.clusters(5, method="ward")
    assert opened.stages["clusters"].settings == {"method": "ward", "space": "embedding", "k": 5, "seed": 0}
    np.testing.assert_array_equal(plain.labels, kmeans(opened.vectors, 5).labels)
    again = Collection(collection)
    np.testing.assert_array_equal(again.clusters(5).labels, plain.labels)
    settings = {"method": "kmeans", "k": 5, "seed": 0}  # what keys were made of before there were other methods
    assert again.stages["clusters"].settings == settings
    assert (
        collection / "results" / "clusters" / f"{digest_json('clusters', 2, again.results.state, settings)}.parquet"
    ).exists()
    assert again.stages["clusters"].stored
    np.testing.assert_allclose(again.clusters(5, method="ward").centers, ward.centers, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2])
def test_tiny_collections(tmp_path, count):
    images = np.zeros((count, 28, 28), np.uint8)  # two of them are identical
    opened = Collection.from_images(images, tmp_path / "c", model="mini-fashion")
    for method in ("kmeans", "ward", "hdbscan"):
        for space in ("embedding", "umap"):
            assert opened.clusters(method=method, space=space).labels.tolist() == [0] * count


def test_the_best_match_stands_on_the_diagonal():
    counts = [[0, 9, 1], [5, 1, 0], [1, 8, 0], [2, 2, 30]]
    rows, columns = match_order(counts)
    assert (rows.tolist(), columns.tolist()) == ([3, 0, 1, 2], [2, 1, 0])
    rows, columns = match_order(np.transpose(counts))
    assert columns.tolist() == [3, 0, 1, 2]


def test_the_curve_of_a_mixture_that_lost_a_cluster_is_drawn():
    lost = replace(kmeans(np.eye(3), 2), curve=((3, 0.1), (4, 0.2)))  # two clusters found for k = 4
    assert cluster_picture(lost, [None] * 3)


def test_heat_maps_of_odd_shapes():
    many = np.ones((70, 50), int)
    names = [f"a label with a long name {number} $x$" for number in range(50)]
    clusters = [f"cluster {number}" for number in range(70)]
    for picture in (
        cluster_label_figure(many, clusters, names, apart=1, title="a $title$ with 字"),
        cluster_label_figure([[0]], ["cluster 0"], ["only"]),
        cluster_label_figure(many[:1, :3], ["no cluster"], names[:3], apart=1),
    ):
        assert min(Image.open(io.BytesIO(picture)).size) > 100
    small = many[:2, :3], clusters[:2], names[:3]
    assert cluster_label_figure(*small) == cluster_label_figure(*small)
    with pytest.raises(InputError, match=r"counts must have shape \(1, 2\), one or more each, got \(2, 1\)"):
        cluster_label_figure([[1], [2]], ["a"], ["b", "c"])
    with pytest.raises(InputError, match="nothing to draw"):
        cluster_picture(kmeans(np.eye(2), 2), [None, None])
