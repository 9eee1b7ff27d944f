"""A receipt of a collection: what made its vectors, digests of what they are, and a sample to try on another machine.

It holds no path, no name of a file and no picture: an image is named by the digest of its id.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from dinoscope._version import __version__
from dinoscope.base.digests import digest_json
from dinoscope.base.machine import this_machine
from dinoscope.base.typed import mismatch
from dinoscope.base.types import JsonObject, Machine, ModelDescription, Provenance, SourceDescription
from dinoscope.embedding.pipeline import ORDER_SEED
from dinoscope.errors import DamagedError, ImageError, InputError
from dinoscope.sources.pixels.levels import check_range
from dinoscope.storage.files import read_json
from dinoscope.storage.tables import list_parts, read_table

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Deviation", "Receipt", "compare_collection", "embed_again", "make_receipt", "makers", "read_receipt"]

RECEIPT = 1  # version of the format
SAMPLE = 64
SAMPLE_SEED = 0
# Largest difference of any number of a vector of length 1. Sums in another order differ by about 1e-6 in float32;
# bfloat16 has 8 bits, of which a deep model loses some more.
TOLERANCE, COARSE_TOLERANCE = 1e-4, 2e-2


class _Images(TypedDict):
    count: int
    digest: str


class _Sampled(TypedDict):
    image: str
    thumbnail: str
    vector: str


class _Digests(TypedDict):
    images: _Images
    vectors: JsonObject
    content: JsonObject


class _Scaled(TypedDict, total=False):
    range: list[float]


class Receipt(_Digests, _Scaled):
    """What a receipt says."""

    receipt: int
    dinoscope: str
    source: SourceDescription
    model: ModelDescription
    made_by: list[Provenance]
    written_by: Machine
    seeds: dict[str, int]
    results: list[JsonObject]
    sample: list[_Sampled]


@dataclass(frozen=True)
class Deviation:
    """How far vectors made again are from those of a receipt.

    Attributes:
        images: Images compared.
        missing: Images of the sample that the source has no more, or that cannot be read.
        same_pictures: Images whose thumbnails are the same, byte for byte: so far, decoding gave the same.
        largest: Largest absolute difference of any number of a vector.
        similarity: Smallest cosine similarity of a vector to its like.
        tolerance: What ``largest`` may be.
        differing: What else is not as the receipt says.
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
        """Whether all is as it should be."""
        return self.images > 0 and self.largest <= self.tolerance and not self.differing


def make_receipt(collection: OpenedCollection) -> Receipt:
    """Return the receipt of a collection, as JSON values.

    Raises:
        CollectionError: If a part is damaged.
    """
    chosen = np.sort(np.random.default_rng(SAMPLE_SEED).permutation(len(collection))[:SAMPLE])
    thumbnails = collection.thumbnails(chosen)
    held = collection.decoding.value_range
    scaled: _Scaled = {} if held is None else {"range": list(held)}
    return {
        "receipt": RECEIPT,
        "dinoscope": __version__,
        "source": {"name": collection.name, "kind": collection.kind},
        **_digests(collection),
        **scaled,
        "model": collection.model,
        "made_by": makers(collection.path, collection.key),
        "written_by": this_machine(),
        "seeds": {"order": ORDER_SEED, "sample": SAMPLE_SEED},
        "results": _results(collection),
        "sample": [
            {
                "image": digest_json(collection.ids[position]),
                "thumbnail": hashlib.sha256(thumbnail).hexdigest()[:16],
                "vector": base64.b64encode(collection.vectors[position].astype("<f4").tobytes()).decode(),
            }
            for position, thumbnail in zip(chosen.tolist(), thumbnails, strict=True)
        ],
    }


def read_receipt(path: Path) -> Receipt:
    """Read a receipt.

    Raises:
        InputError: If it is none, is of a newer version, or was changed.
    """
    if path.is_dir():
        raise InputError(
            f"{path} is a folder, expected a receipt: make one with 'dinoscope receipt COLLECTION -o receipt.json'"
        )
    try:
        held = read_json(path)
    except FileNotFoundError:
        raise InputError(
            f"there is no receipt {path}: make one with 'dinoscope receipt COLLECTION -o {path}'"
        ) from None
    except DamagedError as error:
        raise InputError(
            f"{path} is no receipt, or was changed ({error.reason}): make it anew from its collection"
        ) from None
    version = held.get("receipt") if isinstance(held, dict) else None
    needed = {"sample", "model", "source", "images"}
    if not isinstance(version, int) or (version <= RECEIPT and not held.keys() >= needed):
        raise InputError(f"{path} is no receipt: expected what 'dinoscope receipt COLLECTION -o {path}' writes")
    if version > RECEIPT:
        raise InputError(f"{path} is a receipt of version {version}, this dinoscope reads {RECEIPT}: upgrade it")
    stated: Receipt = held
    return stated


def embed_again(receipt: Receipt, source: ImageSource, encoder: Encoder, tolerance: float | None = None) -> Deviation:
    """Embed the images of a receipt's sample on this machine and compare.

    Args:
        receipt: What ``read_receipt`` gave.
        source: The images that the collection was made from.
        encoder: The model; see ``Encoder.from_description``.
        tolerance: What the largest deviation may be; by default 1e-4, and 2e-2 where precisions differ or are coarse.

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
    """Compare the vectors that a collection holds with those of a receipt, without a model.

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
    held, told = _digests(collection)["images"], receipt["images"]
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
    return TOLERANCE if {precision, receipt["model"].get("precision", "fp32")} == {"fp32"} else COARSE_TOLERANCE


def _vector(entry: _Sampled) -> NDArray[np.float32]:
    return np.frombuffer(base64.b64decode(entry["vector"]), "<f4").astype(np.float32)


def _digests(collection: OpenedCollection) -> _Digests:
    """Return digests of the contents: the same wherever and in whatever parts they are stored."""
    images = hashlib.sha256()
    columns = (collection.ids, collection.labels, collection.splits)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        images.update(repr(row).encode())
    vectors = hashlib.sha256(np.ascontiguousarray(collection.vectors, "<f4").data)
    return {
        "images": {"count": len(collection), "digest": images.hexdigest()},
        "vectors": {"shape": list(collection.vectors.shape), "digest": vectors.hexdigest()},
        "content": {"digest": digest_json(collection.results.state, length=32)},
    }


def makers(path: Path, key: str) -> list[Provenance]:
    """Return what computed the vectors of a collection under a key, as their parts say; each once."""
    found: list[Provenance] = []
    for part in list_parts(path / "vectors" / key):
        maker: Provenance | None = read_table(part, [])[1].get("made_by")
        if maker is not None and mismatch(maker, Provenance) is None and maker not in found:
            found.append(maker)
    return found


def _results(collection: OpenedCollection) -> list[JsonObject]:
    """Return settings (seeds among them) and digests of the results of the collection as it is."""
    found: list[JsonObject] = []
    for file in sorted((collection.path / "results").glob("*/*.parquet")):
        try:
            if not collection.results.is_current(file):
                continue
            columns, meta = read_table(file)
        except DamagedError:
            continue  # it is computed again when it is asked for
        values = {name: value for name, value in meta.items() if name not in ("settings", "seconds")}
        content = hashlib.sha256(digest_json(values, length=64).encode())  # all that some results consist of
        for name in sorted(columns):
            content.update(name.encode())
            content.update(np.ascontiguousarray(columns[name]).tobytes())
        found.append({"stage": file.parent.name, "settings": meta["settings"], "digest": content.hexdigest()})
    return found
