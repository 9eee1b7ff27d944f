"""Our graphs against what transformers and timm computed: tests/reference/make.py made tests/data/vit."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from dinoscope.errors import InputError
from dinoscope.models.checkpoint import Geometry, read_checkpoint
from dinoscope.models.graphs.vit import build_graph, interpolate_position, rotary_tables
from tests.reference.common import (
    ATTENTION,
    COSINE,
    DATA,
    DIFFERENCE,
    STRIDE,
    antialiased,
    cosine,
    pixels,
    run,
    write_by_rule,
)

CASES = sorted(each.name for each in DATA.iterdir())
SHRUNK = 56  # a resolution below the native one of the tiny DINOv2


@pytest.fixture(scope="module")
def checkpoint_of(tmp_path_factory):
    """Return the checkpoint of a case, as its library saved it."""
    made = {}

    def find(case):
        if case not in made:
            folder = tmp_path_factory.mktemp(case)
            if (DATA / case / "config.json").exists():
                (folder / "config.json").write_bytes((DATA / case / "config.json").read_bytes())
            header = (DATA / case / "header.json").read_bytes()
            made[case] = read_checkpoint(write_by_rule(folder / "model.safetensors", header))
        return made[case]

    return find


def expected_of(case):
    with np.load(DATA / case / "expected.npz") as stored:
        return dict(stored)


def is_the_same(ours, theirs):
    return cosine(ours, theirs) >= COSINE and np.abs(ours - theirs).max() <= DIFFERENCE


def test_every_architecture_is_stored_in_both_namings():
    architectures = ["dino16", "dino8", "dinov2", "dinov2-registers", "dinov2-swiglu", "dinov3", "dinov3-gated"]
    assert {f"{each}-{naming}" for each in architectures for naming in ("transformers", "timm")} <= set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_it_is_the_same_model(checkpoint_of, case):
    """At the native resolution, a smaller and a larger one. timm always interpolates with antialiasing."""
    checkpoint = checkpoint_of(case)
    if "timm" in case and checkpoint.geometry.grid:
        checkpoint = antialiased(checkpoint)
    expected = expected_of(case)
    resolutions = [int(name.removeprefix("cls")) for name in expected if name.startswith("cls")]
    assert len(resolutions) == 3
    for resolution in resolutions:
        ours = run(checkpoint, pixels(resolution))
        assert is_the_same(ours["cls"], expected[f"cls{resolution}"])
        assert is_the_same(ours["patches"][:, ::STRIDE], expected[f"patches{resolution}"])
        # it would be easy to be right if all tokens were alike
        assert expected[f"patches{resolution}"].std(axis=1).mean() > 0.1
        assert cosine(expected[f"cls{resolution}"][0], expected[f"cls{resolution}"][1]) < 0.99


@pytest.mark.parametrize("case", [case for case in CASES if "transformers" in case])
def test_it_looks_where_the_model_looks(checkpoint_of, case):
    """The last block's attention of CLS and registers to the patches, as transformers' eager attention has it."""
    expected = {name: values for name, values in expected_of(case).items() if name.startswith("attention")}
    assert len(expected) == 3
    for name, theirs in expected.items():
        ours = run(checkpoint_of(case), pixels(int(name.removeprefix("attention"))))["attention"]
        assert np.abs(ours[..., ::STRIDE] - theirs).max() <= ATTENTION
        assert theirs.std(axis=3).max() > 10 * ATTENTION  # a model that looks everywhere would be easy to equal
        assert ours.min() >= 0
        assert ours.sum(axis=3).max() < 1  # what goes to CLS and registers is left out


@pytest.mark.parametrize(("case", "rule"), [("dinov2", False), ("dinov2-swiglu", False), ("dinov2-registers", True)])
def test_antialiasing_follows_upstream(checkpoint_of, case, rule):
    """Models with registers were published with antialiasing, plain ones without; the other one shows."""
    checkpoint = checkpoint_of(f"{case}-transformers")
    assert checkpoint.geometry.antialias is rule
    other = replace(checkpoint, geometry=replace(checkpoint.geometry, antialias=not rule))
    expected = expected_of(f"{case}-transformers")[f"cls{SHRUNK}"]
    assert is_the_same(run(checkpoint, pixels(SHRUNK))["cls"], expected)
    assert not is_the_same(run(other, pixels(SHRUNK))["cls"], expected)


@pytest.mark.parametrize("change", [{"heads": 1}, {"eps": 1e-2}, {"rope_base": 50.0}])
def test_what_the_weights_do_not_tell_matters(checkpoint_of, change):
    checkpoint = checkpoint_of("dinov3-transformers")
    expected = expected_of("dinov3-transformers")["cls64"]
    changed = replace(checkpoint, geometry=replace(checkpoint.geometry, **change))
    assert is_the_same(run(checkpoint, pixels(64))["cls"], expected)
    assert not is_the_same(run(changed, pixels(64))["cls"], expected)


@pytest.mark.parametrize("case", ["dino16-timm", "dinov2-registers-transformers", "dinov3-gated-timm"])
def test_a_vector_does_not_depend_on_its_batch(checkpoint_of, case):
    images = pixels(112, 5)
    together = run(checkpoint_of(case), images)
    for index in range(5):
        alone = run(checkpoint_of(case), images[index : index + 1])
        for name in ("cls", "patches"):
            np.testing.assert_allclose(alone[name][0], together[name][index], atol=1e-5)


@pytest.mark.parametrize("case", ["dino8-transformers", "dinov2-swiglu-timm", "dinov3-transformers"])
def test_any_multiple_of_the_patch_works(checkpoint_of, case):
    checkpoint = checkpoint_of(case)
    patch = checkpoint.geometry.patch
    for side in (1, 2, 5, 13):
        found = run(checkpoint, pixels(side * patch, 1))
        assert found["cls"].shape == (1, checkpoint.geometry.dim)
        assert found["patches"].shape == (1, side * side, checkpoint.geometry.dim)
        assert all(np.isfinite(each).all() and each.dtype == np.float32 for each in found.values())


@pytest.mark.parametrize(
    ("case", "resolution", "near"),
    [("dinov2-timm", 224 - 1, 224), ("dinov2-timm", 13, 14), ("dinov3-timm", 0, 16), ("dino8-timm", -8, 8)],
)
def test_other_resolutions_are_refused(checkpoint_of, case, resolution, near):
    patch = checkpoint_of(case).geometry.patch
    message = f"multiple of the model's patch of {patch} pixels, got {resolution}: try {near}$"
    with pytest.raises(InputError, match=message):
        build_graph(checkpoint_of(case), resolution)


@pytest.mark.parametrize("case", ["dinov2-timm", "dinov3-timm"])
def test_a_resolution_beyond_all_memory_is_refused(checkpoint_of, case):
    patch = checkpoint_of(case).geometry.patch
    with pytest.raises(InputError, match=rf"must be at most {1976 * patch} for this model, got {patch * 10**5}$"):
        build_graph(checkpoint_of(case), patch * 10**5)


def test_patches_come_row_by_row_from_the_top_left(checkpoint_of):
    """What is changed in one patch shows there first, of all patches."""
    checkpoint = checkpoint_of("dinov3-timm")
    images = np.repeat(pixels(80, 1), 26, axis=0)
    for index in range(25):
        row, column = divmod(index, 5)
        images[index + 1, row * 16 : row * 16 + 16, column * 16 : column * 16 + 16] ^= 255
    patches = run(checkpoint, images)["patches"]
    assert np.linalg.norm(patches[1:] - patches[0], axis=2).argmax(axis=1).tolist() == list(range(25))


def test_the_graph_says_what_it_takes_and_gives(checkpoint_of):
    graph = onnx.load_from_string(build_graph(checkpoint_of("dinov2-timm"), 56)).graph

    def sides(value):
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [side.dim_param or side.dim_value for side in tensor.shape.dim]

    assert [sides(each) for each in graph.input] == [("pixels", TensorProto.UINT8, ["batch", 56, 56, 3])]
    assert [sides(each) for each in graph.output] == [
        ("cls", TensorProto.FLOAT, ["batch", 128]),
        ("patches", TensorProto.FLOAT, ["batch", 16, 128]),
        ("attention", TensorProto.FLOAT, ["batch", 2, 1, 16]),
    ]


@pytest.mark.parametrize("case", [each for each in CASES if not each.endswith("f16")])
def test_the_graph_refers_to_the_file(checkpoint_of, case):
    """All layers of the blocks stay where they are; what is in the graph is the embedding of patches and places."""
    checkpoint = checkpoint_of(case)
    proto = build_graph(checkpoint, checkpoint.geometry.patch * 4)
    assert len(proto) < 1e6 < checkpoint.file.stat().st_size
    places = {}
    for each in onnx.load_from_string(proto).graph.initializer:
        if each.data_location == TensorProto.EXTERNAL:
            place = {entry.key: entry.value for entry in each.external_data}
            assert place["location"] == checkpoint.file.name
            places[int(place["offset"]), int(place["length"])] = tuple(each.dims)
    inside = {"cls", "registers", "position", "patch.weight", "patch.bias"}
    tensors = {name: each for name, each in checkpoint.tensors.items() if name not in inside}
    assert places == {(each.offset, each.bytes): each.shape for each in tensors.values()}


@pytest.mark.parametrize("case", ["dinov3-transformers-bf16", "dinov2-timm-f16"])
def test_half_precision_is_computed_in_float32(checkpoint_of, case):
    """The values of the rule fit into 16 bits, so nothing at all may change."""
    full = checkpoint_of(case.rpartition("-")[0])
    half = checkpoint_of(case)
    assert {each.kind for each in half.tensors.values()} == {case.rpartition("-")[2].upper()}
    np.testing.assert_allclose(run(half, pixels(112))["cls"], run(full, pixels(112))["cls"], atol=1e-6)


def keys(t, a):
    """Cubic convolution (Keys 1981)."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def resampled(values, side, antialias):
    """Resample (G, ...) to (side, ...) as PyTorch documents it, one value after the other."""
    grid, found = len(values), []
    for place in range(side):
        centre = (place + 0.5) * grid / side - 0.5
        if antialias:
            width = max(grid / side, 1)
            weights = [keys((tap - centre) / width, -0.5) for tap in range(grid)]
            found.append(sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights))
        else:
            first = int(np.floor(centre)) - 1
            taps = range(first, first + 4)
            found.append(sum(keys(tap - centre, -0.75) * values[min(max(tap, 0), grid - 1)] for tap in taps))
    return np.array(found)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("grid", "side"), [(7, 4), (7, 5), (7, 1), (7, 9), (7, 20), (4, 3), (37, 16), (1, 3)])
def test_interpolation_is_what_is_written_out(grid, side, antialias):
    position = np.random.default_rng(0).normal(size=(grid, grid, 3)).astype(np.float32)
    rows = resampled(position.astype(np.float64), side, antialias)
    expected = resampled(rows.swapaxes(0, 1), side, antialias).swapaxes(0, 1)
    found = interpolate_position(position, side, antialias=antialias)
    assert found.shape == (side, side, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("antialias", [False, True])
def test_the_learned_grid_is_left_alone(antialias):
    position = np.random.default_rng(0).normal(size=(5, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(interpolate_position(position, 5, antialias=antialias), position)


@pytest.mark.parametrize(("side", "registers", "base"), [(1, 0, 100.0), (3, 4, 100.0), (5, 1, 10_000.0)])
def test_rotary_tables_are_the_formula(side, registers, base):
    shape = Geometry(128, 1, 2, 16, registers, 0, gated=False, layer_scale=True, eps=1e-5, rope_base=base)
    cosines, sines = rotary_tables(shape, side)
    assert cosines.shape == sines.shape == (1 + registers + side * side, 32)
    assert np.all(cosines[: 1 + registers] == 1)
    assert np.all(sines[: 1 + registers] == 0)
    for row in range(side):
        for column in range(side):
            token = 1 + registers + row * side + column
            for number in range(32):
                place = (row if number < 16 else column) + 0.5
                angle = 2 * np.pi * (2 * place / side - 1) / base ** (number % 16 / 16)
                assert cosines[token, number] == pytest.approx(np.cos(angle), abs=1e-6)
                assert sines[token, number] == pytest.approx(np.sin(angle), abs=1e-6)
