"""Duplicates, leaks, outliers."""

from dinoscope.analysis.cleaning.duplicates import Duplicates, find_duplicates
from dinoscope.analysis.cleaning.fingerprints import fingerprints
from dinoscope.analysis.cleaning.leaks import Leak, find_leaks
from dinoscope.analysis.cleaning.outliers import Outliers, find_outliers
from dinoscope.analysis.cleaning.threshold import ThresholdFit, fit_threshold

__all__ = [
    "Duplicates",
    "Leak",
    "Outliers",
    "ThresholdFit",
    "find_duplicates",
    "find_leaks",
    "find_outliers",
    "fingerprints",
    "fit_threshold",
]
