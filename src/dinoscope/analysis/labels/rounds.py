"""The rounds of labelling: which question comes next, what an answer changes, and how right the whole is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.labels.active import Proposer, Question, doubtful, look_alikes
from dinoscope.analysis.labels.audit import EVERY, LEVEL, Rest, is_audit_turn, judge_rest, level_of_look

__all__ = ["PutOff", "Rounds"]

_ROUND = 5  # single questions between two proposals
_CAUTION = 1.0  # at first
_LEARN = 0.2  # how much one batch says about the next


@dataclass(eq=False)
class PutOff:
    """Images that a person did not know. Rounds that begin again with other labels go on with the same.

    Attributes:
        times: How often a person said so of each image (N,).
        drawn: Which of them were drawn for the random part (N,).
    """

    times: NDArray[np.intp]
    drawn: NDArray[np.bool_]

    @classmethod
    def none(cls, count: int) -> PutOff:
        """Return that no image of ``count`` is put off."""
        return cls(np.zeros(count, np.intp), np.zeros(count, bool))

    def add(self, question: Question) -> None:
        """Put the images of a question off."""
        self.times[question.positions] += 1
        if question.kind == "audit":
            self.drawn[question.positions] = True

    def drop(self, positions: NDArray[np.intp]) -> None:
        """Forget images (n,) that have a label now."""
        self.times[positions], self.drawn[positions] = 0, False

    def ask_again(self) -> None:
        """Ask about all of them again."""
        np.minimum(self.times, 1, out=self.times)


class Rounds:
    """Labelling of N images, by questions and answers.

    Attributes:
        known: Number of each image's label (N,), -1 where nobody named it or the machine may not know.
        hidden: The same of the random part, whose answers the machine does not know; -1 elsewhere.
        labels: How many labels there are.
        answers: How many answers were given; taking a proposal back, or splitting a batch, is one.
        audited: How many of them were on the random part.
    """

    def __init__(
        self,
        proposer: Proposer,
        first: NDArray[np.intp],
        known: NDArray[np.intp],
        hidden: NDArray[np.intp],
        labels: int,
        order: NDArray[np.intp],
        *,
        answers: int = 0,
        audited: int = 0,
        batches: bool = False,
        every: int = EVERY,
        put_off: PutOff | None = None,
        taken: NDArray[np.bool_] | None = None,
    ) -> None:
        """Begin, or go on where others were.

        Args:
            proposer: What names the images.
            first: The images to ask about at first (n,); see ``first_images``.
            known: See ``Rounds``, and so are the next two.
            hidden: See above.
            labels: See above.
            order: The images (N,) in the order in which they get into the random part: nothing else may follow it.
            answers: How many answers were given already.
            audited: How many of them were on the random part.
            batches: Whether to ask about batches, too.
            every: One in this many questions is about the random part.
            put_off: Images that a person did not know. They are asked about again when all others have a label. The
                rounds keep it up to date.
            taken: Images (N,) that a person left to the proposals: nobody is asked about them.
        """
        self.proposer, self.known, self.hidden, self.labels = proposer, known, hidden, labels
        self.answers, self.audited, self.batches = answers, audited, batches
        self._order, self._every = order, every
        self._rank = np.argsort(order)
        self._put_off = PutOff.none(len(known)) if put_off is None else put_off
        self._taken = np.zeros(len(known), bool) if taken is None else taken
        self._first = deque(first.tolist())
        self._coming: deque[Question] = deque()
        self._refused = np.zeros(len(known), np.intp)  # batches that an image was in and that were split
        self._caution, self._turn = _CAUTION, 0
        self._chances: NDArray[np.float64] | None = None
        self._certain: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self._revealed: list[int] = []

    @property
    def chances(self) -> NDArray[np.float64]:
        """Probability of each label of each image (N, C)."""
        if self._chances is None:
            self._chances = (
                self.proposer.propose(self.known, self.labels)
                if (self.known >= 0).any()
                else np.full((len(self.known), max(1, self.labels)), 1 / max(1, self.labels))
            )
        return self._chances

    @property
    def certain(self) -> NDArray[np.float64]:
        """The same (N, C), as sure as left-out images say that one may be."""
        if self._certain is None or self._certain[0] is not self.chances:
            power = self.proposer.sharpness(self.known, self.labels)
            sure = self.chances**power
            self._certain = self.chances, sure / sure.sum(axis=1, keepdims=True)
        return self._certain[1]

    @property
    def proposals(self) -> NDArray[np.intp]:
        """Number of the label that each image has, or is proposed to have (N,)."""
        return np.asarray(self.chances.argmax(axis=1))

    @property
    def free(self) -> NDArray[np.bool_]:
        """Images that nobody has named (N,)."""
        return np.asarray((self.known < 0) & (self.hidden < 0))

    @property
    def unknown(self) -> NDArray[np.bool_]:
        """Those of them that a person did not know (N,)."""
        return np.asarray(self.free & (self._put_off.times > 0))

    @property
    def open_rest(self) -> NDArray[np.bool_]:
        """Those that were neither put off nor left to the proposals (N,)."""
        return np.asarray(self.free & self._open())

    def take_revealed(self) -> list[int]:
        """Return the images of the random part that the machine came to choose since this was asked last."""
        revealed, self._revealed = self._revealed, []
        return revealed

    def ask(self) -> Question | None:
        """Return the next question, which stays the next one until it is answered.

        None when all images are named, left to the proposals, or put off twice.
        """
        if is_audit_turn(self.answers, self._every):
            open_ = self.open_rest
            for coming in self._coming:  # they are chosen already
                open_[coming.positions] = False
            drawn = self._order[open_[self._order]]
            if len(drawn):
                return Question("audit", drawn[:1], self._proposed(int(drawn[0])))
        while not self._coming or not self._is_open(self._coming[0]):
            if self._coming:
                self._coming.popleft()
            elif not self._plan():
                return None
        return self._coming[0]

    def answer(self, positions: NDArray[np.intp], label: int, kind: str = "one") -> None:
        """Take an answer: these images (n,) have this label."""
        self.answers += 1
        self.labels = max(self.labels, label + 1)
        self._put_off.drop(positions)
        if kind == "audit":
            self.audited += 1
            self.hidden[positions] = label
            return
        self.known[positions] = label
        self.hidden[positions] = -1
        if self._first:  # no round has begun yet
            self._chances = None
        if kind == "batch":
            self._caution *= np.exp(-_LEARN / 2)

    def split(self, question: Question) -> None:
        """Take the answer that a batch holds an image of another label: halves of it are asked, or single images."""
        self.answers += 1
        self._caution *= np.exp(_LEARN)
        self._refused[question.positions] += 1
        if self._coming and self._coming[0] is question:
            self._coming.popleft()
        self._coming.appendleft(Question("one", question.positions[:1], question.label))  # the most doubtful

    def put_off(self, question: Question) -> None:
        """Take note that a person does not know what an image is: it is asked about when all others have a label."""
        self._put_off.add(question)
        if self._coming and self._coming[0] is question:
            self._coming.popleft()

    def rest(self, level: float = LEVEL) -> Rest:
        """Return how right the proposals are for the images without an answer that were not put off.

        An image that was drawn for the random part and put off stays in the sample: it may be right or wrong. Without
        it, the sample would be of easy images alone. An image that was put off elsewhere is neither in the sample nor
        in the rest, since no chance decided about it.

        Args:
            level: Probability that the interval holds the truth, or more.
        """
        sample, rest = self.hidden >= 0, self.free & ~self.unknown
        reach = self._rank[sample | (self._put_off.drawn & self.unknown)].max(initial=-1)
        # Others, too, that come earlier in the order than what was drawn: of this run nobody may remember why they
        # were passed.
        passed = self.free & (self._rank <= reach) & (self._put_off.drawn | ~self.unknown)
        right = int((self.proposals[sample] == self.hidden[sample]).sum())
        beyond, waiting, count = (int(each.sum()) for each in (rest & ~passed, rest & passed, rest))
        found = judge_rest(right, int(sample.sum()), beyond, level, unanswered=int(passed.sum()))
        if waiting == 0:
            return found
        return replace(found, count=count, low=found.low * beyond / count, high=(found.high * beyond + waiting) / count)

    def may_stop(self, target: float) -> bool:
        """Tell whether a share ``target`` of the rest is right, with a probability of 0.95; see ``level_of_look``."""
        level = level_of_look(self.audited)
        return level is not None and self.rest(level).low >= target

    def _open(self, times: int = 0) -> NDArray[np.bool_]:
        """Return the images (N,) to ask about that were put off so often; the random part is among them."""
        return np.asarray((self.known < 0) & (self._put_off.times == times) & ~self._taken)

    def _proposed(self, at: int) -> int:
        return int(self.chances[at].argmax()) if (self.known >= 0).any() else -1

    def _is_open(self, question: Question) -> bool:
        return bool((self.known[question.positions] < 0).all())

    def _plan(self) -> bool:
        """Choose the next questions; False if there is nothing left to ask."""
        while self._first:
            at = self._first.popleft()
            if self._open()[at] and self._choose([at]):
                self._coming.append(Question("one", np.asarray([at]), -1))
                return True
        self._chances = None
        self._turn += 1
        while (open_ := self._open() if self.open_rest.any() else self._open(times=1)).any():
            chosen = doubtful(self.proposer, self.chances, open_, self._turn, _ROUND)
            self._coming.extend(Question("one", np.asarray([at]), self._proposed(at)) for at in self._choose(chosen))
            if self.batches:
                self._plan_batch()
            if self._coming:
                return True
        return False

    def _plan_batch(self) -> None:
        free = self._open() & (self._refused < 2)
        for at in self._coming:
            free[at.positions] = False
        found = look_alikes(self.proposer, self.certain, free, self._turn, caution=self._caution)
        if found is None:
            return
        left = self._choose(found.positions.tolist())
        if left:
            self._coming.append(Question("batch", np.asarray(left), found.label))

    def _choose(self, positions: list[int]) -> list[int]:
        """Choose images: those of the random part are known already, and the others are returned."""
        seen = [at for at in positions if self.known[at] < 0 and self.hidden[at] >= 0]
        self.known[seen], self.hidden[seen] = self.hidden[seen], -1
        self._revealed += seen
        return [at for at in positions if self.known[at] < 0]
