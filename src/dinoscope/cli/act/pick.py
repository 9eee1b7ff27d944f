"""The command line's `pick`: which few images to label or to keep."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.act.listed import listed_rows
from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    ModelOption,
    WhereOption,
    check_output,
    chosen_options,
    open_collection,
    output_option,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.picking.curve import Picking, PickingCurve
    from dinoscope.collection import Collection

__all__ = ["pick"]

_DRAWN = 200  # images on a sheet
_ACROSS = 8
_PRINTED = 20


class RuleName(StrEnum):
    """What ``--by`` takes."""

    coverage = "coverage"
    typical = "typical"
    uncertain = "uncertain"
    balanced = "balanced"


def pick(
    collection: CollectionPath,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many images to pick.")] = 100,
    by: Annotated[
        RuleName,
        typer.Option(
            help="typical: the middle of what there is much of. coverage: no image far from all picked ones. "
            "uncertain: where labelled neighbours disagree. balanced: as many of each label."
        ),
    ] = RuleName.typical,
    beside: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST",
            exists=True,
            dir_okay=False,
            help="Images that you have already: .txt or .csv of rows or ids.",
        ),
    ] = None,
    output: Annotated[
        list[Path] | None, output_option(help="A .txt list of names, a .csv table, or a .png of the first.")
    ] = None,
    where: WhereOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pick images to label or to keep, and show how much better they are than images drawn at random.

    The first images of a list are the best choice of as many. "Radius" is how far the image that is farthest from all
    picked ones is, "distance" how far an image is on average, "accuracy" how many of the others their five nearest
    picked ones name right.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_json, say, suggest
    from dinoscope.stages.picking import balanced_by

    for path in output or []:
        check_output(path, ".txt", ".csv", ".png")
    opened = open_collection(collection, model, where=where)
    had = [] if beside is None else listed_rows(opened, beside)
    found = opened.pick(count, by.value, beside=had)
    if len(found.positions) < count:
        say(f"there are no more than {counted(len(found.positions))} to pick")
    if by is RuleName.balanced and balanced_by(opened) == "clusters":
        say("no image has a label: as many of each cluster")
    for path in output or []:
        _write(path, opened, found, by.value)
    if as_json:
        print_json({"by": by.value, "images": _records(opened, found), "curve": _curve_records(found.curve)})
        return
    if not output:
        _print_images(opened, found)
    _print_curve(found.curve)
    listed = () if beside is None else ("--beside", beside)
    suggest(
        "pick",
        collection,
        "-n",
        count,
        "--by",
        by.value,
        "-o",
        "picked.csv",
        *listed,
        *chosen_options(model, where=where),
    )


def _records(opened: Collection, found: Picking) -> list[dict[str, object]]:
    return [
        {
            "rank": rank,
            "row": int(opened.rows[at]),
            "id": opened.ids[at],
            "label": " | ".join(opened.label_sets[at]) or opened.labels[at],
            "split": opened.splits[at],
        }
        for rank, at in enumerate(found.positions.tolist(), 1)
    ]


def _write(path: Path, opened: Collection, found: Picking, by: str) -> None:
    from dinoscope.explorer.export import as_list
    from dinoscope.plots.sheets import Block, Tile, draw_sheet
    from dinoscope.storage.files import write_bytes, write_csv

    if path.suffix == ".txt":
        write_bytes(path, as_list(opened, opened.rows[found.positions].tolist()).encode())
    elif path.suffix == ".csv":
        records = _records(opened, found)
        write_csv(path, list(records[0]), [list(each.values()) for each in records])
    else:
        shown = found.positions[:_DRAWN].tolist()
        tiles = [Tile(at, (opened.ids[at], opened.labels[at] or "")) for at in shown]
        lines = [tiles[first : first + _ACROSS] for first in range(0, len(tiles), _ACROSS)]
        blocks = [Block(f"{n * _ACROSS + 1} to {n * _ACROSS + len(line)}", tuple(line)) for n, line in enumerate(lines)]
        title = f"{opened.name}: the first {len(shown):,} of {len(found.positions):,} images, picked by {by}"
        write_bytes(path, draw_sheet(title, "in the order in which they were picked", blocks, opened.thumbnails))


def _print_images(opened: Collection, found: Picking) -> None:
    from dinoscope.cli.terminal import print_table, tell

    records = _records(opened, found)
    lines = [[str(each["rank"]), str(each["row"]), str(each["id"]), str(each["label"] or "")] for each in records]
    print_table(("", "row", "id", "label"), lines[:_PRINTED], right=(0, 1))
    if len(lines) > _PRINTED:
        tell(f"and {len(lines) - _PRINTED:,} more; -o writes all\n")


def _curve_records(curve: PickingCurve) -> list[dict[str, object]]:
    records = []
    for at, size in enumerate(curve.sizes.tolist()):
        record: dict[str, object] = {"images": size}
        for name in ("radius", "distance", "accuracy"):
            low, high = _spread(getattr(curve, f"random_{name}")[:, at])
            record |= {name: float(getattr(curve, name)[at]), f"random_{name}": [low, high]}
        records.append(record)
    return records


def _print_curve(curve: PickingCurve) -> None:
    from dinoscope.cli.terminal import print_table, tell

    lines = []
    named = curve.accuracy == curve.accuracy  # NaN without labels
    for at, size in enumerate(curve.sizes.tolist()):
        line = [f"{size:,}"]
        for name, form in (("radius", ".2f"), ("distance", ".2f"), ("accuracy", ".1%")):
            if name != "accuracy" or named.any():
                value, (low, high) = getattr(curve, name)[at], _spread(getattr(curve, f"random_{name}")[:, at])
                line += [
                    f"{value:{form}}" if value == value else "",
                    f"{low:{form}} to {high:{form}}" if low == low else "",
                ]
        lines.append(line)
    heads = ["images", "radius", "at random", "distance", "at random"] + ["accuracy", "at random"] * bool(named.any())
    print_table(heads, lines, right=range(len(heads)))
    tell(f"at random: the smallest and the largest of {len(curve.random_radius)} random choices")


def _spread(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.min()), float(values.max())
