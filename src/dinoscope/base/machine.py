"""The machine: its cores, and for the record processor, system and versions, without names of people or hosts."""

from __future__ import annotations

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.base.types import Machine

if TYPE_CHECKING:
    pass

__all__ = ["cores", "this_machine"]

_PACKAGES = ("numpy", "onnxruntime", "openvino", "pillow", "pyarrow")


def cores() -> int:
    """Count the cores that this process may use. More threads, as in a container, slow each other down."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def this_machine() -> Machine:
    """Return processor, system and versions."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"processor": _processor(), "system": f"{platform.system()} {platform.machine()}", "versions": versions}


def _processor() -> str:
    """Return the name of the processor as people know it."""
    if sys.platform == "linux":
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        except OSError:
            text = ""
        for line in text.splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
