"""Every error that dinoscope raises on purpose.

    DinoscopeError
    ├── InputError        an argument or an array that cannot work (also a ValueError)
    ├── SourceError       images that cannot be found or opened as a collection of images
    ├── ImageError        one image that cannot be read: an outcome, gathered and reported, never a crash
    │   └── UnreadableError   its bytes could not be read: another try may succeed
    ├── DownloadError     a file that could not be fetched whole
    ├── ModelError        a model that is unknown or cannot be loaded
    ├── CollectionError   a collection folder that is missing, damaged, in use or not ready for the step asked for
    │   ├── ConflictError     somebody else has changed the same meanwhile
    │   └── DamagedError      one of its files is not what was written
    ├── PublishError      Milvus cannot be reached, refuses, or holds something else
    └── WriteError        a file that could not be written: a full disk, no permission (also an OSError)

A message says what is wrong, what was expected, what was got and what to do next, in one line. The command line
prints it and exits with 1; nothing else in the package prints errors.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "CollectionError",
    "ConflictError",
    "DamagedError",
    "DinoscopeError",
    "DownloadError",
    "ImageError",
    "InputError",
    "ModelError",
    "PublishError",
    "RayError",
    "SourceError",
    "UnreadableError",
    "WriteError",
]


class DinoscopeError(Exception):
    """Base of all errors that a caller can expect."""


class InputError(DinoscopeError, ValueError):
    """An argument or an array cannot work."""


class SourceError(DinoscopeError):
    """The images cannot be found, or the given name is not a source of images."""


class ImageError(DinoscopeError):
    """One image cannot be read; the message is the reason alone, without the file's name."""


class DownloadError(DinoscopeError):
    """A file could not be fetched whole."""


class ModelError(DinoscopeError):
    """A model is unknown or cannot be loaded."""


class CollectionError(DinoscopeError):
    """A collection is missing, damaged, in use by another process, or not ready for this step."""


class ConflictError(CollectionError):
    """Somebody else changed the same thing meanwhile. Nothing was written."""


class RayError(DinoscopeError):
    """Ray is not installed, cannot be reached, or gave up."""


class PublishError(DinoscopeError):
    """Milvus cannot be reached, refuses a request, or contains something else."""


class WriteError(DinoscopeError, OSError):
    """A file cannot be written: the disk is full, or there is no permission."""


class UnreadableError(ImageError):
    """The bytes of an image could not be read (permission, vanished, device): another try may succeed."""


class DamagedError(CollectionError):
    """A file of a collection differs from what was written.

    Attributes:
        path: The file.
        reason: What is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"{path} is damaged ({reason}): run 'dinoscope embed' again to repair it; "
            "'dinoscope info --verify' lists all that is damaged"
        )
