"""What the model of a collection sees in an image, patch by patch, in colours and parts that are the same for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.patches import (
    ColourBasis,
    Foreground,
    Parts,
    find_foreground,
    find_parts,
    fit_basis,
    nearest_part,
    patch_colours,
    unit_tokens,
)
from dinoscope.base.parallel import in_threads
from dinoscope.base.types import JsonObject
from dinoscope.errors import ImageError, InputError
from dinoscope.sources.pixels.decode import Picture, Query
from dinoscope.stages.queries.search import patch_encoder
from dinoscope.stages.queries.tokens import has_tokens, kept_tokens, look_at_tokens

if TYPE_CHECKING:
    from dinoscope.models.encoder import Encoder
    from dinoscope.models.patches import Seen
    from dinoscope.stages.opened import OpenedCollection

__all__ = [
    "SCHEME_IMAGES",
    "Look",
    "Scheme",
    "find_scheme",
    "has_scheme",
    "look",
    "look_at",
    "make_scheme",
    "scheme_looks",
]

SCHEME_IMAGES = 100  # images whose patches decide the colours and parts of a collection
PARTS = 6


@dataclass(frozen=True, eq=False)
class Scheme:
    """The colours and parts that several images share.

    Attributes:
        basis: What turns tokens into colours.
        parts: Groups of patches that recur.
    """

    basis: ColourBasis
    parts: Parts


@dataclass(frozen=True, eq=False)
class Look:
    """What a model sees in one image; H and W count its patches.

    Attributes:
        picture: What the model saw of it, uint8 (h, w, 3).
        tokens: Unit tokens, float32 (H, W, D).
        artefacts: How many tokens were so long that they say nothing of their place, and took their neighbours' mean.
        colours: uint8 (H, W, 3): similar patches have similar colours, in all images that share a basis.
        foreground: What stands out from the ground, (H, W), or of a bundled model (2 H, 2 W).
        parts: Number of the part that each patch belongs to (H, W).
        attention: Where the last block's CLS token looks, the mean of its heads, float32 (H, W); None where the model
            does not tell.
        heads: The attention of CLS and registers by head (heads, 1 + registers, H, W), or None.
        basis: Digest of the basis of the colours.
    """

    picture: NDArray[np.uint8]
    tokens: NDArray[np.float32]
    artefacts: int
    colours: NDArray[np.uint8]
    foreground: Foreground
    parts: NDArray[np.int64]
    attention: NDArray[np.float32] | None
    heads: NDArray[np.float32] | None
    basis: str


def look_at(
    encoder: Encoder, images: Sequence[Picture], *, resolution: int | None = None, scheme: Scheme | None = None
) -> list[Look]:
    """Return what a model sees in some images, in colours and parts that they share.

    Args:
        encoder: The model.
        images: See ``Encoder.square``.
        resolution: See ``Encoder.look``.
        scheme: Colours and parts; by default these images' own.

    Raises:
        ImageError, InputError, ModelError: See ``Encoder.look``.
    """
    if not images:
        raise InputError("there is no image to look at: pass at least one")
    seen = [_see(encoder, image, resolution) for image in images]
    units = [unit_tokens(each.tokens) for each in seen]
    shared = scheme or make_scheme([tokens for tokens, _ in units])
    return [
        Look(
            each.picture,
            tokens,
            artefacts,
            patch_colours(tokens, shared.basis),
            find_foreground(tokens, finer=each.finer),
            nearest_part(tokens, shared.parts),
            None if each.attention is None else each.attention[:, 0].mean(axis=0),
            each.attention,
            shared.basis.digest,
        )
        for each, (tokens, artefacts) in zip(seen, units, strict=True)
    ]


def _see(encoder: Encoder, image: Picture, resolution: int | None) -> Seen:
    try:
        return encoder.look(image, resolution)
    except ImageError as error:
        name = os.fspath(image) if isinstance(image, str | os.PathLike) else "the image"
        raise ImageError(f"{name}: {error}") from None


def make_scheme(tokens: Sequence[NDArray[np.float32]]) -> Scheme:
    """Find the colours and parts that images share, of their unit tokens (H, W, D)."""
    return Scheme(fit_basis(tokens), find_parts(tokens, PARTS))


def find_scheme(
    collection: OpenedCollection,
    *,
    resolution: int | None = None,
    weights: str | None = None,
    encoder: Callable[[], Encoder] | None = None,
) -> Scheme:
    """Return the colours and parts of a collection, found in 100 of its images and kept.

    The model looks at the thumbnails of these images, unless their tokens are kept. Both give the same scheme.
    See ``Collection.patch_scheme``.
    """
    positions = _scheme_positions(collection)
    load = encoder or (lambda: patch_encoder(collection, resolution, weights))

    def compute() -> Scheme:
        tokens = kept_tokens(collection, positions, load, resolution)
        if tokens is None:
            look_at_one = partial(look_at_tokens, load(), resolution=resolution)
            tokens = in_threads(look_at_one, collection.thumbnails(positions))
        return make_scheme([each.astype(np.float32) for each in tokens])

    return collection.results.keep("patches", _scheme_settings(resolution, len(positions)), Scheme, compute)


def has_scheme(collection: OpenedCollection) -> bool:
    """Tell whether the colours and parts of a collection are kept, at its usual resolution."""
    settings = _scheme_settings(None, len(_scheme_positions(collection)))
    return settings in collection.results.stored("patches")


def scheme_looks(collection: OpenedCollection) -> NDArray[np.int64]:
    """Return the positions of the images that the model has to look at before ``find_scheme`` can answer."""
    positions = _scheme_positions(collection)
    is_ready = has_scheme(collection) or has_tokens(collection, positions)
    return positions[:0] if is_ready else positions


def _scheme_positions(collection: OpenedCollection) -> NDArray[np.int64]:
    spread = np.linspace(0, len(collection) - 1, min(len(collection), SCHEME_IMAGES))
    return np.unique(spread.round().astype(np.int64))


def _scheme_settings(resolution: int | None, images: int) -> JsonObject:
    return {"resolution": resolution, "images": images, "parts": PARTS}


def look(
    collection: OpenedCollection,
    queries: Sequence[Query],
    *,
    resolution: int | None = None,
    weights: str | None = None,
    encoder: Encoder | None = None,
) -> list[Look]:
    """Return what the model of a collection sees in images, in the colours and parts of the collection.

    See ``Collection.look``.
    """
    pictures = [
        collection.thumbnails([collection.position(int(query))])[0] if isinstance(query, int | np.integer) else query
        for query in queries
    ]
    model = encoder or patch_encoder(collection, resolution, weights)
    scheme = find_scheme(collection, resolution=resolution, encoder=lambda: model)
    return look_at(model, pictures, resolution=resolution, scheme=scheme)
