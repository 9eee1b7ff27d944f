"""Map, clusters and neighbours of a collection whose vectors do not fit into memory.

A survey fits a map and clusters to a random sample and places the rest part by part, so memory depends on the sample
and on one part. What a part gives is a file of its own: a survey that was stopped goes on where it was, and parts can
be worked on by other machines.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_count
from dinoscope.base.digests import digest_json
from dinoscope.base.parallel import Run, run_here
from dinoscope.base.paths import named_path
from dinoscope.errors import CollectionError
from dinoscope.storage.files import make_folder, remove_leftovers
from dinoscope.storage.locks import locked
from dinoscope.storage.tables import list_parts, read_table, write_table
from dinoscope.survey.fit import Fit, apply_fit, fit_sample
from dinoscope.survey.graph import write_graph
from dinoscope.survey.parts import PartedVectors, is_whole, open_vectors

__all__ = ["SAMPLE", "Placed", "Survey", "SurveySettings", "survey"]

SAMPLE = 50_000  # images that map and clusters are fitted to
_VERSION = 1  # raise it when the same vectors and settings would give another result
_WAIT = 60.0  # seconds for another process that makes the same survey
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Placed:
    """Images with their places and clusters.

    Attributes:
        rows: Row numbers (n,), int64.
        coordinates: Places on the map (n, 2), float32.
        clusters: Clusters (n,), int32.
    """

    rows: NDArray[np.int64]
    coordinates: NDArray[np.float32]
    clusters: NDArray[np.int32]


class SurveySettings(TypedDict):
    """What decides a survey; see ``survey``."""

    sample: int
    k: int | None
    n_neighbors: int
    min_dist: float
    seed: int


@dataclass(frozen=True)
class Survey:
    """A finished survey. What it says about single images is read from its files when needed.

    Attributes:
        path: Its folder.
        images: Images in it.
        sample: Images that it was fitted to.
        settings: The settings, as they decide the result.
        sizes: Images of each cluster, cluster 0 the largest in the sample.
        silhouette: Mean cosine silhouette of the clusters in the sample; NaN where it is not defined.
        graph: Folder of the neighbours; None if they were not asked for.
        recall: Share of the true neighbours that are in it, measured on 500 images of the sample; None without a graph.
    """

    path: Path
    images: int
    sample: int
    settings: SurveySettings
    sizes: tuple[int, ...]
    silhouette: float
    graph: Path | None
    recall: float | None

    def __iter__(self) -> Iterator[Placed]:
        """Yield places and clusters part by part."""
        return map(_read_part, list_parts(self.path))

    def load(self) -> Placed:
        """Return places and clusters of all images, 20 bytes each, by row."""
        parts = list(self)
        rows = np.concatenate([part.rows for part in parts])
        order = np.argsort(rows)
        coordinates = np.concatenate([part.coordinates for part in parts])
        return Placed(rows[order], coordinates[order], np.concatenate([part.clusters for part in parts])[order])

    def neighbors(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
        """Yield rows (n,), the rows of their nearest (n, k), and the similarities (n, k); all rows, in any order.

        Raises:
            CollectionError: If the survey was made without neighbours.
        """
        if self.graph is None:
            raise CollectionError("this survey has no neighbours: make it again with --neighbors")
        for file in list_parts(self.graph):
            columns, _ = read_table(file)
            yield columns["row"], columns["neighbors"], columns["similarities"]

    def fit(self) -> Fit:
        """Return what was learnt from the sample, to place new images with ``fit.apply_fit``."""
        return _read_fit(self.path / "fit.parquet")


def survey(
    path: str | Path,
    *,
    model: str | None = None,
    sample: int = SAMPLE,
    k: int | None = None,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 42,
    neighbors: int = 0,
    run: Run = run_here,
    on_progress: Progress | None = None,
) -> Survey:
    """Make a survey of a collection, or the rest of one that was stopped; a finished one is there at once.

    The map is the UMAP of the sample, and every other image is put at the weighted median of its 15 nearest in the
    sample (see ``projection.transform``). Clusters are those of k-means in the sample; every image goes to the nearest
    centre. Neighbours are searched among all images, see ``survey.graph``.

    Args:
        path: The collection.
        model: Which model's vectors; by default those embedded last.
        sample: Most images to fit to, drawn at random.
        k: Number of clusters; without it the one that ``choose_k`` chooses.
        n_neighbors: Of UMAP.
        min_dist: Of UMAP.
        seed: Of the draw, UMAP and k-means.
        neighbors: Neighbours of each image to find; 0 for no graph.
        run: What works on the parts: this machine, or ``on_ray.tasks.RunOnRay``.
        on_progress: Called with the name of the step, what is done and what there is to do.

    Raises:
        CollectionError: If the folder is not a collection, is damaged, or another process makes the same survey.
        RayError: See ``on_ray.tasks.RunOnRay``.
        InputError: A setting is out of its range.
        WriteError: If the folder cannot be written.
    """
    sample = check_count(sample, "sample", at_least=2)
    neighbors = check_count(neighbors, "neighbors", at_least=0)
    seed = check_count(seed, "seed", at_least=0, at_most=2**32 - 1)
    n_neighbors = check_count(n_neighbors, "n_neighbors", at_least=2)
    k = None if k is None else check_count(k, "k")
    path = named_path(path)
    vectors = open_vectors(path, model)
    settings: SurveySettings = {
        "sample": min(sample, len(vectors)),
        "k": k,
        "n_neighbors": n_neighbors,
        "min_dist": float(min_dist),  # 0 and 0.0 are one survey
        "seed": seed,
    }
    folder = path / "results" / "survey" / digest_json("survey", _VERSION, vectors.state, settings)
    tell = on_progress or (lambda *_: None)
    make_folder(folder, Path(path))
    with locked(folder, wait=_WAIT):
        remove_leftovers(folder)
        fitted = _fit(folder / "fit.parquet", vectors, settings, tell)
        sizes = _place_parts(folder, vectors, fitted, run, tell)
        graph = recall = None
        if neighbors:
            count = min(neighbors, len(vectors) - 1)
            graph = folder / f"neighbors-{count}"
            make_folder(graph, folder)
            some = read_table(folder / "fit.parquet", ["row"])[0]["row"], fitted.vectors
            recall = write_graph(graph, vectors, some, count, seed, run, tell)
    return Survey(
        folder,
        len(vectors),
        min(sample, len(vectors)),
        settings,
        tuple(sizes.tolist()),
        fitted.silhouette,
        graph,
        recall,
    )


def _fit(file: Path, vectors: PartedVectors, settings: SurveySettings, tell: Progress) -> Fit:
    if is_whole(file):
        return _read_fit(file)
    for part in list_parts(file.parent):  # of a fit that was damaged: on another machine the map may differ
        part.unlink()
    began = time.perf_counter()
    tell("fitting to a sample", 0, 1)
    rows, some = vectors.sample(settings["sample"], settings["seed"])
    fitted = fit_sample(
        some, settings["k"], n_neighbors=settings["n_neighbors"], min_dist=settings["min_dist"], seed=settings["seed"]
    )
    seconds = round(time.perf_counter() - began, 3)
    write_table(
        file,
        {"row": rows, "vector": fitted.vectors, "coordinates": fitted.coordinates, "cluster": fitted.clusters},
        {"settings": settings, "silhouette": fitted.silhouette, "seconds": seconds, "vectors": vectors.key},
        within=file.parent,
    )
    tell("fitting to a sample", 1, 1)
    return _read_fit(file)  # the centres to the last digit as the next run computes them


def _read_fit(file: Path) -> Fit:
    from dinoscope.analysis.clusters.methods import group_means

    columns, meta = read_table(file)
    centers = group_means(columns["vector"], columns["cluster"]).astype(np.float32)
    return Fit(columns["vector"], columns["coordinates"], columns["cluster"], centers, meta["silhouette"])


def _place_parts(folder: Path, vectors: PartedVectors, fitted: Fit, run: Run, tell: Progress) -> NDArray[np.int64]:
    """Place the parts that have no result yet; return the size of each cluster."""
    held = [at for at, count in enumerate(vectors.counts.tolist()) if count]
    missing = [at for at in held if not is_whole(folder / vectors.parts[at].name)]
    done = len(held) - len(missing)
    tell("placing parts", done, len(held))
    items = ((at, *vectors.read(vectors.parts[at])) for at in missing)
    for at, placed in run(_place, fitted, items) if missing else ():
        columns = {"row": placed.rows, "coordinates": placed.coordinates, "cluster": placed.clusters}
        write_table(folder / vectors.parts[at].name, columns, within=folder)
        done += 1
        tell("placing parts", done, len(held))
    sizes = np.zeros(len(fitted.centers), np.int64)
    for at in held:
        clusters = read_table(folder / vectors.parts[at].name, ["cluster"])[0]["cluster"]
        sizes += np.bincount(clusters, minlength=len(sizes))
    return sizes


def _place(fitted: Fit, item: tuple[int, NDArray[np.int64], NDArray[np.float32]]) -> tuple[int, Placed]:
    at, rows, values = item
    return at, Placed(rows, *apply_fit(fitted, values))


def _read_part(file: Path) -> Placed:
    columns, _ = read_table(file)
    return Placed(columns["row"], columns["coordinates"], columns["cluster"])
