"""A command that kills itself right before it changes a file: ``python -m tests.killed MOMENT COMMAND ARGUMENT...``.

Changes of files are counted by Python's audit hook: what is opened for writing, made, renamed, linked or removed. At
the one of that number the process gets SIGKILL, which nothing can catch. With moment 0 it runs to its end and prints
how many there were. COMMAND is one of dinoscope's, or ``decide``, ``take`` or ``annotate`` for what the explorer
writes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")


class Killer:
    """Counts changes of files below the folder that the process runs in."""

    def __init__(self, moment: int) -> None:
        self.moment, self.count, self.home = moment, 0, os.getcwd()

    def __call__(self, event: str, args: tuple[object, ...]) -> None:
        opened = event == "open" and isinstance(args[2], int) and args[2] & _WRITES
        if not (opened or event in _CHANGES) or not isinstance(args[0], str | Path):
            return
        if not os.path.abspath(args[0]).startswith(self.home):
            return
        self.count += 1
        if self.count == self.moment:
            os.kill(os.getpid(), signal.SIGKILL)


def decide(path: str) -> None:
    """Dismiss two findings and answer two pairs in the explorer."""
    from dinoscope.collection import Collection
    from dinoscope.stages.cleaning.findings import finding_key
    from tests.served import client

    opened = Collection(path)
    with client(Path(path), raising=True) as server:
        model = f"/api/models/{server.get('/api/collection').json()['model']}"
        for at in (0, 1):
            key = finding_key(opened, "outliers", [at])
            assert server.put(f"{model}/findings/{key}", json={"dismissed": True}).status_code == 204
            assert (
                server.put(f"{model}/questions?about=duplicates", json={"rows": [at, at + 5], "yes": False}).status_code
                == 200
            )


def take(path: str) -> None:
    """Export images as a collection of their own in the explorer."""
    from tests.served import client

    with client(Path(path), raising=True) as server:
        model = f"/api/models/{server.get('/api/collection').json()['model']}"
        asked = {"rows": [1, 2, 3], "format": "collection", "name": "taken.dino"}
        answer = server.post(f"{model}/export", json=asked)
        assert answer.status_code == 200 or "already" in answer.text, answer.text


def annotate(path: str) -> None:
    """Give images a label and a tag in the explorer."""
    from tests.served import client

    with client(Path(path), raising=True) as server:
        model = f"/api/models/{server.get('/api/collection').json()['model']}"
        seen = server.get(f"{model}/labels").json()["revision"]
        asked = {"rows": [2, 4], "label": "mine", "add_tags": ["seen"], "seen": seen}
        answer = server.put(f"{model}/labels", json=asked)
        assert answer.status_code == 200, answer.text


def perform(command: str, *rest: str) -> None:
    """Run a command to its end."""
    from dinoscope.cli import main as cli

    try:
        in_the_explorer = {"decide": decide, "take": take, "annotate": annotate}
        if command in in_the_explorer:
            in_the_explorer[command](*rest)
        else:
            sys.argv = ["dinoscope", command, *rest]
            cli.main()
    except SystemExit as ended:
        if ended.code:
            raise


def main() -> None:
    """Run a command that may be killed."""
    moment, *command = sys.argv[1:]
    killer = Killer(int(moment))
    sys.addaudithook(killer)
    perform(*command)
    sys.stderr.write(f"changes: {killer.count}\n")


if __name__ == "__main__":
    main()
