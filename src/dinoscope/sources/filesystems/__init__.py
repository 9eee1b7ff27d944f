"""Files below one folder: of this machine, or of a file system that pyarrow reaches (S3, Google Cloud, HDFS)."""

from dinoscope.sources.filesystems.base import (
    COLLECTION,
    MAX_BYTES,
    Listing,
    OpenFiles,
    Storage,
    is_hidden,
    is_pattern,
    is_remote,
    split_pattern,
)
from dinoscope.sources.filesystems.local import LocalStorage
from dinoscope.sources.filesystems.opening import open_root
from dinoscope.sources.filesystems.remote import RemoteStorage, open_storage

__all__ = [
    "COLLECTION",
    "MAX_BYTES",
    "Listing",
    "LocalStorage",
    "OpenFiles",
    "RemoteStorage",
    "Storage",
    "is_hidden",
    "is_pattern",
    "is_remote",
    "open_root",
    "open_storage",
    "split_pattern",
]
