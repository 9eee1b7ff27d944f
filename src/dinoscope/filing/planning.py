"""What is to be done with which file, and which files are left alone because something is not as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dinoscope.base.digests import digest_bytes, digest_file, sha256
from dinoscope.errors import InputError
from dinoscope.filing.journal import Action, Step
from dinoscope.filing.names import FreeNames, is_inside, is_link_to, is_within

__all__ = ["Proposal", "Wanted", "propose"]

_GONE = "is not there"
_WHOLE_BYTES = 1 << 26  # a larger file has no stored digest of its bytes; see `ImageSource.content`


@dataclass(frozen=True)
class Wanted:
    """A file that is to go somewhere.

    Attributes:
        name: Relative to the folder of the images, with "/".
        seen: What it held when it was looked at: a digest of its bytes, or of its name, size and time.
        folder: The folder below the target that it goes to, with its own folders; "" for none.
        as_name: What it is called there, if not the same.
        beside: A file and what it held, without which this one stays: the copy that is to be kept.
    """

    name: str
    seen: str
    folder: str = ""
    beside: tuple[str, str] | None = None
    as_name: str = ""


@dataclass
class Proposal:
    """What can be done, which files are left alone, with the reason of each, and how many are there already."""

    steps: list[Step] = field(default_factory=list)
    there: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def propose(
    action: Action, root: Path, into: Path, wanted: Sequence[Wanted], *, on_step: Callable[[], object] = lambda: None
) -> Proposal:
    """Look at files and say what can be done with them; nothing is touched.

    Args:
        action: What is to be done.
        root: The folder of the images.
        into: Where they go to; it need not be there yet.
        wanted: The files.
        on_step: Called before each file is looked at.

    Raises:
        InputError: If ``root`` is not a folder, or ``into`` is inside it or is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: name the one with the images by --images")
    if os.path.lexists(into) and not into.is_dir():
        raise InputError(f"{into} is not a folder: name another one")
    if is_within(into, root):
        raise InputError(
            f"{into} is in the folder of the images, where its files would count as images: choose another"
        )
    proposal, free = Proposal(), FreeNames(into)
    leaving = {each.name for each in wanted}
    for each in wanted:
        on_step()
        name = "/".join(part for part in (*each.folder.split("/"), *(each.as_name or each.name).split("/")) if part)
        reason = _reason(action, root, each.name, each.seen)
        if reason == _GONE and action == "move" and _has_come(into / name, each):
            proposal.there += 1
            continue
        reason = reason or _lost(root, each, leaving)
        if reason is not None:
            proposal.refused.append((each.name, reason))
            continue
        held = sha256(root / each.name)
        state = _state(action, root / each.name, into / name, held)
        if state == "done":
            proposal.there += 1
            continue
        target = name if state == "begun" else free.take(name)
        proposal.steps.append({"from": each.name, "to": target, "sha256": held})
    return proposal


def _lost(root: Path, wanted: Wanted, leaving: Container[str]) -> str | None:
    """Return why a file stays that has a copy which is to be kept: that will not be there. None if it will."""
    if wanted.beside is None:
        return None
    kept, held = wanted.beside
    if kept in leaving:
        return f"{kept}, which should stay instead of it, is to go, too"
    lost = _reason("copy", root, kept, held)
    return None if lost is None else f"{kept}, which should stay instead of it, {lost}"


def _state(action: Action, source: Path, target: Path, held: str) -> Literal["done", "begun", "new"]:
    """Tell how far a run that was killed came with a file: a move may have left it both names."""
    if not os.path.lexists(target):
        return "new"
    if action == "link":
        return "done" if is_link_to(target, source) else "new"
    if action == "move":
        return "begun" if source.samefile(target) and not target.is_symlink() else "new"
    return "done" if target.is_file() and sha256(target) == held else "new"


def _reason(action: Action, root: Path, name: str, seen: str) -> str | None:
    """Return why a file is left alone, to be read after its name; None if there is no reason."""
    if not is_inside(name):
        return "is not below the folder of the images"
    path = root / name
    try:
        status = os.lstat(path) if action == "move" else path.stat()
        if stat.S_ISLNK(status.st_mode):
            return "is a link, which may lead nowhere from another place"
        if not stat.S_ISREG(status.st_mode):
            return "is not a file"
        if action == "move" and not path.resolve().is_relative_to(root.resolve()):
            return "lies outside of the folder of the images, behind a link"
        return None if _holds(path, status, name, seen) else "is not what it was when the collection was made"
    except FileNotFoundError:
        return _GONE
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _has_come(target: Path, wanted: Wanted) -> bool:
    """Tell whether a run that was killed has moved a file that is gone to its new place."""
    try:
        status = os.lstat(target)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and _holds(target, status, wanted.name, wanted.seen)


def _holds(path: Path, status: os.stat_result, name: str, seen: str) -> bool:
    if digest_bytes(name, f"{status.st_size} {status.st_mtime_ns}") == seen:
        return True
    return status.st_size <= _WHOLE_BYTES and digest_file(path) == seen
