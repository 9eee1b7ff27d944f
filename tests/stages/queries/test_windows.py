"""Looking inside images: the windows, the best of them, and what is stored."""

from __future__ import annotations

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.explain.windows import WHOLE, best_windows, check_box, window_boxes
from dinoscope.errors import InputError, ModelError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.results.kept import Results

COUNT = 40


@pytest.fixture(scope="module")
def pasted(tmp_path_factory):
    """Four pieces of clothing on each image of 56 x 56; number 4 i to 4 i + 3 are on image i."""
    clothes = load_dataset("fashion-mnist-test").pixels[: 4 * COUNT].reshape(COUNT, 2, 2, 28, 28)
    images = clothes.transpose(0, 1, 3, 2, 4).reshape(COUNT, 56, 56)
    path = tmp_path_factory.mktemp("inside") / "pasted"
    return Collection.from_images(images, path, labels=["even", "odd"] * (COUNT // 2), model="mini-fashion")


@pytest.fixture(scope="module")
def clothes():
    return load_dataset("fashion-mnist-test").pixels[: 4 * COUNT]


# --- windows ---------------------------------------------------------------------------------------------------------


def test_windows_of_a_square_image():
    assert window_boxes(56, 56) == tuple((left, top, 28, 28) for top in (0, 14, 28) for left in (0, 14, 28))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (128, 85), (85, 128), (1000, 20), (7, 300), (31, 31)])
def test_windows_lie_inside_and_reach_every_edge(width, height):
    boxes = window_boxes(width, height)
    assert len(boxes) == 9
    for left, top, across, down in boxes:
        assert check_box((left, top, across, down), width, height)
        assert across == down == max(1, min(width, height, (max(width, height) + 1) // 2))
    assert min(box[0] for box in boxes) == min(box[1] for box in boxes) == 0
    assert max(box[0] + box[2] for box in boxes) == width
    assert max(box[1] + box[3] for box in boxes) == height


def test_a_square_of_a_quarter_is_mostly_inside_one_of_them():
    boxes, least = window_boxes(64, 64), 1.0
    for left in range(33):
        for top in range(33):
            shares = [max(0, 32 - abs(box[0] - left)) * max(0, 32 - abs(box[1] - top)) / 32**2 for box in boxes]
            least = min(least, max(shares))
    assert least == 9 / 16


def test_the_best_of_image_and_windows():
    draw = np.random.default_rng(0)
    vectors, windows = (
        draw.standard_normal((5, 4)).astype(np.float32),
        draw.standard_normal((5, 9, 4)).astype(np.float16),
    )
    query = draw.standard_normal(4).astype(np.float32)
    similarities, chosen = best_windows(vectors, windows, query)
    for at in range(5):
        each = {
            WHOLE: float(vectors[at] @ query),
            **{w: float(windows[at, w].astype(np.float32) @ query) for w in range(9)},
        }
        assert chosen[at] == max(each, key=lambda name: each[name])
        assert similarities[at] == pytest.approx(max(each.values()), abs=1e-5)
    assert best_windows(vectors, windows * 0, vectors[2] * 9)[1][2] == WHOLE


@pytest.mark.parametrize(
    "box", [(0, 0, 9, 8), (-1, 0, 2, 2), (0, 7, 1, 2), (0, 0, 0, 1), (0, 0, 1), (0, 0, 1.5, 1), [[0, 0, 1, 1]]]
)
def test_a_box_outside_is_refused(box):
    with pytest.raises(InputError, match="inside an image of 8 x 8, got"):
        check_box(box, 8, 8)


# --- in a collection -------------------------------------------------------------------------------------------------


def test_what_fills_a_quarter_is_found_with_its_place(pasted, clothes):
    right = places = 0
    for number in range(0, 4 * COUNT, 5):
        image, quarter = divmod(number, 4)
        spot = pasted.search_inside(clothes[number], 1)[0]
        right += spot.row == image
        places += spot.row == image and spot.box == (28 * (quarter % 2), 28 * (quarter // 2), 28, 28)
    assert right >= 31  # of 32; two pieces may be all but the same
    assert places >= 31
    whole = [pasted.search(clothes[number], 1)[0].row == number // 4 for number in range(0, 4 * COUNT, 5)]
    assert np.mean(whole) < 0.5


def test_every_window_has_the_vector_of_what_it_shows(pasted):
    held = pasted.window_vectors()
    assert (held.shape, held.dtype) == ((COUNT, 9, 256), np.float16)
    picture = _image(pasted, 3)
    for number, (left, top, across, down) in enumerate(window_boxes(56, 56)):
        vector = pasted.query_vector(np.ascontiguousarray(picture[top : top + down, left : left + across]))
        np.testing.assert_allclose(held[3, number], vector, atol=2e-3)
        np.testing.assert_allclose(pasted.crop_vector(3, (left, top, across, down)), vector, atol=1e-5)


def _image(collection, at):
    with Image.open(io.BytesIO(collection.thumbnails([at])[0])) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_row_is_not_its_own_answer(pasted):
    assert 5 not in [spot.row for spot in pasted.search_inside(5, COUNT)]
    assert len(pasted.search_inside(5, 1000)) == COUNT - 1
    vector = pasted.vectors[5]
    first = pasted.search_inside(vector, 1)[0]
    assert (first.row, first.box) == (5, None)
    assert first.similarity == pytest.approx(1, abs=1e-5)


def test_they_are_embedded_once_and_stored(pasted, monkeypatch):
    held = pasted.window_vectors()
    again = Collection(pasted.path)
    monkeypatch.setattr(again, "encoder", None)  # nothing is embedded
    seen = []
    np.testing.assert_array_equal(again.window_vectors(on_progress=lambda *each: seen.append(each)), held)
    assert seen == [(COUNT, COUNT)]


def test_a_run_that_is_stopped_goes_on(pasted, tmp_path, monkeypatch):
    monkeypatch.setattr("dinoscope.stages.queries.windows._PART", 16)
    path = shutil.copytree(pasted.path, tmp_path / "stopped")
    shutil.rmtree(path / "results" / "windows")

    def stop(done, total):
        if done > 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Collection(path).window_vectors(on_progress=stop)
    opened = Collection(path)
    run, sizes = opened.encoder().run, []

    def counted(pixels):
        sizes.append(len(pixels))
        return run(pixels)

    monkeypatch.setattr(opened.encoder(), "run", counted)
    np.testing.assert_allclose(opened.window_vectors(), pasted.window_vectors(), atol=2e-3)
    assert sum(sizes) == 9 * (COUNT - 16)


def test_a_part_of_a_file(pasted, clothes, tmp_path):
    file = tmp_path / "four.png"
    Image.fromarray(np.concatenate([clothes[50], clothes[91]], axis=1)).save(file)
    np.testing.assert_allclose(
        pasted.crop_vector(file, (28, 0, 28, 28)),
        pasted.query_vector(np.repeat(clothes[91][..., None], 3, axis=2)),
        atol=1e-5,
    )
    with pytest.raises(InputError, match="inside an image of 56 x 28"):
        pasted.crop_vector(file, (28, 0, 29, 28))
    with pytest.raises(InputError, match="row 40 is not in this collection"):
        pasted.crop_vector(40, (0, 0, 1, 1))


def test_too_many_for_memory_are_refused(pasted, monkeypatch):
    monkeypatch.setattr("dinoscope.stages.queries.windows._MOST_BYTES", 2 * COUNT * 9 * 256 - 1)
    with pytest.raises(InputError, match=r"looking inside 40 images would take 0.0 GB of memory, expected at most"):
        Collection(pasted.path).search_inside(1)


def test_k_must_be_positive(pasted):
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        pasted.search_inside(1, 0)


# --- the command -----------------------------------------------------------------------------------------------------


def test_search_inside(run, pasted, clothes, tmp_path):
    file, picture = tmp_path / "bag.png", tmp_path / "found.png"
    Image.fromarray(clothes[4 * 7 + 2]).save(file)
    code, out, _ = run("search", pasted.path, file, "--inside", "-k", 2, "-o", picture)
    assert code == 0
    lines = out.splitlines()
    assert lines[1].split() == ["similarity", "row", "id", "label", "where"]
    assert lines[3].split() == ["1.000", "7", "00007", "odd", "0,28,28,28"]
    with Image.open(picture) as drawn:
        red = (np.asarray(drawn.convert("RGB")) == (0xC0, 0x30, 0x54)).all(axis=2)
    assert red.sum() > 200  # the frame around the part
    found = json.loads(run("search", pasted.path, file, "--inside", "-k", 1, "--json")[1])
    assert found[0]["box"] == [0, 28, 28, 28]


def test_search_by_a_part(run, pasted):
    found = json.loads(run("search", pasted.path, 7, "--crop", "0,28,28,28", "-k", 3, "--json")[1])
    assert 7 not in [each["row"] for each in found]
    expected = [match.row for match in pasted.search(pasted.crop_vector(7, (0, 28, 28, 28)), 4) if match.row != 7]
    assert [each["row"] for each in found] == expected[:3]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--crop", "1,2,3"), "--crop expects LEFT,TOP,WIDTH,HEIGHT in whole pixels"),
        (("--crop", "1,2,3,-4"), "--crop expects LEFT,TOP,WIDTH,HEIGHT in whole pixels"),
        (("--crop", "0,0,57,1"), "inside an image of 56 x 56, got 0,0,57,1"),
        (("--inside", "--on", "x.db"), "--inside, --why and -o need the thumbnails of the collection: leave out --on"),
        (("-o", "found.jpg"), "expected a name that ends with .png"),
    ],
)
def test_what_cannot_be_asked(run, pasted, more, message):
    code, out, err = run("search", pasted.path, 1, *more)
    assert (code, out) == (1, "")
    assert message in err


def test_without_the_model_nothing_is_embedded(pasted, monkeypatch):
    opened = Collection(pasted.path)
    monkeypatch.setitem(opened.model, "weights_sha256", "0" * 64)
    monkeypatch.setattr(Results, "run", lambda _self, _name, _settings, compute: compute())  # as if nothing was stored
    with pytest.raises(ModelError, match="are not the ones that made the vectors"):
        opened.search_inside(1, 1)
