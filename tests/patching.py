"""What tests put in the place of something: a function wherever it was imported by name, a data set, a folder."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

import pytest
import typer.main

from dinoscope.sources.datasets import named
from dinoscope.sources.datasets.named import DatasetSource


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


def read_once(load: Callable[..., DatasetSource]) -> Callable[..., DatasetSource]:
    """Read the data set that ships with dinoscope once in a process, where it is looked for in the usual places."""
    name = "fashion-mnist-test"
    usual = named._places(named.DATASETS[name], None)
    read = cache(load)

    @wraps(load)
    def load_dataset(asked: str, data_dir: Any = None, *, mirrors: Any = None) -> DatasetSource:
        if asked != name or data_dir is not None or mirrors or named._places(named.DATASETS[name], None) != usual:
            return load(asked, data_dir, mirrors=mirrors)
        found = read(name)
        return DatasetSource(found.dataset, found.pixels.copy(), list(found.items))

    return load_dataset


def quicken(patch: pytest.MonkeyPatch) -> None:
    """Let nothing wait for the disk, as no power is cut here, and the command line be put together once a process."""
    patch.setattr(os, "fsync", lambda _: None)
    patch.setattr(typer.main, "get_command", cache(typer.main.get_command))


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
