"""The commands map and tune, and the pictures that they write."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from PIL import Image, ImageColor

from dinoscope import Collection
from dinoscope.analysis.maps.projection import Method
from dinoscope.analysis.maps.quality import MeasuredMap, map_quality
from dinoscope.analysis.maps.tuning import tune
from dinoscope.errors import InputError
from dinoscope.plots import maps as map_plots
from dinoscope.plots.canvas import ACCENT
from dinoscope.plots.maps import figures_of, flat_view, maps_figure, solid_map_figure, trust_map_figure, tuning_figure
from dinoscope.plots.palette import PALETTE
from dinoscope.sources.datasets.named import load_dataset

METHODS = get_args(Method)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    dataset = load_dataset("fashion-mnist-test")
    path: Path = tmp_path_factory.mktemp("maps") / "f"
    labels = [item.label for item in dataset.items[:100]]
    Collection.from_images(dataset.pixels[:100], path, labels=labels, model="mini-fashion")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_the_maps_of_a_collection_are_kept_apart_and_stored(folder):
    collection = Collection(folder)
    maps = {method: collection.map(method=method) for method in METHODS}
    assert len({coordinates.tobytes() for coordinates in maps.values()}) == 3
    again = Collection(folder)
    for method, coordinates in maps.items():
        np.testing.assert_array_equal(again.map(method=method), coordinates)
        assert again.stages["map"].stored
    collection.map(min_dist=0)
    again.map(min_dist=0.0)
    assert again.stages["map"].stored
    # a setting that a method does not have leaves its result alone
    np.testing.assert_array_equal(again.map(method="pca", n_neighbors=5, seed=1), maps["pca"])
    assert again.stages["map"].stored
    again.map(method="tsne", perplexity=10)
    assert not again.stages["map"].stored


def test_the_settings_of_a_umap_map_are_those_of_earlier_versions(folder):
    collection = Collection(folder)
    collection.map()
    assert collection.stages["map"].settings == {"method": "umap", "n_neighbors": 15, "min_dist": 0.1, "seed": 42}
    with pytest.raises(InputError, match="method must be one of umap, tsne, pca, got 'pcaa'; did you mean 'pca'"):
        collection.map(method="pcaa")  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_map_by_each_method(run, folder, tmp_path, method):
    assert run("map", folder, "--method", method, "-o", tmp_path / "map.csv")[0] == 0
    found = [[float(row["x"]), float(row["y"])] for row in rows_of(tmp_path / "map.csv")]
    np.testing.assert_allclose(found, Collection(folder).map(method=method), rtol=1e-5)


def test_json_does_not_keep_a_file_from_being_written(run, folder, tmp_path):
    code, out, _ = run("map", folder, "--method", "pca", "--json", "-o", tmp_path / "map.csv")
    assert code == 0
    assert [str(each["x"]) for each in json.loads(out)] == [row["x"] for row in rows_of(tmp_path / "map.csv")]


def test_map_compare_as_picture_table_and_json(run, folder, tmp_path):
    code, out, _ = run("map", folder, "--compare", "umap, tsne,pca,umap")
    assert code == 0
    assert out.splitlines()[-1] == str(folder / "maps.png")
    assert "neighbours kept, of 15" in out
    with Image.open(folder / "maps.png") as picture:
        assert picture.width > 2 * picture.height > 1000
    found = json.loads(run("map", folder, "--compare", "umap,tsne,pca", "--json")[1])
    assert [each["method"] for each in found] == ["umap", "tsne", "pca"]
    assert found[0]["title"] == "UMAP, 15 neighbours, min_dist 0.1"
    assert found[1]["title"] == "t-SNE, perplexity 30"
    collection = Collection(folder)
    expected = map_quality(collection.vectors, collection.map(method="tsne"), labels=collection.labels)
    assert found[1]["figures"] == pytest.approx(figures_of(expected))
    assert run("map", folder, "--compare", "pca,umap", "-o", tmp_path / "maps.csv")[0] == 0
    table = rows_of(tmp_path / "maps.csv")
    assert list(table[0]) == ["row", "id", "label", "pca_x", "pca_y", "umap_x", "umap_y"]
    assert len(table) == 100


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "tnse"], "method must be one of umap, tsne, pca, got 'tnse'; did you mean 'tsne'?"),
        (["--compare", "umap,"], "method must be one of umap, tsne, pca, got ''"),
        (
            ["--compare", "umap,pca", "--images"],
            "--images draws one map of two axes: leave it, or --compare and --dims, out",
        ),
        (["--dims", "3", "--images"], "--images draws one map of two axes: leave it, or --compare and --dims, out"),
        (["-o", "map.docx"], "cannot write 'map.docx': expected a name that ends with .png, .csv or .npz"),
    ],
)
def test_map_says_in_one_line_what_cannot_work(run, folder, options, message):
    assert run("map", folder, *options) == (1, "", f"dinoscope: {message}\n")


def test_tune_as_table_sheet_csv_and_json(run, folder, tmp_path):
    options = ["--n-neighbors", "5,15", "--min-dist", "0.1,0.8", "--seeds", "2", "--sample", "80"]
    code, out, err = run("tune", folder, *options)
    assert code == 0
    assert "recommended" in out
    assert out.splitlines()[-1].startswith(("Take n_neighbors", "Stay with the default"))
    assert "on 80 images" in err
    assert err.splitlines()[-1] == str(folder / "tune.png")
    with Image.open(folder / "tune.png") as picture:
        assert min(picture.size) > 800
    assert run("tune", folder, *options, "-o", tmp_path / "tune.csv")[0] == 0
    table = rows_of(tmp_path / "tune.csv")
    assert [(row["n_neighbors"], row["min_dist"]) for row in table] == [
        ("5", "0.1"),
        ("5", "0.8"),
        ("15", "0.1"),
        ("15", "0.8"),
    ]
    found = json.loads(run("tune", folder, *options, "--json")[1])
    assert (found["images"], found["k"], found["aim"]) == (80, 15, "silhouette")
    assert found["verdict"] == out.splitlines()[-1]
    assert sum(each["recommended"] for each in found["settings"]) == 1
    assert [each["default"] for each in found["settings"]] == [False, False, True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--n-neighbors", "5,many"], "--n-neighbors must be whole numbers with commas between, got '5,many'"),
        (["--min-dist", "0,1.5"], "min_dist must lie between 0 and 1, got 1.5"),
        (["-o", "tune.json"], "cannot write 'tune.json': expected a name that ends with .png or .csv"),
    ],
)
def test_tune_says_in_one_line_what_cannot_work(run, folder, options, message):
    assert run("tune", folder, *options) == (1, "", f"dinoscope: {message}\n")


def test_two_images_have_a_comparison_without_figures(run, tmp_path):
    pixels = load_dataset("fashion-mnist-test").pixels[:2]
    Collection.from_images(pixels, tmp_path / "two", model="mini-fashion")
    code, out, _ = run("map", tmp_path / "two", "--compare", "umap,tsne,pca")
    assert (code, out.strip()) == (0, str(tmp_path / "two" / "maps.png"))
    code, _, err = run("tune", tmp_path / "two")
    assert (code, err) == (1, "dinoscope: vectors must have at least 6 rows, got 2; add items\n")


# --- pictures --------------------------------------------------------------------------------------------------------


def nearest(picture: bytes, color: str) -> int:
    """Return the smallest distance of any pixel to a colour."""
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB")).astype(int)
    return int(np.abs(pixels - ImageColor.getrgb(color)[:3]).max(axis=2).min())


def panels(count: int, quality: Any = None) -> list[MeasuredMap]:
    draw = np.random.default_rng(0)
    return [
        MeasuredMap("umap", draw.normal(size=(60, 2)).astype(np.float32), f"map {n}", quality) for n in range(count)
    ]


def test_a_comparison_grows_with_its_maps_and_paints_a_group_alike():
    groups = np.arange(60) % 2
    one, two = (maps_figure(panels(n), groups, ["a", "b"], title="Title") for n in (1, 2))
    sizes = [Image.open(io.BytesIO(picture)).size for picture in (one, two)]
    assert sizes[0][1] == sizes[1][1]
    assert sizes[1][0] > sizes[0][0] + 800
    assert nearest(two, PALETTE[0]) < 12
    assert nearest(two, PALETTE[1]) < 12
    assert maps_figure(panels(2), groups, ["a", "b"], title="Title") == two
    assert nearest(maps_figure(panels(2), [-1] * 60, [], title="Title", dark=True), "#15171c") == 0


def test_figures_take_room_under_the_maps():
    vectors = np.random.default_rng(1).normal(size=(60, 4))
    quality = map_quality(vectors, vectors[:, :2], labels=["a", "b"] * 30)
    assert len(figures_of(quality)) == 6
    assert len(figures_of(replace(quality, silhouette_map=None))) == 4
    sizes = [
        Image.open(io.BytesIO(maps_figure(panels(2, each), [-1] * 60, [], title="Title"))).height
        for each in (None, quality)
    ]
    assert sizes[1] > sizes[0] + 200


def test_the_best_of_a_line_are_all_that_print_alike():
    best = map_plots._best([{"a": 0.8889, "b": 0.5}, {"a": 0.8891, "b": 0.5}, {"a": 0.1, "b": 0.5}])
    assert best == {"a": "0.889"}  # nothing is best where all are alike


def test_the_verdict_has_room_on_a_narrow_sheet():
    vectors = np.random.default_rng(0).normal(size=(30, 5))
    found = tune(vectors, n_neighbors=(15,), min_dist=(0.1,), seeds=1)
    heights = [
        Image.open(io.BytesIO(tuning_figure(replace(found, verdict=text), [-1] * 30, [], title="Title"))).height
        for text in ("short", "words " * 40)
    ]
    assert heights[1] > heights[0] + 100


def test_pictures_say_what_does_not_fit():
    with pytest.raises(InputError, match="there is nothing to draw"):
        maps_figure([], [], [], title="Title")
    with pytest.raises(InputError, match=r"groups must have shape \(60,\)"):
        maps_figure(panels(1), [0], ["a"], title="Title")


def test_the_sheet_frames_the_recommended_map():
    vectors = np.random.default_rng(0).normal(size=(30, 5))
    found = tune(vectors, n_neighbors=(5,), min_dist=(0.1, 0.5), seeds=1)
    sheet = tuning_figure(found, [-1] * 30, [], title="Title")
    assert sheet.startswith(b"\x89PNG")
    assert nearest(sheet, ACCENT[False]) == 0
    other = tuning_figure(replace(found, recommended=replace(found.recommended)), [-1] * 30, [], title="Title")
    assert nearest(other, ACCENT[False]) > 20  # a setting that is not on the sheet has no frame


def test_a_map_of_three_axes_is_written_as_picture_table_and_arrays(run, folder, tmp_path):
    expected = Collection(folder).map(dims=3)
    for suffix in ("png", "csv", "npz"):
        path = tmp_path / f"map.{suffix}"
        assert run("map", folder, "--dims", "3", "-o", path) == (0, f"{path}\n", "")
    assert Image.open(io.BytesIO((tmp_path / "map.png").read_bytes())).width > 1500
    rows = rows_of(tmp_path / "map.csv")
    np.testing.assert_allclose([[float(row[axis]) for axis in "xyz"] for row in rows], expected, atol=1e-6)
    with np.load(tmp_path / "map.npz") as file:
        arrays = dict(file)
    np.testing.assert_array_equal(arrays["coordinates"], expected)
    assert arrays["ids"].tolist() == [row["id"] for row in rows]
    assert arrays["labels"].tolist() == [row["label"] for row in rows]
    code, out, _ = run("map", folder, "--dims", "3", "--json")
    assert code == 0
    assert set(json.loads(out)[0]) == {"row", "id", "label", "x", "y", "z"}
    assert run("map", folder, "--dims", "3", "--compare", "umap,pca", "-o", tmp_path / "both.png")[0] == 0


def test_a_solid_is_seen_with_its_longest_axis_first():
    draw = np.random.default_rng(0)
    points = draw.normal(size=(200, 3)) * (1, 9, 3)
    views = [solid_map_figure(each, np.zeros(200), ["a"], title="Title") for each in (points, points[:, [1, 2, 0]])]
    assert views[0] == views[1]  # how the axes were called before makes no difference
    flat = flat_view(points)
    assert flat.shape == (200, 2)
    assert np.ptp(flat[:, 0]) > np.ptp(flat[:, 1])
    np.testing.assert_array_equal(flat_view(points[:, :2]), points[:, :2])
    with pytest.raises(InputError, match=r"shape \(N, 3\), got shape \(200, 2\)"):
        solid_map_figure(points[:, :2], np.zeros(200), ["a"], title="Title")


def test_trust_is_drawn_from_violet_to_amber_over_the_range_that_there_is():
    """As the explorer colours it: the least that any image kept is violet, the most amber."""
    points = np.random.default_rng(0).normal(size=(300, 2))
    points[150:, 0] += 20
    pictures = [
        np.asarray(Image.open(io.BytesIO(trust_map_figure(points, np.repeat(ends, 150)))))
        for ends in ((0, 1), (0.4, 0.6))
    ]
    for picture in pictures:
        across = picture.shape[1] // 2
        above = slice(0, picture.shape[0] * 3 // 4)
        for half, more, less in ((picture[above, :across], 2, 0), (picture[above, across:], 0, 2)):
            drawn = half[half[..., 3] > 200]
            assert len(drawn) > 100
            assert (drawn[:, more].astype(int) > drawn[:, less]).all()
    with pytest.raises(InputError, match="groups must have shape"):
        trust_map_figure(points, np.zeros(5))
