import json

import numpy as np
import onnx
import pytest

from dinoscope import Collection
from dinoscope.errors import InputError
from dinoscope.models.catalogue import MODELS, get_model, read_ranges, read_weights
from dinoscope.models.encoder import Encoder
from dinoscope.models.graphs.int8 import quantized, ranged
from dinoscope.sources.datasets.named import load_dataset
from dinoscope.storage.manifest import list_models
from tests.checkpoints import save_vit

BUNDLED = [name for name, row in MODELS.items() if row.family == "bundled"]


@pytest.fixture(scope="module", params=BUNDLED)
def encoder(request):
    return Encoder(request.param, precision="int8")


@pytest.fixture(scope="module")
def images():
    return load_dataset("fashion-mnist-test").pixels[:60]


def test_every_range_is_there_and_holds_what_the_network_computes(encoder, images):
    name = encoder.model.name
    weights, ranges = read_weights(get_model(name)), read_ranges(get_model(name))
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
    made = quantized(read_weights(row), read_ranges(row))
    assert made == quantized(read_weights(row), read_ranges(row))
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
    assert encoder.key == f"{exact.key}-int8"
    assert encoder.describe() == {**exact.describe(), "precision": "int8"}
    again = Encoder.from_description(json.loads(json.dumps(encoder.describe())))
    assert (again.key, again.precision) == (encoder.key, "int8")
    np.testing.assert_array_equal(again.encode(images[:3]), encoder.encode(images[:3]))
    assert Encoder.from_description(exact.describe()).precision == "fp32"


def test_patches_and_the_foreground_are_there(encoder, images):
    exact = Encoder(encoder.model.name)
    seen, expected = encoder.look(images[0]), exact.look(images[0])
    assert seen.tokens.shape == expected.tokens.shape
    cosines = (seen.tokens * expected.tokens).sum(-1) / np.linalg.norm(seen.tokens, axis=-1)
    assert np.mean(cosines / np.linalg.norm(expected.tokens, axis=-1)) > 0.95
    front = Encoder(encoder.model.name, precision="int8", focus="foreground")
    assert front.key.endswith("foreground-int8")
    assert np.isfinite(front.encode(images[:2])).all()


def test_a_collection_keeps_the_precision_of_its_vectors(images, tmp_path):
    exact = Encoder("mini-fashion")
    kept = Collection.from_images(images, tmp_path / "c", model=exact)
    whole = Collection.from_images(images, tmp_path / "c", model=Encoder("mini-fashion", precision="int8"))
    assert whole.embedded is not None
    assert (whole.embedded.embedded, whole.embedded.precision) == (60, "int8")
    assert (kept.key, whole.key) == (exact.key, f"{exact.key}-int8")
    again = Collection.from_images(images, tmp_path / "c", model="mini-fashion")
    assert again.embedded is not None
    assert (again.key, again.embedded.embedded) == (exact.key, 0)
    np.testing.assert_allclose(whole.query_vector(images[5]), whole.vectors[5], atol=1e-6)


def test_the_command_keeps_what_is_there_until_int8_is_asked_for(run, tmp_path):
    place = tmp_path / "c.dino"

    def embed(*more):
        code, out, err = run("embed", "fashion-mnist-test", "--limit", 40, "-o", place, "--json", *more)
        assert code == 0, err
        told = json.loads(out)
        return told["precision"], told["embedded"]

    assert embed("--model", "mini-fashion") == ("fp32", 40)
    assert embed() == ("fp32", 0)
    assert embed("--precision", "int8") == ("int8", 40)
    assert embed() == ("int8", 0)  # what is shown goes on
    assert embed("--model", "mini-fashion") == ("fp32", 0)
    assert "mini-fashion, in int8" in run("info", place)[1]
    assert sorted(each.removeprefix("mini-fashion-") for each in list_models(place)) == sorted(
        Encoder("mini-fashion", precision=each).key.removeprefix("mini-fashion-") for each in ("auto", "int8")
    )


def test_int8_without_a_name_is_a_bundled_model(run, tmp_path):
    code, out, err = run(
        "embed", "fashion-mnist-test", "--limit", 8, "-o", tmp_path / "c", "--precision", "int8", "--json"
    )
    assert code == 0, err
    assert json.loads(out)["precision"] == "int8"


def test_what_cannot_run_in_whole_numbers_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"int8 runs on the processor alone, got --device openvino: leave it out"):
        Encoder("mini", precision="int8", device="openvino")
    with pytest.raises(
        InputError, match=r"int8 is for the bundled models \(mini and mini-fashion\), got vit: name one"
    ):
        Encoder(str(save_vit(tmp_path / "vit", "dinov2")), precision="int8")
    with pytest.raises(InputError, match=r"precision must be one of auto, int8|unknown precision 'int4'"):
        Encoder("mini", precision="int4")
