"""Graphs that ask for all memory or time: refused by one line, in a process that ends alone."""

import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from dinoscope.errors import ModelError
from dinoscope.models.encoder import Encoder
from dinoscope.models.graphs import trial
from tests.models.graphs.test_onnx_import import SIDE, export

limited = pytest.mark.skipif(sys.platform != "linux", reason="the address space is limited on Linux alone")


def constant(name, *numbers):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(numbers, np.int64)))


def save(path, nodes, huge):
    """An export whose tokens also depend on the largest value of something huge."""
    nodes += [
        helper.make_node("ReduceMax", [huge], ["largest"], keepdims=0),
        helper.make_node("Add", ["largest", "last_hidden_state"], ["result"]),
    ]
    export(path, extra=nodes)
    model = onnx.load(path)
    model.graph.output[0].name = "result"
    onnx.save(model, path)
    return str(path)


def bomb(path, operator):
    nodes = [constant("sides", 100_000, 100_000), constant("times", 3_000, 1_000, 10)]
    inputs = {"ConstantOfShape": ["sides"], "Expand": ["mean_of_all", "sides"], "Tile": ["last_hidden_state", "times"]}
    nodes.append(helper.make_node("ReduceMean", ["last_hidden_state"], ["mean_of_all"], keepdims=0))
    nodes.append(helper.make_node(operator, inputs[operator], ["huge"]))
    return save(path, nodes, "huge")


@limited
@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_one_node_that_asks_for_forty_gigabytes(tmp_path, operator):
    with pytest.raises(ModelError) as refused:
        Encoder(bomb(tmp_path / "model.onnx", operator), resolution=SIDE, device="cpu")
    told = str(refused.value)
    assert "\n" not in told
    assert "needs more than the 3.2 GB" in told or "exceeds th" in told  # ONNX Runtime itself limits a Tile


def test_a_graph_that_computes_for_minutes(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_SECONDS", 0.5)
    nodes = [constant("times", 1, 200, 100), helper.make_node("Tile", ["last_hidden_state", "times"], ["wide"])]
    nodes.append(helper.make_node("Transpose", ["wide"], ["turned"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("MatMul", ["turned", "wide"], ["power0"]))
    nodes += [helper.make_node("MatMul", ["power0", f"power{at}"], [f"power{at + 1}"]) for at in range(400)]
    path = save(tmp_path / "model.onnx", nodes, "power400")
    with pytest.raises(ModelError, match=r"does not embed one image within . seconds"):
        Encoder(path, resolution=SIDE, device="cpu")


@limited
def test_a_process_that_ends_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "_BYTES", 1 << 20)  # in which nothing runs
    monkeypatch.setattr(trial, "_COPIES", 0)
    export(tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=r"ends the process that runs it, or needs more than the 0\.0 GB"):
        Encoder(str(tmp_path / "model.onnx"), resolution=SIDE, device="cpu")


def test_a_model_of_the_table_is_not_tried(monkeypatch):
    monkeypatch.setattr("dinoscope.models.encoder.try_out", lambda *_: pytest.fail("tried"))
    assert Encoder("mini-fashion").dim > 0
