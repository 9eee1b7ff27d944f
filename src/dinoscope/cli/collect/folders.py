"""The options that say which folders are labels and splits, and what `embed` prints about the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.sources.base import ImageSource
    from dinoscope.sources.folders import FolderRule

__all__ = ["LabelsOption", "RootOption", "SplitsOption", "chosen_rule", "say_labels"]

_SHOWN = 6  # labels in a line
RootOption = Annotated[
    str | None,
    typer.Option("--root", metavar="DIR", help="Folder inside the source whose sub-folders are the labels or splits."),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FROM",
        help="folder: the first folder that is not a split; parent: the one that holds the image; none; or auto.",
    ),
]
SplitsOption = Annotated[
    str | None,
    typer.Option(
        "--splits",
        metavar="NAMES",
        help="Folders that are splits, as in 'train,holdout=test'; none; or auto: by the usual names.",
    ),
]


def chosen_rule(root: str | None, labels: str | None, splits: str | None) -> FolderRule | None:
    """Return what the options say; None without any.

    Raises:
        InputError: If an option makes no sense.
    """
    from dinoscope.sources.folders import FolderRule

    if root is labels is splits is None:
        return None
    return FolderRule(root, labels or "auto", None if splits in (None, "auto") else _splits(splits))


def _splits(text: str) -> dict[str, str]:
    if text == "none":
        return {}
    pairs = [each.partition("=") for each in text.split(",")]
    if not all(name.strip() and (split.strip() or not equals) for name, equals, split in pairs):
        raise InputError(f"--splits expects names of folders, as in 'train,holdout=test', got {text!r}")
    return {name.strip(): (split or name).strip() for name, _, split in pairs}


def say_labels(images: ImageSource) -> None:
    """Say which labels and splits the images of a source have, and what options asked for."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say

    labels: Counter[str | None] = Counter()
    without, several = 0, 0
    for item in images.items:
        labels.update(item.labels or (item.label,))
        several += bool(item.labels)
    without = labels.pop(None, 0)
    parts = [_listed(labels, "label")]
    if several:
        parts.append("images may have several labels")
    if labels and without:
        parts.append(f"{counted(without)} without a label")
    parts.append(_listed((item.split for item in images.items if item.split is not None), "split"))
    captions = sum(item.caption is not None for item in images.items)
    if captions:
        parts.append(counted(captions, "caption"))
    told = images.folder_rule.described if images.folder_rule is not None else ""
    if told:
        parts.append(f"as chosen: {told}")
    elif images.kind in ("folder", "archive"):
        parts.append("to choose others: --root, --labels, --splits")
    say("; ".join(parts))


def _listed(names: Iterable[str | None] | Counter[str | None], noun: str) -> str:
    from dinoscope.base.text import counted

    counts = names if isinstance(names, Counter) else Counter(names)
    if not counts:
        return f"no {noun}s"
    told = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(_SHOWN))
    return f"{counted(len(counts), noun)}: {told}{', ...' if len(counts) > _SHOWN else ''}"
