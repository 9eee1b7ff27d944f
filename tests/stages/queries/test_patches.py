"""What the model of a collection sees, and the command that shows it."""

import json

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.patches import patch_colours
from dinoscope.errors import InputError
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.stages.queries.patches import look_at
from tests.checkpoints import save_vit

COUNT = 40


@pytest.fixture(scope="module")
def pictures():
    return load_dataset("fashion-mnist-test").pixels[:COUNT]


@pytest.fixture(scope="module")
def clothes(tmp_path_factory, pictures):
    return Collection.from_images(pictures, tmp_path_factory.mktemp("clothes") / "clothes", model="mini")


@pytest.fixture
def files(tmp_path, pictures):
    names = [tmp_path / f"{number}.png" for number in range(3)]
    for name, pixels in zip(names, pictures, strict=False):
        Image.fromarray(pixels).save(name)
    return names


def test_layers_lie_on_the_same_patches(clothes):
    # whether a foreground is clear depends on the weights: of a few things on black, the one that stands out most
    found = max((clothes.look(int(row)) for row in clothes.rows[:8]), key=lambda each: each.foreground.sure)
    grid = found.tokens.shape[:2]
    assert grid == (16, 16)
    assert found.colours.shape == (*grid, 3)
    assert found.parts.shape == grid
    assert found.foreground.mask.shape == found.foreground.strength.shape == (32, 32)
    assert found.foreground.clear
    assert 0 <= found.parts.min() < found.parts.max() < 6
    assert 0.05 < found.foreground.mask.mean() < 0.95
    assert (found.attention, found.heads) == (None, None)
    np.testing.assert_allclose(np.linalg.norm(found.tokens, axis=2), 1, atol=1e-5)


def test_the_thing_is_the_foreground(clothes, pictures):
    """On a black ground: nearly all of the foreground is where the thing is, or touches it."""
    for row in range(8):
        mask = clothes.look(row).foreground.mask
        thing = np.asarray(Image.fromarray(pictures[row]).resize((32, 32), Image.Resampling.BOX)) > 8
        wide = np.pad(thing, 1)
        near = np.any([np.roll(wide, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)[1:-1, 1:-1]
        assert (mask & near).sum() >= 0.9 * mask.sum()


def test_a_colour_means_the_same_in_every_session(clothes):
    alone = clothes.look(7)
    again = Collection(clothes.path)
    others = [again.look(row) for row in (1, 2, 7)]
    assert np.abs(alone.colours.astype(int) - others[2].colours).max() <= 1
    assert {each.basis for each in others} == {alone.basis, clothes.patch_scheme().basis.digest}
    again.look(1)
    assert again.results.stages["patches"].stored
    np.testing.assert_array_equal(patch_colours(alone.tokens, again.patch_scheme().basis), alone.colours)


def test_another_resolution_has_colours_of_its_own(clothes):
    fine = clothes.look(7, resolution=192)
    assert fine.tokens.shape[:2] == (24, 24)
    assert fine.basis == clothes.patch_scheme(resolution=192).basis.digest != clothes.patch_scheme().basis.digest


def test_a_scheme_that_was_damaged_is_made_again(clothes, tmp_path, pictures):
    other = Collection.from_images(pictures, tmp_path / "other", model="mini")
    digest = other.patch_scheme().basis.digest
    (file,) = (other.path / "results" / "patches").iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert Collection(other.path).patch_scheme().basis.digest == digest


def test_an_image_from_elsewhere_has_the_colours_of_the_collection(clothes, files):
    inside, outside = clothes.look(2), clothes.look(files[2])
    assert outside.basis == inside.basis
    assert np.abs(outside.colours.astype(int) - inside.colours).mean() < 1  # the thumbnail is the image here


def test_there_is_no_such_row(clothes):
    with pytest.raises(InputError, match="999"):
        clothes.look(999)


def test_images_without_a_collection_share_their_colours(clothes, pictures):
    found = look_at(clothes.encoder(), list(pictures[:4]))
    assert len({each.basis for each in found}) == 1
    with pytest.raises(InputError, match="no image to look at"):
        look_at(clothes.encoder(), [])


def test_a_vit_shows_where_it_looks(tmp_path, pictures):
    weights = str(save_vit(tmp_path / "vit", "dinov3"))
    made = Collection.from_images(pictures[:12], tmp_path / "c", model=weights)
    found = made.look(1, weights=weights, resolution=64)
    assert found.tokens.shape[:2] == (8, 8)
    assert found.heads is not None
    assert found.heads.shape == (1, 5, 8, 8)
    assert found.attention is not None
    np.testing.assert_array_equal(found.attention, found.heads[0, 0])


def test_the_command_draws_files(run, files, tmp_path):
    picture = tmp_path / "look.png"
    code, out, _ = run("look", *files, "-o", picture, "--json")
    assert code == 0
    told = json.loads(out)
    assert [each["image"] for each in told] == ["0.png", "1.png", "2.png"]
    for each in told:
        assert np.shape(each["parts"]) == (each["rows"], each["columns"]) == (16, 16)
        assert np.shape(each["mask"]) == (32, 32)
        assert each["clear"] is True
        assert each["foreground"] == pytest.approx(np.mean(each["mask"]), abs=1e-4)
    with Image.open(picture) as drawn:
        assert drawn.width == 10 + 4 * 178 + 10  # the image, and three layers


def test_the_command_draws_a_collection(run, clothes, files, tmp_path):
    picture = tmp_path / "sheet.png"
    code, out, _ = run("look", clothes.path, "--sheet", "-o", picture)
    assert code == 0
    assert out.splitlines()[-1] == str(picture)
    assert out.count(" 16 x 16 ") == 10  # every fourth of 40
    code, out, _ = run("look", clothes.path, 5, files[0], "-o", picture)
    assert code == 0
    assert f" 5: {clothes.ids[5]} " in out
    assert "0.png" in out


def test_the_command_draws_matches(run, files, tmp_path):
    picture = tmp_path / "matches.png"
    assert run("look", files[0], files[0], "--matches", "-o", picture)[0] == 0
    with Image.open(picture) as drawn:
        assert drawn.width > 2 * 420
        pixels = np.asarray(drawn)
    assert (pixels == (0x30, 0x78, 0xCC)).all(axis=2).any()  # of a line: the pictures are grey


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["COLLECTION"], "name rows or image files, or add --sheet"),
        (["COLLECTION", "1", "--sheet"], "--sheet chooses images by itself"),
        (["COLLECTION", "1", "--matches"], "--matches needs two images, got 1"),
        (["FILE", "--sheet"], "--sheet is for a collection"),
        (["FILE", "--weights", "w.onnx"], "--weights is for a collection"),
        (["FILE", "--resolution", "100"], "multiple of 8 from 24 to 1024, got 100: try 96"),
        (["FILE", "-o", "look.jpg"], "ends with .png"),
        (["nothing.jpg"], "nothing.jpg"),
    ],
)
def test_what_makes_no_sense(run, clothes, files, words, message):
    known = {"COLLECTION": clothes.path, "FILE": files[0]}
    code, out, err = run("look", *(known.get(word, word) for word in words))
    assert (code, out) == (1, "")
    assert message in " ".join(err.split())
