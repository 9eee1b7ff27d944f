"""Named data sets: where their files are looked for, how they are fetched and checked; and files that hold an array.

Nothing is fetched that is already on the machine. Each file is known by the SHA-256 of its unpacked content, because
distributions pack it anew (Debian's differ from the published ones by the name and time in the gzip header).
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from dinoscope.errors import DownloadError, SourceError, did_you_mean
from dinoscope.images import ArraySource, Item, Labels, digest

__all__ = ["DATASETS", "DataFile", "Dataset", "DatasetSource", "list_datasets", "load_array_file", "load_dataset"]

TIMEOUT_S = 30.0
_SYSTEM = Path("/usr/share/datasets")
_SHIPPED = Path(__file__).with_name("data")


@dataclass(frozen=True, slots=True)
class DataFile:
    """One gzip-packed IDX file of a data set.

    Attributes:
        name: File name, as published.
        packed_bytes: Size as published.
        bytes: Size of the content.
        sha256: SHA-256 of the content.
    """

    name: str
    packed_bytes: int
    bytes: int
    sha256: str

    @property
    def unpacked_name(self) -> str:
        """File name where someone has unpacked it, as torchvision does."""
        return self.name.removesuffix(".gz")


@dataclass(frozen=True, slots=True)
class Dataset:
    """One named data set.

    Attributes:
        name: What a person types.
        description: One line.
        licence: SPDX name.
        citation: Address of the paper.
        images: Number of images.
        class_names: Name of each label number.
        parts: Split, images and labels, in the order of the items.
        folder: Sub-folder that holds the files in a folder of data sets.
        mirrors: Addresses of the folder with the files, tried in this order.
    """

    name: str
    description: str
    licence: str
    citation: str
    images: int
    class_names: tuple[str, ...]
    parts: tuple[tuple[str, DataFile, DataFile], ...]
    folder: str
    mirrors: tuple[str, ...]

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files of the data set."""
        return tuple(file for _, *pair in self.parts for file in pair)


_TRAIN = (
    "train",
    DataFile(
        "train-images-idx3-ubyte.gz",
        packed_bytes=26_421_880,
        bytes=47_040_016,
        sha256="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    DataFile(
        "train-labels-idx1-ubyte.gz",
        packed_bytes=29_515,
        bytes=60_008,
        sha256="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
)
_TEST = (
    "test",
    DataFile(
        "t10k-images-idx3-ubyte.gz",
        packed_bytes=4_422_102,
        bytes=7_840_016,
        sha256="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    DataFile(
        "t10k-labels-idx1-ubyte.gz",
        packed_bytes=5_148,
        bytes=10_008,
        sha256="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)


def _fashion_mnist(name: str, description: str, images: int, *parts: tuple[str, DataFile, DataFile]) -> Dataset:
    return Dataset(
        name,
        description,
        licence="MIT",
        citation="https://arxiv.org/abs/1708.07747",
        images=images,
        class_names=(
            *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        parts=parts,
        folder="fashion-mnist",
        mirrors=(  # the authors' bucket and repository; the bucket's better known address has no TLS
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
    )


DATASETS = {
    row.name: row
    for row in (
        _fashion_mnist("fashion-mnist", "clothes, 28 x 28 greys, both splits", 70_000, _TRAIN, _TEST),
        _fashion_mnist("fashion-mnist-test", "its test split, ships with dinoscope", 10_000, _TEST),
    )
}


class DatasetSource:
    """The images of a named data set.

    Attributes:
        dataset: Its row in the table.
        pixels: (N, H, W) uint8 greys, for work in bulk.
    """

    kind = "dataset"

    def __init__(self, dataset: Dataset, pixels: NDArray[np.uint8], items: Sequence[Item]) -> None:
        self.name, self.dataset, self.pixels, self.items = dataset.name, dataset, pixels, items

    def load(self, index: int) -> NDArray[np.uint8]:
        """Return one image as (H, W, 3) RGB."""
        return np.repeat(self.pixels[index][:, :, None], 3, axis=2)


def list_datasets() -> tuple[Dataset, ...]:
    """Return the rows of all known data sets."""
    return tuple(DATASETS.values())


def load_dataset(
    name: str, data_dir: str | os.PathLike[str] | None = None, *, mirrors: Sequence[str] | None = None
) -> DatasetSource:
    """Load a named data set: from this machine where it is, else from the web into the user's cache.

    Files are looked for in `data_dir`, the folder `DINOSCOPE_DATA` names, the user's cache, /usr/share/datasets and the
    package; there, or in their sub-folder of the set's name; packed or unpacked. One with other content does not count.

    Args:
        name: A name in `DATASETS`.
        data_dir: Folder that is looked into first.
        mirrors: Addresses to fetch from in place of the data set's own.

    Raises:
        SourceError: The name is unknown or `data_dir` is no folder.
        DownloadError: A file is not here and cannot be fetched.
    """
    if name not in DATASETS:
        raise SourceError(
            f"unknown data set {name!r}; expected one of {', '.join(DATASETS)}{did_you_mean(name, DATASETS)}"
        )
    if data_dir is not None and not os.path.isdir(data_dir):
        raise SourceError(f"data_dir must be a folder, got {os.fspath(data_dir)!r}")
    dataset = DATASETS[name]
    places = _places(dataset, data_dir)
    pixels, items = [], []
    for split, image_file, label_file in dataset.parts:
        images, labels = (
            _parse_idx(_find(file, places) or _download(file, dataset, mirrors or dataset.mirrors), file.name)
            for file in (image_file, label_file)
        )
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise SourceError(f"{split}: {labels.shape} labels do not fit {images.shape} images")
        pixels.append(images)
        ids = [f"{split}/{row:05d}" for row in range(len(images))]
        classes = [dataset.class_names[number] for number in labels]
        items += [Item(id, digest(name, id), label, split) for id, label in zip(ids, classes, strict=True)]
    return DatasetSource(dataset, np.concatenate(pixels), items)


def load_array_file(path: str | os.PathLike[str], labels: Labels | None = None) -> ArraySource:
    """Open a `.npy` file of images, or a `.npz` file with `images` and perhaps `labels`.

    Args:
        path: The file.
        labels: (N,) labels in place of the file's own.

    Raises:
        SourceError: The file cannot be read as such.
        InputError: Its arrays are not images, or the labels do not fit; see `ArraySource`.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            images = np.lib.format.open_memmap(path, mode="r")
        else:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                if "images" not in archive:
                    held = ", ".join(archive) or "none"
                    raise SourceError(f"{path.name} must hold an array called 'images', got {held}")
                images = archive["images"]
                labels = archive["labels"] if labels is None and "labels" in archive else labels
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SourceError(f"{path.name} is no readable NumPy file: {str(error).splitlines()[0]}") from error
    return ArraySource(images, labels, name=path.stem)


def _cache() -> Path:
    return user_cache_path("dinoscope") / "datasets"


def _places(dataset: Dataset, data_dir: str | os.PathLike[str] | None) -> list[Path]:
    """Folders that may hold the files, nearest to the user's wish first."""
    named = [Path(each) for each in (data_dir, os.environ.get("DINOSCOPE_DATA")) if each]
    return [place for root in (*named, _cache(), _SYSTEM, _SHIPPED) for place in (root, root / dataset.folder)]


def _find(file: DataFile, places: Sequence[Path]) -> bytes | None:
    for place in places:
        for path in (place / file.name, place / file.unpacked_name):
            try:
                return _content(path, file)
            except (OSError, ValueError):  # not here, or not what it is called
                continue
    return None


def _content(path: Path, file: DataFile) -> bytes:
    """Read a packed or unpacked file and check it; `ValueError` says what is wrong with it."""
    try:
        with path.open("rb") if path.name == file.unpacked_name else gzip.open(path) as stream:
            content = stream.read(file.bytes + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError("damaged or cut short") from error
    if len(content) != file.bytes or hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError(f"wrong content, expected {file.bytes} bytes with SHA-256 {file.sha256[:12]}...")
    return content


def _parse_idx(data: bytes, name: str) -> NDArray[np.uint8]:
    """Read IDX, the format of MNIST: 0, 0, type, number of dimensions, big-endian sizes, values."""
    dimensions = data[3] if data[:3] == b"\0\0\x08" and len(data) > 3 else 0  # 8: unsigned bytes
    start = 4 + 4 * dimensions
    if not dimensions or len(data) < start:
        raise SourceError(
            f"{name} is no IDX file of bytes: it begins with {data[:4].hex(' ')}, expected 00 00 08 and 1.."
        )
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", dimensions, offset=4))
    if len(data) - start != math.prod(shape):
        raise SourceError(f"{name} must hold {math.prod(shape)} bytes for shape {shape}, got {len(data) - start}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def _download(file: DataFile, dataset: Dataset, mirrors: Sequence[str]) -> bytes:
    """Fetch one file into the user's cache from the first mirror that has it whole."""
    folder = _cache() / dataset.folder
    reasons = []
    for mirror in mirrors:
        try:
            return _fetch(f"{mirror.rstrip('/')}/{file.name}", file, folder / file.name)
        except (OSError, HTTPException, ValueError) as error:
            cause: object = error
            if isinstance(error, HTTPError):
                error.close()  # it is also the answer, with an open socket
            elif isinstance(error, URLError):
                cause = error.reason
            reasons.append(f"{urlsplit(mirror).hostname}: {' '.join(str(cause).split())[:200]}")
    shipped = "; fashion-mnist-test ships with dinoscope" if dataset.name == "fashion-mnist" else ""
    raise DownloadError(
        f"could not fetch {file.name} ({'; '.join(reasons)}); put it into {folder}, set DINOSCOPE_DATA to its folder, "
        f"or install Debian's dataset-fashion-mnist{shipped}"
    )


def _fetch(url: str, file: DataFile, target: Path) -> bytes:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")  # a name of its own: two processes may fetch
    try:
        request = Request(url, headers={"User-Agent": "dinoscope"})
        with urlopen(request, timeout=TIMEOUT_S) as answer, part.open("wb") as out, _progress(file) as advance:
            received = 0
            while chunk := answer.read(1 << 16):
                received += out.write(chunk)
                advance(len(chunk))
                if received > file.bytes:  # packed, it must be smaller than unpacked
                    raise ValueError(f"too large, expected {file.packed_bytes} bytes")
            out.flush()
            os.fsync(out.fileno())
            expected = int(answer.headers.get("Content-Length") or received)
        if received != expected:
            raise ValueError(f"cut short, {received} of {expected} bytes")
        content = _content(part, file)
        os.replace(part, target)
        return content
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _progress(file: DataFile) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(file.name, total=file.packed_bytes)
        yield lambda count: bar.advance(task, count)
