"""The linear layers that stand behind the network in an exported file, fitted on unlabelled training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from pretraining.images import ImageSet
from pretraining.train import Run

__all__ = ["Projection", "Projections", "fit_projection", "fit_projections"]

Array = NDArray[Any]


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
    vectors: Array, dim: int, whiten: float = 0.5, parts: Sequence[tuple[int, float]] = ()
) -> Projection:
    """Fit PCA with partial whitening on the features of unlabelled training images.

    Component i is scaled by ``(eigenvalue_i / eigenvalue_0) ** (-whiten / 2)``: 0 leaves plain PCA, where a few strong
    directions rule the cosine; 1 is full whitening, where every kept direction has the same variance, noise included.

    Args:
        vectors: Image features as the network gives them, not normalised, (N, D).
        dim: Components to keep.
        whiten: Strength of the whitening, 0..1.
        parts: How many of the D numbers belong together, and how much each such part weighs: all are scaled to one
            total variance first, times the square of that. None: everything as it is.

    Raises:
        ValueError: If ``dim`` or ``whiten`` is out of range, or the parts are not all of D.
    """
    n, full = vectors.shape
    if not 1 <= dim <= min(full, n - 1):
        raise ValueError(f"the projection's dimension must be 1..{min(full, n - 1)}, got {dim}")
    if not 0 <= whiten <= 1:
        raise ValueError(f"whiten must be 0..1, got {whiten}")
    widths = [width for width, _ in parts]
    if parts and sum(widths) != full:
        raise ValueError(f"the parts must have {full} numbers together, got {sum(widths)}")
    x = vectors.astype(np.float64)
    offset = x.mean(0)
    balance = np.ones(full)
    if parts:
        totals = [np.sqrt(part.var(0).sum()) for part in np.split(x, np.cumsum(widths)[:-1], axis=1)]
        balance = np.repeat([weight / total for (_, weight), total in zip(parts, totals, strict=True)], widths)
    x = (x - offset) * balance
    values, axes = np.linalg.eigh(x.T @ x / n)
    values, axes = values[::-1][:dim], axes[:, ::-1][:, :dim]
    axes = axes * np.sign(axes[np.abs(axes).argmax(0), np.arange(dim)])  # the sign of an axis is arbitrary: fix it
    scale = np.maximum(values / values[0], 1e-6) ** (-whiten / 2)
    matrix = balance[:, None] * axes * scale
    return Projection(offset.astype(np.float32), matrix.astype(np.float32))


def fit_projections(run: Run, sets: list[ImageSet], dim: int, whiten: float = 0.5) -> Projections:
    """Fit what stands behind a run's network, see ``fit_projection``, on 10,000 of its training images.

    Patch tokens are projected as their mean asks for, which is the last part of the image's features.
    """
    backbone = run.teacher["backbone"]
    vectors = _image_features(run, sets)
    return Projections(
        fit_projection(vectors, dim, whiten, backbone.parts), fit_projection(vectors[:, -backbone.dim :], dim, whiten)
    )


@torch.no_grad()
def _image_features(run: Run, sets: list[ImageSet], count: int = 10_000) -> NDArray[np.float32]:
    """Describe some training images with the teacher, each set with its share of ``count``, (N, D)."""
    backbone, out = run.teacher["backbone"].eval(), []
    for each in sets:
        size = run.recipe.side(each.images)
        chosen = each.images[: max(1, round(count * run.recipe.shares[each.name]))].to(run.device)
        for part in chosen.split(250):
            x = (part.float() / 255).expand(-1, 3, -1, -1)
            if x.shape[-1] != size:
                x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
            out.append(backbone.features(x).float().cpu().numpy())
    return np.concatenate(out)
