"""The vectors of a collection read part by part: for what is done without holding all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.text import remark
from dinoscope.base.types import Columns
from dinoscope.errors import CollectionError, DamagedError
from dinoscope.storage.details import count_missing
from dinoscope.storage.manifest import choose_model, no_collection, read_manifest
from dinoscope.storage.parts import known_lines, read_images
from dinoscope.storage.tables import check_table, group_sizes, list_parts, read_table

__all__ = ["PartedVectors", "is_whole", "open_vectors"]


@dataclass(frozen=True, eq=False)
class PartedVectors:
    """Where the vectors of one model are; a bit and a part's length are all that is held of them.

    Attributes:
        key: Name of the vectors.
        parts: Their files.
        counts: Images of each part that are not removed (P,).
        state: A digest of what these images and vectors are.
    """

    key: str
    parts: tuple[Path, ...]
    counts: NDArray[np.int64]
    state: str
    _images: Columns

    def __len__(self) -> int:
        return int(self.counts.sum())

    @property
    def missing(self) -> int:
        """How many images of the source are not embedded yet; see ``Collection.missing``."""
        rows = np.concatenate([_shown(part, ["row"], self._images)["row"] for part in self.parts])
        return count_missing(self.parts[0].parents[2], self._images, rows)

    def read(self, part: Path) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return rows (n,) and unit vectors (n, D) of a part, in its order, without removed images.

        Raises:
            DamagedError: If it is damaged.
        """
        columns = _shown(part, ["row", "vector"], self._images)
        return columns["row"], columns["vector"]

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        return map(self.read, self.parts)

    def sample(self, count: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return rows (S,), ascending, and vectors (S, D) of a random sample of at most ``count``."""
        total = len(self)
        drawn = np.random.default_rng(seed).choice(total, min(count, total), replace=False, shuffle=False)
        drawn.sort()
        ends = np.cumsum(self.counts)
        cuts = np.split(drawn, np.searchsorted(drawn, ends[:-1]))
        rows, vectors = [], []
        for part, first, chosen in zip(self.parts, ends - self.counts, cuts, strict=True):
            if len(chosen):
                some, values = self.read(part)
                rows.append(some[chosen - first])
                vectors.append(values[chosen - first])
        found = np.concatenate(rows)
        order = np.argsort(found)
        return found[order], np.concatenate(vectors)[order]


def open_vectors(path: Path, model: str | None = None) -> PartedVectors:
    """Find the vectors of a collection and read which rows they are of, no more.

    Args:
        path: The collection.
        model: Which model's vectors, by its name or their key; by default those embedded last.

    Raises:
        CollectionError: If the folder is not a collection, is damaged, or has fewer than two vectors of that model.
    """
    if not (path / "collection.json").exists():
        raise no_collection(path)
    key = choose_model(path, read_manifest(path).get("vectors"), model)
    file = path / "images.parquet"
    images = read_images(path, ["removed", "generation"])
    parts = list_parts(path / "vectors" / key)
    state = hashlib.blake2b(key.encode(), digest_size=16)
    for group in range(len(group_sizes(file))):
        state.update("".join(read_table(file, ["key"], [group])[0]["key"]).encode())
    counts = []
    for part in parts:
        active = _shown(part, ["row"], images)["row"]
        state.update(active.tobytes() + part.name.encode())
        counts.append(len(active))
    if sum(counts) < 2:
        raise CollectionError(f"{path} has {sum(counts)} vectors of {key}, expected 2 or more: embed more images")
    return PartedVectors(key, tuple(parts), np.asarray(counts, np.int64), state.hexdigest(), images)


def _shown(part: Path, columns: list[str], images: Columns) -> Columns:
    """Return columns of a part without removed images, and without what the table does not know."""
    lines = read_table(part, [*columns, "generation"])[0]
    return known_lines(lines, images, shown=True)


def is_whole(file: Path) -> bool:
    """Tell whether a result is there; one that is damaged is deleted, to be made again."""
    try:
        check_table(file)
    except FileNotFoundError:
        return False
    except DamagedError as error:
        remark(f"{file} was damaged ({error.reason}) and is computed again")
        file.unlink(missing_ok=True)
        return False
    return True
