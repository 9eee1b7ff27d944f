"""A bundled network in whole numbers of 8 bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import ModelError

__all__ = ["quantized", "ranged"]

# Processors without VNNI add two products of 8 bits in 16, which overflow. Those of 8 and 7 bits do not.
_MOST_WEIGHT = 63
_MOST = 255


def ranged(proto: bytes) -> list[str]:
    """Return the names of what ``quantized`` needs ranges of: what convolutions take, and what they give.

    Args:
        proto: Serialised ONNX model.
    """
    import onnx

    nodes = onnx.load_from_string(proto).graph.node
    return list(dict.fromkeys(name for node in nodes if node.op_type == "Conv" for name in _ends(node, nodes)))


def quantized(proto: bytes, ranges: Mapping[str, tuple[float, float]]) -> bytes:
    """Return a graph whose convolutions compute in whole numbers; the same bytes for the same arguments.

    Activations have 8 bits and one scale each. Weights have 7 bits and a scale for each channel.

    Args:
        proto: Serialised ONNX model.
        ranges: Least and greatest value of each tensor that ``ranged`` names.

    Raises:
        ModelError: If a tensor has no range.
    """
    import onnx
    from onnx.helper import make_node

    _check(ranges, ranged(proto))
    model = onnx.load_from_string(proto)
    graph = model.graph
    held = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    held |= {node.output[0]: held[node.input[0]] for node in graph.node if _is_stored_short(node, held)}
    scales: dict[str, np.float32] = {}
    nodes: list[Any] = []

    def keep(name: str, values: NDArray[Any]) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(values, name))
        return name

    def rounded(name: str) -> str:
        """Name the tensor as whole numbers tell it."""
        if name not in scales:
            low, high = min(0.0, ranges[name][0]), max(0.0, ranges[name][1])
            scales[name] = scale = np.float32(max(high - low, 1e-6) / _MOST)
            zero = np.asarray(np.rint(-low / scale), np.uint8)
            grid = [keep(f"{name}:scale", np.asarray(scale)), keep(f"{name}:zero", zero)]
            nodes.append(make_node("QuantizeLinear", [name, *grid], [f"{name}:whole"]))
            nodes.append(make_node("DequantizeLinear", [f"{name}:whole", *grid], [f"{name}:rounded"]))
        return f"{name}:rounded"

    def stored(name: str, values: NDArray[Any], scale: NDArray[np.float32]) -> str:
        """Hold weights as whole numbers, with a scale for each output channel."""
        zero = np.zeros(scale.shape, values.dtype)
        grid = [keep(f"{name}:scale", scale), keep(f"{name}:zero", zero)]
        nodes.append(make_node("DequantizeLinear", [keep(f"{name}:whole", values), *grid], [f"{name}:rounded"], axis=0))
        return f"{name}:rounded"

    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    given = {name for node in graph.node if node.op_type == "Conv" for name in _ends(node, graph.node)}
    for node in graph.node:
        if node.op_type == "Conv":
            _, weight, bias = node.input
            taken = rounded(node.input[0])
            kernel = held[weight].astype(np.float32)
            scale = np.maximum(np.abs(kernel).max(axis=(1, 2, 3)), 1e-9).astype(np.float32) / _MOST_WEIGHT
            whole = np.rint(kernel / scale[:, None, None, None]).astype(np.int8)
            steps = scale * scales[node.input[0]]
            shift = np.rint(held[bias].astype(np.float64) / steps).astype(np.int32)
            node.input[:] = [taken, stored(weight, whole, scale), stored(bias, shift, steps)]
        elif _is_stored_short(node, held) and node.output[0] in kernels:
            continue
        else:
            node.input[:] = [f"{name}:rounded" if name in scales else name for name in node.input]
        nodes.append(node)
        for name in node.output:
            if name in given:
                rounded(name)
    used = {name for node in nodes for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
    changed: bytes = model.SerializeToString(deterministic=True)
    return changed


def _check(ranges: Mapping[str, tuple[float, float]], names: list[str]) -> None:
    """Raise a ModelError where a tensor has no range."""
    if missing := [name for name in names if name not in ranges]:
        raise ModelError(f"the ranges for int8 lack {', '.join(missing)} of the network: reinstall dinoscope")


def _ends(conv: Any, nodes: Any) -> tuple[str, str]:
    """Name what a convolution takes and what it gives, behind its ReLU where it has one."""
    (given,) = conv.output
    behind = [node.output[0] for node in nodes if node.op_type == "Relu" and node.input[0] == given]
    return conv.input[0], behind[0] if behind else given


def _is_stored_short(node: Any, held: Mapping[str, NDArray[Any]]) -> bool:
    """Tell whether a node only makes float32 of weights that the file holds as float16."""
    return node.op_type == "Cast" and node.input[0] in held
