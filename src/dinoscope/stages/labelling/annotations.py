"""Labels and tags that people give to the images of a collection, with undo and redo."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import ConflictError, InputError
from dinoscope.storage.annotations import (
    HOW,
    Annotation,
    History,
    How,
    append_act,
    merge_tags,
    read_history,
    who_is_here,
)
from dinoscope.storage.locks import deciding
from dinoscope.storage.schema import MOST_LETTERS

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Annotations", "annotate", "annotations", "check_text", "turn", "write_annotations"]


@dataclass(frozen=True, eq=False)
class Annotations:
    """What people said of the images of a collection; position i is the collection's.

    Attributes:
        labels: The labels that people gave (N,), None where they gave none.
        tags: Their tags (N,), tuples.
        how: How each came to be (N,), "" where nothing was said; see ``Annotation``.
        who: Who said it (N,).
        when: When (N,), nanoseconds since 1970; 0 where nothing was said.
        revision: How many acts there were.
        undoable: How many acts can be undone.
        redoable: How many can be done again.
    """

    labels: NDArray[np.object_]
    tags: NDArray[np.object_]
    how: NDArray[np.object_]
    who: NDArray[np.object_]
    when: NDArray[np.int64]
    revision: int
    undoable: int
    redoable: int

    def __len__(self) -> int:
        """Return how many images people said something of."""
        return int((self.how != "").sum())


def annotations(collection: OpenedCollection) -> Annotations:
    """Return what people said of the images.

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
    return Annotations(labels, tags, how, who, when, history.revision, len(history.done), len(history.undone))


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
    contents = [collection.contents[collection.position(row)] for row in rows]
    name = None if label is None else check_text(label, "label", empty=True)
    given, more, fewer = (
        None if each is None else [check_text(tag, "tag") for tag in each] for each in (tags, add_tags, drop_tags)
    )
    who, when = who_is_here(), time.time_ns()

    def say(before: Annotation | None) -> Annotation:
        known = before or Annotation(None)
        held = known.tags if given is None else given
        kept = known.label if name is None else name or None
        return Annotation(kept, merge_tags(held, more or (), fewer or ()), how, who, when)

    if how not in HOW:
        raise InputError(f"how must be one of {', '.join(HOW)}, got {how!r}")
    with deciding(collection.path):
        history = read_history(collection.path)
        _check_since(history, contents, since)
        append_act(
            collection.path,
            history,
            "set",
            {content: say(history.held.get(content)) for content in dict.fromkeys(contents)},
        )
    collection.history()  # analyses use it, if the labels are people's
    return history.revision


def write_annotations(collection: OpenedCollection, said: Mapping[str, Annotation]) -> int:
    """Write what was said of several images, by content, as one act; return its revision."""
    with deciding(collection.path):
        history = read_history(collection.path)
        append_act(collection.path, history, "set", said)
    collection.history()  # analyses use it, if the labels are people's
    return history.revision


def turn(collection: OpenedCollection, back: Literal["undo", "redo"], since: int | None = None) -> list[int]:
    """Undo the last act, or do again the one that was undone last; return the rows that it concerned.

    See ``Collection.undo``.
    """
    with deciding(collection.path):
        history = read_history(collection.path)
        if since is not None and history.revision != since:
            raise _conflict()
        changed = set(append_act(collection.path, history, back))
    collection.history()  # analyses use it, if the labels are people's
    return collection.rows[[at for at, content in enumerate(collection.contents) if content in changed]].tolist()


def check_text(text: str, what: str, *, empty: bool = False) -> str:
    """Return a label or a tag without the blanks around it.

    Raises:
        InputError: It is no text of one line, empty, or longer than a collection holds.
    """
    if not isinstance(text, str) or not text.isprintable():
        raise InputError(f"a {what} is a text of one line, got {text!r}"[:200])
    name = text.strip()
    if (not name and not empty) or len(name) > MOST_LETTERS:
        raise InputError(f"a {what} has 1 to {MOST_LETTERS:,} letters, got {len(name):,}")
    return name


def _check_since(history: History, contents: Iterable[str], since: int | None) -> None:
    if since is not None and any(history.touched.get(content, 0) > since for content in contents):
        raise _conflict()


def _conflict() -> ConflictError:
    return ConflictError("somebody else has labelled these images meanwhile: look at what they said, then try again")
