"""The first run of a stranger's graph, in a process of its own: one that asks for all memory or time ends alone."""

from __future__ import annotations

import pickle
import sys
import threading
from contextlib import suppress

import numpy as np

from dinoscope.base.processes import announce, limit_memory, pipes, start
from dinoscope.base.telemetry import import_onnxruntime
from dinoscope.errors import ModelError
from dinoscope.models.runtime import Graph, does_not_run, open_runtime

__all__ = ["main", "try_out"]

_SECONDS, _SECONDS_A_GB = 8.0, 30.0  # for a graph, and for its weights
_BYTES, _COPIES = 3 << 30, 4  # of address space: for one image, and this many times the weights
_RAN, _NO_MEMORY = b"ran", (b"memory", b"bad_alloc", b"bfc_arena")  # also of ONNX Runtime
_REMEDY = "take another export of the model, from somebody you trust"
_LONGEST = 1000  # bytes of a reason


def try_out(graph: Graph, side: int) -> None:
    """Load a graph and run it on one image of this many pixels a side, with limited memory and time.

    Raises:
        ModelError: If it needs more than 3 GB and four times its weights, takes too long, or does not run.
    """
    size = len(graph.proto) + (graph.weights.stat().st_size if graph.weights is not None else 0)
    seconds = _SECONDS + _SECONDS_A_GB * size / 1e9
    most = _BYTES + _COPIES * size
    process = start("dinoscope.models.graphs.trial")
    is_late = threading.Event()

    def expire() -> None:
        is_late.set()
        process.kill()

    deadline = threading.Timer(seconds, expire)
    deadline.daemon = True
    deadline.start()
    asks, answers = pipes(process)
    answer = b""
    try:
        with suppress(OSError):
            pickle.dump((graph, side, most), asks)
            asks.close()
            answer = answers.read(_LONGEST)
    finally:
        deadline.cancel()
        process.kill()
        process.wait()
        for pipe in (asks, answers):
            with suppress(OSError):
                pipe.close()
    if answer == _RAN:
        return
    if is_late.is_set():
        raise ModelError(f"{graph.name} does not embed one image within {seconds:.0f} seconds: {_REMEDY}")
    if not answer or any(word in answer.lower() for word in _NO_MEMORY):
        raise ModelError(
            f"{graph.name} ends the process that runs it, or needs more than the {most / 1e9:.1f} GB that it may take: "
            f"{_REMEDY}"
        )
    raise ModelError(answer.decode(errors="replace"))


def main() -> None:
    """Try the graph that is in the input, and say whether it ran."""
    import_onnxruntime()
    announce()
    graph, side, most = pickle.load(sys.stdin.buffer)  # noqa: S301  # of the process that started this one
    limit_memory(most)
    sys.stdout.buffer.write(_tried(graph, side)[:_LONGEST])


def _tried(graph: Graph, side: int) -> bytes:
    try:
        open_runtime(graph, "cpu", 1).run(["cls"], np.full((1, side, side, 3), 128, np.uint8))
    except ModelError as error:
        return str(error).encode()
    except Exception as error:  # each runtime has errors of its own
        return does_not_run(graph.name, side, error, graph.remedy).encode()
    return _RAN
