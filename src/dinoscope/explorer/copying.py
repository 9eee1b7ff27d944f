"""Files of images copied to where the server may write them, as ``dinoscope sort`` does it, and taken away again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.errors import InputError
from dinoscope.explorer.model_view import position_of
from dinoscope.explorer.types import Copied, Stayed
from dinoscope.filing.acting import carry_out, undo
from dinoscope.filing.journal import read_journal, write_journal
from dinoscope.filing.names import folder_names, is_inside, number_first
from dinoscope.filing.planning import Wanted, propose
from dinoscope.storage.manifest import owner_of

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.originals import Originals

__all__ = ["CopyPlace", "copy_files", "undo_copies"]

_TOLD = 20  # files that stayed, named with their reasons


@dataclass(frozen=True)
class CopyPlace:
    """Where files may be copied.

    Attributes:
        images: The folder of the images.
        into: The folder below which copies are made.
    """

    images: Path
    into: Path


def copy_files(
    collection: OpenedCollection,
    rows: Sequence[int],
    folder: str,
    place: CopyPlace,
    originals: Originals | None,
    on_progress: Callable[[int, int], None],
    on_journal: Callable[[Path], None] = lambda _: None,
) -> tuple[Copied, Path | None]:
    """Copy the files of images into a folder of ``place``; return what was done, and the journal if there is one.

    Nothing is overwritten, and a file stays that is not what was embedded.

    Args:
        collection: The collection.
        rows: The images.
        folder: The name of the folder; it may be there already.
        place: Where it is.
        originals: Where each file is by now; without it, they are where they were.
        on_progress: Called with the steps that are done, and all.
        on_journal: Called with the journal before the first file is copied.

    Raises:
        Unknown: If a row is not in the collection.
        InputError: If the folder cannot take files.
        WriteError: If the journal cannot be written; then nothing was touched.
    """
    name = folder_names([folder])[folder]
    into = place.into / name
    wanted = [_wanted(collection, position_of(collection, row), place, originals) for row in dict.fromkeys(rows)]
    _check_place(place, into, [into])
    steps = count(1)
    tell = lambda: on_progress(next(steps), 2 * len(wanted))  # noqa: E731  each file is looked at, then copied
    found = propose("copy", place.images, into, wanted, on_step=tell)
    _check_place(place, into, (into / step["to"] for step in found.steps))
    journal, outcome = None, None
    if found.steps:
        journal = write_journal("copy", place.images, into, found.steps)
        on_journal(journal)
        outcome = carry_out(read_journal(journal), on_step=tell)
    stayed = found.refused + (outcome.stayed if outcome else [])
    told = Copied(
        folder=name,
        done=outcome.done if outcome else 0,
        there=found.there,
        stayed=len(stayed),
        reasons=_reasons(stayed),
        journal=journal.name if journal else None,
    )
    return told, journal


def undo_copies(place: CopyPlace, journal: Path) -> Copied:
    """Take away the copies that a journal of ``copy_files`` names, and say which stayed, such as changed ones.

    Raises:
        InputError: If the journal is gone or damaged, or a link has come in its way.
    """
    held = read_journal(journal)
    into = Path(held["into"])
    _check_place(place, into, (into / step["to"] for step in held["steps"]))
    there = sum(os.path.lexists(into / step["to"]) for step in held["steps"])
    outcome = undo(held)
    return Copied(
        folder=into.name,
        done=max(0, there - len(outcome.stayed)),
        there=0,
        stayed=len(outcome.stayed),
        reasons=_reasons(outcome.stayed),
        journal=journal.name,
    )


def _wanted(collection: OpenedCollection, at: int, place: CopyPlace, originals: Originals | None) -> Wanted:
    """Return the file of an image where it is by now, and what it was called, as a ZIP names it."""
    name, seen = str(collection.ids[at]), str(collection.contents[at])
    found = [] if originals is None else originals.places(collection, at)
    if originals is None or not found:
        return Wanted(name, seen)
    index = found[0] if len(found) == 1 else originals.index_of(collection, at, search=False)
    path = None if index is None else originals.source.path(index)
    if path is None:
        return Wanted(name, seen)
    called = number_first(name)
    held = Path(os.path.relpath(path, place.images)).as_posix()
    return Wanted(held, seen, as_name=called if is_inside(called) else "")


def _reasons(stayed: Sequence[tuple[str, str]]) -> list[Stayed]:
    return [Stayed(name=name, reason=reason) for name, reason in list(dict(stayed).items())[:_TOLD]]


def _check_place(place: CopyPlace, into: Path, targets: Iterable[Path]) -> None:
    """Refuse targets that links lead out of the folder below which copies are made, or into a collection."""
    root = place.into.resolve()
    for folder in {target.parent for target in targets} | {into}:
        if not folder.resolve().is_relative_to(root):
            raise InputError(f"{into.name} holds a link that leads elsewhere: choose another name")
        if owner_of(folder / "collection.json") is not None:
            raise InputError(f"{into.name} is a collection: choose another name")
