"""The command line's `diff`: how one collection differs from another, as tables, CSV, sheets and a map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import JsonOption, ModelOption, chosen_options, open_collection, output_option

if TYPE_CHECKING:
    from dinoscope.analysis.difference import ShareChange
    from dinoscope.plots.sheets import Block
    from dinoscope.wording.difference import Told

__all__ = ["diff"]


def diff(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="Folder of the collection to compare with.")],
    after: Annotated[
        Path, typer.Argument(metavar="AFTER", help="Folder of the collection in which you look for what is new.")
    ],
    k: Annotated[
        int | None,
        typer.Option("-k", "--clusters", min=1, help="Number of clusters; by default 20, or fewer for few images."),
    ] = None,
    false_share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of the images listed as new, or gone, that may be neither.")
    ] = 0.1,
    limit: Annotated[int, typer.Option(min=1, help="Findings of a kind printed and drawn; files hold all.")] = 10,
    output: Annotated[Path | None, output_option(metavar="FOLDER", help="Write CSV and PNG.")] = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare two collections: are they of one kind, what is new, what is gone, what grew and what shrank."""
    from dinoscope.cli.terminal import print_json, say, suggest, working
    from dinoscope.wording.difference import find

    opened = open_collection(before, model), open_collection(after, model)
    with working("comparing the collections"):
        told = find(*opened, k=k, false_share=false_share)
    if as_json:
        print_json(told.facts())
    else:
        _print(told, limit)
    if output:
        _write_files(told, output, limit)
        say(f"lists, sheets and map: {output}")
    if not as_json:
        suggest("explore", after, *chosen_options(model))


def _print(told: Told, limit: int) -> None:
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_table, tell
    from dinoscope.wording.difference import KINDS

    both, found = told.both, told.found
    before, after = both.names
    tell(f"{before}: {counted(len(both.before))}; {after}: {counted(len(both.after))}; {both.before.model['model']}")
    tell(f"{told.of_one_kind}\n")
    for kind in KINDS:
        strange = told.strange(kind)
        tell(strange.heading)
        lines: list[tuple[str, ...]] = []
        for at in strange.positions[:limit]:
            near = ", ".join(both.label(each) or both.name(each) for each in told.nearest(at))
            lines.append((f"{found.familiarity[at]:.4f}", both.name(at), both.label(at), near))
        if lines:
            print_table(("familiarity", "image", "label", "its nearest on the other side"), lines, right=(0,))
        if len(strange.positions) > limit:
            tell(f"and {len(strange.positions) - limit:,} more\n")
    changed = told.changed_clusters
    tell(f"clusters: {len(changed)} of {len(found.changes)} changed their share")
    if changed:
        lines = [(*_shares(found.changes[at]), both.name(int(found.medoids[at])), told.tally(at)) for at in changed]
        print_table((before, after, "change", "example", "labels"), lines[:limit], right=(0, 1, 2))
    moved = {name: each for name, each in told.labels.items() if each.changed}
    if told.labels:
        tell(f"labels: {len(moved)} of {len(told.labels)} changed their share")
    if moved:
        lines = [(*_shares(each), name) for name, each in moved.items()]
        print_table((before, after, "change", "label"), lines[:limit], right=(0, 1, 2))
    mine, others = told.count_in_both
    tell(f"in both: {mine:,} of {before}, {others:,} of {after} (the same picture, exactly or nearly)")


def _shares(change: ShareChange) -> tuple[str, str, str]:
    if not change.before or not change.after:
        factor = "gone" if change.before else "new"
    else:
        factor = f"x {change.share_after / change.share_before:.2g}"
    return f"{change.share_before:.1%}", f"{change.share_after:.1%}", factor


def _write_files(told: Told, folder: Path, limit: int) -> None:
    """Write lists of all images and clusters, a sheet of each kind of finding, and the map of both collections."""
    from dinoscope.plots.sheets import draw_sheet
    from dinoscope.storage.files import make_folder, write_bytes, write_csv

    make_folder(folder)
    found, both = told.found, told.both
    marks = {**dict.fromkeys(found.new.tolist(), "new"), **dict.fromkeys(found.gone.tolist(), "gone")}
    images = [{**told.record(at), "finding": marks.get(at)} for at in range(len(found.clusters))]
    tables = {"images": images, "clusters": told.cluster_records()}
    tables["labels"] = [{"label": name, **vars(change)} for name, change in told.labels.items()]
    for name, records in tables.items():
        if records:
            write_csv(folder / f"{name}.csv", list(records[0]), [list(each.values()) for each in records])
        else:  # an old list must not pass for a new one
            (folder / f"{name}.csv").unlink(missing_ok=True)
    for name, (title, note, blocks) in _sheets(told, limit).items():
        path = folder / f"{name}.png"
        if blocks:
            write_bytes(path, draw_sheet(title, note, blocks, both.thumbnails))
        else:  # nor an old sheet
            path.unlink(missing_ok=True)
    write_bytes(folder / "map.png", _draw_map(told))


def _sheets(told: Told, limit: int) -> dict[str, tuple[str, str, list[Block]]]:
    from dinoscope.plots.sheets import Block
    from dinoscope.wording.difference import KINDS

    found, both = told.found, told.both
    sheets: dict[str, tuple[str, str, list[Block]]] = {}
    for kind in KINDS:
        strange = told.strange(kind)
        blocks = []
        for number, at in enumerate(strange.positions[:limit], 1):
            tiles = (both.tile(at, "doubt"), *map(both.tile, told.nearest(at)))
            blocks.append(Block(f"{number} · familiarity {found.familiarity[at]:.4f}", tiles))
        what = "like nothing" if strange.certain else "most likely like nothing"
        title = (
            f"{kind}: in {strange.here}, and {what} in {strange.there}; {len(blocks):,} of {len(strange.positions):,}"
        )
        sheets[kind] = (title, f"red: the image; beside it what is most like it in {strange.there}", blocks)
    blocks = []
    for at in told.changed_clusters[:limit]:
        one, two, factor = _shares(found.changes[at])
        tiles = tuple(map(both.tile, told.members(at, 4)))
        blocks.append(Block(f"{one} to {two} ({factor}) {told.tally(at)}", tiles))
    title = (
        f"clusters whose share changed from {both.names[0]} to {both.names[1]}: {len(blocks)} of {len(found.changes)}"
    )
    sheets["clusters"] = (title, "share of all images before, and after; the members nearest to the centre", blocks)
    return sheets


def _draw_map(told: Told) -> bytes:
    from dinoscope.analysis.maps.projection import umap
    from dinoscope.plots.canvas import PAPER
    from dinoscope.plots.map import map_figure

    found, both = told.found, told.both
    names = [*both.names, "new", "gone"]
    title = f"{both.names[0]} and {both.names[1]}, through {both.before.model['model']}"
    coordinates = umap(both.vectors, graph=found.graph)
    return map_figure(coordinates, told.kinds, names, named=False, title=title, background=PAPER[False])
