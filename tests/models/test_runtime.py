import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from dinoscope.errors import InputError, ModelError
from dinoscope.models import runtime
from dinoscope.models.encoder import Encoder
from dinoscope.models.loading import load_model
from dinoscope.models.runtime import exact_device, open_runtime
from tests.checkpoints import save_vit

SIDE = 32


@pytest.fixture(scope="module", params=["dino", "dinov2", "dinov3"])
def folder(request, tmp_path_factory):
    return str(save_vit(tmp_path_factory.mktemp("weights") / request.param, request.param))


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE, 3), dtype=np.uint8)


def cosines(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_openvino_gives_the_same_features(folder, pixels):
    pytest.importorskip("openvino")
    graph = load_model(folder, resolution=SIDE).graph
    plain = open_runtime(graph, "cpu").run(["cls", "patches", "attention"], pixels)
    exact = open_runtime(graph, "openvino-fp32")
    assert (exact.device, exact.precision) == ("openvino", "fp32")
    assert exact.outputs >= {"cls", "patches", "attention"}
    for expected, got in zip(plain, exact.run(["cls", "patches", "attention"], pixels), strict=True):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=1e-4)
    short = open_runtime(graph, "openvino")
    assert short.precision in ("bf16", "fp32")  # as the processor has it
    assert cosines(short.run(["cls"], pixels)[0], plain[0]).min() > 0.999


def test_openvino_cuts_a_batch_and_keeps_its_order(folder, pixels):
    pytest.importorskip("openvino")
    opened = open_runtime(load_model(folder, resolution=SIDE).graph, "openvino-fp32", threads=2)
    together = opened.run(["cls"], pixels)[0]
    alone = np.concatenate([opened.run(["cls"], pixels[row : row + 1])[0] for row in range(len(pixels))])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_threads_that_ask_openvino_at_once_get_their_own_features(folder):
    pytest.importorskip("openvino")
    opened = open_runtime(load_model(folder, resolution=SIDE).graph, "openvino-fp32", threads=2)
    batches = np.random.default_rng(1).integers(0, 256, (40, 3, SIDE, SIDE, 3), dtype=np.uint8)
    expected = [opened.run(["cls"], batch)[0] for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda batch: opened.run(["cls"], batch)[0], batches))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(folder, pixels):
    vectors = [Encoder(folder, resolution=SIDE, device="cpu", batch_size=size).encode(pixels) for size in (1, 4, 11)]
    assert np.abs(vectors[0] - vectors[1]).max() < 1e-5
    assert np.abs(vectors[0] - vectors[2]).max() < 1e-5


def test_auto_says_what_it_chose_and_why(folder, monkeypatch):
    graph = load_model(folder, resolution=SIDE).graph
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    monkeypatch.setattr(runtime, "find_spec", lambda _name: None)
    monkeypatch.setattr(runtime, "_has_bfloat16", lambda: True)
    chosen = open_runtime(graph)
    assert (chosen.device, chosen.precision) == ("cpu", "fp32")
    assert "neither a GPU nor OpenVINO" in chosen.reason
    assert "pip install 'dinoscope[openvino]' runs it faster in bfloat16" in chosen.reason


def test_auto_takes_openvino_where_it_is(folder):
    pytest.importorskip("openvino")
    chosen = open_runtime(load_model(folder, resolution=SIDE).graph)
    assert (chosen.device, chosen.reason.startswith("the fastest on this processor")) == ("openvino", True)


@pytest.mark.parametrize("kind", [ImportError, OSError])
def test_auto_goes_on_without_openvino_where_it_does_not_load(folder, monkeypatch, kind):
    graph = load_model(folder, resolution=SIDE).graph

    def fail():
        raise kind("libtbb.so is missing")

    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    monkeypatch.setattr(runtime, "find_spec", lambda _name: True)
    monkeypatch.setattr(runtime, "import_openvino", fail)
    chosen = open_runtime(graph)
    assert (chosen.device, chosen.precision) == ("cpu", "fp32")
    assert chosen.reason.startswith("without OpenVINO: OpenVINO does not load (libtbb.so is missing): install it again")
    with pytest.raises(InputError, match=r"OpenVINO does not load \(libtbb.so is missing\)"):
        open_runtime(graph, "openvino")


def broken(number, monkeypatch):
    """Let OpenVINO fail in one of the ways that it has."""
    openvino: Any = pytest.importorskip("openvino")

    class Core(openvino.Core):  # type: ignore[misc]
        def get_property(self, *given):
            if number == 1:
                raise RuntimeError("Cannot load library libopenvino_intel_cpu_plugin.so\nand more")
            return super().get_property(*given)

    class Queue(openvino.AsyncInferQueue):  # type: ignore[misc]
        def __init__(self, *given):
            if number == 2:
                raise RuntimeError("no memory for requests")
            super().__init__(*given)

        def start_async(self, given, number_):
            if number == 3:
                raise RuntimeError("could not execute a primitive")
            super().start_async(given, number_)

    def core():
        if number == 0:
            raise RuntimeError("plugins.xml cannot be read")
        return Core()

    monkeypatch.setattr(openvino, "Core", core)
    monkeypatch.setattr(openvino, "AsyncInferQueue", Queue)


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0, r"without OpenVINO: OpenVINO does not load \(plugins.xml cannot be read\): install it again"),
        (1, r"without OpenVINO: OpenVINO does not load \(Cannot load library .*plugin.so\): install it again"),
        (2, r"without OpenVINO: the weights of .* do not load \(no memory for requests\): "),
        (3, r"without OpenVINO: .* does not run at 32 pixels \(could not execute a primitive\): "),
    ],
)
def test_auto_goes_on_without_openvino_however_it_fails(folder, pixels, monkeypatch, number, reason):
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    graph = load_model(folder, resolution=SIDE).graph
    expected = open_runtime(graph, "cpu").run(["cls"], pixels)[0]
    broken(number, monkeypatch)
    chosen = open_runtime(graph)
    assert (chosen.device, chosen.precision) == ("cpu", "fp32")
    assert re.match(reason, chosen.reason), chosen.reason
    np.testing.assert_array_equal(chosen.run(["cls"], pixels)[0], expected)
    assert exact_device() == ("cpu" if number < 2 else "openvino-fp32")


def test_auto_goes_on_without_openvino_where_its_numbers_are_none(folder, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    monkeypatch.setattr(
        runtime._OpenVino, "run", lambda _self, _outputs, pixels: [np.full((len(pixels), 4), np.nan, np.float32)]
    )
    chosen = open_runtime(load_model(folder, resolution=SIDE).graph)
    assert (chosen.device, "gives NaN or infinity in" in chosen.reason) == ("cpu", True)


def test_auto_runs_a_strangers_graph_where_it_was_tried_out(folder, monkeypatch):
    monkeypatch.setattr(runtime, "_has_gpu", lambda: False)
    chosen = open_runtime(replace(load_model(folder, resolution=SIDE).graph, strange=True))
    assert (chosen.device, chosen.reason) == ("cpu", "the graph was tried out there")


def test_auto_runs_bundled_models_on_plain_onnxruntime():
    chosen = open_runtime(load_model("mini").graph)
    assert (chosen.device, chosen.precision, chosen.batch_size) == ("cpu", "fp32", 64)


def test_threads_that_wait_take_no_processor_time():
    chosen = open_runtime(load_model("mini").graph)
    options = chosen._session.get_session_options()  # type: ignore[attr-defined]
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_threads_are_the_cores_that_may_be_used(monkeypatch):
    """In a container or a cluster's job they are fewer than the machine has."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {3, 5}, raising=False)
    asked = []
    monkeypatch.setattr(runtime, "_OnnxRuntime", lambda _graph, threads, **_: asked.append(threads))
    graph = load_model("mini").graph
    open_runtime(graph)
    monkeypatch.delattr(os, "sched_getaffinity")  # a system that knows no such thing
    open_runtime(graph)
    open_runtime(graph, threads=7)
    assert asked == [2, 64, 7]


def test_auto_goes_on_without_a_gpu_that_does_not_work(folder, monkeypatch):
    """onnxruntime-gpu lists CUDA also where its libraries do not load; the session then falls back by itself."""
    monkeypatch.setattr(runtime, "_has_gpu", lambda: True)
    chosen = open_runtime(load_model(folder, resolution=SIDE).graph)
    assert chosen.device == "cpu"
    assert "the CUDA libraries do not load" in chosen.reason


def test_devices_that_are_not_there(folder, monkeypatch):
    graph = load_model(folder, resolution=SIDE).graph
    with pytest.raises(InputError, match="no CUDA device: expected onnxruntime-gpu to be installed"):
        open_runtime(graph, "cuda")
    monkeypatch.setattr(runtime, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"OpenVINO is not installed: pip install 'dinoscope\[openvino\]'"):
        open_runtime(graph, "openvino")


def test_openvino_comes_without_its_telemetry(folder):
    if find_spec("openvino") is None:
        pytest.skip("needs OpenVINO")
    code = (
        "import sys, dinoscope as ds; ds.Encoder(sys.argv[1], resolution=32, device='openvino'); "
        "print('openvino' in sys.modules, sys.modules.get('openvino_telemetry'))"
    )
    run = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "None"]


def test_weights_that_vanish_are_one_clear_error(folder, tmp_path):
    graph = load_model(folder, resolution=SIDE).graph
    for device in ("cpu", "openvino"):
        if device == "openvino":
            pytest.importorskip("openvino")
        with pytest.raises(ModelError, match=r"the weights of '.*' do not load .*: fetch them again"):
            open_runtime(replace(graph, weights=tmp_path / "gone.safetensors"), device)
