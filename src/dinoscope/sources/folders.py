"""Labels and splits from the names of folders: one rule for folders, archives and shards."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from dinoscope.base.checks import check_choice
from dinoscope.base.splits import common_names, name_beside_split, named_splits, split_role
from dinoscope.base.text import did_you_mean
from dinoscope.errors import InputError

__all__ = ["BY_NAMES", "FolderLabels", "FolderRule", "read_folders", "splits_of_files"]

LABELS = ("auto", "folder", "parent", "none")
_LAYERS = frozenset(  # they say what kind of file is in them, not what it shows
    ("images", "image", "imgs", "img", "jpegimages", "labels", "annotations", "masks", "data")
)
_NUMBERED = re.compile(r"([^\W\d_]+)[-_.]\d{3,}([-_.]of[-_.]\d+)?$")  # the word before the number of a shard
_UNNAMED = frozenset(("unlabeled", "unlabelled", "unsup", "extra", "pred", "predict"))  # often beside one split alone
_SHOWN = 3  # folders in a message

_Parts = tuple[str, ...]


@dataclass(frozen=True)
class FolderRule:
    """What a person wants of the names of folders.

    Attributes:
        root: The folder, inside the source, whose sub-folders are the labels or splits; None: below all folders that
            stand around everything. Images elsewhere have neither.
        labels: "folder" (the first folder that is not a split), "parent" (the one that contains the image), "none", or
            "auto" (as "folder", but a label in a file beside the image goes first).
        splits: Names of folders that are splits, and what each is called. Empty for none. None: by the usual names.

    Raises:
        InputError: ``labels`` is none of these.
    """

    root: str | None = None
    labels: str = "auto"
    splits: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        check_choice(self.labels, "labels", LABELS)

    @classmethod
    def from_json(cls, held: Mapping[str, Any] | None) -> FolderRule:
        """Return the rule that ``to_json`` made this of."""
        known = held or {}
        return cls(known.get("root"), known.get("labels", "auto"), known.get("splits"))

    def to_json(self) -> dict[str, object]:
        """Return what differs from the default, as JSON."""
        splits = None if self.splits is None else dict(self.splits)
        held = {"root": self.root, "labels": self.labels, "splits": splits}
        return {name: value for name, value in held.items() if value not in (None, "auto")}

    @property
    def described(self) -> str:
        """The options of the command line that say the same; "" by default."""
        splits = (
            None
            if self.splits is None
            else ",".join(name if name == split else f"{name}={split}" for name, split in self.splits.items())
        )
        told = [("--root", self.root), ("--labels", self.labels if self.labels != "auto" else None)]
        told.append(("--splits", "none" if splits == "" else splits))
        return " ".join(f"{option} {value}" for option, value in told if value is not None)


BY_NAMES = FolderRule()


@dataclass(frozen=True)
class FolderLabels:
    """What folders say about the images in them.

    Attributes:
        of: Label and split of each folder that holds images.
        beside: Names of folders beside splits that are not splits.
    """

    of: Mapping[str, tuple[str | None, str | None]]
    beside: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> tuple[str | None, str | None]:
        """Return the label and the split of an image, by its path."""
        return self.of[name.rpartition("/")[0]]

    @property
    def notes(self) -> list[str]:
        """What a person should know."""
        if not self.beside:
            return []
        more = f" and {len(self.beside) - _SHOWN} more" if len(self.beside) > _SHOWN else ""
        return [
            f"beside the splits: {', '.join(self.beside[:_SHOWN])}{more}; the images there have no split "
            "(--splits names what the splits are)"
        ]


def read_folders(names: Iterable[str], rule: FolderRule = BY_NAMES) -> FolderLabels:
    """Return the labels and splits that folders give the images in them, from the paths of all images.

    The folders in one folder are splits if two of them or more have names of different splits ("train" and "test"), or
    if all have ("train" alone, or beside "unlabeled"): ``named_splits`` says which names these are. Other folders
    beside splits are not labels either. A single folder around everything is not a label. Nor are layers such as
    "images" with nothing else beside them, nor a single folder with the name of the one around it. The label is the
    first folder that is left. If none is left, it is what else the names of splits say: "train_cats" and "train_dogs".

    Args:
        names: Relative paths, with "/".
        rule: What a person wants instead.

    Raises:
        InputError: The rule names folders that are not there.
    """
    folders = {name.rpartition("/")[0] for name in names}
    parts = {folder: tuple(normalize("NFC", part) for part in folder.split("/") if part) for folder in folders}
    if rule.root is not None:
        parts = _below(parts, rule.root)
    children: dict[_Parts, set[str]] = defaultdict(set)
    for each in parts.values():
        for depth, name in enumerate(each):
            children[each[:depth]].add(name)
    splits = _usual_splits(children) if rule.splits is None else _wanted_splits(children, rule.splits)
    split_of: dict[str, str | None] = {}
    kept: dict[str, _Parts] = {}
    beside: set[str] = set()
    for folder, each in parts.items():
        kept[folder], split_of[folder], stray = _apart(each, children, splits)
        if stray:
            beside.add(stray)
    if rule.labels in ("auto", "folder") and rule.root is None:
        kept = _inside(kept)
    at = -1 if rule.labels == "parent" else 0
    found: dict[str, tuple[str | None, str | None]] = dict.fromkeys(folders, (None, None))
    for folder, names_left in kept.items():
        found[folder] = (names_left[at] if names_left and rule.labels != "none" else None, split_of[folder])
    return FolderLabels(found, tuple(sorted(beside)))


def _apart(
    parts: _Parts, children: Mapping[_Parts, set[str]], splits: Mapping[_Parts, Mapping[str, str]]
) -> tuple[_Parts, str | None, str]:
    """Return the folders that may be labels, the split, and the folder beside splits where there is none."""
    left: list[str] = []
    split, stray, beside = None, "", ""
    for depth, name in enumerate(parts):
        around = splits.get(parts[:depth])
        if around is not None:
            split = around.get(name, split)
            stray = "" if name in around else "/".join(parts[: depth + 1])
            said = {name_beside_split(each) for each in around}
            beside = name_beside_split(name) if name in around and len(said) > 1 and "" not in said else beside
        elif not _is_layer(name, children[parts[:depth]], parts[depth - 1] if depth else None):
            left.append(name)
    return tuple(left or filter(None, [beside])), split, stray if split is None else ""


def splits_of_files(files: Sequence[str]) -> list[str | None]:
    """Return the split that the name of each archive or table tells, or the folder that it is in.

    "train-00000-of-00002.parquet" is of train, and so is "pets-train-0001.tar" by its number, or beside
    "pets-test-0001.tar"; "train-ride.zip" is of none.
    """
    folders = read_folders(files)
    stems = {file: posixpath.splitext(posixpath.basename(file))[0] for file in files}
    roles = named_splits(stems.values())
    for stem in stems.values():
        numbered = _NUMBERED.search(stem)
        role = split_role(numbered[1]) if numbered else None
        if role is not None:
            roles.setdefault(stem, role)
    called = common_names(roles.values())
    return [folders[file][1] or called.get(roles.get(stems[file], "")) for file in files]


def _below(parts: Mapping[str, _Parts], root: str) -> dict[str, _Parts]:
    """Return the folders below a root, relative to it."""
    start = tuple(normalize("NFC", part) for part in root.replace("\\", "/").split("/") if part not in ("", "."))
    found = {folder: each[len(start) :] for folder, each in parts.items() if each[: len(start)] == start}
    if not found:
        held = sorted({"/".join(each[: max(1, len(start))]) for each in parts.values() if each})
        listed = ", ".join(held[:_SHOWN]) + (f" and {len(held) - _SHOWN} more" if len(held) > _SHOWN else "")
        near = did_you_mean("/".join(start), held)
        raise InputError(f"no image is below {root!r}, expected a folder inside the source: {listed or 'none'}{near}")
    return found


def _usual_splits(children: Mapping[_Parts, set[str]]) -> dict[_Parts, dict[str, str]]:
    """Return, for each folder whose sub-folders are splits, these and what they are called."""
    levels: dict[int, set[str]] = defaultdict(set)
    for parent, names in children.items():
        levels[len(parent)] |= {name for name in names if name.casefold() not in _UNNAMED}
    known = {depth: named_splits(names) for depth, names in levels.items()}
    found: dict[_Parts, dict[str, str]] = {}
    for parent, names in children.items():
        level = known[len(parent)]
        own = {name: level[name] for name in names if name in level}
        several = len(set(own.values())) > 1
        whole = (
            own.keys() >= names & levels[len(parent)]
            and own
            and (len(level) == len(levels[len(parent)]) or len(set(level.values())) > 1)
        )
        if several or whole:
            found[parent] = own
    called = common_names(role for own in found.values() for role in own.values())
    return {parent: {name: called[role] for name, role in own.items()} for parent, own in found.items()}


def _wanted_splits(children: Mapping[_Parts, set[str]], wanted: Mapping[str, str]) -> dict[_Parts, dict[str, str]]:
    called = {normalize("NFC", name).casefold(): split for name, split in wanted.items()}
    found: dict[_Parts, dict[str, str]] = {}
    for parent, names in children.items():
        own = {name: called[name.casefold()] for name in names if name.casefold() in called}
        if own:
            found[parent] = own
    there = {name.casefold() for own in found.values() for name in own}
    for name in wanted:
        if normalize("NFC", name).casefold() not in there:
            held = sorted({each for names in children.values() for each in names})
            raise InputError(
                f"no folder is called {name!r}, expected folders that are splits{did_you_mean(name, held)}"
            )
    return found


def _is_layer(name: str, siblings: Collection[str], around: str | None) -> bool:
    """Tell whether a folder says nothing: it and its siblings hold kinds of files, or it repeats the one around it."""
    repeats = len(siblings) == 1 and name == around
    return repeats or (name.casefold() in _LAYERS and all(each.casefold() in _LAYERS for each in siblings))


def _inside(kept: Mapping[str, _Parts]) -> dict[str, _Parts]:
    """Take away the folders that stand around everything, or around all folders with labels."""
    held, depth = [each for each in kept.values() if each], 0
    while held and len({each[depth] for each in held}) == 1:
        depth += 1
        held = [each for each in held if len(each) > depth]
    if not held and kept:  # they are in each other alone: those around all images
        depth = min(map(len, kept.values()))
    return {folder: each[depth:] for folder, each in kept.items()}
