"""Join a Ray cluster, or start one on this machine."""

from __future__ import annotations

import logging
import socket
from types import ModuleType

from dinoscope.base.telemetry import switched_off
from dinoscope.errors import RayError

__all__ = ["connect", "reason"]

_joined: str | None = None  # the cluster that this module joined, while this process is in it


def connect(address: str | None) -> ModuleType:
    """Join a cluster, or start one on this machine; returns Ray.

    The process stays in it until it ends: Ray ends a process that leaves while one of its threads still asks for
    something, and they may do so long after the last answer.
    """
    global _joined
    try:
        with switched_off():
            import ray
            import ray.data
    except ImportError:
        raise RayError("--on ray needs Ray: pip install 'dinoscope[ray]'") from None
    wanted = address or "here"
    if ray.is_initialized() and _joined not in (None, wanted):
        ray.shutdown()  # it was we who joined another cluster
    if not ray.is_initialized():
        _check_address(address)
        settings: dict[str, int] = {"logging_level": logging.ERROR, "log_to_driver": False}
        try:
            with switched_off():  # also in the processes that Ray starts, of which the first would report
                _join(ray, address, settings)
        except Exception as error:  # of many classes, with a page of advice
            first = str(error).splitlines()[0]
            raise RayError(f"no Ray cluster at {address or 'this machine'} ({first}): is it running?") from None
        _joined = wanted
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return ray


def _join(ray: ModuleType, address: str | None, settings: dict[str, int]) -> None:
    """Join the cluster at an address, else the one that this machine belongs to, else start one here."""
    try:
        ray.init(address or "auto", **settings)
    except ConnectionError:
        if address:
            raise
        ray.init("local", include_dashboard=False, **settings)


def _check_address(address: str | None) -> None:
    """Knock at the door first: Ray itself keeps on trying for minutes."""
    if address is None:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise RayError(
            f"no Ray cluster at {address} ({error}): expected HOST:PORT or ray://HOST:PORT of one that runs"
        ) from None


def reason(error: Exception) -> str:
    """Return the line of a worker's trace that names what went wrong there."""
    own = str(error).split("The above exception was the direct cause")[0]
    lines = [line.strip() for line in own.splitlines() if line.strip() and not line.startswith(" ")]
    return lines[-1] if lines else type(error).__name__
