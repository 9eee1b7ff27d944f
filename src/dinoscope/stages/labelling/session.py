"""A person labels a collection with the machine's help: the next question, stored answers, progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import InputError
from dinoscope.stages.labelling.by_hand import all_annotations, check_text, say_of
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.storage.annotations import Annotation, How

if TYPE_CHECKING:
    from dinoscope.analysis.labels.active import Kind
    from dinoscope.analysis.labels.audit import Rest
    from dinoscope.analysis.labels.rounds import PutOff, Rounds
    from dinoscope.stages.labelling.by_hand import Annotations
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Asked", "Progress", "Session", "labelling_session"]

_SET_SHARE = 0.9  # probability that a prediction set contains the label
TARGET = 0.95  # share of the rest that must be right for the stopping rule


@dataclass(frozen=True)
class Asked:
    """A question to a person.

    Attributes:
        kind: "one": which label does this image have? "batch": do all of these have the proposed label? "audit": as
            "one", for the random part.
        rows: The images.
        label: The proposed label; None if there is none yet.
        probability: How certain the machine is, 0 to 1; in a batch, for the least certain image.
        prediction_set: The likely labels, the likeliest first.
    """

    kind: Kind
    rows: tuple[int, ...]
    label: str | None
    probability: float
    prediction_set: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far labelling has come.

    Attributes:
        answers: Answers to questions of dinoscope.
        named: Images with a label that a person gave.
        taken: Images whose label is a proposal that a person took unseen.
        put_off: Images that a person did not know.
        rest: How right the proposals for the others, taken or not, are: count, sample, right, unanswered, low and high;
            see ``audit.Rest``.
        low: At least this share of all images has a right label, given or proposed. Images that a person did not know
            count as wrong.
        high: At most this share. Images that a person did not know count as right.
        stop: Whether 95% of the rest are right, by the stopping rule.
    """

    answers: int
    named: int
    taken: int
    put_off: int
    rest: Rest
    low: float
    high: float
    stop: bool


def labelling_session(collection: OpenedCollection) -> Session:
    """Return the labelling session of a collection. There is one while it is open."""
    return collection.held("labelling", lambda: Session(collection))


class Session:
    """Questions to a person who labels, based on the labels so far.

    It works from the annotations alone, so it continues correctly after a restart, an undo, or when somebody else
    labels the same collection. Safe to use from several threads.
    """

    def __init__(self, collection: OpenedCollection) -> None:
        self._collection = collection
        self._lock = threading.RLock()
        self._revision = -1
        self._names: list[str] = []
        self._rounds: Rounds | None = None
        self._batches = False
        self._put_off: PutOff | None = None

    def ask(self, *, batches: bool = False) -> Asked | None:
        """Return the next question; None when every image has a label, or was put off twice.

        Args:
            batches: Whether to ask about batches of look-alikes, too.
        """
        with self._lock:
            rounds = self._now(batches)
            question = rounds.ask()
            if question is None:
                return None
            at, label = question.positions, None
            likely: tuple[str, ...] = ()
            probability = 0.0
            if self._names:
                chances = rounds.certain[at]
                ranked = np.argsort(-chances[0], kind="stable")
                code = question.label if question.label >= 0 else int(ranked[0])
                label, probability = self._names[code], float(chances[:, code].min())
                needed = int((np.cumsum(chances[0][ranked]) < _SET_SHARE).sum()) + 1
                likely = tuple(self._names[each] for each in ranked[:needed].tolist())
            rows = tuple(self._collection.rows[at].tolist())
            return Asked(question.kind, rows, label, probability, likely)

    def answer(self, kind: Kind, rows: tuple[int, ...], label: str, since: int | None = None) -> int:
        """Store an answer in the collection and update the proposals; return the revision.

        Args:
            kind: Of the question.
            rows: The images that have this label: those of the question, or some of them.
            label: The label.
            since: See ``Collection.annotate``.

        Raises:
            ConflictError: See ``Collection.annotate``.
            InputError: There is no such row, or this is not a label.
            WriteError: It cannot be kept.
        """
        how: dict[Kind, How] = {"one": "asked", "batch": "batch", "audit": "audit"}
        if kind not in how:
            raise InputError(f"kind must be one of {', '.join(how)}, got {kind!r}")
        with self._lock:
            rounds = self._now(self._batches)
            places = [self._collection.position(row) for row in rows]
            seen = rounds.take_revealed()
            name = check_text(label, "label")
            said: dict[int, Callable[[Annotation], Annotation]] = dict.fromkeys(seen, partial(replace, how="revealed"))
            said |= dict.fromkeys(places, partial(replace, label=name, how=how[kind]))
            revision = say_of(self._collection, said, since=since)
            if name in self._names and revision == self._revision + 1:
                rounds.answer(np.asarray(places), self._names.index(name), kind)
                self._revision = revision
            return revision

    def pass_over(self, rows: tuple[int, ...]) -> None:
        """Go on without a label, if these images are the question.

        Of a batch that holds another label one image is asked by itself. An image that a person does not know is asked
        about again when all others have a label; see ``ask_again``. A collection that is opened again does not
        remember it.

        Args:
            rows: The images of the question.
        """
        with self._lock:
            rounds = self._now(self._batches)
            question = rounds.ask()
            if question is None or self._collection.rows[question.positions].tolist() != list(rows):
                return
            if question.kind == "batch":
                rounds.split(question)
            else:
                rounds.put_off(question)

    def ask_again(self) -> None:
        """Ask again about all images that a person did not know."""
        with self._lock:
            self._now(self._batches)
            if self._put_off is not None:
                self._put_off.ask_again()

    def take_rest(self, since: int | None = None) -> int:
        """Give the images without a label that were not put off their proposals, as one act; return the revision.

        Nothing is written when there is no proposal yet, or no such image.

        Args:
            since: See ``Collection.annotate``.

        Raises:
            ConflictError: See ``Collection.annotate``.
            WriteError: It cannot be kept.
        """
        with self._lock:
            rounds = self._now(self._batches)
            places = np.flatnonzero(rounds.open_rest & bool(self._names))
            names = [self._names[code] for code in rounds.proposals[places].tolist()]
            said: dict[int, Callable[[Annotation], Annotation]] = {
                int(at): partial(replace, label=name, how="proposed") for at, name in zip(places, names, strict=True)
            }
            return say_of(self._collection, said, since=since)

    def progress(self) -> Progress:
        """Return how far labelling has come."""
        with self._lock:
            rounds = self._now(self._batches)
            rest, count, put_off = rounds.rest(), len(self._collection), int(rounds.unknown.sum())
            named = int((~rounds.free).sum())
            low, high = (named + rest.low * rest.count) / count, (named + rest.high * rest.count + put_off) / count
            taken = rest.count - int(rounds.open_rest.sum())
            return Progress(rounds.answers, named, taken, put_off, rest, low, high, rounds.may_stop(TARGET))

    def _now(self, batches: bool) -> Rounds:
        """Return the rounds, rebuilt from the labels that people gave."""
        said = all_annotations(self._collection)
        if self._rounds is None or said.revision != self._revision or batches != self._batches:
            self._batches, self._revision = batches, said.revision
            self._rounds = self._begin(said)
        return self._rounds

    def _begin(self, said: Annotations) -> Rounds:
        from dinoscope.analysis.labels.active import Proposer, first_images
        from dinoscope.analysis.labels.rounds import PutOff, Rounds

        collection = self._collection
        proposer = collection.held("proposer", lambda: Proposer(collection.vectors, neighbor_graph(collection)))
        is_taken, is_audit = said.how == "proposed", said.how == "audit"
        # proposals do not rest on proposals
        labels = [None if taken else label for label, taken in zip(said.labels, is_taken, strict=True)]
        self._names = sorted({label for label in labels if label is not None})
        numbers = {name: code for code, name in enumerate(self._names)}
        codes = np.asarray([-1 if label is None else numbers[label] for label in labels], np.intp)
        order = np.argsort([digest_bytes("audit", content) for content in collection.contents], kind="stable")
        self._put_off = self._put_off or PutOff.none(len(collection))
        first = collection.held("first images", lambda: first_images(collection.vectors))
        return Rounds(
            proposer,
            first,
            np.where(is_audit, -1, codes),
            np.where(is_audit, codes, -1),
            len(self._names),
            order,
            answers=said.answers,
            audited=int((is_audit | (said.how == "revealed")).sum()),
            batches=self._batches,
            put_off=self._put_off,
            taken=is_taken & np.asarray([label is not None for label in said.labels.tolist()], bool),
        )
