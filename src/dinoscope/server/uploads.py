"""Uploaded images: received within limits, one at a time from each client."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from starlette.requests import ClientDisconnect

from dinoscope.server.security import MAX_UPLOAD

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Uploads"]

_MOMENT = 0.01  # seconds, enough to notice a client that left right after sending
_AT_ONCE = 3  # bodies held at once, for all clients together


class Uploads:
    """Lets each client send one image at a time. Further images wait for their turn, then for room."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._room = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def one(self, request: Request) -> AsyncIterator[memoryview]:
        """Receive the body of a request. The client's turn lasts until the image is decoded.

        Raises:
            ClientDisconnect: If the client has left.
            HTTPException: 408 or 413, see ``Guard``.
        """
        turn = self._turns.setdefault(request.state.client, asyncio.Lock())
        async with turn, self._room:
            yield await _receive(request)


async def _receive(request: Request) -> memoryview:
    # a separate mapping: its memory returns to the system as soon as nobody holds it
    held = mmap.mmap(-1, MAX_UPLOAD)
    async for piece in request.stream():
        held.write(piece)
    await asyncio.sleep(_MOMENT)
    if await request.is_disconnected():
        raise ClientDisconnect
    return memoryview(held)[: held.tell()]
