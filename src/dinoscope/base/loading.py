"""Libraries that load one thread at a time."""

from __future__ import annotations

import threading

__all__ = ["LOADING"]

LOADING = threading.RLock()
"""Held while SciPy, scikit-learn or a package on top of them loads.

``with LOADING: from scipy.spatial import KDTree``. Their modules import each other in circles. Where two threads load
parts of them at the same time, each waits for the other, and Python ends that by handing one of them a module that is
half there.
"""
