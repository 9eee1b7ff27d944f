"""Patch tokens of a whole collection, kept beside its vectors."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import unit_tokens
from dinoscope.base.checks import check_count
from dinoscope.base.machine import cores
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.text import counted
from dinoscope.base.typed import mismatch
from dinoscope.base.types import JsonObject
from dinoscope.errors import InputError, WriteError
from dinoscope.stages.queries.search import patch_encoder
from dinoscope.stages.results.kept import Computed
from dinoscope.storage.manifest import list_models

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "TOKEN_IMAGES",
    "TokenPart",
    "TokenPlan",
    "check_resolution",
    "has_tokens",
    "keep_command",
    "keep_tokens",
    "kept_resolutions",
    "kept_tokens",
    "look_at_tokens",
    "part_settings",
    "parts_lacking",
    "parts_of",
    "plan_tokens",
    "time_looks",
    "token_part",
]

TOKEN_IMAGES = 10_000  # whose tokens are kept, unless more are allowed: with mini they take 1.3 GB
_PART = 256  # images whose tokens are stored together: what a kill loses at most
_GROUP = 32  # images that are looked at between two reports
_SAMPLE = 24  # images that are looked at to tell size and time
_STAGE = "tokens"


@dataclass(frozen=True)
class TokenPlan:
    """What it takes to keep the tokens of a collection.

    Attributes:
        images: Images of the collection.
        missing: Those whose tokens are not kept yet.
        size: Bytes that the missing ones take on the disk, measured on a few of them.
        seconds: Seconds that the missing ones take, measured likewise.
    """

    images: int
    missing: int
    size: int
    seconds: float

    @property
    def resumes(self) -> bool:
        """Whether the work can go on where somebody stopped it: 256 images are stored at a time."""
        return self.missing > _PART


@dataclass(frozen=True, eq=False)
class TokenPart:
    """Unit tokens of some consecutive images (P, D), and rows and columns of patches of each (n, 2)."""

    tokens: NDArray[np.float16]
    grids: NDArray[np.int64]

    def of_image(self, number: int) -> NDArray[np.float16]:
        """Return the tokens of one of these images (H, W, D), as a view."""
        rows, columns = self.grids[number].tolist()
        end = int(self.grids[: number + 1].prod(axis=1).sum())
        return self.tokens[end - rows * columns : end].reshape(rows, columns, -1)


def keep_tokens(
    collection: OpenedCollection,
    *,
    resolution: int | None = None,
    weights: str | None = None,
    encoder: Encoder | None = None,
    at_most: int = TOKEN_IMAGES,
    on_plan: Callable[[TokenPlan], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TokenPlan:
    """Compute and store the tokens of all images that have none yet.

    See ``Collection.keep_tokens``.
    """
    check_resolution(resolution)
    if collection.results.read_only:
        raise InputError(f"tokens are stored in the collection, and {collection.path} was opened for reading alone")
    count = len(collection)
    _check_limit(count, at_most)
    model = encoder or patch_encoder(collection, resolution, weights)
    plan = plan_tokens(collection, model, resolution)
    if on_plan is not None:
        on_plan(plan)
    done, before = count - plan.missing, collection.results.unstored
    for rows in parts_lacking(collection, _STAGE, resolution):

        def report(part: int, start: int = done) -> None:
            if on_progress is not None:
                on_progress(start + part, count)

        token_part(collection, rows, resolution, lambda: model, report)
        if collection.results.unstored > before:
            raise WriteError(
                f"the tokens of {counted(count - done)} cannot be stored in {collection.path}: make room on its disk, "
                "and run the same again; what is stored stays"
            )
        done += rows.stop - rows.start
        report(0, done)
    return plan


def check_resolution(resolution: int | None) -> None:
    """Raise an InputError unless this is a number of pixels, or None."""
    if resolution is not None:
        check_count(resolution, "resolution")


def keep_command(
    collection: OpenedCollection, folder: str, *, resolution: int | None = None, at_most: int | None = None
) -> str:
    """Return the command that keeps the tokens of a collection; ``folder`` is what it calls the collection."""
    words = ["dinoscope", "look", folder, "--keep-tokens"]
    words += [] if resolution is None else ["--resolution", str(resolution)]
    words += ["--model", collection.key] if len(list_models(collection.path)) > 1 else []
    words += [] if at_most is None else ["--at-most", str(at_most)]
    return shlex.join(words)


def _check_limit(count: int, at_most: int) -> None:
    if count > check_count(at_most, "at_most"):
        raise InputError(
            f"tokens are kept of at most {at_most:,} images, got {count:,}: allow more (--at-most {count}), or embed a "
            f"part of them into a collection of its own (dinoscope embed --limit {at_most})"
        )


def plan_tokens(collection: OpenedCollection, encoder: Encoder, resolution: int | None = None) -> TokenPlan:
    """Look at a few of the images whose tokens are not kept yet, and tell what all of these take."""
    missing = [np.arange(rows.start, rows.stop) for rows in parts_lacking(collection, _STAGE, resolution)]
    if not missing:
        return TokenPlan(len(collection), 0, 0, 0.0)
    positions = np.concatenate(missing)
    seconds, tokens = time_looks(collection, encoder, positions, resolution)
    size = float(np.mean([each.nbytes for each in tokens]))
    return TokenPlan(len(collection), len(positions), math.ceil(size * len(positions)), seconds * len(positions))


def time_looks(
    collection: OpenedCollection, encoder: Encoder, positions: NDArray[np.int64], resolution: int | None = None
) -> tuple[float, list[NDArray[np.float16]]]:
    """Look at a few of the images at some positions, from all over these.

    Reading is timed by itself, in groups as they are read later: a file gives many thumbnails as quickly as one.

    Returns:
        The seconds that one of these images takes, and the unit tokens (H, W, D) of those that were looked at.
    """
    firsts = np.unique(np.linspace(0, max(0, len(positions) - _GROUP), 3).round().astype(int)).tolist()
    began = time.perf_counter()
    read = [collection.thumbnails(positions[first : first + _GROUP]) for first in firsts]
    reading = (time.perf_counter() - began) / sum(map(len, read))
    pictures = [picture for group in read for picture in group[:: max(1, len(read) * len(group) // _SAMPLE)]]
    look = partial(look_at_tokens, encoder, resolution=resolution)
    in_threads(look, pictures[: cores()])  # the first runs of a model take longer
    began = time.perf_counter()
    tokens = in_threads(look, pictures)
    return reading + (time.perf_counter() - began) / len(pictures), tokens


def look_at_tokens(encoder: Encoder, picture: bytes, resolution: int | None = None) -> NDArray[np.float16]:
    """Return the unit tokens of a picture (H, W, D)."""
    return unit_tokens(encoder.look(picture, resolution).tokens)[0].astype(np.float16)


def part_settings(first: int, resolution: int | None) -> JsonObject:
    """Return the settings of a stage that keeps what concerns patches in parts, by the part's first position."""
    return {"first": first, "images": _PART, "resolution": resolution}


def kept_resolutions(collection: OpenedCollection) -> list[int | None]:
    """Return the resolutions at which the tokens of all images are kept, the one that was kept last first."""
    wanted = {rows.start for rows in parts_of(collection)}
    return [each for each, firsts in _stored(collection, _STAGE).items() if firsts >= wanted]


def parts_of(collection: OpenedCollection) -> list[slice]:
    """Return the positions whose tokens are stored together, 256 images each."""
    return row_blocks(len(collection), _PART)


def parts_lacking(collection: OpenedCollection, stage: str, resolution: int | None = None) -> list[slice]:
    """Return the positions of the parts that a stage has not kept."""
    there = _stored(collection, stage).get(resolution, set())
    return [rows for rows in parts_of(collection) if rows.start not in there]


def _stored(collection: OpenedCollection, stage: str) -> dict[int | None, set[int]]:
    """Return the first position of each part that is kept, by resolution, the one that was written last first."""
    found: dict[int | None, set[int]] = {}
    for settings in collection.results.stored(stage):
        first, resolution = settings.get("first"), settings.get("resolution")
        if not isinstance(first, int) or not (resolution is None or isinstance(resolution, int)):
            continue
        if settings == part_settings(first, resolution):
            found.setdefault(resolution, set()).add(first)
    return found


def token_part(
    collection: OpenedCollection,
    rows: slice,
    resolution: int | None,
    encoder: Callable[[], Encoder],
    report: Callable[[int], None] = lambda _: None,
) -> TokenPart:
    """Return the tokens of the images at some positions, computed unless they are kept."""
    count = rows.stop - rows.start

    def compute() -> Computed:
        model, found = encoder(), []
        for group in row_blocks(count, _GROUP):
            pictures = collection.thumbnails(np.arange(rows.start + group.start, rows.start + group.stop))
            found += in_threads(partial(look_at_tokens, model, resolution=resolution), pictures)
            report(len(found))
        flat = np.concatenate([each.reshape(-1, each.shape[2]) for each in found])
        return {"tokens": flat}, {"grids": [list(each.shape[:2]) for each in found]}

    def check(found: Computed) -> None:
        grids = found[1].get("grids")
        if mismatch(grids, list[list[int]]) or not isinstance(grids, list) or len(grids) != count:
            raise ValueError("it does not say how many patches each image has")
        if any(len(grid) != 2 or min(grid) < 1 for grid in grids):
            raise ValueError("its images have no patches")
        if sum(rows * columns for rows, columns in grids) != len(found[0]["tokens"]):
            raise ValueError("its patches are not those of its images")

    columns, meta = collection.results.run(_STAGE, part_settings(rows.start, resolution), compute, check=check)
    return TokenPart(columns["tokens"], np.asarray(meta["grids"], np.int64))


def has_tokens(collection: OpenedCollection, positions: NDArray[np.int64], resolution: int | None = None) -> bool:
    """Tell whether the tokens of the images at some positions are kept, without reading them."""
    firsts = np.unique(positions // _PART * _PART).tolist()
    return all(collection.results.has(_STAGE, part_settings(first, resolution)) for first in firsts)


def kept_tokens(
    collection: OpenedCollection,
    positions: NDArray[np.int64],
    encoder: Callable[[], Encoder],
    resolution: int | None = None,
) -> list[NDArray[np.float16]] | None:
    """Return the unit tokens (H, W, D) of the images at some positions; None where they are not kept.

    Args:
        collection: The collection.
        positions: Which images.
        encoder: Gives its model, should what is kept be damaged.
        resolution: See ``keep_tokens``.
    """
    if not has_tokens(collection, positions, resolution):
        return None
    parts = parts_of(collection)
    found: dict[int, NDArray[np.float16]] = {}
    for number in np.unique(positions // _PART).tolist():
        part = token_part(collection, parts[number], resolution, encoder)
        for at in positions[positions // _PART == number].tolist():
            found[at] = part.of_image(at % _PART).copy()  # a view would hold the whole part in memory
    return [found[at] for at in positions.tolist()]
