"""The command line's `survey`: map, clusters and neighbours of a collection that does not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import (
    INTERRUPTED,
    ClusterOption,
    CollectionPath,
    JsonOption,
    ModelOption,
    check_cluster,
    output_option,
    output_suffix,
    say_missing,
)

if TYPE_CHECKING:
    from dinoscope.base.parallel import Run
    from dinoscope.survey.survey import Survey

__all__ = ["survey"]

_DRAWN = 200_000  # most points drawn; of more, a random sample


def survey(
    collection: CollectionPath,
    sample: Annotated[int, typer.Option(min=2, help="Images to fit to, drawn at random.")] = 50_000,
    k: Annotated[
        int | None,
        typer.Option(
            "-k", "--clusters", min=1, help="Number of clusters; by default as many as the silhouette allows."
        ),
    ] = None,
    n_neighbors: Annotated[
        int, typer.Option(min=2, max=200, help="UMAP: small, fine structure; large, the whole.")
    ] = 15,
    min_dist: Annotated[float, typer.Option(min=0.0, max=1.0, help="UMAP: how tightly points may lie.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same survey.")] = 42,
    neighbors: Annotated[
        int, typer.Option(min=0, max=200, help="Nearest neighbours of each image to find; 0: none.")
    ] = 0,
    on: ClusterOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of --on; by default one for each core.")] = None,
    output: Annotated[
        Path | None, output_option(help="A .png picture, a .csv or .parquet table of all images, or .npz arrays.")
    ] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Map and cluster a collection that is larger than memory: fit to a sample, then place the rest part by part.

    Stop at any time: a second run continues. A picture goes to survey.png in the collection, or where -o says.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_json, say, suggest
    from dinoscope.storage.manifest import read_manifest
    from dinoscope.survey.graph import MEASURED
    from dinoscope.survey.parts import open_vectors
    from dinoscope.survey.survey import survey as make

    suffix = output_suffix(output, ".parquet", ".npz")
    run = _run(on, workers)
    say_missing(collection, open_vectors(collection, model))
    try:
        with _progress() as show:
            made = make(
                collection,
                model=model,
                sample=sample,
                k=k,
                n_neighbors=n_neighbors,
                min_dist=min_dist,
                seed=seed,
                neighbors=neighbors,
                run=run,
                on_progress=show,
            )
    except KeyboardInterrupt:
        say("\nstopped; what is done is kept: the same command continues")
        raise SystemExit(INTERRUPTED) from None
    if output is not None or not as_json:
        target = output or collection / "survey.png"
        _WRITERS[suffix](target, made, read_manifest(collection)["source"]["name"])
        (say if as_json else typer.echo)(str(target))
    if as_json:
        print_json(
            {
                "images": made.images,
                "sample": made.sample,
                "clusters": len(made.sizes),
                "sizes": made.sizes,
                "silhouette": made.silhouette,
                "recall": made.recall,
                "folder": str(made.path.relative_to(collection)),
            }
        )
        return
    silhouette = "" if math.isnan(made.silhouette) else f" (silhouette there {made.silhouette:.3f})"
    say(f"{counted(made.images)} in {counted(len(made.sizes), 'cluster')}, fitted to {made.sample:,}{silhouette}")
    if made.recall is not None:
        say(f"neighbours: {made.recall:.1%} of the true ones, measured on {min(MEASURED, made.sample)} images")
    suggest("publish", collection, "--to", "vectors.db")


def _run(on: str | None, workers: int | None) -> Run:
    from dinoscope.base.parallel import run_here

    check_cluster(on, workers)
    if on is None:
        return run_here
    from dinoscope.on_ray.tasks import RunOnRay

    return RunOnRay(on, workers)


def _write_picture(path: Path, made: Survey, name: str) -> None:
    import numpy as np

    from dinoscope.plots.canvas import PAPER
    from dinoscope.plots.map import map_figure
    from dinoscope.storage.files import write_bytes

    placed = made.load()
    shown = np.arange(len(placed.rows))
    drawn = ""
    if len(shown) > _DRAWN:
        shown = np.random.default_rng(0).choice(shown, _DRAWN, replace=False)
        drawn = f", {_DRAWN:,} drawn"
    names = [f"cluster {number}" for number in range(len(made.sizes))]
    title = f"{name}: {made.images:,} images by a sample of {made.sample:,}{drawn}"
    groups = placed.clusters[shown].astype(np.int64)
    write_bytes(path, map_figure(placed.coordinates[shown], groups, names, title=title, background=PAPER[False]))


def _write_csv(path: Path, made: Survey, _: str) -> None:
    from dinoscope.storage.files import write_csv

    placed = made.load()
    x, y = placed.coordinates.T.tolist()
    columns = ("row", "x", "y", "cluster")
    write_csv(path, columns, zip(placed.rows.tolist(), x, y, placed.clusters.tolist(), strict=True))


def _write_parquet(path: Path, made: Survey, _: str) -> None:
    from dinoscope.storage.tables import write_table

    placed = made.load()
    x, y = placed.coordinates.T
    write_table(path, {"row": placed.rows, "x": x.copy(), "y": y.copy(), "cluster": placed.clusters})


def _write_arrays(path: Path, made: Survey, _: str) -> None:
    import io

    import numpy as np

    from dinoscope.storage.files import write_bytes

    placed = made.load()
    out = io.BytesIO()
    np.savez_compressed(out, rows=placed.rows, coordinates=placed.coordinates, clusters=placed.clusters)
    write_bytes(path, out.getvalue())


_WRITERS = {".png": _write_picture, ".csv": _write_csv, ".parquet": _write_parquet, ".npz": _write_arrays}


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show the step and how far it is, on stderr, where somebody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield show
