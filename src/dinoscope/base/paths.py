"""Paths as people name them."""

from __future__ import annotations

import os
from pathlib import Path

from dinoscope.base.text import did_you_mean, printable

__all__ = ["named_path", "similar_path"]


def named_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a person named. A leading "~", which quotes protect from the shell, is the home folder."""
    return Path(os.path.expanduser(path))


def similar_path(path: str | os.PathLike[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for a missing path, if something has nearly its name; otherwise ""."""
    named = named_path(path)
    try:
        beside = [each.name for each in named.parent.iterdir() if not each.name.startswith(".")]
    except (OSError, ValueError):
        return ""
    ending = named.suffix  # which would make short names equal
    stems = [name.removesuffix(ending) for name in beside if name.endswith(ending)]
    others = [name for name in beside if not name.endswith(ending)]

    def show(name: str) -> str:
        return printable(str(named.parent / name))

    return did_you_mean(named.stem, stems, lambda stem: show(stem + ending)) or did_you_mean(named.name, others, show)
