"""Patches that show the same thing in two images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dinoscope.base.parallel import row_blocks
from dinoscope.errors import InputError

__all__ = ["PatchMatches", "match_patches", "similar_patches", "token_similarities"]

_BLOCK = 65_536  # tokens converted at once


@dataclass(frozen=True, eq=False)
class PatchMatches:
    """Pairs of patches, the most similar first.

    Attributes:
        first: Row and column of the patch in the first image (M, 2).
        second: Row and column of its match in the second image (M, 2).
        similarity: Cosine similarity of the two (M,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    similarity: NDArray[np.float32]


def match_patches(
    first: NDArray[np.float32], second: NDArray[np.float32], *, ratio: float = 0.95, cycle: int = 0
) -> PatchMatches:
    """Match the patches of two images.

    A patch and the nearest one of the other image are a pair if the way back leads to where it began (the cycle check;
    with ``cycle`` 0 both are each other's nearest), and if nothing elsewhere is about as near (the ratio test of Lowe
    2004: the distance to the nearest is less than ``ratio`` times the distance to the nearest of those that do not
    touch it, in both directions).

    Args:
        first: Unit tokens (H, W, D).
        second: Unit tokens (H', W', D).
        ratio: Between 0 and 1; 1 lets all pairs pass.
        cycle: By how many patches the way back may miss its start, in each direction.

    Raises:
        InputError: If the tokens have different lengths, or a setting cannot be.
    """
    if first.shape[-1] != second.shape[-1]:
        raise InputError(f"tokens must be of one model, got lengths {first.shape[-1]} and {second.shape[-1]}")
    if not 0 < ratio <= 1 or cycle < 0:
        raise InputError(f"ratio must be above 0 and at most 1, cycle at least 0; got {ratio} and {cycle}")
    similarity = similar_patches(second, first)
    places, others = _places(first), _places(second)
    there, back = similarity.argmax(axis=1), similarity.argmax(axis=0)
    own = np.arange(len(similarity))
    closed = np.abs(places[back[there]] - places).max(axis=1) <= cycle
    clear = _is_clear(similarity, there, others, ratio)
    clear &= _is_clear(similarity.T, back, places, ratio)[there]
    kept = own[closed & clear]
    found = similarity[kept, there[kept]]
    order = np.argsort(-found, kind="stable")
    kept = kept[order]
    return PatchMatches(places[kept], others[there[kept]], found[order])


def similar_patches(tokens: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of patches to those that are asked about.

    Args:
        tokens: Unit tokens (H, W, D) of an image.
        asked: Unit tokens (H', W', D) of the other.

    Returns:
        (H' W', H W): for each patch asked about, all patches of the image.
    """
    found: NDArray[np.float32] = asked.reshape(-1, asked.shape[-1]) @ tokens.reshape(-1, tokens.shape[-1]).T
    return found


def token_similarities(tokens: NDArray[np.float16], asked: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cosine similarity of many patches to one (P,).

    NumPy turns each token into 32 bits first, which costs ten times as much as the product. numkong, which the extra
    ``large`` brings, does without.

    Args:
        tokens: Unit tokens (P, D).
        asked: A unit token (D,), brought to 16 bits as the others are.
    """
    found, one = np.empty(len(tokens), np.float32), asked.astype(np.float16)
    cdist: Callable[..., Any] | None
    try:
        import numkong

        cdist = numkong.cdist
    except (ImportError, OSError):  # not installed, or not for this processor
        cdist = None
    for rows in row_blocks(len(tokens), _BLOCK):
        some = np.ascontiguousarray(tokens[rows])
        found[rows] = some.astype(np.float32) @ one if cdist is None else _quick_products(cdist, some, one)
    return found


def _quick_products(
    cdist: Callable[..., Any], tokens: NDArray[np.float16], asked: NDArray[np.float16]
) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.asarray(cdist(tokens, asked[None], metric="dot"), np.float32)[:, 0]
    return found


def _places(tokens: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return row and column of each patch (H W, 2)."""
    return np.stack(np.divmod(np.arange(tokens.shape[0] * tokens.shape[1]), tokens.shape[1]), axis=1)


def _is_clear(
    similarity: NDArray[np.float32], nearest: NDArray[np.int64], places: NDArray[np.int64], ratio: float
) -> NDArray[np.bool_]:
    """Tell for each row whether its nearest is clearly nearer than any that does not touch it."""
    touching = np.abs(places[nearest][:, None] - places[None]).max(axis=2) <= 1
    rivals = np.where(touching, -1.0, similarity).max(axis=1)
    best = similarity[np.arange(len(similarity)), nearest]
    clear: NDArray[np.bool_] = np.sqrt(np.maximum(2 - 2 * best, 0)) < ratio * np.sqrt(np.maximum(2 - 2 * rivals, 0))
    return clear | (ratio == 1)
