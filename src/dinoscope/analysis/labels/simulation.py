"""What a person who labels in rounds would achieve, played with labels that are known."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.labels.active import Proposer, first_images
from dinoscope.analysis.labels.audit import EVERY, Rest
from dinoscope.analysis.labels.rounds import Rounds

__all__ = ["Curve", "simulate"]


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
    unknown: NDArray[np.bool_] | None = None,
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
        unknown: Images (N,) that the annotator does not know and puts off; None for none.
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
        if question.kind != "batch" and unknown is not None and unknown[question.positions[0]]:
            rounds.put_off(question)
        elif question.kind == "batch" and (labels != question.label).any():
            rounds.split(question)
        else:
            rounds.answer(question.positions, int(labels[0]), question.kind)
        if question.kind == "audit" and target is not None and rounds.may_stop(target):
            curve.stop = rounds.answers, _truth(rounds, truth)
            break
    return curve


def _measure(rounds: Rounds, truth: NDArray[np.intp], curve: Curve) -> None:
    hits, free = rounds.proposals == truth, rounds.free
    curve.answers.append(rounds.answers)
    curve.right.append(float((hits | ~free).mean()))
    curve.named.append(int((~free).sum()))
    curve.rest.append(rounds.rest())
    curve.truth.append(_truth(rounds, truth))


def _truth(rounds: Rounds, truth: NDArray[np.intp]) -> float:
    rest = rounds.free & ~rounds.unknown
    return float((rounds.proposals == truth)[rest].mean()) if rest.any() else 1.0
