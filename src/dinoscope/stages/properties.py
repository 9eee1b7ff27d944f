"""Visible properties of a collection's images, and how they relate to its map and clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.checks import check_settings
from dinoscope.errors import InputError
from dinoscope.stages.cleaning.fingerprints import print_blocks
from dinoscope.stages.clusters import ClusterSettings, find_clusters
from dinoscope.stages.columns import read_all
from dinoscope.stages.maps import MethodSettings, make_map
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.results.kept import Computed

if TYPE_CHECKING:
    from dinoscope.analysis.explain.columns import ExplainedColumn
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["explain_collection_columns", "explain_map", "measured_properties"]

_MEASURED = ("width", "height", "aspect")  # which are among the properties


def measured_properties(collection: OpenedCollection) -> dict[str, NDArray[np.float32]]:
    """Return how bright, colourful, detailed, wide... each image is: name -> (N,); see ``analysis.explain.properties``.

    See ``Collection.properties``.
    """
    from dinoscope.analysis.explain.properties import print_properties

    def compute() -> Computed:
        found, first = [], 0
        for prints in print_blocks(collection):
            rows = slice(first, first := first + len(prints))
            found.append(print_properties(prints, collection.sizes[rows], collection.rows[rows]))
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}, {}

    return collection.results.run("properties", {}, compute)[0]


def explain_collection_columns(
    collection: OpenedCollection,
    *,
    cluster_settings: ClusterSettings | None = None,
    map_settings: MethodSettings | None = None,
) -> tuple[ExplainedColumn, ...]:
    """Return how closely columns follow map, vectors and clusters.

    See ``Collection.explain_columns``.
    """
    from dinoscope.analysis.explain.columns import explain_columns
    from dinoscope.analysis.explain.explanation import FEWEST

    check_settings(cluster_settings, "cluster_settings", ClusterSettings)
    check_settings(map_settings, "map_settings", MethodSettings)
    columns = {
        name: column.values
        for name, column in read_all(collection).items()
        if column.kind != "text" and name not in _MEASURED
    }
    if not columns or len(collection) < FEWEST:
        return ()
    found = find_clusters(collection, **(cluster_settings or {}))
    coordinates = make_map(collection, **(map_settings or {}))
    return explain_columns(columns, neighbor_graph(collection), coordinates, clusters=found.labels)


def explain_map(
    collection: OpenedCollection,
    *,
    cluster_settings: ClusterSettings | None = None,
    map_settings: MethodSettings | None = None,
) -> Explanation:
    """Return how closely those properties follow map, clusters, vectors and labels.

    See ``Collection.explanation``.
    """
    from dinoscope.analysis.explain.explanation import FEWEST, Explanation, explain

    if len(collection) < FEWEST:
        raise InputError(f"what a map is made of can be measured on {FEWEST} images or more, got {len(collection)}")
    check_settings(cluster_settings, "cluster_settings", ClusterSettings)
    check_settings(map_settings, "map_settings", MethodSettings)
    found, coordinates = (
        find_clusters(collection, **(cluster_settings or {})),
        make_map(collection, **(map_settings or {})),
    )
    settings = {
        "clusters": collection.results.stages["clusters"].settings,
        "map": collection.results.stages["map"].settings,
        "labels": collection.results.label_state,
    }

    def compute() -> Explanation:
        return explain(
            collection.vectors,
            measured_properties(collection),
            coordinates,
            graph=neighbor_graph(collection),
            labels=collection.labels,
            clusters=found.labels,
            unseen=("order",),
        )

    return collection.results.keep("explanation", settings, Explanation, compute)
