"""Patch tokens as colours: their first three principal components become red, green and blue.

One basis serves all images of a collection, so that a colour means the same in every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.digests import digest_bytes
from dinoscope.errors import InputError

__all__ = ["ColourBasis", "fit_basis", "patch_colours"]

_CHANNELS = 3
_ENDS = (2, 98)  # percentiles of a component that become the darkest and the lightest level


@dataclass(frozen=True, eq=False)
class ColourBasis:
    """What turns tokens into colours.

    Attributes:
        mean: Mean of the tokens it was made from (D,), float64.
        axes: Principal components (3, D), of length 1, the strongest first.
        low: What becomes level 0 of each channel (3,).
        high: What becomes level 255 (3,).
        variance: Share of the tokens' variance along each component (3,).
    """

    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    variance: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """16 hexadecimal digits: bases with the same digest give the same colours."""
        return digest_bytes(*(each.tobytes() for each in (self.mean, self.axes, self.low, self.high)))


def fit_basis(tokens: Sequence[NDArray[np.float32]], masks: Sequence[NDArray[np.bool_]] | None = None) -> ColourBasis:
    """Find the basis of the colours of some images: the principal components of all their tokens.

    The sign of a component is such that its largest entry is positive. The scale of a channel goes from the 2nd to the
    98th percentile, so that a few patches do not decide the contrast.

    Args:
        tokens: Unit tokens of each image (H, W, D); see ``unit_tokens``.
        masks: Which patches count (H, W), of each image: the foreground, say. By default all do.

    Raises:
        InputError: If fewer than four patches are left, or they have fewer than three numbers each.
    """
    if masks is None:
        chosen = [each.reshape(-1, each.shape[-1]) for each in tokens]
    else:
        chosen = [each[mask] for each, mask in zip(tokens, masks, strict=True)]
    rows = np.concatenate(chosen).astype(np.float64) if chosen else np.empty((0, 0))
    if len(rows) <= _CHANNELS or rows.shape[1] < _CHANNELS:
        raise InputError(f"colours need more than 3 patches of 3 numbers or more, got {rows.shape}")
    mean = rows.mean(axis=0)
    centred = rows - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    axes = vectors[:, ::-1][:, :_CHANNELS].T
    axes = axes * np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1) < 0, -1.0, 1.0)
    low, high = np.percentile(centred @ axes.T, _ENDS, axis=0)
    share = values[::-1][:_CHANNELS] / max(float(values.sum()), 1e-300)
    return ColourBasis(mean, np.ascontiguousarray(axes), low, high, share)


def patch_colours(tokens: NDArray[np.floating], basis: ColourBasis) -> NDArray[np.uint8]:
    """Return the colours of an image's patches: uint8 (H, W, 3).

    Args:
        tokens: Unit tokens (H, W, D).
        basis: Made from tokens of the same model.

    Raises:
        InputError: If the basis is of tokens of another length.
    """
    if tokens.shape[-1] != len(basis.mean):
        raise InputError(
            f"the colours were made for tokens of length {len(basis.mean)}, got {tokens.shape[-1]}: use the same model"
        )
    places = (tokens.astype(np.float64) - basis.mean) @ basis.axes.T
    spread = np.maximum(basis.high - basis.low, 1e-12)
    levels: NDArray[np.uint8] = np.rint(255 * np.clip((places - basis.low) / spread, 0, 1)).astype(np.uint8)
    return levels
