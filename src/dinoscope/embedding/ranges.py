"""The range of values in a collection's pictures of more than 8 bits, fixed once so that they stay comparable."""

from __future__ import annotations

from pathlib import Path

from dinoscope.errors import CollectionError
from dinoscope.sources.base import ImageSource
from dinoscope.sources.pixels.levels import ValueRange
from dinoscope.sources.ranges import find_range
from dinoscope.storage.manifest import read_manifest, stored_range, update_manifest
from dinoscope.storage.tables import list_parts

__all__ = ["settle_range"]


def settle_range(path: Path, source: ImageSource) -> ValueRange | None:
    """Return the range of a collection, or set the requested one, or one from a sample.

    A collection that was begun without one keeps what each type of pixels has by itself.

    Raises:
        CollectionError: Another one is asked for than the collection has.
    """
    asked, stored = source.decoding.value_range, stored_range(path)
    if stored is None and ("range" in read_manifest(path) or not list_parts(path / "details")):
        found = asked or find_range(source)
        update_manifest(path, range=found and list(found))
        return found
    if asked not in (None, stored):
        own = "0,65535 for whole numbers and 0,1 for floats"
        raise CollectionError(
            f"{path} has the range {_told(stored) or own}, got {_told(asked)}: name another folder with -o"
        )
    return stored


def _told(value_range: ValueRange | None) -> str:
    return ",".join(f"{each:g}" for each in value_range or ())
