"""Load the unlabelled training images as uint8 tensors (labels only for the k-NN monitor)."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pretraining.sets import FASHION_MNIST, get_set

__all__ = ["ImageSet", "load"]


@dataclass(frozen=True)
class ImageSet:
    """Images of one set, whole in memory.

    Attributes:
        name: The set's name, a key of ``SETS``.
        images: The part to train on, uint8 (N, C, H, W).
        held_out: The part that is never trained on, uint8 (M, C, H, W); the monitor's queries.
        labels: Class indices (N,) of ``images``, read by the monitor alone.
        held_out_labels: Class indices (M,) of ``held_out``.
    """

    name: str
    images: Tensor
    held_out: Tensor
    labels: Tensor
    held_out_labels: Tensor


def load(
    name: str, folder: Path, *, held_out: int | None = None, limit: int | None = None, largest: int = 0
) -> ImageSet:
    """Load one training set and split off the images that training must not see.

    The last images in file order are kept out; ``pretraining.sets`` says how many.

    Args:
        name: One of ``SETS``.
        folder: Where the Parquet files lie; Fashion-MNIST may lie there too, or where Debian's package puts it.
        held_out: How many images to keep out, instead of the set's own number.
        limit: Read no more than this many images (tests and trials).
        largest: Reduce larger images to this side, as they are where whole images are looked at; 0 for none.

    Raises:
        ValueError: If there is no such set.
        FileNotFoundError: If its files are not there.
    """
    row = get_set(name)
    pixels, labels = _fashion_mnist(folder, limit) if name == "fashion-mnist" else _parquet(row.prefix, folder, limit)
    if 0 < largest < pixels.shape[-1]:
        pixels = _reduced(pixels, largest)
    cut = len(pixels) - (row.held_out(len(pixels)) if held_out is None else held_out)
    return ImageSet(name, pixels[:cut], pixels[cut:], labels[:cut], labels[cut:])


def _reduced(pixels: Tensor, side: int) -> Tensor:
    return torch.cat(
        [F.interpolate(part, (side, side), mode="bilinear", antialias=True) for part in pixels.split(10_000)]
    )


def _fashion_mnist(folder: Path, limit: int | None) -> tuple[Tensor, Tensor]:
    images, labels = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
    base = next((f for f in (folder, FASHION_MNIST) if (f / images).exists() and (f / labels).exists()), None)
    if base is None:
        raise FileNotFoundError(
            f"no files {images} and {labels} in {folder} or {FASHION_MNIST}: "
            "pass the folder that holds them with --data, or install Debian's package dataset-fashion-mnist"
        )
    pixels = np.frombuffer(gzip.decompress((base / images).read_bytes()), np.uint8, offset=16)
    classes = np.frombuffer(gzip.decompress((base / labels).read_bytes()), np.uint8, offset=8)
    return (
        torch.from_numpy(pixels.reshape(-1, 1, 28, 28)[:limit].copy()),
        torch.from_numpy(classes[:limit].astype(np.int64)),
    )


def _parquet(prefix: str, folder: Path, limit: int | None) -> tuple[Tensor, Tensor]:
    parts = sorted(folder.glob(f"{prefix}*.parquet"))
    if not parts:
        raise FileNotFoundError(f"no file {prefix}*.parquet in {folder}: pass the folder that holds it with --data")
    images: list[np.ndarray] = []
    names: list[str] = []
    for part in parts:
        table = pq.read_table(part)
        rows = table.num_rows if limit is None else min(table.num_rows, limit - len(images))
        for cell in table["image"][:rows]:
            raw = cell.as_py()
            raw = raw["bytes"] if isinstance(raw, dict) else raw
            images.append(np.asarray(Image.open(io.BytesIO(raw)).convert("RGB")))
        names += [str(label) for label in table["label"][:rows].to_pylist()]
    order = {label: index for index, label in enumerate(sorted(set(names)))}
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
    return pixels, torch.tensor([order[label] for label in names])
