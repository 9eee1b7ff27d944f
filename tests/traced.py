"""A program watched from outside: which files it makes and whom it calls, by the system calls of all its processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

STRACE = shutil.which("strace")
_CALLS = "trace=connect,sendto,sendmsg,sendmmsg,openat,open,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
_CALLS += ",symlink,symlinkat"
_ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)")')
_LOOPBACK = ("127.", "::1", "::ffff:127.")
PATIENCE = 250  # seconds
_SYSTEM = ("/dev/", "/proc/", "/sys/")


@dataclass
class Trace:
    """What a program did.

    Attributes:
        code: Its exit status.
        text: What it printed.
        made: Files and folders that it made or opened for writing.
        called: Addresses beyond this machine that it called or wrote to, look-ups of names among them.
    """

    code: int
    text: str
    made: set[Path] = field(default_factory=set)
    called: set[str] = field(default_factory=set)


def needed() -> None:
    """Skip what needs strace where there is none; where changes are accepted that is a failure."""
    if STRACE is None and os.environ.get("CI") == "true":
        pytest.fail("missing: strace")
    if STRACE is None:
        pytest.skip("missing: strace")


def traced(
    code: list[str], home: Path, *, idle: float = 0, answers: str = "", program: tuple[str, ...] = ("-m", "dinoscope")
) -> Trace:
    """Run ``python PROGRAM CODE`` with a home and a temporary folder of its own below ``home``.

    Args:
        code: The command's arguments.
        home: An empty folder, or one of an earlier run.
        idle: Seconds after its address, when a program that serves is ended; 0 waits for its own end.
        answers: What is typed.
        program: What Python runs.
    """
    log, temporary = home / "strace.log", home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XDG_", "HF_", "RAY_", "ORT_", "COVERAGE_"))
    }
    kept |= {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
    assert STRACE is not None
    watch = [
        STRACE,
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-yy",
        "-s",
        "256",
        "-e",
        _CALLS,
        "-e",
        "signal=none",
        "-o",
        str(log),
    ]
    command = [*watch, sys.executable, *program, *code]
    with subprocess.Popen(
        command, cwd=home, env=kept, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        begun = ""
        if idle:
            assert process.stdout is not None
            while "http://" not in begun and (line := process.stdout.readline()):
                begun += line
            time.sleep(idle)
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGINT)  # strace itself does not listen
        text = begun + process.communicate(answers, timeout=PATIENCE)[0]
    result = Trace(process.returncode, text)
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            _note(line, home, result)
    log.unlink()
    return result


def _note(line: str, home: Path, result: Trace) -> None:
    call = re.match(r"\d+\s+(\w+)\((.*)", line)
    if call is None:
        return
    name, rest = call.groups()
    if name in ("connect", "sendto", "sendmsg", "sendmmsg"):
        # connecting a datagram socket asks the system for a route and sends nothing; what is sent through it names it
        found = [] if name == "connect" and "<UDP" in rest else _ADDRESS.findall(rest)
        peer = re.match(r"\d+<UDP\w*:\[.*->\[?([^]]+?)\]?:(\d+)\]>", rest)
        pairs = [(port, four or six) for port, four, six in found] + ([(peer[2], peer[1])] if peer else [])
        result.called |= {f"{host}:{port}" for port, host in pairs if not host.startswith(_LOOPBACK)}
        return
    if " = -1 " in rest:
        return
    if name in ("openat", "open") and not re.search(r"O_WRONLY|O_RDWR|O_CREAT", rest):
        return
    paths = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
    folder = re.match(r"(?:AT_FDCWD|\d+)<([^>]*)>", rest)
    if paths:
        path = Path(os.path.normpath(Path(folder[1] if folder else home) / paths[-1]))
        if not str(path).startswith(_SYSTEM):
            result.made.add(path)
