"""The linear layers that stand behind the network in an exported file, fitted on unlabelled training images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from pretraining.augment import random_views
from pretraining.images import ImageSet
from pretraining.networks import ResNet, ViT
from pretraining.train import Run

__all__ = ["Projection", "Projections", "fit_projection", "fit_projections"]

Array = NDArray[Any]

# Training images that a projection is fitted on.
_COUNT = 10_000
# What is added to how much views differ in every direction, as a share of the mean: without it those in which they
# hardly differ would rule.
_FLOOR = 0.1
# The whitening of patch tokens, whatever that of images is: a file that is exported again shows the same patches.
_PATCHES_WHITEN = 0.5


@dataclass(frozen=True)
class Projection:
    """A linear layer after the network: ``(x - offset) @ matrix``.

    Attributes:
        offset: What is subtracted first, (D_in,).
        matrix: (D_in, D_out).
    """

    offset: Array
    matrix: Array

    def __post_init__(self) -> None:
        """Check the shapes.

        Raises:
            ValueError: If they do not fit each other.
        """
        if self.matrix.ndim != 2 or self.offset.shape != self.matrix.shape[:1]:
            raise ValueError(
                f"a projection needs offset (D_in,) and matrix (D_in, D_out), got {self.offset.shape}, "
                f"{self.matrix.shape}"
            )


@dataclass(frozen=True)
class Projections:
    """What stands behind the network: a layer for the image's features, and one for every patch token."""

    image: Projection
    patches: Projection


def fit_projection(
    vectors: Array, dim: int, whiten: float = 0.5, parts: Sequence[tuple[int, float]] = (), changes: Array | None = None
) -> Projection:
    """Fit PCA with partial whitening on the features of unlabelled training images.

    With ``changes``, directions are first shortened by how far two views of one image lie apart in them, so that the
    PCA keeps what tells images apart and not what light and crop make of them (within-class covariance normalisation,
    Hatch and Stolcke 2006, with each image as a class of its own).

    Component i is scaled by ``(eigenvalue_i / eigenvalue_0) ** (-whiten / 2)``: 0 leaves plain PCA, where a few strong
    directions rule the cosine; 1 is full whitening, where every kept direction has the same variance, noise included.

    Args:
        vectors: Image features as the network gives them, not normalised, (N, D).
        dim: Components to keep.
        whiten: Strength of the whitening, 0..1.
        parts: How many of the D numbers belong together, and how much each such part weighs: all are scaled to one
            total variance first, times the square of that. None: everything as it is.
        changes: Features of one view of an image minus those of another, (M, D). None: the PCA alone.

    Raises:
        ValueError: If ``dim`` or ``whiten`` is out of range, the parts are not all of D, or the changes not of D.
    """
    n, full = vectors.shape
    if not 1 <= dim <= min(full, n - 1):
        raise ValueError(f"the projection's dimension must be 1..{min(full, n - 1)}, got {dim}")
    if not 0 <= whiten <= 1:
        raise ValueError(f"whiten must be 0..1, got {whiten}")
    widths = [width for width, _ in parts]
    if parts and sum(widths) != full:
        raise ValueError(f"the parts must have {full} numbers together, got {sum(widths)}")
    if changes is not None and changes.shape[1:] != (full,):
        raise ValueError(f"the changes must have shape (M, {full}), got {changes.shape}")
    x = vectors.astype(np.float64)
    offset = x.mean(0)
    balance = np.ones(full)
    if parts:
        totals = [np.sqrt(part.var(0).sum()) for part in np.split(x, np.cumsum(widths)[:-1], axis=1)]
        balance = np.repeat([weight / total for (_, weight), total in zip(parts, totals, strict=True)], widths)
    layer = np.diag(balance) if changes is None else balance[:, None] * _steadying(changes * balance)
    x = (x - offset) @ layer
    values, axes = np.linalg.eigh(x.T @ x / n)
    values, axes = values[::-1][:dim], axes[:, ::-1][:, :dim]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])  # the sign of an axis is arbitrary: fix it
    scale = np.maximum(values / values[0], 1e-6) ** (-whiten / 2)
    matrix = layer @ axes * scale
    return Projection(offset.astype(np.float32), matrix.astype(np.float32))


def _steadying(changes: Array) -> Array:
    """Return the symmetric matrix (D, D) after which views differ about equally in all directions."""
    values, axes = np.linalg.eigh(changes.T.astype(np.float64) @ changes / (2 * len(changes)))
    values = np.maximum(values, 0)
    steadying: Array = axes * (values + _FLOOR * values.mean()) ** -0.5 @ axes.T
    return steadying


def fit_projections(
    run: Run, sets: list[ImageSet], dim: int, whiten: float = 0.5, *, steady: bool = False
) -> Projections:
    """Fit what stands behind a run's network, see ``fit_projection``, on 10,000 of its training images.

    Patch tokens are projected as their mean asks for, which is the last part of the image's features.

    Args:
        run: The trained run.
        sets: Its images, one set for each of the recipe's shares.
        dim: Components to keep.
        whiten: Strength of the whitening of images, 0..1; that of patches is always a half.
        steady: Play down what differs between two of the recipe's global views of an image.
    """
    backbone = run.teacher["backbone"].eval()
    picks = [each.images[: max(1, round(_COUNT * run.recipe.shares[each.name]))].to(run.device) for each in sets]
    vectors = _features(backbone, picks, lambda part: _whole(part, run.recipe.size))
    changes = None
    if steady:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.recipe.seed)
            one, other = (
                _features(backbone, picks, lambda part: random_views(part, run.recipe.global_view)) for _ in range(2)
            )
        changes = one - other
    return Projections(
        fit_projection(vectors, dim, whiten, backbone.parts, changes),
        fit_projection(vectors[:, -backbone.dim :], dim, _PATCHES_WHITEN),
    )


def _whole(images: Tensor, side: int) -> Tensor:
    """Bring images, uint8 (B, C, H, W), to the side at which they are seen, float32 (B, 3, side, side) in 0..1."""
    x = (images.float() / 255).expand(-1, 3, -1, -1)
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)


@torch.no_grad()
def _features(backbone: ResNet | ViT, picks: list[Tensor], seen: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
    """Describe images as they are seen, (N, D)."""
    return np.concatenate(
        [backbone.features(seen(part)).float().cpu().numpy() for pick in picks for part in pick.split(250)]
    )
