"""A collection in five points: what it is, the map, duplicates, labels, and what to do next."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from dinoscope.analysis.labels.label_errors import FEWEST
from dinoscope.base.text import counted
from dinoscope.models.catalogue import MODELS, stronger_model

if TYPE_CHECKING:
    from dinoscope.analysis.explain.explanation import Explanation
    from dinoscope.analysis.maps.quality import MapQuality
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "Point",
    "about_duplicates",
    "about_labels",
    "about_map",
    "advice",
    "in_short",
    "is_too_weak",
    "next_step",
    "what_it_is",
]

FEW = 20  # images below which neither a map nor a list of findings means much
_THUMBNAIL = 96  # longest side in pixels up to which the bundled models see what there is
_FAITHFUL, _ROUGH = 0.95, 0.85  # trustworthiness from which you can trust a map, and trust it in part
Tone = Literal["good", "look", "bad", "plain"]


@dataclass(frozen=True)
class Point:
    """One of the five: a verdict of a few words, what stands behind it, and a command that follows from it."""

    verdict: str
    text: str
    tone: Tone = "plain"
    command: str = ""


def in_short(
    collection: OpenedCollection,
    *,
    quality: MapQuality | None,
    explanation: Explanation | None,
    kept: Mapping[str, Sequence[int]] | None,
    copies: int,
    dismissed: Mapping[str, int] | None = None,
    checked: str = "",
) -> list[Point]:
    """Return the five points of a collection.

    Args:
        collection: The collection.
        quality: How far to trust its map; None where there is no map that can be judged.
        explanation: What the map is made of; None where that was not asked.
        kept: Kind of finding -> those that were not dismissed; None where nothing was searched.
        copies: Images that show the same picture as another one, without the one to keep.
        dismissed: Kind of finding -> how many a person called no problem.
        checked: What a person's check of some labels says about the others, in sentences; "" without a check.
    """
    model = str(collection.model["model"])
    weak = is_too_weak(collection)
    labels = [str(label) for label in collection.labels if label is not None]
    sets, settled = list(filter(None, collection.label_sets)), dismissed or {}
    count = len(collection)
    doubtful = None if kept is None else len(kept["label_errors"])
    blind = _is_blind(doubtful, len(labels))
    leaked = 0 if kept is None else len(kept["leaks"])
    listed = 0 if kept is None else sum(len(each) for each in kept.values())
    return [
        what_it_is(collection.name, count, labels, model, len(collection.failures), sets),
        about_map(count, quality, explanation, weak=weak, blind=blind),
        about_duplicates(None if kept is None else copies, leaked, settled.get("duplicates", 0)),
        about_labels(
            labels,
            count,
            doubtful,
            weak=weak,
            several=bool(sets),
            dismissed=settled.get("label_errors", 0),
            checked=checked,
        ),
        next_step(collection.path.name, count, listed=listed, searched=kept is not None, weak=weak, blind=blind),
    ]


def _is_blind(doubtful: int | None, labels: int) -> bool:
    """Return whether most labels disagree with their neighbours: then the fault is the model's, not theirs."""
    return doubtful is not None and 2 * doubtful > labels


def is_too_weak(collection: OpenedCollection) -> bool:
    """Return whether a bundled model, which sees thumbnails, was given larger photographs."""
    model, sides = str(collection.model["model"]), np.asarray(collection.sizes).max(axis=1, initial=0)
    known = sides[sides > 0]
    bundled = model in MODELS and MODELS[model].family == "bundled"
    return bundled and len(known) > 0 and float(np.median(known)) > _THUMBNAIL


def advice(
    collection: OpenedCollection,
    explanation: Explanation | None = None,
    *,
    source: str = "YOUR-PHOTOS",
    folder: str | None = None,
) -> Point | None:
    """Say what the model cannot see in these images, and which command helps; None where nothing speaks against it.

    Args:
        collection: The collection.
        explanation: What its map is made of, where that is known.
        source: Where the images are, for the command.
        folder: The collection's path as the reader would type it; by default its name.
    """
    sorted_by = _sorted_by(explanation)
    if is_too_weak(collection):
        return Point(
            f"{collection.model['model']} sees too little of these photographs.",
            f"It shrinks each one to {collection.model['resolution']} pixels, and so sorts them by colour, contrast "
            f"and background more than by what they show.{sorted_by} {_stronger_sees()}",
            "bad",
            shlex.join(_with_stronger(folder or collection.path.name, source)),
        )
    if sorted_by:
        text = "Another model may see your labels better. This compares those on this machine."
        return Point(sorted_by.strip(), text, "look", shlex.join(["dinoscope", "compare", source]))
    return None


def _stronger_sees() -> str:
    stronger = stronger_model()
    return f"{stronger.name} sees what they show ({stronger.megabytes:.0f} MB, downloaded once)."


def _with_stronger(folder: str, source: str) -> list[str]:
    return ["dinoscope", "embed", source, "-o", folder, "--model", stronger_model().name]


def what_it_is(
    name: str, count: int, labels: Sequence[str], model: str, failed: int = 0, sets: Sequence[Sequence[str]] = ()
) -> Point:
    """Say what the collection holds; ``sets`` are those of images that may have several labels."""
    kinds = Counter(labels)
    if sets:
        text = _of_sets(count, sets)
    elif not kinds:
        text = "It has no label." if count == 1 else "They have no labels."
    elif count == 1:
        text = f"It has the label “{labels[0]}”."
    elif len(kinds) == 1:
        some = "All" if len(labels) == count else f"{len(labels):,}"
        text = f"{some} of them {'has' if len(labels) == 1 else 'have'} the label “{labels[0]}”."
    else:
        text = f"They have {len(kinds):,} labels"
        (most, largest), (least, smallest) = kinds.most_common()[0], kinds.most_common()[-1]
        same = largest == smallest
        text += (
            f", {counted(largest)} each."
            if same
            else f", from {smallest:,} (“{least}”) to {counted(largest)} (“{most}”)."
        )
        if len(labels) < count:
            text += f" {counted(count - len(labels))} {'has' if count - len(labels) == 1 else 'have'} none."
    text += f" The model {model} looked at {'it' if count == 1 else 'them'}."
    if failed:
        text += f" {counted(failed, 'file')} could not be read."
    return Point(f"{name}: {counted(count)}.", text)


def _of_sets(count: int, sets: Sequence[Sequence[str]]) -> str:
    """Say how many labels images have that may have several; ``sets`` are those of images that have any."""
    several, names = sum(len(held) > 1 for held in sets), sorted({label for held in sets for label in held})
    if count == 1:
        return f"It has the label “{names[0]}”." if len(names) == 1 else f"It has {len(names):,} labels."
    if several:
        text = f"{several:,} of them {'has' if several == 1 else 'have'} several of the {counted(len(names), 'label')}."
    else:
        which = f"the label “{names[0]}”" if len(names) == 1 else f"one of the {len(names):,} labels"
        if len(sets) == count:
            return f"Each has {which}."
        text = f"{len(sets):,} of them {'has' if len(sets) == 1 else 'have'} {which}."
    none = count - len(sets)
    return f"{text} {counted(none)} {'has' if none == 1 else 'have'} none." if none else text


def about_map(
    count: int, quality: MapQuality | None, explanation: Explanation | None, *, weak: bool, blind: bool = False
) -> Point:
    """Say whether to trust the map, and what it follows if not the labels; ``blind``: the model does not see these."""
    if quality is None and count >= FEW:
        return Point("The map was not judged.", "Nothing says how far you can trust it.", "look")
    if quality is None or count < FEW:
        return Point(
            "The map says little.", f"{counted(count)} {'is' if count == 1 else 'are'} too few for one.", "look"
        )
    near = round(quality.neighbors_kept * quality.k)
    text = (
        f"On average, {near} of the {quality.k} images most similar to an image are also among its {quality.k} nearest "
        f"on the map (trustworthiness {quality.trustworthiness:.2f}, where 1 is best)."
    )
    sorted_by = _sorted_by(explanation)
    if weak:
        text += f" But the model sees only thumbnails of these photographs.{sorted_by}"
        return Point("Don't trust the map much.", text, "bad")
    text += sorted_by
    if blind:
        return Point("Don't trust the map much.", f"{text} But the model does not see your labels.", "bad")
    if quality.trustworthiness >= _FAITHFUL and not sorted_by:
        return Point("You can trust the groups on the map.", text, "good")
    if quality.trustworthiness >= _ROUGH:
        return Point("You can trust the map in part.", text, "look")
    return Point("Don't trust the map much.", text, "bad")


def _sorted_by(explanation: Explanation | None) -> str:
    """Say which property the map follows at least twice as closely as the labels, "" where none."""
    if explanation is None or explanation.labels is None or not explanation.properties:
        return ""
    first, labels = max(explanation.properties, key=lambda each: each.map), max(0.0, explanation.labels.map)
    if first.map < 2 * labels or first.map <= explanation.chance:
        return ""
    return f" The map is sorted by {first.name} ({first.map:.2f}) more than by your labels ({labels:.2f})."


def about_duplicates(copies: int | None, leaked: int = 0, dismissed: int = 0) -> Point:
    """Say how many images could go; ``copies`` is None where nobody searched, ``dismissed`` groups are settled."""
    if copies is None:
        return Point("Duplicates were not searched.", "On this many images, the search takes minutes.")
    if not copies and not leaked:
        if dismissed:
            group = "the only group" if dismissed == 1 else f"all {dismissed:,} groups"
            return Point("No duplicates left.", f"You called {group} of similar images no problem.", "good")
        return Point("No duplicates found.", "No two images were found to show the same picture.", "good")
    one, text = copies == 1, ""
    if copies:
        text = (
            f"{counted(copies)} {'is' if one else 'are'} so similar to another one that {'it' if one else 'they'} may "
            "show the same picture. Look before you delete one."
        )
    if leaked:
        text += (
            f" {counted(leaked, 'picture')} {'seems' if leaked == 1 else 'seem'} to be in more than one split, which "
            "makes test scores look too good."
        )
    verdict = counted(copies, "possible duplicate") if copies else counted(leaked, "possible leak")
    return Point(f"{verdict}.", text.strip(), "bad" if leaked else "look")


def about_labels(
    labels: Sequence[str],
    count: int,
    doubtful: int | None,
    *,
    weak: bool,
    several: bool = False,
    dismissed: int = 0,
    checked: str = "",
) -> Point:
    """Say how many labels disagree with the nearest images.

    Args:
        labels: Those there are.
        count: Images.
        doubtful: Labels that disagree; None where nobody searched.
        weak: Whether the model sees too little.
        several: Whether images may have several labels.
        dismissed: Labels that disagree, and that a person called no problem.
        checked: What a person's check of some says about the others, in sentences.
    """
    kinds = Counter(labels)
    if several:
        text = "Images may have several labels, and the list is for one label per image."
        return Point("Labels were not checked.", text, command="")
    if not kinds:
        return Point(
            "No labels to check.", f"None of the {counted(count)} has a label." if count > 1 else "It has none."
        )
    if len(kinds) == 1:
        return Point(
            "No labels to check.", f"There is only one, “{next(iter(kinds))}”, so nothing can disagree with it."
        )
    if sum(number >= FEWEST for number in kinds.values()) < 2:
        return Point("No labels to check.", "Labels can be compared once two of them have three images or more.")
    if doubtful is None:
        return Point("Labels were not checked.", "On this many images, that takes minutes.")
    if not doubtful:
        few = sum(number for number in kinds.values() if number < FEWEST)
        if dismissed:
            text = f"You called {'the one' if dismissed == 1 else f'all {dismissed:,}'} that disagreed no problem."
        else:
            text = f"Every label {'with three images or more ' if few else ''}agrees with its nearest images."
        return Point("No labels left to check." if dismissed else "No labels to check.", text, "good")
    verb = "disagrees with its" if doubtful == 1 else "disagree with their"
    text = f"{doubtful:,} of {len(labels):,} {verb} nearest images ({doubtful / len(labels):.1%})."
    if _is_blind(doubtful, len(labels)):
        text += " Most of them may be right, because the model cannot see enough."
        return Point("The labels can't be checked.", f"{text} {checked}".strip(), "bad")
    judged = f" {checked}" if checked else ""
    text += judged or (
        " Most of them may be right, because the model cannot see enough."
        if weak
        else " They may be right: look before you change one."
    )
    return Point(f"{counted(doubtful, 'label')} to check.", text, "look")


def next_step(folder: str, count: int, *, listed: int, searched: bool, weak: bool, blind: bool = False) -> Point:
    """Say what to do next with the collection of this folder, with the command."""
    where = shlex.quote(folder)
    if weak:
        command = shlex.join(_with_stronger(folder, "YOUR-PHOTOS"))
        return Point("Next: use a stronger model.", _stronger_sees(), command=command)
    if count < FEW:
        text = f"From about {FEW} images on, the map and the lists begin to mean something."
        return Point("Next: add images.", text, command=f"dinoscope embed YOUR-PHOTOS -o {where}")
    if blind:
        text = "This compares those on this machine with the pixels alone."
        return Point("Next: try another model.", text, command="dinoscope compare YOUR-PHOTOS")
    if not searched:
        text = "It lists duplicates, outliers and labels to check. No image is touched."
        return Point("Next: search for problems.", text, command=f"dinoscope clean {where}")
    if listed:
        text = f"Go through {'it' if listed == 1 else 'them'} in the explorer, and dismiss what is no problem."
        return Point(f"Next: look at {counted(listed, 'finding')}.", text, command=f"dinoscope explore {where}")
    text = "Click an image to see the images most similar to it."
    return Point("Next: explore the map.", text, command=f"dinoscope explore {where}")
