"""How much a server grows while it sends a ZIP of a selection: ``python -m benchmarks.packing [--files N] [--kb KB]``.

N files of KB each are made and embedded, `dinoscope explore` serves them, and all of them are fetched as one ZIP, which
is thrown away as it comes. The memory of the server is read from the system before it, and every tenth of a second
(Linux).
"""

from __future__ import annotations

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from dinoscope.embedding.pipeline import embed_source
from dinoscope.models.encoder import Encoder
from dinoscope.sources.folder import FolderSource


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=5_000)
    parser.add_argument("--kb", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        make(photos, arguments.files, 1000 * arguments.kb)
        embed_source(FolderSource(photos), Path(place) / "c", Encoder("mini"))
        print("| files | GB | size told in, s | s | MB/s | the server grew by, MB |")
        print("| --- | --- | --- | --- | --- | --- |")
        print(measure(Path(place) / "c", photos), flush=True)


def make(folder: Path, count: int, size: int) -> None:
    """Write pictures of a size: small ones, with bytes behind them that no decoder reads."""
    generator = np.random.default_rng(0)
    for number in range(count):
        picture = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(picture, "PNG")
        file = folder / f"{number % 10}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture.getvalue() + generator.bytes(max(0, size - picture.tell())))


def measure(collection: Path, photos: Path) -> str:
    """Fetch all files as a ZIP, and return a line of the table."""
    command = [sys.executable, "-m", "dinoscope", "explore", str(collection), "--images", str(photos)]
    options = ["--no-browser", "--no-token", "--port", "0"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = re.findall(r"http://\S+", server.stderr.readline())[0]
            with httpx.Client(base_url=address, timeout=600) as client:
                model = f"/api/models/{client.get('/api/collection').json()['model']}"
                rows = np.frombuffer(client.get(f"{model}/rows").content, np.uint32).tolist()
                client.post(f"{model}/files", json={"rows": rows[:50]})
                time.sleep(10)  # what is prepared at the start is there
                before, seen, is_over = memory(server.pid), [0.0], threading.Event()
                watcher = threading.Thread(target=watch, args=(server.pid, seen, is_over))
                watcher.start()
                began = time.perf_counter()
                told = client.post(f"{model}/files", json={"rows": rows}).json()
                asked = time.perf_counter()
                with client.stream("GET", f"{model}/files/{told['key']}") as answer:
                    sent = sum(len(piece) for piece in answer.iter_raw())
                seconds = time.perf_counter() - asked
                is_over.set()
                watcher.join()
        finally:
            server.kill()
    speed, grown = sent / seconds / 1e6, max(seen) - before
    return f"| {len(rows):,} | {sent / 1e9:.2f} | {asked - began:.2f} | {seconds:.1f} | {speed:.0f} | {grown:.1f} |"


def memory(pid: int) -> float:
    """Return the memory that a process has in use, in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def watch(pid: int, seen: list[float], is_over: threading.Event) -> None:
    """Note the memory of a process until it is over."""
    while not is_over.wait(0.1):
        seen.append(memory(pid))


if __name__ == "__main__":
    main()
