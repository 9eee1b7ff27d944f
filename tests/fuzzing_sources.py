"""Hostile archives and tables by the hundred, in a process of its own: ``python -m tests.fuzzing_sources COUNT SEED``.

Each is opened, and its pictures are read, as ``embed`` does it; see tests/fuzzing_containers.py for what they hold. It
prints how many could be read, at least in part, and how many were refused, the most memory in MB that a process which
reads one of them alone holds, the longest time in seconds, and what went wrong: any other error than a
`DinoscopeError` of one line, more than 1.5 GB, a picture from outside, a file that was made, a connection. Ten seconds
for one of them end it with another exit code.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import logging
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

from PIL import Image

from dinoscope.embedding.pipeline import embed_source
from dinoscope.errors import DinoscopeError, ImageError
from dinoscope.models.encoder import Encoder
from dinoscope.sources.base import ImageSource
from dinoscope.sources.opening import open_source
from tests.fuzzing import peak
from tests.fuzzing_containers import hostile

_SECONDS, _MEGABYTES = 10, 1500  # for one of them, at most
_LOADED = 12  # images of each that are read one by one
_EMBEDDED = 4  # every so many-th is embedded besides
_OUTSIDE = (201, 13, 77)  # colour of a picture beside the folder of each case
_faults: list[str] = []


class _Watch:
    """Notes connections, which no source of this machine needs."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
            self.called.append(f"{event} {args[-1]}"[:100])


def read(path: Path, made: Path, encoder: Encoder, number: int) -> str:
    """Open a source and read its first pictures; return how that ended."""
    try:
        source = open_source(str(path))
    except DinoscopeError as error:
        return _refused(error)
    for item in source.items[:1000]:
        for text in (item.id, item.label, item.split, item.caption, *item.labels):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{text!r} is not a text")
    read = sum(_is_read(source, index) for index in range(min(_LOADED, len(source.items))))
    if number % _EMBEDDED == 0 and len(source.items) < 1000:
        try:
            embed_source(source, made, encoder)
        except DinoscopeError as error:
            return _refused(error)
    return "read" if read else "nothing in it read"


def _is_read(source: ImageSource, index: int) -> bool:
    try:
        source.content(index)
        pixels = source.load(index)
    except ImageError as error:
        _refused(error)
        return False
    if tuple(pixels[0, 0].tolist()) == _OUTSIDE:
        raise ValueError("a file outside was read")
    return True


def _refused(error: DinoscopeError) -> str:
    if "\n" in str(error):
        raise ValueError(f"more than a line: {str(error)[:200]!r}") from error
    return "refused"


def _resident() -> int:
    """Return the memory that this process holds at this moment, in MB."""
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) >> 10


def main(count: int, seed: int) -> None:
    """Read so many hostile archives and tables."""
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", module="PIL")  # as the command line does
    logging.getLogger("dinoscope").setLevel(logging.CRITICAL)
    watch, outcome, most, longest = _Watch(), Counter[str](), 0, 0.0
    encoder = Encoder("mini", device="cpu", threads=1)
    sys.addaudithook(watch)
    gc.collect()
    own = _resident()
    for number in range(seed, seed + count):
        with tempfile.TemporaryDirectory() as place:
            case = Path(place) / "case"
            case.mkdir()
            for name in ("outside.png", "0.png"):
                Image.new("RGB", (9, 9), _OUTSIDE).save(Path(place) / name)
            with warnings.catch_warnings(action="ignore"):
                kind, path = hostile(case, number)
            gc.collect()
            base = _resident()
            before = set(Path(place).rglob("*"))
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            faulthandler.dump_traceback_later(_SECONDS, exit=True)
            began = time.monotonic()
            try:
                outcome[read(path, Path(place) / "c.dino", encoder, number)] += 1
            except Exception as error:  # what this looks for
                where = [f"{Path(at.filename).name}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)]
                _faults.append(f"{number} {kind}: {type(error).__name__}: {str(error)[:160]} at {where[-4:]}")
            faulthandler.cancel_dump_traceback_later()
            took = own + peak() - base
            longest, most = max(longest, time.monotonic() - began), max(most, took)
            if took > _MEGABYTES:
                _faults.append(f"{number} {kind}: {took} MB")
            made = {each for each in Path(place).rglob("*") if "c.dino" not in each.parts} - before
            if made or watch.called:
                _faults.append(f"{number} {kind}: made {sorted(map(str, made))}, called {watch.called}")
                watch.called.clear()
    found = {**outcome, "faults": _faults, "megabytes": most, "seconds": round(longest, 1)}
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
