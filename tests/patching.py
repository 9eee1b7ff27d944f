"""A function replaced wherever it was imported by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
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
