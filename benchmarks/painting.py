"""What thumbnails in patch colours take: ``benchmarks.patches --only colours``.

10,000 photographs at 64 pixels, whose patches are drawn at random: what keeping and drawing their colours costs does
not depend on what they say. Each sheet is drawn in a collection that was just opened, as after a start of the explorer.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from dinoscope.collection import Collection
from dinoscope.explorer.sheets import COLUMNS, colour_sheet, tile_side
from dinoscope.stages.queries.colour_grids import keep_colours, plan_colours

__all__ = ["print_colours"]

_GRID, _DIM, _COUNT = 16, 256, 10_000


def print_colours(photos: NDArray[np.uint8]) -> None:
    """Print a table.

    Args:
        photos: uint8 (N, h, w, 3); they are repeated.
    """
    draw = np.random.default_rng(0)

    def drawn(*_: object, **__: object) -> NDArray[np.float16]:
        tokens = draw.standard_normal((_GRID, _GRID, _DIM), np.float32)
        unit: NDArray[np.float16] = (tokens / np.linalg.norm(tokens, axis=2, keepdims=True)).astype(np.float16)
        return unit

    def never() -> None:
        raise AssertionError("everything is kept")

    print("\n| images | on the disk | a sheet of 256, median; worst |\n| --- | --- | --- |")
    for count in (1_000, _COUNT):
        with TemporaryDirectory() as place:
            chosen = np.resize(photos, (count, *photos.shape[1:]))
            made = Collection.from_images(chosen, Path(place, "c"), model="mini")
            modules = [
                patch(f"dinoscope.stages.queries.{name}.look_at_tokens", drawn) for name in ("patches", "colour_grids")
            ]
            one = [
                patch(f"dinoscope.stages.queries.{name}.in_threads", lambda work, items: [work(each) for each in items])
                for name in ("patches", "colour_grids")
            ]
            with modules[0], modules[1], one[0], one[1]:
                keep_colours(made, made.encoder)
            folder = made.path / "results" / "patch_colours"
            size = sum(each.stat().st_size for each in folder.iterdir())
            took = []
            for index in np.linspace(0, -(-count // COLUMNS**2) - 1, 12).astype(int).tolist():
                opened = Collection(made.path)
                tile = tile_side(opened)
                began = time.perf_counter()
                colour_sheet(opened, index, tile, never)  # type: ignore[arg-type]
                took.append(time.perf_counter() - began)
            median, worst = 1000 * np.median(took), 1000 * max(took)
            print(f"| {count:,} | {size / 1e6:.2f} MB | {median:.0f} ms; {worst:.0f} ms |", flush=True)
            if count == 1_000:
                keep = made.keep_tokens()
                for file in folder.iterdir():
                    file.unlink()
                opened = Collection(made.path)
                told = plan_colours(opened, never)  # type: ignore[arg-type]
                began = time.perf_counter()
                keep_colours(opened, never)  # type: ignore[arg-type]
                seconds = time.perf_counter() - began
                print(f"of {keep.missing:,} kept tokens: told {told.seconds:.1f} s, taken {seconds:.1f} s", flush=True)
