"""The command line's `label`: labels by hand in the browser, to and from files, and what a simulated person does."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.look.explore import NoBrowserOption, serve
from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    ModelOption,
    WeightsOption,
    chosen_options,
    open_collection,
    spare_collections,
)
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.analysis.labels.simulation import Curve
    from dinoscope.collection import Collection

__all__ = ["label"]

_POINTS = (20, 50, 100, 200, 500, 1000, 2000, 5000)


def label(
    collection: CollectionPath,
    simulate: Annotated[
        bool,
        typer.Option("--simulate", help="Let a program answer with the source's labels, and print how well it goes."),
    ] = False,
    answers: Annotated[int, typer.Option(min=1, help="With --simulate: answers to give.")] = 1000,
    batches: Annotated[
        bool, typer.Option("--batches", help="With --simulate: ask about batches of look-alikes, too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="With --simulate: the same seed gives the same answers.")] = 0,
    export: Annotated[
        Path | None,
        typer.Option(
            callback=spare_collections, metavar="FILE", help="Write your labels and tags: .csv, .parquet or .jsonl."
        ),
    ] = None,
    import_: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Read labels and tags: .csv, .parquet or .jsonl.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Undo the last step, such as an import.")] = False,
    images: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Where the images are, to show them larger than their thumbnails."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of the page.")] = None,
    no_browser: NoBrowserOption = False,
    model: ModelOption = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Label images in the browser: dinoscope asks what tells most, proposes the rest, and says how right it is."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_json, say

    if simulate + undo + (export is not None) + (import_ is not None) > 1:
        raise InputError("--simulate, --export, --import and --undo are one at a time: choose one")
    if not (simulate or undo or export or import_):
        if as_json:
            raise InputError("--json is for --simulate, --export, --import and --undo: add one of them")
        shown = "#panel=label&by=mine"
        serve(collection, port=port, no_browser=no_browser, images=images, model=model, weights=weights, shown=shown)
        return
    opened = open_collection(collection, model)
    if simulate:
        _tell(_simulate(opened, answers, batches, seed), as_json)
        if not as_json:
            say(f"next: {shlex.join(['dinoscope', 'label', str(collection), *chosen_options(model)])}")
        return
    done: dict[str, int]
    if undo:
        done = {"images": len(opened.undo())}
        told = f"undone: {counted(done['images'], 'image')}" if done["images"] else "there is nothing to undo"
    elif export is not None:
        done = {"images": opened.export_annotations(export)}
        told = f"labels and tags of {counted(done['images'], 'image')}: {export}"
    else:
        assert import_ is not None
        found = opened.import_annotations(import_)
        done = {"images": found["images"], "unknown": found["unknown"]}
        rest = f"; {counted(found['unknown'], 'line')} named no image of it" if found["unknown"] else ""
        told = f"labels or tags for {counted(found['images'], 'image')}{rest}; 'dinoscope label --undo' takes them back"
    if as_json:
        print_json(done)
    else:
        say(told)


def _simulate(opened: Collection, answers: int, batches: bool, seed: int) -> Curve:
    import numpy as np

    from dinoscope.analysis.labels.active import Proposer
    from dinoscope.analysis.labels.classifier import known_labels
    from dinoscope.analysis.labels.simulation import simulate
    from dinoscope.analysis.neighbors import neighbors
    from dinoscope.stages.labels import check_single_labels

    check_single_labels(opened, "labelling")
    places, labels = known_labels(opened.labels, len(opened))
    names, truth = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise InputError(f"--simulate needs images with two labels or more, {opened.path} has {len(names)}")
    whole = len(places) == len(opened)
    vectors = opened.vectors[places]
    graph = opened.neighbors() if whole else neighbors(vectors)
    points = [each for each in _POINTS if each < answers] + [answers]
    return simulate(Proposer(vectors, graph), truth, points, seed=seed, batches=batches)


def _tell(curve: Curve, as_json: bool) -> None:
    from dinoscope.cli.terminal import print_json, print_table

    if as_json:
        print_json(
            [
                {
                    "answers": answers,
                    "right": round(right, 4),
                    "named": named,
                    "rest": {"low": round(rest.low, 4), "high": round(rest.high, 4), "right": round(truth, 4)},
                }
                for answers, right, named, rest, truth in zip(
                    curve.answers, curve.right, curve.named, curve.rest, curve.truth, strict=True
                )
            ]
        )
        return
    rows = [
        (f"{answers:,}", f"{right:.1%}", f"{named:,}", f"{rest.low:.0%} to {rest.high:.0%}", f"{truth:.1%}")
        for answers, right, named, rest, truth in zip(
            curve.answers, curve.right, curve.named, curve.rest, curve.truth, strict=True
        )
    ]
    columns = ("answers", "all, right", "named by hand", "the rest, right: estimate", "in truth")
    print_table(columns, rows, right=(0, 1, 2, 4))
