"""Read an exported file back: to export it anew, to describe it, or to train on from it, without its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import nn

from pretraining.augment import random_views
from pretraining.images import ImageSet
from pretraining.networks import Residual, ResNet
from pretraining.recipes import Recipe
from pretraining.train import Run

__all__ = ["continued", "restore"]


@torch.no_grad()
def restore(path: Path) -> Run:
    """Return the run behind a file that ``export`` wrote: its recipe, its readings, and the teacher's backbone.

    The weights are those of the file, rounded as it stores them, the batch normalisation folded into them; the
    optimizer, the student and the heads are lost, so the run itself cannot go on; see ``continued``.

    Raises:
        ValueError: If the file is no such file, or holds no ResNet.
    """
    try:
        model = onnx.load(path)
        said = {each.key: each.value for each in model.metadata_props}
        recipe = Recipe.stored(json.loads(said["recipe"]))
        run = Run(recipe)
        run.history, run.trained_on = json.loads(said["readings"]), said["device"]
        run.seen, run.seconds = int(said["images_seen"]), 60 * float(said["minutes"])
    except (OSError, KeyError, TypeError, ValueError, DecodeError) as error:
        raise ValueError(f"{path} is not a file that 'python -m pretraining export' wrote ({error!r})") from None
    backbone = run.teacher["backbone"]
    if not isinstance(backbone, ResNet):
        raise ValueError(f"{path} holds a {recipe.backbone}: only a ResNet can be read back, take the checkpoint")
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


def continued(path: Path, recipe: Recipe, sets: list[ImageSet], device: str = "cpu") -> Run:
    """Begin a run of another recipe with the weights of an exported file; its heads and its optimizer are new.

    The recipe's backbone may lack residual blocks that the file has: they are left out, and the run makes up for them.

    Args:
        path: What ``export`` wrote.
        recipe: What to train by.
        sets: The images, one set for each of the recipe's shares: what the layers give on them is measured anew.
        device: Where to train.

    Raises:
        ValueError: If the file is no such file, or does not fit the recipe's backbone.
    """
    found, run = restore(path).teacher["backbone"], Run(recipe, device)
    backbone = run.teacher["backbone"]
    if not isinstance(backbone, ResNet) or not _copy(found, backbone):
        raise ValueError(f"{path} does not fit a {recipe.backbone}: choose the --backbone that it was made with")
    picks = [each.images[:: max(1, len(each.images) // 128)][:128].to(run.device) for each in sets]
    _measure(backbone, [random_views(pick, recipe.global_view) for pick in picks])
    run.student["backbone"].load_state_dict(backbone.state_dict())
    return run


def _copy(source: ResNet, target: ResNet) -> bool:
    """Copy stage by stage, leaving out residual blocks of the source; tell whether they fit."""
    wanted = list(target.stages)
    for stage in source.stages:
        shapes = [value.shape for value in stage.state_dict().values()]
        if wanted and shapes == [value.shape for value in wanted[0].state_dict().values()]:
            wanted.pop(0).load_state_dict(stage.state_dict())
        elif not isinstance(stage, Residual):
            return False
    return not wanted


@torch.no_grad()
def _measure(backbone: ResNet, views: list[torch.Tensor]) -> None:
    """Undo the folding of the batch normalisations: what the network computes stays, and their statistics are real.

    A file holds no statistics. With made-up ones the first step, which takes those of its batch, would compute
    something else. Filters are scaled to length 1 as well, for a step of the optimizer to mean the same in every layer.
    """
    convolutions = [layers for layers in backbone.modules() if isinstance(layers, nn.Sequential)]
    backbone.eval()
    for convolution, norm, _ in (each for each in convolutions if isinstance(each[0], nn.Conv2d)):
        length = convolution.weight.flatten(1).norm(dim=1).clamp_min(1e-6)
        convolution.weight.div_(length[:, None, None, None])
        seen: list[torch.Tensor] = []
        norm.weight.copy_(norm.weight * length)
        hook = convolution.register_forward_hook(
            lambda _, __, out, seen=seen: seen.append(out.transpose(0, 1).flatten(1))
        )
        for view in views:
            backbone(view)
        hook.remove()
        values = torch.cat(seen, 1)
        mean, scale = values.mean(1), norm.weight.clone()
        norm.bias.add_(scale * mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(values.var(1))
        norm.weight.copy_(scale * (norm.running_var + norm.eps).sqrt())


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32))
