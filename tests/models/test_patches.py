"""What a model sees of one image: the whole of it, each patch at its place."""

import numpy as np
import pytest

from dinoscope.errors import InputError, ModelError
from dinoscope.models.encoder import Encoder
from tests.checkpoints import DIM, PATCH, save_vit
from tests.pictures import photo

SIDE = 8 * PATCH


@pytest.fixture(scope="module")
def mini():
    return Encoder("mini")


@pytest.fixture(scope="module", params=["dino", "dinov2", "dinov3"])
def vit(request, tmp_path_factory):
    return Encoder(
        str(save_vit(tmp_path_factory.mktemp("weights") / request.param, request.param)), resolution=SIDE, device="cpu"
    )


def picture(width, height):
    return np.asarray(photo(256).resize((width, height)))


@pytest.mark.parametrize(
    ("size", "resolution", "grid"),
    [((90, 90), None, (16, 16)), ((64, 256), None, (32, 8)), ((300, 200), 96, (10, 15)), ((2000, 10), 64, (3, 32))],
)
def test_a_bundled_model_sees_the_image_in_its_own_shape(mini, size, resolution, grid):
    seen = mini.look(picture(*size), resolution)
    assert seen.tokens.shape == (*grid, 256)
    assert seen.picture.shape == (8 * grid[0], 8 * grid[1], 3)
    assert seen.attention is None
    assert seen.finer is not None
    assert seen.finer.shape[:2] == (2 * grid[0], 2 * grid[1])


@pytest.mark.parametrize("model", ["mini", "mini-fashion"])
def test_the_finer_map_is_what_the_last_halving_takes(model):
    """Whoever computes on from it gets the tokens; and it lies where the patches do."""
    encoder, image = Encoder(model), picture(128, 128)
    changed = image.copy()
    changed[40:48, 72:80] ^= 255
    before, after = encoder.look(image), encoder.look(changed)
    assert before.finer is not None
    assert after.finer is not None
    differs = ((after.finer - before.finer) ** 2).sum(axis=2)
    row, column = np.unravel_index(differs.argmax(), differs.shape)
    assert abs(row - 10.5) <= 1.5
    assert abs(column - 18.5) <= 1.5
    np.testing.assert_array_equal(encoder.encode(image), Encoder(model).encode(image))


@pytest.mark.parametrize("resolution", [100, 16, 2048])
def test_a_bundled_model_takes_multiples_of_its_patch(mini, resolution):
    with pytest.raises(InputError, match=f"a multiple of 8 from 24 to 1024, got {resolution}: try"):
        mini.look(picture(64, 64), resolution)


@pytest.mark.parametrize("model", ["mini", "mini-fashion"])
def test_a_token_of_a_bundled_model_tells_of_its_own_place(model):
    """Where pixels change, tokens do: on average at the same place, within 1.25 pixels; a patch is 8."""
    encoder, image, draw = Encoder(model), picture(128, 128), np.random.default_rng(0)
    before, misses = encoder.look(image).tokens, []
    centres = np.arange(16) * 8 + 3.5
    for y, x in draw.integers(40, 86, (60, 2)).tolist():
        changed = image.copy()
        changed[y : y + 2, x : x + 2] ^= 255
        weight = ((encoder.look(changed).tokens - before) ** 2).sum(axis=2)
        weight /= weight.sum()
        misses.append((weight.sum(axis=1) @ centres - y - 0.5, weight.sum(axis=0) @ centres - x - 0.5))
    assert np.abs(np.mean(misses, axis=0)).max() < 1.25


def test_the_edges_of_a_plain_picture_are_as_plain_as_its_middle(mini):
    tokens = mini.look(np.full((128, 128, 3), 90, np.uint8)).tokens
    unit = tokens / np.linalg.norm(tokens, axis=2, keepdims=True)
    assert (unit @ unit[8, 8]).min() > 0.99  # without the margin, 0.12


@pytest.mark.parametrize(
    ("size", "grid"), [((64, 64), (8, 8)), ((640, 320), (4, 8)), ((30, 90), (8, 3)), ((640, 40), (3, 8))]
)
def test_a_vit_sees_the_image_between_bars(vit, size, grid):
    seen = vit.look(picture(*size))
    assert seen.tokens.shape == (*grid, DIM)
    assert seen.picture.shape == (PATCH * grid[0], PATCH * grid[1], 3)
    square = np.empty((SIDE, SIDE, 3), np.uint8)
    square[:] = [round(255 * each) for each in vit.preprocessing.normalization.mean]
    top, left = (8 - grid[0]) // 2, (8 - grid[1]) // 2
    square[PATCH * top :, PATCH * left :][: seen.picture.shape[0], : seen.picture.shape[1]] = seen.picture
    tokens, attention = vit._runtime.run(["patches", "attention"], square[None])
    inside = slice(top, top + grid[0]), slice(left, left + grid[1])
    np.testing.assert_allclose(seen.tokens, tokens[0].reshape(8, 8, DIM)[inside], atol=1e-5)
    front = 5 if vit.model.family == "dinov3" else 1
    assert seen.finer is None
    assert seen.attention.shape == (attention.shape[1], front, *grid)
    np.testing.assert_allclose(seen.attention, attention[0].reshape(-1, front, 8, 8)[:, :, *inside], atol=1e-6)


def test_a_vit_is_loaded_for_one_resolution(vit):
    with pytest.raises(InputError, match="was loaded for 64 pixels, got a resolution of 96: load it again"):
        vit.look(picture(64, 64), 96)
    assert vit.look(picture(64, 64), SIDE).tokens.shape == (8, 8, DIM)


def test_fewer_patches_than_can_tell_anything_are_refused(tmp_path):
    encoder = Encoder(str(save_vit(tmp_path / "vit")), resolution=2 * PATCH, device="cpu")
    with pytest.raises(
        InputError, match=f"2 x 2 patches at {2 * PATCH} pixels.*pass a resolution of {3 * PATCH} or more"
    ):
        encoder.look(picture(64, 64))


def test_a_finer_look_by_the_same_weights(tmp_path):
    encoder = Encoder(str(save_vit(tmp_path / "vit")), resolution=SIDE, device="cpu")
    path = str(tmp_path / "vit")
    finer = Encoder.from_description(encoder.describe(), weights=path, device="cpu", resolution=2 * SIDE)
    assert finer.look(picture(64, 64)).tokens.shape == (16, 16, DIM)
    assert finer.key != encoder.key


def test_a_model_of_vectors_alone_shows_nothing():
    encoder = Encoder("mini")
    encoder._runtime.outputs = frozenset({"cls"})
    with pytest.raises(ModelError, match="gives one vector per image, no patches"):
        encoder.look(picture(64, 64))
