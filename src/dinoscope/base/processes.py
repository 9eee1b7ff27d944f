"""Separate processes for strangers' files: with little memory, without secrets, and easy to end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO

from dinoscope.base.package import PACKAGE

__all__ = ["announce", "limit_memory", "pipes", "start"]

_READY = b"!"
_START = 60.0  # seconds until a process must have started, also on a busy machine
_PROGRAM = "import sys, importlib; sys.path.append(sys.argv[1]); importlib.import_module(sys.argv[2]).main()"


def start(module: str) -> subprocess.Popen[bytes]:
    """Start the ``main`` of a module of dinoscope in a separate process, and wait until it calls ``announce``.

    It imports nothing from the current folder (-P), and Ctrl-C does not reach it.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, str(PACKAGE.parent), module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_harmless_environment(), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        start_new_session=os.name != "nt",
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # only Windows has it
    )
    deadline = threading.Timer(_START, process.kill)
    deadline.daemon = True
    deadline.start()
    pipes(process)[1].read(len(_READY))  # or it has ended, as the next request reports
    deadline.cancel()
    return process


def announce() -> None:
    """Report, in such a process, that it is ready."""
    sys.stdout.buffer.write(_READY)
    sys.stdout.buffer.flush()


def limit_memory(size: int) -> None:
    """Limit this process to this many bytes of address space, and let it write no core dump."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits, and not every system keeps them
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """Return the input and the output of a process."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _harmless_environment() -> dict[str, str]:
    """Return the environment without secrets, for a process that handles strange files."""
    return {
        name: value for name, value in os.environ.items() if not re.search("TOKEN|KEY|SECRET|PASSWORD", name.upper())
    }
