"""The last values that were read of a table, for threads that are not quite in step."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BATCH_BYTES", "KeptValues"]

BATCH_BYTES = 1 << 24  # of images that are read at once
_BATCHES = 8  # how many of them are kept


class KeptValues:
    """A few stretches of a column, the newest last; the newest stays even if it is large."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, pa.Array, int]] = deque()  # first row, values, bytes

    def find(self, row: int) -> pa.Scalar | None:
        """Return the value of a row; None if it is not kept."""
        for first, values, _ in self._kept:
            if first <= row < first + len(values):
                return values[row - first]
        return None

    def add(self, first: int, values: pa.Array, size: int) -> None:
        """Keep values from a row on, which hold this many bytes of memory."""
        self._kept.append((first, values, size))
        while len(self._kept) > 1 and (len(self._kept) > _BATCHES or self.size > _BATCHES * BATCH_BYTES):
            self._kept.popleft()

    @property
    def size(self) -> int:
        """How many bytes are held."""
        return sum(size for _, _, size in self._kept)
