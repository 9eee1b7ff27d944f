"""What to look at before you use a collection, and what a person has looked at already."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.base.digests import digest_json
from dinoscope.base.types import Dismissed
from dinoscope.errors import InputError
from dinoscope.stages.cleaning.answers import answered, candidates, picture_fits, pictures_answered
from dinoscope.stages.cleaning.copies import keep_first, look_at
from dinoscope.stages.cleaning.pictures import picture_scores
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.storage.files import read_json, write_json
from dinoscope.storage.locks import deciding

if TYPE_CHECKING:
    from dinoscope.analysis.cleaning.duplicates import Duplicates
    from dinoscope.analysis.cleaning.leaks import Leak
    from dinoscope.analysis.cleaning.outliers import Outliers
    from dinoscope.analysis.cleaning.pictures import PoorPictures
    from dinoscope.analysis.cleaning.threshold import ThresholdFit
    from dinoscope.analysis.labels.label_errors import LabelErrors, SelfTest
    from dinoscope.base.types import PictureKind
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "KINDS",
    "Findings",
    "all_findings",
    "answer_findings",
    "confirmed_keys",
    "dismiss_finding",
    "dismissed_keys",
    "duplicates",
    "finding_key",
    "label_errors",
    "labels_of",
    "leaks",
    "not_dismissed",
    "outliers",
    "poor_pictures",
]

KINDS = ("duplicates", "leaks", "outliers", "label_errors")
_KEY = re.compile(rf"({'|'.join(KINDS)}|pictures|crops)-[0-9a-f]{{16}}")
_JUDGED = 200  # beginning of the list of labels to check that the self-test speaks of


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found in a collection. Positions are those of the collection.

    Attributes:
        duplicates: Groups of images that show the same picture, those with two labels or more first.
        leaks: Those that are in more than one split.
        outliers: Images that stand alone.
        label_errors: Labels that neighbours contradict; None if fewer than two labels have three images or more.
        self_test: How many deliberately changed labels the list finds; None without a list, or if it is empty.
        keys: For each kind (see ``KINDS``), a key for each finding, in the order of the list. A key is made of the kind
            and the contents of the images, and of the label for a label error. So it stays the same when names, rows,
            models or settings change.
    """

    duplicates: Duplicates
    leaks: tuple[Leak, ...]
    outliers: Outliers
    label_errors: LabelErrors | None
    self_test: SelfTest | None
    keys: Mapping[str, tuple[str, ...]]


def all_findings(collection: OpenedCollection, *, threshold: float | None = None) -> Findings:
    """Return near-duplicates, leaks between splits, outliers and labels to check; no image is touched.

    See ``Collection.findings``.
    """
    copies, alone, (errors, test) = duplicates(collection, threshold), outliers(collection), label_errors(collection)
    leaked = leaks(collection, copies)
    found: dict[str, Sequence[Sequence[int]]] = {
        "duplicates": copies.groups,
        "leaks": [leak.positions for leak in leaked],
        "outliers": alone.positions[:, None].tolist(),
        "label_errors": [] if errors is None else errors.positions[:, None].tolist(),
    }
    keys = {kind: tuple(finding_key(collection, kind, each) for each in listed) for kind, listed in found.items()}
    return Findings(copies, leaked, alone, errors, test, keys)


def duplicates(collection: OpenedCollection, threshold: float | None = None) -> Duplicates:
    """Group images of the same picture: at the given threshold, else at that of the answers, else at the suggested one.

    The copy to keep is the first of its group; ``keep_first`` says why. Groups with two labels or more come first.
    """
    from dinoscope.analysis.cleaning.duplicates import group_pairs
    from dinoscope.analysis.cleaning.threshold import fit_threshold

    found = candidates(collection, threshold)
    pairs, given = found.pairs, answered(collection, found)
    if threshold is None:
        threshold = fit_threshold(pairs.scores, given, found.suggested).used
    told = np.flatnonzero((given == 0) | (given == 1)).tolist()
    answers = {(int(pairs.first[at]), int(pairs.second[at])): bool(given[at]) for at in told}
    grouped = group_pairs(found, threshold, answers)
    look_at(collection, [at for group in grouped.groups for at in group])  # all at once, before each group is needed
    groups = [keep_first(collection, group)[0] for group in grouped.groups]
    # A picture with two labels certainly has a wrong one.
    order = sorted(range(len(groups)), key=lambda at: len(labels_of(collection, groups[at])) < 2)
    return replace(grouped, groups=tuple(groups[at] for at in order), scores=tuple(grouped.scores[at] for at in order))


def labels_of(collection: OpenedCollection, positions: Sequence[int]) -> tuple[str, ...]:
    """Return the different labels of the images at these positions, in their order."""
    labels = dict.fromkeys(collection.labels[at] for at in positions)
    return tuple(str(label) for label in labels if label is not None)


def leaks(collection: OpenedCollection, found: Duplicates) -> tuple[Leak, ...]:
    """Return which of the near-duplicates that ``duplicates`` found are in more than one split."""
    from dinoscope.analysis.cleaning.leaks import find_leaks

    if len({split for split in collection.splits if split is not None}) < 2:
        return ()
    return find_leaks(found, collection.splits)


def outliers(collection: OpenedCollection) -> Outliers:
    """Return the images that stand alone; none among fewer than three."""
    from dinoscope.analysis.cleaning.outliers import Outliers, find_outliers

    if len(collection) < 3:
        count = len(collection)
        return Outliers(np.empty(0, np.int64), np.ones(count), np.zeros(count), np.empty((0, 0), np.int64))
    return collection.results.keep("outliers", {}, Outliers, lambda: find_outliers(neighbor_graph(collection)))


def label_errors(collection: OpenedCollection) -> tuple[LabelErrors | None, SelfTest | None]:
    """Return the doubtful labels and the self-test of their list; None without two labels, or if none is doubtful."""
    from dinoscope.analysis.labels.label_errors import FEWEST, LabelErrors, SelfTest, find_label_errors, self_test
    from dinoscope.analysis.neighbors import neighbors

    known = np.flatnonzero([label is not None for label in collection.labels])
    labels = [str(collection.labels[at]) for at in known]
    if sum(count >= FEWEST for count in Counter(labels).values()) < 2:
        return None, None

    def compute() -> tuple[LabelErrors, SelfTest | None]:
        whole = len(known) == len(collection)  # an image without a label has no vote
        graph = neighbor_graph(collection) if whole else neighbors(collection.vectors[known])
        found = find_label_errors(graph, labels, fewest=FEWEST)
        test = self_test(graph, labels, listed=_JUDGED, fewest=FEWEST) if len(found) else None
        placed = replace(found, positions=known[found.positions], neighbors=known[found.neighbors])
        return placed, test

    settings = {"labels": collection.results.label_state}
    return collection.results.keep("label_errors", settings, tuple[LabelErrors, SelfTest | None], compute)


def poor_pictures(collection: OpenedCollection) -> tuple[PoorPictures, dict[PictureKind, ThresholdFit]]:
    """Return the pictures that something is wrong with, and the fit of each kind that somebody was asked about.

    The thresholds are those of the fits with enough answers, or else the usual ones.
    """
    from dinoscope.analysis.cleaning.pictures import list_pictures

    answers = pictures_answered(collection)
    fits = picture_fits(collection, answers)
    thresholds = {kind: fit.used for kind, fit in fits.items() if fit.enough}
    return list_pictures(picture_scores(collection), thresholds, answers), fits


def dismissed_keys(collection: OpenedCollection) -> set[str]:
    """Return the keys of the findings that a person dismissed."""
    return set(_decided(collection)["keys"])


def dismiss_finding(collection: OpenedCollection, key: str, dismissed: bool = True) -> None:
    """Store in the collection that a finding is no problem, or forget it.

    See ``Collection.dismiss``.
    """
    answer_findings(collection, {key: False if dismissed else None})


def answer_findings(collection: OpenedCollection, answers: Mapping[str, bool | None]) -> None:
    """Store whether findings are right, all of them or none; see ``Collection.answer_finding``."""
    for key in answers:
        if not _KEY.fullmatch(key):
            raise InputError(
                f"{key!r} is not a key of a finding: expected one of Findings.keys ('dinoscope clean --json' has them)"
            )
    with deciding(collection.path):
        decided = _decided(collection)
        dismissed = set(decided["keys"]) - answers.keys()
        confirmed = set(decided.get("confirmed", ())) - answers.keys()
        dismissed |= {key for key, right in answers.items() if right is False}
        confirmed |= {key for key, right in answers.items() if right}
        content = {"keys": sorted(dismissed), "confirmed": sorted(confirmed)}
        write_json(collection.path / "dismissed.json", content, checked=True, within=collection.path)


def confirmed_keys(collection: OpenedCollection) -> set[str]:
    """Return the keys of the findings that a person has called right."""
    return set(_decided(collection).get("confirmed", ()))


def _decided(collection: OpenedCollection) -> Dismissed:
    path = collection.path / "dismissed.json"
    return read_json(path, Dismissed) if path.exists() else {"keys": []}


def finding_key(collection: OpenedCollection, kind: str, positions: Sequence[int]) -> str:
    """Return the key of a finding of a kind in the images at these positions.

    The kind is one of ``KINDS``, "pictures" or "crops".
    """
    contents = sorted(collection.contents[at] for at in positions)
    label = str(collection.labels[positions[0]]) if kind == "label_errors" else None  # a new label: a new finding
    return f"{kind}-{digest_json(contents, label)}"


def not_dismissed(collection: OpenedCollection, kind: str, found: Sequence[Sequence[int]]) -> list[int]:
    """Return the numbers of the findings, given by their positions, that nobody dismissed."""
    settled = dismissed_keys(collection)
    return [at for at, positions in enumerate(found) if finding_key(collection, kind, positions) not in settled]
