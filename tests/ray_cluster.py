"""A Ray cluster of two nodes on this machine.

The cluster and what asks it run in a process of their own: Ray ends the process that loses its cluster.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from typing import Any, TypeVar

Result = TypeVar("Result")

PATIENCE = 420  # seconds: on a machine with five times the work that it can do, 15 become 180
_MEMORY = 100_000_000  # bytes of a node's store

_cluster: Any = None


class RayCluster:
    """The cluster, as the tests see it."""

    def __init__(self, own: ProcessPoolExecutor) -> None:
        self._own = own
        self.address = self.call(_start)

    def call(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function that uses the cluster; an error of it is raised here."""
        return self._own.submit(function, *arguments).result(PATIENCE)


@contextmanager
def ray_cluster() -> Iterator[RayCluster]:
    """Start the cluster, and leave nothing of it behind."""
    own = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
    process = own.submit(os.getpid).result(PATIENCE)
    try:
        yield RayCluster(own)
        with suppress(BrokenProcessPool):  # it may end when it leaves the cluster
            own.submit(_stop).result(PATIENCE)
    except BaseException:
        os.kill(process, signal.SIGKILL)  # what it started ends with it
        raise
    finally:
        own.shutdown(wait=False, cancel_futures=True)


def _with_patience(start: Callable[[], Result]) -> Result:
    """Start a node; on a machine with more work than it can do, Ray gives up too early."""
    for left in (2, 1, 0):
        try:
            return start()
        except Exception as error:
            if not left or "timed out during startup" not in str(error):
                raise
    raise AssertionError("unreachable")


def _start() -> str:
    global _cluster
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)  # Ray gives its own processes 30 seconds to start
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "object_store_memory": _MEMORY, "include_dashboard": False}
    _cluster = _with_patience(lambda: Cluster(initialize_head=True, head_node_args=head))
    _cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)
    return str(_cluster.address)


def _stop() -> None:
    import ray

    ray.shutdown()
    _cluster.shutdown()
