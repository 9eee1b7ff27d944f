import hashlib
import json

import numpy as np
import onnx
import pytest
from PIL import Image, ImageDraw

from dinoscope import Collection
from dinoscope.errors import InputError, ModelError
from dinoscope.models import catalogue
from dinoscope.models.catalogue import MODELS, RANGES, get_model, read_ranges, read_weights
from dinoscope.models.encoder import Encoder, precision_of
from dinoscope.models.graphs.int8 import quantized, ranged
from dinoscope.models.loading import digest_ranges
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.storage.manifest import list_models
from tests.checkpoints import save_vit

BUNDLED = [name for name, row in MODELS.items() if row.family == "bundled"]


@pytest.fixture(scope="module", params=BUNDLED)
def encoder(request):
    return Encoder(request.param, precision="int8")


@pytest.fixture(scope="module")
def clothes():
    return load_dataset("fashion-mnist-test").pixels[:60]


@pytest.fixture(scope="module")
def images(encoder, clothes):
    """What the model is for: small grey clothes, or pictures in colour."""
    if encoder.model.name == "mini-fashion":
        return clothes
    return np.stack([drawn(seed) for seed in range(60)])


def drawn(seed):
    """An ellipse and a rectangle before a ground of running colours, (32, 32, 3)."""
    rng = np.random.default_rng(seed)
    few = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(few).resize((32, 32), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for shape in (pen.ellipse, pen.rectangle):
        left, top, width, height = rng.integers(5, 16, 4).tolist()
        shape([left, top, left + width, top + height], fill=tuple(rng.integers(0, 256, 3).tolist()))
    return np.asarray(picture)


def ranges_of(name):
    row = get_model(name)
    return read_ranges(row, hashlib.sha256(read_weights(row)).hexdigest())


def test_every_range_is_there_and_holds_what_the_network_computes(encoder, images):
    name = encoder.model.name
    weights, ranges = read_weights(get_model(name)), ranges_of(name)
    assert list(ranges) == ranged(weights), "python -m pretraining.ranges --data DIR makes them again"
    model = onnx.load_from_string(weights)
    model.graph.output.extend(onnx.helper.make_tensor_value_info(each, onnx.TensorProto.FLOAT, None) for each in ranges)
    import onnxruntime

    network = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.stack([encoder.square(image) for image in images])
    for tensor, values in zip(ranges, network.run(list(ranges), {"pixels": pixels}), strict=True):
        low, high = ranges[tensor]
        assert np.mean((values >= low - 1e-3) & (values <= high + 1e-3)) > 0.999, tensor  # five digits are kept


def test_weights_have_7_bits_and_the_bytes_are_always_the_same(encoder):
    """Two products of 8 bits overflow the 16 bits that processors without VNNI add them in."""
    row = get_model(encoder.model.name)
    made = quantized(read_weights(row), ranges_of(row.name))
    assert made == quantized(read_weights(row), ranges_of(row.name))
    graph = onnx.load_from_string(made).graph
    kernels = [
        onnx.numpy_helper.to_array(each) for each in graph.initializer if each.data_type == onnx.TensorProto.INT8
    ]
    kernels = [each for each in kernels if each.ndim == 4]
    assert len(kernels) == sum(node.op_type == "Conv" for node in graph.node)
    assert max(np.abs(each.astype(int)).max() for each in kernels) == 63
    assert len(made) < 0.6 * len(read_weights(row))


def test_vectors_are_near_those_in_float32_and_do_not_depend_on_their_batch(encoder, images):
    together = encoder.encode(images)
    assert encoder.precision == "int8"
    for size in (1, 7, 64):
        apart = Encoder(encoder.model.name, precision="int8", batch_size=size).encode(images)
        np.testing.assert_array_equal(apart, together)
    cosines = (together * Encoder(encoder.model.name).encode(images)).sum(axis=1)
    assert 0.97 < cosines.mean() < 0.99999


def test_what_lies_near_in_float32_lies_near_in_whole_numbers(encoder, images):
    def nearest(vectors):
        similarity = vectors @ vectors.T
        np.fill_diagonal(similarity, -1)
        return np.argsort(-similarity, axis=1)[:, :5]

    whole, exact = nearest(encoder.encode(images)), nearest(Encoder(encoder.model.name).encode(images))
    shared = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(whole, exact, strict=True)])
    assert shared > 0.8


def test_the_key_is_another_and_the_description_leads_back(encoder, images):
    exact = Encoder(encoder.model.name)
    ranges = digest_ranges(ranges_of(encoder.model.name))
    assert encoder.key == f"{exact.key}-int8-{ranges}"
    assert [precision_of(each.key) for each in (encoder, exact)] == ["int8", "auto"]
    assert encoder.describe() == {**exact.describe(), "precision": "int8", "ranges": ranges}
    again = Encoder.from_description(json.loads(json.dumps(encoder.describe())))
    assert (again.key, again.precision) == (encoder.key, "int8")
    np.testing.assert_array_equal(again.encode(images[:3]), encoder.encode(images[:3]))
    assert Encoder.from_description(exact.describe()).precision == "fp32"
    assert Encoder.from_description(encoder.describe(), precision="fp32").key == exact.key
    other = encoder.describe()
    other["ranges"] = "00000000"
    with pytest.raises(
        ModelError, match=r"'mini.*' rounds otherwise in int8: embed the images again \('dinoscope embed"
    ):
        Encoder.from_description(other)


def test_ranges_of_other_weights_are_refused(encoder, tmp_path, monkeypatch):
    row = encoder.model
    with pytest.raises(ModelError, match=r"ranges.json of this installation belongs to other weights of 'mini.*pip"):
        read_ranges(get_model(row.name), "0" * 64)
    short = ranges_of(row.name)
    first = next(iter(short))
    del short[first]
    with pytest.raises(ModelError, match=rf"the ranges for int8 lack {first} of the network: reinstall dinoscope"):
        quantized(read_weights(get_model(row.name)), short)
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(catalogue, "PACKAGE", tmp_path)
    for text in ("", "[]", "{}", json.dumps({row.name: {"ranges": {"Add_3": [0]}}})):
        (tmp_path / "weights" / RANGES).write_text(text)
        with pytest.raises(ModelError, match=r"ranges.json of this installation cannot be read: reinstall"):
            read_ranges(get_model(row.name), row.name)


def test_other_ranges_make_another_key(encoder, monkeypatch):
    wider = {name: (low, 2 * high) for name, (low, high) in ranges_of(encoder.model.name).items()}
    monkeypatch.setattr("dinoscope.models.loading.read_ranges", lambda row, sha256: wider)
    other = Encoder(encoder.model.name, precision="int8")
    assert other.key != encoder.key
    assert other.key.rsplit("-", 1)[0] == encoder.key.rsplit("-", 1)[0]


def test_patches_and_the_foreground_are_there(encoder, images):
    exact = Encoder(encoder.model.name)
    seen, expected = encoder.look(images[0]), exact.look(images[0])
    assert seen.tokens.shape == expected.tokens.shape
    cosines = (seen.tokens * expected.tokens).sum(-1) / np.linalg.norm(seen.tokens, axis=-1)
    assert np.mean(cosines / np.linalg.norm(expected.tokens, axis=-1)) > 0.95
    front = Encoder(encoder.model.name, precision="int8", focus="foreground")
    assert "-foreground-int8-" in front.key
    assert np.isfinite(front.encode(images[:2])).all()


def test_a_collection_keeps_the_precision_of_its_vectors(clothes, tmp_path):
    images, exact = clothes, Encoder("mini-fashion")
    kept = Collection.from_images(images, tmp_path / "c", model=exact)
    whole = Collection.from_images(images, tmp_path / "c", model=Encoder("mini-fashion", precision="int8"))
    assert whole.embedded is not None
    assert (whole.embedded.embedded, whole.embedded.precision) == (60, "int8")
    assert (kept.key, whole.key) == (exact.key, Encoder("mini-fashion", precision="int8").key)
    again = Collection.from_images(images, tmp_path / "c", model="mini-fashion")
    assert again.embedded is not None
    assert (again.key, again.embedded.embedded) == (exact.key, 0)
    np.testing.assert_allclose(whole.query_vector(images[5]), whole.vectors[5], atol=1e-6)


def test_the_command_keeps_what_is_there_until_int8_is_asked_for(run, tmp_path):
    place, said = tmp_path / "c.dino", []

    def embed(*more):
        code, out, err = run("embed", "fashion-mnist-test", "--limit", 40, "-o", place, "--json", *more)
        assert code == 0, err
        said.append(" ".join(err.split()))
        told = json.loads(out)
        return told["precision"], told["embedded"]

    assert embed("--model", "mini-fashion") == ("fp32", 40)
    assert embed() == ("fp32", 0)
    assert embed("--precision", "int8") == ("int8", 40)
    assert embed() == ("int8", 0)  # what is shown goes on
    assert "precision: int8, as the vectors that are there (--precision fp32" in said[-1]
    assert embed("--precision", "fp32") == ("fp32", 0)
    assert embed() == ("fp32", 0)
    assert embed("--precision", "int8") == ("int8", 0)
    description = place / "vectors" / Encoder("mini-fashion", precision="int8").key / "model.json"
    whole = description.read_bytes()
    description.write_bytes(whole[:20])  # the key still tells the precision
    assert embed() == ("int8", 0)
    assert description.read_bytes() == whole
    assert embed("--model", "mini-fashion") == ("fp32", 0)
    assert "mini-fashion, in int8" in run("info", place)[1]
    assert sorted(each.removeprefix("mini-fashion-") for each in list_models(place)) == sorted(
        Encoder("mini-fashion", precision=each).key.removeprefix("mini-fashion-") for each in ("auto", "int8")
    )


@pytest.mark.parametrize("better", [[], ["dinov2-small"]])
def test_int8_without_a_name_is_a_bundled_model(run, tmp_path, monkeypatch, better):
    monkeypatch.setattr("dinoscope.models.choice.models_here", lambda: [MODELS[each] for each in better])
    code, out, err = run(
        "embed", "fashion-mnist-test", "--limit", 8, "-o", tmp_path / "c", "--precision", "int8", "--json"
    )
    assert code == 0, err
    assert (json.loads(out)["model"], json.loads(out)["precision"]) == ("mini", "int8")
    told = " ".join(err.split())
    assert "model: mini, because --precision int8 is for the bundled models" in told
    assert ("without it, dinov2-small embeds, the best one on this machine" in told) == bool(better)


def test_what_cannot_run_in_whole_numbers_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"int8 runs on the processor alone, got --device openvino: leave it out"):
        Encoder("mini", precision="int8", device="openvino")
    with pytest.raises(
        InputError, match=r"int8 is for the bundled models \(mini and mini-fashion\), got vit: name one"
    ):
        Encoder(str(save_vit(tmp_path / "vit", "dinov2")), precision="int8")
    with pytest.raises(InputError, match=r"precision must be one of auto, fp32, int8|unknown precision 'int4'"):
        Encoder("mini", precision="int4")
