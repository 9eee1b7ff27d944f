"""From the name of a folder, or its URI, to its files."""

from __future__ import annotations

import os

from dinoscope.errors import SourceError
from dinoscope.sources.filesystems.base import Storage, is_remote
from dinoscope.sources.filesystems.local import LocalStorage
from dinoscope.sources.filesystems.remote import open_storage

__all__ = ["open_root"]


def open_root(folder: str) -> Storage:
    """Open a folder, or a URI of one, that holds images.

    Raises:
        SourceError: It is not a folder.
    """
    if is_remote(folder):
        storage, file, pattern = open_storage(folder)
        if file is None and pattern is None:
            return storage
    elif os.path.isdir(os.path.expanduser(folder)):
        return LocalStorage(os.path.expanduser(folder))
    raise SourceError(f"--image-root expects a folder that is there, got {folder!r}")
