"""Progress of an embedding, for the process that runs it and for others that use the collection meanwhile."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from dinoscope.base.paths import named_path
from dinoscope.errors import CollectionError
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.locks import is_held

__all__ = ["PROGRESS_FILE", "Progress", "ProgressRecord", "RunningEmbedding", "read_progress"]

PROGRESS_FILE = "progress.json"
_SECONDS = 2.0  # between two records


@dataclass(frozen=True)
class Progress:
    """How far a run is: images done of ``total``, images a second, and seconds left."""

    done: int
    total: int
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class RunningEmbedding:
    """An embedding that another process, or this one, is running now.

    Attributes:
        done: Images that it has embedded or found unreadable.
        total: Images that it found without a vector when it began.
        written: Images with a vector that it has stored: a collection opened now holds them.
        images_per_second: Its rate.
        seconds_left: Seconds left at that rate.
        model: Name of the model.
        pid: Number of its process.
        host: Machine of its process.
        updated: When this was so, in seconds since 1970.
    """

    done: int
    total: int
    written: int
    images_per_second: float
    seconds_left: float
    model: str
    pid: int
    host: str
    updated: float


class ProgressRecord:
    """Keeps ``progress.json`` while a run goes on, and tells ``on_progress``."""

    def __init__(self, path: Path, model: str, total: int, on_progress: Callable[[Progress], None] | None) -> None:
        self._file, self._model, self._total, self._tell = path / PROGRESS_FILE, model, total, on_progress
        self._began = time.monotonic()
        self._recorded = float("-inf")
        self._done = 0

    def advance(self, done: int, written: int) -> None:
        """Report, and every two seconds record, how many images are done and how many are stored."""
        self._done = done
        progress = self._progress()
        if time.monotonic() - self._recorded >= _SECONDS:
            self.record(written)
        if self._tell:
            self._tell(progress)

    def record(self, written: int) -> None:
        """Write the file. If that fails, the run continues without it."""
        self._recorded = time.monotonic()
        running = RunningEmbedding(
            **asdict(self._progress()),
            written=written,
            model=self._model,
            pid=os.getpid(),
            host=socket.gethostname(),
            updated=time.time(),
        )
        with suppress(OSError):
            write_json(self._file, asdict(running), durable=False, within=self._file.parent)

    def remove(self) -> None:
        """Delete the file."""
        with suppress(OSError):
            self._file.unlink(missing_ok=True)

    def _progress(self) -> Progress:
        rate = self._done / max(time.monotonic() - self._began, 1e-9)
        return Progress(self._done, self._total, rate, (self._total - self._done) / rate if rate else 0.0)


def read_progress(path: str | os.PathLike[str]) -> RunningEmbedding | None:
    """Return how far the embedding is that runs on this collection now; None if none does.

    What a killed run left behind does not count: its lock is free.
    """
    folder = named_path(path)
    try:
        running = RunningEmbedding(**read_json(folder / PROGRESS_FILE, RunningEmbedding))
    except (OSError, CollectionError, TypeError):
        return None
    return running if is_held(folder) else None
