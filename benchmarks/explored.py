"""Run ``dinoscope explore``, as a user would, for the benchmarks of its page and of its server."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

__all__ = ["Explored", "explored"]


class Explored(NamedTuple):
    """An explorer that runs."""

    address: str
    collection: Path
    process: int


@contextmanager
def explored(collection: Path | None, *options: str) -> Iterator[Explored]:
    """Explore a collection, by default the 10,000 images that ship with dinoscope; ``options`` of the command."""
    command = str(Path(sys.executable).with_name("dinoscope"))
    with tempfile.TemporaryDirectory() as folder:
        if collection is None:
            collection = Path(folder) / "fashion"
            subprocess.run([command, "demo", "-o", str(collection)], check=True, capture_output=True)
        explore = [command, "explore", str(collection), "--no-browser", "--no-token", "--port", "0", *options]
        with subprocess.Popen(explore, stderr=subprocess.PIPE, text=True) as server:
            try:
                assert server.stderr is not None
                said = ""
                # that images are missing is said before the address
                while not (found := re.search(r"http://\S+", said)):
                    line = server.stderr.readline()
                    if not line:
                        raise SystemExit(f"the server did not start: {said}")
                    said += line
                yield Explored(found[0], collection, server.pid)
            finally:
                server.terminate()
