"""Clusters of a collection and how good they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypedDict

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import JsonObject
from dinoscope.errors import InputError
from dinoscope.stages.maps import make_map, map_quality
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from dinoscope.analysis.clusters.clustering import Clustering, Space
    from dinoscope.analysis.clusters.methods import Method
    from dinoscope.analysis.clusters.quality import ClusterQuality, Finder, Null
    from dinoscope.analysis.scores import Score
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "ClusterJudgement",
    "all_scores",
    "find_clusters",
    "judge_as_stored",
    "judge_clusters",
    "newest_clusters",
    "show_clusters",
    "shown_clusters",
]

_NULL_IMAGES = 3_000  # images for the nulls; more are sampled at random
_RESAMPLES = 10
_ALSO = 0.5  # Jaccard similarity above which a null has found the same cluster


@dataclass(frozen=True, eq=False)
class ClusterJudgement:
    """How good the clusters of a collection are.

    Attributes:
        quality: Size, cohesion and purity of each, and stability if it was requested.
        agreement: Agreement with the labels: "accuracy", "nmi", "ami", "ari"; empty without labels.
        nulls: What the same recipe finds in vectors that know less; empty if not requested.
        weak: Which clusters do no better than those in shuffled vectors (k,); None without nulls.
        also_in: Names of the other nulls in which each cluster is found too (k); empty without nulls.
    """

    quality: ClusterQuality
    agreement: dict[str, float]
    nulls: tuple[Null, ...]
    weak: NDArray[np.bool_] | None
    also_in: tuple[tuple[str, ...], ...]


class ClusterSettings(TypedDict, total=False):
    """Settings that decide the clusters; see ``Collection.clusters``."""

    k: int | None
    method: Method
    space: Space | None
    dims: int
    seed: int


def find_clusters(
    collection: OpenedCollection,
    k: int | None = None,
    *,
    method: Method = "kmeans",
    space: Space | None = None,
    dims: int = 10,
    seed: int = 0,
) -> Clustering:
    """Return the clusters of the vectors; see ``analysis.clusters.clustering.cluster``, ``umap_space`` for ``dims``.

    See ``Collection.clusters``.
    """
    from dinoscope.analysis.clusters.clustering import PLATEAU, Clustering, cluster, resolve_space

    space = resolve_space(method, space, k)

    def compute() -> Computed:
        layout = _layout(collection, dims, seed) if space == "umap" and len(collection) > 1 else None
        found = cluster(collection.vectors, k, method=method, space=space, layout=layout, seed=seed)
        meta = {"medoids": found.medoids.tolist(), "silhouette": found.silhouette, "curve": found.curve}
        if found.curve:
            meta["rule"] = f"finest k whose silhouette peaks within {PLATEAU:g} of the best"
        return {"labels": found.labels}, meta

    columns, meta = collection.results.run("clusters", _settings(k, method, space, dims, seed), compute)
    labels = columns["labels"]
    medoids = np.asarray(meta["medoids"], np.int64)
    centers = np.empty((len(medoids), collection.vectors.shape[1]), np.float32)
    for number in range(len(medoids)):
        centers[number] = collection.vectors[labels == number].mean(axis=0, dtype=np.float64)
    curve = tuple((int(number), float(value)) for number, value in meta["curve"])
    return Clustering(labels, centers, medoids, meta["silhouette"], curve)


def newest_clusters(collection: OpenedCollection) -> NDArray[np.int64] | None:
    """Return the cluster of each image (N,) in the latest clustering, -1 for none; None without a clustering."""
    stored = collection.results.stored("clusters")
    if not stored:
        return None
    labels: NDArray[np.int64] = collection.results.run("clusters", stored[0], _gone)[0]["labels"].astype(np.int64)
    return labels


def shown_clusters(collection: OpenedCollection) -> NDArray[np.int64]:
    """Return the latest clusters, as ``newest_clusters`` does; if there are none, find some."""
    found = newest_clusters(collection)
    return find_clusters(collection).labels.astype(np.int64) if found is None else found


def show_clusters(collection: OpenedCollection, k: int) -> None:
    """Make this number of k-means clusters the latest, which the explorer shows."""
    find_clusters(collection, k)
    collection.results.renew("clusters", _settings(k, "kmeans", "embedding", 10, 0))


def judge_clusters(
    collection: OpenedCollection,
    k: int | None = None,
    *,
    method: Method = "kmeans",
    space: Space | None = None,
    dims: int = 10,
    seed: int = 0,
    stability: bool = False,
    nulls: bool = False,
) -> ClusterJudgement:
    """Return how good the clusters are that ``clusters`` finds with the same settings.

    See ``Collection.judge``.
    """
    from dataclasses import replace

    from dinoscope.analysis.clusters import quality
    from dinoscope.analysis.clusters.clustering import resolve_space

    space = resolve_space(method, space, k)
    asked = _settings(k, method, space, dims, seed)
    labelled = {"clusters": asked, "labels": collection.results.label_state}
    found = find_clusters(collection, k, method=method, space=space, dims=dims, seed=seed)
    find = _finder(found, method, space, dims, seed)
    vectors, labels = collection.vectors, collection.labels
    judged, agreement = collection.results.keep(
        "cluster_quality",
        labelled,
        tuple[quality.ClusterQuality, dict[str, float]],
        lambda: (quality.judge(vectors, found.labels, labels), quality.agreement(found.labels, labels)),
        C=len(found.medoids),
    )
    if stability:

        def resample() -> tuple[NDArray[np.float64]]:
            return (quality.stability(vectors, found.labels, find, resamples=_RESAMPLES),)

        steady = collection.results.keep(
            "stability", {"clusters": asked}, tuple[NDArray[np.float64]], resample, C=len(found.medoids)
        )[0]
        judged = replace(judged, stability=steady)
    if not nulls:
        return ClusterJudgement(judged, agreement, (), None, ())
    known = collection.results.keep(
        "nulls",
        {**labelled, "stability": stability},
        tuple[quality.Null, ...],
        lambda: _find_in_nulls(collection, found, find, stability),
    )
    shuffled = [null.quality for null in known if null.name == "shuffled features"]
    others = [null for null in known if null.name != "shuffled features"]
    # The sample may miss the smallest clusters. If these are the last ones, the matches end before them.
    also = (
        tuple(sorted({null.name for null in others if (null.match[at : at + 1] > _ALSO).any()}))
        for at in range(len(found.medoids))
    )
    return ClusterJudgement(judged, agreement, known, quality.weak_clusters(judged, shuffled), tuple(also))


def judge_as_stored(collection: OpenedCollection, k: int | None = None) -> ClusterJudgement:
    """Return what ``judge`` says about the k-means clusters, with stability and nulls if they are stored."""
    asked = _settings(k, "kmeans", "embedding", 10, 0)
    nulls = [each for each in collection.results.stored("nulls") if each["clusters"] == asked]
    steady = {"clusters": asked} in collection.results.stored("stability")
    if not nulls:
        return judge_clusters(collection, k, stability=steady)
    return judge_clusters(collection, k, stability=any(each["stability"] for each in nulls) and steady, nulls=True)


def all_scores(collection: OpenedCollection, k: int | None = None) -> list[Score]:
    """Return how far to trust map and clusters, one ``Score`` per line; ``k`` as in ``clusters``."""
    from dinoscope.analysis.scores import Score, compute_scores

    def compute() -> Computed:
        found = compute_scores(
            collection.vectors,
            neighbor_graph(collection),
            make_map(collection),
            find_clusters(collection, k).labels,
            collection.labels,
            collection.splits,
            map_quality(collection) if len(collection) > 2 else None,
        )
        return {}, {"scores": [[each.name, each.value, each.meaning] for each in found]}

    _, meta = collection.results.run(
        "scores", {"clusters": {"k": k}, "labels": collection.results.label_state}, compute
    )
    return [Score(*each) for each in meta["scores"]]


def _settings(k: int | None, method: Method, space: Space, dims: int, seed: int) -> JsonObject:
    settings: dict[str, object] = {"method": method, "k": k, "seed": seed}
    if (method, space) != ("kmeans", "embedding"):  # their results were stored before there were others
        settings |= {"space": space, "dims": dims} if space == "umap" else {"space": space}
    return settings


def _layout(collection: OpenedCollection, dims: int, seed: int) -> NDArray[np.float32]:
    """Return the UMAP for clusters (N, dims), made from the neighbour graph."""
    from dinoscope.analysis.clusters.clustering import umap_space

    def compute() -> Computed:
        made = umap_space(collection.vectors, graph=neighbor_graph(collection), dims=dims, seed=seed)
        return {"coordinates": made}, {}

    columns, _ = collection.results.run("layout", {"dims": dims, "seed": seed}, compute)
    coordinates: NDArray[np.float32] = columns["coordinates"]
    return coordinates


def _finder(found: Clustering, method: Method, space: Space, dims: int, seed: int) -> Finder:
    """Return the recipe that found the clusters, with the number that it found."""
    from dinoscope.analysis.clusters.clustering import cluster

    k = None if method == "hdbscan" else len(found.medoids)
    return lambda vectors: cluster(vectors, k, method=method, space=space, dims=dims, seed=seed).labels


def _find_in_nulls(collection: OpenedCollection, found: Clustering, find: Finder, stability: bool) -> tuple[Null, ...]:
    """Run the recipe on a sample's shuffled features, pixels, and vectors of an untrained network."""
    from dinoscope.analysis.clusters.quality import find_in_nulls
    from dinoscope.models.baselines import pixel_vectors, untrained_vectors
    from dinoscope.sources.pixels.decode import read_image

    positions = np.arange(len(collection))
    if len(positions) > _NULL_IMAGES:
        positions = np.sort(np.random.default_rng(0).choice(positions, _NULL_IMAGES, replace=False))
    images = [read_image(picture) for picture in collection.thumbnails(positions)]
    others = {"pixels": pixel_vectors(images), "untrained network": untrained_vectors(images)}
    return tuple(
        find_in_nulls(
            collection.vectors[positions],
            found.labels[positions],
            find,
            collection.labels[positions],
            others=others,
            resamples=_RESAMPLES if stability else None,
        )
    )


def _gone() -> NoReturn:
    raise InputError("the clusters were deleted meanwhile: run the command again")
