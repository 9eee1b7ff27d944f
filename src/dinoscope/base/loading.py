"""How other libraries load: some in one thread at a time, one without another that it would load."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["LOADING", "hidden"]

LOADING = threading.RLock()
"""Held while SciPy, scikit-learn or a package on top of them loads.

``with LOADING: from scipy.spatial import KDTree``. Their modules import each other in circles. Where two threads load
parts of them at the same time, each waits for the other, and Python ends that by handing one of them a module that is
half there.
"""


class _Hidden:
    """Finds one library missing, wherever it is."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, *_: object) -> None:
        if name == self.name:
            raise ModuleNotFoundError(f"{name} is hidden", name=name)


@contextmanager
def hidden(name: str) -> Generator[None, None, None]:
    """Let a library that is not loaded yet be missing meanwhile, for those that load it only because it is there."""
    finder = _Hidden(name)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
