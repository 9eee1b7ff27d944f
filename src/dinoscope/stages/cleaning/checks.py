"""A person's checks of random findings, and what they say about the others."""

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
    """Return the random checks of a kind of finding, and how many of the others may be right.

    A corrected label has left the list but still counts as drawn: the finding was right.
    """
    from dinoscope.analysis.cleaning.checked import count_right

    listed = _listed(collection, kind)
    settled = _settled(collection, kind, listed)
    everything = sorted({*listed, *settled}, key=_drawn)
    # Only randomly drawn findings say something about the others. What a person chose to look at does not count.
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
    """Return the judged findings of a kind: key -> whether it is right.

    Findings that are no longer listed belong to corrected labels or removed images. If the image is still there with
    its label, they come from another model's list and say nothing about this one.
    """
    said = dict.fromkeys(dismissed_keys(collection), False) | dict.fromkeys(confirmed_keys(collection), True)
    said = {key: right for key, right in said.items() if key.startswith(f"{kind}-")}
    if all(key in listed for key in said):
        return said
    there = {finding_key(collection, kind, [at]) for at in range(len(collection))}
    return {key: right for key, right in said.items() if key in listed or key not in there}


def _drawn(key: str) -> str:
    """Return a sort key for a random order: the digest at the end, which does not depend on the list."""
    return key.rpartition("-")[2]
