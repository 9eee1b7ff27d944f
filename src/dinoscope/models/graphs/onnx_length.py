"""How many nodes an ONNX graph runs at most: one that loops without a bound, or grows without one, is never run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto, numpy_helper

from dinoscope.errors import ModelError

__all__ = ["check_length"]

_MOST_NODES = 10_000  # that one image may run: a DINO of 40 blocks, exported operator by operator, has 2,000 to 3,000
_STANDARD = ("", "ai.onnx")
_Key = tuple[str, str]  # domain and name of an operator


def check_length(name: str, model: onnx.ModelProto) -> None:
    """Refuse a model that may run without end.

    A loop counts as often as its constant bound says. Every other operator that runs graphs, except for ``If``, may run
    them as often as it likes. A function of the model counts wherever it is called.

    Args:
        name: Of the file, for the message.
        model: It.

    Raises:
        ModelError: If it may run more nodes than any DINO has.
    """
    functions = {(each.domain, each.name): each for each in model.functions}
    try:
        length = _Counter(functions).count(model.graph.node, _numbers(model.graph))
    except RecursionError:  # functions that call each other in a circle
        length = math.inf
    if length > _MOST_NODES:
        got = "a loop without a constant bound" if length == math.inf else f"{length:,} of them"
        raise ModelError(
            f"{name} may run without end: expected at most {_MOST_NODES:,} operators an image, got {got}; export the "
            "model without loops and with a fixed resolution"
        )


class _Counter:
    """Counts the nodes that are run, each function once."""

    def __init__(self, functions: Mapping[_Key, onnx.FunctionProto]) -> None:
        self._functions = functions
        self._known: dict[_Key, float] = {}

    def count(self, nodes: Iterable[onnx.NodeProto], numbers: Mapping[str, int]) -> float:
        """Return how many nodes these run; ``numbers`` are the constants that they see."""
        seen, total = dict(numbers), 0.0
        for node in nodes:
            seen |= _constant(node)
            graphs = [graph for attribute in node.attribute for graph in (attribute.g, *attribute.graphs) if graph.node]
            inner = sum(self.count(graph.node, {**seen, **_numbers(graph)}) for graph in graphs)
            total += 1 + self._called(node) + (_turns(node, seen) * inner if inner else 0)
        return total

    def _called(self, node: onnx.NodeProto) -> float:
        key = (node.domain, node.op_type)
        if key not in self._functions:
            return 0
        if key not in self._known:
            self._known[key] = self.count(self._functions[key].node, {})
        return self._known[key]


def _turns(node: onnx.NodeProto, numbers: Mapping[str, int]) -> float:
    """Return how often a node runs its graphs."""
    if node.domain in _STANDARD and node.op_type == "If":
        return 1
    if node.domain in _STANDARD and node.op_type == "Loop" and node.input:
        return max(0, numbers.get(node.input[0], math.inf))
    return math.inf


def _numbers(graph: onnx.GraphProto) -> dict[str, int]:
    """Return the whole numbers among the constants of a graph."""
    return {name: value for tensor in graph.initializer for name, value in _number(tensor.name, tensor).items()}


def _constant(node: onnx.NodeProto) -> dict[str, int]:
    """Return the whole number that a node gives, if it is a constant."""
    if node.op_type != "Constant" or len(node.output) != 1 or len(node.attribute) != 1:
        return {}
    (attribute,) = node.attribute
    return {node.output[0]: attribute.i} if attribute.name == "value_int" else _number(node.output[0], attribute.t)


def _number(name: str, tensor: TensorProto) -> dict[str, int]:
    if tensor.data_type != TensorProto.INT64 or math.prod(tensor.dims) != 1 or tensor.external_data:
        return {}
    try:
        return {name: int(numpy_helper.to_array(tensor).reshape(-1)[0])}
    except ValueError:  # a damaged file: as if it were not there
        return {}
