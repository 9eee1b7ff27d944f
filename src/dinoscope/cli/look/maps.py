"""The command line's `map` and `tune`: maps drawn, compared, measured, and their settings chosen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    LabelsOption,
    ModelOption,
    TableOption,
    WhereOption,
    chosen_options,
    open_collection,
    output_option,
    output_suffix,
    say_part,
    write_picture,
)
from dinoscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.maps.projection import Method
    from dinoscope.analysis.maps.tuning import Setting, Tuning
    from dinoscope.collection import Collection
    from dinoscope.plots.collection import MapGroups
    from dinoscope.stages.maps import MapSettings

__all__ = ["map_", "tune"]

_AXES = "xyz"
_MOST_NEIGHBORS = 200  # of UMAP
Number = TypeVar("Number", int, float)


def map_(
    collection: CollectionPath,
    method: Annotated[str, typer.Option(help="umap, tsne or pca.")] = "umap",
    n_neighbors: Annotated[
        int, typer.Option(min=2, max=_MOST_NEIGHBORS, help="UMAP: small, fine structure; large, the whole.")
    ] = 15,
    min_dist: Annotated[float, typer.Option(min=0.0, max=1.0, help="UMAP: how tightly points may lie.")] = 0.1,
    perplexity: Annotated[
        float, typer.Option(min=1.0, max=100.0, help="t-SNE: about how many neighbours count.")
    ] = 30.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same map.")] = 42,
    dims: Annotated[int, typer.Option(min=2, max=3, help="Axes of the map.")] = 2,
    output: Annotated[Path | None, output_option(help="A .png picture, a .csv table, or .npz arrays.")] = None,
    images: Annotated[bool, typer.Option("--images", help="Draw the images at their places, not points.")] = False,
    compare: Annotated[
        str | None, typer.Option(help="Methods with commas between: their maps beside each other, with figures.")
    ] = None,
    where: WhereOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Lay the images out as a map, drawn as a picture (map.png in the collection) or written as a table.

    The map is that of all images, also where --where draws a part of them.

    With --compare the maps of several methods are side by side (maps.png), with how far to trust each.
    """
    from dinoscope.cli.terminal import print_json, suggest, working

    if images and (compare is not None or dims == 3):
        raise InputError("--images draws one map of two axes: leave it, or --compare and --dims, out")
    if where is not None and compare is not None:
        raise InputError("--where draws a part of one map: leave it or --compare out")
    suffix = output_suffix(output, *([] if compare is not None else [".npz"]))
    opened = open_collection(collection, model, labels_from)
    settings: MapSettings = {
        "n_neighbors": n_neighbors,
        "min_dist": min_dist,
        "perplexity": perplexity,
        "seed": seed,
        "dims": dims,
    }
    if compare is not None:
        _compare(opened, compare, settings, output, as_json, chosen_options(model, labels_from))
        return
    coordinates, groups = _mapped(opened, _method(method), settings, where, images)
    target = output or opened.path / "map.png"
    axes = _AXES[:dims]
    rows = [
        (row, i, label, *place)
        for row, i, label, place in zip(
            opened.rows.tolist(), opened.ids, opened.labels, coordinates.tolist(), strict=True
        )
    ]
    if as_json:
        print_json([dict(zip(("row", "id", "label", *axes), each, strict=True)) for each in rows])
        if output is None:
            return
    if suffix == ".csv":
        from dinoscope.storage.files import write_csv

        write_csv(target, ("row", "id", "label", *axes), rows)
    elif suffix == ".npz":
        _write_arrays(target, opened, coordinates)
    else:
        from dinoscope.plots.collection import collection_image_map, collection_map
        from dinoscope.storage.files import write_bytes

        with working("drawing the map"):
            picture = (collection_image_map if images else collection_map)(opened, coordinates, groups=groups)
        write_bytes(target, picture)
    if not as_json:
        typer.echo(str(target))
        suggest("explore", collection, *chosen_options(model, labels_from))


def _mapped(
    opened: Collection, method: Method, settings: MapSettings, where: str | None, images: bool
) -> tuple[NDArray[np.float32], MapGroups | None]:
    """Return the map, and with a condition leave its images alone: their part of the map, and their colours on it.

    Colours are None where those of the open images are right.
    """
    if where is None:
        return opened.map(method=method, **settings), None
    from dinoscope.plots.collection import MapGroups

    keep = opened.matching(where)  # before the map, which takes long
    coordinates = opened.map(method=method, **settings)
    has_colors = not images or any(label is not None for label in opened.labels)
    groups = MapGroups.of(opened).take(keep) if has_colors else None
    opened.narrow(keep, where)
    say_part(opened)
    return coordinates[keep], groups


def _write_arrays(path: Path, opened: Collection, coordinates: NDArray[np.float32]) -> None:
    """Write a map as NumPy arrays; an image without a label has an empty text."""
    import io

    import numpy as np

    from dinoscope.storage.files import write_bytes

    out = io.BytesIO()
    labels = np.asarray(["" if label is None else str(label) for label in opened.labels])
    np.savez_compressed(out, rows=opened.rows, ids=opened.ids.astype(str), labels=labels, coordinates=coordinates)
    write_bytes(path, out.getvalue())


def tune(
    collection: CollectionPath,
    n_neighbors: Annotated[str, typer.Option(help="Values to try, with commas between.")] = "5,15,50,100",
    min_dist: Annotated[str, typer.Option(help="Values to try, with commas between.")] = "0,0.1,0.3,0.8",
    seeds: Annotated[
        int, typer.Option(min=1, max=20, help="Maps to make of each setting that is not dropped early.")
    ] = 3,
    sample: Annotated[int, typer.Option(min=6, help="Images to map at most, drawn at random.")] = 5000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same table.")] = 0,
    output: TableOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Find settings of the UMAP map: a grid of maps from one neighbour graph, measured, and one recommendation.

    A sheet of the maps goes to tune.png in the collection, or where -o says; -o table.csv writes the table instead.
    """
    from dinoscope.cli.terminal import counting, print_json, print_table, say, suggest, tell, working

    suffix = output_suffix(output)
    sizes, dists = _values(n_neighbors, int, "n-neighbors"), _values(min_dist, float, "min-dist")
    if max(sizes) > _MOST_NEIGHBORS:
        raise InputError(f"--n-neighbors must be at most {_MOST_NEIGHBORS}, as for 'dinoscope map', got {max(sizes)}")
    opened = open_collection(collection, model, labels_from)
    with counting("maps") as show:
        found = opened.tuning(
            n_neighbors=sizes, min_dist=dists, seeds=seeds, sample=sample, seed=seed, on_progress=show
        )
    lines = [_line(each, found) for each in found.settings]
    target, written = output or opened.path / "tune.png", True
    if suffix == ".csv":
        from dinoscope.storage.files import write_csv

        write_csv(target, tuple(lines[0]), [tuple(line.values()) for line in lines])
    elif output is not None or not as_json:
        with working("drawing the sheet"):
            picture = _draw_sheet(opened, found)
        written = write_picture(target, picture, asked=output is not None)
    if as_json:
        print_json(
            {
                "images": len(found.positions),
                "k": found.k,
                "aim": found.aim,
                "verdict": found.verdict,
                "settings": lines,
            }
        )
        return
    columns = ("n_neighbors", "min_dist", "kept", "trust", "silhouette", "rank corr.", "seeds differ", "s", "")
    means = f"means over {seeds} seeds (one for settings that were dropped early) on" if seeds > 1 else "one seed,"
    print_table(columns, [_cells(each, found) for each in found.settings], right=range(8))
    say(
        f"{means} {len(found.positions):,} images; kept: of the {found.k} nearest neighbours; "
        f"seeds differ: Procrustes disparity; *: Pareto front of kept and {found.aim}"
    )
    tell(found.verdict)
    best = found.recommended
    if written:
        say(str(target))
    setting = ("--n-neighbors", best.n_neighbors, "--min-dist", f"{best.min_dist:g}")
    suggest("map", collection, *setting, *chosen_options(model, labels_from))


def _compare(
    opened: Collection, names: str, settings: MapSettings, output: Path | None, as_json: bool, named: list[str]
) -> None:
    """Make the maps of several methods, measure them and write them as one picture or table."""
    from dinoscope.cli.terminal import print_json, print_table, suggest, working
    from dinoscope.plots.maps import figures_of, maps_figure
    from dinoscope.plots.palette import label_groups

    maps = opened.compare_maps([_method(name.strip()) for name in names.split(",")], **settings)
    figures = {each.method: {} if each.quality is None else figures_of(each.quality) for each in maps}
    methods = list(figures)
    axes = _AXES[: settings["dims"]]
    target, written = output or opened.path / "maps.png", True
    if target.suffix == ".csv":
        from dinoscope.storage.files import write_csv

        write_csv(
            target,
            ("row", "id", "label", *(f"{method}_{axis}" for method in methods for axis in axes)),
            [
                (row, i, label, *(value for each in maps for value in each.coordinates[at].tolist()))
                for at, (row, i, label) in enumerate(zip(opened.rows.tolist(), opened.ids, opened.labels, strict=True))
            ],
        )
    elif output is not None or not as_json:
        members, groups = label_groups(opened.labels)
        title = f"{opened.name}: {len(opened):,} images through {opened.model['model']}"
        with working("drawing the maps"):
            picture = maps_figure(maps, members, groups, title=title)
        written = write_picture(target, picture, asked=output is not None)
    if as_json:
        print_json([{"method": each.method, "title": each.title, "figures": figures[each.method]} for each in maps])
        return
    if figures[methods[0]]:
        rows = [(name, *(_number(figures[method][name]) for method in methods)) for name in figures[methods[0]]]
        print_table(("", *methods), rows, right=range(1, 1 + len(methods)))
    if written:
        typer.echo(str(target))
    suggest("tune", opened.path, *named)


def _draw_sheet(opened: Collection, found: Tuning) -> bytes:
    from dinoscope.plots.maps import tuning_figure
    from dinoscope.plots.palette import label_groups

    members, groups = label_groups(opened.labels)
    drawn = f"{len(found.positions):,} of {len(opened):,}" if len(found.positions) < len(opened) else f"{len(opened):,}"
    title = f"{opened.name}: UMAP of {drawn} images through {opened.model['model']}"
    return tuning_figure(found, members[found.positions], groups, title=title)


def _line(setting: Setting, found: Tuning) -> dict[str, object]:
    """Return a setting as a row of the table for programs."""
    names = (
        "n_neighbors",
        "min_dist",
        "neighbors_kept",
        "trustworthiness",
        "silhouette",
        "rank_correlation",
        "difference",
        "seconds",
        "seeds",
        "on_front",
    )
    line = {name: getattr(setting, name) for name in names}
    return {**line, "recommended": setting is found.recommended, "default": setting is found.default}


def _cells(setting: Setting, found: Tuning) -> tuple[str, ...]:
    """Return a setting as a row of the table for people."""
    marks = ["*"] if setting.on_front else []
    marks += ["recommended"] if setting is found.recommended else []
    marks += ["default"] if setting is found.default else []
    return (
        str(setting.n_neighbors),
        f"{setting.min_dist:g}",
        f"{setting.neighbors_kept:.3f}",
        f"{setting.trustworthiness:.3f}",
        "" if setting.silhouette is None else f"{setting.silhouette:.3f}",
        _number(setting.rank_correlation),
        "" if setting.difference is None else f"{setting.difference:.3f}",
        f"{setting.seconds:.1f}",
        " ".join(marks),
    )


def _number(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "none"  # where all distances are equal


def _method(name: str) -> Method:
    from dinoscope.analysis.maps.projection import check_method

    return check_method(name)


def _values(text: str, kind: Callable[[str], Number], option: str) -> list[Number]:
    """Return the numbers of an option such as 5,15,50."""
    try:
        return [kind(each) for each in text.split(",")]
    except ValueError:
        what = "whole numbers" if kind is int else "numbers"
        raise InputError(f"--{option} must be {what} with commas between, got {text!r}") from None
