"""Switches off reports that other packages send to their makers, before those packages are loaded.

Some packages collect data unless an environment variable forbids it. They read it while they are imported or started.
The variables are set for that moment only, so that nothing is changed for the program that uses dinoscope.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Any

from dinoscope.base.loading import hidden

__all__ = ["import_onnxruntime", "import_openvino", "switched_off"]

# ONNX Runtime from 1.32 on writes a device id and a database of events into the home folder and sends them; the hub's
# client counts its imports; Ray's first process reports what it runs on.
_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "HF_HUB_DISABLE_SYMLINKS_WARNING": "1",  # no report, but read at the same moment: advice for Windows, printed
}
_changing = RLock()  # one environment for all threads: one that restores it must not undo what another has just set


@contextmanager
def switched_off() -> Iterator[None]:
    """Refuse every report while other packages are imported or start their processes."""
    with _changing:
        before = {name: os.environ.get(name) for name in _OFF}
        os.environ.update(_OFF)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def import_onnxruntime() -> Any:
    """Import ONNX Runtime without its reports.

    Where somebody imported it before, its database of events lies in the home folder already; from here on nothing is
    sent.
    """
    was_loaded = "onnxruntime" in sys.modules
    with switched_off():
        import onnxruntime
    if was_loaded and os.environ.get("ORT_DISABLE_TELEMETRY") != "1":
        onnxruntime.disable_telemetry_events()
    return onnxruntime


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry package, which it loads for tools that dinoscope does not use.

    Raises:
        ImportError: If OpenVINO is not installed.
    """
    with _changing, hidden("openvino_telemetry"):
        import openvino
    return openvino
