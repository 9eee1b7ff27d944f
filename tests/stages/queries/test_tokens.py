"""Patch tokens of a collection, kept in parts, and the search among them by one patch."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.patches import token_similarities, unit_tokens
from dinoscope.errors import InputError, WriteError
from dinoscope.models.encoder import Encoder
from dinoscope.stages.checking.integrity import verify_collection
from dinoscope.stages.queries import held_tokens, tokens
from dinoscope.stages.queries.patch_search import prepare_search
from dinoscope.stages.results import kept as kept_results
from dinoscope.storage.tables import write_table
from tests.stages.queries.conftest import COUNT

pytestmark = pytest.mark.usefixtures("small_parts")


@pytest.fixture(scope="module")
def kept(images, tmp_path_factory):
    made = Collection.from_images(images, tmp_path_factory.mktemp("kept") / "clothes", model="mini")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_PART", 8)
        made.keep_tokens(resolution=64)
    return made


def files(collection):
    return sorted((collection.path / "results" / "tokens").glob("*.parquet"))


def expected(collection, row, resolution=64):
    (thumbnail,) = collection.thumbnails([collection.position(row)])
    return unit_tokens(Encoder("mini").look(thumbnail, resolution).tokens)[0]


def test_the_tokens_are_those_of_the_model(kept):
    assert len(files(kept)) == 3
    for at in (0, 7, 13, 19):
        ours = held_tokens.tokens_of(kept, at, 64, None)
        assert ours.dtype == np.float16
        np.testing.assert_allclose(ours, expected(kept, int(kept.rows[at])), atol=5e-4)


def test_what_it_takes_is_told_before(clothes):
    plans: list[tokens.TokenPlan] = []
    done: list[tuple[int, int]] = []
    told = clothes.keep_tokens(resolution=64, on_plan=plans.append, on_progress=lambda *each: done.append(each))
    assert plans == [told]
    assert (told.images, told.missing) == (COUNT, COUNT)
    taken = sum(file.stat().st_size for file in files(clothes))
    assert told.size == pytest.approx(taken, rel=0.1)
    assert done[-1] == (COUNT, COUNT)
    assert [each for each, _ in done] == sorted(each for each, _ in done)
    again = clothes.keep_tokens(resolution=64)
    assert (again.missing, again.size, again.seconds) == (0, 0, 0)


def test_a_stopped_run_continues(clothes):
    def stop(done, _):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clothes.keep_tokens(resolution=64, on_progress=stop)
    assert len(files(clothes)) == 1
    before = files(clothes)[0].stat().st_mtime_ns
    with pytest.raises(InputError, match="keep them first"):
        clothes.search_patch(0, (0.5, 0.5), resolution=64)
    opened = Collection(clothes.path)
    assert opened.keep_tokens(resolution=64).missing == COUNT - 8
    assert before in [file.stat().st_mtime_ns for file in files(clothes)]
    assert opened.search_patch(0, (0.5, 0.5)) == opened.search_patch(0, (0.5, 0.5), resolution=64)
    with pytest.raises(InputError, match="--keep-tokens --resolution 72"):
        opened.search_patch(0, (0.5, 0.5), resolution=72)


def test_a_large_collection_is_refused_with_a_way_on(clothes):
    with pytest.raises(InputError, match=r"at most 19 images, got 20: allow more \(--at-most 20\), or .* --limit 19"):
        clothes.keep_tokens(at_most=19)
    assert files(clothes) == []


@pytest.mark.parametrize("held", [True, False])
def test_the_search_is_the_exact_product(kept, monkeypatch, held):
    """With the tokens in memory, and read part by part."""
    if not held:
        monkeypatch.setattr(held_tokens, "_MOST_HELD", 100)
    opened = Collection(kept.path)
    row, (across, down) = int(opened.rows[3]), (0.55, 0.3)
    own = expected(opened, row)
    asked = own[int(down * own.shape[0]), int(across * own.shape[1])]
    best = {}
    for each in opened.rows.tolist():
        grid = expected(opened, each)
        similar = grid @ asked
        place = np.unravel_index(similar.argmax(), similar.shape)
        width, height = opened.sizes[opened.position(each)].tolist()
        (y, x), (rows, columns) = place, similar.shape
        box = (round(x * width / columns), round(y * height / rows))
        best[each] = (float(similar.max()), box)
    del best[row]
    order = sorted(best, key=lambda each: -best[each][0])[:5]
    found = opened.search_patch(row, (across, down), 5, resolution=64)
    np.testing.assert_allclose([each.similarity for each in found], [best[each][0] for each in order], atol=2e-3)
    assert found[0].row == order[0]
    boxes = [each.box for each in found if each.box is not None]
    assert boxes[0][:2] == best[order[0]][1]
    assert len(boxes) == 5
    assert all(box[2] >= 3 and box[3] >= 3 for box in boxes)


def test_reading_them_is_told_and_done_once(kept):
    opened, told = Collection(kept.path), []
    assert not held_tokens.are_held(opened, 64)
    prepare_search(opened, lambda *each: told.append(each))
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert held_tokens.are_held(opened, 64)
    prepare_search(opened, lambda *each: told.append(each))
    assert len(told) == 3


def test_tokens_that_do_not_fit_in_memory_are_not_read_before_the_search(kept, monkeypatch):
    opened, told = Collection(kept.path), []
    whole = sum(part.tokens.nbytes for part in held_tokens.read_tokens(opened, 64))
    monkeypatch.setattr(held_tokens, "_MOST_HELD", whole - 1)  # the first part, of 8 of 20 images, is far below it
    prepare_search(opened, lambda *each: told.append(each))
    assert told == []
    assert held_tokens.hold_tokens(opened, 64) is None
    monkeypatch.setattr(held_tokens, "_MOST_HELD", 3 * whole)
    prepare_search(Collection(kept.path), lambda *each: told.append(each))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_an_image_file_finds_itself_at_the_same_place(kept, images):
    opened = Collection(kept.path)
    (found,) = opened.search_patch(images / "05.png", (0.6, 0.4), 1, resolution=64)
    assert (found.row, found.id) == (5, "05.png")
    assert found.box is not None
    left, top, width, height = found.box
    assert left <= 0.6 * 56 < left + width
    assert top <= 0.4 * 28 < top + height
    assert found.similarity > 0.99


def test_a_damaged_part_is_made_again(clothes, caplog):
    clothes.keep_tokens(resolution=64)
    whole = Collection(clothes.path).search_patch(3, (0.5, 0.5), 3, resolution=64)
    assert verify_collection(clothes.path).damage == ()
    file = max(files(clothes), key=lambda each: each.stat().st_size)  # of 8 images, the last part has 4
    file.write_bytes(file.read_bytes()[:-200])
    assert len(verify_collection(clothes.path).damage) == 1
    opened = Collection(clothes.path)
    assert opened.keep_tokens(resolution=64).missing == 8
    assert opened.search_patch(3, (0.5, 0.5), 3, resolution=64) == whole
    assert verify_collection(clothes.path).damage == ()


def test_they_go_with_the_vectors_they_belong_to(images, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for file in list(images.iterdir())[:6]:
        (folder / file.name).write_bytes(file.read_bytes())
    made = Collection.from_images(folder, tmp_path / "c", model="mini")
    made.keep_tokens(resolution=64)
    assert len(files(made)) == 1
    Image.fromarray(np.full((28, 28), 90, np.uint8)).save(folder / "new.png")
    again = Collection.from_images(folder, tmp_path / "c", model="mini")
    assert files(again) == []


@pytest.mark.parametrize("place", [(0.5, 1.5), (0.5,), (0.5, float("nan")), "ab", (-0.1, 0.5)])
def test_a_place_is_two_shares(kept, place):
    with pytest.raises(InputError, match="each from 0 to 1"):
        kept.search_patch(0, place, resolution=64)


def test_nothing_is_found_before_they_are_kept(clothes):
    with pytest.raises(
        InputError, match=rf"keep them first \(dinoscope look {re.escape(str(clothes.path))} --keep-tokens"
    ):
        clothes.search_patch(0, (0.5, 0.5))


@pytest.mark.parametrize("is_quick", [True, False])
def test_similarities_of_many_patches_to_one(monkeypatch, is_quick):
    if is_quick:
        pytest.importorskip("numkong")
    else:
        monkeypatch.setitem(sys.modules, "numkong", None)  # its import fails
    random = np.random.default_rng(0)
    many = random.standard_normal((70_000, 17)).astype(np.float16)  # more than a block, and no whole register
    one = random.standard_normal(17).astype(np.float16)
    found = token_similarities(many, one.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, many.astype(np.float64) @ one.astype(np.float64), atol=1e-4)
    turned = np.asfortranarray(many[:100])[::2]
    np.testing.assert_allclose(token_similarities(turned, one.astype(np.float32)), found[:100:2], atol=1e-4)


def test_the_commands(run, clothes, tmp_path):
    code, out, said = run("look", clothes.path, "--keep-tokens")
    assert code == 0
    assert f"tokens of {COUNT} images: about " in said
    assert f"The tokens of {COUNT} images are kept" in " ".join(out.split())
    code, out, _ = run("look", clothes.path, "--keep-tokens", "--json")
    assert json.loads(out) == {"images": COUNT, "new": 0, "bytes": 0}
    code, out, _ = run("search", clothes.path, 4, "--patch", "0.5,0.4", "-k", 3, "--json", "-o", tmp_path / "found.png")
    assert code == 0
    found = json.loads(out)
    ours = clothes.search_patch(4, (0.5, 0.4), 3)
    assert [(each["row"], tuple(each["box"])) for each in found] == [(each.row, each.box) for each in ours]
    with Image.open(tmp_path / "found.png") as drawn:
        assert drawn.width > 100
    pixels = run("search", clothes.path, 4, "--patch", "14,11", "-k", 3, "--json")[1]
    assert json.loads(pixels) == found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--patch", "30,5"), "outside the image, which has 28 x 28 pixels"),
        (("--patch", "a,5"), "X,Y in pixels or as shares"),
        (("--patch", "0.5,0.5", "--inside"), "--patch is a search of its own"),
    ],
)
def test_commands_that_cannot_be(run, clothes, options, message):
    code, _, said = run("search", clothes.path, 4, *options)
    assert code != 0
    assert message in " ".join(said.split())


def test_keeping_is_for_a_collection(run, clothes, images):
    for wrong in ((images / "05.png", "--keep-tokens"), (clothes.path, 3, "--keep-tokens")):
        code, _, said = run("look", *wrong)
        assert code != 0
        assert "--keep-tokens is for a collection and nothing else" in " ".join(said.split())


def test_what_cannot_be_stored_is_told(run, clothes, monkeypatch):
    stored: list[Path] = []

    def full(path, *what, **options):
        if path.parent.name == "tokens" and len(stored) == 1:
            raise WriteError(f"cannot write {path}: no space left")
        stored.append(path)
        write_table(path, *what, **options)

    monkeypatch.setattr(kept_results, "write_table", full)
    code, out, said = run("look", clothes.path, "--keep-tokens", "--resolution", 64)
    assert (code, out) == (1, "")
    told = " ".join(said.split())
    assert f"the tokens of 12 images cannot be stored in {clothes.path}: make room on its disk" in told
    assert len(files(clothes)) == 1
    monkeypatch.undo()
    monkeypatch.setattr(tokens, "_PART", 8)
    assert Collection(clothes.path).keep_tokens(resolution=64).missing == 12  # what is stored stays


def test_a_collection_for_reading_alone_keeps_none(clothes):
    with pytest.raises(InputError, match=r"tokens are stored in the collection, and .* was opened for reading alone"):
        Collection(clothes.path, read_only=True).keep_tokens(resolution=64)
    assert files(clothes) == []


def test_a_limit_is_for_keeping(run, clothes):
    code, _, said = run("look", clothes.path, 3, "--at-most", 10)
    assert code == 1
    assert "--at-most is about --keep-tokens: add that, or leave it out" in " ".join(said.split())
