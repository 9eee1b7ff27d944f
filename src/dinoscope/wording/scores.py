"""What is told of the figures of a map."""

from __future__ import annotations

from dinoscope.analysis.maps.quality import MapQuality
from dinoscope.analysis.scores import MAP_MEANINGS

__all__ = ["map_figures"]


def map_figures(quality: MapQuality) -> list[tuple[str, float, str]]:
    """Return name, value and meaning of each figure of a map; those of labels only where there are any."""
    values = {
        "trustworthiness": quality.trustworthiness,
        "continuity": quality.continuity,
        "neighbours kept": quality.neighbors_kept,
        "rank correlation": quality.rank_correlation,
        "silhouette on the map": quality.silhouette_map,
        "silhouette in the embedding": quality.silhouette_embedding,
    }
    ranks = f"{quality.k} nearest"
    return [
        (name, value, MAP_MEANINGS[name].format(k=quality.k if name == "neighbours kept" else ranks))
        for name, value in values.items()
        if value is not None
    ]
