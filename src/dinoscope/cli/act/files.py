"""The command line's `apply` and `sort`: files moved, copied or linked, written down first, and undone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NotRequired, TypedDict

import typer

from dinoscope.cli.options import JsonOption, ModelOption, missing_of, open_collection, spare_collections
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.filing.acting import Outcome
    from dinoscope.filing.journal import Action
    from dinoscope.filing.planning import Proposal, Wanted

__all__ = ["apply", "sort"]

_PRINTED = 20
_NOW = {"move": "moving", "copy": "copying", "link": "linking"}
_PAST = {"move": "moved", "copy": "copied", "link": "linked"}


class Move(TypedDict):
    """A line of a plan, as far as it is about a file."""

    action: str
    id: str
    content: NotRequired[str]
    keeper_id: NotRequired[str]
    keeper_content: NotRequired[str]


class Plan(TypedDict):
    """What ``clean --write-plan`` writes."""

    moves: list[Move]


class GroupName(StrEnum):
    """What ``--by`` takes."""

    labels = "label"
    clusters = "cluster"
    splits = "split"  # "split" is a method of a text


ImagesOption = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The folder of images that the collection was made of.")
]
DoOption = Annotated[bool, typer.Option("--do", help="Do it. Without this, you only see what it would do.")]
JournalOption = Annotated[
    Path | None,
    typer.Option(
        callback=spare_collections, metavar="FILE", help="Where to write what is done; by default beside the target."
    ),
]
UndoOption = Annotated[
    Path | None, typer.Option(metavar="JOURNAL", help="Undo what this journal says: every file goes back.")
]


def apply(
    plan: Annotated[Path | None, typer.Argument(metavar="PLAN", help="File of 'clean --write-plan'.")] = None,
    images: ImagesOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--to",
            "--into",
            "--output",
            callback=spare_collections,
            metavar="FOLDER",
            help="Where the files go, with their folders.",
        ),
    ] = None,
    action: Annotated[
        list[str] | None, typer.Option(metavar="ACTION", help="Which lines of the plan: remove (the default), review.")
    ] = None,
    do: DoOption = False,
    journal: JournalOption = None,
    undo: UndoOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the files that a plan calls "remove" into a folder of their own. Without --do nothing is touched.

    A file stays if it is not what the plan was made of, or if the copy that is to be kept instead is not there any
    more. What is moved is written down first, and --undo brings it back.
    """
    if undo is not None:
        _undo(undo, as_json)
        return
    if plan is None or images is None or to is None:
        command = ("apply", plan or "plan.json", "--images", images or "photos/", "-o", to or "quarantine/")
        missing = missing_of({"a plan": plan, "--images": images, "-o": to})
        raise InputError(f"apply needs {missing}, such as: {_typed(command)}; or --undo JOURNAL")
    wanted = _read_plan(plan, set(action or ["remove"]))
    _act("apply", "move", images, to, wanted, do, journal, as_json)


def sort(
    collection: Annotated[
        Path | None, typer.Argument(metavar="COLLECTION", help="Folder that 'dinoscope embed' made.")
    ] = None,
    images: ImagesOption = None,
    by: Annotated[GroupName, typer.Option(help="What makes a folder.")] = GroupName.labels,
    into: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--into",
            "--to",
            "--output",
            callback=spare_collections,
            metavar="FOLDER",
            help="Where those folders are made.",
        ),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files (the default).")] = False,
    link: Annotated[bool, typer.Option("--link", help="Make links to the files.")] = False,
    move: Annotated[bool, typer.Option("--move", help="Move the files.")] = False,
    do: DoOption = False,
    journal: JournalOption = None,
    undo: UndoOption = None,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sort the files into a folder for each label, cluster or split. Without --do nothing is touched.

    Below it the files keep the folders they are in. A file stays if it is not what was embedded. What is done is
    written down first, and --undo takes it back.
    """
    if undo is not None:
        _undo(undo, as_json)
        return
    if collection is None or images is None or into is None:
        command = ("sort", collection or "photos.dino", "--images", images or "photos/", "-o", into or "sorted/")
        missing = missing_of({"a collection": collection, "--images": images, "-o": into})
        raise InputError(f"sort needs {missing}, such as: {_typed(command)}; or --undo JOURNAL")
    if copy + link + move > 1:
        raise InputError("choose one of --copy, --link and --move")
    from dinoscope.filing.names import folder_names
    from dinoscope.filing.planning import Wanted
    from dinoscope.stages.grouping import group_names

    opened = open_collection(collection, model)
    if opened.kind not in ("folder", "table"):
        raise InputError(
            f"the pictures of {collection} are not files in a folder; 'dinoscope export' writes them as files"
        )
    groups = group_names(opened, by.value)
    folders = folder_names(groups)
    files = zip(opened.ids.tolist(), opened.contents, groups, strict=True)
    wanted = [Wanted(name, seen, folders[group]) for name, seen, group in files]
    _act("sort", "link" if link else "move" if move else "copy", images, into, wanted, do, journal, as_json)


def _typed(command: Iterable[object]) -> str:
    return shlex.join(["dinoscope", *map(str, command)])


def _read_plan(path: Path, actions: set[str]) -> list[Wanted]:
    from dinoscope.errors import DamagedError
    from dinoscope.filing.planning import Wanted
    from dinoscope.storage.files import read_json

    if not actions <= {"remove", "review"}:
        raise InputError(f"--action takes remove and review, got {', '.join(sorted(actions))}")
    try:
        moves = read_json(path, Plan)["moves"]
    except FileNotFoundError:
        raise InputError(f"{path} is not there: write a plan with 'dinoscope clean COLLECTION --write-plan'") from None
    except DamagedError as error:
        raise InputError(f"{path} is not a plan from 'dinoscope clean --write-plan': {error.reason}") from None
    wanted: dict[str, Wanted] = {}
    for move in moves:
        if move["action"] not in actions:
            continue
        if "content" not in move:
            raise InputError(
                f"{path} does not say what its files hold, as an earlier version wrote it: write it again with "
                "'dinoscope clean COLLECTION --write-plan'"
            )
        kept = (move["keeper_id"], move.get("keeper_content", "")) if "keeper_id" in move else None
        wanted.setdefault(move["id"], Wanted(move["id"], move["content"], "", kept))
    return list(wanted.values())


def _act(
    command: str,
    action: Action,
    images: Path,
    into: Path,
    wanted: list[Wanted],
    do: bool,
    journal: Path | None,
    as_json: bool,
) -> None:
    """Say what would be done, or write it down and do it."""
    from dinoscope.cli.terminal import print_json, say, tell, working
    from dinoscope.filing.acting import carry_out
    from dinoscope.filing.journal import read_journal, write_journal
    from dinoscope.filing.planning import propose

    spare_collections(into / "any file")
    with working("checking the files"):
        found = propose(action, images, into, wanted)
    if not do:
        if as_json:
            print_json({"steps": found.steps, "refused": dict(found.refused), "done": 0, "journal": None})
            return
        _print_proposal(action, found, into)
        if found.steps:
            tell(f"nothing was touched; add --do to {action} {_files(len(found.steps))}")
        return
    file, outcome = None, None
    if found.steps:
        file = write_journal(action, images, into, found.steps, journal)
        say(f"to undo it: {_typed([command, '--undo', file])}")  # before Ctrl-C may end it
        with working(f"{_NOW[action]} {_files(len(found.steps))}"):
            outcome = carry_out(read_journal(file))
    stayed = found.refused + (outcome.stayed if outcome else [])
    if as_json:
        done = outcome.done if outcome else 0
        print_json({"steps": found.steps, "refused": dict(stayed), "done": done, "journal": file and str(file)})
    else:
        _print_stayed(stayed)
        tell(f"{_PAST[action]} {_files(outcome.done if outcome else 0)} to {into}")
    if stayed:
        raise typer.Exit(1)


def _undo(path: Path, as_json: bool) -> None:
    from dinoscope.cli.terminal import print_json, tell, working
    from dinoscope.filing.acting import undo
    from dinoscope.filing.journal import read_journal

    held = read_journal(path)
    with working(f"undoing {_files(len(held['steps']))}"):
        outcome: Outcome = undo(held)
    if as_json:
        print_json({"undone": outcome.done, "stayed": dict(outcome.stayed)})
    else:
        _print_stayed(outcome.stayed)
        place = (
            f"are where they were, in {held['root']}" if held["action"] == "move" else f"are gone from {held['into']}"
        )
        tell(f"{_files(outcome.done)} {place}")
    if outcome.stayed:
        raise typer.Exit(1)


def _print_proposal(action: str, found: Proposal, into: Path) -> None:
    from dinoscope.cli.terminal import print_table, tell

    if found.steps:
        shown = [(step["from"], step["to"]) for step in found.steps[:_PRINTED]]
        print_table(("file", f"{_PAST[action]} into {into} as"), shown)
        if len(found.steps) > _PRINTED:
            tell(f"and {len(found.steps) - _PRINTED:,} more\n")
    else:
        tell(f"there is nothing to {action}")
    if found.there:
        tell(f"{_files(found.there)} of the same content are there already")
    _print_stayed(found.refused)


def _print_stayed(stayed: list[tuple[str, str]]) -> None:
    from dinoscope.cli.terminal import say

    if stayed:
        say(f"left alone: {_files(len(stayed))}")
    for name, reason in stayed[:_PRINTED]:
        say(f"  {name}: {reason}")
    if len(stayed) > _PRINTED:
        say(f"  and {len(stayed) - _PRINTED:,} more (--json names all)")


def _files(count: int) -> str:
    from dinoscope.base.text import counted

    return counted(count, "file")
