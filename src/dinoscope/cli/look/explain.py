"""The command line's `explain`: what a map is made of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    LabelsOption,
    ModelOption,
    TableOption,
    chosen_options,
    open_collection,
    output_suffix,
    write_picture,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.explain.columns import ExplainedColumn
    from dinoscope.analysis.explain.explanation import Explained, Explanation
    from dinoscope.collection import Collection

__all__ = ["explain"]

_CLUSTERS = 20  # the largest ones, which are described


def explain(
    collection: CollectionPath,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--clusters", min=1, help="Number of clusters; by default as many as the silhouette allows."
        ),
    ] = None,
    method: Annotated[str, typer.Option("--map", help="Which map: umap, tsne or pca.")] = "umap",
    output: TableOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Say what the map is made of: how closely it follows brightness, colour, detail, shape or order.

    The map in the colours of each goes to explain.png in the collection, or where -o says; -o table.csv writes what was
    measured of each image instead. All is measured on thumbnails, and compared by rank.
    """
    from dinoscope.analysis.maps.projection import check_method
    from dinoscope.cli.terminal import advise, print_json, suggest, working
    from dinoscope.wording.in_short import advice

    suffix, which = output_suffix(output), check_method(method)
    opened = open_collection(collection, model, labels_from)
    found = opened.explanation(cluster_settings={"k": k}, map_settings={"method": which})
    columns = opened.explain_columns(cluster_settings={"k": k}, map_settings={"method": which})
    target, written = output or opened.path / "explain.png", True
    if suffix == ".csv":
        _write_table(target, opened)
    elif output is not None or not as_json:
        with working("drawing the maps"):
            picture = _draw(opened, found, opened.map(method=which))
        written = write_picture(target, picture, asked=output is not None)
    if as_json:
        print_json(_record(found) | {"columns": [asdict(each) for each in columns]})
        return
    _print(found)
    _print_columns(columns)
    if written:
        typer.echo(str(target))
    advise(advice(opened, found, folder=str(collection)))
    suggest("explore", collection, *chosen_options(model, labels_from))


def _record(found: Explanation) -> dict[str, object]:
    from dinoscope.wording.explanation import direction_in_words, traits_in_words

    return {
        "neighbors": found.k,
        "chance": found.chance,
        "constant": list(found.constant),
        "variance": found.variance,
        "named_by_properties": found.named_by_properties,
        "named_by_vectors": found.named_by_vectors,
        "most_common_label": found.most_common,
        "labels": None if found.labels is None else asdict(found.labels),
        "properties": [asdict(each) | {"rises": direction_in_words(each)} for each in found.properties],
        "clusters": [
            {
                "cluster": at,
                "size": size,
                "traits": [asdict(each) for each in found.traits[at]],
                "words": traits_in_words(found, at),
            }
            for at, size in enumerate(found.sizes)
        ],
    }


def _print(found: Explanation) -> None:
    from dinoscope.cli.terminal import print_table, tell
    from dinoscope.wording.explanation import conclusions, direction_in_words, traits_in_words

    labelled = found.labels is not None
    lines = [] if found.labels is None else [[*_cells("(labels)", found.labels, labelled), ""]]
    lines += [[*_cells(each.name, each, labelled), direction_in_words(each)] for each in found.properties]
    if lines:
        heads = [
            "similar in",
            "embedding",
            "map",
            "variance",
            *(["within labels", "by labels"] if labelled else []),
            "",
        ]
        print_table(heads, lines, right=range(1, len(heads) - 1))
    tell("\n".join(conclusions(found)))
    told = sorted((at for at, traits in enumerate(found.traits) if traits), key=lambda at: -found.sizes[at])
    if told:
        print_table(
            ("cluster", "images", "than all other images"),
            [(str(at), f"{found.sizes[at]:,}", traits_in_words(found, at)) for at in sorted(told[:_CLUSTERS])],
            right=(0, 1),
        )


def _print_columns(columns: Sequence[ExplainedColumn]) -> None:
    """Say how closely columns follow the map, and mark those that do so no more than chance."""
    from dinoscope.cli.terminal import print_table

    lines = [
        (
            each.name,
            f"{each.images:,}",
            _number(each.embedding),
            _number(each.map),
            "" if each.clusters is None else f"{max(0.0, each.clusters):.0%}",
            "no more than chance" if max(each.embedding, each.map) <= each.chance else "",
        )
        for each in columns
    ]
    if lines:
        print_table(("column", "images", "embedding", "map", "by clusters", ""), lines, right=range(1, 5))


def _cells(name: str, told: Explained, labelled: bool) -> list[str]:
    cells = [name, _number(told.embedding), _number(told.map), f"{max(0.0, told.variance):.1%}"]
    if labelled:
        cells.append("" if told.within_labels is None else _number(told.within_labels))
        cells.append("" if told.by_labels is None else f"{max(0.0, told.by_labels):.0%}")
    return cells


def _number(value: float) -> str:
    return f"{value:z.2f}"  # no minus before a zero


def _draw(opened: Collection, found: Explanation, coordinates: NDArray[np.float32]) -> bytes:
    from dinoscope.plots.canvas import PAPER
    from dinoscope.plots.properties import property_maps

    title = f"{opened.name}: what the map is made of"
    return property_maps(coordinates, opened.properties(), found, title=title, background=PAPER[False])


def _write_table(path: Path, opened: Collection) -> None:
    """Write what was measured of each image as CSV."""
    from dinoscope.storage.files import write_csv

    values = opened.properties()
    shown = (each.astype(float).round(4).tolist() for each in values.values())  # as they were measured
    columns = [opened.rows.tolist(), opened.ids, opened.labels, *shown]
    write_csv(path, ("row", "id", "label", *values), zip(*columns, strict=True))
