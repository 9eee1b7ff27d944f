"""Ready-made ONNX files: somebody's export of a DINO model, brought to the input and outputs of dinoscope's graphs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from dinoscope.errors import DinoscopeError, ModelError
from dinoscope.models.catalogue import IMAGENET, Normalization
from dinoscope.models.graphs.onnx_length import check_length
from dinoscope.models.runtime import Graph

__all__ = ["read_onnx"]

# Quantised as they go, values depend on the other images of the batch: no two runs would agree.
_DYNAMIC = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM", "MatMulIntegerToFloat"}
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
_TOKENS = "last_hidden_state"  # what transformers calls the tokens behind the final norm
_OURS = ("pixels", "cls", "patches")  # input and outputs of every graph here


def read_onnx(
    path: Path, resolution: int | None = None, normalization: Normalization = IMAGENET
) -> tuple[Graph, int, bool]:
    """Read an ONNX file with an image input.

    Either it has dinoscope's own contract (``pixels`` uint8 (B, R, R, 3), ``cls``), or it takes centred and scaled
    float pixels (B, 3, R, R), as exports of transformers do, and gives tokens (B, T, D), of which the first is CLS, or
    one vector (B, D). Of several outputs, the tokens are taken: the ``pooler_output`` of a DINO is an untrained layer.

    Args:
        path: The file; its external data, if any, lies beside it, symbolic links allowed.
        resolution: Side of the images, for a file that takes any; by default 224.
        normalization: How an export expects pixels to be scaled and centred.

    Returns:
        The graph, the resolution, and whether it has dinoscope's own contract, and so scales pixels itself.

    Raises:
        ModelError: If the file is no such model, is quantised dynamically, has another fixed resolution, or may run
            without end.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelError(f"cannot read {path.name}: {error.strerror}") from None
    except Exception:  # protobuf's errors share no base
        raise ModelError(f"{path.name} is not an ONNX file, or is cut short: fetch it again") from None
    try:
        return _read_model(path, model, resolution, normalization)
    except (ValueError, TypeError, RecursionError) as error:  # what protobuf says about fields that make no sense
        if isinstance(error, DinoscopeError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path.name} is damaged ({reason}): fetch it again") from None


def _read_model(
    path: Path, model: onnx.ModelProto, resolution: int | None, normalization: Normalization
) -> tuple[Graph, int, bool]:
    graph = model.graph
    check_length(path.name, model)
    if _DYNAMIC & {node.op_type for node in graph.node}:
        raise ModelError(
            f"{path.name} is quantised dynamically: its vectors would depend on which images share a batch; take the "
            "model.onnx or model_fp16.onnx of the same repository"
        )
    weights = _resolve_external(path, graph)
    inputs = [each for each in graph.input if each.name not in {weight.name for weight in graph.initializer}]
    if len(inputs) != 1:
        raise ModelError(f"{path.name} must have one input, the image, got {len(inputs)}")
    shape = [dim.dim_value or None for dim in inputs[0].type.tensor_type.shape.dim]
    kind = inputs[0].type.tensor_type.elem_type
    own = inputs[0].name == "pixels" and kind == TensorProto.UINT8
    if len(shape) != 4 or shape[3 if own else 1] not in (3, None) or not (own or kind in _FLOATS):
        raise ModelError(
            f"{path.name} takes no images: expected float pixels (B, 3, H, W) or uint8 pixels (B, H, W, 3), got "
            f"{TensorProto.DataType.Name(kind).lower()} {shape}"
        )
    if shape[0] not in (None, 1):
        raise ModelError(f"{path.name} takes batches of {shape[0]} images only: export it with a free batch size")
    fixed = shape[1] if own else shape[2]
    if fixed and resolution not in (None, fixed):
        raise ModelError(f"{path.name} takes {fixed} pixels only, got {resolution}: leave --resolution out")
    side = fixed or resolution or 224
    if not own:
        _adapt(path, model, inputs[0], side, normalization)
    remedy = "a ready-made file often holds the positions of 224 pixels only: try --resolution 224"
    return Graph(path.stem, model.SerializeToString(), weights, single=shape[0] == 1, remedy=remedy), side, own


def _adapt(
    path: Path, model: onnx.ModelProto, image: onnx.ValueInfoProto, side: int, normalization: Normalization
) -> None:
    """Put what centres and scales uint8 pixels before the graph, and what takes the features apart behind it."""
    graph = model.graph
    _give_way(graph)
    if max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0) < 13:
        raise ModelError(f"{path.name} is of an ONNX version that is too old: expected opset 13 or later")
    mean, std = np.array(normalization.mean), np.array(normalization.std)
    constants = {
        "dinoscope_scale": (1 / (255 * std)).astype(np.float32),
        "dinoscope_offset": (-mean / std).astype(np.float32),
        "dinoscope_first": np.array(0, np.int64),
        "dinoscope_start": np.array([1], np.int64),
        "dinoscope_end": np.array([np.iinfo(np.int64).max], np.int64),
    }
    front = [
        helper.make_node("Cast", ["pixels"], ["dinoscope_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["dinoscope_float", "dinoscope_scale"], ["dinoscope_scaled"]),
        helper.make_node("Add", ["dinoscope_scaled", "dinoscope_offset"], ["dinoscope_centred"]),
        helper.make_node("Transpose", ["dinoscope_centred"], ["dinoscope_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["dinoscope_planes"], [image.name], to=image.type.tensor_type.elem_type),
    ]
    features, rank = _choose_output(path, graph)
    back = [helper.make_node("Cast", [features], ["dinoscope_features"], to=TensorProto.FLOAT)]
    if rank == 3:
        bounds = ["dinoscope_start", "dinoscope_end", "dinoscope_start"]  # from token 1, axis 1
        back += [
            helper.make_node("Gather", ["dinoscope_features", "dinoscope_first"], ["cls"], axis=1),
            helper.make_node("Slice", ["dinoscope_features", *bounds], ["patches"]),
        ]
    else:
        back.append(helper.make_node("Identity", ["dinoscope_features"], ["cls"]))
    nodes = [*front, *graph.node, *back]
    batch = "batch" if not image.type.tensor_type.shape.dim[0].dim_value else 1
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend(nodes)
    graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, [batch, side, side, 3]))
    names = ("cls", "patches") if rank == 3 else ("cls",)
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)


def _give_way(graph: onnx.GraphProto) -> None:
    """Rename the values of an export that are called as the input and the outputs put around it."""
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [f"export_{name}" if name in _OURS else name for name in names]
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _give_way(inner)
    for value in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        if value.name in _OURS:
            value.name = f"export_{value.name}"


def _choose_output(path: Path, graph: onnx.GraphProto) -> tuple[str, int]:
    """Return the output with the features, and its rank: tokens before a vector."""
    ranks = {
        each.name: len(each.type.tensor_type.shape.dim)
        for each in graph.output
        if each.type.tensor_type.elem_type in _FLOATS
    }
    for name in sorted(ranks, key=lambda name: (name != _TOKENS, -ranks[name])):
        if ranks[name] in (2, 3):
            return name, ranks[name]
    raise ModelError(f"{path.name} gives no features: expected an output of tokens (B, T, D) or vectors (B, D)")


def _resolve_external(path: Path, graph: onnx.GraphProto) -> Path | None:
    """Point external data at the files themselves: ONNX Runtime refuses symbolic links, as the hub's cache has them."""
    found: set[Path] = set()
    for tensor in graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        for entry in tensor.external_data:
            if entry.key == "location":
                name = Path(entry.value).name
                file = Path(os.path.realpath(path.parent / name))
                if not file.is_file():
                    raise ModelError(f"{path.name} needs {name} beside it: fetch both files of the export")
                found.add(file)
                entry.value = file.name
    if len(found) > 1:
        raise ModelError(f"{path.name} keeps its weights in {len(found)} files: expected one")
    return found.pop() if found else None
