"""A second, finer map of a convolutional network: what it sees before it halves its grid for the last time."""

from __future__ import annotations

__all__ = ["FINER", "with_finer_map"]

FINER = "finer"  # name of the output: (B, C, 2H, 2W) where the patches are an H x W grid


def with_finer_map(proto: bytes) -> bytes:
    """Return a graph of a convolutional network with one more output: what its last convolution of stride 2 takes.

    Args:
        proto: Serialised ONNX model.

    Returns:
        The same model with the output ``finer``; unchanged where no convolution halves its input.
    """
    import onnx

    model = onnx.load_from_string(proto)
    halving = [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and any(each.name == "strides" and list(each.ints) == [2, 2] for each in node.attribute)
    ]
    if not halving:
        return proto
    model.graph.node.append(onnx.helper.make_node("Identity", [halving[-1].input[0]], [FINER]))
    model.graph.output.append(onnx.helper.make_tensor_value_info(FINER, onnx.TensorProto.FLOAT, None))
    changed: bytes = model.SerializeToString()
    return changed
