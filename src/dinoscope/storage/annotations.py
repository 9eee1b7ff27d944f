"""Labels and tags by people, by image content: a history that only grows, so that every step can be undone.

Each act is some lines of ``annotations.parquet`` with one number: labels or tags for images, an undo, or a redo.
Playing all acts in order gives the present state. So undo and redo reach back to the first act, also after a restart.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.types import Columns
from dinoscope.errors import DamagedError
from dinoscope.storage.details import stored_contents
from dinoscope.storage.tables import read_table, write_table

__all__ = [
    "ANNOTATIONS",
    "HOW",
    "Annotation",
    "History",
    "How",
    "append_act",
    "changed_on_disk",
    "given_labels",
    "read_history",
    "who_is_here",
]

ANNOTATIONS = "annotations.parquet"
How = Literal["", "hand", "asked", "batch", "audit", "revealed", "proposed", "import"]
HOW: tuple[How, ...] = ("hand", "asked", "batch", "audit", "revealed", "proposed", "import")
_ANSWERS = ("asked", "batch", "audit")
_COLUMNS = ("act", "kind", "content", "label", "tags", "how", "who", "when")
_KINDS = ("set", "undo", "redo")
Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Annotation:
    """What a person said about an image.

    Attributes:
        label: Its label; None for none.
        tags: Its tags, in the order in which they were given.
        how: "hand": chosen by the person; "asked": one image that dinoscope asked about; "batch": several at once;
            "audit": one of the random part that nobody chose; "revealed": one of these that was chosen later;
            "proposed": a proposal that a person took without a look at the image; "import": read from a file.
        who: Who gave them.
        when: When, in nanoseconds since 1970.
    """

    label: str | None
    tags: tuple[str, ...] = ()
    how: How = "hand"
    who: str = ""
    when: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether neither label nor tag is left."""
        return self.label is None and not self.tags


@dataclass
class History:
    """All acts, and the state after the last.

    Attributes:
        revision: How many acts there were, undo and redo among them.
        held: Present annotation of each image, by content. Images without any are not in it.
        touched: The act that changed an image last, by content.
        done: Acts that undo would take back, the last at the end.
        undone: Acts that redo would bring back, the next at the end.
        columns: The lines, as they are stored.
    """

    revision: int = 0
    held: dict[str, Annotation] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)
    columns: Columns = field(default_factory=lambda: {name: [] for name in _COLUMNS})
    _acts: dict[int, dict[str, Annotation]] = field(default_factory=dict)
    _layers: dict[str, list[Annotation]] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """How many acts that hold are answers to a question."""
        return sum(any(said.how in _ANSWERS for said in self._acts[act].values()) for act in self.done)

    def changed_since(self, revision: int) -> list[str]:
        """Return the contents that acts after this one changed."""
        return [content for content, act in self.touched.items() if act > revision]

    def set(self, lines: Mapping[str, Annotation]) -> None:
        """Play an act that changes images, by content."""
        self.revision += 1
        self._acts[self.revision] = dict(lines)
        self.undone.clear()
        self._do(self.revision)

    def undo(self) -> list[str]:
        """Undo the last act; return the contents that it changed, none if there was no act."""
        return self._turn(self.done, self._take_back)

    def redo(self) -> list[str]:
        """Redo the act that was undone last; return the contents that it changed."""
        return self._turn(self.undone, self._do)

    def _turn(self, acts: list[int], play: Callable[[int], None]) -> list[str]:
        if not acts:
            return []
        self.revision += 1
        act = acts.pop()
        play(act)
        return list(self._acts[act])

    def _do(self, act: int) -> None:
        for content, said in self._acts[act].items():
            self._layers.setdefault(content, []).append(said)
            self._settle(content)
        self.done.append(act)

    def _take_back(self, act: int) -> None:
        for content in self._acts[act]:
            self._layers[content].pop()
            self._settle(content)
        self.undone.append(act)

    def _settle(self, content: str) -> None:
        layers = self._layers[content]
        self.touched[content] = self.revision
        if layers and not layers[-1].is_empty:
            self.held[content] = layers[-1]
        else:
            self.held.pop(content, None)


def changed_on_disk(folder: Path) -> Signature | None:
    """Return a state that changes with every write of the history; None without a history."""
    try:
        found = (folder / ANNOTATIONS).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def read_history(folder: Path) -> History:
    """Read the history of a collection; an empty one if there is none.

    Raises:
        DamagedError: If it is damaged, or its history is impossible.
    """
    path = folder / ANNOTATIONS
    try:
        columns, _ = read_table(path)
    except FileNotFoundError:
        return History()
    columns["act"] = columns["act"].tolist()
    columns["when"] = columns["when"].tolist()
    try:
        history = _play(columns)
    except ValueError as error:
        raise DamagedError(path, str(error)) from None
    history.columns = columns
    return history


def append_act(
    folder: Path, history: History, kind: Literal["set", "undo", "redo"], lines: Mapping[str, Annotation] | None = None
) -> list[str]:
    """Play an act and write the history with it; the caller holds the lock of decisions.

    Returns:
        The contents that it changed. With nothing to undo or redo, there are none, and nothing is written.

    Raises:
        WriteError: If it cannot be written. Earlier acts are kept.
    """
    if kind == "set":
        said = dict(lines or {})
        if not said:
            return []
        history.set(said)
        changed = list(said)
    else:
        changed = history.undo() if kind == "undo" else history.redo()
        if not changed:
            return []
        said = {}
    added = _lines(history.revision, kind, said)
    columns = {name: [*history.columns[name], *added[name]] for name in _COLUMNS}
    write_table(folder / ANNOTATIONS, columns, within=folder)
    history.columns = columns
    return changed


def given_labels(folder: Path, images: Columns, rows: NDArray[np.int64]) -> list[str | None]:
    """Return the labels that people gave the images of these rows (N,), None where they gave none."""
    history = read_history(folder)
    if not history.held:
        return [None] * len(rows)
    wanted = np.zeros(len(images["removed"]), bool)
    wanted[rows] = True
    contents = dict(stored_contents(folder, images, wanted))
    said = [history.held.get(contents.get(row, images["key"][row])) for row in rows.tolist()]
    return [None if each is None else each.label for each in said]


def who_is_here() -> str:
    """Return the name of the person at this machine, "" where it has none."""
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""


def _lines(act: int, kind: str, said: Mapping[str, Annotation]) -> Columns:
    if kind != "set":
        nothing = Annotation(None, who=who_is_here(), when=time.time_ns())
        return _columns(act, kind, [(None, nothing)])
    return _columns(act, kind, list(said.items()))


def _columns(act: int, kind: str, lines: Sequence[tuple[str | None, Annotation]]) -> Columns:
    said = [each for _, each in lines]
    return {
        "act": [act] * len(lines),
        "kind": [kind] * len(lines),
        "content": [content for content, _ in lines],
        "label": [each.label for each in said],
        "tags": [list(each.tags) or None for each in said],
        "how": [each.how for each in said],
        "who": [each.who for each in said],
        "when": [each.when for each in said],
    }


def _play(columns: Columns) -> History:
    """Play all acts.

    Raises:
        ValueError: If they cannot have been written by ``append_act``.
    """
    history = History()
    lines: dict[str, Annotation] = {}
    acts, kinds, contents = columns["act"], columns["kind"], columns["content"]
    said = zip(columns["label"], columns["tags"], columns["how"], columns["who"], columns["when"], strict=True)
    for at, (label, tags, how, who, when) in enumerate(said):
        act, kind = acts[at], kinds[at]
        if act != history.revision + 1 or kind not in _KINDS or how not in HOW:
            raise ValueError("its acts are in no possible order")
        if kind == "set":
            if contents[at] is None:
                raise ValueError("it names no image")
            lines[contents[at]] = Annotation(label, tuple(tags or ()), how, who, when)
            if at + 1 == len(acts) or acts[at + 1] != act:
                history.set(lines)
                lines = {}
        elif not (history.undo() if kind == "undo" else history.redo()):
            raise ValueError("it undoes an act that it does not have")
    return history
