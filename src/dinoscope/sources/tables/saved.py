"""Folders that Hugging Face's `save_to_disk` wrote: which Arrow files count, and what describes them."""

from __future__ import annotations

import posixpath

from dinoscope.base.splits import split_role
from dinoscope.base.typed import parse_json
from dinoscope.errors import SourceError
from dinoscope.sources.filesystems import Storage

__all__ = ["ARROW", "arrow_files", "described", "saved_split"]

ARROW = ".arrow"
_STATE, _INFO = "state.json", "dataset_info.json"
_CACHE = "cache-"  # how the files begin that `map` and `filter` leave beside a data set
_MOST_BYTES = 1 << 26  # of a description


def arrow_files(storage: Storage) -> list[str]:
    """Return the Arrow files of a folder: those that a `state.json` beside them names, in its order; otherwise all.

    A data set that was saved again in fewer files leaves the old ones beside the new.

    Raises:
        SourceError: A file that is named is not there.
    """
    files = [name for name in storage.list((ARROW,))[0] if not posixpath.basename(name).startswith(_CACHE)]
    found: list[str] = []
    for folder in dict.fromkeys(map(posixpath.dirname, files)):
        state = _read(storage, posixpath.join(folder, _STATE))
        named = state.get("_data_files") if isinstance(state, dict) else None
        beside = [name for name in files if posixpath.dirname(name) == folder]
        if isinstance(named, list) and named:
            names = [str(each.get("filename")) if isinstance(each, dict) else str(each) for each in named]
            missing = next((each for each in names if posixpath.join(folder, each) not in beside), None)
            if missing is not None:
                raise SourceError(
                    f"{posixpath.join(folder, _STATE)} names {missing!r}, which is not there: copy the data set again"
                )
            beside = [posixpath.join(folder, each) for each in names]
        found += beside
    return found


def described(storage: Storage, file: str) -> object:
    """Return what the `dataset_info.json` beside an Arrow file holds; None if there is none."""
    return _read(storage, posixpath.join(posixpath.dirname(file), _INFO))


def saved_split(storage: Storage, file: str) -> str | None:
    """Return the split that the `state.json` beside an Arrow file names; None if it names none."""
    state = _read(storage, posixpath.join(posixpath.dirname(file), _STATE)) if file.lower().endswith(ARROW) else None
    split = state.get("_split") if isinstance(state, dict) else None
    return split_role(split) if isinstance(split, str) else None


def _read(storage: Storage, name: str) -> object:
    if not any(storage.stamps([name])):
        return None
    try:
        file = storage.open(name)
        held: object = parse_json(file.read_at(min(file.size(), _MOST_BYTES), 0))
    except (OSError, ValueError):
        return None
    return held
