"""The usual names of the parts of a data set: which words mean training, validation and test."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

__all__ = ["common_names", "held_out_split", "named_splits", "split_role", "training_split", "voting_split"]

_WORDS = {
    "train": ("train", "training", "trn", "trainset"),
    "val": ("val", "valid", "validation", "valset"),
    "test": ("test", "testing", "tst", "testset"),
    "dev": ("dev", "devel"),
    "eval": ("eval", "evaluation", "holdout"),
}
_ROLES = {word: role for role, words in _WORDS.items() for word in words}
_STANDS_FOR = {"dev": "val", "eval": "test"}  # where no split has this name itself
_HELD_OUT = ("test", "eval", "val", "dev")  # the first that there is
_FILLING = frozenset(["set", "split", "part", "data", "dataset", "images", "image", "imgs", "img", "of", "shard"])


def split_role(name: str | None) -> str | None:
    """Return what a name says alone: "train", "val", "test", "dev", "eval"; None for any other name.

    Upper case, numbers and filling words do not matter: "Training", "train2017" and "test_images" are splits;
    "train-ride" is none.
    """
    role, rest = _read(name or "")
    return role if not rest else None


def named_splits(names: Iterable[str]) -> dict[str, str]:
    """Return those of some names that stand side by side that name a split, and its role; see ``split_role``.

    Names that differ by the split alone do so, too: "seg_train" and "seg_test".
    """
    found: dict[str, str] = {}
    longer: dict[str, str] = {}
    rests: set[tuple[str, ...]] = set()
    for name in names:
        role, rest = _read(name)
        if role is not None and rest:
            longer[name] = role
            rests.add(rest)
        elif role is not None:
            found[name] = role
    if len(rests) == 1 and len(set(longer.values())) > 1:
        found |= longer
    return found


def common_names(roles: Iterable[str]) -> dict[str, str]:
    """Return what the splits of these roles are called: "dev" is called val, and "eval" test, where there is none."""
    held = set(roles)
    return {role: role if _STANDS_FOR.get(role, role) in held else _STANDS_FOR[role] for role in held}


def held_out_split(splits: Iterable[str | None]) -> str | None:
    """Return which of some splits is held out: test, else val, by whatever usual name; None if there is none."""
    return _first(splits, _HELD_OUT)


def training_split(splits: Iterable[str | None]) -> str | None:
    """Return which of some splits is for training; None if there is none."""
    return _first(splits, ("train",))


def voting_split(splits: Iterable[str | None], held: str | None) -> str | None:
    """Return the split whose images name those of a split that is held out; None: there is no other for training."""
    found = training_split(splits)
    return None if found == held else found


def _first(splits: Iterable[str | None], roles: Iterable[str]) -> str | None:
    named = {split_role(each): each for each in sorted({each for each in splits if each is not None}, reverse=True)}
    return next((named[role] for role in roles if role in named), None)


def _read(name: str) -> tuple[str | None, tuple[str, ...]]:
    """Return the role that the words of a name tell, None if they tell none or two, and the other words."""
    words = [word for word in re.split(r"[\W\d_]+", normalize("NFC", name).casefold()) if word]
    roles = {_ROLES[word] for word in words if word in _ROLES}
    rest = tuple(word for word in words if word not in _ROLES and word not in _FILLING)
    return (roles.pop() if len(roles) == 1 else None), rest
