"""Read an exported file back, so that it can be exported anew, or described, without its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn

from pretraining.networks import ResNet
from pretraining.train import Recipe, Run

__all__ = ["restore"]


@torch.no_grad()
def restore(path: Path) -> Run:
    """Return the run behind a file that ``export`` wrote: its recipe, its readings, and the teacher's backbone.

    The weights are those of the file, rounded as it stores them, the batch normalisation folded into them; the
    optimizer, the student and the heads are lost, so the run cannot go on.

    Raises:
        ValueError: If the file is no such file, or holds no ResNet.
    """
    try:
        model = onnx.load(path)
        said = {each.key: each.value for each in model.metadata_props}
        recipe = {key: tuple(v) if isinstance(v, list) else v for key, v in json.loads(said["recipe"]).items()}
        run = Run(Recipe(**recipe))
        run.history, run.trained_on = json.loads(said["readings"]), said["device"]
        run.seen, run.seconds = int(said["images_seen"]), 60 * float(said["minutes"])
    except (OSError, KeyError, TypeError, ValueError, DecodeError) as error:
        raise ValueError(f"{path} is no file that 'python -m pretraining export' wrote ({error!r})") from None
    backbone = run.teacher["backbone"]
    if not isinstance(backbone, ResNet):
        raise ValueError(f"{path} holds a {recipe['backbone']}: only a ResNet can be read back, take the checkpoint")
    run.step = run.history[-1]["step"] if run.history else run.recipe.steps
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    before_cast = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    convolutions = [node.input for node in model.graph.node if node.op_type == "Conv"]
    layers = [each for each in backbone.modules() if isinstance(each, nn.Sequential) and isinstance(each[0], nn.Conv2d)]
    for (_, weight, bias), (convolution, norm, _) in zip(convolutions, layers, strict=True):
        convolution.weight.copy_(_tensor(stored[before_cast.get(weight, weight)]))
        norm.bias.copy_(_tensor(stored[bias]))
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
        norm.weight.fill_(1)
    return run


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
