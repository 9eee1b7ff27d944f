"""What tests put in the place of something: a function wherever it was imported by name, a folder that is read only."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def replace_everywhere(patch: pytest.MonkeyPatch, function: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Put another function in the place of one, in every module of dinoscope that has it."""
    name = function.__name__
    holders = [
        module
        for key, module in list(sys.modules.items())
        if key.startswith("dinoscope.") and getattr(module, name, None) is function
    ]
    assert holders
    for module in holders:
        patch.setattr(module, name, new)


def make_read_only(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let nothing be written below a folder, as on a disk that is mounted read-only; rights do not stop root."""

    def refusing(function: Callable[..., Any], which: int) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if Path(args[which]).absolute().is_relative_to(folder.absolute()):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(args[which]))
            return function(*args, **options)

        return call

    patch.setattr(os, "replace", refusing(os.replace, 1))
    patch.setattr(os, "mkdir", refusing(os.mkdir, 0))
