"""Files that come with the package: weights, images of the demo, the built page."""

from __future__ import annotations

from pathlib import Path

__all__ = ["PACKAGE"]

PACKAGE = Path(__file__).resolve().parents[1]
