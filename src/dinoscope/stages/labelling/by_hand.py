"""Labels and tags that people give to the images of a collection, with undo and redo."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import ConflictError, InputError
from dinoscope.storage.annotations import Annotation, How, append_act, read_history, who_is_here
from dinoscope.storage.locks import deciding
from dinoscope.storage.schema import MOST_LETTERS

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Annotations", "all_annotations", "annotate", "check_text", "say_of", "turn"]

_NOTHING = Annotation(None, how="")


@dataclass(frozen=True, eq=False)
class Annotations:
    """Labels and tags that people gave to the images of a collection; position i is that of the collection.

    Attributes:
        labels: The labels that people gave (N,), None where they gave none.
        tags: Their tags (N,), tuples.
        how: How each was made (N,), "" without a label or tag; see ``Annotation``.
        who: Who made it (N,).
        when: When (N,), in nanoseconds since 1970; 0 without a label or tag.
        revision: How many acts there were.
        undoable: How many acts can be undone.
        redoable: How many can be done again.
        answers: How many acts in force are answers to questions of dinoscope.
    """

    labels: NDArray[np.object_]
    tags: NDArray[np.object_]
    how: NDArray[np.object_]
    who: NDArray[np.object_]
    when: NDArray[np.int64]
    revision: int
    undoable: int
    redoable: int
    answers: int

    def __len__(self) -> int:
        """Return how many images have a label or tag by hand."""
        return int((self.how != "").sum())


def all_annotations(collection: OpenedCollection) -> Annotations:
    """Return the labels and tags that people gave.

    See ``Collection.annotations``.
    """
    history, count = collection.history(), len(collection)
    labels, tags, how, who = (np.full(count, nothing, object) for nothing in (None, None, "", ""))
    tags[:] = [()] * count
    when = np.zeros(count, np.int64)
    for at, content in enumerate(collection.contents):
        said = history.held.get(content)
        if said is not None:
            labels[at], tags[at], how[at], who[at], when[at] = said.label, said.tags, said.how, said.who, said.when
    acts = (history.revision, len(history.done), len(history.undone), history.answers)
    return Annotations(labels, tags, how, who, when, *acts)


def annotate(
    collection: OpenedCollection,
    rows: Sequence[int],
    *,
    label: str | None = None,
    tags: Sequence[str] | None = None,
    add_tags: Sequence[str] = (),
    drop_tags: Sequence[str] = (),
    how: How = "hand",
    since: int | None = None,
) -> int:
    """Give images a label, tags, or both, as one act; return its revision.

    See ``Collection.annotate``.
    """
    places = [collection.position(row) for row in rows]
    name = None if label is None else check_text(label, "label", empty=True)
    given = None if tags is None else [check_text(tag, "tag") for tag in tags]
    more, gone = [check_text(tag, "tag") for tag in add_tags], {check_text(tag, "tag") for tag in drop_tags}

    def say(before: Annotation) -> Annotation:
        held = [*(before.tags if given is None else given), *more]
        kept = before.label if name is None else name or None
        how_now = before.how if name is None and before.how else how
        return replace(before, label=kept, tags=tuple(dict.fromkeys(t for t in held if t not in gone)), how=how_now)

    return say_of(collection, dict.fromkeys(places, say), since=since)


def say_of(
    collection: OpenedCollection, said: Mapping[int, Callable[[Annotation], Annotation]], *, since: int | None = None
) -> int:
    """Write changes to labels and tags as one act; return its revision.

    Args:
        collection: Where.
        said: Gives the new annotation for the image at a position, from the present one (``how`` is "" if there is
            none).
        since: See ``Collection.annotate``.
    """
    who, when = who_is_here(), time.time_ns()
    contents = {collection.contents[at]: say for at, say in said.items()}
    with deciding(collection.path):
        history = read_history(collection.path)
        if since is not None and any(history.touched.get(content, 0) > since for content in contents):
            raise _conflict()
        lines = {
            content: replace(say(history.held.get(content, _NOTHING)), who=who, when=when)
            for content, say in contents.items()
        }
        append_act(collection.path, history, "set", lines)
    collection.history()  # analyses use it, if the labels are people's
    return history.revision


def turn(collection: OpenedCollection, back: Literal["undo", "redo"], since: int | None = None) -> list[int]:
    """Undo the last act, or redo the last undone one; return the rows that it changed.

    See ``Collection.undo``.
    """
    with deciding(collection.path):
        history = read_history(collection.path)
        if since is not None and history.revision != since:
            raise _conflict()
        changed = set(append_act(collection.path, history, back))
    collection.history()  # analyses use it, if the labels are people's
    rows = zip(collection.rows.tolist(), collection.contents, strict=True)
    return [row for row, content in rows if content in changed]


def check_text(text: str, what: str, *, empty: bool = False) -> str:
    """Return a label or a tag without the blanks around it.

    Raises:
        InputError: If it has several lines, is empty, or is longer than a collection allows.
    """
    if not text.isprintable():
        raise InputError(f"a {what} is a text of one line, got {text!r}"[:200])
    name = text.strip()
    if (not name and not empty) or len(name) > MOST_LETTERS:
        raise InputError(f"a {what} has 1 to {MOST_LETTERS:,} letters, got {len(name):,}")
    return name


def _conflict() -> ConflictError:
    return ConflictError("somebody else has labelled these images meanwhile: look at what they said, then try again")
