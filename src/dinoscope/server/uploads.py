"""Images that a page sends: received within limits, one at a time from each, decoded as carefully as files are."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from dinoscope.errors import ImageError
from dinoscope.sources.pixels.formats import identify, pixels_at_once

if TYPE_CHECKING:
    from starlette.requests import Request

    from dinoscope.models.encoder import Encoder

__all__ = ["MAX_PIXELS", "Uploads", "decode_upload"]

MAX_PIXELS = 50_000_000
_SECONDS = 60.0  # in which an image must be here
_AT_ONCE = 8  # bodies held at a time, of all clients together


class Uploads:
    """Lets each client send one image at a time; the others are told to wait, or wait for room."""

    def __init__(self) -> None:
        self._clients: set[str] = set()
        self._room = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def one(self, request: Request) -> AsyncIterator[bytes]:
        """Receive the body of a request; the client counts as busy until it is answered.

        Raises:
            HTTPException: 429 while the same client's last image is not answered, 408 if it takes too long.
        """
        client: str = request.state.client
        if client in self._clients:
            raise HTTPException(429, "one image at a time: wait for the answer to the last one")
        self._clients.add(client)
        try:
            async with self._room:
                content = bytearray()
                try:
                    async with asyncio.timeout(_SECONDS):
                        async for piece in request.stream():
                            content += piece
                except TimeoutError:
                    raise HTTPException(408, "the image took too long to arrive: try again") from None
                yield bytes(content)
        finally:
            self._clients.discard(client)


def decode_upload(content: bytes, encoder: Encoder) -> NDArray[np.float32]:
    """Return the vector (D,) of an image in its file's bytes.

    Raises:
        ImageError: If it is no image, or too large.
    """
    _check_pixels(content)
    try:
        vector: NDArray[np.float32] = encoder.encode(content)[0]
    except ImageError as error:
        raise ImageError(f"this image cannot be searched for: it {_as_clause(str(error))}") from None
    return vector


def _check_pixels(content: bytes) -> None:
    try:
        image = identify(io.BytesIO(content))
    except Exception:  # decoding says what is wrong
        return
    if pixels_at_once(image) > MAX_PIXELS:
        limit = MAX_PIXELS // 1_000_000
        raise ImageError(
            f"this image has {image.width} x {image.height} pixels: at most {limit} million can be searched for"
        )


def _as_clause(reason: str) -> str:
    return reason if reason.split()[0] in ("is", "has", "needs", "cannot") else f"is {reason}"
