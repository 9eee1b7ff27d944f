"""Work that runs once for everyone who asks for it, and is dropped when nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from starlette.requests import ClientDisconnect

from dinoscope.errors import DinoscopeError

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Ending", "Jobs", "while_wanted"]

Value = TypeVar("Value", covariant=True)
_thread = threading.local()  # the check of the job that this thread runs


class Ending(DinoscopeError):
    """The server ends before the answer is ready."""


class _Unwanted(Exception):
    """Nobody waits for this work."""


class _Job(Generic[Value]):
    def __init__(self) -> None:
        self.answer: Future[Value] = Future()
        self.waiting = 0
        self.is_kept = False  # it is done even if nobody waits
        self.progress: tuple[int, int] | None = None

    @property
    def is_unwanted(self) -> bool:
        return not self.is_kept and self.waiting == 0


class Jobs:
    """Runs work in a few threads. The same work runs once, no matter how many ask for it."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._running: dict[Hashable, _Job[object]] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, work: Callable[[], Value]) -> Future[Value]:
        """Start work, or return the same work if it is running. It is done even if nobody waits for it."""
        with self._lock:
            job = self._join(key, work)
            job.is_kept = True
            return job.answer

    async def run(self, key: Hashable, work: Callable[[], Value], request: Request | None = None) -> Value:
        """Wait for work without blocking the server.

        Args:
            key: Names the work: requests with the same key wait for the same work.
            work: What is done, in a thread. It may call ``while_wanted`` now and then.
            request: The client that waits, if the work may be dropped. When all such clients have left, work that has
                not started is dropped, and work that calls ``while_wanted`` stops there.

        Raises:
            Ending: If the server ends before the work does.
            ClientDisconnect: If the client has left.
        """
        with self._lock:
            job = self._join(key, work)
            job.is_kept |= request is None
            job.waiting += 1
        try:
            return await _wait(job.answer, request)
        finally:
            with self._lock:
                job.waiting -= 1
                if job.is_unwanted and job.answer.cancel():  # it has not begun
                    self._forget(key, job)

    @property
    def busy(self) -> bool:
        """Whether any work is running."""
        return bool(self._running)

    def has_begun(self, key: Hashable) -> bool:
        """Tell whether this work has started."""
        job = self._running.get(key)
        return job is not None and job.answer.running()

    def progress(self, key: Hashable) -> tuple[int, int] | None:
        """Return how much of how much is done, for work that calls ``while_wanted``; None before it starts."""
        job = self._running.get(key)
        return job.progress if job is not None else None

    def stop(self) -> None:
        """Start no more work, and tell waiting clients: running computations cannot be stopped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            jobs = list(self._running.values())
        for job in jobs:
            with suppress(InvalidStateError):  # it has just ended
                job.answer.set_exception(_ending())

    def _join(self, key: Hashable, work: Callable[[], Value]) -> _Job[Value]:
        job = cast("_Job[Value] | None", self._running.get(key))  # the same key is the same work
        if job is None:
            job = _Job[Value]()
            try:
                self._pool.submit(self._do, key, job, work)
            except RuntimeError:  # the pool has been shut down
                raise _ending() from None
            self._running[key] = job
        return job

    def _do(self, key: Hashable, job: _Job[Value], work: Callable[[], Value]) -> None:
        with self._lock:
            if job.answer.done() or not job.answer.set_running_or_notify_cancel():
                return
        _thread.check = partial(self._check, key, job)
        try:
            answer = partial(job.answer.set_result, work())
        except BaseException as error:
            answer = partial(job.answer.set_exception, error)
        del _thread.check
        with self._lock:
            self._forget(key, job)  # before the answer: who has it finds the work done
        with suppress(InvalidStateError):  # the clients already know that the server ends
            answer()

    def _check(self, key: Hashable, job: _Job[object], progress: tuple[int, int] | None) -> None:
        with self._lock:
            job.progress = progress
            if job.is_unwanted:
                self._forget(key, job)  # a later request starts again
                raise _Unwanted

    def _forget(self, key: Hashable, job: _Job[object]) -> None:
        if self._running.get(key) is job:
            del self._running[key]


def while_wanted(done: int = 0, total: int = 0) -> None:
    """Stop the work of this thread if nobody waits for it; otherwise record its progress."""
    check: Callable[[tuple[int, int] | None], None] | None = getattr(_thread, "check", None)
    if check is not None:
        check((done, total) if total else None)


def _ending() -> Ending:
    return Ending("the server is ending: start dinoscope explore again")


async def _wait(answer: Future[Value], request: Request | None) -> Value:
    waiting = asyncio.wrap_future(answer)
    leaving = None if request is None else asyncio.ensure_future(_left(request))
    both = [each for each in (waiting, leaving) if each is not None]
    for each in both:
        each.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio reports it as lost
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientDisconnect
        return waiting.result()
    except (asyncio.CancelledError, CancelledError):
        raise _ending() from None
    finally:
        if leaving is not None:
            leaving.cancel()


async def _left(request: Request) -> None:
    """Wait until a client leaves. Its request's body was already read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
