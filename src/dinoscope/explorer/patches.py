"""What the model sees in images of the collection, and where else in it a patch is, for the explorer."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import match_patches, similar_patches
from dinoscope.explorer.model_view import ModelData, position_of
from dinoscope.explorer.sheets import part_of_tile
from dinoscope.explorer.types import MatchInfo, PatchImage, PatchPair, PatchPairs, PatchView, SearchAnswer, TokensInfo
from dinoscope.stages.neighbors import neighbor_graph
from dinoscope.stages.queries.colour_grids import colours_obstacle, plan_colours
from dinoscope.stages.queries.patch_search import search_patch
from dinoscope.stages.queries.patches import Look, look
from dinoscope.stages.queries.tokens import TokenPlan, keep_command, kept_resolutions, plan_tokens

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["colours_info", "find_patch", "patch_pairs", "patch_view", "tokens_info", "tokens_limit"]

_NEIGHBORS = 4  # the patches of each are compared with those of the image


def patch_view(data: ModelData, row: int, encoder: Encoder) -> PatchView:
    """Return what the model sees in an image and in its four nearest neighbours.

    Raises:
        Unknown: If no image with vectors has this row number.
        ModelError: If the model gives no patches.
    """
    collection = data.collection
    at = position_of(collection, row)
    near = neighbor_graph(collection).indices[at, :_NEIGHBORS].tolist() if len(collection) > 1 else []
    rows = [row, *(int(collection.rows[each]) for each in near)]
    looks = look(collection, rows, encoder=encoder)
    return PatchView(
        images=[_image(each, found, looks[0]) for each, found in zip(rows, looks, strict=True)],
        bundled=encoder.model.family == "bundled",
        basis=looks[0].basis,
    )


def patch_pairs(data: ModelData, row: int, other: int, encoder: Encoder) -> PatchPairs:
    """Return the patches of two images that are each other's nearest, and clearly so.

    Raises:
        Unknown: If there is no image with vectors of one of these row numbers.
        ModelError: If the model gives no patches.
    """
    for each in (row, other):
        position_of(data.collection, each)
    first, second = (each.tokens for each in look(data.collection, [row, other], encoder=encoder))
    found = match_patches(first, second)
    ends = [
        ((places[:, ::-1] + 0.5) / tokens.shape[1::-1]).tolist()
        for places, tokens in ((found.first, first), (found.second, second))
    ]
    return PatchPairs(
        pairs=[
            PatchPair(first=(x, y), second=(u, v), similarity=min(1.0, similarity))
            for (x, y), (u, v), similarity in zip(*ends, found.similarity.tolist(), strict=True)
        ],
        patches=first.shape[0] * first.shape[1],
    )


def tokens_info(data: ModelData, encoder: Callable[[], Encoder], *, at_most: int, read_only: bool) -> TokensInfo:
    """Tell whether the tokens of all images are kept, and what keeping them takes, measured on a few images.

    Args:
        data: The model.
        encoder: Gives it.
        at_most: The largest collection whose tokens this explorer keeps.
        read_only: Whether it keeps none.
    """
    collection = data.collection
    if kept_resolutions(collection):
        return _kept()
    obstacle = "this explorer was started to write nothing" if read_only else tokens_limit(collection, at_most)
    return _told(plan_tokens(collection, encoder()), obstacle)


def tokens_limit(collection: OpenedCollection, at_most: int) -> str | None:
    """Return why an explorer does not keep the tokens of so large a collection, and what to do; None if it does."""
    if len(collection) <= at_most:
        return None
    command = keep_command(collection, collection.path.name, at_most=len(collection))
    return (
        f"from here, tokens are kept of no more than {at_most:,} images: "
        f"run {command} on the machine of the collection, then try again"
    )


def colours_info(data: ModelData, encoder: Callable[[], Encoder], *, at_most: int) -> TokensInfo:
    """Tell whether the patch colours of all images are kept, and what keeping them takes, measured on a few images.

    Args:
        data: The model.
        encoder: Gives it.
        at_most: How many images this explorer looks at.
    """
    collection = data.collection
    plan = plan_colours(collection, encoder)
    if not plan.missing:
        return _kept()
    return _told(plan, colours_obstacle(collection, at_most, collection.path.name))


def _kept() -> TokensInfo:
    return TokensInfo(kept=True, images=0, megabytes=0, seconds=0, resumes=False, obstacle=None)


def _told(plan: TokenPlan, obstacle: str | None) -> TokensInfo:
    return TokensInfo(
        kept=False,
        images=plan.missing,
        megabytes=plan.size / 1e6,
        seconds=plan.seconds,
        resumes=plan.resumes,
        obstacle=obstacle,
    )


def find_patch(data: ModelData, row: int, place: tuple[float, float], k: int) -> SearchAnswer:
    """Return the images with a patch like the one at a place of an image, and where in them it is.

    Raises:
        Unknown: If no image with vectors has this row number.
        InputError: If the tokens are not kept.
    """
    began = time.perf_counter()
    collection = data.collection
    position_of(collection, row)
    spots = search_patch(collection, row, place, k)
    boxes = [(spot.box, collection.sizes[collection.position(spot.row)].tolist()) for spot in spots]
    return SearchAnswer(
        here=None,
        matches=[
            MatchInfo(row=s.row, id=s.id, label=None if s.label is None else str(s.label), similarity=s.similarity)
            for s in spots
        ],
        parts=[None if box is None else part_of_tile(box, size, data.tile) for box, size in boxes],
        verdict=None,
        place=None,
        seconds=time.perf_counter() - began,
    )


def _image(row: int, found: Look, asked: Look) -> PatchImage:
    similarity = similar_patches(found.tokens, asked.tokens)
    return PatchImage(
        row=row,
        rows=found.tokens.shape[0],
        columns=found.tokens.shape[1],
        colours=found.colours.ravel().tolist(),
        foreground=np.rint(255 * found.foreground.shares(*found.tokens.shape[:2])).astype(int).ravel().tolist(),
        sure=found.foreground.sure,
        clear=found.foreground.clear,
        parts=found.parts.ravel().tolist(),
        attention=None if found.attention is None else _levels(found.attention).ravel().tolist(),
        similar=base64.b64encode(np.rint(255 * np.clip(similarity, 0, 1)).astype(np.uint8).tobytes()).decode(),
    )


def _levels(values: NDArray[np.float32]) -> NDArray[np.int64]:
    low, high = float(values.min()), float(values.max())
    levels: NDArray[np.int64] = np.rint(255 * (values - low) / max(high - low, 1e-12)).astype(np.int64)
    return levels
