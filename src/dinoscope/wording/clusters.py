"""What a cluster is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from dinoscope.analysis.explain.explanation import Trait
from dinoscope.analysis.explain.properties import in_a_word

__all__ = ["cluster_names"]

_MOST = 0.5  # share of a cluster's images from which a label names it
_WORDS = 2  # traits that name a cluster


def cluster_names(
    clusters: Sequence[int], labels: Sequence[str | None], traits: Sequence[Sequence[Trait]]
) -> list[str]:
    """Call each cluster by its label, else by what sets it apart, else by its number; no two have one name.

    Args:
        clusters: Cluster of each image (N,), counted from 0, -1 for none.
        labels: Label of each image (N,), None for none.
        traits: Of each cluster what sets it apart, the strongest first; see ``find_traits``.

    Returns:
        A name for each cluster: "mostly dress", "dark, low contrast", or "Cluster 3".
    """
    sizes = Counter(clusters)
    held: dict[int, Counter[str]] = {}
    for number, label in zip(clusters, labels, strict=True):
        if label is not None:
            held.setdefault(number, Counter())[label] += 1

    def named(number: int) -> str:
        label, count = max(held.get(number, Counter()).items(), key=lambda each: each[1], default=("", 0))
        return f"mostly {label}" if count >= _MOST * sizes[number] else ""

    def described(number: int) -> str:
        return ", ".join(in_a_word(each.name, each.superiority) for each in traits[number][:_WORDS])

    names = [named(number) or described(number) or f"Cluster {number}" for number in range(len(traits))]
    names = _apart(names, lambda at: f"{names[at]}, {described(at)}" if named(at) and described(at) else names[at])
    return _apart(names, lambda at: f"{names[at]} ({at})")


def _apart(names: list[str], other: Callable[[int], str]) -> list[str]:
    """Give those that share their name another one."""
    counts = Counter(names)
    return [other(at) if counts[name] > 1 else name for at, name in enumerate(names)]
