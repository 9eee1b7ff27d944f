"""The rounds of labelling: which question comes next, what an answer changes, and how right the whole is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.labels.active import Proposer, Question, doubtful, first_images, look_alikes
from dinoscope.analysis.labels.audit import EVERY, Rest, is_audit_turn, judge_rest, may_stop

__all__ = ["Curve", "Rounds", "simulate"]

_ROUND = 5  # single questions between two proposals
_CAUTION = 1.0  # at first
_LEARN = 0.2  # how much one batch says about the next


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
        put_off: NDArray[np.bool_] | None = None,
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
            put_off: Images (N,) that are asked about last, since a person did not know; the rounds keep it up to date.
        """
        self.proposer, self.known, self.hidden, self.labels = proposer, known, hidden, labels
        self.answers, self.audited, self.batches = answers, audited, batches
        self._order, self._every = order, every
        self._put_off = np.zeros(len(known), bool) if put_off is None else put_off
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

    def take_revealed(self) -> list[int]:
        """Return the images of the random part that the machine came to choose since this was asked last."""
        revealed, self._revealed = self._revealed, []
        return revealed

    def ask(self) -> Question | None:
        """Return the next question, which stays the next one until it is answered; None when all are named."""
        if is_audit_turn(self.answers, self._every):
            open_ = self.free & ~self._put_off
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
        self._put_off[positions] = False
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
        self._put_off[question.positions] = True
        if self._coming and self._coming[0] is question:
            self._coming.popleft()

    def rest(self) -> Rest:
        """Return how right the proposals for the images without an answer are."""
        sample = self.hidden >= 0
        right = int((self.proposals[sample] == self.hidden[sample]).sum())
        return judge_rest(right, int(sample.sum()), int(self.free.sum()))

    def may_stop(self, target: float) -> bool:
        """Tell whether a share ``target`` of the rest is right, with a probability of 0.95; see ``audit.may_stop``."""
        found = self.rest()
        return may_stop(found.right, found.sample, found.count, self.audited, target)

    def _proposed(self, at: int) -> int:
        return int(self.chances[at].argmax()) if (self.known >= 0).any() else -1

    def _is_open(self, question: Question) -> bool:
        return bool((self.known[question.positions] < 0).all())

    def _plan(self) -> bool:
        """Choose the next questions; False if there is nothing left to ask."""
        while self._first:
            at = self._first.popleft()
            if not self._put_off[at] and self._choose([at]):
                self._coming.append(Question("one", np.asarray([at]), -1))
                return True
        self._chances = None
        self._turn += 1
        while (self.known < 0).any():
            if not ((self.known < 0) & ~self._put_off).any():
                self._put_off[:] = False
            open_ = (self.known < 0) & ~self._put_off
            chosen = doubtful(self.proposer, self.chances, open_, self._turn, _ROUND)
            self._coming.extend(Question("one", np.asarray([at]), self._proposed(at)) for at in self._choose(chosen))
            if self.batches:
                self._plan_batch()
            if self._coming:
                return True
        return False

    def _plan_batch(self) -> None:
        free = (self.known < 0) & (self._refused < 2) & ~self._put_off
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


@dataclass
class Curve:
    """What a simulated annotator achieves.

    Attributes:
        answers: Answers given, at each point (M,).
        right: Share of all images with a right label, given or proposed (M,).
        named: Images that were named by a person (M,).
        rest: How right the rest is said to be (M,).
        truth: Share of the rest that is right (M,).
        stop: At which answer the rule said to stop, and the share of the rest that was right then; None if never.
    """

    answers: list[int] = field(default_factory=list)
    right: list[float] = field(default_factory=list)
    named: list[int] = field(default_factory=list)
    rest: list[Rest] = field(default_factory=list)
    truth: list[float] = field(default_factory=list)
    stop: tuple[int, float] | None = None


def simulate(
    proposer: Proposer,
    truth: NDArray[np.intp],
    points: list[int],
    *,
    seed: int = 0,
    batches: bool = False,
    target: float | None = None,
    every: int = EVERY,
) -> Curve:
    """Play an annotator who is always right, and who splits a batch that holds an image of another label.

    Args:
        proposer: What names the images.
        truth: Number of each image's label (N,).
        points: Numbers of answers at which to measure.
        seed: Of the random part, and of the images that are asked about first.
        batches: Whether batches are asked about.
        target: Share of the rest that is to be right, to see when the rule says to stop; None to go on to the end.
        every: One in this many questions is about the random part.
    """
    count, curve, due = len(truth), Curve(), deque(sorted(points))
    order = np.random.default_rng(seed).permutation(count)
    nobody = np.full(count, -1, np.intp)
    first = first_images(proposer.vectors, seed=seed)
    rounds = Rounds(proposer, first, nobody, nobody.copy(), int(truth.max()) + 1, order, batches=batches, every=every)
    while due:
        question = rounds.ask()
        if question is None or rounds.answers >= due[0]:
            _measure(rounds, truth, curve)
            due.popleft()
            continue
        labels = truth[question.positions]
        if question.kind == "batch" and (labels != question.label).any():
            rounds.split(question)
        else:
            rounds.answer(question.positions, int(labels[0]), question.kind)
        if question.kind == "audit" and target is not None and rounds.may_stop(target):
            free = rounds.free
            curve.stop = rounds.answers, float((rounds.proposals == truth)[free].mean()) if free.any() else 1.0
            break
    return curve


def _measure(rounds: Rounds, truth: NDArray[np.intp], curve: Curve) -> None:
    hits, free = rounds.proposals == truth, rounds.free
    curve.answers.append(rounds.answers)
    curve.right.append(float((hits | ~free).mean()))
    curve.named.append(int((~free).sum()))
    curve.rest.append(rounds.rest())
    curve.truth.append(float(hits[free].mean()) if free.any() else 1.0)
