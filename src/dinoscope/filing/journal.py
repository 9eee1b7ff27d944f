"""The journal of what is to be done with files: written and flushed before the first of them is touched.

A step is done when its file is at its new place. So the journal is written only once. For every file it names both
possible places, and the disk shows which one is true. If the process is killed, each file is complete at one of the
two.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypedDict

from dinoscope.base.typed import Within
from dinoscope.errors import DamagedError, InputError, WriteError
from dinoscope.filing.names import is_inside
from dinoscope.storage.files import make_folder, read_json, remove_leftovers, write_json

__all__ = ["Action", "Journal", "Step", "read_journal", "write_journal"]

Action: TypeAlias = Literal["move", "copy", "link"]
_VERSION = 1

# "from" is not a name of an attribute
Step = TypedDict("Step", {"from": str, "to": str, "sha256": str})
Step.__doc__ = "A file: where it is below the root, where it goes below the target folder, and what it holds."


class Journal(TypedDict):
    """What is to be done: the folders by their whole paths, those that are made for it, and the steps in order."""

    journal: Annotated[int, Within(1, 2**31)]
    action: Action
    root: str
    into: str
    made: list[str]
    steps: list[Step]


def write_journal(action: Action, root: Path, into: Path, steps: list[Step], path: Path | None = None) -> Path:
    """Write what is to be done, and bring it to the disk; return the file.

    Args:
        action: What is done with the files.
        root: The folder that they are in.
        into: The folder that they go to; it is not made yet.
        steps: The files.
        path: The file; by default a new one beside ``into``.

    Raises:
        InputError: If there is such a file already.
        WriteError: If it cannot be written.
    """
    into, root = Path(os.path.abspath(into)), Path(os.path.abspath(root))
    places = sorted({into, *(parent for step in steps for parent in (into / step["to"]).parents)})
    made = [str(place) for place in places if (place == into or into in place.parents) and not place.is_dir()]
    file = _reserve(into, path)
    held: Journal = {
        "journal": _VERSION,
        "action": action,
        "root": str(root),
        "into": str(into),
        "made": made,
        "steps": steps,
    }
    try:
        write_json(file, held, checked=True)
    except BaseException:
        file.unlink(missing_ok=True)  # an empty file would count as a journal that was damaged
        raise
    return file


def read_journal(path: Path) -> Journal:
    """Read a journal.

    Raises:
        InputError: If there is none, it is damaged, of a newer version, or names a file outside of its folders.
    """
    try:
        held: Journal = read_json(path, Journal)
    except FileNotFoundError:
        raise InputError(f"{path} is not there: expected the journal that 'apply' or 'sort' named") from None
    except DamagedError as error:
        raise InputError(f"{path} is not a journal of 'apply' or 'sort', or was changed: {error.reason}") from None
    if held["journal"] > _VERSION:
        raise InputError(f"{path} is of a newer version of dinoscope ('pip install --upgrade dinoscope')")
    if not all(is_inside(step["from"]) and is_inside(step["to"]) for step in held["steps"]):
        raise InputError(f"{path} names a file outside of the folders that it is about: nothing was done")
    return held


def _reserve(into: Path, path: Path | None) -> Path:
    """Take the name of a journal for this process alone."""
    usual = f"{into.name}.journal-"
    names = [path] if path is not None else [into.with_name(f"{usual}{n}.json") for n in range(1, 10_000)]
    remove_leftovers(into.parent, usual)  # the next name is another one, under which they would not be found
    for name in names:
        make_folder(name.parent)
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        except OSError as error:
            raise WriteError(f"cannot write {name}: {error.strerror}") from None
        return name
    raise InputError(f"{names[-1]} is there already: name another file with --journal")
