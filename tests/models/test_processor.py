"""What stands beside weights decides how images reach them."""

import json

import numpy as np
import pytest

from dinoscope.errors import ModelError
from dinoscope.models.catalogue import IMAGENET, MODELS, Normalization
from dinoscope.models.encoder import Encoder
from dinoscope.models.preprocess import kept_fraction, prepare, preprocessing_of
from dinoscope.models.processor import read_processor
from tests.checkpoints import DIM, random_vit, save_vit, write_tensors
from tests.models.graphs.test_onnx_import import expected_tokens, export
from tests.pictures import photo

SATELLITE = Normalization((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
COLOURS = {"image_mean": list(SATELLITE.mean), "image_std": list(SATELLITE.std)}
USUAL = {"image_mean": list(IMAGENET.mean), "image_std": list(IMAGENET.std)}
BIT = {**USUAL, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 256}}
VIT = {**USUAL, "size": 224, "resample": 2}
V3 = {**USUAL, "crop_size": None, "do_center_crop": None, "size": {"height": 224, "width": 224}, "resample": 2}


def read(folder, held, family="dinov2", name="preprocessor_config.json"):
    (folder / name).write_text(json.dumps(held))
    return read_processor(folder / "model.safetensors", preprocessing_of(family))


@pytest.mark.parametrize(
    ("family", "held"), [("dinov2", {**BIT, "resample": 3}), ("dinov2", BIT), ("dino", VIT), ("dinov3", V3)]
)
def test_the_processors_of_the_families_are_the_families_own(tmp_path, family, held):
    """So nothing is embedded again where they lie beside weights that were used without them."""
    found = read(tmp_path, held, family)
    assert (found.normalization, found.preprocessing, found.assumed) == (IMAGENET, preprocessing_of(family), "")


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (COLOURS, SATELLITE),
        ({"do_normalize": False}, Normalization((0, 0, 0), (1, 1, 1))),
        ({**COLOURS, "do_normalize": False}, Normalization((0, 0, 0), (1, 1, 1))),
        ({**COLOURS, "rescale_factor": 0.00392156862745098}, SATELLITE),
        (
            {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "rescale_factor": 2 / 255},
            Normalization((0.25,) * 3, (0.25,) * 3),
        ),
        (
            {"image_mean": [127.5] * 3, "image_std": [127.5] * 3, "do_rescale": False},
            Normalization((0.5,) * 3, (0.5,) * 3),
        ),
        (
            {
                "image_mean": np.array(IMAGENET.mean, np.float32).tolist(),
                "image_std": np.array(IMAGENET.std, np.float32).tolist(),
            },
            IMAGENET,
        ),
    ],
)
def test_colours(tmp_path, held, expected):
    found = read(tmp_path, held).normalization
    np.testing.assert_allclose([found.mean, found.std], [expected.mean, expected.std], atol=1e-12)
    assert (found == IMAGENET) == (expected == IMAGENET)


@pytest.mark.parametrize(
    ("held", "key"),
    [
        ({"size": {"shortest_edge": 224}, "do_center_crop": False}, "crop-bicubic"),
        ({"size": 248, "crop_size": 224, "resample": 1}, "crop1.11-lanczos"),
        ({"size": {"height": 512, "width": 512}, "crop_size": {"height": 448, "width": 448}}, "squash1.14-bicubic"),
        ({"size": 224, "resample": "bilinear"}, "squash-bilinear"),
        ({"size": 224, "resample": 0}, "squash-nearest"),
    ],
)
def test_squares(tmp_path, held, key):
    found = read(tmp_path, {**USUAL, **held})
    assert (found.preprocessing.key, found.assumed) == (key, "")


@pytest.mark.parametrize(
    "held",
    [
        {},
        {"do_resize": False, "size": 224},
        {"size": {"longest_edge": 224}},
        {"size": {"height": 224, "width": 112}},
        {"size": "large"},
        {"size": 224, "resample": 9},
        {"size": 224, "resample": [2]},
        {"size": 224, "crop_size": 512},
        {"size": 224, "do_center_crop": True},
        {"size": 10**400},
    ],
)
def test_a_square_that_is_not_understood_is_assumed_and_said(tmp_path, held):
    found = read(tmp_path, {**COLOURS, **held})
    assert (found.normalization, found.preprocessing) == (SATELLITE, preprocessing_of("dinov2"))
    assert found.assumed == "the scaling of images that is usual for such models (crop1.14-bicubic)"


@pytest.mark.parametrize(
    "held",
    [
        {**COLOURS, "image_std": [1, 1]},
        {**COLOURS, "image_std": [1, 0, 1]},
        {**COLOURS, "image_mean": "grey"},
        {**COLOURS, "image_mean": [0.5, None, 0.5]},
        {"image_mean": [0.5, 0.5, 0.5]},
        {**COLOURS, "rescale_factor": 0},
        {**COLOURS, "rescale_factor": "1/255"},
        {**COLOURS, "image_mean": [float("nan")] * 3},
    ],
)
def test_numbers_that_are_none_are_one_error(tmp_path, held):
    with pytest.raises(ModelError, match="expected three numbers each for mean and deviation and a factor, got"):
        read(tmp_path, held)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\0"])
def test_a_file_that_is_no_configuration_counts_as_none(tmp_path, text):
    (tmp_path / "preprocessor_config.json").write_text(text)
    assert "ImageNet's mean" in read_processor(tmp_path / "model.safetensors", preprocessing_of("dino")).assumed


def test_timm_says_it_in_its_config(tmp_path):
    held = {"pretrained_cfg": {"mean": SATELLITE.mean, "std": SATELLITE.std, "crop_pct": 1.0}}
    found = read(tmp_path, held, "dinov3", "config.json")
    assert (found.normalization, found.preprocessing, found.assumed) == (SATELLITE, preprocessing_of("dinov3"), "")


def test_the_middle_of_a_squashed_picture():
    how = preprocessing_of("dino")
    from dataclasses import replace

    image = np.asarray(photo(64))[:40]
    larger = prepare(image, how, 64)
    middle = prepare(image, replace(how, scale=2.0), 32)
    assert np.abs(middle.astype(int) - larger[16:48, 16:48]).max() <= 1
    assert kept_fraction(64, 40, replace(how, scale=2.0)) == 0.25


def test_bars_have_the_colour_that_is_zero():
    from dataclasses import replace

    how = replace(preprocessing_of("dinov2", pad=True), normalization=SATELLITE)
    assert prepare(np.zeros((8, 32, 3), np.uint8), how, 32)[0, 0].tolist() == [110, 105, 75]


def test_weights_see_the_colours_that_they_were_trained_with(tmp_path):
    """The same network for ImageNet's colours has another kernel: both give the same vectors."""
    tensors = random_vit()
    write_tensors(tmp_path / "sat" / "model.safetensors", tensors)
    (tmp_path / "sat" / "preprocessor_config.json").write_text(json.dumps({**BIT, **COLOURS}))
    kernel = tensors["patch_embed.proj.weight"].astype(np.float64)
    ratio = (np.array(IMAGENET.std) / SATELLITE.std)[:, None, None]
    shift = ((np.array(IMAGENET.mean) - SATELLITE.mean) / SATELLITE.std)[:, None, None]
    tensors["patch_embed.proj.bias"] += (kernel * shift).sum((1, 2, 3)).astype(np.float32)
    tensors["patch_embed.proj.weight"] = (kernel * ratio).astype(np.float32)
    write_tensors(tmp_path / "same" / "model.safetensors", tensors)
    write_tensors(tmp_path / "other" / "model.safetensors", random_vit())
    image = np.asarray(photo(64))
    found = {name: Encoder(str(tmp_path / name), resolution=32, device="cpu") for name in ("sat", "same", "other")}
    np.testing.assert_allclose(found["sat"].encode([image]), found["same"].encode([image]), atol=1e-5)
    assert np.abs(found["sat"].encode([image]) - found["other"].encode([image])).max() > 1e-2
    assert found["sat"].weights_sha256 == found["other"].weights_sha256
    assert found["sat"].key.startswith(found["other"].key.replace("other", "sat") + "-crop1.14-bicubic-")
    described = found["sat"].describe()
    assert (described["mean"], described["std"]) == (list(SATELLITE.mean), list(SATELLITE.std))
    assert "assumed" not in described
    assert Encoder.from_description(described, weights=str(tmp_path / "sat"), device="cpu").key == found["sat"].key
    with pytest.raises(ModelError, match=r"prepared as crop1.14-bicubic-.*, with these weights .* would be crop1.14"):
        Encoder.from_description(described, weights=str(tmp_path / "other"), device="cpu")


def test_an_export_sees_them_too(tmp_path):
    kernel, position = export(tmp_path / "onnx" / "model.onnx")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**V3, **COLOURS}))
    encoder = Encoder(str(tmp_path), device="cpu")
    pixels = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    cls = expected_tokens(pixels, kernel, position, SATELLITE.mean, SATELLITE.std)[:, 0]
    np.testing.assert_allclose(encoder.run(pixels), cls / np.linalg.norm(cls, axis=1, keepdims=True), atol=1e-5)
    assert encoder.preprocessing.resize == "squash"


def test_what_is_assumed_is_said_and_kept(tmp_path, run):
    save_vit(tmp_path / "vit")
    (tmp_path / "photos").mkdir()
    for number in range(3):
        photo(40 + number).save(tmp_path / "photos" / f"{number}.png")
    command = ("embed", tmp_path / "photos", "-o", tmp_path / "c", "--model", tmp_path / "vit", "--resolution", 32)
    code, _, told = run(*command)
    assert code == 0, told
    text = "ImageNet's mean and deviation of colours, and the scaling that is usual for such models (crop1.14-bicubic)"
    assert f"nothing beside the weights says how images are prepared for vit; assumed: {text}; put its" in " ".join(
        told.split()
    )
    held = json.loads(next((tmp_path / "c").glob("vectors/*/model.json")).read_text())
    assert held["assumed"] == text
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(BIT))
    code, _, told = run(*command)
    assert (code, "assumed:" in told, "nothing to embed: 3 images" in told) == (0, False, True), told


def test_a_row_of_the_table_carries_its_own():
    for row in MODELS.values():
        assert row.normalization == (None if row.family == "bundled" else IMAGENET)


def test_heads_that_config_json_alone_tells_are_part_of_the_key(tmp_path):
    """The same file with another number of heads is another model."""
    folder = save_vit(tmp_path / "vit")
    plain = Encoder(str(folder), resolution=32, device="cpu")
    (folder / "config.json").write_text(json.dumps({"hidden_size": DIM, "num_attention_heads": 4}))
    heads = Encoder(str(folder), resolution=32, device="cpu")
    assert heads.key == plain.key + "-4heads"
    assert Encoder.from_description(heads.describe(), weights=str(folder), device="cpu").key == heads.key
    with pytest.raises(
        ModelError, match="is not the one that made the vectors \\(expected nothing unusual, got 4heads"
    ):
        Encoder.from_description(plain.describe(), weights=str(folder), device="cpu")
