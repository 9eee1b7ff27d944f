"""Embed a source of images into a collection: resumable, incremental, and calm about bad files.

The folder that this writes:

    collection.json                 format, name and kind of the source, which vectors are shown
    images.parquet                  row, id, key, label, split, removed: one line for every image ever seen
    details/part-00000.parquet      row, width, height, thumbnail, error: what decoding an image gave
    vectors/KEY/model.json          which model made them
    vectors/KEY/part-00000.parquet  row, vector
    results/STAGE/KEY.parquet       see collection.py

Row numbers never change and are never used twice. A part is a checkpoint: details first, then vectors, so that an
image with a vector always has its details.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope import store
from dinoscope.decode import UnreadableError, thumbnail
from dinoscope.encoder import Encoder
from dinoscope.errors import CollectionError, ImageError, SourceError
from dinoscope.images import ImageSource, load_reduced

__all__ = ["FORMAT", "EmbedSummary", "Failure", "Progress", "embed_source"]

FORMAT = 1
_PART_ROWS = 4096  # a part of 256 dimensions is then 4 MB
_PART_SECONDS = 20.0  # and no more than this much work is lost to a kill


@dataclass(frozen=True)
class Failure:
    """An image that could not be read: its row, its id and the reason."""

    row: int
    id: str
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far a run is: images done of ``total``, images a second, and seconds left."""

    done: int
    total: int
    images_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class EmbedSummary:
    """What a run did.

    Attributes:
        embedded: Images embedded by this run.
        reused: Images that had their vectors already.
        removed: Images that were in the collection and are no longer in the source; their vectors stay on disk.
        failures: Images that could not be read, by this run or an earlier one.
        seconds: Time that this run took.
        model: Name of the model.
    """

    embedded: int
    reused: int
    removed: int
    failures: tuple[Failure, ...]
    seconds: float
    model: str


@dataclass
class _Decoded:
    row: int
    pixels: NDArray[np.uint8] | None = None
    width: int = 0
    height: int = 0
    thumbnail: bytes | None = None
    error: str | None = None
    transient: bool = False


@dataclass
class _Buffer:
    """Finished rows that are not on the disk yet."""

    details: list[_Decoded] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)

    def full(self) -> bool:
        return len(self.rows) >= _PART_ROWS or time.monotonic() - self.since > _PART_SECONDS


def embed_source(
    source: ImageSource, path: Path, encoder: Encoder, *, on_progress: Callable[[Progress], None] | None = None
) -> EmbedSummary:
    """Bring the collection at ``path`` to the state of ``source``: embed what has no vectors yet.

    Args:
        source: The images.
        path: Folder of the collection; made if there is none.
        encoder: The model.
        on_progress: Called after every batch.

    Raises:
        CollectionError: If ``path`` is something else, holds another source, or is in use.
        SourceError: If not a single image could be read.
    """
    began = time.monotonic()
    _prepare(path, source)
    with store.locked(path):
        store.remove_leftovers(path)
        table, removed = _synchronise(path, source)
        known = _read_details(path)
        folder = path / "vectors" / encoder.key
        _describe_model(folder, encoder)
        have = set(_stored_rows(folder))
        active = {row: index for index, row in table.items()}
        pending = [row for row in sorted(active) if _is_pending(known.get(row), row in have)]
        embedded = 0
        if pending:
            embedded = _embed_rows(source, path, encoder, active, pending, known, have, on_progress)
        failures = tuple(
            Failure(row, source.items[active[row]].id, known[row].error or "")
            for row in sorted(active) if row in known and known[row].error
        )  # fmt: skip
        if len(failures) == len(active):
            first = failures[0]
            raise SourceError(
                f"none of the {len(failures)} images in {source.name!r} could be read; "
                f"the first, {first.id}: {first.reason}"
            )
        manifest = store.read_json(path / "collection.json")
        if manifest.get("vectors") != encoder.key:
            store.write_json(path / "collection.json", {**manifest, "vectors": encoder.key})
    reused = len(active) - embedded - len(failures)
    return EmbedSummary(embedded, reused, removed, failures, time.monotonic() - began, encoder.model.name)


def _is_pending(details: _Decoded | None, has_vector: bool) -> bool:
    """Tell whether a row needs work: without details (a lost part), or without a vector unless it cannot be decoded."""
    if details is None or (details.error and details.transient):
        return True
    return not has_vector and not details.error


def _prepare(path: Path, source: ImageSource) -> None:
    """Make the folder, or check that it is a collection of this source."""
    manifest = path / "collection.json"
    if manifest.exists():
        held = store.read_json(manifest)["source"]
        if (held["kind"], held["name"]) != (source.kind, source.name):
            raise CollectionError(
                f"{path} holds the {held['kind']} {held['name']!r}, got the {source.kind} {source.name!r}: "
                "name another folder with -o"
            )
        return
    if path.exists() and (not path.is_dir() or any(p.name != ".lock" for p in path.iterdir())):
        raise CollectionError(f"{path} exists and is no collection: name a new or an empty folder with -o")
    path.mkdir(parents=True, exist_ok=True)
    store.write_json(manifest, {"format": FORMAT, "source": {"kind": source.kind, "name": source.name}})


def _synchronise(path: Path, source: ImageSource) -> tuple[dict[int, int], int]:
    """Give every image of the source its row in images.parquet.

    Returns:
        Index in the source -> row, and how many rows are newly marked as removed.
    """
    file = path / "images.parquet"
    old: dict[str, Any] = {"row": [], "id": [], "key": [], "label": [], "split": [], "removed": []}
    if file.exists():
        old = {name: list(values) for name, values in store.read_table(file)[0].items()}
    table = {name: list(values) for name, values in old.items()}
    row_of = {(i, k): position for position, (i, k) in enumerate(zip(table["id"], table["key"], strict=True))}
    kept = set()
    rows: dict[int, int] = {}
    for index, item in enumerate(source.items):
        position = row_of.get((item.id, item.key))
        if position is None:
            position = len(table["row"])
            for name, value in (("row", position), ("id", item.id), ("key", item.key), ("removed", False)):
                table[name].append(value)
            table["label"].append(item.label)
            table["split"].append(item.split)
        else:
            table["label"][position], table["split"][position] = item.label, item.split
            table["removed"][position] = False
        kept.add(position)
        rows[index] = position
    removed = 0
    for position in range(len(old["row"])):
        if position not in kept and not table["removed"][position]:
            table["removed"][position] = True
            removed += 1
    if table != old:
        import pyarrow as pa

        columns: dict[str, Any] = {
            "row": np.asarray(table["row"], np.int64),
            "removed": np.asarray(table["removed"], bool),
        }
        columns |= {name: pa.array(table[name], pa.string()) for name in ("id", "key", "label", "split")}
        store.write_table(file, columns)
    return rows, removed


def _describe_model(folder: Path, encoder: Encoder) -> None:
    file = folder / "model.json"
    if not file.exists():
        store.write_json(file, encoder.describe())


def _next_part(folder: Path) -> Path:
    parts = store.list_parts(folder)
    number = int(parts[-1].stem.removeprefix("part-")) + 1 if parts else 0
    return folder / f"part-{number:05d}.parquet"


def _stored_rows(folder: Path) -> Iterator[int]:
    for part in store.list_parts(folder):
        yield from store.read_table(part, ["row"])[0]["row"].tolist()


def _read_details(path: Path) -> dict[int, _Decoded]:
    """Row -> what decoding it gave (without the thumbnail); a later part overrides an earlier one."""
    known: dict[int, _Decoded] = {}
    for part in store.list_parts(path / "details"):
        columns, _ = store.read_table(part, ["row", "error", "transient"])
        for row, error, transient in zip(columns["row"].tolist(), columns["error"], columns["transient"], strict=True):
            known[row] = _Decoded(row, error=error, transient=bool(transient))
    return known


def _embed_rows(
    source: ImageSource, path: Path, encoder: Encoder, active: dict[int, int], pending: list[int],
    known: dict[int, _Decoded], have: set[int], on_progress: Callable[[Progress], None] | None,
) -> int:  # fmt: skip
    """Decode in threads, run the model on this one, write parts. Returns the number of images embedded."""
    began, done, embedded = time.monotonic(), 0, 0
    buffer, batch = _Buffer(), []

    def finish(batch: list[_Decoded]) -> None:
        nonlocal embedded
        new = [each for each in batch if each.row not in have]
        if new:
            buffer.vectors.append(encoder.run(np.stack([each.pixels for each in new if each.pixels is not None])))
            buffer.rows += [each.row for each in new]
            embedded += len(new)

    try:
        for decoded in _decode_ahead(source, encoder, active, pending, known):
            done += 1
            before = known.get(decoded.row)
            if before is None or before.error != decoded.error:  # new, or it fails or succeeds otherwise than last time
                buffer.details.append(decoded)
            # the outcome alone: the thumbnails of a whole run would not fit into memory
            known[decoded.row] = _Decoded(decoded.row, error=decoded.error, transient=decoded.transient)
            if decoded.error is None:
                batch.append(decoded)
            if len(batch) == encoder.batch_size or done == len(pending):
                finish(batch)
                for each in batch:
                    each.pixels = None
                batch = []
                if on_progress:
                    rate = done / max(time.monotonic() - began, 1e-9)
                    on_progress(Progress(done, len(pending), rate, (len(pending) - done) / rate))
                if buffer.full():
                    _write(path, encoder, buffer)
                    buffer = _Buffer()
    finally:  # also when the user stops the run: whole batches are kept
        unfinished = {each.row for each in batch}
        buffer.details = [each for each in buffer.details if each.row not in unfinished]
        _write(path, encoder, buffer)
    return embedded


def _write(path: Path, encoder: Encoder, buffer: _Buffer) -> None:
    import pyarrow as pa

    if buffer.details:
        each = buffer.details
        store.write_table(_next_part(path / "details"), {
            "row": np.asarray([d.row for d in each], np.int64),
            "width": np.asarray([d.width for d in each], np.int32),
            "height": np.asarray([d.height for d in each], np.int32),
            "thumbnail": pa.array([d.thumbnail for d in each], pa.binary()),
            "error": pa.array([d.error for d in each], pa.string()),
            "transient": np.asarray([d.transient for d in each], bool),
        })  # fmt: skip
    if buffer.rows:
        columns = {"row": np.asarray(buffer.rows, np.int64), "vector": np.concatenate(buffer.vectors)}
        store.write_table(_next_part(path / "vectors" / encoder.key), columns)


def _decode_ahead(
    source: ImageSource, encoder: Encoder, active: dict[int, int], pending: list[int], known: dict[int, _Decoded]
) -> Iterator[_Decoded]:
    """Decode rows in threads, in order, never more than a few batches ahead of the model."""
    ahead = 3 * encoder.batch_size
    waiting: deque[Future[_Decoded]] = deque()
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="decode") as pool:
        try:
            for row in pending:
                seen = row in known and not known[row].error
                waiting.append(pool.submit(_decode, source, encoder, row, active[row], seen))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _decode(source: ImageSource, encoder: Encoder, row: int, index: int, seen: bool) -> _Decoded:
    try:
        image = load_reduced(source, index, encoder.preprocessing.least(encoder.resolution))
        small = None if seen else thumbnail(image.pixels)
        return _Decoded(row, encoder.preprocess(image.pixels, image.size), *image.size, small)
    except ImageError as error:
        return _Decoded(row, error=str(error), transient=isinstance(error, UnreadableError))
