"""Run one function over many items, in the threads of this machine; ``on_ray.tasks`` runs it on a cluster."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

from dinoscope.base.machine import cores

__all__ = ["Run", "in_order", "in_threads", "one_thread_each", "row_blocks", "run_here", "side_by_side"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def row_blocks(count: int, size: int) -> list[slice]:
    """Cut ``count`` rows into consecutive slices of at most ``size`` rows."""
    return [slice(start, min(start + size, count)) for start in range(0, count, max(1, size))]


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Run ``work`` on each item, one thread a core (NumPy lets go of the interpreter lock); results in order."""
    with ThreadPoolExecutor(cores()) as pool:
        return list(pool.map(work, items))


def side_by_side(works: Iterable[Callable[[], object]]) -> None:
    """Run different works beside each other, as many at a time as there are cores, in the order given.

    An interrupt does not wait for them: what is running then ends with the program, or by itself.

    Raises:
        Exception: What the first work that failed raised, when none runs any more.
    """
    waiting, failed = deque(works), list[Exception]()

    def work_off() -> None:
        while waiting:
            try:
                waiting.popleft()()
            except IndexError:  # another thread took the last one
                return
            except Exception as error:  # raised below
                failed.append(error)

    threads = [threading.Thread(target=work_off, daemon=True) for _ in range(min(cores(), len(waiting)))]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        waiting.clear()
    if failed:
        raise failed[0]


class _Limit:
    """How many callers are inside ``one_thread_each``, and what the last one restores."""

    lock = threading.Lock()
    inside = 0
    held: Any = None


@contextmanager
def one_thread_each() -> Generator[None, None, None]:
    """Limit products of matrices to one thread each meanwhile: with more, their last digits may differ.

    Several threads may be inside at once, which threadpoolctl alone does not allow: the limit goes with the last one.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # scikit-learn depends on it

    with _Limit.lock:
        if not _Limit.inside:
            _Limit.held = threadpool_limits(1)
        _Limit.inside += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.inside -= 1
            if not _Limit.inside:
                _Limit.held.restore_original_limits()


Common = TypeVar("Common")
_MOST_THREADS = 8  # each holds its own item and what it computes with


def in_order(
    work: Callable[[Item], Result], items: Iterable[Item], *, ahead: int, threads: int | None = None
) -> Generator[Result, None, None]:
    """Run ``work`` on each item in threads and yield the results in order, never more than ``ahead`` items early.

    It uses one thread per core, or ``threads``.
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
    threads = min(cores(), _MOST_THREADS)
    with one_thread_each():
        yield from in_order(partial(work, common), items, ahead=threads + 1, threads=threads)
