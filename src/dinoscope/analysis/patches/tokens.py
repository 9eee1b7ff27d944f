"""Patch tokens of one image as unit vectors, with those replaced that say nothing of their place."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dinoscope.errors import InputError

__all__ = ["Tokens", "border", "check_tokens", "high_norm", "scaled", "unit_tokens"]

Tokens = NDArray[np.floating]  # of one image (H, W, D), row by row from the top left
_FAR = 8.0  # robust standard deviations above the median from which a token's length is an artefact
_SHORTEST = 1e-12


def check_tokens(tokens: object) -> None:
    """Raise an InputError unless these are the tokens of one image: finite numbers (H, W, D), none of them empty."""
    if not isinstance(tokens, np.ndarray) or tokens.dtype.kind != "f" or tokens.ndim != 3 or 0 in tokens.shape:
        got = f"{tokens.dtype} {tokens.shape}" if isinstance(tokens, np.ndarray) else type(tokens).__name__
        raise InputError(f"tokens must be floats of shape (H, W, D), got {got}: use dinoscope's Encoder.look")
    if not np.isfinite(tokens).all():
        raise InputError("tokens must be finite, got NaN or infinity: read them again")


def high_norm(tokens: Tokens) -> NDArray[np.bool_]:
    """Tell which tokens (H, W) are so much longer than the others that they are artefacts.

    Vision transformers without registers keep notes on the whole image in a few patches of plain ground, whose tokens
    are several times as long (Darcet et al. 2024). Here: the length is 8 robust standard deviations above the median.

    Args:
        tokens: (H, W, D).
    """
    lengths = np.linalg.norm(tokens, axis=2)
    middle = np.median(lengths)
    spread = 1.4826 * np.median(np.abs(lengths - middle))
    found: NDArray[np.bool_] = lengths > middle + _FAR * max(float(spread), 0.02 * float(middle))
    return found


def unit_tokens(tokens: Tokens) -> tuple[NDArray[np.float32], int]:
    """Return tokens of length 1, and how many of them are artefacts and were replaced.

    An artefact takes the mean direction of its neighbours that are none; where all of them are, of the whole image.

    Args:
        tokens: (H, W, D), as the model gives them.

    Returns:
        float32 (H, W, D), and the number of artefacts.

    Raises:
        InputError: If these are not tokens of an image.
    """
    check_tokens(tokens)
    wrong = high_norm(tokens)
    unit = scaled(tokens.astype(np.float64))
    good = unit.copy()
    for row, column in np.argwhere(wrong).tolist():
        around = slice(max(0, row - 1), row + 2), slice(max(0, column - 1), column + 2)
        kept = good[around][~wrong[around]]
        unit[row, column] = scaled((kept if len(kept) else good[~wrong]).mean(axis=0))
    return unit.astype(np.float32), int(wrong.sum())


def border(rows: int, columns: int) -> NDArray[np.bool_]:
    """Tell which patches (H, W) lie at the border of an image."""
    found = np.ones((rows, columns), bool)
    found[1:-1, 1:-1] = False
    return found


def scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring rows (..., D) to length 1; one of zeros stays."""
    unit: NDArray[np.float64] = values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), _SHORTEST)
    return unit
