"""Run one function over many items on Ray: what ``tasks.run_here`` does in threads, on a cluster.

Items travel to the workers and results back, so that no storage need be shared: this process alone reads and writes.
A task whose worker dies is done again, by Ray. Needs ``dinoscope[ray]``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from dinoscope.errors import DinoscopeError, RayError
from dinoscope.on_ray.cluster import connect, reason

__all__ = ["RunOnRay"]

Common = TypeVar("Common")
Item = TypeVar("Item")
Result = TypeVar("Result")


class RunOnRay:
    """A ``tasks.Run`` on a cluster."""

    def __init__(self, address: str = "ray", workers: int | None = None) -> None:
        """Say where; the arguments are those of ``on_ray.OnRay``, except for a worker being a core."""
        self._address = None if address == "ray" else address
        self._workers = workers

    def __call__(
        self, work: Callable[[Common, Item], Result], common: Common, items: Iterable[Item]
    ) -> Generator[Result, None, None]:
        """Yield the results as they come; the arguments are those of ``tasks.Run``.

        Raises:
            RayError: If Ray is not installed, there is no cluster, or it fails for good.
        """
        ray = connect(self._address)
        cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
        limit = min(self._workers or cores, cores)
        task = ray.remote(num_cpus=1)(_answer)
        shared = ray.put(common)
        pending: list[object] = []

        def next_result() -> Result:
            nonlocal pending
            (done, *_), pending = ray.wait(pending, num_returns=1)
            found = ray.get(done)
            if isinstance(found, DinoscopeError):
                raise found
            result: Result = found
            return result

        try:
            for item in items:
                if len(pending) >= limit:
                    yield next_result()
                pending.append(task.remote(work, shared, item))
            while pending:
                yield next_result()
        except ray.exceptions.RayError as error:
            raise RayError(f"Ray gave up ({reason(error)}); what is done is kept") from None


def _answer(work: Callable[[Common, Item], Result], common: Common, item: Item) -> Result | DinoscopeError:
    """Answer with a result, or with an expected error: raised here, Ray would bury it in traces."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    try:
        with threadpool_limits(1):
            return work(common, item)
    except DinoscopeError as error:
        return error
