"""The server itself: how many connections it holds and how long, what it logs, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["ExplorerServer"]

_FILES = 8192  # each connection is one
_MOST = 2000  # connections; or half of the allowed open files, if that is less
_AT_ONCE = 1024  # connections that are accepted at once, before any is closed; or a quarter of the files
_HEAD = 10.0  # seconds in which the head of a request must arrive
_STALLED = 60.0  # seconds in which a client must have read something of its answer
_PAUSED = 3600.0  # the same for files, because a person can pause a download
_GRACE = 1  # seconds for unfinished answers when the server ends
_LAST = 1.0  # seconds until the process ends in any case
_QUIET = 60.0  # seconds in which a repeated message is logged only once


class ExplorerServer(uvicorn.Server):
    """Serves an explorer's application.

    Args:
        app: What ``create_app`` returned.
        is_alone: Whether the process ends with the server. Running computations cannot be stopped and would delay the
            end for minutes. Ending is safe, because files are written whole.
    """

    def __init__(self, app: FastAPI, *, is_alone: bool = False) -> None:
        self._app, self._is_alone = app, is_alone
        files = _files()
        _Connection.most = min(_MOST, files // 2)
        config = uvicorn.Config(
            app,
            http=_Connection,
            backlog=min(_AT_ONCE, files // 4),
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=30,
            ws="none",
            proxy_headers=False,
        )
        for name in ("uvicorn.error", "asyncio"):
            log = logging.getLogger(name)
            if not any(isinstance(each, _Seldom) for each in log.filters):
                log.addFilter(_Seldom())
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell waiting clients that the server ends, and end."""
        if self._is_alone:
            last = threading.Timer(_LAST, os._exit, (0,))
            last.daemon = True
            last.start()
        self._app.state.explorer.stop()
        await super().shutdown(sockets)


def _files() -> int:
    """Raise the limit of open files to what the server needs, as far as the system allows, and return it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return _FILES
    with suppress(OSError, ValueError):  # some systems have further limits
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return soft


class _Connection(H11Protocol):
    """A connection with deadlines. When there are too many, an idle one makes room for a new one."""

    most = _MOST
    _since = 0.0
    _deadline: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._expect_head()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        self._since = self.loop.time()
        if self._deadline is None:
            self._expect_head()
        super().data_received(data)
        if not self.is_idle and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._deadline, self._stalled):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        # a client that gets files has shown the token
        longest = _PAUSED if "/files/" in self.scope["path"] else _STALLED
        self._stalled = self.loop.call_later(longest, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        super().resume_writing()

    def _expect_head(self) -> None:
        if self.is_idle:
            self._deadline = self.loop.call_later(_HEAD, self.transport.abort)

    def _make_room(self) -> None:
        if len(self.connections) <= self.most:
            return
        held = [each for each in self.connections if not each.transport.is_closing()]
        if len(held) <= self.most:
            return
        idle = [each for each in held if isinstance(each, _Connection) and each.is_idle and each is not self]
        # first those that never sent a request; many may be accepted at once, with requests that are still unread
        chosen = min(idle, key=lambda each: (each.cycle is not None, each._since), default=self)
        (self if _has_sent(chosen.transport) else chosen).transport.abort()
        self.logger.warning("more than %d connections: those that ask for nothing are closed", self.most)


def _has_sent(transport: asyncio.Transport) -> bool:
    """Tell whether unread input is waiting."""
    number = transport.get_extra_info("socket").fileno()
    if sys.platform == "win32":
        return bool(select.select([number], [], [], 0)[0])
    asked = select.poll()  # select takes no numbers beyond 1,023
    asked.register(number, select.POLLIN)
    return bool(asked.poll(0))


class _Seldom(logging.Filter):
    """Lets the same message through only once in a while. Otherwise anyone who can connect could fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[object, ...], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a message is logged."""
        if "graceful shutdown" in str(record.msg):  # at the end, an answer that nobody waits for is not an error
            return False
        key = (str(record.msg).partition("\n")[0], record.exc_info and record.exc_info[0])
        now = time.monotonic()
        if now - self._last.get(key, -_QUIET) < _QUIET:
            return False
        if len(self._last) >= 100:
            self._last.clear()
        self._last[key] = now
        return True
