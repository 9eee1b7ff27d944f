"""The files of named data sets: IDX of Fashion-MNIST, and CIFAR-10's archive of pickled batches, read safely.

A pickle is a program, and `pickle.load` runs it. Here the three names of NumPy that a batch calls stand for something
that only writes the call down, and every other name is refused. To let NumPy's own through would not do: the state of a
dtype may declare that its objects are none, and then raw bytes become pointers.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import pickle
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import SourceError

__all__ = [
    "BATCHES",
    "Batch",
    "DataFile",
    "Dataset",
    "Images",
    "check_archive",
    "parse_batch",
    "parse_idx",
    "read_batches",
    "read_content",
]

_SIDE, _CHANNELS, _CLASSES = 32, 3, 10
_MAX_BYTES = 40_000_000  # of a batch; those published have 31 million
Images = tuple[NDArray[np.uint8], list[int]]  # pixels (N, 32, 32, 3) and the number of each one's class (N,)


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a data set: a gzip-packed IDX file, or an archive.

    Attributes:
        name: File name, as published.
        packed_bytes: Size as published.
        bytes: Size of an IDX file's content; of an archive, its own again.
        sha256: SHA-256 of the same.
    """

    name: str
    packed_bytes: int
    bytes: int
    sha256: str

    @property
    def unpacked_name(self) -> str:
        """File name where someone has unpacked it, as torchvision does."""
        return self.name.removesuffix(".gz")


def read_content(path: Path, file: DataFile) -> bytes:
    """Read a packed or unpacked IDX file and check it.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or not the one published.
    """
    try:
        with path.open("rb") if path.name == file.unpacked_name else gzip.open(path) as stream:
            content = stream.read(file.bytes + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError("damaged or cut short") from error
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError(f"wrong content, expected {file.bytes} bytes with SHA-256 {file.sha256[:12]}...")
    return content


def parse_idx(data: bytes, name: str) -> NDArray[np.uint8]:
    """Read IDX, the format of MNIST: 0, 0, type, number of dimensions, big-endian sizes, values.

    Args:
        data: The content of a file.
        name: Its name, for messages.

    Raises:
        SourceError: It is not an IDX file of bytes.
    """
    dimensions = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0  # 8: unsigned bytes
    start = 4 + 4 * dimensions
    if not dimensions or len(data) < start:
        raise SourceError(
            f"{name} is not an IDX file of bytes: it begins with {data[:4].hex(' ')}, expected 00 00 08 and 1.."
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    if len(data) - start != math.prod(shape):
        raise SourceError(f"{name} must hold {math.prod(shape)} bytes for shape {shape}, got {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def check_archive(path: Path, file: DataFile) -> None:
    """Check a file that is known by its own digest.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not the one published.
    """
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
            raise ValueError(f"wrong content, expected {file.bytes} bytes with SHA-256 {file.sha256[:12]}...")


@dataclass(frozen=True, slots=True)
class Batch:
    """One file of the archive: its split, name and MD5, which is what the author publishes."""

    split: str
    name: str
    md5: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """One named data set.

    Attributes:
        name: What a person types.
        description: One line.
        licence: SPDX name, or "not stated" where the authors name none.
        citation: Address of the paper.
        images: Number of images.
        class_names: Name of each label number.
        model: The bundled model that fits.
        folder: Sub-folder that holds the files in a folder of data sets.
        mirrors: Addresses of the folder with the files, tried in this order.
        parts: Split, images and labels in IDX files, in the order of the items.
        batches: The batches of CIFAR-10's archive, for a set that has no `parts`.
        package: Debian's package that brings the files, if there is one.
    """

    name: str
    description: str
    licence: str
    citation: str
    images: int
    class_names: tuple[str, ...]
    model: str
    folder: str
    mirrors: tuple[str, ...]
    parts: tuple[tuple[str, DataFile, DataFile], ...] = ()
    batches: tuple[Batch, ...] = ()
    package: str | None = None


BATCHES = (
    Batch("train", "data_batch_1", "c99cafc152244af753f735de768cd75f"),
    Batch("train", "data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
    Batch("train", "data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
    Batch("train", "data_batch_4", "634d18415352ddfa80567beed471001a"),
    Batch("train", "data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    Batch("test", "test_batch", "40351d587109b95175f43aff81a1287e"),
)


def read_batches(place: Path, batches: Sequence[Batch]) -> list[Images]:
    """Read batches from the archive, which is read as a stream and not unpacked, or from the folder of the unpacked.

    Args:
        place: The archive or the folder.
        batches: Those to read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged, or a batch is missing or not the one published.
        SourceError: The content of a batch is as published, and yet no batch.
    """
    wanted = {batch.name: batch for batch in batches}
    found: dict[str, Images] = {}
    for name, content in _members(place, wanted):
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != wanted[name].md5:
            raise ValueError(f"wrong content of {name}, expected MD5 {wanted[name].md5[:12]}...")
        found[name] = parse_batch(content, name)
        if len(found) == len(wanted):
            break
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"has no {', '.join(missing)}")
    return [found[name] for name in wanted]


def _members(place: Path, wanted: dict[str, Batch]) -> Iterator[tuple[str, bytes]]:
    if place.is_dir():
        for name in wanted:
            with (place / name).open("rb") as file:
                yield name, file.read(_MAX_BYTES)
        return
    try:
        with tarfile.open(place, "r|gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                content = archive.extractfile(member) if name in wanted else None
                if content is not None:  # else: another file, or a folder of this name
                    yield name, content.read(_MAX_BYTES)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError("damaged or cut short") from error


def parse_batch(content: bytes, name: str) -> Images:
    """Read one pickled batch; nothing that it names is run.

    Args:
        content: The file.
        name: Its name, for messages.

    Returns:
        Pixels (N, 32, 32, 3), which a file holds as three planes, and the number of each image's class.

    Raises:
        SourceError: If it asks for anything other than an array, or is not a batch.
    """
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        planes, labels = _array(batch["data"]), list(batch["labels"])
    except Exception as error:  # what a damaged pickle may raise has no end
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        raise SourceError(f"{name} is not a CIFAR-10 batch; nothing of it was run: {reason}") from error
    if planes.shape != (len(labels), _CHANNELS * _SIDE * _SIDE):
        raise SourceError(f"{name} must hold {len(labels)} rows of 3072 bytes, one for each label, got {planes.shape}")
    if not all(type(label) is int and 0 <= label < _CLASSES for label in labels):
        raise SourceError(f"{name} must hold labels in 0..9, got others")
    pixels = planes.reshape(-1, _CHANNELS, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), labels


_ARRAY, _DTYPE = "numpy.core.multiarray._reconstruct", "numpy.dtype"
_NAMES = (_ARRAY, _DTYPE, "numpy.ndarray")


class _Call:
    """Stands for one of NumPy's names, for a call of it, and for what the call would have made and set."""

    def __init__(self, name: str, arguments: tuple[object, ...] = ()) -> None:
        self.name, self.arguments = name, arguments
        self.state: Any = None

    def __call__(self, *arguments: object) -> _Call:
        return _Call(self.name, arguments)

    def __setstate__(self, state: object) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Call:
        """Return a stand-in; this is the only way by which a pickle comes to anything that can be called."""
        if f"{module}.{name}" not in _NAMES:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, expected an array alone")
        return _Call(f"{module}.{name}")


def _array(made: _Call) -> NDArray[np.uint8]:
    """Return the array of bytes that NumPy would have made."""
    _, shape, dtype, by_column, values = made.state  # after a version
    if (made.name, dtype.name, dtype.arguments[0]) != (_ARRAY, _DTYPE, "u1"):
        raise ValueError("'data' is not an array of uint8")
    if len(values) != math.prod(shape):
        raise ValueError(f"'data' must hold {math.prod(shape)} bytes for shape {shape}, got {len(values)}")
    return np.frombuffer(values.encode("latin-1"), np.uint8).reshape(shape, order="F" if by_column else "C")
