"""Publish a collection to Milvus, where many people search more vectors than one machine's memory holds.

The content of Milvus decides what is left to do. There is no second record that could differ. Each row carries a digest
of everything that is published of it. So a second run (after a kill, or with new images) sends what is missing or
changed, and deletes what was removed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.checks import check_count
from dinoscope.base.parallel import row_blocks
from dinoscope.base.text import remark
from dinoscope.errors import InputError, PublishError
from dinoscope.sources.pixels.decode import Query
from dinoscope.stages.queries.search import Match, resolve_query
from dinoscope.storage.manifest import list_models

if TYPE_CHECKING:
    from pymilvus import MilvusClient

    from dinoscope.stages.opened import OpenedCollection

__all__ = ["TOKEN_VARIABLE", "PublishSummary", "publish", "published_name", "search_published"]

TOKEN_VARIABLE = "MILVUS_TOKEN"  # name of the variable; the token is never stored or printed
_WINDOW = 10_000  # row numbers compared at once; Milvus gives at most 16,384 rows an answer
_BATCH_BYTES = 4 << 20  # of vectors in one request; Milvus takes up to 64 MB
_LINKS, _BUILD_WIDTH, _SEARCH_WIDTH = 16, 200, 128  # of Milvus' HNSW index: recall at 10 above 0.98
_LONGEST = 65_535  # bytes of a text in Milvus
_MOST_ANSWERS = 1_000
_MOST_LABELS = 4_096  # of one image; Milvus holds no longer array
_SETS = "labels"  # the field for several labels per image; collections of earlier versions lack it
_FIELDS = {"row", "key", "digest", "id", "label", _SETS, "split", "vector"}


@dataclass(frozen=True)
class PublishSummary:
    """What a run did.

    Attributes:
        name: Name of the collection in Milvus.
        images: Images that it now contains.
        upserted: Images sent by this run, because they were missing or had changed.
        removed: Images deleted by this run, because they are no longer in the collection.
        seconds: Time that this run took.
    """

    name: str
    images: int
    upserted: int
    removed: int
    seconds: float


def publish(
    collection: OpenedCollection,
    uri: str,
    *,
    name: str | None = None,
    replace: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> PublishSummary:
    """Bring a collection in Milvus to the state of a collection on disk. A stopped run is continued.

    Published are row, id, label or labels, split and vector of every image. The token of a cluster is read from the
    environment variable MILVUS_TOKEN.

    Args:
        collection: What to publish.
        uri: Address of a Milvus server, http(s)://HOST:PORT, or a name that ends with .db, for milvus-lite.
        name: Name in Milvus; by default made of the names of the source and of the vectors.
        replace: Whether to delete what has that name and was made from other images.
        on_progress: Called with the images done and their total.

    Raises:
        InputError: The address is none, or the packages of ``dinoscope[milvus]`` are missing.
        PublishError: Milvus cannot be reached or refuses, the name is taken by other images, or an image has more than
            4,096 labels.
    """
    began, uri = time.monotonic(), os.path.expanduser(uri)
    name = _checked_name(collection, name)
    upserted = removed = 0
    with _connected(uri) as client:
        if client.has_collection(name) and not _is_ours(client, name, collection):
            if not replace:
                raise PublishError(
                    f"{name!r} in Milvus holds other images or vectors than {collection.path}: publish under another "
                    "name with --name, or delete what is there with --replace"
                )
            client.drop_collection(name)
        elif client.has_collection(name) and _SETS not in _fields(client, name):
            remark(f"{name!r} in Milvus has no place for several labels per image: it is made again")
            client.drop_collection(name)
        for other in _of_other_weights(client.list_collections(), collection):
            remark(
                f"Milvus also holds {other!r}, made by {collection.model['model']} with other weights: vectors of both "
                "cannot be compared"
            )
        _prepare(client, name, collection)
        for window in _windows(collection):
            sent, gone = _synchronise(client, name, collection, window)
            upserted, removed = upserted + sent, removed + gone
            if on_progress:
                on_progress(window.stop, len(collection))
        removed += _remove_beyond(client, name, int(collection.rows[-1]))
        client.flush(name)
        held = int(client.query(name, filter="", output_fields=["count(*)"])[0]["count(*)"])
    if held != len(collection):
        raise PublishError(
            f"{name!r} in Milvus holds {held:,} images, expected {len(collection):,}: "
            "is somebody else writing there? run the same command again"
        )
    return PublishSummary(name, held, upserted, removed, time.monotonic() - began)


def search_published(
    collection: OpenedCollection,
    uri: str,
    query: Query,
    k: int = 10,
    *,
    name: str | None = None,
    labels: Sequence[str] = (),
    splits: Sequence[str] = (),
    weights: str | None = None,
) -> list[Match]:
    """Find the images most like one image in Milvus, the best first.

    Args:
        collection: What was published. It names the model and contains the vector of a row.
        uri: See ``publish``.
        query: See ``Collection.search``; the image of a row is left out of the answer.
        k: Number of answers, at most 1,000.
        name: See ``publish``.
        labels: Answer only with images that have one of these labels, alone or among several; empty for all.
        splits: Answer only with images of one of these splits; empty for all.
        weights: See ``Collection.search``.

    Raises:
        InputError: Nothing is published under that name; or as for ``Collection.search`` and ``publish``.
        PublishError: Milvus cannot be reached or refuses.
    """
    check_count(k, "k", at_most=_MOST_ANSWERS, why="what Milvus is asked for")
    uri = os.path.expanduser(uri)
    _check_uri(uri)  # before any message that repeats it
    place = _checked_name(collection, name)
    filters = [f"split in {_quoted(splits)}"] if splits else []
    if labels:
        filters.append(f"(label in {_quoted(labels)} or array_contains_any({_SETS}, {_quoted(labels)}))")
    vector, own = resolve_query(collection, query, k, weights)
    if own is not None:
        filters.append(f"row != {collection.rows[own]}")
    if _is_file(uri) and not Path(uri).exists():  # a query would create it
        raise _not_published(collection, uri, name, [])
    with _connected(uri) as client:
        if not client.has_collection(place):
            raise _not_published(collection, uri, name, client.list_collections())
        if labels and _SETS not in _fields(client, place):
            raise InputError(
                f"{place!r} in Milvus was published by an earlier version, which knew one label per image: run "
                f"{_command(collection, uri, name)} again"
            )
        client.load_collection(place)
        hits = client.search(
            place,
            [vector],
            limit=k,
            filter=" and ".join(filters),
            output_fields=["key", "id", "label"],
            search_params={"metric_type": "COSINE", "params": {"ef": max(_SEARCH_WIDTH, 2 * k)}},
        )[0]
    if any(not hit["entity"]["key"].startswith(_key_prefix(collection)) for hit in hits):
        raise PublishError(f"{place!r} in Milvus holds vectors of another model than {collection.key}: name another")
    return [Match(hit["row"], hit["entity"]["id"], hit["entity"]["label"], min(1.0, hit["distance"])) for hit in hits]


def _not_published(collection: OpenedCollection, uri: str, name: str | None, others: Sequence[str]) -> InputError:
    there = f"; there is: {', '.join(others)}" if others else ""
    return InputError(
        f"nothing is published there as {name or published_name(collection)!r}: run "
        f"{_command(collection, uri, name)}{there}"
    )


def _command(collection: OpenedCollection, uri: str, name: str | None) -> str:
    chosen = f" --name {name}" if name else ""
    if len(list_models(collection.path)) > 1:
        chosen += f" --model {collection.key}"
    return f"'dinoscope publish {collection.path} --to {uri}{chosen}'"


def published_name(collection: OpenedCollection) -> str:
    """Return the default name in Milvus, which allows letters, digits and underscores."""
    name = re.sub(r"\W", "_", f"{collection.name}_{collection.key}", flags=re.ASCII)
    return (f"_{name}" if name[0].isdigit() else name)[:255]


def _of_other_weights(names: Iterable[str], collection: OpenedCollection) -> list[str]:
    """Return the default names that differ from the collection's only in the digest of the weights."""
    own, digest = published_name(collection), str(collection.model["weights_sha256"])[:8]
    pattern = re.escape(own).replace(f"_{digest}_", "_[0-9a-f]{8}_")
    return [each for each in names if digest and each != own and re.fullmatch(pattern, each)]


def _checked_name(collection: OpenedCollection, name: str | None) -> str:
    if name is not None and not re.fullmatch(r"[A-Za-z_]\w{0,254}", name, flags=re.ASCII):
        raise InputError(
            f"a name in Milvus has letters, digits and underscores, and begins with no digit; got {name!r}"
        )
    return name or published_name(collection)


def _quoted(values: Sequence[str]) -> str:
    return json.dumps(list(values), ensure_ascii=False)  # Milvus writes texts in a filter as JSON does


@contextmanager
def _connected(uri: str) -> Iterator[MilvusClient]:
    """Connect; every error of Milvus becomes a PublishError of one line."""
    _check_uri(uri)
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError as error:
        raise InputError("Milvus needs packages that are not installed: pip install 'dinoscope[milvus]'") from error
    for each in ("pymilvus", "milvus_lite"):  # they log what they raise, with whole tracebacks
        logging.getLogger(each).setLevel(logging.CRITICAL)
    token = os.environ.get(TOKEN_VARIABLE, "")
    client = None
    try:
        client = MilvusClient(uri, token=token)
        yield client
    except MilvusException as error:
        reason = str(getattr(error, "message", "") or error).splitlines()[0]
        if client is None:
            server = f"is the address right, does it run, and is its token in the variable {TOKEN_VARIABLE}?"
            remedy = "is another process using it?" if _is_file(uri) else server
            reason = f"cannot open it: {reason}; {remedy}"
        raise PublishError(f"Milvus at {uri}: {reason.replace(token, '***') if token else reason}") from None
    finally:
        if client is not None:
            client.close()


def _check_uri(uri: str) -> None:
    if not _is_file(uri):
        if "@" in uri:
            raise InputError(f"the address must not hold a password: put it into the variable {TOKEN_VARIABLE}")
        return
    if not uri.endswith(".db"):
        raise InputError(f"expected http(s)://HOST:PORT or the name of a file that ends with .db, got {uri!r}")
    if not Path(uri).parent.is_dir():
        raise InputError(f"there is no folder for {uri}: make it, or name another file")
    if Path(uri).is_file():
        raise InputError(f"{uri} is not a database of milvus-lite, which is a folder: name another file")


def _is_file(uri: str) -> bool:
    return re.match(r"https?://", uri) is None


def _is_ours(client: MilvusClient, name: str, collection: OpenedCollection) -> bool:
    """Tell whether the content of Milvus was published from this collection, now or earlier.

    A row number belongs to one image forever. The same numbers with other images are another collection.
    """
    fields = _fields(client, name)
    if fields.keys() | {_SETS} != _FIELDS or int(fields["vector"]["dim"]) != collection.vectors.shape[1]:
        return False
    _ensure_index(client, name)
    for window in _windows(collection):
        held = _held(client, name, collection, window)
        if held:
            at_row = {int(collection.rows[at]): at for at in range(window.start, window.stop)}
            return all(row not in at_row or key in _keys(collection, at_row[row]) for row, (key, _) in held.items())
    return True


def _fields(client: MilvusClient, name: str) -> dict[str, dict[str, int]]:
    return {field["name"]: field["params"] for field in client.describe_collection(name)["fields"]}


def _key_prefix(collection: OpenedCollection) -> str:
    return f"{collection.key}/"


def _keys(collection: OpenedCollection, at: int) -> tuple[str, ...]:
    """Return the keys of a published image: by content, and by name, size and time of its file as in the past."""
    return tuple(_key_prefix(collection) + key for key in (collection.contents[at], collection.content_keys[at]))


def _prepare(client: MilvusClient, name: str, collection: OpenedCollection) -> None:
    """Create the collection in Milvus if it is missing, and load it. Steps that a kill prevented are repeated."""
    from pymilvus import DataType

    if not client.has_collection(name):
        schema = client.create_schema(auto_id=False)
        schema.add_field("row", DataType.INT64, is_primary=True)
        for text in ("key", "digest", "id"):
            schema.add_field(text, DataType.VARCHAR, max_length=_LONGEST)
        for text in ("label", "split"):
            schema.add_field(text, DataType.VARCHAR, max_length=_LONGEST, nullable=True)
        texts = {"element_type": DataType.VARCHAR, "max_length": _LONGEST}
        schema.add_field(_SETS, DataType.ARRAY, max_capacity=_MOST_LABELS, **texts)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=collection.vectors.shape[1])
        client.create_collection(name, schema=schema, consistency_level="Strong")
    _ensure_index(client, name)


def _ensure_index(client: MilvusClient, name: str) -> None:
    if "vector" not in client.list_indexes(name):
        index = client.prepare_index_params()
        settings = {"M": _LINKS, "efConstruction": _BUILD_WIDTH}
        index.add_index("vector", index_type="HNSW", metric_type="COSINE", params=settings)
        client.create_index(name, index)
    client.load_collection(name)


def _windows(collection: OpenedCollection) -> list[slice]:
    """Return the positions of the collection in stretches of at most ``_WINDOW``."""
    return row_blocks(len(collection), _WINDOW)


def _held(client: MilvusClient, name: str, collection: OpenedCollection, window: slice) -> dict[int, tuple[str, str]]:
    """Return row -> key and digest of what Milvus holds from the row behind the last window to the end of this one."""
    first = int(collection.rows[window.start - 1]) + 1 if window.start else 0
    last = int(collection.rows[window.stop - 1])
    found: dict[int, tuple[str, str]] = {}
    for start in range(first, last + 1, _WINDOW):
        rows = f"row >= {start} and row <= {min(last, start + _WINDOW - 1)}"
        for each in client.query(name, filter=rows, output_fields=["row", "key", "digest"], limit=_WINDOW):
            found[each["row"]] = (each["key"], each["digest"])
    return found


def _synchronise(client: MilvusClient, name: str, collection: OpenedCollection, window: slice) -> tuple[int, int]:
    """Send what a window lacks and delete what it has too much; return how many of each."""
    held = _held(client, name, collection, window)
    ours = {int(collection.rows[at]): at for at in range(window.start, window.stop)}
    gone = [row for row in held if row not in ours]
    if gone:
        client.delete(name, ids=gone)
    digests = {row: _digest(collection, at) for row, at in ours.items()}
    missing = [row for row, digest in digests.items() if held.get(row, ("", ""))[1] != digest]
    batch = max(1, _BATCH_BYTES // (4 * collection.vectors.shape[1]))
    for start in range(0, len(missing), batch):
        client.upsert(
            name,
            [
                {
                    "row": row,
                    "key": _keys(collection, ours[row])[0],
                    "digest": digests[row],
                    "id": collection.ids[ours[row]],
                    "label": collection.labels[ours[row]],
                    _SETS: _label_set(collection, ours[row]),
                    "split": collection.splits[ours[row]],
                    "vector": collection.vectors[ours[row]],
                }
                for row in missing[start : start + batch]
            ],
        )
    return len(missing), len(gone)


def _remove_beyond(client: MilvusClient, name: str, last: int) -> int:
    """Delete rows with a higher number than any image of the collection; return how many."""
    removed = 0
    while beyond := client.query(name, filter=f"row > {last}", output_fields=["row"], limit=_WINDOW):
        client.delete(name, ids=[each["row"] for each in beyond])
        removed += len(beyond)
    return removed


def _label_set(collection: OpenedCollection, at: int) -> list[str]:
    """Return the several labels of an image in a fixed order, because a set has none."""
    held = sorted(collection.label_sets[at])
    if len(held) > _MOST_LABELS:
        raise PublishError(
            f"{collection.ids[at]!r} has {len(held):,} labels, expected at most {_MOST_LABELS:,}, which is what Milvus "
            "holds for an image"
        )
    return held


def _digest(collection: OpenedCollection, at: int) -> str:
    """Return a digest of all that is published of an image."""
    texts = [_keys(collection, at)[0], collection.ids[at], collection.labels[at], collection.splits[at]]
    texts += _label_set(collection, at)
    content = json.dumps(texts).encode() + np.ascontiguousarray(collection.vectors[at], "<f4").tobytes()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
