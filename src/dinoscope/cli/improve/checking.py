"""How many findings of a list are right, by a person's answers to some that are drawn on a sheet."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.base.text import counted
from dinoscope.cli.improve.numbers import ask_about, read_numbers

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.stages.cleaning.checks import Checkable

__all__ = ["check_findings"]

_QUESTIONS: dict[Checkable, str] = {
    "label_errors": "Which of these labels are wrong?",
    "outliers": "Which of these images do not belong here?",
}
_NEAREST = 3


def check_findings(
    opened: Collection,
    kind: Checkable,
    count: int,
    wrong: str | None,
    sheet: Path | None,
    *,
    command: Sequence[str],
    as_json: bool,
    is_shown: bool,
) -> None:
    """Draw findings on a sheet, take the answers, and say how many of the others may be right.

    Args:
        opened: The collection.
        kind: Which findings.
        count: How many are drawn.
        wrong: The answers, if there are any.
        sheet: Where to draw them; by default in the collection.
        command: The command that a person gave, without what it draws.
        as_json: Whether a program reads what is printed.
        is_shown: Whether there is a screen.

    Raises:
        InputError: The answers cannot be understood.
    """
    from dinoscope.cli.terminal import print_json, say, tell
    from dinoscope.storage.files import write_bytes
    from dinoscope.wording.findings import tell_checked

    asked = opened.findings_to_check(kind, count)
    if wrong is not None:
        _answer(opened, asked, read_numbers(wrong, len(asked), "--wrong"))
    elif asked:
        place = sheet or opened.path / f"{kind.replace('_', '-')}.png"
        write_bytes(place, _draw(opened, kind, [row for _, row in asked]))
        say(f"{counted(len(asked), 'finding')} to check, drawn at random: {place}")
        kinds = "--labels" if kind == "label_errors" else "--outliers"
        again = shlex.join([*command, kinds, "--pairs", str(count)])  # the numbers belong to a sheet of this many
        said = ask_about(place, _QUESTIONS[kind], len(asked), "--wrong", again, as_json=as_json, is_shown=is_shown)
        if said is not None:
            _answer(opened, asked, said)
    found = opened.findings_checked(kind)
    if as_json:
        print_json({**vars(found), "asked": [{"key": key, "row": row} for key, row in asked]})
        return
    tell(tell_checked(kind, found))


def _answer(opened: Collection, asked: Sequence[tuple[str, int]], answers: Sequence[bool | None]) -> None:
    from dinoscope.stages.cleaning.findings import answer_findings

    # all at once: a second run would ask about others under the same numbers. If a person cannot tell, it does not
    # count as a mistake.
    answer_findings(opened, {key: bool(answer) for (key, _), answer in zip(asked, answers, strict=True)})


def _draw(opened: Collection, kind: Checkable, rows: Sequence[int]) -> bytes:
    """Draw each finding with its number and the images nearest to it."""
    from dinoscope.plots.sheets import Block, Tile, draw_sheet

    blocks = []
    for number, row in enumerate(rows, 1):
        at = opened.position(row)
        near = [opened.position(each.row) for each in opened.search(row, k=min(_NEAREST, len(opened) - 1))]
        tiles = [Tile(each, (opened.label_text(each), opened.ids[each])) for each in near]
        blocks.append(Block(str(number), (Tile(at, (opened.label_text(at), opened.ids[at]), "doubt"), *tiles)))
    note = "red: the image with its label; beside it the images nearest to it"
    return draw_sheet(f"{opened.name}: {_QUESTIONS[kind]}", note, blocks, opened.thumbnails)
