"""A collection: images, their vectors, and everything computed from them, in one folder.

``Collection`` reads the folder that ``embedding.py`` writes and runs the array functions of the package on it. Each
result is stored under a key made of the keys of its inputs and its resolved settings, so that nothing is computed
twice and nothing stale is shown: a new map setting never embeds again, ten new images embed ten. The analyses are
functions over a collection, by subject in ``analysis_*``; here they become its methods.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.embedding.batches import Batches, finish_batches
from dinoscope.embedding.pipeline import EmbedSummary, Failure, embed_source
from dinoscope.errors import CollectionError, InputError
from dinoscope.models.catalogue import DEFAULT_MODEL
from dinoscope.stages import answers as analysis_answers
from dinoscope.stages import clusters as analysis_clusters
from dinoscope.stages import difference as analysis_difference
from dinoscope.stages import findings as analysis_findings
from dinoscope.stages import labels as analysis_labels
from dinoscope.stages import maps as analysis_maps
from dinoscope.stages import neighbors as analysis_neighbors
from dinoscope.stages import properties as analysis_properties
from dinoscope.stages import reasons as analysis_reasons
from dinoscope.stages import search as analysis_search
from dinoscope.stages import windows as analysis_windows
from dinoscope.stages.results import Computed, Stage, label_state_of, run_stage, state_of
from dinoscope.storage.details import count_missing, stored_contents
from dinoscope.storage.manifest import choose_model, no_collection, no_vectors, read_manifest, read_model
from dinoscope.storage.progress import Progress
from dinoscope.storage.tables import list_parts, read_parts, read_rows, read_table

if TYPE_CHECKING:
    from dinoscope.analysis.hnsw import SearchIndex
    from dinoscope.analysis.labels.classifier import Classifier
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource

__all__ = ["Collection"]


class Collection:
    """Images with vectors of one model, opened from a folder.

    Position i of every array belongs to row ``rows[i]``. Images that could not be read, or are no longer in the
    source, have a row number but no position.

    Attributes:
        path: The folder.
        name: Name of the source of the images.
        model: What made the vectors: model, dim, resolution, pooling, weights_sha256, licence.
        rows: Row numbers (N,).
        ids: The images' ids (N,).
        labels: Labels (N,), None where an image has none.
        splits: Splits (N,) such as "train", None where an image has none.
        vectors: Unit vectors float32 (N, D).
        failures: Images that could not be read.
        stages: How the result that this object gave last came to be, of each stage.
        embedded: What ``from_images`` did to get here; None for a collection that was only opened.
    """

    def __init__(self, path: str | os.PathLike[str], model: str | None = None) -> None:
        """Open a collection.

        Args:
            path: The folder.
            model: Which model's vectors to use, where there are several; by default those embedded last.

        Raises:
            CollectionError: If the folder is no collection, is damaged, or has no vectors of that model.
        """
        self.path = Path(path)
        if not (self.path / "collection.json").exists():
            raise no_collection(self.path)
        manifest = read_manifest(self.path)
        self.name: str = manifest["source"]["name"]
        self.kind: str = manifest["source"]["kind"]
        self._key = choose_model(self.path, manifest.get("vectors"), model)
        self.model = read_model(self.path, self._key)
        self.stages: dict[str, Stage] = {}
        self.computed: set[Path] = set()  # by this object: files of results
        self.seconds_computing = 0.0  # in that
        self.encoder_held: Encoder | None = None  # loaded for the first query that is an image
        self.windows_held: NDArray[np.float16] | None = None  # read for the first search inside the images
        self.embedded: EmbedSummary | None = None
        self._load()

    @classmethod
    def from_images(
        cls,
        source: str | os.PathLike[str] | NDArray[Any] | ImageSource,
        path: str | os.PathLike[str],
        *,
        model: str | Encoder = DEFAULT_MODEL,
        labels: Sequence[str | None] | NDArray[Any] | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        limit: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        batches: Batches = finish_batches,
    ) -> Collection:
        """Embed images into a collection and open it; only what has no vectors yet is embedded.

        Args:
            source: A folder, the name of a data set, or an array uint8 (N, H, W) or (N, H, W, 3).
            path: Folder of the collection, made if there is none.
            model: A name of the model table, a hub id or a path of weights; or an ``Encoder``, for every setting.
            labels: Labels (N,) of an array.
            data_dir: Where to look for data sets first.
            limit: Take a random sample of so many images.
            on_progress: Called after every batch.
            batches: What decodes and embeds: this machine, or ``dinoscope.on_ray.embedding.OnRay``.

        Raises:
            SourceError: If the source cannot be opened or holds no readable image.
            CollectionError: If ``path`` is in use, or holds something else.
        """
        from dinoscope.models.encoder import Encoder
        from dinoscope.sources.opening import open_source

        opened = open_source(source, labels=labels, data_dir=data_dir, limit=limit)
        encoder = Encoder(model) if isinstance(model, str) else model
        summary = embed_source(opened, Path(path), encoder, on_progress=on_progress, batches=batches)
        collection = cls(path, encoder.key)
        collection.embedded = summary
        return collection

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Collection({self.name!r}, {len(self)} images, model={self.model['model']!r})"

    # --- what was computed from the vectors -------------------------------------------------------------------------

    neighbors = analysis_neighbors.neighbors

    map = analysis_maps.make_map
    place = analysis_maps.place
    map_quality = analysis_maps.map_quality
    compare_maps = analysis_maps.compare_maps
    tuning = analysis_maps.tuning

    clusters = analysis_clusters.clusters
    judge = analysis_clusters.judge
    scores = analysis_clusters.scores

    classifier = analysis_labels.classifier
    classify = analysis_labels.classify
    predictions = analysis_labels.predictions
    evaluate = analysis_labels.evaluate

    findings = analysis_findings.findings
    dismiss = analysis_findings.dismiss
    dismissed = analysis_findings.dismissed
    pairs_to_answer = analysis_answers.pairs_to_answer
    answer_pair = analysis_answers.answer_pair
    forget_answers = analysis_answers.forget_answers
    threshold_fit = analysis_answers.threshold_fit

    difference = analysis_difference.difference

    encoder = analysis_search.encoder
    query_vector = analysis_search.query_vector
    search = analysis_search.search
    search_inside = analysis_windows.search_inside
    crop_vector = analysis_windows.crop_vector
    window_vectors = analysis_windows.windows

    properties = analysis_properties.properties
    explanation = analysis_properties.explanation
    reasons = analysis_reasons.reasons

    def report(
        self, path: str | os.PathLike[str] | None = None, *, k: int | None = None, max_mb: float = 25,
        on_note: Callable[[str], None] | None = None,
    ) -> Path:  # fmt: skip
        """Write the report, one self-contained HTML file, by default ``report.html`` in the collection.

        The arguments are those of ``dinoscope.report.write.write_report``.
        """
        from dinoscope.report.write import write_report

        target = Path(path) if path is not None else self.path / "report.html"
        return write_report(self, target, k=k, max_mb=max_mb, on_note=on_note)

    def stage(self, name: str, settings: dict[str, Any], compute: Callable[[], Computed]) -> Computed:
        """Return a stored result, or compute and store it.

        Args:
            name: Name of the stage, one of those that ``dinoscope.stages.results`` knows.
            settings: JSON values; with the images and the model they decide which result is meant. Labels may be
                read only if ``label_state`` is among them.
            compute: Gives columns of equal length, and JSON values.

        Returns:
            The columns and the values, those with "settings" and "seconds".
        """
        return run_stage(self, name, settings, compute)

    # --- single images ----------------------------------------------------------------------------------------------

    def position(self, row: int) -> int:
        """Return the position of a row in the arrays.

        Raises:
            InputError: If no image with vectors has this row number.
        """
        position = int(np.searchsorted(self.rows, row))
        if position == len(self.rows) or self.rows[position] != row:
            raise InputError(f"row {row} {self._why_not(row)}")
        return position

    def thumbnails(self, positions: ArrayLike) -> list[bytes]:
        """Return the stored small pictures (PNG or JPEG) of the images at these positions.

        Raises:
            CollectionError: If a part of the collection was deleted.
        """
        wanted = [int(self.rows[i]) for i in np.atleast_1d(np.asarray(positions, np.int64))]
        needed = np.unique(np.asarray(wanted, np.int64))
        parts, holder = self._pictures
        found: dict[int, bytes] = {}
        for part in np.unique(holder[needed]):
            if part >= 0:
                found |= read_rows(parts[part], needed[holder[needed] == part], "thumbnail")
        lost = len(needed) - len(found)
        if lost:
            raise CollectionError(
                f"{self.path} has lost the details of {lost} images: run 'dinoscope embed' again to make them anew"
            )
        return [found[row] for row in wanted]

    def _why_not(self, row: int) -> str:
        """Return why a row has no position."""
        failed = next((each for each in self.failures if each.row == row), None)
        if failed is not None:
            return f"could not be read ({failed.reason}): it has no vector"
        if not 0 <= row < len(self._removed):
            return f"is not in this collection: rows go from {self.rows[0]} to {self.rows[-1]}"
        if self._removed[row]:
            return "is no longer in the source: choose another"
        return "has no vector yet: run 'dinoscope embed' again, which embeds the rest"

    # --- inside -----------------------------------------------------------------------------------------------------

    def _load(self) -> None:
        # the parts first: a process that embeds meanwhile lists an image before it stores its vector
        parts = read_parts(self.path / "vectors" / self._key, ["row", "vector"])
        images, _ = read_table(self.path / "images.parquet")
        if not parts:
            raise no_vectors(self.path)
        rows = np.concatenate([part["row"] for part in parts])
        vectors = np.concatenate([part["vector"] for part in parts])
        order = np.argsort(rows, kind="stable")
        self._removed: NDArray[np.bool_] = np.asarray(images["removed"], bool)
        keep = order[~self._removed[rows[order]]]
        if not len(keep):  # all are removed
            raise no_vectors(self.path)
        self.rows: NDArray[np.int64] = rows[keep]
        self.vectors: NDArray[np.float32] = np.ascontiguousarray(vectors[keep])
        self.ids = _texts(images["id"], self.rows)
        self.labels = _texts(images["label"], self.rows)
        self.splits = _texts(images["split"], self.rows)
        self._images = images
        # Everything below is computed from exactly these images with exactly these vectors.
        self.state = state_of(self._key, images["key"], self.rows)

    @cached_property
    def search_index(self) -> SearchIndex:
        """The approximate index of the vectors, stored once; only very large collections need it."""
        return analysis_neighbors.load_index(self)

    @property
    def key(self) -> str:
        """Name of the vectors, made of model, resolution and weights."""
        return self._key

    @cached_property
    def content_keys(self) -> list[str]:
        """What each image is (N,): digests of the array's pixels, or of a file's name, size and time."""
        return [self._images["key"][row] for row in self.rows.tolist()]

    @cached_property
    def contents(self) -> list[str]:
        """What each image holds (N,): digests of the bytes, which a new name or time of a file does not change."""
        wanted = np.zeros(len(self._images["row"]), bool)
        wanted[self.rows] = True
        known = dict(stored_contents(self.path, wanted))
        return [known.get(row, key) for row, key in zip(self.rows.tolist(), self.content_keys, strict=True)]

    @cached_property
    def label_state(self) -> str:
        """A digest of all labels and splits, for the settings of stages that read them."""
        return label_state_of(self.labels.tolist(), self.splits.tolist())

    @cached_property
    def classifiers(self) -> dict[tuple[int, float, float], Classifier]:
        """What ``classify`` has learnt, by its settings."""
        return {}

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Width and height (N, 2) of the images, in pixels, upright."""
        sizes = np.zeros((len(self._images["row"]), 2), np.int64)
        for columns in read_parts(self.path / "details", ["row", "width", "height"]):
            # of later rows a process that embeds meanwhile has just written; without a size: could not be read again
            known = (columns["row"] < len(sizes)) & (columns["width"] > 0)
            sizes[columns["row"][known]] = np.stack([columns["width"], columns["height"]], axis=1)[known]
        return sizes[self.rows]

    @cached_property
    def _pictures(self) -> tuple[list[Path], NDArray[np.int32]]:
        """Parts of the details, and for each row the number of the part that holds its thumbnail (-1: none)."""
        parts = list_parts(self.path / "details")
        holder = np.full(len(self._images["row"]), -1, np.int32)
        for number, columns in enumerate(read_parts(self.path / "details", ["row", "error"], parts)):
            rows = columns["row"]
            has = np.asarray([error is None for error in columns["error"]], bool) & (rows < len(holder))
            holder[rows[has]] = number
        return parts, holder

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Images that could not be read, have no vector and are still in the source."""
        failed: dict[int, str | None] = {}
        for columns in read_parts(self.path / "details", ["row", "error"]):
            failed |= dict(zip(columns["row"].tolist(), columns["error"], strict=True))
        left_out = self._removed.copy()
        left_out[self.rows] = True  # one that another model could not be given
        return tuple(
            Failure(row, self._images["id"][row], reason)
            for row, reason in sorted(failed.items())
            if reason is not None and row < len(left_out) and not left_out[row]
        )

    @cached_property
    def missing(self) -> int:
        """How many images of the source are not embedded yet: without a vector of this model, and no failures."""
        return count_missing(self.path, self._removed, self.rows)


def _texts(values: list[str | None], rows: NDArray[np.int64]) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = np.asarray(values, dtype=object)[rows]
    return texts
