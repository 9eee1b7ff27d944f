"""Whether a report is still true: its last line names what it was made from, and the page itself.

Nothing is computed to answer that, so a report that would come out the same costs no more than reading it.
"""

from __future__ import annotations

import hashlib
import os
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
    """Return a digest of all that a report depends on but the results that are stored, and the run that writes it.

    Of the run it shows times, the date, and how many images were embedded. The state of the collection stands for
    vectors and thumbnails.

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
    made_from = _digest(inputs, stored_results(collection))
    try:
        if not path.is_file() or path.stat().st_size < LENGTH:
            return False
        with path.open("rb") as file:
            file.seek(-LENGTH, os.SEEK_END)
            last = file.read()
            if not last.startswith(_LINE.partition("{}")[0].encode() + made_from.encode()):
                return False
            file.seek(0)
            return last == _seal(file.read()[:-LENGTH], made_from)
    except OSError:
        return False


def stored_results(collection: OpenedCollection) -> dict[Path, int]:
    """Return the files of all results that are stored, and when each was written, in nanoseconds."""
    folder = collection.path / "results"
    return {file: file.stat().st_mtime_ns for stage in STAGES for file in (folder / stage).glob("*.parquet")}


def sealed(page: bytes, collection: OpenedCollection, inputs: str, before: dict[Path, int]) -> bytes:
    """Return a page with the line that ``is_current`` reads.

    Args:
        page: The page.
        collection: The collection.
        inputs: See ``inputs_of``.
        before: The results that were stored before the page was made. Where somebody else has stored another since, the
            page may lack it, and gets no such line.
    """
    results = stored_results(collection)
    for file, time in results.items():
        is_new = before.get(file) != time if file.parent.name in _BY_AGE else file not in before
        if is_new and not collection.results.has_computed(file):
            return page
    return page + _seal(page, _digest(inputs, results))


def _seal(page: bytes, made_from: str) -> bytes:
    return _LINE.format(made_from, hashlib.sha256(page).hexdigest()).encode()


def _digest(inputs: str, results: dict[Path, int]) -> str:
    """Return a digest of what a page is made from; a result's name says what that was made from, and stands for it."""
    found = sorted(results, key=lambda file: (results[file] if file.parent.name in _BY_AGE else 0, file))
    return digest_json(inputs, [[file.parent.name, file.name] for file in found])


@cache
def _program() -> str:
    """Return a digest of what writes reports: in a checkout it changes while the version stays."""
    digest = hashlib.sha256()
    for file in sorted(file for file in PACKAGE.rglob("*") if file.suffix in (".py", ".css")):
        digest.update(file.read_bytes())
    return digest.hexdigest()
