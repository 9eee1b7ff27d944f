"""Answers to the numbered pictures of a sheet, as a person types them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import typer

from dinoscope.errors import InputError

__all__ = ["HOW", "ask_about", "read_numbers"]

HOW = "numbers such as 1 3 5-8; none; all; a number with ? where you cannot tell"


def ask_about(
    sheet: Path, question: str, count: int, option: str, again: str, *, as_json: bool, is_shown: bool
) -> list[bool | None] | None:
    """Ask at a terminal about the pictures of a sheet; elsewhere say with which command to answer, and return None.

    Args:
        sheet: The file, opened first where there is a screen.
        question: What is asked.
        count: Pictures on the sheet.
        option: Option that takes the answer.
        again: The command that takes it, without that option.
        as_json: Whether a program reads what is printed: it is not asked.
        is_shown: Whether there is a screen.
    """
    from dinoscope.cli.terminal import say

    if as_json or not sys.stdin.isatty():
        say(f"look at them; then: {again} {option} NUMBERS ({HOW})")
        return None
    if is_shown:
        typer.launch(str(sheet))
    while True:
        said = typer.prompt(f"{question} ({HOW})", err=True)
        try:
            return read_numbers(said, count, option)
        except InputError as error:
            typer.echo(str(error), err=True)


def read_numbers(said: str, count: int, option: str) -> list[bool | None]:
    """Return the answer to each picture of a sheet: yes for the numbers that were given, None for those with "?".

    Args:
        said: What was typed.
        count: Pictures on the sheet.
        option: Option that the numbers were given with, for the error.

    Raises:
        InputError: It cannot be understood.
    """
    if not count:
        raise InputError(f"{option} answers what is on a sheet, and you have answered all of it")
    words = said.replace(",", " ").split()
    if words in (["all"], ["none"]):
        return [words == ["all"]] * count
    answers: list[bool | None] = [False] * count
    for word in words:
        found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?(\?)?", word)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not found or not 1 <= first <= last <= count:
            raise InputError(f"{option} takes numbers from 1 to {count} ({HOW}), got {word!r}")
        answers[first - 1 : last] = [None if found[3] else True] * (last - first + 1)
    if not words:
        raise InputError(f"{option} is empty: expected {HOW}")
    return answers
