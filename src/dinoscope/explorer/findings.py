"""What the explorer says of what to look at, and what it asks a person about. No web in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from dinoscope.base.splits import split_roles
from dinoscope.base.types import PICTURE_KINDS
from dinoscope.explorer.types import CheckedInfo, Checks, Finding, FindingKind, Findings, Question
from dinoscope.stages.cleaning.answers import Subject, ask, threshold_fit
from dinoscope.stages.cleaning.checks import Checkable, findings_checked, findings_to_check
from dinoscope.stages.cleaning.copies import keep_first
from dinoscope.stages.cleaning.findings import (
    all_findings,
    confirmed_keys,
    dismissed_keys,
    finding_key,
    label_errors,
    labels_of,
    poor_pictures,
)
from dinoscope.stages.cleaning.pictures import without_lines
from dinoscope.wording.findings import tell_few, tell_poor_picture, tell_self_test, tell_without_lines

if TYPE_CHECKING:
    from dinoscope.analysis.labels.label_errors import SelfTest
    from dinoscope.stages.cleaning.findings import Findings as Found
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["checks", "findings", "question"]

_EVIDENCE = 8
_ASKED = 20  # findings that are drawn at once
_CHECKED: dict[Literal["label_error", "outlier"], Checkable] = {"label_error": "label_errors", "outlier": "outliers"}


def findings(collection: OpenedCollection) -> Findings:
    """Return everything to look at, the surest of each kind first."""
    found = all_findings(collection)
    gone, sure = dismissed_keys(collection), confirmed_keys(collection)
    rows = collection.rows
    listed: list[Finding] = []

    def add(kind: FindingKind, key: str, positions: Sequence[int], evidence: Sequence[int], **said: Any) -> None:
        told = {"rows": rows[list(positions)].tolist(), "evidence": rows[list(evidence)].tolist()}
        listed.append(Finding(key=key, kind=kind, dismissed=key in gone, confirmed=key in sure, **told, **said))

    copies, keys = found.duplicates, found.keys
    for key, group, score in zip(keys["duplicates"], copies.groups, copies.scores, strict=True):
        exact = all(copies.copy_of[at] == copies.copy_of[group[0]] for at in group)
        text = (
            _labelled(collection, group)
            + f"{len(group)} images show the same picture"
            + (", bit for bit" if exact else "")
        )
        text += f"; the first is {keep_first(collection, group)[1]}"
        add("duplicate", key, group, (), text=text, suggestion=collection.ids[group[0]], score=float(score))
    roles = split_roles(collection.splits)
    for key, leak in zip(keys["leaks"], found.leaks, strict=True):
        text = _labelled(collection, leak.positions) + f"the same picture in {' and '.join(leak.splits)}"
        kept = next((at for at in leak.positions if roles.get(collection.splits[at]) != "train"), leak.positions[0])
        ordered = [kept, *(at for at in leak.positions if at != kept)]
        add("leak", key, ordered, (), text=text, suggestion=collection.ids[kept], score=float(leak.score))
    alone = found.outliers
    for key, at, near in zip(keys["outliers"], alone.positions.tolist(), alone.neighbors.tolist(), strict=True):
        factor = float(alone.factors[at])
        text = f"lies {factor:.1f} times as far from its neighbours as they from theirs"
        add("outlier", key, [at], near[:_EVIDENCE], text=text, suggestion=None, score=factor)
    _add_label_errors(collection, found, add)
    _add_pictures(collection, add)
    fit = threshold_fit(collection)
    return Findings(
        findings=listed,
        self_test=_explain(found.self_test, collection),
        threshold=copies.threshold,
        suggested=copies.suggested,
        answers=fit.answers if fit.enough else 0,
        checks=checks(collection).checks,
    )


def checks(collection: OpenedCollection) -> Checks:
    """Return a person's checks of random findings, and which to check next."""
    told = []
    for kind, listed in _CHECKED.items():
        if kind == "label_error" and label_errors(collection)[0] is None:
            continue
        found = findings_checked(collection, listed)
        following = [key for key, _ in findings_to_check(collection, listed, found.checked + _ASKED)]
        counts = {name: getattr(found, name) for name in ("checked", "right", "rest", "low", "high")}
        told.append(CheckedInfo(kind=kind, next=following, **counts))
    return Checks(checks=told)


def _add_pictures(collection: OpenedCollection, add: Callable[..., None]) -> None:
    """Add the poor pictures, each once with all that is wrong with it."""
    found, _ = poor_pictures(collection)
    wrong: dict[int, list[str]] = {}
    for kind in PICTURE_KINDS:
        for at, value in found.of(kind):
            wrong.setdefault(at, []).append(f"{kind}: {tell_poor_picture(kind, value)}")
    for place, (at, told) in enumerate(wrong.items()):
        key, score = finding_key(collection, "pictures", [at]), 1 - place / len(wrong)
        add("picture", key, [at], (), text="; ".join(told), suggestion=None, score=score)


def _add_label_errors(collection: OpenedCollection, found: Found, add: Callable[..., None]) -> None:
    errors = found.label_errors
    if errors is None:
        return
    for number, key in enumerate(found.keys["label_errors"]):
        at, share = int(errors.positions[number]), float(errors.probabilities[number])
        suggested = str(errors.suggested[number])
        text = f"labelled {collection.labels[at]}, but {share:.0%} of its neighbours' votes are for {suggested}"
        near = errors.neighbors[number][:_EVIDENCE].tolist()
        add("label_error", key, [at], near, text=text, suggestion=suggested, score=float(errors.scores[number]))


def _labelled(collection: OpenedCollection, positions: Sequence[int]) -> str:
    """Return which labels copies of one picture have; "" where it is one, or none."""
    labels = labels_of(collection, positions)
    return f"labelled {' and '.join(labels)}; " if len(labels) > 1 else ""


def _explain(test: SelfTest | None, collection: OpenedCollection) -> str | None:
    told = "" if test is None else tell_self_test(test)
    return f"{told} {tell_few(collection.labels)}".strip() or None


def question(collection: OpenedCollection, about: Subject) -> Question:
    """Return the pair or picture that should be answered next, and what the answers so far say."""
    from dinoscope.analysis.cleaning.threshold import ENOUGH

    asked, fit = ask(collection, about, 1)
    rows = list(asked[0].rows) if asked else []
    at = fit.at(fit.used)
    known = fit.enough and fit.counts[at] > 0
    missing = without_lines(collection) if about == "screenshot" else 0
    note = tell_without_lines(missing)
    return Question(
        rows=rows or None,
        sizes=[collection.sizes[collection.position(row)].tolist() for row in rows],
        yes=fit.yes,
        no=fit.no,
        unsure=fit.unsure,
        enough=ENOUGH,
        suggested=fit.suggested,
        threshold=fit.used,
        count=int(fit.counts[at]),
        precision=fit.precision[at].tolist() if known else None,
        recall=fit.recall[at].tolist() if known else None,
        note=note[:1].upper() + note[1:] if missing else None,
    )
