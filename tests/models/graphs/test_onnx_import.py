"""Ready-made ONNX files, made here as exports of transformers look: float pixels in, tokens out."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from dinoscope.base.digests import sha256
from dinoscope.errors import ModelError
from dinoscope.models.catalogue import IMAGENET, MODELS, read_weights
from dinoscope.models.encoder import Encoder
from dinoscope.models.loading import load_model
from tests.pictures import photo

SIDE, PATCH, DIM = 32, 8, 24
TOKENS = 1 + (SIDE // PATCH) ** 2
FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


def export(
    path,
    *,
    side=SIDE,
    batch="batch",
    kind=FLOAT,
    outputs=("last_hidden_state",),
    external=False,
    extra=(),
    opset=17,
    layout="channels first",
    registers=0,
):
    """A patch embedding with a CLS token that is the mean of the patches, and a position embedding for 32 pixels."""
    dtype = np.float16 if kind == HALF else np.float32
    rng = np.random.default_rng(0)
    kernel = (rng.normal(0, 0.1, (DIM, 3, PATCH, PATCH))).astype(dtype)
    position = rng.normal(0, 0.1, (1, TOKENS + registers, DIM)).astype(dtype)
    spots = numpy_helper.from_array(rng.normal(0, 0.1, (1, registers, DIM)).astype(dtype), "spots")
    weights = [
        numpy_helper.from_array(kernel, "kernel"),
        numpy_helper.from_array(position, "position"),
        numpy_helper.from_array(np.array([0, DIM, -1]), "shape"),
        *([spots] if registers else []),
    ]
    nodes = [
        helper.make_node("Conv", ["pixel_values", "kernel"], ["grid"], strides=[PATCH, PATCH]),
        helper.make_node("Reshape", ["grid", "shape"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["spatial"], perm=[0, 2, 1]),
        helper.make_node("ReduceMean", ["spatial"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["mean", *(["spots"] if registers else []), "spatial"], ["tokens"], axis=1),
        helper.make_node("Add", ["tokens", "position"], ["last_hidden_state"]),
        helper.make_node("ReduceMax", ["last_hidden_state"], ["pooler_output"], axes=[1], keepdims=0),
        *extra,
    ]
    shapes: dict[str, list[Any]] = {"last_hidden_state": ["batch", "tokens", DIM], "pooler_output": ["batch", DIM]}
    image: list[Any] = [batch, 3, side, side] if layout == "channels first" else [batch, side, side, 3]
    graph = helper.make_graph(
        nodes,
        "export",
        [helper.make_tensor_value_info("pixel_values", kind, image)],
        [helper.make_tensor_value_info(name, kind, shapes[name]) for name in outputs],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    if external:
        onnx.save(
            model,
            path,
            save_as_external_data=True,
            location=f"{path.name}_data",
            size_threshold=1000,
            all_tensors_to_one_file=True,
        )
    else:
        onnx.save(model, path)
    return kernel.astype(np.float64), position.astype(np.float64)


def expected_tokens(pixels, kernel, position, mean=IMAGENET.mean, std=IMAGENET.std):
    x = ((pixels / 255 - mean) / std).reshape(len(pixels), SIDE // PATCH, PATCH, SIDE // PATCH, PATCH, 3)
    spatial = np.einsum("byixjc,dcij->byxd", x, kernel).reshape(len(pixels), -1, DIM)
    return np.concatenate([spatial.mean(1, keepdims=True), spatial], axis=1) + position


@pytest.fixture
def pixels():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.mark.parametrize("device", ["cpu", "openvino-fp32"])
@pytest.mark.parametrize(("kind", "tolerance"), [(FLOAT, 1e-5), (HALF, 2e-2)])
@pytest.mark.parametrize("external", [False, True])
def test_features_are_the_first_token_and_the_others(tmp_path, pixels, device, kind, tolerance, external):
    if device != "cpu":
        pytest.importorskip("openvino")
    path = tmp_path / "model.onnx"
    kernel, position = export(path, kind=kind, external=external, outputs=("pooler_output", "last_hidden_state"))
    encoder = Encoder(str(path), resolution=SIDE, device=device)
    tokens = expected_tokens(pixels, kernel, position)
    assert (encoder.dim, encoder.resolution) == (DIM, SIDE)
    cls = tokens[:, 0] / np.linalg.norm(tokens[:, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.run(pixels), cls, atol=tolerance)
    patches = encoder._runtime.run(["patches"], pixels)[0]
    np.testing.assert_allclose(patches, tokens[:, 1:], atol=5 * tolerance)


def test_registers_are_no_patches(tmp_path):
    export(tmp_path / "model.onnx", registers=4)
    encoder = Encoder(str(tmp_path / "model.onnx"), resolution=SIDE, device="cpu")
    assert encoder.patches([np.asarray(photo(SIDE))]).shape == (1, (SIDE // PATCH) ** 2, DIM)


def test_external_data_behind_symbolic_links(tmp_path, pixels):
    """As the hub's cache lays files: names are links to blobs, of which neither knows the other's name."""
    export(tmp_path / "plain" / "model.onnx", external=True)
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshot" / "onnx"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for number, name in enumerate(("model.onnx", "model.onnx_data")):
        (tmp_path / "plain" / name).rename(blobs / f"blob{number}")
        (snapshot / name).symlink_to(blobs / f"blob{number}")
    encoder = Encoder(str(tmp_path / "snapshot"), resolution=SIDE, device="cpu")
    export(tmp_path / "whole.onnx")
    whole = Encoder(str(tmp_path / "whole.onnx"), resolution=SIDE, device="cpu")
    np.testing.assert_array_equal(encoder.run(pixels), whole.run(pixels))


def test_graphs_that_share_their_values_are_two_models(tmp_path, pixels):
    """One gives the tokens as they are, the other turns them round: cosine -1 for the same picture."""
    export(tmp_path / "a.onnx", external=True)
    model = onnx.load(tmp_path / "a.onnx", load_external_data=False)
    model.graph.node.append(helper.make_node("Neg", ["last_hidden_state"], ["turned"]))
    model.graph.output[0].name = "turned"
    onnx.save(model, tmp_path / "b.onnx")
    one, other = (Encoder(str(tmp_path / name), device="cpu") for name in ("a.onnx", "b.onnx"))
    np.testing.assert_allclose((one.run(pixels) * other.run(pixels)).sum(1), -1, atol=1e-5)
    assert one.weights_sha256 != other.weights_sha256
    assert one.key.removeprefix("a") != other.key.removeprefix("b")
    with pytest.raises(ModelError, match="are not the ones that made the vectors"):
        Encoder.from_description(one.describe(), weights=str(tmp_path / "b.onnx"))
    older = one.describe() | {"weights_sha256": sha256(tmp_path / "a.onnx_data")}
    with pytest.raises(ModelError, match="did not tell graphs with the same weights apart: embed the images again"):
        Encoder.from_description(older, weights=str(tmp_path / "a.onnx"))


def test_a_file_of_its_own_keeps_its_digest(tmp_path):
    export(tmp_path / "model.onnx")
    assert load_model(str(tmp_path / "model.onnx")).weights_sha256 == sha256(tmp_path / "model.onnx")


def test_external_data_that_is_missing(tmp_path):
    export(tmp_path / "model.onnx", external=True)
    (tmp_path / "model.onnx_data").unlink()
    with pytest.raises(ModelError, match=r"model.onnx needs model.onnx_data beside it: fetch both files"):
        load_model(str(tmp_path / "model.onnx"))


def test_a_vector_without_tokens_is_the_feature(tmp_path, pixels):
    kernel, position = export(tmp_path / "model.onnx", outputs=("pooler_output",))
    encoder = Encoder(str(tmp_path / "model.onnx"), resolution=SIDE, device="cpu")
    pooled = expected_tokens(pixels, kernel, position).max(1)
    np.testing.assert_allclose(encoder.run(pixels), pooled / np.linalg.norm(pooled, axis=1, keepdims=True), atol=1e-5)
    assert encoder.describe()["patches"] is False
    with pytest.raises(ModelError, match="gives one vector per image, no patches"):
        encoder.patches([pixels[0]])
    with pytest.raises(ModelError, match="no patches"):
        Encoder(str(tmp_path / "model.onnx"), resolution=SIDE, device="cpu", pooling="cls+mean")


def test_a_position_embedding_that_is_baked_in_is_one_clear_error(tmp_path):
    """Exports of DINO and DINOv2 say that they take any size, and hold the positions of 224 pixels."""
    export(tmp_path / "model.onnx", side="side")
    assert Encoder(str(tmp_path / "model.onnx"), resolution=SIDE, device="cpu").dim == DIM
    with pytest.raises(ModelError, match=r"(does not run at 64 pixels|do not load).*try --resolution 224"):
        Encoder(str(tmp_path / "model.onnx"), resolution=64, device="cpu")


def test_a_fixed_size_and_a_batch_of_one_are_kept(tmp_path, pixels):
    export(tmp_path / "model.onnx", batch=1)
    encoder = Encoder(str(tmp_path / "model.onnx"), device="cpu")
    assert (encoder.resolution, encoder.batch_size) == (SIDE, 1)
    assert encoder.encode(pixels).shape == (3, DIM)
    with pytest.raises(ModelError, match="takes 32 pixels only, got 64"):
        load_model(str(tmp_path / "model.onnx"), resolution=64)


def test_dynamic_quantisation_is_refused(tmp_path):
    node = helper.make_node("DynamicQuantizeLinear", ["last_hidden_state"], ["q", "scale", "zero"])
    export(tmp_path / "model_quantized.onnx", extra=[node])
    with pytest.raises(ModelError, match=r"quantised dynamically: .* batch; take the model.onnx"):
        load_model(str(tmp_path / "model_quantized.onnx"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 4}, "takes batches of 4 images only"),
        ({"layout": "channels last"}, r"takes no images: expected float pixels \(B, 3, H, W\)"),
        ({"opset": 11}, "expected opset 13 or later"),
    ],
)
def test_other_models_are_refused(tmp_path, options, message):
    export(tmp_path / "model.onnx", **options)
    with pytest.raises(ModelError, match=message):
        load_model(str(tmp_path / "model.onnx"))


@pytest.mark.parametrize("content", [b"", b"no protobuf", b"\xff" * 100])
def test_what_is_no_onnx_file(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ModelError, match=r"is not an ONNX file|must have one input|takes no images"):
        load_model(str(tmp_path / "model.onnx"))


def test_the_family_comes_from_config_json(tmp_path):
    export(tmp_path / "onnx" / "model.onnx", side=SIDE)
    assert load_model(str(tmp_path)).model.family == ""
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert load_model(str(tmp_path)).model.family == "dino"


def test_what_config_json_alone_tells_is_part_of_the_key(tmp_path):
    """The same file prepares images in two ways: vectors of both must never lie in one place."""
    image = np.asarray(photo(90))[:40]
    export(tmp_path / "model.onnx")
    without = Encoder(str(tmp_path), device="cpu")
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    beside = Encoder(str(tmp_path), device="cpu")
    assert np.abs(without.encode([image]) - beside.encode([image])).max() > 1e-2
    assert without.weights_sha256 == beside.weights_sha256
    assert without.key != beside.key
    assert Encoder.from_description(beside.describe(), weights=str(tmp_path), device="cpu").key == beside.key
    (tmp_path / "config.json").write_text('{"model_type": "dinov2"}')
    assert Encoder(str(tmp_path), device="cpu").key == without.key  # what an unknown file gets, too
    with pytest.raises(ModelError, match=r"prepared as squash-bilinear, .* would be crop1\.14-bicubic: put the config"):
        Encoder.from_description(beside.describe(), weights=str(tmp_path), device="cpu")


@pytest.mark.parametrize(
    ("old", "new"), [("pixel_values", "pixels"), ("last_hidden_state", "cls"), ("flat", "patches"), ("kernel", "cls")]
)
def test_an_export_may_use_the_names_of_ours(tmp_path, pixels, old, new):
    kernel, position = export(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    graph = model.graph
    for names in (each for node in graph.node for each in (node.input, node.output)):
        names[:] = [new if name == old else name for name in names]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = new if value.name == old else value.name
    onnx.save(model, tmp_path / "model.onnx")
    cls = expected_tokens(pixels, kernel, position)[:, 0]
    encoder = Encoder(str(tmp_path / "model.onnx"), device="cpu")
    np.testing.assert_allclose(encoder.run(pixels), cls / np.linalg.norm(cls, axis=1, keepdims=True), atol=1e-5)


def test_dinoscopes_own_files_load_too(tmp_path, pixels):
    (tmp_path / "mine.onnx").write_bytes(read_weights(MODELS["mini"]))
    mine, bundled = Encoder(str(tmp_path / "mine.onnx"), device="cpu"), Encoder("mini")
    np.testing.assert_array_equal(mine.run(pixels), bundled.run(pixels))


def looped(turns, operator="Loop"):
    """Return a node that adds nothing to the tokens, as often as `turns` says; None: for ever."""
    scalar = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("on", TensorProto.BOOL))]
    value = helper.make_tensor_value_info("value", FLOAT, None)
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_too"]), helper.make_node("Identity", ["value"], ["same"])],
        "body",
        [*scalar, value],
        [
            helper.make_tensor_value_info("on_too", TensorProto.BOOL, []),
            helper.make_tensor_value_info("same", FLOAT, None),
        ],
    )
    number = [] if turns is None else [helper.make_node("Constant", [], ["turns"], value_int=turns)]
    true = helper.make_node("Constant", [], ["true"], value=numpy_helper.from_array(np.array(True)))
    inputs = ["" if turns is None else "turns", "true", "last_hidden_state"]
    return [*number, true, helper.make_node(operator, inputs, ["looped"], body=body)]


@pytest.mark.parametrize("turns", [None, 2**62, 5_000])
def test_a_loop_that_may_not_end_is_refused(tmp_path, turns):
    export(tmp_path / "model.onnx", extra=looped(turns))
    with pytest.raises(ModelError, match=r"model.onnx may run without end: expected at most 10,000 operators an image"):
        load_model(str(tmp_path / "model.onnx"))


def test_a_loop_behind_a_condition_is_found(tmp_path):
    inside = helper.make_graph(looped(None), "then", [], [helper.make_tensor_value_info("looped", FLOAT, None)])
    other = helper.make_graph(
        [helper.make_node("Identity", ["last_hidden_state"], ["as_is"])],
        "else",
        [],
        [helper.make_tensor_value_info("as_is", FLOAT, None)],
    )
    true = helper.make_node("Constant", [], ["always"], value=numpy_helper.from_array(np.array(True)))
    extra = [true, helper.make_node("If", ["always"], ["chosen"], then_branch=inside, else_branch=other)]
    export(tmp_path / "model.onnx", extra=extra)
    with pytest.raises(ModelError, match="a loop without a constant bound; export the model without loops"):
        load_model(str(tmp_path / "model.onnx"))
    extra[1] = helper.make_node("If", ["always"], ["chosen"], then_branch=other, else_branch=other)
    export(tmp_path / "model.onnx", extra=extra)
    assert Encoder(str(tmp_path / "model.onnx"), device="cpu").dim == DIM


def test_a_loop_with_a_small_bound_is_run(tmp_path, pixels):
    kernel, position = export(tmp_path / "model.onnx", extra=looped(3))
    encoder = Encoder(str(tmp_path / "model.onnx"), device="cpu")
    cls = expected_tokens(pixels, kernel, position)[:, 0]
    np.testing.assert_allclose(encoder.run(pixels), cls / np.linalg.norm(cls, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("operator", ["Scan", "SequenceMap", "BeamSearch"])
def test_what_else_runs_graphs_is_refused(tmp_path, operator):
    export(tmp_path / "model.onnx", extra=looped(3, operator))
    with pytest.raises(ModelError, match="may run without end"):
        load_model(str(tmp_path / "model.onnx"))


@pytest.mark.parametrize("called", ["next", "first"])
def test_functions_that_grow_without_bound_are_refused(tmp_path, called):
    """Fifty functions, each of which calls the next one twice, are 2 ** 50 nodes; or one calls itself."""
    export(tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for number in range(50):
        inner = "first" if called == "first" else f"f{number + 1}"
        nodes = [helper.make_node(inner, [a], [b], domain="own") for a, b in (("x", "y"), ("y", "z"))]
        name = "first" if number == 0 else f"f{number}"
        model.functions.append(helper.make_function("own", name, ["x"], ["z"], nodes, versions))
    model.graph.node.append(helper.make_node("first", ["last_hidden_state"], ["grown"], domain="own"))
    model.opset_import.append(versions[1])
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelError, match="may run without end"):
        load_model(str(tmp_path / "model.onnx"))


def test_a_name_that_is_no_text_is_one_error(tmp_path, capfd):
    export(tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(content.replace(b"spatial", b"spat\xffal"))
    with pytest.raises(ModelError, match=r"model.onnx is damaged \(.*codec can't decode.*\): fetch it again"):
        load_model(str(tmp_path / "model.onnx"))
    (tmp_path / "model.onnx").write_bytes(content.replace(b"ReduceMean", b"ReduceMeen"))
    with pytest.raises(ModelError, match="do not load"):
        Encoder(str(tmp_path / "model.onnx"), device="cpu")
    assert capfd.readouterr() == ("", "")
