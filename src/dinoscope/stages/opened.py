"""A collection opened from its folder: its images, their vectors, and where results are kept."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Hashable
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_choice, check_count, check_positions, shown
from dinoscope.base.paths import named_path
from dinoscope.base.text import counted
from dinoscope.base.types import Columns
from dinoscope.columns.kinds import Column
from dinoscope.columns.names import ColumnChoice
from dinoscope.embedding.columns import stored_choice
from dinoscope.embedding.pipeline import EmbedSummary, Failure
from dinoscope.errors import CollectionError, DamagedError, InputError
from dinoscope.sources.pixels.decode import Decoding
from dinoscope.stages.results.kept import Results
from dinoscope.storage.annotations import History, changed_on_disk, read_history
from dinoscope.storage.columns import StoredColumn, changed_columns, read_columns
from dinoscope.storage.details import LOOK, count_missing, stored_contents, stored_facts, stored_qualities
from dinoscope.storage.manifest import (
    choose_model,
    is_gone,
    no_collection,
    no_vectors,
    read_manifest,
    read_model,
    stored_range,
)
from dinoscope.storage.parts import active_rows, read_images, read_parts, read_rows
from dinoscope.storage.result_files import label_state_of, state_of
from dinoscope.storage.thumbnails import trusted_thumbnail

__all__ = ["OpenedCollection"]

Held = TypeVar("Held")
_LABELS_FROM = ("source", "mine", "merged")


class OpenedCollection:
    """The images of a collection, with the vectors of one model, and its stored results.

    Position i of every array belongs to row ``rows[i]``. Images that could not be read, or are no longer in the
    source, have a row number but no position.

    Attributes:
        path: The folder.
        name: Name of the source of the images.
        kind: Kind of the source: "folder", "archive", "table", "array" or "dataset".
        model: What made the vectors: model, dim, resolution, pooling, weights_sha256, licence.
        key: Name of the vectors, made of model, resolution and weights.
        rows: Row numbers (N,).
        ids: The images' ids (N,).
        labels: Labels (N,), None where an image has none: those that analyses use; see ``labels_from``.
        labels_from: "source": as the source of the images has them; "mine": those that people gave in dinoscope;
            "merged": those where they are, else the source's.
        source_labels: Labels (N,) of the source, which stay as they are.
        splits: Splits (N,) such as "train", None where an image has none.
        captions: Captions (N,), None where an image has none.
        label_sets: Labels (N,) of images that may have several: tuples, and their ``labels`` are None; () elsewhere.
        source_label_sets: Those of the source, which stay as they are.
        vectors: Unit vectors float32 (N, D).
        results: What is computed of them, and kept.
        left_out: How many files of the source were skipped, by how their names end, when it was embedded last.
        decoding: How its pictures were decoded, and new ones that are compared with them are.
        columns_state: Changes when somebody changes the columns.
        condition: What all images meet, where only a part of the collection was opened; None otherwise.
        embedded: What the embedding did, of a collection that was opened by one; None otherwise.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        model: str | None = None,
        *,
        labels: str = "source",
        read_only: bool = False,
        fixed_labels: bool = False,
    ) -> None:
        """Open a collection.

        Args:
            path: The folder.
            model: Which model's vectors to use, where there are several; by default those embedded last.
            labels: Which labels analyses use: "source", "mine" or "merged"; see ``labels_from``.
            read_only: Whether to hold results in memory alone.
            fixed_labels: Whether the labels stay as they are when people give others: see ``relabelled``.

        Raises:
            CollectionError: If the folder is not a collection, is damaged, or has no vectors of that model.
            InputError: If there are no such labels.
        """
        check_choice(labels, "labels", _LABELS_FROM)
        self.path = named_path(path)
        self.labels_from = labels
        if not (self.path / "collection.json").exists():
            raise no_collection(self.path)
        manifest = read_manifest(self.path)
        self.name: str = manifest["source"]["name"]
        self.kind: str = manifest["source"]["kind"]
        self.decoding = Decoding(stored_range(self.path))
        self.left_out: dict[str, int] = manifest.get("left_out", {})
        self.key = choose_model(self.path, manifest.get("vectors"), model)
        self.model = read_model(self.path, self.key)
        self.embedded: EmbedSummary | None = None
        self._read_only, self._fixed_labels = read_only, fixed_labels
        self._held: dict[Hashable, Any] = {}
        self._turns: dict[Hashable, threading.RLock] = {}  # a lock each: to wait for an index is to wait for no model
        self._holding = threading.Lock()
        self._history: tuple[object, History] | None = None
        self.condition: str | None = None
        self._whole: tuple[str, str] | None = None  # states of all images, where only a part is open
        self._load()

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {len(self)} images, model={self.model['model']!r})"

    def label_text(self, position: int) -> str:
        """Return the label of an image for people, or its several ones; "" without any.

        Raises:
            InputError: There is no such position.
        """
        at = int(check_count(position, "position", at_least=0, at_most=len(self) - 1))
        return ", ".join(self.label_sets[at]) or str(self.labels[at] or "")

    def position(self, row: int) -> int:
        """Return the position of a row in the arrays.

        Raises:
            InputError: If no image with vectors has this row number.
        """
        if isinstance(row, bool) or not isinstance(row, int | np.integer):
            raise InputError(f"a row is a whole number, got {shown(row)}")
        if not 0 <= row < len(self._removed):  # a number that no array holds, too
            raise InputError(f"row {row} {self._why_not(row)}")
        position = int(np.searchsorted(self.rows, row))
        if position == len(self.rows) or self.rows[position] != row:
            raise InputError(f"row {row} {self._why_not(row)}")
        return position

    def thumbnails(self, positions: ArrayLike) -> list[bytes]:
        """Return the stored small pictures (PNG or JPEG) of the images at these positions.

        Raises:
            InputError: If there are no such positions.
            CollectionError: If a part of the collection was deleted.
        """
        wanted = self.rows[check_positions(positions, len(self))].tolist()
        needed = np.unique(np.asarray(wanted, np.int64))
        parts, holder = self._pictures
        found: dict[int, bytes] = {}
        for part in np.unique(holder[needed]):
            if part >= 0:
                found |= read_rows(parts[part], needed[holder[needed] == part], "thumbnail", self._images)
        lost = len(needed) - len(found)
        if lost and not self.path.is_dir():
            raise is_gone(self.path)
        if lost:
            raise CollectionError(
                f"{self.path} has lost the details of {lost} images: run 'dinoscope embed' again to restore them"
            )
        return [trusted_thumbnail(found[row]) for row in wanted]

    def held(self, name: Hashable, make: Callable[[], Held]) -> Held:
        """Return what is expensive to make and needed again, such as a loaded model: made once while this is open."""
        with self._holding:
            turn = self._turns.setdefault(name, threading.RLock())
        with turn:
            if name not in self._held:
                self._held[name] = make()
            found: Held = self._held[name]
            return found

    def holds(self, name: Hashable) -> bool:
        """Tell whether something of this name was made already."""
        return name in self._held

    def history(self) -> History:
        """Return all labels and tags by people, as on disk. Nobody may change the result."""
        signature = changed_on_disk(self.path)
        known = self._history
        if known is None or known[0] != signature:
            is_first = known is None
            known = signature, read_history(self.path)
            self._history = known
            if self.labels_from != "source" and (is_first or not self._fixed_labels):
                self._use_labels(known[1])
        return known[1]

    def relabelled(self) -> Self:
        """Return the same images with the labels that people have given meanwhile; this object keeps its own.

        So what others compute of this one at the same time has one set of labels from beginning to end. Results, which
        know by their keys what labels they are of, are shared, and so is all that is made of no labels.
        """
        other = copy.copy(self)
        other._holding, other._turns = threading.Lock(), {}
        with self._holding:
            other._held = dict(self._held)
        other._drop("labelling")  # it asks about the labels of this one
        other.results = copy.copy(self.results)
        other._history = None
        other.history()
        return other

    @cached_property
    def content_keys(self) -> list[str]:
        """What each image is (N,): digests of the array's pixels, or of a file's name, size and time."""
        return [self._images["key"][row] for row in self.rows.tolist()]

    @cached_property
    def contents(self) -> list[str]:
        """What each image holds (N,): digests of the bytes, which a new name or time of a file does not change."""
        wanted = np.zeros(len(self._images["row"]), bool)
        wanted[self.rows] = True
        known = dict(stored_contents(self.path, self._images, wanted))
        return [known.get(row, key) for row, key in zip(self.rows.tolist(), self.content_keys, strict=True)]

    @cached_property
    def qualities(self) -> dict[str, NDArray[np.float64]]:
        """What tells the better of two copies: name -> (N,), NaN where an earlier version stored nothing."""
        return stored_qualities(self.path, self._images, self.rows)

    @cached_property
    def looks(self) -> dict[str, NDArray[np.float64]]:
        """What anybody sees of the pictures, as ``pixels.quality.Look``: name -> (N,), NaN where nothing was stored."""
        return stored_qualities(self.path, self._images, self.rows, LOOK)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Width and height (N, 2) of the images, in pixels, upright."""
        sizes = np.zeros((len(self._images["row"]), 2), np.int64)
        for columns in self._details.values():
            known = columns["width"] > 0  # without a size: could not be read again
            sizes[columns["row"][known]] = np.stack([columns["width"], columns["height"]], axis=1)[known]
        return sizes[self.rows]

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Images that could not be read, have no vector and are still in the source."""
        failed: dict[int, str | None] = {}
        for columns in self._details.values():
            failed |= dict(zip(columns["row"].tolist(), columns["error"], strict=True))
        left_out = self._removed.copy()
        left_out[self._with_vectors] = True  # one that another model could not be given
        return tuple(
            Failure(row, self._images["id"][row], reason)
            for row, reason in sorted(failed.items())
            if reason is not None and not left_out[row]
        )

    @property
    def columns_of_source(self) -> dict[str, Column]:
        """What a table said about the images, or a person added: name -> column (N,)."""
        return {name: each.column for name, each in self.stored_columns.items()}

    @cached_property
    def stored_columns(self) -> dict[str, StoredColumn]:
        """The same, and which of both it was: name -> column (N,)."""
        found = read_columns(self.path, self._images)
        return {name: each.take(self.rows) for name, each in found.items()}

    @cached_property
    def file_facts(self) -> dict[str, NDArray[Any]]:
        """What the files say about the photographs: name of ``FileFacts`` -> (N,), NaN or None if unknown."""
        return stored_facts(self.path, self._images, self.rows)

    @cached_property
    def wanted_columns(self) -> ColumnChoice:
        """Which columns a person wants to see."""
        return stored_choice(self.path)

    def forget_columns(self) -> None:
        """Read the columns again when they are next asked for, because somebody changed them."""
        self.columns_state = changed_columns(self.path)
        for name in ("stored_columns", "wanted_columns"):
            self.__dict__.pop(name, None)
        with self._holding:
            self._held.pop("columns", None)

    def narrow(self, keep: NDArray[np.bool_], condition: str) -> None:
        """Leave out images, as if they were not in the collection; what is computed is kept apart from that of all.

        Args:
            keep: Which images stay (N,).
            condition: The condition that those that stay meet.

        Raises:
            InputError: If none stays.
        """
        if not keep.any():
            raise InputError(
                f"no image of {counted(len(self))} in {self.path} meets the condition: {condition}; 'dinoscope info "
                f"{self.path}' lists the columns"
            )
        for name, made in vars(OpenedCollection).items():
            if isinstance(made, cached_property):  # it is of all images
                self.__dict__.pop(name, None)
        self.condition = condition
        self._whole = self._whole or (self.results.state, self.results.label_state)
        self._use_rows(keep)
        with self._holding:
            self._held.clear()

    @property
    def embedded_images(self) -> int:
        """How many images have a vector, those that do not meet a condition among them."""
        return len(self._with_vectors)

    @cached_property
    def missing(self) -> int:
        """How many images of the source are not embedded yet: without a vector of this model, and no failures."""
        return count_missing(self.path, self._images, self._with_vectors)

    @cached_property
    def _details(self) -> dict[Path, Columns]:
        """What decoding gave, except for the pictures, by part."""
        return read_parts(self.path / "details", ["row", "width", "height", "error"], self._images)

    @cached_property
    def _pictures(self) -> tuple[list[Path], NDArray[np.int32]]:
        """Parts of the details, and for each row the number of the part that holds its thumbnail (-1: none)."""
        holder = np.full(len(self._images["row"]), -1, np.int32)
        for number, columns in enumerate(self._details.values()):
            rows = columns["row"]
            has = np.asarray([error is None for error in columns["error"]], bool)
            holder[rows[has]] = number
        return list(self._details), holder

    def _drop(self, kind: str) -> None:
        """Drop what is held under this name, or under names (tuples) that begin so, as it is of another state."""
        with self._holding:
            for name in [each for each in self._held if (each[0] if isinstance(each, tuple) else each) == kind]:
                del self._held[name]

    def _why_not(self, row: int) -> str:
        """Return why a row has no position."""
        failed = next((each for each in self.failures if each.row == row), None)
        if failed is not None:
            return f"could not be read ({failed.reason}): it has no vector"
        if not 0 <= row < len(self._removed):
            return f"is not in this collection: rows go from {self._with_vectors[0]} to {self._with_vectors[-1]}"
        if self.condition is not None and row in self._with_vectors:
            return f"does not meet the condition: {self.condition}"
        if self._removed[row]:
            return "is no longer in the source, or was left out by --limit: choose another"
        return "has no vector yet: run 'dinoscope embed' again, which embeds the rest"

    def _load(self) -> None:
        images = read_images(self.path)
        parts = read_parts(self.path / "vectors" / self.key, ["row", "vector"], images).values()
        if not parts:
            raise no_vectors(self.path)
        dims = {part["vector"].shape[1] for part in parts} | {self.model["dim"]}
        if len(dims) > 1:
            file = self.path / "vectors" / self.key / "model.json"
            raise DamagedError(file, f"vectors of length {' and '.join(map(str, sorted(dims)))} are under one key")
        vectors = np.concatenate([part["vector"] for part in parts])
        self._removed: NDArray[np.bool_] = np.asarray(images["removed"], bool)
        self.rows, places = active_rows([part["row"] for part in parts], images)
        if not len(self.rows):  # all are removed
            raise no_vectors(self.path)
        self._with_vectors = self.rows
        self.vectors: NDArray[np.float32] = np.ascontiguousarray(vectors[places])
        self.ids = _texts(images["id"], self.rows)
        self.source_labels = _texts(images["label"], self.rows)
        self.labels = self.source_labels
        self.splits = _texts(images["split"], self.rows)
        self.captions = _texts(images.get("caption", [None] * len(images["row"])), self.rows)
        self.label_sets: NDArray[np.object_] = np.empty(len(self.rows), object)
        several = images.get("labels", [None] * len(images["row"]))
        self.label_sets[:] = [tuple(several[row] or ()) for row in self.rows.tolist()]
        self.source_label_sets = self.label_sets
        self._images = images
        self.columns_state = changed_columns(self.path)
        self._open_results()
        if self.labels_from != "source":
            self.history()

    def _open_results(self) -> None:
        # everything that is kept is computed from exactly these images with exactly these vectors and labels
        state = state_of(self.key, self._images["key"], self.rows)
        label_state = label_state_of(self.labels.tolist(), self.splits.tolist())
        self.results = Results(
            self.path, state, label_state, len(self.rows), read_only=self._read_only, whole=self._whole
        )

    def _use_rows(self, keep: NDArray[np.bool_]) -> None:
        self.rows, self.vectors = self.rows[keep], np.ascontiguousarray(self.vectors[keep])
        self.ids, self.splits, self.captions = self.ids[keep], self.splits[keep], self.captions[keep]
        self.labels, self.source_labels = self.labels[keep], self.source_labels[keep]
        self.label_sets, self.source_label_sets = self.label_sets[keep], self.source_label_sets[keep]
        self._open_results()

    def _use_labels(self, history: History) -> None:
        """Let analyses use the labels that people gave; results of other labels have other keys."""
        said = [history.held.get(content) for content in self.contents]
        given = np.asarray([None if each is None else each.label for each in said], object)
        has = np.asarray([label is not None for label in given], bool)
        self.labels = np.where(has, given, self.source_labels) if self.labels_from == "merged" else given
        self.label_sets = self.source_label_sets.copy()
        for at in range(len(has)) if self.labels_from == "mine" else np.flatnonzero(has).tolist():
            self.label_sets[at] = ()
        self.results.label_state = label_state_of(self.labels.tolist(), self.splits.tolist())
        self._drop("classifier")


def _texts(values: list[str | None], rows: NDArray[np.int64]) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = np.asarray(values, dtype=object)[rows]
    return texts
