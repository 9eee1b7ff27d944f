"""What the figures of a map, of clusters and of labels mean: each one, and all of them in three sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dinoscope.analysis.maps.quality import MapQuality
from dinoscope.analysis.scores import MAP_MEANINGS

__all__ = ["Judgement", "judge", "map_figures"]

Tone = Literal["good", "middling", "bad", "unknown"]
_TONES: tuple[Tone, ...] = ("bad", "middling", "good")
_MAP: dict[Tone, str] = {
    "good": "You can trust the groups on this map: it keeps {:.0%} of each image's nearest neighbours close.",
    "middling": "Trust this map in part: it keeps {:.0%} of each image's nearest neighbours close.",
    "bad": "Do not rely on this map: it keeps only {:.0%} of each image's nearest neighbours close.",
    "unknown": "There are too few images to judge this map.",
}
_CLUSTERS: dict[Tone, str] = {
    "good": "The clusters are clearly apart from each other.",
    "middling": "The clusters overlap: take them as tendencies, not as groups with a border.",
    "bad": "The clusters mean little: images are hardly closer to their own cluster than to the next one.",
    "unknown": "The clusters have not been judged.",
}
_LABELS: dict[Tone, str] = {
    "good": "Your labels agree with what the model sees: neighbours name {:.0%} of the images correctly.",
    "middling": "Your labels agree partly with what the model sees: neighbours name {:.0%} of the images correctly.",
    "bad": "The model hardly sees your labels: neighbours name only {:.0%} of the images correctly.",
    "unknown": "Labels are not scored: that takes two labels or more, and one label per image.",
}


@dataclass(frozen=True)
class Judgement:
    """What the figures of one thing come to.

    Attributes:
        about: What is judged.
        tone: Whether that is good.
        text: The same as a sentence.
    """

    about: Literal["map", "clusters", "labels"]
    tone: Tone
    text: str


def judge(values: Mapping[str, float]) -> list[Judgement]:
    """Say in a sentence each: can the map be trusted, do the clusters mean something, does the model see the labels.

    Args:
        values: Name of a score -> its value; see ``analysis.scores``. Where one is missing, nothing is known.
    """
    kept, trust = values.get("map: neighbours kept"), values.get("map: trustworthiness")
    apart, named = values.get("clusters: silhouette in the embedding"), values.get("labels: k-NN accuracy")
    # a map of photographs keeps a third to a half of the neighbours: no reason to call it faithful
    of_map = min(_level(kept, 0.5, 0.2), _level(trust, 0.95, 0.8))
    return [
        Judgement("map", _tone(of_map), _MAP[_tone(of_map)].format(kept)),
        Judgement("clusters", tone := _tone(_level(apart, 0.25, 0.08)), _CLUSTERS[tone]),
        Judgement("labels", tone := _tone(_level(named, 0.8, 0.5)), _LABELS[tone].format(named)),
    ]


def _level(value: float | None, good: float, middling: float) -> int:
    return -1 if value is None else (value >= good) + (value >= middling)


def _tone(level: int) -> Tone:
    return "unknown" if level < 0 else _TONES[level]


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
