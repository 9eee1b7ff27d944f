"""Whether a report is still true: its last line names what it was made from, and the page itself.

Nothing is computed to answer that, so a report that would come out the same costs no more than reading it.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from dinoscope.base.digests import digest_json, sha256
from dinoscope.base.package import PACKAGE
from dinoscope.report.html import version_of
from dinoscope.storage.annotations import ANNOTATIONS
from dinoscope.storage.columns import COLUMNS
from dinoscope.storage.manifest import list_models
from dinoscope.storage.result_files import STAGES

if TYPE_CHECKING:
    from dinoscope.report.bundle import Bundle
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["LENGTH", "PACKAGES", "inputs_of", "is_current", "sealed"]

PACKAGES = ("dinoscope", "numpy", "onnxruntime", "scipy", "scikit-learn")  # those that a report names
_DRAWING = ("matplotlib", "pillow")
_FILES = ("collection.json", "images.parquet", "dismissed.json", "answers.json", COLUMNS, ANNOTATIONS)
_BY_AGE = ("map", "tuning")  # of several results, the newest is shown first
_LINE = "<!-- made from {}, page {} -->\n"
LENGTH = len(_LINE.format(16 * "0", 64 * "0"))


def inputs_of(collection: OpenedCollection, command: str, bundle: Bundle | None) -> str:
    """Return a digest of all that a report depends on but the results that are stored, times and the date.

    The state of the collection stands for vectors and thumbnails.

    Args:
        collection: The collection.
        command: The command that writes this report.
        bundle: The explorer that it holds.
    """
    files = {name: sha256(collection.path / name) for name in _FILES if (collection.path / name).exists()}
    here = [platform.python_version(), platform.system(), platform.machine(), *map(version_of, PACKAGES + _DRAWING)]
    state = [collection.results.state, collection.results.label_state, collection.labels_from]
    failures = [[each.id, each.reason] for each in collection.failures]
    models = [list_models(collection.path), dict(collection.model)]
    built = None if bundle is None else bundle.digest
    return digest_json(command, built, _program(), here, state, failures, models, files)


def is_current(path: Path, collection: OpenedCollection, inputs: str) -> bool:
    """Tell whether a file is a whole report of these inputs and of the results that are stored."""
    if collection.results.unstored:
        return False
    try:
        page = path.read_bytes()
    except OSError:
        return False
    return page[-LENGTH:] == _seal(page[:-LENGTH], collection, inputs)


def sealed(page: bytes, collection: OpenedCollection, inputs: str) -> bytes:
    """Return a page with the line that ``is_current`` reads."""
    return page + _seal(page, collection, inputs)


def _seal(page: bytes, collection: OpenedCollection, inputs: str) -> bytes:
    """Return the last line of a page; the name of a result says what it was made from, so names stand for results."""
    results = {stage: _results(collection.path / "results" / stage, stage in _BY_AGE) for stage in STAGES}
    return _LINE.format(digest_json(inputs, results), hashlib.sha256(page).hexdigest()).encode()


def _results(folder: Path, by_age: bool) -> list[str]:
    found = list(folder.glob("*.parquet"))
    found.sort(key=lambda file: (-file.stat().st_mtime_ns if by_age else 0, file.name))
    return [file.name for file in found]


@cache
def _program() -> str:
    """Return a digest of what writes reports: in a checkout it changes while the version stays."""
    digest = hashlib.sha256()
    for file in sorted(file for file in PACKAGE.rglob("*") if file.suffix in (".py", ".css")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
