"""Nearest neighbours among more vectors than memory holds.

The vectors are copied to a temporary file in the order of cells: small groups around centres that k-means
finds in the sample. Each cell is then searched exactly, in itself and the cells whose centres are nearest. So memory
depends on the size of a cell, not on the collection, and cells can be searched by other machines. What is missed are
neighbours in cells further off: their share is measured by an exact search for 500 images of the sample.
"""

from __future__ import annotations

import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.neighbors import query_neighbors
from dinoscope.base.loading import LOADING
from dinoscope.base.parallel import Run, row_blocks
from dinoscope.errors import WriteError
from dinoscope.storage.files import remove_leftovers
from dinoscope.storage.tables import list_parts, read_table, write_table
from dinoscope.survey.fit import nearest_centers
from dinoscope.survey.parts import PartedVectors, is_whole

__all__ = ["MEASURED", "write_graph"]

_CELL = 4_096  # vectors of a cell, on average; and of what is searched for at once, at most
_CELLS = 16  # cells' worth of vectors that it is searched in: 65,536 of 384 numbers are 100 MB
_PER_CENTER = 20  # vectors of the sample for each centre, at least
_ROUNDS = 20  # of k-means, which need not be done
MEASURED = 500  # images that recall is measured on
_TIE = 1e-6  # similarities this close are equal: the rounding of float32 products
Progress = Callable[[str, int, int], None]
Stretch = tuple[int, int]  # first and last + 1 of the vectors in the order of cells


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Vectors in the order of cells: their rows (N,), a file of them, and the end of each cell (C,)."""

    file: Path
    rows: NDArray[np.int64]
    ends: NDArray[np.int64]
    centers: NDArray[np.float32]

    def read(self, stretch: Stretch) -> NDArray[np.float32]:
        first, last = stretch
        width = self.centers.shape[1]
        numbers = np.fromfile(self.file, np.float32, (last - first) * width, offset=4 * width * first)
        return numbers.reshape(-1, width)


def write_graph(
    folder: Path,
    vectors: PartedVectors,
    sample: tuple[NDArray[np.int64], NDArray[np.float32]],
    k: int,
    seed: int,
    run: Run,
    tell: Progress,
) -> float:
    """Write the ``k`` nearest of every vector into a folder, one part for each cell that has none yet.

    Args:
        folder: Where; the temporary file of all vectors lies there, too.
        vectors: The vectors.
        sample: Rows (S,) and vectors (S, D) of a sample of them.
        k: Neighbours of each.
        seed: Of k-means.
        run: What searches.
        tell: Called with the progress.

    Returns:
        The share of true neighbours found, measured.
    """
    known = _finished(folder)
    if known is not None:
        return known
    remove_leftovers(folder)
    # under the name of a leftover, so that the run after a kill removes it
    scratch = folder / f".cells.part-{os.getpid()}-0@{socket.gethostname()}"
    try:
        parts = _search_all(folder, _order_by_cell(folder, scratch, vectors, sample[1], seed, tell), k, run, tell)
    finally:
        scratch.unlink(missing_ok=True)
    recall = _recall(folder, vectors, *sample, k, tell)
    write_table(
        folder / "recall.parquet", {"recall": np.asarray([recall]), "parts": np.asarray([parts])}, within=folder
    )
    return recall


def _finished(folder: Path) -> float | None:
    """Return the recall of a graph that is there and whole."""
    if not is_whole(folder / "recall.parquet"):
        return None
    columns, _ = read_table(folder / "recall.parquet")
    whole = all(is_whole(_part(folder, number)) for number in range(columns["parts"][0]))
    return float(columns["recall"][0]) if whole else None


def _part(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05}.parquet"


def _order_by_cell(
    folder: Path, scratch: Path, vectors: PartedVectors, sample: NDArray[np.float32], seed: int, tell: Progress
) -> _Ordered:
    centers = _centers(folder / "centers.parquet", len(vectors), sample, seed)
    rows, cells = _cells(folder / "cells.parquet", vectors, centers, tell)
    order = np.argsort(cells, kind="stable")
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    ends = np.cumsum(np.bincount(cells, minlength=len(centers)))
    tell("ordering vectors", 0, len(vectors.parts))
    done = 0
    try:
        scratch.unlink(missing_ok=True)
        with scratch.open("xb") as file:  # never through a link
            for number, (_, values) in enumerate(vectors):
                _scatter(file, values, places[done : done + len(values)])
                done += len(values)
                tell("ordering vectors", number + 1, len(vectors.parts))
    except OSError as error:
        raise WriteError(
            f"cannot write the vectors a second time into {folder}: {error.strerror or error}; free as much space as "
            "they take, and run the same command again"
        ) from None
    return _Ordered(scratch, rows[order], ends, centers)


def _centers(file: Path, count: int, sample: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Return the centres of the cells (C, D), stored once: a run that continues must find the same cells."""
    with LOADING:
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

    if not is_whole(file):
        number = max(1, min(math.ceil(count / _CELL), len(sample) // _PER_CENTER))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # of copies: some cells are then empty
            means = KMeans(number, init="random", n_init=1, max_iter=_ROUNDS, random_state=seed).fit(sample)
        write_table(file, {"center": means.cluster_centers_.astype(np.float32)}, within=file.parent)
    centers: NDArray[np.float32] = read_table(file)[0]["center"]
    return centers


def _cells(
    file: Path, vectors: PartedVectors, centers: NDArray[np.float32], tell: Progress
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return row and cell of each vector (N,) in the order of the parts, stored once for the same reason."""
    if not is_whole(file):
        rows, cells = [], []
        for number, (some, values) in enumerate(vectors):
            rows.append(some)
            cells.append(nearest_centers(values, centers))
            tell("finding cells", number + 1, len(vectors.parts))
        write_table(file, {"row": np.concatenate(rows), "cell": np.concatenate(cells)}, within=file.parent)
    columns, _ = read_table(file)
    return columns["row"], columns["cell"]


def _scatter(file: BinaryIO, values: NDArray[np.float32], places: NDArray[np.int64]) -> None:
    """Write vectors at their places, neighbouring ones at once."""
    order = np.argsort(places)
    size = 4 * values.shape[1]
    for run in np.split(order, np.flatnonzero(np.diff(places[order]) != 1) + 1):
        if len(run):
            file.seek(int(places[run[0]]) * size)
            file.write(values[run].tobytes())


def _search_all(folder: Path, ordered: _Ordered, k: int, run: Run, tell: Progress) -> int:
    """Search what has no part yet; return the number of parts."""
    stretches = list(_stretches(ordered))
    files = [_part(folder, number) for number in range(len(stretches))]
    missing = [number for number, file in enumerate(files) if not is_whole(file)]
    done = len(files) - len(missing)
    tell("searching neighbours", done, len(files))

    def items() -> Iterator[_Search]:
        for number in missing:
            stretch, cell = stretches[number]
            searched = _searched(ordered, stretch, cell, max(_CELL * _CELLS, k + 1))
            rows = np.concatenate([ordered.rows[first:last] for first, last in searched])
            near = np.concatenate([ordered.read(each) for each in searched])
            yield _Search(number, ordered.rows[slice(*stretch)], ordered.read(stretch), rows, near)

    for number, columns in run(_search, k, items()) if missing else ():
        write_table(files[number], columns, within=folder)
        done += 1
        tell("searching neighbours", done, len(files))
    return len(files)


def _stretches(ordered: _Ordered) -> Iterator[tuple[Stretch, int]]:
    """Yield what is searched for at once, and its cell: a cell, or a piece of a large one."""
    first = 0
    for cell, last in enumerate(ordered.ends.tolist()):
        for rows in row_blocks(last - first, _CELL):
            yield (first + rows.start, first + rows.stop), cell
        first = last


def _searched(ordered: _Ordered, own: Stretch, cell: int, most: int) -> list[Stretch]:
    """Return where the neighbours of a stretch are looked for: around it in its cell, then in the nearest cells."""
    starts = np.concatenate([[0], ordered.ends[:-1]])
    first, last = int(starts[cell]), int(ordered.ends[cell])
    if last - first > most:
        first = min(max(first, (own[0] + own[1] - most) // 2), last - most)
        return [(first, first + most)]
    found, left = [(first, last)], most - (last - first)
    gaps = ((ordered.centers - ordered.centers[cell]) ** 2).sum(axis=1)
    for each in np.argsort(gaps, kind="stable").tolist():
        first, last = int(starts[each]), min(int(ordered.ends[each]), int(starts[each]) + left)
        if each != cell and last > first:
            found.append((first, last))
            left -= last - first
    return found


@dataclass(frozen=True, eq=False)
class _Search:
    number: int
    rows: NDArray[np.int64]
    vectors: NDArray[np.float32]
    near_rows: NDArray[np.int64]
    near: NDArray[np.float32]


def _search(k: int, item: _Search) -> tuple[int, dict[str, NDArray[np.generic]]]:
    """Return the k nearest of each vector, without itself."""
    graph = query_neighbors(item.near, item.vectors, k + 1)
    rows = item.near_rows[graph.indices]
    # Copies of a vector may have crowded itself out: then the last one is one too many.
    order = np.argsort(rows == item.rows[:, None], axis=1, kind="stable")[:, :k]
    nearest, similar = np.take_along_axis(rows, order, axis=1), np.take_along_axis(graph.similarities, order, axis=1)
    return item.number, {"row": item.rows, "neighbors": nearest, "similarities": similar}


def _recall(
    folder: Path, vectors: PartedVectors, rows: NDArray[np.int64], sample: NDArray[np.float32], k: int, tell: Progress
) -> float:
    """Return the share of true neighbours among those of some images; any of equally near ones is true."""
    chosen = np.random.default_rng(0).choice(len(rows), min(MEASURED, len(rows)), replace=False)
    chosen.sort()
    rows, queries = rows[chosen], sample[chosen]
    best = np.full((len(rows), k), -np.inf, np.float32)
    for number, (some, values) in enumerate(vectors):
        if len(some):
            graph = query_neighbors(values, queries, min(k + 1, len(some)))
            others = np.where(some[graph.indices] == rows[:, None], -np.inf, graph.similarities)
            best = -np.sort(-np.concatenate([best, others], axis=1), axis=1)[:, :k]
        tell("measuring recall", number + 1, len(vectors.parts))
    found = np.empty_like(best)
    for file in list_parts(folder):
        columns, _ = read_table(file, ["row", "similarities"])
        at = np.searchsorted(rows, np.asarray(columns["row"]))
        held = rows[np.minimum(at, len(rows) - 1)] == columns["row"]
        found[at[held]] = columns["similarities"][held]
    return float((found >= best[:, -1:] - _TIE).mean())
