"""What thumbnails in patch colours take: ``benchmarks.patches --only colours``.

10,000 photographs at 64 pixels, whose patches are drawn at random: what keeping and drawing their colours costs does
not depend on what they say. Each sheet is drawn in a collection that was just opened, as after a start of the explorer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from dinoscope.collection import Collection
from dinoscope.explorer.sheets import COLUMNS, colour_sheet, tile_side
from dinoscope.models.encoder import Encoder
from dinoscope.stages.queries.colour_grids import keep_colours, plan_colours

__all__ = ["print_colours"]

_GRID, _DIM, _COUNT = 16, 256, 10_000


def print_colours(photos: NDArray[np.uint8]) -> None:
    """Print a table.

    Args:
        photos: uint8 (N, h, w, 3); they are repeated.
    """
    print("\n| images | on the disk | a sheet of 256, median; worst |\n| --- | --- | --- |")
    for count in (1_000, _COUNT):
        with TemporaryDirectory() as place:
            chosen = np.resize(photos, (count, *photos.shape[1:]))
            _print_line(Collection.from_images(chosen, Path(place, "c"), model="mini"))
    with TemporaryDirectory() as place:
        _print_from_tokens(Collection.from_images(photos[:1_000], Path(place, "c"), model="mini"))


def _print_line(made: Collection) -> None:
    with _drawn_tokens():
        keep_colours(made, made.encoder)
    size = sum(each.stat().st_size for each in (made.path / "results" / "patch_colours").iterdir())
    took = []
    for index in np.linspace(0, -(-len(made) // COLUMNS**2) - 1, 12).astype(int).tolist():
        opened = Collection(made.path)
        tile = tile_side(opened)
        began = time.perf_counter()
        colour_sheet(opened, index, tile, _never)
        took.append(time.perf_counter() - began)
    median, worst = 1000 * np.median(took), 1000 * max(took)
    print(f"| {len(made):,} | {size / 1e6:.2f} MB | {median:.0f} ms; {worst:.0f} ms |", flush=True)


def _print_from_tokens(made: Collection) -> None:
    with _drawn_tokens():
        made.keep_tokens()
    told = plan_colours(made, _never).seconds
    began = time.perf_counter()
    keep_colours(made, _never)
    print(f"{len(made):,} images whose tokens are kept: told {told:.1f} s, taken {time.perf_counter() - began:.1f} s")


@contextmanager
def _drawn_tokens() -> Iterator[None]:
    """Draw the tokens of images at random, one image after another."""
    draw = np.random.default_rng(0)

    def look(*_: object, **__: object) -> NDArray[np.float16]:
        tokens = draw.standard_normal((_GRID, _GRID, _DIM), np.float32)
        unit: NDArray[np.float16] = (tokens / np.linalg.norm(tokens, axis=2, keepdims=True)).astype(np.float16)
        return unit

    def one_by_one(work: Callable[[object], object], items: Iterable[object]) -> list[object]:
        return [work(each) for each in items]

    with ExitStack() as stack:
        for name in ("tokens", "patches", "colour_grids"):
            stack.enter_context(patch(f"dinoscope.stages.queries.{name}.look_at_tokens", look))
            stack.enter_context(patch(f"dinoscope.stages.queries.{name}.in_threads", one_by_one))
        yield


def _never() -> Encoder:
    raise AssertionError("everything is kept")
