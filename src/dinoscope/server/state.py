"""What a server holds: the opened models of a collection in their latest states."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from starlette.exceptions import HTTPException

from dinoscope.errors import DinoscopeError, DownloadError, ModelError
from dinoscope.explorer.model_view import ModelData, Unknown, can_judge, model_infos
from dinoscope.explorer.types import ModelInfo
from dinoscope.explorer.weights import NeedsWeights, weights_info
from dinoscope.models.catalogue import MODELS
from dinoscope.stages.opened import OpenedCollection
from dinoscope.storage.annotations import changed_on_disk
from dinoscope.storage.columns import changed_columns
from dinoscope.storage.manifest import list_models
from dinoscope.storage.tables import list_parts

if TYPE_CHECKING:
    from dinoscope.analysis.labels.classifier import Classifier
    from dinoscope.models.encoder import Encoder

__all__ = ["Gone", "Workspace", "check_writable"]

_STATES = 3  # states kept of a model, the most recently used: a page stays with the one that it started with
_RESULTS = ("map", "clusters", "predictions", "properties")  # stages whose results change what is shown
_log = logging.getLogger("dinoscope")
_Signature: TypeAlias = tuple[
    tuple[int, ...], list[tuple[str, int, int]], list[int]
]  # images and columns, vectors, results


class Gone(DinoscopeError):
    """A state that is no longer kept."""


class Workspace:
    """A collection on disk. Another process may be adding to it."""

    def __init__(
        self,
        path: Path,
        model: str | None = None,
        weights: str | None = None,
        *,
        read_only: bool = False,
        labels: str = "source",
    ) -> None:
        """Open the collection; ``model`` is a name or key, by default the one embedded last.

        Raises:
            CollectionError: If there is no such collection, or it has no vectors of that model.
        """
        self.path, self._weights, self.read_only = path, weights, read_only
        self._labels = labels
        first = self._open(model)
        self.shown = first.key
        self._lock = threading.Lock()
        self._opening: dict[str, threading.Lock] = {}
        self._states: dict[str, OrderedDict[str, ModelData]] = {}  # of each model, the most recently used last
        self._newest: dict[str, tuple[_Signature, ModelData]] = {}  # with the state of the files that it was read from
        self._infos: tuple[Sequence[object], list[ModelInfo]] | None = None
        self._encoders: dict[str, Encoder | DinoscopeError] = {}
        self._loading = threading.Lock()
        self._remember(self.shown, self._signature(self.shown), ModelData(first, self.shown))

    def models(self) -> list[ModelInfo]:
        """Return the models that have vectors."""
        signature = [self._signature(key)[:2] for key in list_models(self.path)]
        if self._infos is None or self._infos[0] != signature:
            self._infos = (signature, model_infos(self.path))
        return self._infos[1]

    def data(self, model: str, state: str | None = None) -> ModelData:
        """Return a model in its present state on disk, or in a state that a page has seen.

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
            NeedsWeights: If its weights are not on this machine but can be fetched.
            ModelError: If it cannot be loaded.
        """
        from dinoscope.models.loading import described_model

        with self._loading:
            if data.key not in self._encoders:
                try:
                    self._encoders[data.key] = self._load(data)
                except DownloadError as error:  # not remembered: the weights may be fetched meanwhile
                    missing = weights_info(described_model(data.collection.model, fetch=True), read_only=self.read_only)
                    raise NeedsWeights(f"search by image is not possible yet: {error}", missing) from None
                except DinoscopeError as error:
                    _log.warning("search by image: %s", error)
                    self._encoders[data.key] = error
            known = self._encoders[data.key]
        if isinstance(known, DinoscopeError):
            row = MODELS.get(str(data.collection.model["model"]))
            if data.collection.model.get("own") or (row is not None and row.family == "bundled"):
                raise known  # it names no file of this machine
            raise ModelError(
                f"search by image is not possible: the model {data.collection.model['model']!r} is not available on "
                "the machine that serves this page; the terminal there says why"
            )
        return known

    def fetch(self, data: ModelData, on_progress: Callable[[int, int], None]) -> None:
        """Fetch the weights of the model that made the vectors, and load it.

        Args:
            data: Names a row of the table or a repository, and the digest of the weights.
            on_progress: Called with the bytes received and the total; an error that it raises ends the download.

        Raises:
            DownloadError: If they cannot be fetched.
            ModelError: If other weights made the vectors, or the model comes from no repository.
        """
        from dinoscope.models.hub import fetch_weights
        from dinoscope.models.loading import described_model

        fetch_weights(described_model(data.collection.model, fetch=True), on_progress=on_progress)
        with self._loading:
            self._encoders[data.key] = self._load(data)

    def _load(self, data: ModelData) -> Encoder:
        from dinoscope.models.encoder import Encoder

        description, decoding = data.collection.model, data.collection.decoding
        return Encoder.from_description(description, weights=self._weights, decoding=decoding)

    def classifier(self, data: ModelData) -> Classifier | None:
        """Return the classifier of the labelled images; None without labels."""
        from dinoscope.stages.labels import load_classifier

        return load_classifier(data.collection) if can_judge(data.collection) else None

    def _open(self, model: str | None) -> OpenedCollection:
        """Open the collection with a model. Its labels stay fixed, because other threads compute with it."""
        return OpenedCollection(self.path, model, labels=self._labels, read_only=self.read_only, fixed_labels=True)

    def _current(self, model: str) -> ModelData:
        with self._lock:
            opening = self._opening.setdefault(model, threading.Lock())
        with opening:  # other threads wait for the same opened collection
            signature = self._signature(model)
            known = self._newest.get(model)
            if known is None or known[0][:2] != signature[:2]:
                collection = self._open(model)
            elif known[0] == signature:
                return known[1]
            else:
                collection = known[1].collection  # there are new results of the same images
                if self._labels != "source" and known[0][2][-1] != signature[2][-1]:
                    collection = collection.relabelled()
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
        """Return a state that changes with the images, the vectors or the results. It costs a directory listing."""
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
        # labels that people gave count as the images' labels
        given = changed_on_disk(self.path) if self._labels != "source" else None
        results.append(hash(given))
        return (images.st_mtime_ns, images.st_size, *changed_columns(self.path)), parts, results


def check_writable(workspace: Workspace) -> None:
    """Refuse a request that would write.

    Raises:
        HTTPException: 403, if the server is read-only.
    """
    if workspace.read_only:
        raise HTTPException(403, "this collection is only shown: start dinoscope explore without --read-only to write")
