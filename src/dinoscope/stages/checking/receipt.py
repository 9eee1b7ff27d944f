"""A receipt of a collection: what made its vectors, their digests, and a sample to try on another machine.

It contains no path, file name or picture: images are named by the digest of their id.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from dinoscope._version import __version__
from dinoscope.base.digests import digest_json
from dinoscope.base.machine import this_machine
from dinoscope.base.typed import mismatch
from dinoscope.base.types import JsonObject, Machine, ModelDescription, Provenance, SourceDescription
from dinoscope.embedding.pipeline import ORDER_SEED
from dinoscope.errors import DamagedError, InputError
from dinoscope.storage.files import read_json
from dinoscope.storage.tables import list_parts, read_table

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Receipt", "Sampled", "digests", "make_receipt", "makers", "read_receipt"]

RECEIPT = 1  # version of the format
SAMPLE = 64
SAMPLE_SEED = 0


class _Images(TypedDict):
    count: int
    digest: str


class Sampled(TypedDict):
    """An image of the sample: digests of its id and thumbnail, and its vector in base 64."""

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
    sample: list[Sampled]


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
        **digests(collection),
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
        InputError: If the file is not a receipt, is of a newer version, or was changed.
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
            f"{path} is not a receipt, or was changed ({error.reason}): make it again from its collection"
        ) from None
    version = held.get("receipt") if isinstance(held, dict) else None
    needed = {"sample", "model", "source", "images"}
    if not isinstance(version, int) or (version <= RECEIPT and not held.keys() >= needed):
        raise InputError(f"{path} is not a receipt: expected what 'dinoscope receipt COLLECTION -o {path}' writes")
    if version > RECEIPT:
        raise InputError(f"{path} is a receipt of version {version}, this dinoscope reads {RECEIPT}: upgrade it")
    stated: Receipt = held
    return stated


def digests(collection: OpenedCollection) -> _Digests:
    """Return digests of the contents. They do not depend on where or in which parts these are stored."""
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
    """Return what computed the vectors of a collection under a key, according to their parts; each once."""
    found: list[Provenance] = []
    for part in list_parts(path / "vectors" / key):
        maker: Provenance | None = read_table(part, [])[1].get("made_by")
        if maker is not None and mismatch(maker, Provenance) is None and maker not in found:
            found.append(maker)
    return found


def _results(collection: OpenedCollection) -> list[JsonObject]:
    """Return settings, including seeds, and digests of the results of the present collection."""
    found: list[JsonObject] = []
    for file in sorted((collection.path / "results").glob("*/*.parquet")):
        try:
            if not collection.results.is_current(file):
                continue
            columns, meta = read_table(file)
        except DamagedError:
            continue  # it is computed again when it is needed
        values = {name: value for name, value in meta.items() if name not in ("settings", "seconds")}
        content = hashlib.sha256(digest_json(values, length=64).encode())  # some results consist of nothing else
        for name in sorted(columns):
            content.update(name.encode())
            content.update(np.ascontiguousarray(columns[name]).tobytes())
        found.append({"stage": file.parent.name, "settings": meta["settings"], "digest": content.hexdigest()})
    return found
