"""Named data sets: where their files are looked for, how they are fetched and checked; and files that hold an array.

Nothing is fetched that is already on the machine. Each file is known by the digest of its unpacked content, because
distributions pack it again (Debian's differ from the published ones by the name and time in the gzip header).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_bytes
from dinoscope.base.package import PACKAGE
from dinoscope.base.paths import named_path
from dinoscope.base.text import did_you_mean
from dinoscope.errors import SourceError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.datasets.download import cache_folder, obtain
from dinoscope.sources.datasets.files import (
    BATCHES,
    Batch,
    DataFile,
    Dataset,
    Images,
    parse_idx,
    read_batches,
    read_content,
)
from dinoscope.sources.items import Item

__all__ = ["DATASETS", "DatasetSource", "list_datasets", "load_dataset"]

_SYSTEM = Path("/usr/share/datasets")
_SHIPPED = PACKAGE / "data"


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
_CIFAR_ARCHIVE = DataFile(
    "cifar-10-python.tar.gz",
    packed_bytes=170_498_071,
    bytes=170_498_071,
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
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
        model="mini-fashion",
        folder="fashion-mnist",
        mirrors=(  # the authors' bucket and repository; the bucket's better known address has no TLS
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        parts=parts,
        package="dataset-fashion-mnist",
    )


def _cifar10(name: str, description: str, images: int, *batches: Batch) -> Dataset:
    return Dataset(
        name,
        description,
        licence="not stated",
        citation="https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
        images=images,
        class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        model="mini",
        folder="cifar-10",
        mirrors=("https://www.cs.toronto.edu/~kriz",),
        batches=batches,
    )


DATASETS = {
    row.name: row
    for row in (
        _fashion_mnist("fashion-mnist", "clothes, 28 x 28 greys, both splits", 70_000, _TRAIN, _TEST),
        _fashion_mnist("fashion-mnist-test", "its test split, ships with dinoscope", 10_000, _TEST),
        _cifar10("cifar10", "photographs of animals and vehicles, 32 x 32 colours, both splits", 60_000, *BATCHES),
        _cifar10("cifar10-test", "its test split, which the bundled models never saw", 10_000, BATCHES[-1]),
    )
}


class DatasetSource(ImageSource):
    """The images of a named data set.

    Attributes:
        dataset: Its row in the table.
        pixels: (N, H, W) uint8 greys or (N, H, W, 3) RGB, for work in bulk.
    """

    kind = "dataset"

    def __init__(self, dataset: Dataset, pixels: NDArray[np.uint8], items: Sequence[Item]) -> None:
        self.name, self.dataset, self.pixels, self.items = dataset.name, dataset, pixels, items

    def load(self, index: int) -> NDArray[np.uint8]:
        """Return one image as (H, W, 3) RGB."""
        image = self.pixels[index]
        return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def list_datasets() -> tuple[Dataset, ...]:
    """Return the rows of all known data sets."""
    return tuple(DATASETS.values())


def load_dataset(
    name: str, data_dir: str | os.PathLike[str] | None = None, *, mirrors: Sequence[str] | None = None
) -> DatasetSource:
    """Load a named data set: from this machine where it is, else from the web into the user's cache.

    Files are searched in `data_dir`, the folder in `DINOSCOPE_DATA`, the user's cache, /usr/share/datasets and the
    package: there, or in a sub-folder with the set's name, packed or unpacked. A file with other content does not
    count. An interrupted download continues where it stopped.

    Args:
        name: A name in `DATASETS`.
        data_dir: Folder that is looked into first.
        mirrors: Addresses to fetch from instead of the data set's own.

    Raises:
        SourceError: The name is unknown or `data_dir` is not a folder.
        DownloadError: A file is not here and cannot be fetched.
    """
    if name not in DATASETS:
        raise SourceError(
            f"unknown data set {name!r}; expected one of {', '.join(DATASETS)}{did_you_mean(name, DATASETS)}"
        )
    if data_dir is not None and not named_path(data_dir).is_dir():
        raise SourceError(f"data_dir must be a folder, got {os.fspath(data_dir)!r}")
    dataset = DATASETS[name]
    read = _read_cifar if dataset.batches else _read_idx
    pixels, items, counts = [], [], Counter[str]()
    for split, images, numbers in read(dataset, _places(dataset, data_dir), mirrors or dataset.mirrors):
        pixels.append(images)
        ids = [f"{split}/{row:05d}" for row in range(counts[split], counts[split] + len(images))]
        counts[split] += len(images)
        classes = [dataset.class_names[number] for number in numbers]
        items += [Item(id, digest_bytes(name, id), label, split) for id, label in zip(ids, classes, strict=True)]
    return DatasetSource(dataset, np.concatenate(pixels), items)


def _places(dataset: Dataset, data_dir: str | os.PathLike[str] | None) -> list[Path]:
    """Folders that may hold the files, nearest to the user's wish first."""
    named = [named_path(each) for each in (data_dir, os.environ.get("DINOSCOPE_DATA")) if each]
    return [place for root in (*named, cache_folder(), _SYSTEM, _SHIPPED) for place in (root, root / dataset.folder)]


_Parts = Iterator[tuple[str, NDArray[np.uint8], Sequence[int]]]  # split, images, label numbers


def _read_idx(dataset: Dataset, places: Sequence[Path], mirrors: Sequence[str]) -> _Parts:
    for split, image_file, label_file in dataset.parts:
        images, labels = (
            parse_idx(_get(file, dataset, places, mirrors), file.name) for file in (image_file, label_file)
        )
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise SourceError(f"{split}: {labels.shape} labels do not fit {images.shape} images")
        yield split, images, labels.tolist()


def _get(file: DataFile, dataset: Dataset, places: Sequence[Path], mirrors: Sequence[str]) -> bytes:
    def read(path: Path) -> bytes:
        return read_content(path, file)

    paths = [place / name for place in places for name in (file.name, file.unpacked_name)]
    return obtain(paths, read, file, dataset, mirrors)


def _read_cifar(dataset: Dataset, places: Sequence[Path], mirrors: Sequence[str]) -> _Parts:
    def read(path: Path) -> list[Images]:
        return read_batches(path, dataset.batches)

    # the folder that a person names may be that of the batches itself
    paths = [path for place in places for path in (place / _CIFAR_ARCHIVE.name, place / "cifar-10-batches-py", place)]
    found = obtain(paths, read, _CIFAR_ARCHIVE, dataset, mirrors)
    for batch, (pixels, numbers) in zip(dataset.batches, found, strict=True):
        yield batch.split, pixels, numbers
