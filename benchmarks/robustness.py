"""What goes wrong in a real run: broken files, and a process killed ten times.

``python -m benchmarks.robustness`` prints a Markdown table. Peak memory is the whole process's, as the operating system
counts it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from dinoscope import Collection
from dinoscope.sources.datasets.named import load_dataset

__all__ = ["broken_folder", "kill_runs", "main", "make_broken_folder"]


def _png(width: int, height: int, rows: bytes = b"") -> bytes:
    """Return a PNG whose header promises any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def make_broken_folder(folder: Path) -> list[str]:
    """Fill ``folder`` with 180 good images of many kinds and 20 broken ones; return the names of the broken ones."""
    dataset = load_dataset("fashion-mnist-test")
    kinds = ("png", "jpg", "webp", "gif", "bmp", "tiff")
    for index in range(180):
        path = folder / f"good-{index:03d}.{kinds[index % len(kinds)]}"
        # every third one is as large as a photo
        side = 2000 if index % 3 == 0 else 200
        Image.fromarray(dataset.pixels[index]).resize((side, side * 3 // 4)).save(path)
    whole = (folder / "good-000.png").read_bytes()
    whole_jpeg = (folder / "good-001.jpg").read_bytes()
    broken: dict[str, bytes] = {}
    for index in range(3):
        broken[f"truncated-{index}.png"] = whole[: len(whole) // (index + 2)]
        broken[f"truncated-{index}.jpg"] = whole_jpeg[: len(whole_jpeg) // (index + 2)]
        broken[f"empty-{index}.jpg"] = b""
        broken[f"text-{index}.jpg"] = b"this is text, not a picture\n" * 50
    broken["zero.png"] = _png(0, 0)
    broken["bomb-header.png"] = _png(60_000, 60_000)
    broken["bomb.png"] = _png(60_000, 60_000, b"\0" * 60_000_000)
    broken["noise.webp"] = os.urandom(3000)
    broken["header-only.gif"] = b"GIF89a"
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    (folder / "x.png").mkdir()
    # unreadable for everyone, root too: a link that leads nowhere, and one that leads to itself
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    return sorted([*broken, "x.png", "dangling.jpg", "loop.jpg"])


def broken_folder() -> str:
    """Embed 200 files of which 20 are broken; one row of the table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        folder.mkdir()
        broken = make_broken_folder(folder)
        code = (
            "import resource, sys; from dinoscope.cli.main import main\n"
            "try:\n main()\n"
            "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
        )
        command = [
            sys.executable,
            "-c",
            code,
            "embed",
            str(folder),
            "-o",
            f"{temporary}/c",
            "--model",
            "mini-fashion",
            "--json",
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        result = json.loads(run.stdout)
        memory = int(run.stderr.split()[-1]) / 1024
        named = sorted(failure["id"] for failure in result["failures"])
        good = len(Collection(f"{temporary}/c"))
        for failure in result["failures"]:
            sys.stderr.write(f"{failure['id']}: {failure['reason']}\n")
    verdict = "all named" if named == broken else f"named {named}, expected {broken}"
    outcome = f"{good} embedded, {len(named)} named with a reason ({verdict}), peak {memory:.0f} MB"
    return f"| {len(broken)} broken files among {good + len(broken)} | {outcome} |"


_RUN = """
import sys
from dinoscope import Collection
print("ready", flush=True)
Collection.from_images("fashion-mnist-test", sys.argv[1], model="mini-fashion", limit=6000)
"""
_SMALL_PARTS = "import dinoscope.embedding.pipeline as e; e._PART_ROWS = 256\n"


def kill_runs(times: int, seed: int) -> str:
    """Kill an embedding at random moments, finish it, compare with an undisturbed run; one row of the table."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as temporary:
        undisturbed, target = f"{temporary}/undisturbed", f"{temporary}/killed"
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", _SMALL_PARTS + _RUN, undisturbed], check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
        killed = 0
        for _ in range(times):
            process = subprocess.Popen([sys.executable, "-c", _SMALL_PARTS + _RUN, target], stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0.1, 2 * whole / times)))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
            process.stdout.close()
        subprocess.run([sys.executable, "-c", _SMALL_PARTS + _RUN, target], check=True, stdout=subprocess.DEVNULL)
        expected, got = Collection(undisturbed), Collection(target)
        import pyarrow.parquet as pq

        parts = sorted(Path(target).glob("vectors/*/part-*.parquet"))
        rows = np.concatenate([pq.read_table(part, columns=["row"])["row"].to_numpy() for part in parts])
    twice, lost = len(rows) - len(np.unique(rows)), len(set(expected.rows) - set(got.rows))
    same = expected.vectors.shape == got.vectors.shape and bool((expected.vectors == got.vectors).all())
    outcome = f"vectors {'identical' if same else 'DIFFER'}, {lost} lost, {twice} twice"
    return f"| killed {killed} of {times} times, {len(expected)} images | {outcome} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print("| what | outcome |\n| --- | --- |")
    print(broken_folder(), flush=True)
    print(kill_runs(args.kills, args.seed), flush=True)


if __name__ == "__main__":
    main()
