"""Paths as people name them."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["named_path"]


def named_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a person named; a "~" at its beginning is the home folder, which a quoted one still holds."""
    return Path(os.path.expanduser(path))
