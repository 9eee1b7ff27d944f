"""Time whole commands as a user sees them: ``python -m benchmarks.commands``. Medians of new processes."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

__all__ = ["main"]


def _time(command: list[str], folder: str) -> tuple[float, float]:
    """Return wall seconds and peak memory in MB of one run."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss / 1024


def _summary(runs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the median of the seconds and the most memory."""
    return statistics.median(seconds for seconds, _ in runs), max(memory for _, memory in runs)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    dinoscope = [str(Path(sys.executable).with_name("dinoscope"))]
    print("| command | seconds | peak MB | must |\n| --- | --- | --- | --- |")
    _time([*dinoscope, "--help"], ".")  # bytecode and file caches
    seconds, memory = _summary([_time([*dinoscope, "--help"], ".") for _ in range(5 * repeats)])
    print(f"| `dinoscope --help` in a new process | {seconds:.2f} | {memory:.0f} | 0.5 s |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        firsts, again = [], []
        for index in range(repeats):
            place = Path(folder) / str(index)
            place.mkdir()
            firsts.append(_time([*dinoscope, "demo"], str(place)))
            again.append(_time([*dinoscope, "demo"], str(place)))
    for name, runs, must in (("first", firsts, "18 s, 2000 MB"), ("second", again, "2 s")):
        seconds, memory = _summary(runs)
        print(f"| {name} `dinoscope demo` (10,000 images) | {seconds:.1f} | {memory:.0f} | {must} |", flush=True)


if __name__ == "__main__":
    main()
