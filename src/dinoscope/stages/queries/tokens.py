"""Patch tokens of a whole collection, kept beside its vectors, and the search among them by one patch."""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import token_similarities, unit_tokens
from dinoscope.base.checks import check_count, shown
from dinoscope.base.parallel import in_threads, row_blocks
from dinoscope.base.text import counted
from dinoscope.base.typed import mismatch
from dinoscope.base.types import JsonObject
from dinoscope.errors import InputError, WriteError
from dinoscope.sources.pixels.decode import Query
from dinoscope.stages.queries.patches import patch_encoder
from dinoscope.stages.queries.windows import Spot
from dinoscope.stages.results.kept import Computed
from dinoscope.storage.manifest import list_models

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["TOKEN_IMAGES", "TokenPlan", "keep_tokens", "search_patch"]

TOKEN_IMAGES = 10_000  # whose tokens are kept, unless more are allowed: with mini they take 1.3 GB
_PART = 256  # images whose tokens are stored together: what a kill loses at most
_SAMPLE = 24  # images that are looked at to tell size and time
_MOST_HELD = 2_000_000_000  # bytes of tokens in memory; more are read again for each search
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


@dataclass(frozen=True, eq=False)
class _Part:
    """Unit tokens of some consecutive images (P, D), and rows and columns of patches of each (n, 2)."""

    tokens: NDArray[np.float16]
    grids: NDArray[np.int64]


def keep_tokens(
    collection: OpenedCollection,
    *,
    resolution: int | None = None,
    weights: str | None = None,
    at_most: int = TOKEN_IMAGES,
    on_plan: Callable[[TokenPlan], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> TokenPlan:
    """Compute and store the tokens of all images that have none yet.

    See ``Collection.keep_tokens``.
    """
    _check_resolution(resolution)
    if collection.results.read_only:
        raise InputError(f"tokens are stored in the collection, and {collection.path} was opened for reading alone")
    count = len(collection)
    if count > check_count(at_most, "at_most"):
        raise InputError(
            f"tokens are kept of at most {at_most:,} images, got {count:,}: allow more (--at-most {count}), or embed a "
            f"part of them into a collection of its own (dinoscope embed --limit {at_most})"
        )
    encoder = patch_encoder(collection, resolution, weights)
    there = _stored(collection).get(resolution, set())
    missing = [rows for rows in row_blocks(count, _PART) if rows.start not in there]
    plan = _plan(collection, encoder, resolution, missing)
    if on_plan is not None:
        on_plan(plan)
    done, before = count - plan.missing, collection.results.unstored
    for rows in missing:

        def report(part: int, start: int = done) -> None:
            if on_progress is not None:
                on_progress(start + part, count)

        _part(collection, rows, resolution, lambda: encoder, report)
        if collection.results.unstored > before:
            raise WriteError(
                f"the tokens of {counted(count - done)} cannot be stored in {collection.path}: make room on its disk, "
                "and run the same again; what is stored stays"
            )
        done += rows.stop - rows.start
        report(0, done)
    return plan


def search_patch(
    collection: OpenedCollection,
    query: Query,
    place: tuple[float, float],
    k: int = 10,
    *,
    resolution: int | None = None,
    weights: str | None = None,
) -> list[Spot]:
    """Find the images with a patch like one of an image, the most similar first.

    See ``Collection.search_patch``.
    """
    check_count(k, "k")
    _check_resolution(resolution)
    across, down = _checked_place(place)
    resolution = _kept_resolution(collection, resolution)
    own = None
    if not isinstance(query, int | np.integer):
        encoder = patch_encoder(collection, resolution, weights)
        token = _at(unit_tokens(encoder.look(query, resolution).tokens)[0], across, down)
    else:
        own = collection.position(int(query))
        token = _at(_tokens_of(collection, own, resolution, weights), across, down)
    parts = _held(collection, resolution, weights)
    similar: list[NDArray[np.float32]] = []
    if parts is None:
        grids = []
        for part in _read(collection, resolution, weights):
            similar.append(token_similarities(part.tokens, token))
            grids.append(part.grids)
    else:
        similar = in_threads(lambda part: token_similarities(part.tokens, token), parts)
        grids = [part.grids for part in parts]
    return _spots(collection, np.concatenate(similar), np.concatenate(grids), k, own)


def _spots(
    collection: OpenedCollection, similar: NDArray[np.float32], grids: NDArray[np.int64], k: int, own: int | None
) -> list[Spot]:
    """Return the best patch of the k images whose best patch is most similar."""
    starts = np.concatenate([[0], np.cumsum(grids.prod(axis=1))])
    best = np.maximum.reduceat(similar, starts[:-1])
    if own is not None:
        best[own] = -np.inf
    found = []
    for at in np.argsort(-best, kind="stable")[: min(k, len(best) - (own is not None))].tolist():
        patch = int(similar[starts[at] : starts[at + 1]].argmax())
        rows, columns = grids[at].tolist()
        row, column = divmod(patch, columns)
        width, height = collection.sizes[at].tolist()
        left, right = (min(width, max(0, round(each * width / columns))) for each in (column, column + 1))
        top, bottom = (min(height, max(0, round(each * height / rows))) for each in (row, row + 1))
        box = min(left, width - 1), min(top, height - 1), max(1, right - left), max(1, bottom - top)
        similarity = min(1.0, float(best[at]))
        found.append(Spot(int(collection.rows[at]), collection.ids[at], collection.labels[at], similarity, box))
    return found


def _check_resolution(resolution: int | None) -> None:
    if resolution is not None:
        check_count(resolution, "resolution")


def _checked_place(place: object) -> tuple[float, float]:
    listed = place if isinstance(place, tuple | list) else ()
    given = [float(each) if isinstance(each, np.floating) else each for each in listed]
    if len(given) != 2 or mismatch(given, list[float]) or not all(0 <= each <= 1 for each in given):
        raise InputError(f"place must be how far right and how far down, each from 0 to 1, got {shown(place)}")
    return given[0], given[1]


def _at(tokens: NDArray[np.floating], across: float, down: float) -> NDArray[np.float32]:
    """Return the token at a place of an image, of its unit tokens (H, W, D)."""
    rows, columns = tokens.shape[:2]
    token: NDArray[np.float32] = tokens[min(rows - 1, int(down * rows)), min(columns - 1, int(across * columns))]
    return token.astype(np.float32)


def _plan(collection: OpenedCollection, encoder: Encoder, resolution: int | None, missing: list[slice]) -> TokenPlan:
    """Look at a few of the images and tell what all of them take."""
    import pyarrow as pa

    positions = np.concatenate([np.arange(rows.start, rows.stop) for rows in missing] or [np.empty(0, np.int64)])
    if not len(positions):
        return TokenPlan(len(collection), 0, 0, 0.0)
    some = positions[np.unique(np.linspace(0, len(positions) - 1, _SAMPLE).round().astype(int))]
    pictures = collection.thumbnails(some)
    encoder.look(pictures[0], resolution)  # the first run of a model takes longer
    began = time.perf_counter()
    tokens = in_threads(lambda picture: _look(encoder, picture, resolution), pictures)
    seconds = (time.perf_counter() - began) / len(some)
    together = np.concatenate([each.ravel() for each in tokens]).tobytes()
    size = len(pa.compress(together, codec="zstd", asbytes=True)) / len(some)
    return TokenPlan(len(collection), len(positions), math.ceil(size * len(positions)), seconds * len(positions))


def _look(encoder: Encoder, picture: bytes, resolution: int | None) -> NDArray[np.float16]:
    """Return the unit tokens of a picture (H, W, D)."""
    return unit_tokens(encoder.look(picture, resolution).tokens)[0].astype(np.float16)


def _settings(first: int, resolution: int | None) -> JsonObject:
    return {"first": first, "images": _PART, "resolution": resolution}


def _stored(collection: OpenedCollection) -> dict[int | None, set[int]]:
    """Return the first position of each part that is kept, by resolution, the one that was written last first."""
    found: dict[int | None, set[int]] = {}
    for settings in collection.results.stored(_STAGE):
        first, resolution = settings.get("first"), settings.get("resolution")
        if not isinstance(first, int) or not (resolution is None or isinstance(resolution, int)):
            continue
        if settings == _settings(first, resolution):
            found.setdefault(resolution, set()).add(first)
    return found


def _kept_resolution(collection: OpenedCollection, resolution: int | None) -> int | None:
    """Return the resolution whose tokens are searched: the one that is asked for, else the usual one, else another.

    Raises:
        InputError: If not all of its tokens are kept.
    """
    wanted = {rows.start for rows in row_blocks(len(collection), _PART)}
    kept = [each for each, firsts in _stored(collection).items() if firsts >= wanted]
    if resolution in kept:
        return resolution
    if resolution is None and kept:
        return kept[0]
    words = ["dinoscope", "look", str(collection.path), "--keep-tokens"]
    words += [] if resolution is None else ["--resolution", str(resolution)]
    words += ["--model", collection.key] if len(list_models(collection.path)) > 1 else []
    raise InputError(
        f"searching by a patch needs the tokens of all images of {collection.name!r}: keep them first "
        f"({shlex.join(words)}, or keep_tokens)"
    )


def _part(
    collection: OpenedCollection,
    rows: slice,
    resolution: int | None,
    encoder: Callable[[], Encoder],
    report: Callable[[int], None] = lambda _: None,
) -> _Part:
    """Return the tokens of the images at some positions, computed unless they are kept."""
    count = rows.stop - rows.start

    def compute() -> Computed:
        model, found = encoder(), []
        for group in row_blocks(count, 32):
            pictures = collection.thumbnails(np.arange(rows.start + group.start, rows.start + group.stop))
            found += in_threads(lambda picture: _look(model, picture, resolution), pictures)
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

    columns, meta = collection.results.run(_STAGE, _settings(rows.start, resolution), compute, check=check)
    return _Part(columns["tokens"], np.asarray(meta["grids"], np.int64))


def _tokens_of(
    collection: OpenedCollection, at: int, resolution: int | None, weights: str | None
) -> NDArray[np.float16]:
    """Return the kept tokens of the image at a position (H, W, D)."""
    parts, number = _held(collection, resolution, weights), at // _PART
    if parts is None:
        rows = row_blocks(len(collection), _PART)[number]
        part = _part(collection, rows, resolution, lambda: patch_encoder(collection, resolution, weights))
    else:
        part = parts[number]
    ends = np.cumsum(part.grids.prod(axis=1))
    inside = at % _PART
    rows_, columns = part.grids[inside].tolist()
    return part.tokens[ends[inside] - rows_ * columns : ends[inside]].reshape(rows_, columns, -1)


def _read(collection: OpenedCollection, resolution: int | None, weights: str | None) -> Iterator[_Part]:
    """Read all parts, in order; one that is damaged is computed again."""
    for rows in row_blocks(len(collection), _PART):
        yield _part(collection, rows, resolution, lambda: patch_encoder(collection, resolution, weights))


def _held(collection: OpenedCollection, resolution: int | None, weights: str | None) -> list[_Part] | None:
    """Return all parts, read once and held; None where they would take too much memory."""

    def read() -> list[_Part] | None:
        parts, size = [], 0
        for part in _read(collection, resolution, weights):
            size += part.tokens.nbytes
            if size > _MOST_HELD:
                return None
            parts.append(part)
        return parts

    return collection.held((_STAGE, resolution), read)
