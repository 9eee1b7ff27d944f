"""Pictures with two answers: things of one set on photographs of another, each thing on each photograph.

What such a picture shows has two names, the thing's and the ground's. Vectors that sort photographs by wall and light
have the ground's neighbours; those that see the thing have the thing's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["compose"]

Pixels = NDArray[np.uint8]
Labels = NDArray[np.int64]

_INK = 8  # grey levels above which a pixel belongs to the thing


def compose(
    things: Pixels, kinds: Labels, grounds: Pixels, times: int = 2, seed: int = 0
) -> tuple[Pixels, Labels, Labels]:
    """Paste things of every kind on every ground, crossed, so that neither tells the other.

    Each picture takes another thing of the kind, in a random colour, at a random place, on another crop of the ground.

    Args:
        things: Grey pictures on black, uint8 (N, h, w).
        kinds: What each shows, (N,).
        grounds: Photographs, uint8 (M, H, W, 3), H and W equal.
        times: Pictures of each kind on each ground.
        seed: The same seed draws the same pictures.

    Returns:
        Pictures, uint8 (M * kinds * times, H, W, 3); the kind of each; the ground of each.
    """
    draw, side = np.random.default_rng(seed), grounds.shape[1]
    rows = {kind: np.flatnonzero(kinds == kind) for kind in np.unique(kinds)}
    pictures, shown, under = [], [], []
    for ground, photograph in enumerate(grounds):
        for kind, members in rows.items():
            for thing in draw.choice(members, times, replace=len(members) < times):
                pictures.append(_paste(things[thing], _cropped(photograph, draw), side, draw))
                shown.append(kind)
                under.append(ground)
    return np.stack(pictures), np.asarray(shown), np.asarray(under)


def _cropped(photograph: Pixels, draw: np.random.Generator) -> Image.Image:
    """Take four fifths of the side, or more, at a random place."""
    side = photograph.shape[0]
    kept = round(side * draw.uniform(0.8, 1))
    left, top = draw.integers(0, side - kept + 1, 2).tolist()
    crop = Image.fromarray(photograph).crop((left, top, left + kept, top + kept))
    return crop.resize((side, side), Image.Resampling.BILINEAR)


def _paste(thing: Pixels, ground: Image.Image, side: int, draw: np.random.Generator) -> Pixels:
    """Paste a thing at 0.6 to 0.8 of the side, in a random colour."""
    size = round(side * draw.uniform(0.6, 0.8))
    colour = draw.uniform(0.4, 1, 3)
    over = Image.fromarray((thing[..., None] * colour).astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)
    inside = Image.fromarray(((thing > _INK) * 255).astype(np.uint8)).resize((size, size), Image.Resampling.BILINEAR)
    left, top = draw.integers(0, side - size + 1, 2).tolist()
    ground.paste(over, (left, top), inside)
    return np.asarray(ground)
