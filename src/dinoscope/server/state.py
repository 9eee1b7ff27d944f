"""What a server holds: the opened models of a collection in their last states, and work that is done once for all."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dinoscope.errors import DinoscopeError, ModelError
from dinoscope.explorer.model_view import ModelData, Unknown, can_judge, model_infos
from dinoscope.explorer.types import ModelInfo
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.manifest import list_models
from dinoscope.storage.tables import list_parts

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier
    from dinoscope.models.encoder import Encoder

__all__ = ["Ending", "Gone", "Jobs", "Workspace"]

_STATES = 3  # of a model that are kept, those asked for last: a page goes on with the one that it began with
_RESULTS = ("map", "clusters", "predictions", "properties")  # stages whose results change what is shown
_log = logging.getLogger("dinoscope")
Value = TypeVar("Value")
_Signature: TypeAlias = tuple[tuple[int, int], list[tuple[str, int, int]], list[int]]  # images, vectors, results


class Gone(DinoscopeError):
    """A state that is not kept any more."""


class Ending(DinoscopeError):
    """The server ends before an answer is there."""


class Jobs:
    """Runs work in a few threads, the same work once however many ask for it meanwhile."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._running: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def start(self, key: Hashable, work: Callable[[], Value]) -> Future[Value]:
        """Begin work, or return the same work that is under way."""
        with self._lock:
            future = self._running.get(key)
            if future is None:
                future = self._pool.submit(work)
                self._running[key] = future
                future.add_done_callback(lambda _: self._running.pop(key, None))
            return future

    async def run(self, key: Hashable, work: Callable[[], Value]) -> Value:
        """Wait for work without blocking the server; one who goes away does not stop it for the others.

        Raises:
            Ending: If the server ends before the work does.
        """
        try:
            return await asyncio.shield(asyncio.wrap_future(self.start(key, work)))
        except (asyncio.CancelledError, CancelledError):
            raise Ending("the server is ending: start dinoscope explore again") from None

    @property
    def busy(self) -> bool:
        """Whether any work is under way."""
        return bool(self._running)

    def has_begun(self, key: Hashable) -> bool:
        """Tell whether this work is under way and no longer waits for its turn."""
        future = self._running.get(key)
        return future is not None and future.running()

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Workspace:
    """A collection on disk, which another process may be adding to."""

    def __init__(self, path: Path, model: str | None = None, weights: str | None = None) -> None:
        """Open the collection; ``model`` is a name or key, by default the one embedded last.

        Raises:
            CollectionError: If there is no such collection, or it has no vectors of that model.
        """
        self.path, self._weights = path, weights
        first = OpenedCollection(path, model)
        self.shown = first.key
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._states: dict[str, OrderedDict[str, ModelData]] = {}  # of each model, the one asked for last at the end
        self._newest: dict[str, tuple[_Signature, ModelData]] = {}  # with that of the files that it was read from
        self._infos: tuple[Sequence[object], list[ModelInfo]] | None = None
        self._encoders: dict[str, Encoder | DinoscopeError] = {}
        self._loading = threading.Lock()
        self._remember(self.shown, self._signature(self.shown), ModelData(first, self.shown))

    def models(self) -> list[ModelInfo]:
        """Return the models that there are vectors of."""
        signature = [self._signature(key)[:2] for key in list_models(self.path)]
        if self._infos is None or self._infos[0] != signature:
            self._infos = (signature, model_infos(self.path))
        return self._infos[1]

    def data(self, model: str, state: str | None = None) -> ModelData:
        """Return a model as it is now on disk, or in a state that a page has seen.

        Raises:
            Unknown: If the collection has no such model.
            Gone: If that state is not kept any more.
        """
        if state is not None:
            with self._lock:
                states = self._states.get(model)
                if states is not None and state in states:
                    states.move_to_end(state)
                    return states[state]
        if model not in self._newest and model not in {info.key for info in self.models()}:
            raise Unknown(f"there is no model {model[:100]!r} in this collection")
        current = self._current(model)
        if state is not None and current.state != state:
            raise Gone("the collection has changed since this page was loaded: load it again")
        return current

    def encoder(self, data: ModelData) -> Encoder:
        """Return the model that made the vectors, loaded once.

        Raises:
            ModelError: If it is not at hand.
        """
        from dinoscope.models.encoder import Encoder

        with self._loading:
            known = self._encoders.get(data.key)
            if known is None:
                try:
                    known = Encoder.from_description(data.collection.model, weights=self._weights)
                except DinoscopeError as error:
                    _log.warning("search by image: %s", error)
                    known = error
                self._encoders[data.key] = known
        if isinstance(known, DinoscopeError):
            raise ModelError(
                f"search by image is not possible: the model {data.collection.model['model']!r} is not at hand on the "
                "machine that serves this page; the terminal there says why"
            )
        return known

    def classifier(self, data: ModelData) -> Classifier | None:
        """Return what names images by the labelled ones; None without labels."""
        from dinoscope.stages.labels import load_classifier

        return load_classifier(data.collection) if can_judge(data.collection) else None

    def _current(self, model: str) -> ModelData:

        with self._lock:
            opening = self._opening.setdefault(model, threading.Lock())
        with opening:  # others wait for the same opened collection
            signature = self._signature(model)
            known = self._newest.get(model)
            if known is None or known[0][:2] != signature[:2]:
                collection = OpenedCollection(self.path, model)
            elif known[0] == signature:
                return known[1]
            else:
                collection = known[1].collection  # there are new results of the same images
            return self._remember(model, signature, ModelData(collection, model))

    def _remember(self, model: str, signature: _Signature, data: ModelData) -> ModelData:
        with self._lock:
            states = self._states.setdefault(model, OrderedDict())
            states[data.state] = states.pop(data.state, data)
            while len(states) > _STATES:
                states.popitem(last=False)
            self._newest[model] = signature, states[data.state]
            return states[data.state]

    def _signature(self, model: str) -> _Signature:
        """Return what differs when the images, the vectors or the results do; it costs a listing."""
        images = (self.path / "images.parquet").stat()
        parts = [
            (part.name, part.stat().st_mtime_ns, part.stat().st_size)
            for part in list_parts(self.path / "vectors" / model)
        ]
        results = []
        for name in _RESULTS:
            folder = self.path / "results" / name
            results.append(folder.stat().st_mtime_ns if folder.exists() else 0)
        known = self._newest.get(model)
        results.append(known[1].collection.results.unstored if known else 0)
        return (images.st_mtime_ns, images.st_size), parts, results
