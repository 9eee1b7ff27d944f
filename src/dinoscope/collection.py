"""A collection: images, their vectors, and everything computed from them, in one folder.

``Collection`` reads the folder that ``embedding.py`` writes and runs the array functions of the package on it. Each
result is stored under a key made of the keys of its inputs and its resolved settings, so that nothing is computed
twice and nothing stale is shown: a new map setting never embeds again, ten new images embed ten.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope import store
from dinoscope.embedding import FORMAT, EmbedSummary, Failure, Progress, embed_source
from dinoscope.errors import CollectionError, ImageError, InputError
from dinoscope.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from dinoscope.clusters import Clustering, Method, Space
    from dinoscope.encoder import Encoder
    from dinoscope.images import ImageSource
    from dinoscope.knn import NeighborGraph
    from dinoscope.projection import Method as MapMethod
    from dinoscope.scores import Score

__all__ = ["Collection", "Match", "Stage"]

# Raise a stage's number when the same input and settings would give another result.
_STAGES = {"neighbors": 1, "map": 1, "layout": 1, "clusters": 1, "scores": 1}


@dataclass(frozen=True)
class Match:
    """A look-alike: its row in the collection, id, label, and cosine similarity to the query (1 is the same)."""

    row: int
    id: str
    label: str | None
    similarity: float


@dataclass(frozen=True)
class Stage:
    """How a result came to be: the settings, the seconds it took when it was computed, and whether it was stored."""

    name: str
    settings: dict[str, Any]
    seconds: float
    stored: bool


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
            CollectionError: If the folder is no collection, or has no vectors of that model.
        """
        self.path = Path(path)
        if not (self.path / "collection.json").exists():
            raise CollectionError(f"{path} is no collection: make one with 'dinoscope embed SOURCE -o {path}'")
        manifest = store.read_json(self.path / "collection.json")
        if manifest.get("format") != FORMAT:
            raise CollectionError(
                f"{path} has format {manifest.get('format')!r}, this version of dinoscope reads {FORMAT}: "
                "embed the images again into a new folder"
            )
        self.name: str = manifest["source"]["name"]
        self.kind: str = manifest["source"]["kind"]
        self._key = self._choose(manifest.get("vectors"), model)
        self.model: dict[str, Any] = store.read_json(self.path / "vectors" / self._key / "model.json")
        self.stages: dict[str, Stage] = {}
        self._encoder: Encoder | None = None  # loaded for the first query that is an image
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

        Raises:
            SourceError: If the source cannot be opened or holds no readable image.
            CollectionError: If ``path`` is in use, or holds something else.
        """
        from dinoscope.encoder import Encoder
        from dinoscope.images import open_source

        opened = open_source(source, labels=labels, data_dir=data_dir, limit=limit)
        encoder = Encoder(model) if isinstance(model, str) else model
        summary = embed_source(opened, Path(path), encoder, on_progress=on_progress)
        collection = cls(path, encoder.key)
        collection.embedded = summary
        return collection

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Collection({self.name!r}, {len(self)} images, model={self.model['model']!r})"

    # --- what was computed from the vectors -------------------------------------------------------------------------

    def neighbors(self, k: int = 30) -> NeighborGraph:
        """Return the exact graph of the ``k`` nearest neighbours; every other step reads the one with 30."""
        from dinoscope.knn import NeighborGraph, neighbors

        def compute() -> tuple[dict[str, Any], dict[str, Any]]:
            graph = neighbors(self.vectors, k)
            return {"indices": graph.indices, "similarities": graph.similarities}, {}

        columns, _ = self._stage("neighbors", {"k": k}, compute)
        return NeighborGraph(columns["indices"], columns["similarities"])

    def map(
        self, *, method: MapMethod = "umap", n_neighbors: int = 15, min_dist: float = 0.1, perplexity: float = 30.0,
        seed: int = 42,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Return the map (N, 2), made from the neighbour graph; the same seed gives the same map.

        Args:
            method: "umap", "tsne" or "pca".
            n_neighbors: Of UMAP.
            min_dist: Of UMAP.
            perplexity: Of t-SNE.
            seed: Of UMAP and t-SNE.

        Raises:
            InputError: If the method is unknown or a setting is out of its range.
        """
        from dinoscope.projection import check_method, pca, tsne, umap

        choices: dict[str, dict[str, Any]] = {
            "umap": {"n_neighbors": n_neighbors, "min_dist": min_dist, "seed": seed},
            "tsne": {"perplexity": float(perplexity), "seed": seed},
            "pca": {},
        }
        chosen = choices[check_method(method)]

        def compute() -> tuple[dict[str, Any], dict[str, Any]]:
            if method == "pca":
                return {"coordinates": pca(self.vectors)}, {}
            layout, needed = (tsne, int(3 * perplexity)) if method == "tsne" else (umap, n_neighbors)
            return {"coordinates": layout(self.vectors, graph=self.neighbors(max(30, needed)), **chosen)}, {}

        settings = {"method": method, **chosen}
        coordinates: NDArray[np.float32] = self._stage("map", settings, compute)[0]["coordinates"]
        return coordinates

    def clusters(
        self,
        k: int | None = None,
        *,
        method: Method = "kmeans",
        space: Space | None = None,
        dims: int = 10,
        seed: int = 0,
    ) -> Clustering:
        """Return the clusters of the vectors; see ``dinoscope.clusters.cluster``, ``umap_space`` for ``dims``.

        Without ``k`` their number is the one with the best silhouette, and HDBSCAN finds it itself.
        """
        from dinoscope.clusters import Clustering, cluster, resolve_space

        space = resolve_space(method, space, k)

        def compute() -> tuple[dict[str, Any], dict[str, Any]]:
            layout = self._cluster_layout(dims, seed) if space == "umap" and len(self) > 1 else None
            found = cluster(self.vectors, k, method=method, space=space, layout=layout, seed=seed)
            meta = {"medoids": found.medoids.tolist(), "silhouette": found.silhouette, "curve": found.curve}
            return {"labels": found.labels}, meta

        settings: dict[str, Any] = {"method": method, "k": k, "seed": seed}
        if (method, space) != ("kmeans", "embedding"):  # whose results were stored before there were others
            settings |= {"space": space, "dims": dims} if space == "umap" else {"space": space}
        columns, meta = self._stage("clusters", settings, compute)
        labels = columns["labels"]
        medoids = np.asarray(meta["medoids"], np.int64)
        inside = labels >= 0
        sums = np.zeros((len(medoids), self.vectors.shape[1]), np.float64)
        np.add.at(sums, labels[inside], self.vectors[inside])
        centers = (sums / np.bincount(labels[inside], minlength=len(medoids))[:, None]).astype(np.float32)
        curve = tuple((int(number), float(value)) for number, value in meta["curve"])
        return Clustering(labels, centers, medoids, meta["silhouette"], curve)

    def _cluster_layout(self, dims: int, seed: int) -> NDArray[np.float32]:
        """Return the UMAP for clusters (N, dims), made from the neighbour graph."""
        from dinoscope.clusters import umap_space

        def compute() -> tuple[dict[str, Any], dict[str, Any]]:
            return {"coordinates": umap_space(self.vectors, graph=self.neighbors(), dims=dims, seed=seed)}, {}

        settings = {"dims": dims, "seed": seed}
        coordinates: NDArray[np.float32] = self._stage("layout", settings, compute)[0]["coordinates"]
        return coordinates

    def scores(self, k: int | None = None) -> list[Score]:
        """Return how far map and clusters can be trusted, one ``Score`` a line; ``k`` as in ``clusters``."""
        from dinoscope.scores import Score, compute_scores

        def compute() -> tuple[dict[str, Any], dict[str, Any]]:
            scores = compute_scores(
                self.vectors, self.neighbors(), self.map(), self.clusters(k).labels, self.labels, self.splits
            )
            return {}, {"scores": [[each.name, each.value, each.meaning] for each in scores]}

        settings = {"clusters": {"k": k}, "labels": store.digest(self.labels.tolist(), self.splits.tolist())}
        _, meta = self._stage("scores", settings, compute)
        return [Score(*each) for each in meta["scores"]]

    def search(
        self, query: int | str | os.PathLike[str] | NDArray[Any], k: int = 10, *, weights: str | None = None
    ) -> list[Match]:
        """Find the images most like one image, by exact cosine similarity, the best first.

        Args:
            query: A row number (the image itself is left out of the answer), an image file, a decoded image uint8
                (H, W) or (H, W, 3), or a vector float (D,).
            k: Number of answers.
            weights: Path of the model's weights, for an image and a model that was named by such a path.

        Raises:
            InputError: If there is no such row or ``k`` is not positive.
            ImageError: If the file is no image.
            ModelError: If the model that made the vectors is not to be had.
        """
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        own = self.position(int(query)) if isinstance(query, int | np.integer) else None
        similarity = self.vectors @ (self.vectors[own] if own is not None else self.query_vector(query, weights))
        if own is not None:
            similarity[own] = -np.inf
        # a stable order among equals: the lower row first
        order = np.argsort(-similarity, kind="stable")[: min(k, len(self) - (own is not None))]
        return [Match(int(self.rows[i]), self.ids[i], self.labels[i], float(min(1.0, similarity[i]))) for i in order]

    def report(self, path: str | os.PathLike[str] | None = None, *, k: int | None = None) -> Path:
        """Write the report, one self-contained HTML file, by default ``report.html`` in the collection."""
        from dinoscope.report import write_report

        return write_report(self, Path(path) if path is not None else self.path / "report.html", k=k)

    # --- single images ----------------------------------------------------------------------------------------------

    def position(self, row: int) -> int:
        """Return the position of a row in the arrays.

        Raises:
            InputError: If no image with vectors has this row number.
        """
        position = int(np.searchsorted(self.rows, row))
        if position == len(self.rows) or self.rows[position] != row:
            failed = next((each for each in self.failures if each.row == row), None)
            reason = f"could not be read ({failed.reason})" if failed else "is not in this collection"
            raise InputError(f"row {row} {reason}: rows go from {self.rows[0]} to {self.rows[-1]}")
        return position

    def thumbnails(self, positions: ArrayLike) -> list[bytes]:
        """Return the stored small pictures (PNG or JPEG) of the images at these positions.

        Raises:
            CollectionError: If a part of the collection was deleted.
        """
        wanted = [int(self.rows[i]) for i in np.atleast_1d(np.asarray(positions, np.int64))]
        found: dict[int, bytes] = {}
        needed = set(wanted)
        for part in store.list_parts(self.path / "details"):
            rows = store.read_table(part, ["row"])[0]["row"]
            if needed.isdisjoint(rows.tolist()):
                continue
            pictures = store.read_table(part, ["thumbnail"])[0]["thumbnail"]
            found |= {
                row: picture
                for row, picture in zip(rows.tolist(), pictures, strict=True)
                if row in needed and picture is not None
            }
        lost = needed - found.keys()
        if lost:
            raise CollectionError(
                f"{self.path} has lost the details of {len(lost)} images: run 'dinoscope embed' again to make them anew"
            )
        return [found[row] for row in wanted]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _choose(self, active: str | None, model: str | None) -> str:
        """Return the key of the vectors to show."""
        keys = sorted(p.parent.name for p in (self.path / "vectors").glob("*/model.json"))
        if model is not None:
            names = {key: store.read_json(self.path / "vectors" / key / "model.json")["model"] for key in keys}
            keys = [key for key in keys if model in (names[key], key)]
            if not keys:
                held = ", ".join(sorted(set(names.values()))) or "none"
                raise CollectionError(
                    f"{self.path} has no vectors of {model!r} (it has: {held}): embed them with "
                    f"'dinoscope embed SOURCE -o {self.path} --model {model}'"
                )
        if active in keys:
            return str(active)
        if not keys:
            raise self._no_vectors()
        return keys[-1]

    def _no_vectors(self) -> CollectionError:
        return CollectionError(
            f"{self.path} has no vectors yet: run 'dinoscope embed' again, it continues where it stopped"
        )

    def _load(self) -> None:
        images, _ = store.read_table(self.path / "images.parquet")
        parts = [store.read_table(part)[0] for part in store.list_parts(self.path / "vectors" / self._key)]
        if not parts:
            raise self._no_vectors()
        rows = np.concatenate([part["row"] for part in parts])
        vectors = np.concatenate([part["vector"] for part in parts])
        order = np.argsort(rows, kind="stable")
        keep = order[~np.asarray(images["removed"], bool)[rows[order]]]
        self.rows: NDArray[np.int64] = rows[keep]
        self.vectors: NDArray[np.float32] = np.ascontiguousarray(vectors[keep])
        self.ids = _texts(images["id"], self.rows)
        self.labels = _texts(images["label"], self.rows)
        self.splits = _texts(images["split"], self.rows)
        self._images = images
        # Everything below is computed from exactly these images with exactly these vectors.
        self._state = store.digest(self._key, [images["key"][row] for row in self.rows.tolist()])

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Width and height (N, 2) of the images, in pixels, upright."""
        sizes = np.zeros((len(self._images["row"]), 2), np.int64)
        for part in store.list_parts(self.path / "details"):
            columns, _ = store.read_table(part, ["row", "width", "height"])
            sizes[columns["row"]] = np.stack([columns["width"], columns["height"]], axis=1)
        return sizes[self.rows]

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        """Images that could not be read and are still in the source."""
        failed: dict[int, str | None] = {}
        for part in store.list_parts(self.path / "details"):
            columns, _ = store.read_table(part, ["row", "error"])
            failed |= dict(zip(columns["row"].tolist(), columns["error"], strict=True))
        removed = self._images["removed"]
        return tuple(
            Failure(row, self._images["id"][row], reason)
            for row, reason in sorted(failed.items())
            if reason is not None and not removed[row]
        )

    def query_vector(self, query: Any, weights: str | None = None) -> NDArray[np.float32]:
        """Return the vector (D,) of an image that need not be in the collection, by the model that made its vectors.

        Args:
            query: An image file, a decoded image uint8 (H, W) or (H, W, 3), or a vector float (D,).
            weights: See ``search``.

        Raises:
            ImageError: If the file is no image.
            InputError: If a vector is of another length.
            ModelError: If the model is not to be had.
        """
        from dinoscope.decode import read_reduced
        from dinoscope.encoder import Encoder

        if isinstance(query, np.ndarray) and query.ndim == 1:
            if query.shape != self.vectors.shape[1:]:
                raise InputError(f"a query vector must have shape {self.vectors.shape[1:]}, got {query.shape}")
            vector: NDArray[np.float32] = (query / max(float(np.linalg.norm(query)), 1e-12)).astype(np.float32)
            return vector
        if self._encoder is None or weights is not None:
            self._encoder = Encoder.from_description(self.model, weights=weights)
        encoder = self._encoder
        try:
            image = read_reduced(query, encoder.preprocessing.least(encoder.resolution))
        except ImageError as error:
            name = os.fspath(query) if isinstance(query, str | os.PathLike) else "the image"
            raise ImageError(f"{name}: {error} (a query is a row number or an image file)") from None
        found: NDArray[np.float32] = encoder.run(encoder.preprocess(image.pixels, image.size)[None])[0]
        return found

    def _stage(
        self, name: str, settings: dict[str, Any], compute: Callable[[], tuple[dict[str, Any], dict[str, Any]]]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a stored result, or compute and store it."""
        key = store.digest(name, _STAGES[name], self._state, settings)
        path = self.path / "results" / name / f"{key}.parquet"
        stored = path.exists()
        if stored:
            columns, meta = store.read_table(path)
        else:
            began = time.perf_counter()
            inner = sum(stage.seconds for stage in self.stages.values() if not stage.stored)
            columns, meta = compute()
            # the time of stages that this one asked for is theirs
            inner = sum(stage.seconds for stage in self.stages.values() if not stage.stored) - inner
            meta["seconds"] = round(max(0.0, time.perf_counter() - began - inner), 3)
            meta["settings"] = settings
            store.write_table(path, columns, meta)
        known = self.stages.get(name)
        if known is None or known.settings != settings:  # asked again, it is still this run that computed it
            self.stages[name] = Stage(name, settings, meta["seconds"], stored)
        return columns, meta


def _texts(values: list[str | None], rows: NDArray[np.int64]) -> NDArray[np.object_]:
    texts: NDArray[np.object_] = np.asarray(values, dtype=object)[rows]
    return texts
