"""A DINO ViT as an ONNX graph, straight from its official weights.

The graph refers to the weights where they lie: ONNX Runtime maps the safetensors file, so that a model of any size is
built in a moment and nothing is held twice. Only the patch embedding (which takes the centring and scaling of the
pixels in) and the position embedding (which is interpolated to the resolution) are computed and kept in the graph.

Attention, rotary embedding and the norm behind a residual are the fused operators of ONNX Runtime (domain
``com.microsoft``), which OpenVINO reads too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from dinoscope.errors import InputError, ModelError
from dinoscope.models.catalogue import IMAGENET, Normalization
from dinoscope.models.checkpoint import Checkpoint, Geometry
from dinoscope.models.safetensors import Tensor

__all__ = ["build_graph", "interpolate_position", "rotary_tables"]

_FUSED = "com.microsoft"
# ONNX Runtime 1.17 and later read these.
_OPSET, _IR_VERSION = 17, 8
_LARGEST_GRAPH = 2_000_000_000  # bytes; protobuf's limit is 2 GiB
Array = NDArray[np.float32]


def build_graph(checkpoint: Checkpoint, resolution: int, normalization: Normalization = IMAGENET) -> bytes:
    """Build the graph of a ViT for square images of one resolution.

    Input ``pixels`` uint8 (B, R, R, 3); outputs float32 ``cls`` (B, D) and ``patches`` (B, T, D), both behind the
    final norm, patches row by row from the top left; and ``attention`` (B, heads, 1 + registers, T): how the last
    block's CLS token, and then each register, spreads its attention over the patches. What it gives to CLS and to the
    registers is left out, so a row adds up to less than 1. The weights are external data, in the checkpoint's file.

    Args:
        checkpoint: The weights.
        resolution: Side R of the images, in pixels.
        normalization: How the weights expect pixels to be scaled and centred.

    Returns:
        A serialised ONNX model; its external data lies in the folder of ``checkpoint.file``.

    Raises:
        InputError: If the resolution is not a positive multiple of the patch, or one image would take gigabytes.
        ModelError: If weights that are not float32 are too many to be kept in the graph.
    """
    shape = checkpoint.geometry
    if resolution < shape.patch or resolution % shape.patch:
        near = max(1, round(resolution / shape.patch)) * shape.patch
        raise InputError(
            f"the resolution must be a multiple of the model's patch of {shape.patch} pixels, got {resolution}: "
            f"try {near}"
        )
    side = resolution // shape.patch
    if 4 * side * side * shape.dim > _LARGEST_GRAPH:  # the position embedding, or the tokens of one image
        most = math.isqrt(_LARGEST_GRAPH // (4 * shape.dim)) * shape.patch
        raise InputError(f"the resolution must be at most {most} for this model, got {resolution}")
    graph = _Graph(checkpoint)
    x = _embed_patches(graph, shape, side, normalization)
    graph.tokens = 1 + shape.registers + side * side
    rotary = (
        [graph.repeat([range(graph.tokens)], np.int64)]
        + [graph.constant(table) for table in rotary_tables(shape, side)]
        if not shape.grid
        else []
    )
    norm = [graph.weight("0.norm1.weight"), graph.weight("0.norm1.bias")]
    y = graph.add("LayerNormalization", x, *norm, axis=-1, epsilon=shape.eps)
    for block in range(shape.depth):
        y, x, attention = _block(graph, shape, block, y, x, rotary)
    cls = graph.add("Gather", y, graph.constant(0, np.int64), axis=1)
    bounds = (graph.constant([each], np.int64) for each in (1 + shape.registers, graph.tokens, 1))
    patches = graph.add("Slice", y, *bounds)
    outputs = ((cls, "cls"), (patches, "patches"), (attention, "attention"))
    graph.nodes += [helper.make_node("Identity", [value], [name]) for value, name in outputs]
    proto = helper.make_graph(
        graph.nodes,
        "vit",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["batch", resolution, resolution, 3])],
        [
            helper.make_tensor_value_info("cls", TensorProto.FLOAT, ["batch", shape.dim]),
            helper.make_tensor_value_info("patches", TensorProto.FLOAT, ["batch", side * side, shape.dim]),
            helper.make_tensor_value_info(
                "attention", TensorProto.FLOAT, ["batch", shape.heads, 1 + shape.registers, side * side]
            ),
        ],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_FUSED, 1)]
    model = helper.make_model(proto, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="dinoscope")
    serialised: bytes = model.SerializeToString(deterministic=True)
    return serialised


def interpolate_position(position: Array, side: int, *, antialias: bool) -> Array:
    """Interpolate a learned position embedding to another grid, as ``torch.nn.functional.interpolate`` does (bicubic).

    Cubic convolution (Keys 1981) between the centres of the cells, a = -0.75; with antialiasing a = -0.5 and, where
    the grid shrinks, a kernel as much wider and weights that add up to 1 at the border.

    Args:
        position: (G, G, D).
        side: Side S of the other grid.
        antialias: Whether to smooth before the grid shrinks.

    Returns:
        (S, S, D); ``position`` itself where S is G.
    """
    grid = position.shape[0]
    if side == grid:
        return position
    matrix = _bicubic(grid, side, antialias)
    resized: Array = np.einsum("yi,xj,ijd->yxd", matrix, matrix, position.astype(np.float64), optimize=True).astype(
        np.float32
    )
    return resized


def rotary_tables(shape: Geometry, side: int) -> tuple[Array, Array]:
    """Compute the cosines and sines of DINOv3's rotary position embedding (Siméoni et al. 2025).

    The centres of the patches lie in -1..1 on both axes; half of a head's frequencies turn with y, half with x. CLS and
    registers do not turn.

    Returns:
        Cosines and sines, (tokens, D / heads / 2).
    """
    quarter = shape.dim // shape.heads // 4
    frequencies = 2 * np.pi / shape.rope_base ** (np.arange(quarter) / quarter)
    centres = (np.arange(side) + 0.5) / side * 2 - 1
    angles = centres[:, None] * frequencies
    rows, columns = np.repeat(angles, side, axis=0), np.tile(angles, (side, 1))
    patches = np.concatenate([rows, columns], axis=1)
    still = np.zeros((1 + shape.registers, patches.shape[1]))
    every = np.concatenate([still, patches])
    return np.cos(every).astype(np.float32), np.sin(every).astype(np.float32)


class _Graph:
    """A graph in the making; every method returns the name of a value."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.tokens = 0
        self.converted = 0  # bytes

    def add(self, op: str, *inputs: str, domain: str = "", outputs: int = 1, keep: int = 0, **settings: Any) -> str:
        """Add a node and return its output number ``keep``."""
        name = f"{op}_{len(self.nodes)}"
        names = [f"{name}_{each}" if each else name for each in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, domain=domain, **settings))
        return names[keep]

    def constant(self, values: ArrayLike, dtype: type = np.float32) -> str:
        """Keep an array in the graph."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(
            numpy_helper.from_array(np.ascontiguousarray(values, dtype).reshape(np.shape(values)), name)
        )
        return name

    def weight(self, name: str) -> str:
        """Refer to a tensor of the checkpoint; one that is not float32 is converted and kept in the graph."""
        tensor = self.checkpoint.tensors[name]
        if tensor.kind != "F32":
            self.converted += 2 * tensor.bytes
            if self.converted > _LARGEST_GRAPH:
                raise ModelError(
                    f"{tensor.file.name} is too large to be converted from {tensor.kind}: save it as float32 first"
                )
            return self.constant(tensor.read())
        self.constants.append(_external(f"{name}.{len(self.constants)}", tensor))
        return self.constants[-1].name

    def linear(self, x: str, name: str) -> str:
        """Multiply tokens (N, D_in) with a layer's weights (D_out, D_in)."""
        bias = [self.weight(f"{name}.bias")] if f"{name}.bias" in self.checkpoint.tensors else []
        return self.add("Gemm", x, self.weight(f"{name}.weight"), *bias, transB=1)

    def repeat(self, values: ArrayLike, dtype: type = np.float32) -> str:
        """Repeat an array (1, ...) for every image of the batch."""
        one: NDArray[np.generic] = np.asarray(values, dtype)
        batch = self.add("Slice", self.add("Shape", "pixels"), *(self.constant([n], np.int64) for n in (0, 1)))
        shape = self.add("Concat", batch, self.constant(one.shape[1:], np.int64), axis=0)
        return self.add("Expand", self.constant(one, dtype), shape)

    def flat(self, x: str) -> str:
        """Lay the tokens of all images in one column: (B, tokens, D) to (N, D)."""
        return self.add("Reshape", x, self.constant([-1, self.checkpoint.geometry.dim], np.int64))

    def by_image(self, x: str) -> str:
        """Undo ``flat``."""
        return self.add("Reshape", x, self.constant([-1, self.tokens, self.checkpoint.geometry.dim], np.int64))

    def add_and_norm(self, x: str, branch: str, scale: str, norm: str) -> tuple[str, str]:
        """Add a branch (N, D) to the tokens, with its layer scale; return the normed sum and the sum."""
        shape = self.checkpoint.geometry
        if shape.layer_scale:
            branch = self.add("Mul", branch, self.weight(scale))
        normed = self.add(
            "SkipLayerNormalization",
            x,
            self.by_image(branch),
            self.weight(f"{norm}.weight"),
            self.weight(f"{norm}.bias"),
            domain=_FUSED,
            outputs=4,
            epsilon=shape.eps,
        )
        return normed, f"{normed}_3"


def _embed_patches(graph: _Graph, shape: Geometry, side: int, normalization: Normalization) -> str:
    """Turn pixels into tokens. A convolution whose stride is its kernel is a matrix product of the cut-up image."""
    patch, pixels = shape.patch, shape.patch * shape.patch * 3
    tensors = graph.checkpoint.tensors
    kernel = tensors["patch.weight"].read().astype(np.float64)
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    # (x / 255 - mean) / std goes through the kernel, so that it takes 0..255 as they come
    bias = tensors["patch.bias"].read() - (kernel * (mean / std)[:, None, None]).sum((1, 2, 3))
    kernel = (kernel / (255 * std)[:, None, None]).transpose(2, 3, 1, 0).reshape(pixels, shape.dim)
    cut = graph.add("Reshape", "pixels", graph.constant([-1, side, patch, side, patch * 3], np.int64))
    cut = graph.add("Transpose", cut, perm=[0, 1, 3, 2, 4])
    cut = graph.add("Reshape", cut, graph.constant([-1, pixels], np.int64))
    x = graph.add("Gemm", graph.add("Cast", cut, to=TensorProto.FLOAT), graph.constant(kernel), graph.constant(bias))
    x = graph.add("Reshape", x, graph.constant([-1, side * side, shape.dim], np.int64))
    front = tensors["cls"].read()
    if shape.grid:
        position = tensors["position"].read()[0]
        learned = position[-shape.grid * shape.grid :].reshape(shape.grid, shape.grid, -1)
        if len(position) > shape.grid * shape.grid:
            front = front + position[0]
        moved = interpolate_position(learned, side, antialias=shape.antialias)
        x = graph.add("Add", x, graph.constant(moved.reshape(1, side * side, -1)))
    if shape.registers:
        front = np.concatenate([front, tensors["registers"].read()], axis=1)
    return graph.add("Concat", graph.repeat(front), x, axis=1)


def _block(graph: _Graph, shape: Geometry, block: int, y: str, x: str, rotary: list[str]) -> tuple[str, str, str]:
    """Add a block: from normed tokens and tokens to the next ones, normed for what comes next.

    Also returned is the attention of CLS and registers to the patches, of the last block; empty for the others.
    """
    flat = graph.flat(y)
    q, k, v = (graph.by_image(graph.linear(flat, f"{block}.{name}")) for name in "qkv")
    if rotary:
        q, k = (
            graph.add("RotaryEmbedding", each, *rotary, domain=_FUSED, num_heads=shape.heads, interleaved=0)
            for each in (q, k)
        )
    mixed = graph.add("MultiHeadAttention", q, k, v, domain=_FUSED, num_heads=shape.heads)
    y, x = graph.add_and_norm(x, graph.linear(graph.flat(mixed), f"{block}.proj"), f"{block}.scale1", f"{block}.norm2")
    flat = graph.flat(y)
    if shape.gated:
        gate = graph.linear(flat, f"{block}.gate")
        gate = graph.add("Mul", gate, graph.add("Sigmoid", gate))
        inner = graph.add("Mul", gate, graph.linear(flat, f"{block}.up"))
    else:
        inner = graph.add("Gelu", graph.linear(flat, f"{block}.up"), domain=_FUSED)
    last = block + 1 == shape.depth
    y, x = graph.add_and_norm(
        x, graph.linear(inner, f"{block}.down"), f"{block}.scale2", "norm" if last else f"{block + 1}.norm1"
    )
    return y, x, _front_attention(graph, shape, q, k) if last else ""


def _front_attention(graph: _Graph, shape: Geometry, q: str, k: str) -> str:
    """Return the attention of CLS and registers to the patches (B, heads, 1 + registers, T).

    The fused operator keeps its weights to itself. These few rows of them cost next to nothing beside it.
    """
    front, each = 1 + shape.registers, shape.dim // shape.heads
    zero, start, end, axis = (graph.constant([n], np.int64) for n in (0, front, graph.tokens, 1))
    q = graph.add("Slice", q, zero, start, axis)
    split = graph.constant([0, 0, shape.heads, each], np.int64)
    q = graph.add("Transpose", graph.add("Reshape", q, split), perm=[0, 2, 1, 3])
    k = graph.add("Transpose", graph.add("Reshape", k, split), perm=[0, 2, 3, 1])
    scores = graph.add("Mul", graph.add("MatMul", q, k), graph.constant(1 / math.sqrt(each)))
    weights = graph.add("Softmax", scores, axis=-1)
    return graph.add("Slice", weights, start, end, graph.constant([3], np.int64))


def _external(name: str, tensor: Tensor) -> onnx.TensorProto:
    """Refer to a tensor by its place in its file."""
    proto = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=tensor.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", tensor.file.name), ("offset", tensor.offset), ("length", tensor.bytes)):
        proto.external_data.add(key=key, value=str(value))
    return proto


def _bicubic(old: int, new: int, antialias: bool) -> NDArray[np.float64]:
    """Return the matrix (new, old) that resamples one axis."""
    ratio = old / new
    centres = (np.arange(new) + 0.5) * ratio - 0.5
    a, width = (-0.5, max(ratio, 1.0)) if antialias else (-0.75, 1.0)
    reach = int(np.ceil(2 * width)) + 1
    taps = np.floor(centres)[:, None] + np.arange(-reach, reach + 1)
    t = np.abs(taps - centres[:, None]) / width
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    weights = np.where(t < 1, near, np.where(t < 2, far, 0.0))
    if antialias:  # what lies beyond the border has no weight
        weights = np.where((taps < 0) | (taps >= old), 0.0, weights)
        weights /= weights.sum(1, keepdims=True)
    matrix = np.zeros((new, old))
    # without antialiasing the border is repeated
    np.add.at(matrix, (np.arange(new)[:, None], np.clip(taps, 0, old - 1).astype(int)), weights)
    return matrix
