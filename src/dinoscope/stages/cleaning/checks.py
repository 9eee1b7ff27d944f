"""What a person said of findings that were drawn at random, and what that says of the others."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING, Literal

from dinoscope.base.checks import check_choice, check_count
from dinoscope.stages.cleaning.findings import confirmed_keys, dismissed_keys, finding_key, label_errors, outliers

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.checked import Checked
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["CHECKABLE", "Checkable", "findings_checked", "findings_to_check"]

Checkable = Literal["label_errors", "outliers"]
CHECKABLE: tuple[Checkable, ...] = ("label_errors", "outliers")


def findings_to_check(collection: OpenedCollection, kind: Checkable, count: int = 20) -> list[tuple[str, int]]:
    """Return the next findings to check: key and row; see ``Collection.findings_to_check``."""
    check_count(count, "count")
    listed = _listed(collection, kind)
    settled = _settled(collection, kind, listed)
    first = sorted({*listed, *settled}, key=_drawn)[:count]
    return [(key, int(collection.rows[listed[key]])) for key in first if key not in settled]


def findings_checked(collection: OpenedCollection, kind: Checkable) -> Checked:
    """Return what was checked of a kind at random, and how many of the others may be right.

    A label that was mended has left the list and still counts as one that was drawn: it was right.
    """
    from dinoscope.analysis.cleaning.checked import count_right

    listed = _listed(collection, kind)
    settled = _settled(collection, kind, listed)
    everything = sorted({*listed, *settled}, key=_drawn)
    # Only those that were drawn say something of the others: what a person looked at by choice is another matter.
    drawn = next((at for at, key in enumerate(everything) if key not in settled), len(everything))
    right = sum(settled[key] for key in everything[:drawn])
    return count_right(len(everything), drawn, right)


def _listed(collection: OpenedCollection, kind: Checkable) -> dict[str, int]:
    """Return the findings of a kind: key -> position."""
    check_choice(kind, "findings to check", CHECKABLE)
    found = outliers(collection) if kind == "outliers" else label_errors(collection)[0]
    positions = [] if found is None else found.positions.tolist()
    return {finding_key(collection, kind, [at]): at for at in positions}


def _settled(collection: OpenedCollection, kind: Checkable, listed: Container[str]) -> dict[str, bool]:
    """Return the findings of a kind that a person has judged: key -> whether it is right.

    Those that are not listed any more are of labels that were mended, or of images that are gone. Where the image is
    still there with its label, they are of another model's list, and say nothing of this one.
    """
    said = dict.fromkeys(dismissed_keys(collection), False) | dict.fromkeys(confirmed_keys(collection), True)
    said = {key: right for key, right in said.items() if key.startswith(f"{kind}-")}
    if all(key in listed for key in said):
        return said
    there = {finding_key(collection, kind, [at]) for at in range(len(collection))}
    return {key: right for key, right in said.items() if key in listed or key not in there}


def _drawn(key: str) -> str:
    """Return what puts keys into a random order: the digest that each ends with, which knows nothing of its list."""
    return key.rpartition("-")[2]
