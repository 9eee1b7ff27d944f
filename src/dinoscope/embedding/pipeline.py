"""Embed a source of images into a collection: resumable, incremental, and calm about bad files.

The folder that this writes is described in docs/format.md. Row numbers never change and are never used twice. A part is
a checkpoint: details first, then vectors, so that an image with a vector always has its details. A damaged part is
dropped, and what it held is made again.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import remark
from dinoscope.base.types import JsonObject, ModelDescription
from dinoscope.columns.names import ColumnChoice
from dinoscope.embedding.batches import Batches, Decoded, finish_batches
from dinoscope.embedding.columns import renew_columns, source_columns, stored_choice
from dinoscope.embedding.known import Known, read_known
from dinoscope.embedding.ranges import settle_range
from dinoscope.embedding.rows import check_folder, synchronise
from dinoscope.embedding.summary import EmbedSummary, Failure
from dinoscope.errors import DamagedError, SourceError
from dinoscope.models.base import ImageEncoder, provenance
from dinoscope.sources.base import ImageSource
from dinoscope.storage.details import FACTS, LOOK, QUALITY
from dinoscope.storage.files import make_folder, read_json, remove_leftovers, write_json
from dinoscope.storage.locks import locked
from dinoscope.storage.manifest import (
    list_models,
    other_weights,
    read_manifest,
    read_model,
    set_folders,
    update_manifest,
)
from dinoscope.storage.progress import Progress, ProgressRecord
from dinoscope.storage.result_files import stale_results
from dinoscope.storage.tables import list_parts, write_table

__all__ = ["ORDER_SEED", "EmbedSummary", "Failure", "embed_source"]

_PART_ROWS = 4096  # a part of 256 dimensions is then 4 MB
_PART_SECONDS = 20.0  # and no more than this much work is lost to a kill
_FIRST_ROWS = 512  # enough for a first map
_GROUP_ROWS = 256  # thumbnails that are read at once for one of them
_SAMPLE_FROM = 2000  # images from which a random order is useful: fewer are done before anybody looks
ORDER_SEED = 7


@dataclass
class _Buffer:
    """Finished rows that are not on the disk yet, and their parts: Ctrl-C may come when a part is written already."""

    details: list[Decoded] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    vectors: list[NDArray[np.float32]] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    most: int = field(default_factory=lambda: _PART_ROWS)
    parts: dict[Path, Path] = field(default_factory=dict)

    def part(self, folder: Path) -> Path:
        """Return the part of a folder that these rows belong in, the same one when the write is repeated."""
        if folder not in self.parts:
            self.parts[folder] = _next_part(folder)
        return self.parts[folder]

    def full(self) -> bool:
        return max(len(self.rows), len(self.details)) >= self.most or time.monotonic() - self.since > _PART_SECONDS


def embed_source(
    source: ImageSource,
    path: Path,
    encoder: ImageEncoder,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    wait: float = 60.0,
    batches: Batches = finish_batches,
    moved: bool = False,
    replace: bool = False,
) -> EmbedSummary:
    """Bring the collection at ``path`` to the state of ``source``: embed images without vectors.

    From 2,000 images on they are embedded in a random order, always the same one, so that what is there at any moment
    is a random sample; a source whose ``random_access`` is False keeps its order.

    Args:
        source: The images. Its ``decoding`` says what is black and white in pictures of more than 8 bits; otherwise the
            collection says it, or for a new one a sample of its pictures.
        path: Folder of the collection; made if there is none.
        encoder: The model.
        on_progress: Called after every batch.
        wait: Seconds to wait for another process that writes this collection.
        batches: What decodes and embeds: this machine, or others (``dinoscope.on_ray.embedding.OnRay``).
        moved: Accept a source of another name or kind that has images of the collection.
        replace: Accept a source without any image of the collection.

    Raises:
        CollectionError: If ``path`` is something else, holds another source or other images, or is in use.
        SourceError: If not a single image could be read.
        WriteError: If a file cannot be written; what was written before is kept.
    """
    began = time.monotonic()
    check_folder(path, source, moved)
    columns = source_columns(source)  # before anything is written: one that a person names may not be there
    make_folder(path, private=True)
    with locked(path, wait):
        remove_leftovers(path)
        table = synchronise(path, source, moved=moved, replace=replace)
        source.decoding = dataclasses.replace(source.decoding, value_range=settle_range(path, source))
        if source.folder_rule is not None:
            set_folders(path, source.folder_rule.to_json())
        renew_columns(path, columns, table, source.column_choice)
        del columns
        folder = path / "vectors" / encoder.key
        _describe_model(path, encoder)
        known = read_known(path, folder, table, encoder.dim)
        pending = known.pending(_order(source, known.rows))
        embedded = 0
        if len(pending):
            embedded = _embed_rows(source, path, encoder, pending, known, batches, on_progress)
        failures = tuple(
            Failure(row, source.items[known.index(row)].id, known.errors[row][0])
            for row in sorted(known.errors)
            if known.is_active(row) and not known.embedded[row]
        )
        if len(failures) == len(known.rows):
            first = failures[0]
            raise SourceError(
                f"none of the {len(failures)} images in {source.name!r} could be read; "
                f"the first, {first.id}: {first.reason}"
            )
        update_manifest(path, vectors=encoder.key, left_out=dict(source.ignored_endings))
        _remove_stale(path)  # also where nothing has changed: a run that was killed here left some
        if embedded or table.changed:
            shutil.rmtree(path / "results" / "sheets", ignore_errors=True)  # drawn when they are requested
    reused = len(known.rows) - embedded - len(failures)
    seconds = time.monotonic() - began
    return EmbedSummary(
        embedded,
        reused,
        table.removed,
        failures,
        seconds,
        encoder.model.name,
        encoder.device,
        encoder.precision,
        source.decoding.value_range,
        tuple(Failure(row, source.items[known.index(row)].id, note) for row, note in sorted(known.notes.items())),
        table.relabelled,
    )


def _remove_stale(path: Path) -> None:
    """Delete results of an earlier state of the collection, which would only take up room."""
    try:
        stale = stale_results(path)
    except DamagedError:  # of another model, which is mended when that model embeds
        return
    for result in stale:
        with suppress(OSError):  # on Windows one that is read stays
            result.unlink()


def _order(source: ImageSource, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows (sorted) in the order in which they are embedded.

    It depends on the rows alone, so that a continued run goes on in the order of the one before.
    """
    if len(rows) < _SAMPLE_FROM or not source.random_access:
        return rows
    ranks = np.random.default_rng(ORDER_SEED).random(int(rows[-1]) + 1)[rows]
    return rows[np.argsort(ranks, kind="stable")]


def _describe_model(path: Path, encoder: ImageEncoder) -> None:
    file = path / "vectors" / encoder.key / "model.json"
    try:
        if read_json(file, ModelDescription)["dim"] == encoder.dim:
            return
        remark(f"{file} was damaged (it names another length of the vectors) and is written again")
    except FileNotFoundError:
        pass
    except DamagedError as error:
        remark(f"{file} was damaged ({error.reason}) and is written again")
    described = encoder.describe()
    for key in list_models(path):
        with suppress(DamagedError):  # mended when that model embeds
            if key != encoder.key and (told := other_weights(read_model(path, key), described)):
                remark(f"{path} has vectors of {key} and now gets those of {encoder.key}: {told}")
    write_json(file, described, checked=True, within=path)


def _next_part(folder: Path) -> Path:
    parts = list_parts(folder)
    number = int(parts[-1].stem.removeprefix("part-")) + 1 if parts else 0
    return folder / f"part-{number:05d}.parquet"


def _embed_rows(
    source: ImageSource,
    path: Path,
    encoder: ImageEncoder,
    pending: NDArray[np.int64],
    known: Known,
    batches: Batches,
    on_progress: Callable[[Progress], None] | None,
) -> int:
    """Store finished batches in parts. Returns the number of images embedded."""
    done, embedded = 0, 0
    sampling = not known.embedded.any() and bool((np.diff(pending) < 0).any())
    buffer = _Buffer(most=_FIRST_ROWS if sampling else _PART_ROWS)
    choice = stored_choice(path)
    record = ProgressRecord(path, encoder.model.name, len(pending), on_progress)
    try:
        with closing(batches(source, encoder, known.jobs(pending))) as finished:
            for decoded, rows, vectors in finished:
                done += len(decoded)
                for each in decoded:
                    if known.is_news(each.row, each.error):
                        buffer.details.append(each)
                    known.note(each.row, each.error, each.transient)
                    if each.note is not None:
                        known.notes[each.row] = each.note
                if rows:
                    buffer.rows += rows
                    buffer.vectors.append(vectors)
                    embedded += len(rows)
                if buffer.full():
                    _write(path, encoder, buffer, known.generations, choice)
                    buffer = _Buffer()
                    record.record(embedded)
                record.advance(done, embedded - len(buffer.rows))
    finally:  # also when the user stops the run: whole batches are kept
        record.remove()
        _write(path, encoder, buffer, known.generations, choice)
    return embedded


def _said_of_decoding(path: Path) -> JsonObject:
    """Return what the parts of details repeat of the manifest, should it be lost."""
    with suppress(FileNotFoundError):  # the collection was deleted: writing says so
        return {name: value for name, value in read_manifest(path).items() if name == "range"}
    return {}


def _write(
    path: Path, encoder: ImageEncoder, buffer: _Buffer, generations: NDArray[np.int64], choice: ColumnChoice
) -> None:
    """Store what is finished. It then leaves the buffer, so that it is not stored twice if the rest fails."""
    import pyarrow as pa

    if buffer.details:
        each = buffer.details
        rows = np.asarray([d.row for d in each], np.int64)
        write_table(
            buffer.part(path / "details"),
            {
                "row": rows,
                "generation": generations[rows],
                "width": np.asarray([d.width for d in each], np.int32),
                "height": np.asarray([d.height for d in each], np.int32),
                "thumbnail": pa.array([d.thumbnail for d in each], pa.binary()),
                "error": pa.array([d.error for d in each], pa.string()),
                "transient": np.asarray([d.transient for d in each], bool),
                "content": pa.array([d.content for d in each], pa.string()),
                "note": pa.array([d.note for d in each], pa.string()),
                **{
                    name: pa.array([getattr(d.quality, name, None) for d in each], pa.from_numpy_dtype(kind))
                    for name, kind in (QUALITY | LOOK).items()
                },
                **{
                    name: pa.array(
                        [getattr(d.facts, name, None) if choice.takes(name) else None for d in each],
                        pa.string() if kind == "U" else pa.from_numpy_dtype(kind),
                    )
                    for name, kind in FACTS.items()
                },
            },
            _said_of_decoding(path),
            group=_GROUP_ROWS,
            within=path,
        )
        buffer.details = []
    if buffer.rows:
        rows = np.asarray(buffer.rows, np.int64)
        columns = {"row": rows, "generation": generations[rows], "vector": np.concatenate(buffer.vectors)}
        made_by = {"made_by": provenance(encoder)}
        write_table(buffer.part(path / "vectors" / encoder.key), columns, made_by, within=path)
        buffer.rows, buffer.vectors = [], []
