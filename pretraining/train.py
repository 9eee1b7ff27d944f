"""The training loop: student, EMA teacher, multi-crop, one schedule, checkpoints that resume exactly."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor

from pretraining.augment import Views, random_views
from pretraining.images import ImageSet
from pretraining.losses import DinoLoss, SimDinoLoss
from pretraining.monitor import effective_rank, features, knn_accuracy
from pretraining.networks import Head, build_backbone, mixed_precision

__all__ = ["Recipe", "Run", "train"]


@dataclass(frozen=True)
class Recipe:
    """Every setting of a run; it is stored in the checkpoint and printed in the model card.

    Attributes:
        shares: Set name -> its share of every batch.
        steps: Length of the run in steps, or 0 when ``minutes`` sets it.
        minutes: Length of the run in minutes of training time (over all its pieces), or 0.
        ema: Share of the teacher that survives a step, at the start; rises to 1.
    """

    backbone: str = "resnet-32"
    loss: str = "simdino"
    shares: dict[str, float] = field(default_factory=lambda: {"fashion-mnist": 1.0})
    size: int = 28
    local_size: int = 16
    local_views: int = 2
    global_scale: tuple[float, float] = (0.4, 1.0)
    local_scale: tuple[float, float] = (0.25, 0.6)
    rotation: float = 0.0
    jitter: float = 0.4
    greyscale: float = 0.2
    erase: float = 0.0
    batch: int = 64
    steps: int = 0
    minutes: float = 0.0
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: float = 0.04
    ema: float = 0.996
    expansion: float = 0.25
    clip: float = 3.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check what cannot work.

        Raises:
            ValueError: If the length is not set in exactly one way, or the loss is unknown.
        """
        if bool(self.steps) == bool(self.minutes):
            raise ValueError(f"set exactly one of steps and minutes, got steps={self.steps}, minutes={self.minutes}")
        if self.loss not in ("simdino", "dino"):
            raise ValueError(f"unknown loss {self.loss!r}: expected 'simdino' or 'dino'")


class Run:
    """The whole state of a training run; what a checkpoint holds."""

    def __init__(self, recipe: Recipe, device: str = "cpu") -> None:
        """Make student, teacher, loss and optimizer from the recipe."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, torch.device(device)
        self.trained_on = self.device.type
        self.loss = (SimDinoLoss(recipe.expansion) if recipe.loss == "simdino" else DinoLoss()).to(self.device)
        backbone = build_backbone(recipe.backbone)
        self.student = nn.ModuleDict(
            {"backbone": backbone, "head": Head(backbone.dim, prototypes=self.loss.prototypes)}
        ).to(self.device)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        matrices = [p for p in self.student.parameters() if p.ndim > 1]
        vectors = [p for p in self.student.parameters() if p.ndim <= 1]
        groups = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.95)
        )
        self.step, self.seconds, self.seen = 0, 0.0, 0
        self.history: list[dict[str, Any]] = []

    @property
    def progress(self) -> float:
        """How much of the run is done, 0..1."""
        done = self.step / self.recipe.steps if self.recipe.steps else self.seconds / (60 * self.recipe.minutes)
        return min(1.0, done)

    def save(self, path: Path) -> None:
        """Write a checkpoint; the old one stays whole until the new one is."""
        state = {
            "recipe": asdict(self.recipe),
            "student": self.student.state_dict(),
            "teacher": self.teacher.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "seen": self.seen,
            "history": json.dumps(self.history),
            "trained_on": self.trained_on,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Run:
        """Read a checkpoint back; training goes on exactly where it stopped."""
        state = torch.load(path, map_location=device, weights_only=True)
        recipe = {key: tuple(value) if isinstance(value, list) else value for key, value in state["recipe"].items()}
        run = cls(Recipe(**recipe), device)
        run.trained_on = state["trained_on"]
        for name in ("student", "teacher", "loss", "optimizer"):
            getattr(run, name).load_state_dict(state[name])
        run.step, run.seconds, run.seen = state["step"], state["seconds"], state["seen"]
        run.history = json.loads(state["history"])
        torch.set_rng_state(state["random"].cpu())
        if state["random_cuda"] is not None and run.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"].cpu())
        return run


def train(
    run: Run,
    sets: list[ImageSet],
    checkpoint: Path,
    *,
    pause_after: float = math.inf,
    monitor_every: float = 300.0,
    report: Callable[[str], None] = print,
    channels_last: bool = True,
) -> bool:
    """Train until the recipe's end, or for ``pause_after`` seconds; then save.

    Args:
        run: The state to go on from.
        sets: The images, one set for each of the recipe's shares.
        checkpoint: Where the state is written at every monitor reading and at the end.
        pause_after: Stop after so many seconds (a machine that is lent for ten minutes), to be resumed.
        monitor_every: Seconds between two readings of k-NN accuracy and effective rank.
        report: Gets one line a reading.
        channels_last: Memory layout of the convolutions.

    Returns:
        True when the recipe's end is reached.
    """
    recipe, device = run.recipe, run.device
    parts = [(s.images.to(device), max(1, round(recipe.batch * recipe.shares[s.name]))) for s in sets]
    if channels_last:
        run.student.to(memory_format=torch.channels_last)
        run.teacher.to(memory_format=torch.channels_last)
    run.student.train()
    run.teacher.train()
    began, last_reading, clock = time.monotonic(), time.monotonic(), time.monotonic()
    while run.progress < 1 and time.monotonic() - began < pause_after:
        agreement = _step(run, parts)
        now = time.monotonic()
        run.seconds += now - clock
        clock = now
        if now - last_reading > monitor_every:
            _read(run, sets, agreement, report)
            run.save(checkpoint)
            last_reading = clock = time.monotonic()  # readings are not training time
    if run.progress >= 1:
        _read(run, sets, float("nan"), report)
    run.save(checkpoint)
    return run.progress >= 1


def _step(run: Run, parts: list[tuple[Tensor, int]]) -> float:
    recipe, progress = run.recipe, run.progress
    decay = 0.49 * (1 + math.cos(math.pi * progress)) + 0.02
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * min(1.0, (progress + 1e-6) / recipe.warmup) * decay
    big = Views(recipe.size, recipe.global_scale, recipe.rotation, recipe.jitter, recipe.greyscale, recipe.erase)
    small = Views(recipe.local_size, recipe.local_scale, recipe.rotation, recipe.jitter, recipe.greyscale)
    picks = [images[torch.randint(len(images), (n,), device=images.device)] for images, n in parts]
    n = sum(len(pick) for pick in picks)
    views_big = torch.cat([random_views(pick, big) for _ in range(2) for pick in picks])
    views_small = [random_views(pick, small) for _ in range(recipe.local_views) for pick in picks]
    with mixed_precision(run.device):
        with torch.no_grad():
            target = _project(run.teacher, views_big).view(2, n, -1)
        z = _project(run.student, views_big)
        if views_small:
            z = torch.cat([z, _project(run.student, torch.cat(views_small))])
    loss, agreement = run.loss(z.view(2 + recipe.local_views, n, -1), target)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {run.step}: lower the learning rate")
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(run.student.parameters(), recipe.clip)
    run.optimizer.step()
    _update_teacher(run, 1 - (1 - recipe.ema) * 0.5 * (1 + math.cos(math.pi * progress)))
    run.step += 1
    run.seen += n
    return float(agreement)


def _project(net: nn.ModuleDict, x: Tensor) -> Tensor:
    out: Tensor = net["head"](net["backbone"](x)[0])
    return out


@torch.no_grad()
def _update_teacher(run: Run, keep: float) -> None:
    targets, sources = list(run.teacher.parameters()), list(run.student.parameters())
    torch._foreach_lerp_(targets, sources, 1 - keep)
    for target, source in zip(run.teacher.buffers(), run.student.buffers(), strict=True):
        target.copy_(source)  # statistics of the batch normalisation


def _read(run: Run, sets: list[ImageSet], agreement: float, report: Callable[[str], None]) -> None:
    """Append one reading to the run's history and report it."""
    reading: dict[str, Any] = {"step": run.step, "minutes": round(run.seconds / 60, 2), "seen": run.seen}
    reading["agreement"] = round(agreement, 4)
    backbone = run.teacher["backbone"]
    for each in sets:
        references, queries = each.images[:10000].to(run.device), each.held_out[:2000].to(run.device)
        vectors = features(backbone, references, run.recipe.size)
        accuracy = knn_accuracy(
            vectors, each.labels[:10000], features(backbone, queries, run.recipe.size), each.held_out_labels[:2000]
        )
        reading[each.name] = {"knn": round(accuracy, 4), "rank": round(effective_rank(vectors[:2000]), 1)}
    run.history.append(reading)
    report(json.dumps(reading))
