"""What a vector describes: the whole image, or what stands out from its ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import find_foreground, unit_tokens
from dinoscope.base.checks import check_choice

__all__ = ["FOCUSES", "FOREGROUND", "check_focus", "foreground_mean"]

FOREGROUND = "foreground"
FOCUSES = ("image", FOREGROUND)


def check_focus(focus: str) -> None:
    """Raise an InputError if there is no such focus."""
    check_choice(focus, "focus", FOCUSES)


def foreground_mean(tokens: NDArray[np.float32], finer: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Return the mean of an image's tokens, each weighted by the share of its patch that the foreground covers.

    Where the foreground is not clear, all patches count the same. See ``Foreground.clear``.

    Args:
        tokens: (H, W, D), as the model gives them.
        finer: See ``find_foreground``.

    Returns:
        float32 (D,), not normalised.

    Raises:
        InputError: If the image has fewer than 3 x 3 patches.
    """
    whole: NDArray[np.float32] = tokens.mean(axis=(0, 1))
    if not np.isfinite(whole).all():  # of damaged weights; told where the vectors are looked at
        return whole
    found = find_foreground(unit_tokens(tokens)[0], finer=finer)
    if not found.clear:
        return whole
    weights = found.shares(*tokens.shape[:2])
    mean: NDArray[np.float32] = np.einsum("hw,hwd->d", weights, tokens) / weights.sum()
    return mean
