"""Where a collection goes when nobody says so."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.errors import DamagedError, InputError

if TYPE_CHECKING:
    from dinoscope.sources.base import ImageSource

__all__ = ["default_collection"]


def default_collection(source: str, images: ImageSource) -> Path:
    """Return the folder of a source's collection: photos.dino beside photos/, and here for what is elsewhere.

    The same source has the same folder each time, so a second run finds what the first one made. It is never inside a
    folder of images. Where images.dino is the collection of images/, that of images.npy is images.npy.dino; the other
    way round, that of images/ is images.folder.dino.

    Args:
        source: What the person named.
        images: What was opened.

    Raises:
        InputError: If there is no place beside it.
    """
    from dinoscope.base.paths import named_path

    named, here = named_path(source), Path.cwd()
    is_path = images.kind != "dataset" and named.exists()
    path = Path(os.path.abspath(named))
    stem = path.name if path.is_dir() else path.name.partition(".")[0]
    if not is_path:
        stem = re.sub(r"[^\w.-]+", "-", images.name).strip("-.") or "images"
    place = path.parent if is_path else here
    if is_path and not (place / f"{stem}.dino").exists() and not os.access(place, os.W_OK):
        place = here  # such as the folder that a disk is mounted in
    if not stem or (is_path and path.is_dir() and place.resolve().is_relative_to(path.resolve())):
        raise InputError(f"there is no place for a collection beside {source}: name a folder outside it with -o")
    found = place / f"{stem}.dino"
    if is_path and _is_of_another(found, images):  # images.npy beside images/
        found = place / f"{path.name if path.is_file() else f'{stem}.folder'}.dino"
    return found.relative_to(here) if found.is_relative_to(here) else found


def _is_of_another(place: Path, images: ImageSource) -> bool:
    """Tell whether a folder is a collection of a source of another kind."""
    from dinoscope.storage.manifest import read_manifest

    try:
        held = read_manifest(place)["source"]
    except (OSError, DamagedError):
        return False
    return held["kind"] != images.kind
