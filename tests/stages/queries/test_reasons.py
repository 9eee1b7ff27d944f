"""What makes images alike: the squares against their definition, a model whose reasons are known, and the commands."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.explain.occlusion import CELLS, COUNT, heat_map, hide_squares, square_boxes
from dinoscope.errors import InputError
from dinoscope.plots.sheets import light_up
from dinoscope.sources.datasets.named import load_dataset


@pytest.mark.parametrize("size", [(28, 28), (64, 48), (5, 300), (1, 1)])
def test_squares_cover_the_image(size):
    width, height = size
    covered = np.zeros((height, width), int)
    for left, top, across, down in square_boxes(width, height).tolist():
        assert left >= 0
        assert top >= 0
        assert across > 0
        assert down > 0
        assert left + across <= width
        assert top + down <= height
        covered[top : top + down, left : left + across] += 1
    assert covered.min() >= 1


def edge_colour(image):
    edges = [tuple(image[y, x]) for y in range(len(image)) for x in (0, image.shape[1] - 1)]
    edges += [tuple(image[y, x]) for x in range(image.shape[1]) for y in (0, len(image) - 1)]
    return np.floor(np.median(edges, axis=0)).astype(np.uint8)


def test_hidden_is_the_square_and_nothing_else():
    image = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    hidden = hide_squares(image)
    assert hidden.shape == (COUNT, 40, 30, 3)
    for picture, (left, top, width, height) in zip(hidden, square_boxes(30, 40).tolist(), strict=True):
        inside = np.zeros((40, 30), bool)
        inside[top : top + height, left : left + width] = True
        assert (picture[~inside] == image[~inside]).all()
        assert (picture[inside] == edge_colour(image)).all()


def test_heat_is_the_mean_fall_of_the_squares_that_hide_a_place():
    falls = np.random.default_rng(1).normal(size=COUNT)
    fine = 1600  # as fine as that, a cell is 100 x 100 places, and the mean over them is written out
    total, weight = np.zeros((fine, fine)), np.zeros((fine, fine))
    for fall, y, x in zip(falls, *np.divmod(np.arange(COUNT), 7), strict=True):
        (top, bottom), (left, right) = (
            (round(fine * max(0, at / 6 - 0.1875)), round(fine * min(1, at / 6 + 0.1875))) for at in (y, x)
        )
        total[top:bottom, left:right] += fall
        weight[top:bottom, left:right] += 1
    cells = [each.reshape(CELLS, 100, CELLS, 100).mean((1, 3)) for each in (total, weight)]
    assert heat_map(falls) == pytest.approx(cells[0] / cells[1], abs=0.02)
    assert heat_map(np.full(COUNT, 0.3)) == pytest.approx(np.full((CELLS, CELLS), 0.3))
    with pytest.raises(InputError, match=r"shape \(49,\), one a square, got \(3,\)"):
        heat_map([1, 2, 3])


class Corner:
    """A model that sees nothing but how light the upper left quarter is."""

    def encode(self, images):
        light = np.array([image[: len(image) // 2, : image.shape[1] // 2].mean() / 255 for image in images])
        return np.stack([light, np.sqrt(1 - light**2)], axis=1).astype(np.float32)


def test_the_part_that_a_model_looks_at_is_found():
    class Stub:
        rows = np.arange(2)
        sizes = np.array([[64, 64], [128, 64]])
        vectors = np.zeros((2, 2), np.float32)

        def position(self, row):
            return row

        def thumbnails(self, positions):
            picture = np.zeros((64, 64, 3), np.uint8)
            picture[:32, :32] = 255
            return [as_png(picture) for _ in positions]

    from dinoscope.stages.queries.reasons import find_reasons

    stub = Stub()
    first, second = find_reasons(stub, np.array([1, 0], np.float32), [0, 1], encoder=Corner())  # type: ignore[arg-type]
    for each in (first, second):
        assert each.similarity == pytest.approx(1)
        assert each.without < 0.8
        inner = each.heat[1:6, 1:6]
        assert inner.min() > 5 * abs(each.heat[10:, 10:]).max()
    left, top, width, height = first.box
    assert left + width <= 33
    assert top + height <= 33
    assert second.box == (2 * left, top, 2 * width, height)


def as_png(pixels):
    out = BytesIO()
    Image.fromarray(pixels).save(out, "png")
    return out.getvalue()


def test_a_picture_is_veiled_where_nothing_matters():
    heat = np.zeros((16, 16), np.float32)
    heat[:8, :8] = 0.4
    heat[8:, 8:] = -0.4
    shown = np.asarray(Image.open(BytesIO(light_up(as_png(np.full((64, 64, 3), 250, np.uint8)), heat))))
    assert shown[8, 8].tolist() == [250, 250, 250]
    assert (abs(shown[50, 8].astype(int) - shown[50, 50]) <= 1).all()
    assert shown[50, 8].max() < 180
    flat = np.asarray(
        Image.open(BytesIO(light_up(as_png(np.zeros((9, 9, 3), np.uint8)), np.zeros((16, 16), np.float32))))
    )
    assert len(np.unique(flat)) <= 3  # nothing matters: veiled all over


# --- a collection ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    pixels = load_dataset("fashion-mnist-test").pixels[:60]
    return Collection.from_images(pixels, tmp_path_factory.mktemp("reasons") / "c", model="mini-fashion")


def test_similarities_are_those_of_the_search_and_of_a_picture_with_a_hole(collection):
    matches = collection.search(17, k=3)
    seen = []
    found = collection.reasons(17, [match.row for match in matches], on_progress=lambda *at: seen.append(at))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for match, reason in zip(matches, found, strict=True):
        assert reason.row == match.row
        assert reason.similarity == pytest.approx(match.similarity, abs=1e-4)
        left, top, width, height = reason.box
        picture = np.asarray(Image.open(BytesIO(collection.thumbnails([match.row])[0])).convert("RGB"))
        holed = picture.copy()
        holed[top : top + height, left : left + width] = edge_colour(picture)
        vector = collection.query_vector(holed)
        assert reason.without == pytest.approx(float(vector @ collection.vectors[17]), abs=1e-4)
        assert reason.without < reason.similarity
    with pytest.raises(InputError, match="9999"):
        collection.reasons(17, [9999])


def test_search_says_why(collection, run, tmp_path):
    code, out, _ = run("search", collection.path, 17, "-k", 3, "--why", "-o", tmp_path / "why.png")
    assert code == 0
    assert "if this part is hidden" in out
    (reason,) = collection.reasons(17, [collection.search(17, k=1)[0].row])
    assert f"{reason.without:.3f}  {','.join(map(str, reason.box))}" in out
    with Image.open(tmp_path / "why.png") as sheet:
        veiled = np.asarray(sheet.convert("RGB"))
    run("search", collection.path, 17, "-k", 3, "-o", tmp_path / "plain.png")
    with Image.open(tmp_path / "plain.png") as sheet:
        assert (np.asarray(sheet.convert("RGB")) != veiled).any(axis=2).mean() > 0.02
    told = json.loads(run("search", collection.path, 17, "-k", 2, "--why", "--json")[1])
    assert np.shape(told[0]["heat"]) == (CELLS, CELLS)
    assert told[0]["reason"] == list(reason.box)
    assert "heat" not in json.loads(run("search", collection.path, 17, "-k", 2, "--json")[1])[0]


@pytest.mark.parametrize("more", ["--inside", "--on=http://127.0.0.1:9"])
def test_why_goes_with_whole_images_of_the_collection_only(collection, run, more):
    code, out, err = run("search", collection.path, 17, "--why", more)
    assert (code, out) == (1, "")
    assert "leave out" in err
