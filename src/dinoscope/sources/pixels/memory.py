"""The memory that all decoders of this process share, with any number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LARGE_BYTES", "MOST_PACKED", "Memory", "decoders", "packed_too_small"]

LARGE_BYTES = 1 << 25  # 32 MiB; larger files are read and decoded one at a time


MOST_PACKED = 100  # times: pictures are packed already, and what is not shrinks hardly more
_SUSPECT = 1 << 28  # bytes, from where the packing is looked at


def packed_too_small(size: int, packed: int) -> bool:
    """Tell whether this many bytes, packed into so few, would only fill the memory."""
    return size > _SUSPECT and size > MOST_PACKED * packed


class Memory:
    """Lets small pictures be decoded side by side up to a limit, and large ones one at a time."""

    def __init__(self, total: int, large: int) -> None:
        """Say how many pixels may be decoded at once, and how many are large."""
        self.total, self.large = total, large
        self._used, self._changed = 0, threading.Condition()
        self._alone = threading.RLock()
        self._holder: int | None = None

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until there is room to decode this many pixels."""
        if pixels > self.large:
            with self.alone():
                yield
            return
        if self._holder == threading.get_ident():
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + pixels <= self.total)
            self._used += pixels
        try:
            yield
        finally:
            with self._changed:
                self._used -= pixels
                self._changed.notify_all()

    @contextmanager
    def alone(self, needed: bool = True) -> Iterator[None]:
        """Wait until no other thread is at something large; what the thread takes inside is its own affair."""
        if not needed:
            yield
            return
        with self._alone:
            before, self._holder = self._holder, threading.get_ident()
            try:
                yield
            finally:
                self._holder = before


decoders = Memory(total=64_000_000, large=20_000_000)
