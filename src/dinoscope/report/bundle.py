"""The explorer as the front end's build leaves it for reports."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from dinoscope.base.package import PACKAGE

__all__ = ["MEGABYTE", "Bundle", "find_bundle"]

MEGABYTE = 1_000_000  # what mail programs count
_FOLDER = PACKAGE / "web" / "report"


@dataclass(frozen=True)
class Bundle:
    """The explorer as the front end's build leaves it for reports."""

    script: str
    style: str

    @property
    def digest(self) -> str:
        """What a content security policy knows the script by."""
        return "sha256-" + base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()


def find_bundle(folder: Path | None = None) -> Bundle | None:
    """Return the built explorer; None in a checkout where it was not built."""
    folder = folder or _FOLDER
    try:
        script, style = (folder / "report.js").read_text("utf-8"), (folder / "report.css").read_text("utf-8")
    except FileNotFoundError:
        return None
    # In a string of the script these would end or confuse its element; \x3c is the same there.
    return Bundle(re.sub(r"<(?=/script|script|!--)", r"\\x3c", script, flags=re.IGNORECASE), style)
