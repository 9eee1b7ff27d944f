"""Vectors of what stands out from the ground of an image."""

import json

import numpy as np
import pytest
from PIL import Image

from dinoscope import Collection
from dinoscope.analysis.patches import find_foreground, unit_tokens
from dinoscope.errors import InputError
from dinoscope.models.encoder import Encoder
from dinoscope.models.focus import foreground_mean
from dinoscope.storage.files import write_json
from dinoscope.storage.manifest import choose_model, list_models
from tests.checkpoints import DIM, PATCH, save_vit
from tests.pictures import photo


@pytest.fixture(scope="module")
def mini():
    return Encoder("mini", focus="foreground")


def thing_on(ground, level):
    """Return a picture of a square on a striped ground."""
    picture = np.full((128, 128, 3), ground, np.uint8)
    picture[::8] = [min(255, each + 25) for each in ground]
    picture[40:88, 48:96] = level
    picture[60:68, 56:90] = 255 - np.array(level)
    return picture


def similarity(encoder, first, second):
    vectors = encoder.encode([first, second])
    return float(vectors[0] @ vectors[1])


def tokens_of_a_thing(random, rows=8, columns=8):
    ground, thing = random.standard_normal((2, 12))
    tokens = np.tile(ground, (rows, columns, 1))
    tokens[2:-2, 2:-2] = thing
    return (7 * tokens + 0.3 * random.standard_normal(tokens.shape)).astype(np.float32)


def test_the_mean_is_weighted_by_the_foreground():
    tokens = tokens_of_a_thing(np.random.default_rng(0))
    inside = np.zeros((8, 8), bool)
    inside[2:-2, 2:-2] = True
    np.testing.assert_allclose(foreground_mean(tokens), tokens[inside].mean(axis=0), rtol=1e-5)


def test_a_patch_counts_as_far_as_a_finer_map_covers_it():
    random = np.random.default_rng(0)
    tokens, finer = tokens_of_a_thing(random), tokens_of_a_thing(random, 16, 16)
    finer[1:-1, 1:-1] = finer[8, 8]
    weights = np.ones((8, 8), np.float32)
    weights[[0, -1]] = weights[:, [0, -1]] = 0.5
    weights[[0, 0, -1, -1], [0, -1, 0, -1]] = 0.25
    assert find_foreground(unit_tokens(tokens)[0], finer=finer).mask.mean() == pytest.approx(196 / 256)
    np.testing.assert_allclose(
        foreground_mean(tokens, finer), (tokens * weights[..., None]).sum(axis=(0, 1)) / weights.sum(), rtol=1e-4
    )


@pytest.mark.parametrize("kind", ["even", "whole"])
def test_an_unclear_foreground_leaves_all_patches(kind):
    tokens = np.ones((8, 8, 12), np.float32)
    if kind == "whole":
        random = np.random.default_rng(0)
        tokens = tokens_of_a_thing(random, 24, 24)
        tokens[1:-1, 1:-1] = 7 * tokens[9, 9] + 0.3 * random.standard_normal((22, 22, 12))  # 84% of it
    np.testing.assert_allclose(foreground_mean(tokens), tokens.mean(axis=(0, 1)), rtol=1e-6)


def test_a_vector_of_the_foreground_hardly_knows_the_ground(mini):
    """The same thing on two grounds is one thing; the whole picture's vector tells the grounds apart.

    On average it is more alike than a thing of other colours on the same ground. mini goes by colours only in part.
    """
    alike, others = [], []
    for ground, another, thing, other in (
        ((30, 110, 40), (120, 100, 170), (200, 60, 40), (40, 90, 200)),
        ((30, 110, 40), (120, 100, 170), (240, 220, 40), (40, 90, 200)),
        ((20, 20, 60), (180, 170, 150), (200, 60, 40), (40, 160, 90)),
        ((90, 60, 30), (60, 120, 160), (230, 230, 230), (30, 30, 30)),
    ):
        same = thing_on(ground, thing), thing_on(another, thing)
        alike.append(similarity(mini, *same))
        others.append(similarity(mini, same[0], thing_on(ground, other)))
        assert alike[-1] > max(0.9, similarity(Encoder("mini"), *same) + 0.1)
    assert np.mean(alike) > np.mean(others) + 0.02


def test_a_bundled_model_sees_128_pixels_or_what_is_asked_for(mini):
    assert (mini.resolution, mini.dim) == (128, 256)
    assert mini.key != Encoder("mini").key
    assert mini.key.endswith("-foreground")
    assert Encoder("mini", focus="foreground", resolution=64).resolution == 64
    with pytest.raises(InputError, match="a multiple of 8 from 24 to 1024, got 30: try 32"):
        Encoder("mini", focus="foreground", resolution=30)
    picture = np.asarray(photo(256).resize((128, 128)))
    seen = mini.look(picture)
    expected = foreground_mean(seen.tokens, seen.finer)
    np.testing.assert_allclose(mini.encode(picture)[0], expected / np.linalg.norm(expected), atol=1e-5)


def test_vectors_do_not_depend_on_the_batch(mini):
    pictures = [np.asarray(photo(256).resize((128, 128)).rotate(angle)) for angle in (0, 40, 80)]
    np.testing.assert_allclose(
        mini.encode(pictures), np.concatenate([mini.encode(each) for each in pictures]), atol=1e-5
    )


@pytest.mark.parametrize("pooling", ["cls", "cls+mean"])
def test_a_vit_pools_the_patches_of_its_foreground(tmp_path, pooling):
    path, side = str(save_vit(tmp_path / "vit")), 8 * PATCH
    focused = Encoder(path, resolution=side, pooling=pooling, focus="foreground", device="cpu")
    square = np.asarray(photo(256).resize((side, side)))
    cls, tokens = focused._runtime.run(["cls", "patches"], square[None])
    expected = foreground_mean(tokens.reshape(8, 8, DIM))
    if pooling == "cls+mean":
        expected = np.concatenate([cls[0], expected])
    np.testing.assert_allclose(focused.run(square[None])[0], expected / np.linalg.norm(expected), atol=1e-5)
    again = Encoder.from_description(focused.describe(), weights=path, device="cpu")
    assert (again.key, again.focus) == (focused.key, "foreground")


def test_what_cannot_have_a_focus(tmp_path):
    with pytest.raises(
        InputError, match="focus must be one of image, foreground, got 'foregrounds'; did you mean 'foreground'"
    ):
        Encoder("mini", focus="foregrounds")
    with pytest.raises(InputError, match="focus must be one of image, foreground, got None"):
        Encoder("mini", focus=None)  # type: ignore[arg-type]
    path = str(save_vit(tmp_path / "vit"))
    with pytest.raises(InputError, match="3 x 3 patches or more, got 2 x 2"):
        Encoder(path, resolution=2 * PATCH, focus="foreground", device="cpu")


def test_a_collection_keeps_its_focus(run, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(4):
        Image.fromarray(thing_on((30 * number, 110, 40), (200, 60, 40))).save(tmp_path / f"photos/{number}.png")
    place = tmp_path / "photos.dino"
    assert run("embed", tmp_path / "photos", "-o", place, "--model", "mini")[0] == 0
    plain = Collection(place).key
    assert run("embed", tmp_path / "photos", "-o", place, "--focus", "foreground")[0] == 0
    focused = Collection(place)
    assert focused.key != plain
    assert (focused.model["focus"], focused.model["resolution"]) == ("foreground", 128)
    assert run("embed", tmp_path / "photos", "-o", place)[0] == 0
    assert Collection(place).key == focused.key
    found = Collection(place).search(str(tmp_path / "photos" / "2.png"), 1)
    assert (found[0].row, round(found[0].similarity, 4)) == (2, 1.0)


def test_a_focus_is_kept_or_changed_as_asked(run, tmp_path):
    photos, place = tmp_path / "photos", tmp_path / "photos.dino"
    photos.mkdir()
    for number in range(3):
        Image.fromarray(thing_on((30 * number, 110, 40), (200, 60, 40))).save(photos / f"{number}.png")

    def embedded(*options):
        code, out, err = run("embed", photos, "-o", place, *options, "--json")
        assert code == 0, err
        model = Collection(place).model
        return json.loads(out)["embedded"], model.get("focus", "image"), model["resolution"]

    assert embedded("--model", "mini", "--focus", "foreground", "--resolution", 192) == (3, "foreground", 192)
    assert embedded("--focus", "foreground") == (0, "foreground", 192)
    assert embedded("--focus", "foreground", "--resolution", 192) == (0, "foreground", 192)
    assert embedded("--focus", "image") == (3, "image", 40)
    assert embedded() == (0, "image", 40)
    assert embedded("--focus", "foreground") == (3, "foreground", 128)


def test_a_name_means_the_vectors_with_the_usual_settings(tmp_path):
    plain = Encoder("mini")
    for encoder in (plain, Encoder("mini", pooling="cls+mean"), Encoder("mini", focus="foreground")):
        write_json(tmp_path / "vectors" / encoder.key / "model.json", encoder.describe(), checked=True)
    keys = list_models(tmp_path)
    assert keys[-1] != plain.key
    assert choose_model(tmp_path, "another", "mini") == plain.key
    assert [choose_model(tmp_path, each, "mini") for each in keys] == keys  # the one that is shown, where it is one
    assert choose_model(tmp_path, plain.key, keys[-1]) == keys[-1]
