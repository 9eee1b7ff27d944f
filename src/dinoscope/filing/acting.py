"""Doing what a journal says, and undoing it. No file is overwritten, and none is removed but a second copy of itself.

A move on one disk gives the file its new name before it takes the old one away. To another disk it is copied under a
temporary name, flushed, read again and compared; then it gets its name, and only then the old one goes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dinoscope.base.digests import sha256
from dinoscope.filing.journal import Journal
from dinoscope.filing.names import is_link_to
from dinoscope.storage.files import flush_folder, remove_leftovers, temporary

__all__ = ["Outcome", "carry_out", "undo"]

_TAKEN = "there is something else at its place"
_NO_FOLDER = "a file is where its folder should be"


@dataclass
class Outcome:
    """How many files were brought to their place, and which stayed, with the reason of each."""

    done: int = 0
    stayed: list[tuple[str, str]] = field(default_factory=list)

    def note(self, name: str, act: Callable[[], None]) -> None:
        """Do one step; one that cannot be done is noted, and the others go on."""
        try:
            act()
        except _Stays as reason:
            self.stayed.append((name, str(reason)))
        except FileExistsError:
            self.stayed.append((name, _TAKEN))
        except NotADirectoryError:
            self.stayed.append((name, _NO_FOLDER))
        except OSError as error:  # its text alone has no path in it
            self.stayed.append((name, error.strerror or type(error).__name__))
        else:
            self.done += 1


class _Stays(Exception):
    """Why a file is left where it is."""


def carry_out(journal: Journal, *, on_step: Callable[[], object] = lambda: None) -> Outcome:
    """Do what a journal says; steps that are done already count as done, so this goes on where a run was killed.

    ``on_step`` is called before each.
    """
    root, into, outcome = Path(journal["root"]), Path(journal["into"]), Outcome()
    if into.is_dir():
        remove_leftovers(into)
    acts = {"move": _move, "copy": _copy, "link": _link}
    for step in journal["steps"]:
        on_step()
        source, target = root / step["from"], into / step["to"]

        def act(source: Path = source, target: Path = target, held: str = step["sha256"]) -> None:
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise _Stays(_NO_FOLDER) from None
            acts[journal["action"]](source, target, held)

        outcome.note(step["from"], act)
    _remove_empty(journal)  # those of files that all stayed
    return outcome


def undo(journal: Journal) -> Outcome:
    """Bring every file back to where it was, take copies and links away, and remove the folders that were made.

    What was changed since stays, and so does a copy that is the last one.
    """
    root, into, outcome = Path(journal["root"]), Path(journal["into"]), Outcome()
    for folder in (root, into):
        if folder.is_dir():
            remove_leftovers(folder)
    acts = {"move": lambda source, target, held: _move(target, source, held), "copy": _uncopy, "link": _unlink}
    for step in reversed(journal["steps"]):
        source, target = root / step["from"], into / step["to"]

        def act(source: Path = source, target: Path = target, held: str = step["sha256"]) -> None:
            if journal["action"] == "move":
                if not os.path.lexists(source.parent):
                    raise _Stays("its old folder is gone")
                if not os.path.lexists(source) and not os.path.lexists(target):
                    raise _Stays("is in neither place")
            acts[journal["action"]](source, target, held)

        outcome.note(step["to"], act)
    _remove_empty(journal)
    return outcome


def _remove_empty(journal: Journal) -> None:
    """Remove the folders that were made and hold nothing."""
    for folder in sorted(map(Path, journal["made"]), reverse=True):
        with suppress(OSError):  # not empty, or gone
            folder.rmdir()


def _move(source: Path, target: Path, held: str) -> None:
    if not os.path.lexists(source) and _holds(target, held):
        return
    _check(source, held)
    if source.is_symlink():
        raise _Stays("is a link by now")
    if os.path.lexists(target):
        if not _holds(target, held):
            raise _Stays(_TAKEN)
    elif not _named(source, target):
        _copied(source, target, held)
    flush_folder(target.parent)
    source.unlink()
    flush_folder(source.parent)


def _copy(source: Path, target: Path, held: str) -> None:
    if _holds(target, held):
        return
    _check(source, held)
    if os.path.lexists(target):
        raise _Stays(_TAKEN)
    _copied(source, target, held)


def _link(source: Path, target: Path, held: str) -> None:
    if is_link_to(target, source):
        return
    _check(source, held)
    target.symlink_to(source)


def _uncopy(source: Path, target: Path, held: str) -> None:
    if not os.path.lexists(target):
        return
    if not _holds(target, held):
        raise _Stays("was changed since")
    if not _holds(source, held) or source.samefile(target):
        raise _Stays("is the only copy left")
    target.unlink()


def _unlink(source: Path, target: Path, _held: str) -> None:
    if not os.path.lexists(target):
        return
    if not is_link_to(target, source):
        raise _Stays("was changed since")
    target.unlink()


def _check(path: Path, held: str) -> None:
    """Refuse a file that is gone or holds something else than the journal says."""
    if not os.path.lexists(path):
        raise _Stays("is not there")
    if not _holds(path, held):
        raise _Stays("was changed since")


def _holds(path: Path, held: str) -> bool:
    return path.is_file() and sha256(path) == held


def _named(source: Path, target: Path) -> bool:
    """Give a file a second name, which fails where that is taken; tell whether its disk can do that."""
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # another disk, or one without such names
        return False
    return True


def _copied(source: Path, target: Path, held: str) -> None:
    """Copy a file with its times, compare what was written, and only then give it its name."""
    part = temporary(target)
    try:
        with source.open("rb") as old, part.open("xb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())
        shutil.copystat(source, part)
        if sha256(part) != held:
            raise _Stays("was changed while it was copied")
        if not _named(part, target):  # a disk without second names
            if os.path.lexists(target):
                raise FileExistsError(17, _TAKEN, str(target))
            part.rename(target)
        flush_folder(target.parent)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
