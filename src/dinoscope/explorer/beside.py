"""Another model's map beside the one that is shown, and the images whose neighbours the two models see differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from dinoscope.analysis.maps.alignment import best_turn
from dinoscope.explorer.model_view import MapScale, ModelData, standard_maps
from dinoscope.explorer.types import MapName, ModelInfo, Moved, MovedImage, PartnerInfo
from dinoscope.stages.overlap import model_overlap, shared_images

__all__ = ["moved", "partner_infos", "places_beside"]

_NEIGHBORS = 10
_MOST_MOVED = 500  # images that a page is sent


def partner_infos(found: Sequence[tuple[str, ModelInfo, str]]) -> list[PartnerInfo]:
    """Describe, for the page, the models whose maps it can show beside another's.

    Args:
        found: What names each, the model, and the name of the collection that it belongs to if it is another one.
    """
    titles = [_title(model, collection) for _, model, collection in found]
    told = Counter(titles)
    maps = [MapName(id=name, title=title) for name, title in standard_maps().items()]
    return [
        PartnerInfo(id=key, title=title if told[title] == 1 else f"{title}, {model.resolution} px", maps=maps)
        for (key, model, _), title in zip(found, titles, strict=True)
    ]


def _title(model: ModelInfo, collection: str) -> str:
    said = [model.name, "" if model.focus == "image" else model.focus, "" if model.pooling == "cls" else model.pooling]
    title = ", ".join(filter(None, said))
    return f"{collection}: {title}" if collection else title


def places_beside(
    data: ModelData, map_id: str, other: ModelData, other_map: str, on_progress: Callable[[int, int], None]
) -> NDArray[np.float32]:
    """Return another model's map (N, 2), turned and mirrored onto a map of this one, from -1 to 1.

    Images that the other model has no vector of have NaN.

    Raises:
        Unknown: If there is no such map.
        InputError: If the two share fewer than two images.
    """
    shared = shared_images(data.collection, other.collection)
    fixed, moved = data.coordinates(map_id, on_progress), other.coordinates(other_map, on_progress)
    turned = moved @ best_turn(fixed[shared.positions], moved[shared.others])
    places = np.full((len(data.collection), 2), np.nan, "<f4")
    own = turned[shared.others].astype(np.float32)
    places[shared.positions] = MapScale.of(own).apply(own)
    return places


def moved(data: ModelData, other: ModelData) -> Moved:
    """Return how many neighbours two models share, and the images whose neighbours changed most.

    Raises:
        InputError: If the two share fewer than two images.
    """
    found = model_overlap(data.collection, other.collection, _NEIGHBORS)
    shared, near = found.shared, found.neighbors
    rows = data.collection.rows[shared.positions]
    return Moved(
        k=near.k,
        shared=near.shared,
        chance=near.shared_by_chance,
        images=len(shared),
        only_here=len(data.collection) - len(shared),
        only_there=len(other.collection) - len(shared),
        moved=[
            MovedImage(
                row=int(rows[at]),
                kept=round(near.k * float(near.kept[at])),
                here=rows[near.first[at]].tolist(),
                there=rows[near.second[at]].tolist(),
            )
            for at in near.order[:_MOST_MOVED].tolist()
        ],
    )
