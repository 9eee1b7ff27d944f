"""A receipt tried on another machine: how far the vectors made or stored there are from those in the receipt."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_json
from dinoscope.errors import ImageError, InputError
from dinoscope.sources.pixels.levels import check_range
from dinoscope.stages.checking.receipt import Receipt, Sampled, digests

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["COARSE_TOLERANCE", "TOLERANCE", "WHOLE_TOLERANCE", "Deviation", "compare_collection", "embed_again"]

# Largest difference of any number of a vector of length 1. Sums in another order differ by about 1e-6 in float32.
# bfloat16 has 8 bits, and a deep model loses some more. int8 adds exactly, so one machine gives equal vectors, whatever
# threads and batch. Where another one scales its sums otherwise, a value may round to the next step: 0.0044 at most for
# 350 photographs, when the same graph runs without integer kernels.
TOLERANCE, WHOLE_TOLERANCE, COARSE_TOLERANCE = 1e-4, 1e-2, 2e-2


@dataclass(frozen=True)
class Deviation:
    """How far vectors made again are from those of a receipt.

    Attributes:
        images: Images compared.
        missing: Images of the sample that the source no longer has, or that cannot be read.
        same_pictures: Images with identical thumbnails, byte for byte: decoding gave the same.
        largest: Largest absolute difference of any number of a vector.
        similarity: Smallest cosine similarity of a vector to its counterpart.
        tolerance: Upper limit for ``largest``.
        differing: What else differs from the receipt.
    """

    images: int
    missing: int
    same_pictures: int
    largest: float
    similarity: float
    tolerance: float
    differing: tuple[str, ...] = ()

    @property
    def within(self) -> bool:
        """Whether everything agrees."""
        return self.images > 0 and self.largest <= self.tolerance and not self.differing


def embed_again(receipt: Receipt, source: ImageSource, encoder: Encoder, tolerance: float | None = None) -> Deviation:
    """Embed the images of a receipt's sample on this machine and compare.

    Args:
        receipt: What ``read_receipt`` returned.
        source: The images that the collection was made from.
        encoder: The model; see ``Encoder.from_description``.
        tolerance: Limit for the largest deviation. By default 1e-4 in fp32, 1e-2 in int8, and 2e-2 where precisions
            differ or are bf16 or tf32.

    Raises:
        InputError: If no image of the sample is in the source.
    """
    from dinoscope.sources.pixels.decode import thumbnail

    index_of = {digest_json(item.id): index for index, item in enumerate(source.items)}
    held = receipt.get("range")
    source.decoding = replace(source.decoding, value_range=None if held is None else check_range(held))
    squares, expected, same = [], [], 0
    for each in receipt["sample"]:
        index = index_of.get(each["image"])
        if index is None:
            continue
        try:
            image = source.load_reduced(index, encoder.preprocessing.least(encoder.resolution))
        except ImageError:
            continue
        same += hashlib.sha256(thumbnail(image.pixels)).hexdigest()[:16] == each["thumbnail"]
        squares.append(encoder.preprocess(image.pixels, image.size))
        expected.append(_vector(each))
    if not squares:
        raise InputError(
            f"none of the {len(receipt['sample'])} images of the receipt is in {source.name!r}: expected the source "
            f"{receipt['source']['name']!r} that the collection was made from"
        )
    got = [
        encoder.run(np.stack(squares[at : at + encoder.batch_size]))
        for at in range(0, len(squares), encoder.batch_size)
    ]
    allowed = _tolerance(receipt, encoder.precision) if tolerance is None else tolerance
    return _compare(np.concatenate(got), np.stack(expected), len(receipt["sample"]), same, allowed, ())


def compare_collection(receipt: Receipt, collection: OpenedCollection, tolerance: float | None = None) -> Deviation:
    """Compare the stored vectors of a collection with those of a receipt, without a model.

    Raises:
        InputError: If no image of the sample is in the collection.
    """
    position_of = {digest_json(each): position for position, each in enumerate(collection.ids.tolist())}
    found = [(position_of[each["image"]], each) for each in receipt["sample"] if each["image"] in position_of]
    if not found:
        raise InputError(f"none of the {len(receipt['sample'])} images of the receipt is in {collection.path}")
    positions = [position for position, _ in found]
    pictures = collection.thumbnails(positions)
    same = sum(
        hashlib.sha256(picture).hexdigest()[:16] == each["thumbnail"]
        for picture, (_, each) in zip(pictures, found, strict=True)
    )
    allowed = _tolerance(receipt, collection.model.get("precision", "fp32")) if tolerance is None else tolerance
    expected = np.stack([_vector(each) for _, each in found])
    if expected.shape[1] != collection.vectors.shape[1]:
        raise InputError(
            f"the receipt's vectors have length {expected.shape[1]}, those of {collection.path} "
            f"{collection.vectors.shape[1]}: name the model with --model"
        )
    held, told = digests(collection)["images"], receipt["images"]
    difference = (
        f"images: {held['count']:,} with digest {held['digest'][:16]}, "
        f"the receipt says {told['count']:,} with {told['digest'][:16]}"
    )
    differing = () if held == told else (difference,)
    return _compare(collection.vectors[positions], expected, len(receipt["sample"]), same, allowed, differing)


def _compare(
    got: NDArray[np.float32],
    expected: NDArray[np.float32],
    sample: int,
    same: int,
    tolerance: float,
    differing: tuple[str, ...],
) -> Deviation:
    if got.shape != expected.shape:
        raise InputError(f"the receipt's vectors have length {expected.shape[1]}, this model's {got.shape[1]}")
    largest = float(np.abs(got - expected).max())
    similarity = float((got.astype(np.float64) * expected).sum(1).min())
    return Deviation(len(got), sample - len(got), same, largest, similarity, tolerance, differing)


def _tolerance(receipt: Receipt, precision: str) -> float:
    both = {precision, receipt["model"].get("precision", "fp32")}
    return TOLERANCE if both == {"fp32"} else WHOLE_TOLERANCE if both == {"int8"} else COARSE_TOLERANCE


def _vector(entry: Sampled) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(entry["vector"]), "<f4").astype(np.float32)
