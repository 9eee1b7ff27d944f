"""Uploads are decoded in separate processes: a file that takes too long, or all memory, ends only its process."""

from __future__ import annotations

import pickle
import subprocess
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.processes import pipes, start
from dinoscope.errors import ImageError
from dinoscope.server.decoder import ANSWER, QUESTION, SECONDS

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder

__all__ = ["Decoders"]

_MOMENT = 1.0  # seconds; usually shorter than starting another process
_DECODER = "dinoscope.server.decoder"
_LONGEST = 1000  # bytes of a reason


@dataclass(eq=False)
class _Work:
    process: subprocess.Popen[bytes]
    is_over: bool = False  # the process has ended or is about to
    is_late: bool = False


class Decoders:
    """Decoding processes, started when they are needed and then kept."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: set[subprocess.Popen[bytes]] = set()
        self._working: dict[int, _Work] = {}  # by the number of the content
        self._lock = threading.Lock()
        self.stop = weakref.finalize(self, _end_all, self._all)  # at the latest when Python ends

    def square(self, content: memoryview, encoder: Encoder) -> NDArray[np.uint8]:
        """Return what the model sees of an image in its file's bytes: uint8 (resolution, resolution, 3).

        Raises:
            ImageError: If it is not an image, too large, or not decoded in time.
        """
        settings = pickle.dumps((encoder.preprocessing, encoder.resolution, encoder.decoding))
        work = _Work(self._take())
        with self._lock:
            self._working[id(content)] = work
        deadline = self._expire_after(self._seconds, work)
        is_picture, answer = False, b""
        try:
            is_picture, answer = _ask(work.process, settings, content, 3 * encoder.resolution**2)
        except (OSError, EOFError, ValueError):
            work.is_over = True
        finally:
            deadline.cancel()
            with self._lock:
                del self._working[id(content)]
                if not work.is_over:
                    self._idle.append(work.process)
            if work.is_over:
                self._end(work.process)
        if not answer:
            reason = f"takes longer than {self._seconds:g} seconds to decode" if work.is_late else "cannot be decoded"
            raise _refusal(f"{reason}: save it in another format")
        if not is_picture:
            raise _refusal(answer.decode(errors="replace"))
        return np.frombuffer(answer, np.uint8).reshape(encoder.resolution, encoder.resolution, 3)

    def give_up(self, content: memoryview) -> None:
        """End the process that decodes a file that nobody waits for, unless it ends by itself in a moment."""
        with self._lock:
            work = self._working.get(id(content))
        if work is not None:
            self._expire_after(_MOMENT, work)

    def _expire_after(self, seconds: float, work: _Work) -> threading.Timer:
        deadline = threading.Timer(seconds, self._expire, [work])
        deadline.daemon = True
        deadline.start()
        return deadline

    def _expire(self, work: _Work) -> None:
        with self._lock:
            if work in self._working.values():
                work.is_over = work.is_late = True
                work.process.kill()

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.poll() is None:
                    return process
                self._all.discard(process)
        process = start(_DECODER)
        self._all.add(process)
        if not self.stop.alive:  # the server has ended meanwhile
            self._end(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _end_all({process})
        self._all.discard(process)


def _ask(process: subprocess.Popen[bytes], settings: bytes, content: memoryview, size: int) -> tuple[bool, bytes]:
    asks, answers = pipes(process)
    asks.write(QUESTION.pack(len(settings), len(content)))
    asks.write(settings)
    asks.write(content)
    asks.flush()
    is_picture, length = ANSWER.unpack(_read(answers, ANSWER.size))
    if length != size if is_picture else length > _LONGEST:  # do not trust a process that decodes strange files
        raise ValueError(length)
    return is_picture, _read(answers, length)


def _read(answers: IO[bytes], length: int) -> bytes:
    found = answers.read(length)
    if len(found) < length:
        raise EOFError
    return found


def _end_all(processes: set[subprocess.Popen[bytes]]) -> None:
    for process in list(processes):
        process.kill()
        process.wait()
        for pipe in pipes(process):
            with suppress(OSError, ValueError):  # nobody reads what was still to be written
                pipe.close()


def _refusal(reason: str) -> ImageError:
    clause = reason if reason.split()[0] in ("is", "has", "needs", "takes", "cannot") else f"is {reason}"
    return ImageError(f"this image cannot be searched for: it {clause}")
