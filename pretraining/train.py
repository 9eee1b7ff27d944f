"""The training loop: student, EMA teacher, multi-crop, one schedule, checkpoints that resume exactly."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn as nn
from torch import Tensor
from torch.optim.swa_utils import update_bn

from pretraining.arithmetic import Arithmetic, choose, machine, random_state
from pretraining.augment import composed, random_views
from pretraining.images import ImageSet
from pretraining.losses import LOSSES
from pretraining.monitor import effective_rank, features, knn_accuracy
from pretraining.networks import Head, build_backbone
from pretraining.recipes import Recipe

__all__ = ["Run", "train"]

# Crops that the statistics of the teacher's batch normalisation are measured on.
_STATISTICS = 4000


class Run:
    """The whole state of a training run; what a checkpoint holds."""

    def __init__(self, recipe: Recipe, device: str = "cpu") -> None:
        """Make student, teacher, loss and optimizer from the recipe."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, torch.device(device)
        self.trained_on = self.device.type
        self.loss = LOSSES[recipe.loss](recipe.expansion).to(self.device)
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
        self.cooling: float | None = None
        self.arithmetic: Arithmetic | None = None
        self.machine = ""
        self.history: list[dict[str, Any]] = []

    @property
    def progress(self) -> float:
        """How much of the run is done, 0..1."""
        done = self.step / self.recipe.steps if self.recipe.steps else self.seconds / (60 * self.recipe.minutes)
        return min(1.0, done)

    @property
    def end(self) -> float:
        """The progress at which the run is finished: 1, or earlier where it is cooled down."""
        return 1.0 if self.cooling is None else min(1.0, self.cooling / 0.9)

    @property
    def decay(self) -> float:
        """What is left of the learning rate: one cosine from 1 to 0, or from where it is cooled down a line to 0."""
        at = self.progress if self.cooling is None else min(self.progress, self.cooling)
        left = 0.5 * (1 + math.cos(math.pi * at))
        if self.cooling is None or self.progress <= self.cooling:
            return left
        return left * max(0.0, (self.end - self.progress) / (self.end - self.cooling))

    def cool_down(self) -> None:
        """Let the run end early: the last tenth of it takes the learning rate to 0, so that what ships is finished."""
        if self.cooling is None:
            self.cooling = self.progress

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
            "cooling": self.cooling,
            "machine": self.machine,
            "arithmetic": None if self.arithmetic is None else asdict(self.arithmetic),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if self.device.type == "cuda" else None,
        }
        part = path.with_suffix(".part")
        torch.save(state, part)
        part.replace(path)

    @classmethod
    def load(cls, path: Path, device: str = "cpu") -> Run:
        """Read a checkpoint back; training goes on exactly where it stopped."""
        state = torch.load(path, map_location=device, weights_only=True)
        run = cls(Recipe.stored(state["recipe"]), device)
        run.trained_on = state["trained_on"]
        for name in ("student", "teacher", "loss", "optimizer"):
            getattr(run, name).load_state_dict(state[name])
        run.step, run.seconds, run.seen = state["step"], state["seconds"], state["seen"]
        run.history = json.loads(state["history"])
        run.cooling, run.machine = state["cooling"], state["machine"]
        run.arithmetic = None if state["arithmetic"] is None else Arithmetic(**state["arithmetic"])
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
    arithmetic: Arithmetic | None = None,
) -> bool:
    """Train until the recipe's end, or for ``pause_after`` seconds; then save.

    Args:
        run: The state to go on from.
        sets: The images, one set for each of the recipe's shares.
        checkpoint: Where the state is written at every monitor reading and at the end.
        pause_after: Stop after so many seconds (a machine that is lent for ten minutes), to be resumed.
        monitor_every: Seconds between two readings of k-NN accuracy and effective rank.
        report: Gets one line a reading.
        arithmetic: How steps are computed. By default as before where the run was on this machine already, so that it
            comes out the same to the bit; else the fastest in a trial.

    Returns:
        True when the recipe's end is reached.
    """
    recipe, device = run.recipe, run.device
    parts = [(s.images.to(device), max(1, round(recipe.batch * recipe.shares[s.name]))) for s in sets]
    run.student.train()
    run.teacher.train()
    _settle(run, parts, arithmetic, report)
    began, last_reading, clock = time.monotonic(), time.monotonic(), time.monotonic()
    while run.progress < run.end and time.monotonic() - began < pause_after:
        agreement = _step(run, parts)
        now = time.monotonic()
        run.seconds += now - clock
        clock = now
        if now - last_reading > monitor_every:
            _measure_statistics(run, parts)
            _read(run, sets, agreement, report)
            run.save(checkpoint)
            last_reading = clock = time.monotonic()  # readings are not training time
    _measure_statistics(run, parts)
    done = run.progress >= run.end
    if done:
        _read(run, sets, float("nan"), report)
    run.save(checkpoint)
    return done


def _settle(
    run: Run, parts: list[tuple[Tensor, int]], arithmetic: Arithmetic | None, report: Callable[[str], None]
) -> None:
    """Set how the run's steps are computed; by a trial of a few steps on a copy of the run, if nobody says."""
    here = machine(run.device)
    if arithmetic is None and run.machine != here:
        copied = copy.deepcopy(run)

        def step(way: Arithmetic) -> None:
            copied.arithmetic = way
            _lay_out(copied)
            _step(copied, parts)

        arithmetic = choose(run.device, step, report)
    run.arithmetic, run.machine = arithmetic or run.arithmetic, here
    _lay_out(run)


def _lay_out(run: Run) -> None:
    assert run.arithmetic is not None
    run.arithmetic.lay_out(run.student)
    run.arithmetic.lay_out(run.teacher)
    if run.arithmetic.threads:
        torch.set_num_threads(run.arithmetic.threads)


def _step(run: Run, parts: list[tuple[Tensor, int]]) -> float:
    assert run.arithmetic is not None
    recipe, decay = run.recipe, run.decay
    for group in run.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * min(1.0, (run.progress + 1e-6) / recipe.warmup) * (0.98 * decay + 0.02)
    picks = _pick(parts)
    n = sum(len(pick) for pick in picks)
    views = _views(run, picks)
    with run.arithmetic.autocast(run.device):
        z = _project(run.student, views)
        with torch.no_grad():
            target = _project(run.teacher, views[: run.loss.global_views]) if run.loss.global_views else z[:0]
    loss, agreement = run.loss(z, target)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss.item()} at step {run.step}: lower the learning rate")
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(run.student.parameters(), recipe.clip)
    run.optimizer.step()
    _update_teacher(run, 1 - (1 - recipe.ema) * decay)
    run.step += 1
    run.seen += n
    return float(agreement)


def _pick(parts: list[tuple[Tensor, int]]) -> list[Tensor]:
    """Draw a batch: so many images of each set."""
    return [images[torch.randint(len(images), (n,), device=images.device)] for images, n in parts]


def _views(run: Run, picks: list[Tensor]) -> list[list[Tensor]]:
    """Draw the views of a step, one tensor a set: the global ones first, each before surroundings of its own.

    Where the loss has no global views, the local ones get the surroundings: all those of an image, or none. So
    nothing that they agree in can be the surroundings.
    """
    recipe, n_global = run.recipe, run.loss.global_views
    photographs = next((pick for pick in picks if pick.shape[1] == 3), None)
    always = [_chosen(pick, recipe.composed) for pick in picks]

    def shown(*, anew: bool) -> list[Tensor]:
        chosen = [_chosen(pick, recipe.composed) for pick in picks] if anew else always
        grounds = (photographs if pick.shape[1] == 1 else pick for pick in picks)
        return [composed(*each) for each in zip(picks, chosen, grounds, strict=True)]

    large = [[random_views(each, recipe.global_view) for each in shown(anew=True)] for _ in range(n_global)]
    small = ((kind, picks if n_global else shown(anew=False)) for kind in recipe.locals)
    return large + [[random_views(each, kind) for each in of] for kind, of in small]


def _chosen(images: Tensor, share: float) -> Tensor:
    """Choose a share of the images at random: bool (B,)."""
    if not share:  # without a draw: recipes from before there were surroundings repeat their runs
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)
    return torch.rand(len(images), device=images.device) < share


def _project(net: nn.ModuleDict, views: list[list[Tensor]]) -> Tensor:
    """Return the head's outputs (views, B, p) of views that come as one tensor a set; one pass for each side."""
    flat = [part for view in views for part in view]
    out: list[Tensor] = [torch.empty(0)] * len(flat)
    for side in sorted({part.shape[-1] for part in flat}, reverse=True):
        places = [place for place, part in enumerate(flat) if part.shape[-1] == side]
        z = net["head"](net["backbone"](torch.cat([flat[place] for place in places]))[0])
        for place, part in zip(places, z.split([len(flat[place]) for place in places]), strict=True):
            out[place] = part
    return torch.cat(out).view(len(views), -1, out[0].shape[-1])


@torch.no_grad()
def _update_teacher(run: Run, keep: float) -> None:
    targets, sources = list(run.teacher.parameters()), list(run.student.parameters())
    torch._foreach_lerp_(targets, sources, 1 - keep)


def _measure_statistics(run: Run, parts: list[tuple[Tensor, int]]) -> None:
    """Give the teacher's batch normalisation its own statistics, as it sees crops of training images.

    The student's do not fit: what a layer gives for the mean of many weights varies less than the mean of what it gives
    for each. The run's random numbers stay as they were, so a reading changes nothing of what follows.
    """
    assert run.arithmetic is not None
    kind = run.recipe.global_view if run.loss.global_views else run.recipe.locals[0]
    rounds = range(_STATISTICS // run.recipe.batch + 1)
    with random_state(run.device), run.arithmetic.autocast(run.device):
        torch.manual_seed(run.recipe.seed)
        crops = (torch.cat([random_views(pick, kind) for pick in _pick(parts)]) for _ in rounds)
        update_bn(crops, run.teacher["backbone"])


def _read(run: Run, sets: list[ImageSet], agreement: float, report: Callable[[str], None]) -> None:
    """Append one reading to the run's history and report it."""
    reading: dict[str, Any] = {"step": run.step, "minutes": round(run.seconds / 60, 2), "seen": run.seen}
    reading["agreement"] = round(agreement, 4)
    backbone = run.teacher["backbone"]
    for each in sets:
        references, queries = each.images[:10000].to(run.device), each.held_out[:2000].to(run.device)
        vectors, asked = (
            features(backbone, part, run.recipe.size, arithmetic=run.arithmetic) for part in (references, queries)
        )
        accuracy = knn_accuracy(vectors, each.labels[:10000], asked, each.held_out_labels[:2000])
        reading[each.name] = {"knn": round(accuracy, 4), "rank": round(effective_rank(vectors[:2000]), 1)}
    run.history.append(reading)
    report(json.dumps(reading))
