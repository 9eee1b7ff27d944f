"""What the model of a collection sees in an image, patch by patch, in colours and parts that are the same for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from dinoscope.errors import ImageError, InputError
from dinoscope.sources.pixels.decode import Picture, Query
from dinoscope.stages.queries.search import load_encoder

if TYPE_CHECKING:
    from dinoscope.base.types import Columns
    from dinoscope.models.encoder import Encoder
    from dinoscope.models.patches import Seen
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.results.kept import Computed

__all__ = [
    "SCHEME_IMAGES",
    "Look",
    "Scheme",
    "find_scheme",
    "kept_colours",
    "look",
    "look_at",
    "make_scheme",
    "patch_encoder",
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
    """Return the colours and parts of a collection, found in the thumbnails of 100 of its images and kept.

    See ``Collection.patch_scheme``.
    """
    positions = np.unique(np.linspace(0, len(collection) - 1, min(len(collection), SCHEME_IMAGES)).round().astype(int))

    def compute() -> Scheme:
        model = encoder() if encoder else patch_encoder(collection, resolution, weights)
        seen = (model.look(picture, resolution) for picture in collection.thumbnails(positions))
        return make_scheme([unit_tokens(each.tokens)[0] for each in seen])

    settings = {"resolution": resolution, "images": len(positions), "parts": PARTS}
    return collection.results.keep("patches", settings, Scheme, compute)


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


def kept_colours(collection: OpenedCollection, positions: Sequence[int]) -> list[NDArray[np.uint8]]:
    """Return the colours of the patches of images, each (H, W, 3), as ``look`` finds them; looked at once and kept.

    Args:
        collection: The collection.
        positions: Positions of the images.

    Raises:
        DinoscopeError: See ``look``.
    """

    def compute() -> Computed:
        found = [each.colours for each in look(collection, [int(collection.rows[at]) for at in positions])]
        shapes = np.array([each.shape[:2] for each in found], np.int64).reshape(-1, 2)
        return {"rows": shapes[:, 0], "across": shapes[:, 1], "colours": [each.tobytes() for each in found]}, {}

    def read(columns: Columns) -> list[NDArray[np.uint8]]:
        lines = zip(columns["rows"], columns["across"], columns["colours"], strict=True)
        return [np.frombuffer(held, np.uint8).reshape(rows, across, 3) for rows, across, held in lines]

    def check(stored: Computed) -> None:
        try:
            found = read(stored[0])
        except (KeyError, TypeError) as error:
            raise ValueError("it holds no colours") from error
        if len(found) != len(positions) or not all(each.size for each in found):
            raise ValueError("it is not of these images")

    return read(collection.results.run("seen", {"images": list(positions)}, compute, check=check)[0])


def patch_encoder(collection: OpenedCollection, resolution: int | None, weights: str | None = None) -> Encoder:
    """Return the model of a collection, loaded for another resolution where one is asked for.

    Raises:
        DownloadError, InputError, ModelError: See ``Encoder.from_description``.
    """
    from dinoscope.models.catalogue import MODELS
    from dinoscope.models.encoder import Encoder

    row = MODELS.get(str(collection.model["model"]))
    if resolution is None or (row is not None and row.family == "bundled"):
        return load_encoder(collection, weights)
    return collection.held(
        ("encoder", weights, resolution),
        lambda: Encoder.from_description(
            collection.model, weights=weights, decoding=collection.decoding, resolution=resolution
        ),
    )
