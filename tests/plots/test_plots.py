"""Still pictures: sizes, colours, places, and arrays that do not fit."""

import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray
from PIL import Image, ImageColor

from dinoscope.errors import InputError
from dinoscope.plots import canvas
from dinoscope.plots.canvas import fit, frame, new_figure, write_names
from dinoscope.plots.collection import collection_map
from dinoscope.plots.image_map import Tiles, image_map_figure, pick_tiles
from dinoscope.plots.map import curve_figure, map_figure
from dinoscope.plots.palette import OTHER, PALETTE, group_colors, label_groups


def decode(picture: bytes, background: str = "#ffffff") -> NDArray[Any]:
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    page = Image.new("RGBA", image.size, background)
    page.alpha_composite(image)
    return np.asarray(page.convert("RGB")).astype(int)


def nearest(pixels: NDArray[Any], color: str) -> int:
    """Return the smallest distance of any pixel to a colour."""
    return int(np.abs(pixels - ImageColor.getrgb(color)[:3]).max(axis=2).min())


def draw(groups: Any, names: list[str], **settings: Any) -> bytes:
    return map_figure(groups[0], groups[1], names, **settings)


@pytest.fixture
def two_groups():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal((-5, 0), 0.5, (80, 2)), rng.normal((5, 0), 0.5, (40, 2))])
    return points, np.repeat([0, 1], [80, 40])


def test_map_is_a_png_of_the_stated_width(two_groups):
    picture = draw(two_groups, ["a", "b"], title="Title", width=6.0)
    assert picture.startswith(b"\x89PNG")
    assert Image.open(io.BytesIO(picture)).width == 1200


def test_groups_are_drawn_in_their_colours_at_their_places(two_groups):
    pixels = decode(draw(two_groups, ["", ""], legend=False, colors=["#c03054", "#189c90"]))
    middle = pixels.shape[1] // 2
    # points are a little transparent, so their colours are lighter than named, and exact where they lie on each other
    assert nearest(pixels[:, :middle], "#c03054") < 12
    assert nearest(pixels[:, middle:], "#189c90") < 12
    assert nearest(pixels[:, :middle], "#189c90") > 40
    assert nearest(pixels[:, middle:], "#c03054") > 40


def test_both_axes_have_one_scale():
    square = np.asarray([(x, y) for x in (0.0, 1.0) for y in (0.0, 1.0)])
    pixels = decode(map_figure(square, [0] * 4, [""], legend=False))
    rows, columns = np.nonzero((pixels < 200).any(axis=2))
    assert np.ptp(rows) == pytest.approx(np.ptp(columns), abs=4)


def test_points_without_a_group_are_grey(two_groups):
    points, _ = two_groups
    pixels = decode(map_figure(points, np.full(len(points), -1), [], legend=False))
    drawn = pixels[(pixels < 250).any(axis=2)]
    assert len(drawn) > 0
    assert (np.ptp(drawn, axis=1) < 20).all()


def test_names_and_legend_are_drawn(two_groups):
    def ink(picture: bytes) -> int:
        return int((decode(picture).max(axis=2) < 60).sum())

    bare = ink(draw(two_groups, ["", ""], legend=False))
    named = ink(draw(two_groups, ["left", "right"], legend=False))
    listed = ink(draw(two_groups, ["left", "right"], legend=True))
    assert bare < named < listed


@pytest.mark.parametrize("name", ["$x^2$ 5$", "_hidden", "猫と犬", "<b>&", "x" * 300, "a\nb", "\\alpha", "🦖"])
def test_any_name_can_be_drawn(two_groups, name):
    for format in ("png", "svg"):
        assert draw(two_groups, [name, "b"], title=name, format=format)


def test_names_beginning_with_an_underscore_are_in_the_legend(two_groups):
    plain, hidden = (decode(draw(two_groups, [name, "b"])) for name in ("abc", "_abc"))
    side = int(plain.shape[1] * 0.75)
    blue = "#3078cc"
    assert nearest(plain[:, side:], blue) < 5
    assert nearest(hidden[:, side:], blue) < 5


def test_a_dark_page_gets_light_ink(two_groups):
    light = decode(draw(two_groups, ["a", "b"]), "#ffffff")
    dark = decode(draw(two_groups, ["a", "b"], dark=True), "#15171c")
    assert light.min() < 60
    assert dark.max() > 220
    assert dark[0, 0].tolist() == [0x15, 0x17, 0x1C]  # transparent


def test_svg_stays_small_and_is_the_same_each_time():
    points = np.random.default_rng(0).normal(size=(50_000, 2))
    first, second = (map_figure(points, np.zeros(50_000), ["all"], format="svg") for _ in range(2))
    assert first == second
    assert len(first) < 2_000_000
    assert ElementTree.fromstring(first).tag.endswith("svg")


def test_threads_draw_the_same_svg():
    points = np.random.default_rng(0).normal(size=(300, 2))
    alone = map_figure(points, np.arange(300) % 3, list("abc"), format="svg")
    with ThreadPoolExecutor(6) as pool:
        drawn = pool.map(lambda _: map_figure(points, np.arange(300) % 3, list("abc"), format="svg"), range(12))
        assert set(drawn) == {alone}
    assert rcParams["svg.hashsalt"] is None


def test_webp_is_smaller_than_png():
    points = np.random.default_rng(0).normal(size=(5000, 2))
    groups = np.arange(5000) % 7
    png, webp = (map_figure(points, groups, list("abcdefg"), format=each) for each in ("png", "webp"))
    assert webp[:4] == b"RIFF"
    assert len(webp) < len(png)


@pytest.mark.parametrize(
    ("coordinates", "groups", "format", "message"),
    [
        (np.zeros((3, 3)), np.zeros(3), "png", r"shape \(N, 2\), got shape \(3, 3\)"),
        (np.full((3, 2), np.nan), np.zeros(3), "png", "finite"),
        (np.zeros((0, 2)), np.zeros(0), "png", r"shape \(0, 2\)"),
        (np.zeros((3, 2)), np.zeros(2), "png", r"groups must have shape \(3,\)"),
        (np.zeros((3, 2)), [0, 1, 2], "png", "below 1, got 0 to 2"),
        (np.zeros((3, 2)), np.zeros(3), "jpeg", "format must be .* got 'jpeg'"),
    ],
)
def test_arrays_that_do_not_fit(coordinates, groups, format, message):
    with pytest.raises(InputError, match=message):
        map_figure(coordinates, groups, ["a"], format=format)


def test_one_point_and_equal_points_can_be_drawn():
    assert map_figure([[3.0, 4.0]], [0], ["a"])
    assert map_figure(np.ones((50, 2)), [0] * 50, ["a"])


def test_up_to_twenty_groups_have_colours_of_their_own():
    assert len(set(group_colors([5] * 20))) == 20
    assert group_colors([]) == []
    sizes = np.arange(30)[::-1] + 1
    colors = group_colors(sizes)
    assert OTHER not in colors[:20]
    assert set(colors[20:]) == {OTHER}


def test_palette_stands_out_from_both_pages():
    assert len(set(PALETTE)) == 20
    for color, page in itertools.product((*PALETTE, OTHER), ("#ffffff", "#15171c")):
        assert contrast(color, page) > 1.8, (color, page)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""

    def luminance(color: str) -> float:
        part = np.asarray(ImageColor.getrgb(color)[:3]) / 255
        light = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        return float(light @ [0.2126, 0.7152, 0.0722])

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_names_are_moved_apart():
    boxes = np.asarray([[0, 0, 10, 4], [2, 1, 12, 5], [1, 0, 9, 4], [50, 0, 60, 4]], float)
    shift = canvas._spread(boxes)
    moved = boxes + np.column_stack([np.zeros(4), shift, np.zeros(4), shift])
    for a, b in itertools.combinations(moved[:3], 2):
        assert min(a[3], b[3]) <= max(a[1], b[1])
    assert shift[3] == 0


def test_names_stay_in_the_picture_and_apart():
    boxes = np.asarray([[0, 5, 10, 9], [2, 1, 12, 5], [1, -8, 9, -4], [3, -2, 9, 2], [50, 58, 60, 62]], float)
    shift = canvas._keep_inside(boxes, np.zeros(5), 0, 60)
    moved = boxes + np.column_stack([np.zeros(5), shift, np.zeros(5), shift])
    assert moved[:, 1].min() >= 0
    assert moved[:, 3].max() <= 60
    for a, b in itertools.combinations(moved[:4], 2):
        assert min(a[3], b[3]) <= max(a[1], b[1])
    np.testing.assert_array_equal(canvas._keep_inside(moved, np.zeros(5), 0, 60), np.zeros(5))


@pytest.mark.parametrize("corner", [(-5.0, -5.0), (5.0, 5.0)])
def test_many_names_of_one_place_are_whole(corner):
    names = [f"a long name {i}" for i in range(16)]
    points = np.concatenate([[[-5.0, -5.0], [5.0, 5.0]], np.tile(corner, (64, 1))])
    figure = new_figure(8, 7)
    axes = figure.add_axes((0.1, 0.1, 0.7, 0.8))
    frame(figure, axes, points)
    members = np.concatenate([[-1, -1], np.arange(64) % 16])
    write_names(figure, axes, points, members, names, PALETTE, False)
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = np.asarray([text.get_window_extent(renderer).extents for text in axes.texts])
    left, bottom, right, top = axes.bbox.extents
    assert (boxes[:, :2] >= (left - 0.1, bottom - 0.1)).all()
    assert (boxes[:, 2:] <= (right + 0.1, top + 0.1)).all()
    assert (np.diff(np.sort(boxes[:, 1])) >= np.ptp(boxes[:, [1, 3]], axis=1).min() - 0.1).all()


def test_a_long_title_is_made_smaller():
    figure = new_figure(6, 2)
    short, long = (figure.text(0, at, "title " * count, fontsize=14) for at, count in ((0, 2), (0.5, 40)))
    for text in (short, long):
        fit(figure, text, 5)
    assert short.get_fontsize() == 14
    assert long.get_window_extent(FigureCanvasAgg(figure).get_renderer()).width <= 5.2 * figure.dpi


def test_a_name_does_not_stand_among_others():
    rng = np.random.default_rng(0)
    left, middle, right = (rng.normal((x, 0), 0.4, (100, 2)) for x in (-10, 0, 10))
    points, groups = np.concatenate([left, middle, right]), np.repeat([0, 1, 0], 100)
    x, _ = canvas._seat(points, groups == 0)
    assert abs(abs(x) - 10) < 2
    assert canvas._seat(points, groups == 1) == pytest.approx(np.median(middle, axis=0))


def test_labels_are_numbered_by_name():
    members, names = label_groups(np.asarray(["b", None, "a", "b"], object))
    assert members.tolist() == [1, -1, 0, 1]
    assert names == ["a", "b"]
    assert label_groups(np.asarray([None, None], object))[1] == []


def test_collection_map_is_coloured_by_label_or_by_cluster(two_groups, monkeypatch):
    points, groups = two_groups

    class Things(SimpleNamespace):
        name, model, condition = "things", {"model": "mini"}, None

        def __len__(self):
            return len(points)

    monkeypatch.setattr("dinoscope.plots.collection.shown_clusters", lambda _collection: groups.astype(np.int64))
    labelled = Things(labels=np.where(groups, "b", "a").astype(object))
    bare = Things(labels=np.full(len(points), None, object))
    for each, first in ((labelled, 0), (bare, 10)):  # no cluster seems to be a label
        pixels = decode(collection_map(each, points))  # type: ignore[arg-type]
        assert nearest(pixels, PALETTE[first]) < 12
        assert nearest(pixels, PALETTE[first + 1]) < 12


def test_curve_marks_the_chosen_k():
    curve = [(2, 0.1), (3, 0.4), (4, 0.2)]
    best, other = curve_figure(curve, width=4.0), curve_figure(curve, chosen=4, width=4.0)
    assert Image.open(io.BytesIO(best)).width == 800
    assert best != other
    assert best == curve_figure(curve, chosen=3, width=4.0)
    assert curve_figure([(2, 0.1)], format="svg").lstrip().startswith(b"<?xml")


@pytest.mark.parametrize(("curve", "chosen"), [([], None), ([(2, 0.1)], 5)])
def test_curve_needs_the_chosen_k(curve, chosen):
    with pytest.raises(InputError, match="chosen must be a k of the curve"):
        curve_figure(curve, chosen=chosen)


def test_tiles_do_not_overlap_and_keep_their_places():
    points = np.random.default_rng(1).normal(size=(3000, 2)) * (3, 1)
    tiles = pick_tiles(points, 200)
    assert 120 < len(tiles.positions) < 320
    assert len(np.unique(tiles.cells, axis=0)) == len(tiles.cells)
    assert len(np.unique(tiles.positions)) == len(tiles.positions)
    assert (tiles.cells < (tiles.columns, tiles.rows)).all()
    assert (tiles.cells >= 0).all()
    x, y = points[tiles.positions].T
    assert np.corrcoef(x, tiles.cells[:, 0])[0, 1] > 0.98
    assert np.corrcoef(y, tiles.cells[:, 1])[0, 1] < -0.98  # rows count from the top


@pytest.mark.parametrize("points", [[[0.0, 0.0]], np.ones((9, 2)), [[0.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 9.0]]])
def test_tiles_of_few_points(points):
    tiles = pick_tiles(points)
    assert len(tiles.positions) == len(np.unique(points, axis=0))
    picture = image_map_figure(tiles, [np.zeros((4, 4), np.uint8)] * len(tiles.positions), tile=10)
    assert Image.open(io.BytesIO(picture)).size == (10 * tiles.columns, 10 * tiles.rows)


def test_tiles_refuse_nonsense():
    with pytest.raises(InputError, match="count must be at least 1"):
        pick_tiles([[0.0, 0.0]], 0)
    with pytest.raises(InputError, match="finite"):
        pick_tiles([[0.0, np.inf]])


def test_image_map_puts_each_image_in_its_cell():
    tiles = Tiles(np.asarray([0, 1]), np.asarray([[0, 1], [2, 0]]), 3, 2)
    red, wide = np.zeros((8, 8, 3), np.uint8), np.zeros((10, 40), np.uint8)
    red[..., 0] = 255
    out = io.BytesIO()
    Image.fromarray(wide).save(out, "PNG")
    picture = image_map_figure(tiles, [red, out.getvalue()], tile=40, colors=["#00ff00", "#0000ff"])
    pixels = decode(picture)
    assert pixels.shape == (80, 120, 3)
    assert pixels[55, 20].tolist() == [255, 0, 0]
    assert pixels[18, 99].tolist() == [0, 0, 0]
    assert pixels[4, 99].tolist() == [255, 255, 255]  # a wide image is fitted, not cut
    assert pixels[77, 20].tolist() == [0, 255, 0]
    assert pixels[10, 20].tolist() == [255, 255, 255]
    with pytest.raises(InputError, match="one for each of 2 tiles, got 1"):
        image_map_figure(tiles, [red])
    with pytest.raises(InputError, match="format"):
        image_map_figure(tiles, [red, red], format="svg")


def test_a_notebook_shows_a_picture_and_prints_none_of_its_bytes():
    points = [[0.0, 0.0], [1.0, 1.0]]
    drawn = {kind: map_figure(points, [0, 0], ["a"], format=kind) for kind in ("png", "webp", "svg")}
    assert drawn["png"]._repr_png_() == bytes(drawn["png"])
    assert drawn["webp"]._repr_png_() is None
    assert "<svg" in str(drawn["svg"]._repr_svg_())
    assert drawn["png"]._repr_svg_() is None
    assert repr(drawn["webp"]) == f"Picture(WebP, {len(drawn['webp']):,} bytes)"
