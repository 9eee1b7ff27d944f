"""The command line's `calibrate`: the threshold of duplicates by a person's answers to pairs on a sheet."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.improve.checking import check_findings
from dinoscope.cli.improve.numbers import HOW, ask_about, read_numbers
from dinoscope.cli.look.explore import NoBrowserOption, has_display
from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    ModelOption,
    chosen_options,
    open_collection,
    output_option,
)
from dinoscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.analysis.cleaning.threshold import ThresholdFit
    from dinoscope.collection import Collection
    from dinoscope.stages.cleaning.answers import PairToAnswer

__all__ = ["calibrate"]

_QUESTION = "Which of them show the same picture?"


def calibrate(
    collection: CollectionPath,
    same: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help=f"Which pairs of the sheet show the same picture: {HOW}.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Check labels that neighbours contradict, drawn at random, not pairs.")
    ] = False,
    outliers: Annotated[bool, typer.Option("--outliers", help="Check outliers, drawn at random, not pairs.")] = False,
    wrong: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Which labels of that sheet are wrong, or images do not belong."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, max=200, help="Pairs or findings on the sheet.")] = 20,
    output: Annotated[
        Path | None, output_option(metavar="FILE", help="The sheet; by default COLLECTION/pairs.png.")
    ] = None,
    no_browser: NoBrowserOption = False,
    forget: Annotated[bool, typer.Option("--forget", help="Forget all answers first.")] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the threshold of duplicates by answering, for twenty pairs of images, whether they show the same picture.

    With --labels or --outliers: say which of twenty findings are right, and learn how many of the others may be.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say
    from dinoscope.storage.files import write_bytes

    if labels and outliers:
        raise InputError("--labels and --outliers are two lists: choose one of them")
    if (wrong is not None) > (labels or outliers) or (same is not None) > (not labels and not outliers):
        raise InputError("--same answers pairs, and --wrong answers --labels or --outliers")
    opened = open_collection(collection, model)
    command = ["dinoscope", "calibrate", str(collection), *chosen_options(model)]
    is_shown = has_display() and not no_browser
    if labels or outliers:
        check_findings(
            opened,
            "label_errors" if labels else "outliers",
            pairs,
            wrong,
            output,
            command=command,
            as_json=as_json,
            is_shown=is_shown,
        )
        return
    if forget:
        say(f"forgot {counted(opened.forget_answers(), 'answer')}")
    asked = opened.pairs_to_answer(pairs)
    if same is not None:
        _answer(opened, asked, read_numbers(same, len(asked), "--same"))
    elif asked:
        sheet = output or collection / "pairs.png"
        write_bytes(sheet, _draw(opened, asked))
        say(f"{counted(len(asked), 'pair')} to answer: {sheet}")
        again = shlex.join([*command, "--pairs", str(pairs)])
        said = ask_about(sheet, _QUESTION, len(asked), "--same", again, as_json=as_json, is_shown=is_shown)
        if said is not None:
            _answer(opened, asked, said)
    else:
        say("no pair is left that could show the same picture")
    _tell(opened, asked, collection, model, as_json)


def _answer(opened: Collection, asked: Sequence[PairToAnswer], answers: Sequence[bool | None]) -> None:
    from dinoscope.stages.cleaning.answers import answer_pairs

    # all at once: a second run would ask about others under the same numbers
    answer_pairs(opened, {pair.rows: answer for pair, answer in zip(asked, answers, strict=True)})


def _draw(opened: Collection, asked: Sequence[PairToAnswer]) -> bytes:
    """Draw the pairs with their numbers; not their scores, which would answer for the person."""
    from dinoscope.plots.sheets import Block, Tile, draw_sheet

    blocks = []
    for number, pair in enumerate(asked, 1):
        places = [opened.position(row) for row in pair.rows]
        tiles = tuple(Tile(at, (opened.ids[at], "x".join(map(str, opened.sizes[at].tolist())))) for at in places)
        blocks.append(Block(f"pair {number}", tiles))
    return draw_sheet(f"{opened.name}: which of these pairs show the same picture?", HOW, blocks, opened.thumbnails)


def _tell(opened: Collection, asked: Sequence[PairToAnswer], path: Path, model: str | None, as_json: bool) -> None:
    """Print what the answers make of the threshold."""
    from dinoscope.analysis.cleaning.threshold import ENOUGH
    from dinoscope.cli.terminal import print_json, print_table, say, tell

    fit = opened.threshold_fit()
    if as_json:
        print_json(
            {
                "answers": {"same": fit.same, "different": fit.different, "unsure": fit.unsure},
                "suggested": fit.suggested,
                "threshold": fit.threshold,
                "used": fit.used,
                "thresholds": [_record(fit, at) for at in range(len(fit.thresholds))] if fit.answers else [],
                "pairs": [
                    {"number": number, "rows": each.rows, "score": round(each.score, 4)}
                    for number, each in enumerate(asked, 1)
                ],
            }
        )
        return
    if not fit.answers:
        return
    rest = f", {fit.unsure} that you could not tell" if fit.unsure else ""
    tell(f"{fit.answers} answers: {fit.same} the same picture, {fit.different} not{rest}")
    tell(
        f"threshold {fit.threshold:.2f} (the collection suggests {fit.suggested:.2f}): at or above it, a pair is "
        "more likely the same picture than not"
    )
    around = {fit.threshold + step for step in (-0.2, -0.1, 0, 0.1, 0.2)} | {fit.suggested}
    places = sorted({fit.at(each) for each in around if fit.thresholds[0] <= each <= 1}, reverse=True)
    places = [at for at in places if fit.pairs[at] or fit.thresholds[at] == fit.threshold]
    columns = ("threshold", "pairs at or above it", "are the same picture", "of all such pairs")
    print_table(columns, [_row(fit, at) for at in places], right=(0, 1))
    more = shlex.join(["dinoscope", "calibrate", str(path), *chosen_options(model)])
    if not fit.enough:
        say(f"dinoscope uses your answers once there are {ENOUGH}: {more}")
    else:
        after = shlex.join(["dinoscope", "clean", str(path), "--duplicates", *chosen_options(model)])
        say(f"to answer more pairs, which makes this more certain: {more}\nnext: {after}")


def _record(fit: ThresholdFit, at: int) -> dict[str, object]:
    return {
        "threshold": float(fit.thresholds[at]),
        "pairs": int(fit.pairs[at]),
        "precision": [None if math.isnan(each) else round(each, 4) for each in fit.precision[at].tolist()],
        "recall": [round(each, 4) for each in fit.recall[at].tolist()],
    }


def _row(fit: ThresholdFit, at: int) -> tuple[str, ...]:
    def share(values: NDArray[np.float64]) -> str:
        low, middle, high = values[at].tolist()
        return f"{middle:.0%} ({low:.0%} to {high:.0%})" if fit.pairs[at] else ""

    mark = " *" if fit.thresholds[at] == fit.threshold else ""
    return f"{fit.thresholds[at]:.2f}{mark}", f"{fit.pairs[at]:,}", share(fit.precision), share(fit.recall)
