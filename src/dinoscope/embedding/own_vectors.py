"""Vectors that a person made elsewhere, instead of a model's: checked, and assigned to the right images."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
import zipfile
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.digests import digest_bytes
from dinoscope.base.parallel import in_order
from dinoscope.base.text import counted
from dinoscope.base.types import ModelDescription
from dinoscope.base.vectors import l2_normalize
from dinoscope.embedding.batches import Decoded, Finished, Job
from dinoscope.embedding.pipeline import EmbedSummary, embed_source
from dinoscope.errors import ImageError, InputError, ModelError, UnreadableError
from dinoscope.models.base import ImageEncoder
from dinoscope.models.catalogue import Model
from dinoscope.models.preprocess import Preprocessing, preprocessing_of
from dinoscope.sources.base import ImageSource
from dinoscope.sources.pixels.decode import thumbnail
from dinoscope.storage.locks import locked
from dinoscope.storage.manifest import list_models, read_model
from dinoscope.storage.progress import Progress

__all__ = ["NamedVectors", "OwnVectors", "embed_vectors", "read_vectors"]

_VECTORS = ("vectors", "embeddings", "features", "vector", "embedding")
_NAMES = (
    "ids",
    "names",
    "paths",
    "files",
    "keys",
    "id",
    "name",
    "path",
    "file",
    "key",
    "file_name",
    "filename",
    "image",
)
_DEEPEST = 30  # folders before a name that are tried


@dataclass(frozen=True)
class NamedVectors:
    """Vectors (N, D) from a file, and the names of their images (N,), if it has them."""

    vectors: ArrayLike
    names: tuple[str, ...] | None = None


class OwnVectors:
    """Unit vectors of the images of one source. Replaces an ``Encoder``, and the ``Batches`` that one makes.

    The key is made of a digest of the vectors: other vectors of the same name are never mixed with them.

    Attributes:
        vectors: Unit vectors float32 (N, D), in the order of the source.
    """

    resolution, precision, device, batch_size = 0, "fp32", "cpu", 256
    preprocessing: Preprocessing = preprocessing_of("bundled")

    def __init__(self, source: ImageSource, vectors: ArrayLike | NamedVectors, name: str) -> None:
        """Check vectors and bring them to length 1 and into the order of a source.

        Raises:
            InputError: If they are not a finite matrix, one is all zeros, or they do not fit the images.
        """
        held = vectors if isinstance(vectors, NamedVectors) else NamedVectors(vectors)
        values: Any = held.vectors
        unit = l2_normalize(values.detach().cpu() if hasattr(values, "detach") else values)  # of a tensor
        if held.names is not None:
            unit = unit[_places(source, held.names)]
        elif len(unit) != len(source.items):
            raise InputError(
                f"vectors must be as many as the images: expected {len(source.items)}, for {source.name!r}, got "
                f"{len(unit)}; or give their names, as a .npz file with 'vectors' and 'ids' does"
            )
        self.vectors, self.dim = unit, unit.shape[1]
        self.model = Model(f"own:{name}", "vectors made elsewhere", "own", dim=self.dim)
        slug = re.sub(r"[^\w.-]+", "--", name)
        self.key = f"own-{slug}-{self.dim}d-{digest_bytes(unit.tobytes())[:8]}"

    def preprocess(self, image: NDArray[np.uint8], size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Refuse: there is no model."""
        raise ModelError(f"{self.model.name} has no model that sees images")

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Refuse: there is no model."""
        raise ModelError(f"{self.model.name} has no model that sees images")

    def describe(self) -> ModelDescription:
        """Return what is stored beside the vectors."""
        return {
            "model": self.model.name,
            "dim": self.dim,
            "resolution": 0,
            "weights_sha256": "",
            "licence": "",
            "own": True,
        }

    def __call__(
        self, source: ImageSource, encoder: ImageEncoder, jobs: Iterable[Job]
    ) -> Generator[Finished, None, None]:
        """Decode each image once for its thumbnail, and give it its vector; see ``Batches``."""
        decoded: list[Decoded] = []
        ready: list[Job] = []

        def finished() -> Finished:
            rows = [job.row for job in ready if not job.has_vector]
            places = [job.source_index for job in ready if not job.has_vector]
            return Finished(decoded, rows, self.vectors[places])

        for job, each in in_order(partial(_decode, source), jobs, ahead=3 * self.batch_size):
            decoded.append(each)
            if each.error is None:
                ready.append(job)
            if len(decoded) == self.batch_size:
                yield finished()
                decoded, ready = [], []
        if decoded:
            yield finished()


def embed_vectors(
    source: ImageSource,
    path: Path,
    own: OwnVectors,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    moved: bool = False,
    replace: bool = False,
) -> EmbedSummary:
    """Bring a collection to the state of a source and its own vectors, which supersede earlier ones of their name.

    Raises:
        CollectionError, SourceError, WriteError: See ``embed_source``.
    """
    summary = embed_source(source, path, own, on_progress=on_progress, batches=own, moved=moved, replace=replace)
    with locked(path, 60.0):
        for key in list_models(path):
            if key != own.key and key.startswith("own-") and read_model(path, key)["model"] == own.model.name:
                shutil.rmtree(path / "vectors" / key, ignore_errors=True)
    return summary


def read_vectors(path: str | os.PathLike[str]) -> NamedVectors:
    """Read vectors from a file, and the names of their images where it has them.

    Args:
        path: ``.npy`` with (N, D); ``.npz`` with "vectors" (N, D) and perhaps "ids" (N,); ``.parquet`` with a column of
            lists, and perhaps one of names called id, path, file_name or the like.

    Raises:
        InputError: It holds nothing of the kind.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            return NamedVectors(np.load(path, allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return _chosen(path.name, {name: archive[name] for name in archive.files})
        if path.suffix == ".parquet":
            return _chosen(path.name, _parquet(path))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path.name} cannot be read as vectors: {reason}") from None
    raise InputError(f"vectors come from a .npy, .npz or .parquet file, got {path.name!r}: save them as one of these")


def _chosen(file: str, held: dict[str, NDArray[np.generic]]) -> NamedVectors:
    """Find the vectors and the names among the arrays of a file."""
    matrices = [name for name, array in held.items() if array.ndim == 2]
    named = [name for name in _VECTORS if name in matrices]
    if not named and len(matrices) != 1:
        listed = ", ".join(f"{name} {array.shape}" for name, array in held.items()) or "nothing"
        raise InputError(f"{file} must hold vectors (N, D) called 'vectors', got {listed}")
    vectors = held[(named or matrices)[0]]
    found = next((held[name] for name in _NAMES if name in held and held[name].ndim == 1), None)
    if found is None:
        return NamedVectors(vectors)
    if len(found) != len(vectors):
        raise InputError(f"{file} must name each of its {len(vectors)} vectors, got {len(found)} names")
    return NamedVectors(vectors, tuple(map(str, found.tolist())))


def _parquet(path: Path) -> dict[str, NDArray[np.generic]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        lists = [field.name for field in schema if _is_list(field.type)]
        table = pq.read_table(path, columns=[*lists, *(name for name in schema.names if name in _NAMES)])
    except pa.ArrowException as error:
        raise InputError(f"{path.name} cannot be read as Parquet: {' '.join(str(error).split())[:200]}") from None
    held: dict[str, NDArray[np.generic]] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name not in lists:
            held[name] = np.asarray(column.to_pylist(), object)
            continue
        lengths = pc.list_value_length(column).unique().to_pylist()
        if len(lengths) != 1 or lengths[0] is None:
            raise InputError(f"column {name!r} of {path.name} must hold lists of one length, got {lengths[:5]}")
        held[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), lengths[0])
    return held


def _is_list(kind: object) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _places(source: ImageSource, names: Sequence[str]) -> NDArray[np.int64]:
    """Return which vector is that of each image (N,), by names that may begin with folders above the source's."""
    wanted = [unicodedata.normalize("NFC", item.id) for item in source.items]
    parts = [unicodedata.normalize("NFC", name.replace(os.sep, "/")).split("/") for name in names]
    best: tuple[int, str] | None = None
    for above in range(min(_DEEPEST, max(map(len, parts)))):
        known = {"/".join(each[above:]): place for place, each in enumerate(parts)}
        missing = [id for id in wanted if id not in known]
        if not missing:
            if len(known) < len(parts):
                raise InputError(f"vectors must have a name each, got {len(parts) - len(known)} names twice")
            return np.asarray([known[id] for id in wanted], np.int64)
        if best is None or len(missing) < best[0]:
            best = len(missing), missing[0]
    count, first = best or (len(wanted), wanted[0])
    raise InputError(
        f"{count:,} of {counted(len(wanted))} in {source.name!r} have no vector, the first {first!r}: expected the "
        f"names of the images, got names such as {names[0]!r}"
    )


def _decode(source: ImageSource, job: Job) -> tuple[Job, Decoded]:
    if job.has_details:
        return job, Decoded(job.row)
    try:
        image = source.load_reduced(job.source_index, (1, 1))
        found = Decoded(job.row, None, *image.size, thumbnail(image.pixels), content=image.content, note=image.note)
        return job, replace(found, quality=image.quality, facts=image.facts)
    except ImageError as error:
        return job, Decoded(job.row, error=str(error), transient=isinstance(error, UnreadableError))
