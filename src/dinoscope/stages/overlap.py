"""Two models' vectors of the same images, in one collection or in two: matched by content, then compared."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_count, shown
from dinoscope.base.text import counted
from dinoscope.errors import InputError
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.opened import OpenedCollection

if TYPE_CHECKING:
    from dinoscope.analysis.neighbors import NeighborGraph
    from dinoscope.analysis.overlap import NeighborOverlap

Found = TypeVar("Found")
__all__ = ["ModelOverlap", "SharedImages", "model_overlap", "shared_images"]


@dataclass(frozen=True, eq=False)
class SharedImages:
    """The images that two collections both hold, in the order of the first.

    Attributes:
        positions: Where each is in the first collection (M,).
        others: Where each is in the second one (M,).
    """

    positions: NDArray[np.int64]
    others: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class ModelOverlap:
    """How far two models agree on the images that both have vectors of.

    Attributes:
        shared: These images; the arrays of ``neighbors`` are about them alone and number them in this order.
        neighbors: What both hold to be near.
    """

    shared: SharedImages
    neighbors: NeighborOverlap


def shared_images(collection: OpenedCollection, other: OpenedCollection) -> SharedImages:
    """Return the images that both hold, by the digests of their content; copies are matched one to one, in their order.

    Raises:
        InputError: There are fewer than two, or both are the same vectors of the same collection.
    """
    if not isinstance(other, OpenedCollection):
        raise InputError(f"the other side must be an opened collection, got {shown(other)}: open it with Collection")
    if collection.key == other.key and collection.path.resolve() == other.path.resolve():
        raise InputError(
            f"both sides are the same vectors of {collection.path}: name a collection that another model embedded, "
            "or another model of this one"
        )
    return _last(collection, ("shared",), other, lambda: _match(collection, other))


def model_overlap(collection: OpenedCollection, other: OpenedCollection, k: int = 10) -> ModelOverlap:
    """Compare the neighbours of the images that both hold, among these images.

    See ``Collection.overlap``.
    """
    from dinoscope.analysis.overlap import neighbor_overlap

    k = check_count(k, "k")
    shared = shared_images(collection, other)

    def compare() -> ModelOverlap:
        graphs = _graph(collection, shared.positions, k), _graph(other, shared.others, k)
        vectors = collection.vectors[shared.positions], other.vectors[shared.others]
        return ModelOverlap(shared, neighbor_overlap(*vectors, k=k, graphs=graphs))

    return _last(collection, ("overlap", k), other, compare)


class _Last(Generic[Found]):
    """What was found of the last state of another collection: those before it are not asked for any more."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state: str | None = None
        self._found: Found

    def of(self, state: str, make: Callable[[], Found]) -> Found:
        """Return what there is of a state, made once while it is the last."""
        with self._lock:
            if self._state != state:
                self._found = make()
                self._state = state
            return self._found


def _last(
    collection: OpenedCollection, kind: tuple[Hashable, ...], other: OpenedCollection, make: Callable[[], Found]
) -> Found:
    name = (*kind, str(other.path.resolve()), other.key)
    held: _Last[Found] = collection.held(name, _Last)
    return held.of(other.results.state, make)


def _match(collection: OpenedCollection, other: OpenedCollection) -> SharedImages:
    places = defaultdict(list)
    for at, content in enumerate(other.contents):
        places[content].append(at)
    for held in places.values():
        held.reverse()  # the first copy is taken first
    pairs = [(at, places[content].pop()) for at, content in enumerate(collection.contents) if places.get(content)]
    if len(pairs) < 2:
        raise InputError(
            f"{collection.path} and {other.path} must share two images or more, compared by content, got "
            f"{counted(len(pairs))}: embed the same files with both models"
        )
    positions, others = np.asarray(pairs, np.int64).T
    return SharedImages(positions, others)


def _graph(collection: OpenedCollection, positions: NDArray[np.int64], k: int) -> NeighborGraph:
    """Return the neighbours of some images among these, at least ``k`` of each if there are enough."""
    from dinoscope.analysis.hnsw import SearchIndex, takes_index
    from dinoscope.analysis.neighbors import NeighborGraph, neighbors

    if len(positions) == len(collection):  # the collection keeps them; only their numbers are others
        graph = neighbor_graph(collection, max(30, k))
        number = np.empty(len(collection), np.int32)
        number[positions] = np.arange(len(positions), dtype=np.int32)
        return NeighborGraph(number[graph.indices[positions]], graph.similarities[positions], graph.recall)
    vectors = collection.vectors[positions]
    return SearchIndex(vectors).neighbors(k) if takes_index(len(vectors)) else neighbors(vectors, k)
