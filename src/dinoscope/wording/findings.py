"""Findings in words: what is not searched for, the self-test of the labels to check, what a person checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dinoscope.analysis.labels.label_errors import FEWEST, SelfTest
from dinoscope.base.text import counted
from dinoscope.base.types import PictureKind

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.checked import Checked
    from dinoscope.stages.cleaning.answers import Subject
    from dinoscope.stages.cleaning.checks import Checkable

__all__ = [
    "LABELS_ORDER",
    "NO_CROPS",
    "counted_pictures",
    "tell_are",
    "tell_checked",
    "tell_few",
    "tell_is",
    "tell_labels",
    "tell_poor_picture",
    "tell_question",
    "tell_self_test",
    "tell_without_lines",
    "tell_your_check",
]

NO_CROPS = (
    "This list has no crops of 15% or more, and no heavy edits. 'dinoscope clean --crops' finds crops. "
    "'dinoscope search --inside' finds the crops of one image."
)

LABELS_ORDER = "The clearest come first: few neighbours share the label, and many agree on another one."


def tell_self_test(test: SelfTest) -> str:
    """Say what the self-test of the labels to check means: two sentences."""
    return (
        f"Of labels changed on purpose, the first {test.listed:,} of the list find {test.found / test.flipped:.0%}. "
        "Only a look at them tells how many of the listed labels are wrong."
    )


def tell_checked(kind: Checkable, found: Checked) -> str:
    """Say what random checks of some findings mean for the others."""
    if not found.checked:
        return f"nobody has checked the {found.rest:,} {_CHECKED[kind][0]}s of the list yet"
    drawn, right, others = _check(kind, found)
    return f"of {drawn} drawn at random, {right}; {others}"


def tell_your_check(kind: Checkable, found: Checked) -> str:
    """Say so in sentences to the person who checked some."""
    drawn, right, others = _check(kind, found)
    return f"You checked {drawn} drawn at random: {right}. {others[:1].upper()}{others[1:]}."


_CHECKED = {
    "label_errors": ("label", "is wrong", "are wrong"),
    "outliers": ("outlier", "is not where it belongs", "are not where they belong"),
}


def _check(kind: Checkable, found: Checked) -> tuple[str, str, str]:
    """Return how many were checked, how many of these are right, and what that says about the others."""
    name, is_right, are_right = _CHECKED[kind]
    right = f"{found.right:,} {is_right if found.right == 1 else are_right}"
    others = f"so of the other {found.rest:,}, {found.low:,} to {found.high:,} are (90% certain)"
    return counted(found.checked, name), right, others if found.rest else "these are all"


def tell_poor_picture(kind: PictureKind, value: float) -> str:
    """Say what was measured of a picture that something is wrong with; see ``PoorPictures.values``."""
    times = f"{value:.2g} times"
    return {
        "blurred": f"its edges have {value:.0%} of the usual sharpness",
        "dark": f"99% of it is darker than {value / 255:.0%} of white",
        "blown out": f"95% of it is lighter than {value / 255:.0%} of white",
        "empty": f"its lightness varies by {value:.1f} of 255 levels",
        "framed": f"a frame of one colour takes {value:.0%} at each edge",
        "screenshot": f"even lines and busy ones take turns in {value:.0%} of it, as on a screen or in a chart",
        "odd size": f"its sides are {times} as long as usual",
        "odd shape": f"it is {times} as wide for its height as usual",
    }[kind]


def tell_question(about: Subject) -> str:
    """Return what a person is asked about a sheet of pairs or of pictures."""
    if about == "duplicates":
        return "Which of them show the same picture?"
    others = ", charts or other pictures that a program drew" if about == "screenshot" else ""
    return f"Which of them are {tell_are(about)}{others}?"


_PICTURES: dict[PictureKind, tuple[str, str]] = {  # what such pictures are, and what one of them is
    "blurred": ("blurred", "blurred"),
    "dark": ("too dark", "too dark"),
    "blown out": ("too light", "too light"),
    "empty": ("empty", "empty"),
    "framed": ("framed", "framed"),
    "screenshot": ("screenshots", "a screenshot"),
    "odd size": ("of an odd size", "of an odd size"),
    "odd shape": ("of an odd shape", "of an odd shape"),
}


def tell_are(kind: PictureKind) -> str:
    """Say what pictures of a kind are: "too dark", "screenshots"."""
    return _PICTURES[kind][0]


def tell_is(kind: PictureKind) -> str:
    """Say what one picture of a kind is: "too dark", "a screenshot"."""
    return _PICTURES[kind][1]


def counted_pictures(count: int, kind: PictureKind) -> str:
    """Return "1 screenshot", "2 screenshots", "2 too dark"."""
    return f"{count:,} {tell_is(kind).removeprefix('a ') if count == 1 else tell_are(kind)}"


def tell_without_lines(count: int) -> str:
    """Say that this many pictures cannot be called screenshots, why, and what to do."""
    them = "it came as an array, or an earlier version embedded it"
    if count != 1:
        them = "they came as arrays, or an earlier version embedded them"
    return (
        f"not checked for screenshots: {counted(count, 'picture')}, because {them}. "
        "'dinoscope embed PHOTOS -o NEW.dino' measures image files again."
    )


def tell_labels(labels: Sequence[str]) -> str:
    """Say that copies of one picture have these different labels; "" if there are not two."""
    if len(labels) < 2:
        return ""
    return f"Same picture, {'two' if len(labels) == 2 else f'{len(labels):,}'} labels: {', '.join(labels)}"


def tell_few(labels: Iterable[str | None]) -> str:
    """Say how many labels have too few images for the list of labels to check; "" if none has."""
    few = [count for label, count in Counter(labels).items() if label is not None and count < FEWEST]
    if not few:
        return ""
    have = "has" if len(few) == 1 else "have"
    return (
        f"{counted(len(few), 'label')} with one or two images ({counted(sum(few))}) {have} too few to judge by, and "
        f"{'is' if len(few) == 1 else 'are'} left out."
    )
