"""The command line's `calibrate`: thresholds by a person's answers to pairs or pictures on a sheet."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.base.types import PICTURE_KINDS
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
    from dinoscope.stages.cleaning.answers import Question, Subject

__all__ = ["calibrate"]

KINDS = {kind.replace(" ", "-"): kind for kind in PICTURE_KINDS}  # as they are typed


def calibrate(
    collection: CollectionPath,
    same: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help=f"Which pairs of the sheet show the same picture: {HOW}.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help=f"Ask about poor pictures of a kind instead: {', '.join(KINDS)}.")
    ] = None,
    yes: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="Which pictures of that sheet are of the kind.")
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Check labels that neighbours contradict, drawn at random, not pairs.")
    ] = False,
    outliers: Annotated[bool, typer.Option("--outliers", help="Check outliers, drawn at random, not pairs.")] = False,
    wrong: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Which labels of that sheet are wrong, or images do not belong."),
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, max=200, help="Pairs, pictures or findings on the sheet.")] = 20,
    output: Annotated[
        Path | None, output_option(metavar="FILE", help="The sheet; by default in COLLECTION, such as pairs.png.")
    ] = None,
    no_browser: NoBrowserOption = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget the answers first: to pairs, or of the kind.")
    ] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the threshold of duplicates by answering, for twenty pairs of images, whether they show the same picture.

    With --kind: say which of twenty pictures are blurred, dark and so on, and set the threshold of that kind.
    With --labels or --outliers: say which of twenty findings are right, and learn how many of the others may be.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say
    from dinoscope.storage.files import write_bytes
    from dinoscope.wording.findings import tell_is, tell_question

    if labels + outliers + (kind is not None) > 1:
        raise InputError("--kind, --labels and --outliers are three lists: choose one of them")
    if kind is not None and kind not in KINDS:
        raise InputError(f"--kind must be one of {', '.join(KINDS)}, got {kind!r}")
    given = {"--same": same, "--yes": yes, "--wrong": wrong}
    fitting = "--yes" if kind is not None else "--wrong" if labels or outliers else "--same"
    if any(said is not None for option, said in given.items() if option != fitting):
        raise InputError("--same answers pairs, --yes answers --kind, and --wrong answers --labels or --outliers")
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
    about: Subject = "duplicates" if kind is None else KINDS[kind]
    if forget:
        say(f"forgot {counted(opened.forget_answers(about), 'answer')}")
    asked = opened.questions(about, pairs)
    again = shlex.join([*command, *([] if kind is None else ["--kind", kind])])
    if (numbers := given[fitting]) is not None:
        _answer(opened, about, asked, read_numbers(numbers, len(asked), fitting))
    elif asked:
        sheet = output or collection / f"{kind or 'pairs'}.png"
        write_bytes(sheet, _draw(opened, about, asked))
        say(f"{counted(len(asked), 'pair' if kind is None else 'picture')} to answer: {sheet}")
        numbered = f"{again} --pairs {pairs}"
        question = tell_question(about)
        said = ask_about(sheet, question, len(asked), fitting, numbered, as_json=as_json, is_shown=is_shown)
        if said is not None:
            _answer(opened, about, asked, said)
    else:
        could = "pair is left that could show the same picture"
        say(f"no {could if about == 'duplicates' else f'picture is left that could be {tell_is(about)}'}")
    _tell_unasked(opened, about)
    after = ["dinoscope", "clean", str(collection), "--duplicates" if kind is None else "--pictures"]
    _tell(opened, about, asked, again, shlex.join([*after, *chosen_options(model)]), as_json)


def _answer(opened: Collection, about: Subject, asked: Sequence[Question], answers: Sequence[bool | None]) -> None:
    from dinoscope.stages.cleaning.answers import answer_questions

    # all at once: a second run would ask about others under the same numbers
    answer_questions(opened, {each.rows: answer for each, answer in zip(asked, answers, strict=True)}, about)


def _tell_unasked(opened: Collection, about: Subject) -> None:
    """Say which pictures nobody is asked about, and why."""
    from dinoscope.cli.terminal import say
    from dinoscope.stages.cleaning.pictures import without_lines
    from dinoscope.wording.findings import tell_without_lines

    if about == "screenshot" and (missing := without_lines(opened)):
        say(tell_without_lines(missing))


def _draw(opened: Collection, about: Subject, asked: Sequence[Question]) -> bytes:
    """Draw the pairs or pictures with their numbers; not their scores, which would answer for the person."""
    from dinoscope.plots.sheets import Block, Tile, draw_sheet
    from dinoscope.wording.findings import tell_question

    blocks = []
    for number, each in enumerate(asked, 1):
        places = [opened.position(row) for row in each.rows]
        tiles = tuple(Tile(at, (opened.ids[at], "x".join(map(str, opened.sizes[at].tolist())))) for at in places)
        blocks.append(Block(f"pair {number}" if len(tiles) > 1 else str(number), tiles))
    return draw_sheet(f"{opened.name}: {tell_question(about)}", HOW, blocks, opened.thumbnails)


def _tell(opened: Collection, about: Subject, asked: Sequence[Question], again: str, after: str, as_json: bool) -> None:
    """Print what the answers make of the threshold."""
    from dinoscope.analysis.cleaning.threshold import ENOUGH
    from dinoscope.cli.terminal import print_json, print_table, say, tell
    from dinoscope.wording.findings import tell_are, tell_is

    fit = opened.threshold_fit(about)
    yes, no, many = ("same", "different", "pairs") if about == "duplicates" else ("yes", "no", "pictures")
    if as_json:
        print_json(
            {
                "answers": {yes: fit.yes, no: fit.no, "unsure": fit.unsure},
                "suggested": fit.suggested,
                "threshold": fit.threshold,
                "used": fit.used,
                "thresholds": [_record(fit, at, many) for at in range(len(fit.thresholds))] if fit.answers else [],
                many: [
                    {"number": number, **_rows(each), "score": round(each.score, 4)}
                    for number, each in enumerate(asked, 1)
                ],
            }
        )
        return
    if not fit.answers:
        return
    are, one, usual = "the same picture", "a pair is more likely the same picture", "the collection suggests"
    if about != "duplicates":
        are, one, usual = tell_are(about), f"a picture is more likely {tell_is(about)}", "usual:"
    rest = f", {fit.unsure} that you could not tell" if fit.unsure else ""
    tell(f"{fit.answers} answers: {fit.yes} {are}, {fit.no} not{rest}")
    tell(f"threshold {fit.threshold:.2f} ({usual} {fit.suggested:.2f}): at or above it, {one} than not")
    around = {fit.threshold + step for step in (-0.2, -0.1, 0, 0.1, 0.2)} | {fit.suggested}
    places = sorted({fit.at(each) for each in around if fit.thresholds[0] <= each <= 1}, reverse=True)
    places = [at for at in places if fit.counts[at] or fit.thresholds[at] == fit.threshold]
    columns = ("threshold", f"{many} at or above it", f"are {are}", f"of all such {many}")
    print_table(columns, [_row(fit, at) for at in places], right=(0, 1))
    if not fit.enough and not opened.questions(about, 1):
        say(f"what you answered is listed, or not, as you said; the threshold stays at {fit.used:.2f}\nnext: {after}")
    elif not fit.enough:
        say(f"dinoscope uses your answers once there are {ENOUGH}: {again}")
    else:
        say(f"to answer more {many}, which makes this more certain: {again}\nnext: {after}")


def _rows(asked: Question) -> dict[str, object]:
    return {"rows": asked.rows} if len(asked.rows) > 1 else {"row": asked.rows[0]}


def _record(fit: ThresholdFit, at: int, many: str) -> dict[str, object]:
    return {
        "threshold": float(fit.thresholds[at]),
        many: int(fit.counts[at]),
        "precision": [None if math.isnan(each) else round(each, 4) for each in fit.precision[at].tolist()],
        "recall": [round(each, 4) for each in fit.recall[at].tolist()],
    }


def _row(fit: ThresholdFit, at: int) -> tuple[str, ...]:
    def share(values: NDArray[np.float64]) -> str:
        low, middle, high = values[at].tolist()
        return f"{middle:.0%} ({low:.0%} to {high:.0%})" if fit.counts[at] else ""

    mark = " *" if fit.thresholds[at] == fit.threshold else ""
    return f"{fit.thresholds[at]:.2f}{mark}", f"{fit.counts[at]:,}", share(fit.precision), share(fit.recall)
