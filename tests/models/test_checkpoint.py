"""One set of names for every naming of the weights, and a clear message for what is no DINO ViT."""

import json
import math
import re

import numpy as np
import pytest

from dinoscope.errors import ModelError
from dinoscope.models.checkpoint import read_checkpoint
from tests.reference.common import DATA, header, shapes_of, values, write_by_rule

# Names of our own; those of block 0 stand for all blocks.
OUTER = {"cls", "patch.weight", "patch.bias", "norm.weight", "norm.bias"}
BLOCK = {
    *(f"0.{name}.{leaf}" for name in ("norm1", "norm2", "proj", "up", "down") for leaf in ("weight", "bias")),
    *(f"0.{name}.weight" for name in "qkv"),
}
BIASES = {f"0.{name}.bias" for name in "qkv"}
SCALES, GATE = {"0.scale1", "0.scale2"}, {"0.gate.weight", "0.gate.bias"}


def shapes(case):
    return shapes_of((DATA / case / "header.json").read_bytes())


def save(folder, shapes, config=None):
    """Save weights of these shapes, all values zero: only the header is read."""
    if config is not None:
        (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    text = header(shapes)
    file = folder / "model.safetensors"
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(stream.tell() + 4 * sum(math.prod(shape) for shape in shapes.values()))
    return file


def save_values(folder, shapes):
    return write_by_rule(folder / "model.safetensors", header(shapes))


def renamed(shapes, *patterns):
    """Rename tensors: pairs of a regular expression and what takes its place."""
    found = {}
    for name, shape in shapes.items():
        for pattern, replacement in patterns:
            name = re.sub(pattern, replacement, name)
        found[name] = shape
    return found


def meta(case):
    """Name the tensors as Meta's own code does."""
    if "dinov3" not in case:
        giant = [(r"mlp\.fc1", "mlp.w12"), (r"mlp\.fc2", "mlp.w3")] if "swiglu" in case else []
        found = renamed(shapes(f"{case}-timm"), (r"^reg_token$", "register_tokens"), *giant)
        if "registers" in case:
            found["pos_embed"] = (1, 50, 128)  # theirs has a place for CLS, timm's has it added to CLS
        return found | ({"mask_token": (1, 128)} if "dinov2" in case else {"head.weight": (10, 128)})
    gated = [("fc1_g", "w1"), ("fc1_x", "w2"), ("fc2", "w3")] if "gated" in case else []
    scale = (r"gamma_(\d)", r"ls\1.gamma")
    found = renamed(shapes(f"{case}-timm"), (r"^reg_token$", "storage_tokens"), scale, *gated)
    for block in range(2):
        found |= {f"blocks.{block}.attn.qkv.{leaf}": (384,) for leaf in ("bias", "bias_mask")}
    return found | {"rope_embed.periods": (16,), "mask_token": (1, 128)}


@pytest.mark.parametrize(
    ("case", "own"),
    [
        ("dino16", {"position"} | BIASES),
        ("dino8", {"position"} | BIASES),
        ("dinov2", {"position"} | BIASES | SCALES),
        ("dinov2-swiglu", {"position"} | BIASES | SCALES | GATE),
        ("dinov2-registers", {"position", "registers"} | BIASES | SCALES),
        ("dinov3", {"registers"} | SCALES),
        ("dinov3-gated", {"registers"} | SCALES | GATE),
    ],
)
def test_every_naming_is_the_same_set(tmp_path, case, own):
    everything = OUTER | BLOCK | own
    everything |= {name.replace("0.", "1.", 1) for name in everything if name.startswith("0.")}
    # of DINOv3's queries and values timm leaves the bias out, for it is zero; of its keys all do
    maybe = {f"{block}.{name}.bias" for block in (0, 1) for name in "qv"} if "dinov3" in case else set()
    namings = {naming: shapes(f"{case}-{naming}") for naming in ("transformers", "timm")} | {"meta": meta(case)}
    namings["wrapped"] = {f"module.backbone.{name}": shape for name, shape in namings["meta"].items()}
    namings["classifier"] = {f"vit.{name}": shape for name, shape in namings["transformers"].items()}
    families = set()
    for naming, each in namings.items():
        (tmp_path / naming).mkdir()
        checkpoint = read_checkpoint(save(tmp_path / naming, each))
        assert set(checkpoint.tensors) - maybe == everything, naming
        if naming not in ("timm", "classifier"):
            assert maybe <= set(checkpoint.tensors)
        shape = checkpoint.geometry
        families.add((shape.family, shape.dim, shape.depth, shape.heads, shape.patch, shape.registers, shape.grid))
    (found,) = families
    assert found[:4] == (case.partition("-")[0].rstrip("168"), 128, 2, 2)


def test_the_three_of_a_fused_layer_are_told_apart(tmp_path):
    tensors = read_checkpoint(save_values(tmp_path, shapes("dino16-timm"))).tensors
    for leaf, shape in (("weight", (384, 128)), ("bias", (384,))):
        expected = values(f"blocks.1.attn.qkv.{leaf}", shape).reshape(3, 128, *shape[1:])
        for part, name in enumerate("qkv"):
            np.testing.assert_array_equal(tensors[f"1.{name}.{leaf}"].read(), expected[part])


@pytest.mark.parametrize("name", ["mlp.w12", "mlp.fc1", "mlp.weights_in"])
def test_the_gate_comes_before_what_it_gates(tmp_path, name):
    found = renamed(shapes("dinov2-swiglu-timm"), (r"mlp\.fc1", name), (r"mlp\.fc2", "mlp.w3"))
    tensors = read_checkpoint(save_values(tmp_path, found)).tensors
    both = values(f"blocks.0.{name}.bias", (682,))
    np.testing.assert_array_equal(tensors["0.gate.bias"].read(), both[:341])
    np.testing.assert_array_equal(tensors["0.up.bias"].read(), both[341:])
    assert tensors["0.gate.weight"].shape == tensors["0.up.weight"].shape == (341, 128)


def test_unfused_biases_of_timm(tmp_path):
    tensors = read_checkpoint(save_values(tmp_path, shapes("dinov3-timm-qkvb"))).tensors
    np.testing.assert_array_equal(tensors["0.q.bias"].read(), values("blocks.0.attn.q_bias", (128,)))
    np.testing.assert_array_equal(tensors["0.v.bias"].read(), values("blocks.0.attn.v_bias", (128,)))
    assert "0.k.bias" not in tensors


def test_the_masked_bias_of_keys_is_left_out(tmp_path):
    tensors = read_checkpoint(save_values(tmp_path, meta("dinov3"))).tensors
    assert "0.k.bias" not in tensors
    np.testing.assert_array_equal(tensors["0.v.bias"].read(), values("blocks.0.attn.qkv.bias", (384,))[256:])


@pytest.mark.parametrize(
    ("case", "config", "expected"),
    [
        ("dino16-timm", None, {"heads": 2, "eps": 1e-6, "antialias": False, "grid": 4, "registers": 0}),
        ("dino16-timm", {"hidden_size": 128, "num_attention_heads": 4}, {"heads": 4, "eps": 1e-6}),
        ("dino16-timm", {"hidden_size": 128, "layer_norm_eps": 1e-12}, {"heads": 2, "eps": 1e-12}),
        ("dinov2-registers-timm", None, {"eps": 1e-6, "antialias": True, "grid": 7, "registers": 4}),
        ("dinov3-timm", None, {"heads": 2, "eps": 1e-5, "rope_base": 100.0, "antialias": False, "grid": 0}),
        ("dinov3-timm", {"hidden_size": 128, "rope_theta": 50, "hidden_act": "gelu"}, {"rope_base": 50.0}),
        # what timm puts there, and what nobody can read, says nothing
        ("dinov3-timm", {"architecture": "vit_small_patch16_dinov3", "num_features": 384}, {"heads": 2}),
        ("dinov3-timm", "{broken", {"heads": 2}),
        ("dinov3-timm", "[1]", {"heads": 2}),
    ],
)
def test_the_config_beside_the_weights_is_honoured(tmp_path, case, config, expected):
    geometry = read_checkpoint(save(tmp_path, shapes(case), config)).geometry
    assert {name: getattr(geometry, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("case", "config", "message"),
    [
        ("dino16-timm", {"hidden_size": 384}, "does not belong to model.safetensors: it says hidden_size 384, .* 128$"),
        (
            "dino16-timm",
            {"hidden_size": 128, "num_attention_heads": 3},
            "128 dimensions do not divide into 3 heads; put the co",
        ),
        ("dino16-timm", {"hidden_size": 128, "num_attention_heads": -2}, "do not divide into -2 heads"),
        ("dino16-timm", {"hidden_size": 128, "hidden_act": "relu"}, "expected the activation 'gelu', .* says 'relu'"),
        ("dinov3-gated-timm", {"hidden_size": 128, "hidden_act": "gelu"}, "expected the activation 'silu', .* 'gelu'"),
        ("dino16-timm", {"hidden_size": 128, "num_attention_heads": "2"}, "num_attention_heads must be a number"),
        ("dino16-timm", {"hidden_size": 128, "layer_norm_eps": "small"}, "layer_norm_eps must be a number"),
        ("dinov3-timm", {"hidden_size": 128, "rope_theta": {}}, "rope_theta must be a number"),
    ],
)
def test_the_config_of_another_model_is_refused(tmp_path, case, config, message):
    file = save(tmp_path, shapes(case), config)
    with pytest.raises(ModelError, match=message):
        read_checkpoint(file)


@pytest.mark.parametrize("case", ["dino16-timm", "dinov2-swiglu-transformers", "dinov3-gated-timm", "dinov3-timm"])
def test_each_missing_tensor_is_missed(tmp_path, case):
    """Of some cannot be known that they were there: registers, and what tells a DINOv2 from a DINOv3."""
    complete = shapes(case)
    for gone in complete:
        if re.search(r"mask_token|reg_token|embeddings.position", gone):
            continue
        file = save(tmp_path, {name: shape for name, shape in complete.items() if name != gone})
        with pytest.raises(ModelError, match=r"^model.safetensors (is incomplete|holds no ViT: expected a CLS token)"):
            read_checkpoint(file)


@pytest.mark.parametrize("case", ["dino16-timm", "dinov2-registers-transformers", "dinov3-gated-timm"])
@pytest.mark.parametrize("wrong", ["longer", "flatter", "deeper"])
def test_each_wrong_shape_is_noticed(tmp_path, case, wrong):
    complete = shapes(case)
    for name, shape in complete.items():
        if "mask_token" in name:
            continue
        other = {"longer": (*shape[:-1], shape[-1] + 1), "flatter": shape[1:], "deeper": (1, *shape)}[wrong]
        file = save(tmp_path, complete | {name: other})
        with pytest.raises(ModelError, match=r"^(model.safetensors|config.json does not belong to model.safetensors)"):
            read_checkpoint(file)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks.0.attn.rel_pos": (4, 4)}, "holds 'blocks.0.attn.rel_pos', which no DINO ViT has: expected the wei"),
        ({"dist_token": (1, 1, 128)}, "holds 'dist_token', which no DINO ViT has"),
        ({"blocks.0.attn.qkv.scale": (1,)}, "holds 'blocks.0.attn.qkv.scale', which no DINO ViT has"),
        ({"norm.bias": (64,)}, r"incomplete or no DINO ViT: expected norm.bias of shape \(128,\), got \(64,\)"),
        ({"norm.bias": None}, r"incomplete or no DINO ViT: expected norm.bias of shape \(128,\), got nothing"),
        ({"blocks.1.mlp.fc1.bias": (1,)}, r"expected 1.up.bias of shape \(512,\), got \(1,\)"),
        ({"blocks.1.mlp.fc1.bias": None}, r"expected 1.up.bias of shape \(512,\), got nothing"),
        ({"blocks.0.attn.qkv.weight": (385, 128)}, r"expected 0.q.weight of shape \(128, 128\), got nothing"),
        ({"blocks.0.attn.qkv.weight": (0, 128)}, r"expected 0.q.weight of shape \(128, 128\), got \(0, 128\)"),
        ({"blocks.0.attn.qkv.weight": ()}, "too few dimensions"),
        ({"pos_embed": (128,)}, "too few dimensions"),
        ({"pos_embed": (1, 12, 128)}, "a position embedding of 12 tokens belongs to no square grid"),
        ({"pos_embed": (1, 0, 128)}, "a position embedding of 0 tokens belongs to no square grid"),
        ({"pos_embed": (1, 17, 64)}, r"expected position of shape \(1, 17, 128\), got \(1, 17, 64\)"),
        ({"reg_token": (1, 4, 64)}, r"expected registers of shape \(1, 4, 128\), got \(1, 4, 64\)"),
        ({"blocks.3.norm1.weight": (128,)}, "is incomplete: its blocks go to number 3, but 2 is missing"),
        (
            {"model.norm.bias": (128,)},
            "holds 'model.norm.bias' beside another tensor of that place: expected the weights",
        ),
        ({"cls_token": None}, "holds no ViT: expected a CLS token and a patch embedding"),
        ({"patch_embed.proj.weight": (128, 1, 16, 16)}, r"patch.weight of shape \(128, 3, 16, 16\), got \(128, 1, 16,"),
    ],
)
def test_weights_of_something_else(tmp_path, changes, message):
    changed = {name: shape for name, shape in (shapes("dino16-timm") | changes).items() if shape is not None}
    with pytest.raises(ModelError, match=f"^model.safetensors.*{message}"):
        read_checkpoint(save(tmp_path, changed))


def test_layer_scale_and_gate_are_in_every_block_or_in_none(tmp_path):
    partly = {name: shape for name, shape in shapes("dinov2-timm").items() if name != "blocks.0.ls1.gamma"}
    with pytest.raises(ModelError, match=r"expected 0.scale1 of shape \(128,\), got nothing"):
        read_checkpoint(save(tmp_path, partly))
    partly = {name: shape for name, shape in shapes("dinov3-gated-timm").items() if "0.mlp.fc1_g" not in name}
    with pytest.raises(ModelError, match=r"expected 0.gate.weight of shape \(512, 128\), got nothing"):
        read_checkpoint(save(tmp_path, partly))


def test_other_networks(tmp_path):
    with pytest.raises(ModelError, match=r"holds 'conv1\.weight', which no DINO ViT has"):
        read_checkpoint(save(tmp_path, {"conv1.weight": (64, 3, 7, 7)}))
    with pytest.raises(ModelError, match="holds no ViT: expected a CLS token and a patch embedding"):
        read_checkpoint(save(tmp_path, {}))
    headless = {name: shape for name, shape in shapes("dino16-timm").items() if not name.startswith("blocks")}
    with pytest.raises(ModelError, match="holds no ViT: it has no blocks"):
        read_checkpoint(save(tmp_path, headless))
