"""Write the model card of the bundled weights: one Markdown file, one section a model."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pretraining.sets import get_set
from pretraining.train import Run

__all__ = ["Section", "read_scores", "write_card"]

_INTRODUCTION = """\
# Model card

The weights in this folder were made for dinoscope by the code in `pretraining/`, from random initial values: no
weights of others went in. Training used **no labels and no test images**. Labels of training images were read by two
onlookers alone, which steer nothing inside a run: the k-NN monitor below, and whoever chose the recipe by its figures.
The training images themselves are not part of dinoscope.

Licence of the weights: Apache-2.0. The images carry terms of their own, named with each model; whether terms on images
bind weights trained on them is unsettled, so read them before commercial use.
"""


@dataclass(frozen=True)
class Section:
    """One model's part of the card.

    Attributes:
        name: The model's name.
        run: Its training run.
        remarks: What the recipe does not say of how it was made.
        weaknesses: What the model is bad at, in plain words.
        scores: Rows measure, this model, raw pixels; see ``read_scores``.
        file: The shipped file, for its size and SHA-256.
    """

    name: str
    run: Run
    remarks: str
    weaknesses: str
    scores: tuple[tuple[str, str, str], ...] = ()
    file: Path | None = None


def read_scores(path: Path, name: str) -> tuple[tuple[str, str, str], ...]:
    """Read one model's scores from what ``python -m benchmarks.weights --json`` wrote, beside those of raw pixels.

    Raises:
        ValueError: If the file is no such file, or holds no such model.
    """
    try:
        models = {
            m["name"]: {row["what"]: row["text"] for row in m["rows"]} for m in json.loads(path.read_text())["models"]
        }
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no scores of benchmarks.weights ({error!r})") from None
    if name not in models:
        raise ValueError(f"{path} holds no model {name!r}, only {', '.join(models)}")
    raw = models.get("raw pixels", {})
    return tuple((what, text, raw.get(what, "")) for what, text in models[name].items())


def write_card(sections: list[Section], path: Path) -> None:
    """Write the card, one section a model."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([_INTRODUCTION, *map(_section, sections)]), encoding="utf-8")


def _section(section: Section) -> str:
    run, recipe = section.run, section.run.recipe
    backbone = run.teacher["backbone"]
    parameters = sum(p.numel() for p in backbone.parameters())
    minutes = f"{run.seconds / 60:.0f} minutes of training"
    if run.progress < 1:
        minutes += f" ({run.progress:.0%} of the planned length)"
    lines = [
        f"## {section.name}",
        "",
        f"A `{recipe.backbone}` backbone of {parameters / 1e6:.2f} million parameters; vectors of {backbone.dim} "
        f"numbers from images of {recipe.size} x {recipe.size} pixels. Trained with {_LOSSES[recipe.loss]}: "
        f"{minutes} on `{run.trained_on}`, {run.step:,} steps, {run.seen:,} images seen (with repetition). "
        "What ships is the exponential moving average of the trained network (the teacher), without its head. "
        f"{section.remarks}",
        *_file(section.file),
        "",
        "### What it saw",
        "",
        *_table(("Set", "What", "Images trained on", "Held out", "Times seen", "Terms of the images"), _sets(run)),
        "",
        "### What it is bad at",
        "",
        section.weaknesses,
        "",
        "### Scores",
        "",
        *(
            _table(("Measure", section.name, "Raw pixels"), section.scores)
            if section.scores
            else ["Not measured yet: `python -m benchmarks.weights`."]
        ),
        "",
        "### How it went",
        "",
        "k-NN accuracy (k 20) of the teacher on held-out training images, 10,000 references, and the effective rank of "
        "its features (1 in a full collapse).",
        "",
        *_history(run),
        "",
        "### Recipe",
        "",
        "```json",
        json.dumps(asdict(recipe), indent=2),
        "```",
        "",
    ]
    return "\n".join(lines)


_LOSSES = {
    "simdino": "SimDINO (arXiv 2502.10385)",
    "dino": "DINO (arXiv 2104.14294)",
    "emp-ssl": "EMP-SSL (arXiv 2304.03977)",
}


def _file(file: Path | None) -> list[str]:
    if file is None:
        return []
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ["", f"File: `{file.name}`, {file.stat().st_size / 1e6:.1f} MB, SHA-256 `{digest}`."]


def _sets(run: Run) -> list[tuple[str, ...]]:
    parts = {name: max(1, round(run.recipe.batch * share)) for name, share in run.recipe.shares.items()}
    rows: list[tuple[str, ...]] = []
    for name, part in parts.items():
        row = get_set(name)
        trained = row.images - row.held_out()
        times = run.seen * part / sum(parts.values()) / trained
        rows.append((row.title, row.what, f"{trained:,}", f"{row.held_out():,}", f"{times:.1f}", row.terms))
    return rows


def _history(run: Run) -> list[str]:
    if not run.history:
        return ["No readings."]
    names = list(run.recipe.shares)
    head = ["Minutes", "Images seen", "Agreement of views"]
    head += [f"{get_set(name).title} {what}" for name in names for what in ("k-NN", "rank")]
    rows = []
    for reading in run.history:
        agreement: float = reading["agreement"]
        row = [f"{reading['minutes']:.1f}", f"{reading['seen']:,}", "" if math.isnan(agreement) else f"{agreement:.3f}"]
        for name in names:
            row += [f"{reading[name]['knn']:.3f}", f"{reading[name]['rank']:.0f}"]
        rows.append(tuple(row))
    return _table(tuple(head), rows)


def _table(head: tuple[str, ...], rows: Any) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, tuple("---" for _ in head), *rows)]
