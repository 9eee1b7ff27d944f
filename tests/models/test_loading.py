import hashlib
import json
import os
import shutil
from typing import Any

import numpy as np
import pytest

from dinoscope.base.types import ModelDescription
from dinoscope.collection import Collection
from dinoscope.errors import DownloadError, InputError, ModelError
from dinoscope.models.catalogue import MODELS, get_model
from dinoscope.models.encoder import Encoder
from dinoscope.models.loading import load_model
from dinoscope.storage.manifest import list_models
from tests.checkpoints import DIM, PATCH, random_vit, save_vit, write_tensors
from tests.pictures import photo


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_vit(tmp_path_factory.mktemp("weights") / "my-vit")


@pytest.fixture(scope="module")
def image():
    return np.asarray(photo(64))


@pytest.mark.parametrize("family", ["dino", "dinov2", "dinov3"])
def test_a_folder_is_a_model_and_tells_its_family(tmp_path, family):
    encoder = Encoder(str(save_vit(tmp_path / "vit", family)), resolution=4 * PATCH, device="cpu")
    assert (encoder.model.family, encoder.model.name) == (family, "vit")
    assert (encoder.dim, encoder.model.patch, encoder.batch_size) == (DIM, PATCH, 8)
    assert encoder.preprocessing.resize == ("crop" if family == "dinov2" else "squash")


def test_folder_and_file_are_the_same_model(folder, image):
    by_folder, by_file = (
        Encoder(str(path), resolution=32, device="cpu") for path in (folder, folder / "model.safetensors")
    )
    np.testing.assert_array_equal(by_folder.encode([image]), by_file.encode([image]))
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert by_folder.weights_sha256 == by_file.weights_sha256 == digest


def test_default_resolution_is_224(folder):
    assert load_model(str(folder)).resolution == 224


def test_a_resolution_between_patches_is_refused(folder):
    with pytest.raises(InputError, match="must be a multiple of the model's patch of 8 pixels, got 30: try 32"):
        load_model(str(folder), resolution=30)


def test_a_resolution_of_nothing_is_not_the_default(folder):
    with pytest.raises(InputError, match="resolution must be at least 1, got 0"):
        load_model(str(folder), resolution=0)


def test_weights_that_give_no_numbers_are_refused(tmp_path):
    tensors = random_vit()
    tensors["norm.weight"][3] = np.nan
    write_tensors(tmp_path / "model.safetensors", tensors)
    with pytest.raises(
        ModelError, match=r"gives NaN or infinity on cpu in fp32: its weights are damaged, or .* float32"
    ):
        Encoder(str(tmp_path), resolution=32, device="cpu")


def test_a_bundled_model_takes_what_it_was_made_for():
    assert [load_model("mini", resolution=side).resolution for side in (None, 32, 40)] == [32, 32, 40]
    assert load_model("mini-fashion", resolution=28).resolution == 28
    with pytest.raises(InputError, match="mini-fashion takes 28 pixels only, got a resolution of 64"):
        load_model("mini-fashion", resolution=64)


def test_a_name_that_looks_like_a_digest_is_not_believed(folder, tmp_path):
    """A blob of the hub's cache is named by its SHA-256; anybody may name a file so."""
    blob = tmp_path / "blobs" / ("ab" * 32)
    blob.parent.mkdir()
    shutil.copy(folder / "model.safetensors", blob)
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to(blob)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert load_model(str(tmp_path / "snapshot")).weights_sha256 == digest
    # and the graph finds the weights behind the link
    assert Encoder(str(tmp_path / "snapshot"), resolution=32, device="cpu").dim == DIM


def test_heads_come_from_config_json(tmp_path, image):
    folder = save_vit(tmp_path / "a")
    plain = Encoder(str(folder), resolution=32, device="cpu").encode([image])
    (folder / "config.json").write_text(json.dumps({"hidden_size": DIM, "num_attention_heads": 4}))
    assert np.abs(Encoder(str(folder), resolution=32, device="cpu").encode([image]) - plain).max() > 1e-3
    (folder / "config.json").write_text(json.dumps({"hidden_size": 2 * DIM, "num_attention_heads": 4}))
    with pytest.raises(ModelError, match="does not belong to model"):
        load_model(str(folder))


def test_what_a_folder_may_hold(tmp_path):
    with pytest.raises(ModelError, match=r"holds no weights: expected model.safetensors or model.onnx, got nothing"):
        load_model(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(ModelError, match=r"got pytorch_model.bin"):
        load_model(str(tmp_path))
    with pytest.raises(ModelError, match=r"pickled checkpoint \(.pth, .bin\) can run code .* save it as safetensors"):
        load_model(str(tmp_path / "pytorch_model.bin"))
    with pytest.raises(ModelError, match="null holds no weights that dinoscope reads"):
        load_model(os.devnull)
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"holds several weights \(a.safetensors, b.safetensors\)"):
        load_model(str(tmp_path))


@pytest.mark.parametrize("name", ["./nowhere", "nowhere.safetensors", "some/where/deep", "~/nowhere-at-all"])
def test_a_path_that_is_not_there(name):
    with pytest.raises(ModelError, match="no weights at"):
        get_model(name)


def test_a_path_may_be_one_of_pathlib(folder, tmp_path):
    assert get_model(folder) == get_model(str(folder))
    with pytest.raises(ModelError, match="no weights at"):
        get_model(tmp_path / "nowhere")


def test_no_name_is_not_the_folder_one_is_in():
    with pytest.raises(ModelError, match="unknown model ''"):
        get_model("")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_no_utf8_can_be_stored(folder, tmp_path):
    os.symlink(folder, os.path.join(os.fsencode(tmp_path), b"vit\xe9"))
    assert get_model(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"vit\xe9"))).name == "vit\\xe9"


def test_hub_ids():
    assert get_model("facebook/dinov2-small") is MODELS["dinov2-small"]
    free = get_model("timm/vit_small_patch14_dinov2.lvd142m")
    assert (free.repo, free.family) == ("timm/vit_small_patch14_dinov2.lvd142m", "")


def test_rows_are_whole():
    for name, row in MODELS.items():
        assert name == row.name
        assert row.resolution
        assert row.dim
        assert row.licence
        assert row.megabytes > 1
        assert (row.repo is None) == (row.family == "bundled")
        assert row.repo is None or row.resolution % row.patch == 0
        if row.gated:
            assert not MODELS[str(row.open_model)].gated


def test_keys_name_every_setting_that_changes_vectors(folder):
    settings: list[dict[str, Any]] = [
        {},
        {"resolution": 64},
        {"pooling": "cls+mean"},
        {"pad": True},
        {"focus": "foreground"},
        {"device": "openvino-fp32"},
    ]
    keys = []
    for setting in settings:
        if "device" in setting:
            pytest.importorskip("openvino")
        keys.append(Encoder(str(folder), **{"resolution": 32, "device": "cpu", **setting}).key)
    assert len(set(keys[:5])) == 5
    assert keys[5] == keys[0]  # the same products, in the same precision
    assert keys[0].startswith("my-vit-32px-")
    dino = save_vit(folder.parent / "dino", "dino")
    plain, upstream = (Encoder(str(dino), resolution=32, device="cpu", upstream=flag).key for flag in (False, True))
    assert plain != upstream


def test_cls_and_mean_is_cls_with_the_mean_of_the_patches(folder, image):
    encoder = Encoder(str(folder), resolution=32, pooling="cls+mean", device="cpu")
    cls = Encoder(str(folder), resolution=32, device="cpu")._runtime.run(["cls"], encoder.preprocess(image)[None])[0]
    expected = np.concatenate([cls, encoder.patches([image]).mean(1)], axis=1)
    expected /= np.linalg.norm(expected)
    assert encoder.dim == 2 * DIM
    np.testing.assert_allclose(encoder.encode([image]), expected, atol=1e-6)


def test_unknown_settings(folder):
    with pytest.raises(InputError, match=r"pooling must be one of cls, cls\+mean, got 'mean'"):
        Encoder(str(folder), pooling="mean")
    with pytest.raises(InputError, match=r"device must be one of .*, got 'cpuu'; did you mean 'cpu'\?"):
        Encoder(str(folder), device="cpuu")


def test_description_makes_the_same_encoder_again(folder, image):
    encoder = Encoder(str(folder), resolution=64, pooling="cls+mean", pad=True, device="cpu")
    described = json.loads(json.dumps(encoder.describe()))
    assert str(folder) not in json.dumps(described)
    with pytest.raises(
        ModelError, match=r"made with weights from a file called 'my-vit': say where it is \(--weights\)"
    ):
        Encoder.from_description(described)
    again = Encoder.from_description(described, weights=str(folder), device="cpu")
    assert again.key == encoder.key
    np.testing.assert_array_equal(again.encode([image]), encoder.encode([image]))
    remedy = r"name the right ones \(--weights, with embed --model\), or embed .* COLLECTION --model FILE'\)"
    with pytest.raises(ModelError, match=f"are not the ones that made the vectors .*{remedy}"):
        Encoder.from_description(described | {"weights_sha256": "0" * 64}, weights=str(folder), device="cpu")


def test_auto_goes_on_in_the_precision_of_the_vectors(folder, image, shortened, tmp_path):
    exact = Encoder(str(folder), resolution=64, device="cpu")
    short = Encoder(str(folder), resolution=64)
    assert (short.precision, short.key) == ("bf16", f"{exact.key}-bf16")
    again = Encoder.from_description(exact.describe(), weights=str(folder))
    assert (again.key, again.precision, again.asked_device) == (exact.key, "fp32", "auto")
    assert np.abs(again.encode([image]) - exact.encode([image])).max() < 1e-4
    assert Encoder.from_description(exact.describe(), weights=str(folder), device="openvino").key == short.key
    assert Encoder.from_description(short.describe(), weights=str(folder)).key == short.key
    assert short.going_on([exact.key]).key == exact.key
    assert short.going_on([exact.key, short.key]) is short
    assert short.going_on([]) is short
    asked = Encoder(str(folder), resolution=64, device="openvino")
    assert asked.going_on([exact.key]) is asked
    forced = Encoder(str(folder), resolution=64, precision="fp32")
    assert (forced.key, forced.precision, forced.reason) == (exact.key, "fp32", "float32 was asked for")
    led_back = Encoder.from_description(short.describe(), weights=str(folder), precision="fp32")
    assert led_back.key == exact.key
    with pytest.raises(InputError, match=r"--device openvino computes in bf16 on this machine, and --precision fp32"):
        Encoder(str(folder), resolution=64, device="openvino", precision="fp32")
    for encoder in (exact, short):
        made = Collection.from_images([image], tmp_path / "c", model=encoder)
        assert (made.key, list_models(tmp_path / "c")) == (exact.key, [exact.key])
    assert made.query_vector(image, weights=str(folder)) @ made.vectors[0] == pytest.approx(1, abs=1e-6)


@pytest.fixture
def no_session(monkeypatch):
    """Nothing may be run."""
    for runtime in ("_OnnxRuntime", "_OpenVino"):
        monkeypatch.setattr(f"dinoscope.models.runtime.{runtime}", None)


def described(name: str, **more: Any) -> ModelDescription:
    made: ModelDescription = {"model": name, "dim": 8, "resolution": 32, "weights_sha256": "0" * 64, "licence": ""}
    return {**made, **more}  # type: ignore[typeddict-item]


@pytest.mark.parametrize("as_path", ["my-vit", "./my-vit", "{}", "nested/my-vit"])
def test_a_path_in_a_description_is_never_opened(folder, tmp_path, monkeypatch, no_session, as_path):
    """Whoever sends a collection may name any file of this machine, also one that reads like a hub id."""
    for place in ("my-vit", "nested/my-vit"):
        shutil.copytree(folder, tmp_path / place)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("dinoscope.models.loading._find_file", None)
    monkeypatch.setattr("dinoscope.models.hub.local.find_weights", lambda _: None)
    with pytest.raises((ModelError, DownloadError), match=r"is neither a model of|are not on this machine") as caught:
        Encoder.from_description(described(as_path.format(tmp_path / "my-vit")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "dinov2-giant",
            r"fetch dinov2-giant' \(4,546\.0 MB, licence: Apache-2\.0, https://www\.apache\.org/.*\), then",
        ),
        ("facebook/dinov2-giant", r"fetch dinov2-giant' \(4,546"),
        ("any/body", r"fetch any/body' \(size and licence: https://huggingface\.co/any/body\)"),
    ],
)
def test_a_description_downloads_nothing(monkeypatch, name, told):
    monkeypatch.setattr("dinoscope.models.hub.local.find_weights", lambda _: None)
    monkeypatch.setattr("dinoscope.models.hub.download._download", None)
    with pytest.raises(DownloadError, match=f"nothing is downloaded without asking: run 'dinoscope models {told}"):
        Encoder.from_description(described(name))


def test_other_weights_are_refused_before_they_are_run(folder, no_session):
    for name, weights in (("mini", None), ("my-vit", str(folder))):
        with pytest.raises(
            ModelError, match=r"are not the ones that made the vectors \(SHA-256 .*, expected 000000000000"
        ):
            Encoder.from_description(described(name), weights=weights)
    with pytest.raises(ModelError, match="are not the ones"):
        Encoder.from_description(described("mini", weights_sha256=None))
