"""From a checkpoint to the files that ship: an ONNX graph of the teacher's backbone, and its weights as safetensors.

The graph is written node by node with ``onnx.helper``: two dozen lines a network, no tracing, and the same bytes for
the same checkpoint. Input ``pixels`` uint8 (B, H, W, 3); outputs ``cls`` float32 (B, D), the image feature, and
``patches`` float32 (B, T, D), row by row from the top left; neither is normalised.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn as nn
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pretraining.networks import MEAN, STD, Block, Residual, ResNet, ViT
from pretraining.projection import Projection, Projections
from pretraining.sets import get_set
from pretraining.train import Run

__all__ = ["export", "export_safetensors", "metadata"]

# ONNX Runtime 1.17 and later read these.
OPSET, IR_VERSION = 20, 9

Array = NDArray[Any]


def metadata(run: Run, name: str) -> dict[str, str]:
    """Say what the weights are and how they came about; no date, so that files can be compared."""
    return {
        "name": name,
        "recipe": json.dumps(asdict(run.recipe), sort_keys=True),
        "sets": ", ".join(
            f"{get_set(s).title} ({get_set(s).images - get_set(s).held_out()} images)" for s in run.recipe.shares
        ),
        "images_seen": str(run.seen),
        "minutes": f"{run.seconds / 60:.1f}",
        "device": run.trained_on,
        "readings": json.dumps(run.history),
    }


def export(
    run: Run,
    path: Path,
    *,
    name: str,
    precision: str = "float16",
    projections: Projections | None = None,
    size: int | None = None,
) -> None:
    """Write the teacher's backbone as one ONNX file.

    Args:
        run: The trained run.
        path: The file to write.
        name: The model's name, kept in the file.
        precision: How matrices are stored, ``float16`` or ``float32``; the computation is float32 either way.
        projections: Linear layers to add behind the network; without them ``cls`` is the feature that training saw.
        size: Side of the input of a ViT in pixels, by default the one it was trained at. A ResNet takes any.

    Raises:
        ValueError: If the precision is unknown, or the weights do not fit into it.
    """
    if precision not in ("float16", "float32"):
        raise ValueError(f"unknown precision {precision!r}: expected 'float16' or 'float32'")
    backbone = run.teacher["backbone"].eval()
    graph = _Graph(half=precision == "float16")
    pixels = graph.add("Cast", graph.add("Transpose", "pixels", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    mean, std = np.array(MEAN), np.array(STD)
    x = graph.add("Mul", pixels, graph.exact((1 / (255 * std)).reshape(1, 3, 1, 1)))
    x = graph.add("Add", x, graph.exact((-mean / std).reshape(1, 3, 1, 1)))
    side: list[int | str]
    tokens: int | str
    if isinstance(backbone, ResNet):
        cls, patches = _resnet(graph, backbone, x, wide=projections is not None)
        side, tokens = ["height", "width"], "tokens"
    else:
        side = [size or run.recipe.size] * 2
        cls, patches, tokens = _vit(graph, backbone, x, size or run.recipe.size)
    dim = backbone.dim
    if projections is not None:
        cls, patches = _project(graph, cls, projections.image), _project(graph, patches, projections.patches)
        dim = projections.image.matrix.shape[1]
    graph.nodes += [helper.make_node("Identity", [v], [o]) for v, o in ((cls, "cls"), (patches, "patches"))]
    proto = helper.make_graph(
        graph.nodes,
        name,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", *side, 3])],
        [
            helper.make_tensor_value_info("cls", TensorProto.FLOAT, ["batch", dim]),
            helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["batch", tokens, dim]),
        ],
        graph.weights,
    )
    model = helper.make_model(
        proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="dinoscope"
    )
    helper.set_model_props(model, metadata(run, name))
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def export_safetensors(run: Run, path: Path, *, name: str) -> None:
    """Write the teacher's backbone, float32 under its torch names, for whoever trains on."""
    from safetensors.torch import save

    state = {key: value.cpu().contiguous() for key, value in run.teacher["backbone"].state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    # One key: the package writes several in an order that changes from run to run.
    path.write_bytes(save(state, {"dinoscope": json.dumps(metadata(run, name), sort_keys=True)}))


class _Graph:
    """Nodes and weights of a graph in the making; ``add`` and the weight makers return the name of their output."""

    def __init__(self, *, half: bool) -> None:
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of one output."""
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def exact(self, array: Array, dtype: type = np.float32) -> str:
        """Add a weight as it is."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(array, dtype, order="C"), name))
        return name

    def matrix(self, array: Array) -> str:
        """Add a weight in the file's precision; the runtime folds the cast away when it loads the file."""
        if not self.half:
            return self.exact(array)
        if not np.abs(array).max() < np.finfo(np.float16).max:
            raise ValueError("a weight does not fit into float16: export with precision float32")
        return self.add("Cast", self.exact(array, np.float16), to=TensorProto.FLOAT)

    def linear(self, x: str, weight: Array, bias: Array) -> str:
        """Add ``x @ weight + bias`` for x of any rank."""
        return self.add("Add", self.add("MatMul", x, self.matrix(weight)), self.exact(bias))

    def convolution(self, x: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> str:
        """Add a convolution, the batch normalisation behind it folded into its weights."""
        weight = _array(layer.weight)
        bias = np.zeros(len(weight)) if layer.bias is None else _array(layer.bias)
        if norm is not None:
            scale = _array(norm.weight) / np.sqrt(_array(norm.running_var) + norm.eps)
            weight = weight * scale[:, None, None, None]
            bias = (bias - _array(norm.running_mean)) * scale + _array(norm.bias)
        pads = list(layer.padding) * 2
        return self.add("Conv", x, self.matrix(weight), self.exact(bias), strides=list(layer.stride), pads=pads)


def _array(tensor: torch.Tensor | None) -> Array:
    assert tensor is not None
    return np.asarray(tensor.detach().double().cpu())


def _block(graph: _Graph, x: str, layers: nn.Sequential) -> str:
    """Convolution, batch normalisation, ReLU."""
    conv, norm, _ = layers
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    return graph.add("Relu", graph.convolution(x, conv, norm))


def _resnet(graph: _Graph, net: ResNet, x: str, *, wide: bool) -> tuple[str, str]:
    parts = []
    for number, stage in enumerate(net.stages):
        if wide and number == net.before_last:
            parts = [_in_cells(graph, x, net.cells), *([] if net.cells > 1 else [_spread(graph, x)])]
        if isinstance(stage, Residual):
            inner = x
            for layers in stage.body:
                inner = _block(graph, inner, layers)
            x = graph.add("Add", x, inner)
        else:
            x = _block(graph, x, stage)
    cls = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    if wide:
        parts += [] if net.cells > 1 else [_spread(graph, x)]
        cls = graph.add("Concat", *parts, cls, axis=1)
    flat = graph.add("Reshape", x, graph.exact(np.array([0, net.dim, -1]), np.int64))
    return cls, graph.add("Transpose", flat, perm=[0, 2, 1])


def _in_cells(graph: _Graph, x: str, side: int) -> str:
    """Add ``networks.in_cells``."""
    if side == 1:
        return graph.add("Flatten", graph.add("GlobalAveragePool", x))
    rows, columns = (_overlaps(graph, x, axis, side) for axis in (2, 3))
    mirrored = np.eye(side)[:, : (side + 1) // 2] / 2
    halves = graph.add("MatMul", columns, graph.exact(mirrored + mirrored[::-1]))
    across = graph.add("Transpose", graph.add("MatMul", x, halves), perm=[0, 1, 3, 2])
    return graph.add("Flatten", graph.add("MatMul", across, rows))


def _spread(graph: _Graph, x: str) -> str:
    """Add ``networks.spread``."""
    apart = graph.add("Sub", x, graph.add("GlobalAveragePool", x))
    return graph.add("Flatten", graph.add("Sqrt", graph.add("GlobalAveragePool", graph.add("Mul", apart, apart))))


def _overlaps(graph: _Graph, x: str, axis: int, side: int) -> str:
    """Add the share of each pixel along an axis in the mean of each cell (length, side)."""
    length = graph.add("Cast", graph.add("Shape", x, start=axis, end=axis + 1), to=TensorProto.FLOAT)
    zero, one, last = graph.exact(np.array(0)), graph.exact(np.array(1)), graph.exact(np.array([1]), np.int64)
    pixels = graph.add("Unsqueeze", graph.add("Range", zero, graph.add("Squeeze", length), one), last)
    begin, end = (graph.add("Div", each, length) for each in (pixels, graph.add("Add", pixels, one)))
    cell = np.arange(side) / side
    low = graph.add("Max", begin, graph.exact(cell))
    high = graph.add("Min", end, graph.exact(cell + 1 / side))
    return graph.add("Mul", graph.add("Relu", graph.add("Sub", high, low)), graph.exact(np.array(side)))


@torch.no_grad()
def _vit(graph: _Graph, net: ViT, x: str, size: int) -> tuple[str, str, int]:
    first, second, last = net.stem
    x = graph.convolution(_block(graph, _block(graph, x, first), second), last)
    side = -(-size // 8)
    position = net.position
    if position.shape[-1] != side:
        position = F.interpolate(position, (side, side), mode="bicubic", align_corners=False)
    flat = graph.add("Reshape", x, graph.exact(np.array([0, net.dim, side * side]), np.int64))
    tokens = graph.add("Transpose", flat, perm=[0, 2, 1])
    tokens = graph.add("Add", tokens, graph.matrix(_array(position.flatten(2).transpose(1, 2))))
    batch = graph.add("Shape", "pixels", start=0, end=1)
    shape = graph.add("Concat", batch, graph.exact(np.array([1, net.dim]), np.int64), axis=0)
    tokens = graph.add("Concat", graph.add("Expand", graph.exact(_array(net.cls)), shape), tokens, axis=1)
    for block in net.blocks:
        tokens = _transformer_block(graph, block, tokens, net.dim)
    tokens = _norm(graph, tokens, net.norm)
    cls = graph.add("Gather", tokens, graph.exact(np.array(0), np.int64), axis=1)
    bounds = (graph.exact(np.array([n]), np.int64) for n in (1, side * side + 1, 1))
    return cls, graph.add("Slice", tokens, *bounds), side * side


def _transformer_block(graph: _Graph, block: Block, x: str, dim: int) -> str:
    width = dim // block.heads
    weights, biases = np.split(_array(block.qkv.weight), 3), np.split(_array(block.qkv.bias), 3)
    weights[0], biases[0] = weights[0] * width**-0.5, biases[0] * width**-0.5  # the scale of q'k
    normed = _norm(graph, x, block.norm1)
    heads = []
    for weight, bias, order in zip(weights, biases, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True):
        split = graph.exact(np.array([0, 0, block.heads, width]), np.int64)
        heads.append(
            graph.add("Transpose", graph.add("Reshape", graph.linear(normed, weight.T, bias), split), perm=order)
        )
    attention = graph.add("Softmax", graph.add("MatMul", heads[0], heads[1]), axis=-1)
    mixed = graph.add("Transpose", graph.add("MatMul", attention, heads[2]), perm=[0, 2, 1, 3])
    mixed = graph.add("Reshape", mixed, graph.exact(np.array([0, 0, dim]), np.int64))
    x = graph.add("Add", x, graph.linear(mixed, _array(block.proj.weight).T, _array(block.proj.bias)))
    up, _, down = block.mlp
    inner = graph.linear(_norm(graph, x, block.norm2), _array(up.weight).T, _array(up.bias))
    return graph.add("Add", x, graph.linear(graph.add("Gelu", inner), _array(down.weight).T, _array(down.bias)))


def _norm(graph: _Graph, x: str, layer: nn.LayerNorm) -> str:
    weight, bias = graph.exact(_array(layer.weight)), graph.exact(_array(layer.bias))
    return graph.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=layer.eps)


def _project(graph: _Graph, x: str, projection: Projection) -> str:
    # The matrix is rounded before the offset goes through it, so that the offset still maps to zero.
    matrix = projection.matrix.astype(np.float16 if graph.half else np.float32).astype(np.float64)
    return graph.linear(x, matrix, -projection.offset.astype(np.float64) @ matrix)
