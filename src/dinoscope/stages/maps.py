"""Maps of a collection, how far to trust them, and their settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dinoscope.base.checks import check_arguments
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from dinoscope.analysis.maps.projection import Method, PrincipalAxes
    from dinoscope.analysis.maps.quality import MapQuality, MeasuredMap
    from dinoscope.analysis.maps.tuning import Tuning
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "MapSettings",
    "MethodSettings",
    "compare_maps",
    "make_map",
    "map_quality",
    "principal_axes",
    "transform",
    "tuning",
]


class MapSettings(TypedDict, total=False):
    """What decides a map beside its method; see ``Collection.map``."""

    n_neighbors: int
    min_dist: float
    perplexity: float
    seed: int
    dims: int


class MethodSettings(MapSettings, total=False):
    """What decides a map."""

    method: Method


@check_arguments
def make_map(
    collection: OpenedCollection,
    *,
    method: Method = "umap",
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    perplexity: float = 30.0,
    seed: int = 42,
    dims: int = 2,
    on_progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return the map (N, dims), made from the neighbour graph; the same seed gives the same map.

    See ``Collection.map``. ``on_progress`` gets the steps of UMAP and t-SNE.
    """
    from dinoscope.analysis.maps import projection

    settings = _map_settings(method, n_neighbors, min_dist, perplexity, seed, dims)

    def compute() -> Computed:
        if method == "pca":
            return {"coordinates": projection.pca(collection.vectors, n_components=dims)}, {}
        vectors = collection.vectors
        graph = neighbor_graph(collection, max(30, int(3 * perplexity) if method == "tsne" else n_neighbors))
        if method == "tsne":
            places = projection.tsne(
                vectors, graph=graph, perplexity=perplexity, n_components=dims, seed=seed, on_progress=on_progress
            )
        else:
            places = projection.umap(
                vectors,
                graph=graph,
                n_neighbors=n_neighbors,
                min_dist=min_dist,
                n_components=dims,
                seed=seed,
                on_progress=on_progress,
            )
        return {"coordinates": places}, {}

    coordinates: NDArray[np.float32] = collection.results.run("map", settings, compute)[0]["coordinates"]
    return coordinates


def transform(
    collection: OpenedCollection, vectors: ArrayLike, *, method: Method = "umap", **settings: Unpack[MapSettings]
) -> NDArray[np.floating]:
    """Return places (M, dims) of new vectors (M, D) on the map with these settings; see ``projection.transform``.

    See ``Collection.transform``.
    """
    from dinoscope.analysis.maps.projection import transform as transform_vectors

    coordinates = make_map(collection, method=method, **settings)
    if method == "pca":
        return principal_axes(collection, coordinates).place(vectors)
    return transform_vectors(vectors, collection.vectors, coordinates, method=method)


def principal_axes(collection: OpenedCollection, coordinates: NDArray[np.float32]) -> PrincipalAxes:
    """Return the axes of a collection's map (N, dims) by ``pca``, found once while the collection is open.

    Raises:
        InputError: It is no such map.
    """
    from dinoscope.analysis.maps.projection import PrincipalAxes

    dims = coordinates.shape[1]
    return collection.held(("principal axes", dims), lambda: PrincipalAxes.of(collection.vectors, coordinates))


@check_arguments
def map_quality(
    collection: OpenedCollection,
    method: Method = "umap",
    *,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    perplexity: float = 30.0,
    seed: int = 42,
    dims: int = 2,
    k: int = 15,
) -> MapQuality:
    """Return how far to trust a map, as a whole and image by image; see ``quality.map_quality``.

    See ``Collection.map_quality``.
    """
    from dinoscope.analysis.maps import quality

    settings = _map_settings(method, n_neighbors, min_dist, perplexity, seed, dims)

    def compute() -> quality.MapQuality:
        coordinates = make_map(
            collection,
            method=method,
            n_neighbors=n_neighbors,
            min_dist=min_dist,
            perplexity=perplexity,
            seed=seed,
            dims=dims,
        )
        graph = neighbor_graph(collection, max(30, k)) if len(collection) > 2 else None
        return quality.map_quality(collection.vectors, coordinates, graph=graph, labels=collection.labels, k=k)

    asked = {"map": settings, "k": k, "labels": collection.results.label_state}
    return collection.results.keep("map_quality", asked, quality.MapQuality, compute)


def compare_maps(
    collection: OpenedCollection, methods: Sequence[Method] = ("umap", "tsne", "pca"), **settings: Unpack[MapSettings]
) -> list[MeasuredMap]:
    """Return the map of each method with its title and how far to trust it, in the order asked for.

    See ``Collection.compare_maps``.
    """
    from dinoscope.analysis.maps.quality import MeasuredMap

    maps = []
    for method in dict.fromkeys(methods):
        coordinates = make_map(collection, method=method, **settings)
        quality = map_quality(collection, method, **settings) if len(collection) > 2 else None
        maps.append(MeasuredMap(method, coordinates, _title(method, settings, len(collection)), quality))
    return maps


def tuning(
    collection: OpenedCollection,
    *,
    n_neighbors: Sequence[int] | None = None,
    min_dist: Sequence[float] | None = None,
    seeds: int = 3,
    sample: int = 5_000,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tuning:
    """Return which settings of UMAP suit these images, and the table and maps behind that; minutes when first asked.

    See ``Collection.tuning``.
    """
    from dinoscope.analysis.maps import tuning as tune

    sizes = tuple(tune.N_NEIGHBORS if n_neighbors is None else n_neighbors)
    dists = tuple(map(float, tune.MIN_DIST if min_dist is None else min_dist))  # 0 and 0.0 are one setting

    def compute() -> tune.Tuning:
        return tune.tune(
            collection.vectors,
            collection.labels,
            n_neighbors=sizes,
            min_dist=dists,
            seeds=seeds,
            sample=sample,
            seed=seed,
            on_progress=on_progress,
        )

    asked = {"n_neighbors": list(sizes), "min_dist": list(dists), "seeds": seeds, "sample": sample, "seed": seed}
    return collection.results.keep("tuning", {**asked, "labels": collection.results.label_state}, tune.Tuning, compute)


def _map_settings(
    method: Method, n_neighbors: int, min_dist: float, perplexity: float, seed: int, dims: int
) -> MethodSettings:
    """Return the settings that make a map what it is."""
    from dinoscope.analysis.maps.projection import check_method
    from dinoscope.base.checks import check_count

    choices: dict[Method, MapSettings] = {
        "umap": {"n_neighbors": n_neighbors, "min_dist": float(min_dist), "seed": seed},
        "tsne": {"perplexity": float(perplexity), "seed": seed},
        "pca": {},
    }
    settings: MethodSettings = {"method": method, **choices[check_method(method)]}
    if check_count(dims, "dims", at_least=2, at_most=3, why="what can be seen") != 2:
        settings["dims"] = dims  # not named for the usual two, under which results were stored before
    return settings


def _title(method: Method, settings: MapSettings, count: int) -> str:
    """Return the name of a method with the settings that it had."""
    if method == "umap":
        size = min(settings.get("n_neighbors", 15), count)
        return f"UMAP, {size} neighbours, min_dist {settings.get('min_dist', 0.1):g}"
    if method == "tsne":
        asked = settings.get("perplexity", 30.0)
        limit = max(1.0, (count - 1) / 3)
        lowered = " (all that so few images allow)" if limit < asked else ""
        return f"t-SNE, perplexity {min(asked, limit):.3g}{lowered}"
    return f"PCA, first {'three' if settings.get('dims') == 3 else 'two'} axes"
