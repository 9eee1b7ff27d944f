"""How right proposals are, by answers on a random part, as intervals that hold; and when one may stop.

Some questions are about a random part of the images, not about what the machine would like to know. Their answers are
hidden from it. So they are a random sample of all that the machine has not chosen yet, and its proposals for them are
as good as those for the rest. If the machine chooses an image of the part, it leaves the sample, because its answer is
known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dinoscope.base.loading import LOADING
from dinoscope.errors import InputError

__all__ = ["EVERY", "LEVEL", "Rest", "is_audit_turn", "is_look", "judge_rest", "level_of_look"]

LEVEL = 0.9  # of the intervals
EVERY = 10  # answers, of which one is on the random part
_FROM = 50  # answers before the first of these: medoids teach more
_TRUE = 0.95  # share of stops that keep their promise
_FIRST_LOOK, _GROWTH = 100, 1.25  # answers on the random part at which the rule is asked


@dataclass(frozen=True)
class Rest:
    """How right the proposals for the images without an answer are.

    Attributes:
        count: Images without an answer.
        sample: Answers of the random part that the machine does not know.
        right: Proposals for these that are right.
        unanswered: Images of the random part without an answer.
        low: Share of ``count`` that is right, at least.
        high: The same, at most.
    """

    count: int
    sample: int
    right: int
    unanswered: int
    low: float
    high: float


def judge_rest(right: int, sample: int, count: int, level: float = LEVEL, *, unanswered: int = 0) -> Rest:
    """Return the exact interval for the share of right proposals among ``count`` images.

    The images were drawn without replacement, so the number that is right among those drawn is hypergeometric; the
    interval holds all shares that two one-sided tests do not reject (Clopper and Pearson 1934, for a finite number).
    A proposal for an image that was drawn and has no answer counts as wrong at the lower end, and as right at the upper
    end: people leave out hard images, so the answered ones alone would be no random sample.

    Args:
        right: Proposals for the sample that are right.
        sample: Images that have an answer, of those drawn at random from ``sample + unanswered + count``.
        count: The images that were not drawn.
        level: Probability that the interval holds the truth, or more.
        unanswered: Images that were drawn and have no answer.

    Raises:
        InputError: The numbers cannot be.
    """
    if not 0 <= right <= sample or min(count, unanswered) < 0 or not 0 < level < 1:
        raise InputError(
            f"expected 0 <= right <= sample, a count and unanswered of 0 or more and a level between 0 and 1, got "
            f"right={right!r}, sample={sample!r}, count={count!r}, unanswered={unanswered!r}, level={level!r}"
        )
    if count == 0:
        return Rest(count, sample, right, unanswered, 1.0, 1.0)
    doubt, drawn = (1 - level) / 2, sample + unanswered
    low = _fewest(right, drawn, count, doubt)
    high = count - _fewest(sample - right, drawn, count, doubt)
    return Rest(count, sample, right, unanswered, low / count, high / count)


def level_of_look(asked: int) -> float | None:
    """Return the level of the interval whose lower end tells whether one may stop; None where ``is_look`` is False.

    If one stops as soon as the lower end reaches a target, that share of the rest is right with a probability of 0.95
    for the whole run: the doubt that is allowed halves from one look to the next, so that all together stay below 0.05.

    Args:
        asked: Answers that were ever given on the random part.
    """
    if not is_look(asked):
        return None
    doubt = (1 - _TRUE) / 2 ** (_look(asked) / 2 + 1) / 1.71  # the sum over all looks is 1 - _TRUE
    return 1 - 2 * doubt


def is_look(asked: int) -> bool:
    """Tell whether to check the stopping rule after this many answers on the random part."""
    return asked >= _FIRST_LOOK and (asked == _FIRST_LOOK or _look(asked) > _look(asked - 1))


def is_audit_turn(answers: int, every: int = EVERY) -> bool:
    """Tell whether the next answer, after this many, is on the random part, as every ``every``-th is."""
    return answers >= _FROM and answers % every == every - 1


def _look(asked: int) -> int:
    return int(math.log(max(asked, _FIRST_LOOK) / _FIRST_LOOK) / math.log(_GROWTH) + 1e-9)


def _fewest(right: int, sample: int, count: int, doubt: float) -> int:
    """Return the fewest of ``count`` that are right, for which ``right`` or more in the sample is not a surprise."""
    with LOADING:
        from scipy.stats import hypergeom

    least, most = 0, count  # of the rest
    while least < most:
        middle = (least + most) // 2
        if hypergeom.sf(right - 1, sample + count, right + middle, sample) > doubt:
            most = middle
        else:
            least = middle + 1
    return least
