"""What columns cost: Exif, answers to the page, conditions on 70,000 images: ``python -m benchmarks.columns``."""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from dinoscope.columns import Column, parse_condition
from dinoscope.explorer.columns import column_bytes, describe_columns, find_in_column
from dinoscope.sources.pixels.decode import read_reduced
from dinoscope.storage.columns import StoredColumn, read_columns, write_columns
from tests.pictures import photograph

__all__ = ["main"]

ROWS, PAIRS, REPEATS = 70_000, 301, 9
_READING = "dinoscope.sources.pixels.decode.describe_file"
_CONDITIONS = (
    "width > 500",
    "date >= 2024 and camera = 'camera 3' and width < 1000",
    "not (label in ('a', 'b') or note contains 'dress') and price <= 10 and camera is not missing",
)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    print("| decoding a JPEG with Exif | ms | Exif adds | |\n| --- | --- | --- | --- |")
    for name, side, least in (
        ("28 x 28, whole", 28, None),
        ("640 x 640, whole", 640, None),
        ("2048 x 2048 at 1/8", 2048, (224, 224)),
    ):
        without, ratio, spread = _pairs(side, least)
        print(
            f"| {name} | {without:.3f} | {ratio - 1:+.2%} | {without * (ratio - 1) * 1000:.0f} µs; quartiles {spread} |"
        )
    print(f"\n| {rows:,} images | ms |\n| --- | --- |")
    for name, seconds in _answers(rows).items():
        print(f"| {name} | {seconds * 1000:.2f} |")


def _pairs(side: int, least: tuple[int, int] | None) -> tuple[float, float, str]:
    """Return the milliseconds of decoding without Exif, and by how much it takes longer with it, in turns."""
    scene = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(scene).resize((side, side), Image.Resampling.BICUBIC)
    content = photograph(
        picture,
        "2024:05:17 12:00:00",
        ("Canon", "EOS 5D"),
        (48.8, 2.3),
        lens="EF 50mm",
        iso=100,
        exposure=0.01,
        f_number=2.8,
    )
    assert Image.open(io.BytesIO(content)).getexif()
    times: dict[bool, list[float]] = {True: [], False: []}
    count = max(11, PAIRS if side < 2000 else PAIRS // 5)
    for turn in range(count + 5):
        for with_exif in (True, False) if turn % 2 else (False, True):
            with ExitStack() as held:
                if not with_exif:
                    held.enter_context(patch(_READING, return_value=None))
                began = time.perf_counter()
                read_reduced(content, least)
                times[with_exif].append(time.perf_counter() - began)
    ratios = [one / two for one, two in zip(times[True][5:], times[False][5:], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return 1000 * statistics.median(times[False][5:]), middle, f"{low - 1:+.1%} to {high - 1:+.1%}"


def _answers(rows: int) -> dict[str, float]:
    draw = np.random.default_rng(0)
    numbers = draw.random(rows) * 2000
    numbers[::10] = np.nan
    words = ("a", "red", "dress", "with", "blue", "stripes")
    columns = {
        "width": Column("number", numbers),
        "price": Column("number", draw.random(rows) * 20),
        "date": Column("date", 1.6e9 + draw.random(rows) * 1e8),
        "camera": Column.of_texts([f"camera {each}" for each in draw.integers(0, 20, rows)]),
        "label": Column.of_texts(["abcdef"[each] for each in draw.integers(0, 6, rows)]),
        "note": Column.of_texts([" ".join(draw.choice(words, 6)) + f" {at}" for at in range(rows)], "text"),
    }
    told = {
        f"values of a {name}": _time(lambda name=name: column_bytes(_fresh(columns[name])))  # type: ignore[misc]
        for name in ("width", "date", "camera")
    }
    told["finding in texts"] = _time(lambda: find_in_column(columns["note"], "DRESS"))
    told["describing six columns"] = _time(
        lambda: describe_columns({name: _fresh(each) for name, each in columns.items()})
    )
    for text in _CONDITIONS:
        told[f"`{text}`"] = _time(lambda text=text: parse_condition(text).matches(columns))  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        images = {"removed": np.zeros(rows, bool), "generation": np.ones(rows, np.int64)}
        stored = {name: StoredColumn(each) for name, each in columns.items()}
        began = time.perf_counter()
        write_columns(Path(folder), images, stored)
        told["writing six columns"] = time.perf_counter() - began
        told["reading six columns"] = _time(lambda: read_columns(Path(folder), images))
        told["finding that they are the same"] = _time(lambda: write_columns(Path(folder), images, stored))
    return told


def _fresh(column: Column) -> Column:
    """Return a column that has computed nothing yet."""
    return Column(column.kind, column.values, column.private)


def _time(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
