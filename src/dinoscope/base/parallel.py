"""Run one function over many items, in the threads of this machine; ``on_ray.tasks`` runs it on a cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

from dinoscope.base.machine import cores

__all__ = ["Run", "in_order", "in_threads", "row_blocks", "run_here"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def row_blocks(count: int, size: int) -> list[slice]:
    """Cut ``count`` rows into consecutive slices of at most ``size`` rows."""
    return [slice(start, min(start + size, count)) for start in range(0, count, max(1, size))]


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Run ``work`` on each item, one thread a core (NumPy lets go of the interpreter lock); results in order."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, items))


Common = TypeVar("Common")
_MOST_THREADS = 8  # each holds its own item and what it computes with


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, ahead: int, threads: int | None = None
) -> Generator[Result, None, None]:
    """Run ``work`` on each item in threads and yield the results in order, never more than ``ahead`` items early.

    There is a thread a core, or as many as ``threads``.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads or cores(), thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class Run(Protocol):
    """What runs ``work(common, item)`` on every item and yields the results in any order, holding few at a time."""

    def __call__(
        self, work: Callable[[Common, Item], Result], common: Common, items: Iterable[Item], /
    ) -> Iterator[Result]:
        """Yield the results; ``work`` is a function of a module, ``common`` is the same for all items."""


def run_here(
    work: Callable[[Common, Item], Result], common: Common, items: Iterable[Item]
) -> Generator[Result, None, None]:
    """Run in threads of this process; the arguments are those of ``Run``.

    Products of matrices get one thread each, here as on a cluster: with more, their last digits may differ.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn depends on it

    threads = min(cores(), _MOST_THREADS)
    with threadpool_limits(1):
        yield from in_order(partial(work, common), items, ahead=threads + 1, threads=threads)
