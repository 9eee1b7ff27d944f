"""How ``dinoscope diff`` describes the difference between two collections: names, words, and records for files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dinoscope.stages.difference import difference, label_changes, same_pictures
from dinoscope.stages.neighbors import nearest

if TYPE_CHECKING:
    from dinoscope.analysis.difference import Difference, ShareChange
    from dinoscope.plots.sheets import Frame, Tile
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["KINDS", "Both", "Kind", "Strange", "Told", "find"]

Kind = Literal["new", "gone"]
KINDS: tuple[Kind, ...] = ("new", "gone")
_EVIDENCE = 3  # images shown beside a finding


def find(before: OpenedCollection, after: OpenedCollection, *, k: int | None, false_share: float) -> Told:
    """Find the difference, see ``Collection.difference``, and what to say about it."""
    found = difference(before, after, k=k, false_share=false_share)
    return Told(Both(before, after), found, label_changes(before, after), false_share)


@dataclass(frozen=True, eq=False)
class Both:
    """Two collections, whose positions count through both."""

    before: OpenedCollection
    after: OpenedCollection

    def __iter__(self) -> Iterator[OpenedCollection]:
        return iter((self.before, self.after))

    @cached_property
    def names(self) -> tuple[str, str]:
        """The folders' names, by the folders above them where they are the same."""
        paths = [each.path.resolve() for each in self]
        parts = next((n for n in range(1, 9) if paths[0].parts[-n:] != paths[1].parts[-n:]), 1)
        first, second = ("/".join(path.parts[-parts:]) for path in paths)
        return first, second

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """Vectors of both (N + M, D)."""
        return np.concatenate([each.vectors for each in self])

    def at(self, position: int) -> tuple[OpenedCollection, int]:
        """Return where a position is: the collection, and the position there."""
        cut = len(self.before)
        return (self.before, position) if position < cut else (self.after, position - cut)

    def thumbnails(self, positions: Sequence[int]) -> list[bytes]:
        """Return the small pictures at positions."""
        asked, cut = np.asarray(positions), len(self.before)
        first, second = np.flatnonzero(asked < cut), np.flatnonzero(asked >= cut)
        found = dict(zip(first.tolist(), self.before.thumbnails(asked[first]), strict=True))
        found |= zip(second.tolist(), self.after.thumbnails(asked[second] - cut), strict=True)
        return [found[at] for at in range(len(asked))]

    def who(self, position: int) -> dict[str, object]:
        """Return which image is at a position, for files."""
        opened, own = self.at(position)
        side = "before" if opened is self.before else "after"
        return {
            "side": side,
            "row": int(opened.rows[own]),
            "id": opened.ids[own],
            "label": opened.labels[own],
            "split": opened.splits[own],
        }

    def name(self, position: int) -> str:
        """Return what to call the image at a position."""
        opened, own = self.at(position)
        return f"{opened.ids[own]} (row {opened.rows[own]})"

    def tile(self, position: int, frame: Frame = "none") -> Tile:
        """Return the picture at a position with its id and label below."""
        from dinoscope.plots.sheets import Tile

        opened, own = self.at(position)
        return Tile(position, (opened.ids[own], self.label(position)), frame)

    def label(self, position: int) -> str:
        """Return the label of the image at a position, or nothing."""
        opened, own = self.at(position)
        return opened.label_text(own)


@dataclass(frozen=True)
class Strange:
    """What is new, or gone: a sentence, the positions to show, on which side, beside which, and whether for certain."""

    heading: str
    positions: list[int]
    here: str
    there: str
    certain: bool


@dataclass(frozen=True, eq=False)
class Told:
    """What there is to tell, in words and records."""

    both: Both
    found: Difference
    labels: dict[str, ShareChange]
    false_share: float

    @cached_property
    def changed_clusters(self) -> list[int]:
        """Clusters whose share changed, the one that moved most images first."""
        changes = self.found.changes
        return sorted(
            (at for at, each in enumerate(changes) if each.changed),
            key=lambda at: -abs(changes[at].share_after - changes[at].share_before),
        )

    @cached_property
    def in_both(self) -> NDArray[np.int64]:
        """Position of the same picture on the other side (N + M,), -1 where there is none; by far the slowest step."""
        partner = np.full(len(self.found.clusters), -1)
        cut = len(self.both.before)
        for leak in same_pictures(self.both.before, self.both.after, self.found.graph):
            sides = [[at for at in leak.positions if (at < cut) == first] for first in (True, False)]
            partner[sides[0]], partner[sides[1]] = sides[1][0], sides[0][0]
        return partner

    @property
    def kinds(self) -> NDArray[np.int64]:
        """What each image is (N + M,), for the map: 0 of BEFORE, 1 of AFTER, 2 new, 3 gone."""
        kinds = np.repeat([0, 1], self.found.counts)
        kinds[self.found.new], kinds[self.found.gone] = 2, 3
        return kinds

    def nearest(self, position: int, count: int = _EVIDENCE) -> list[int]:
        """Return the positions of what is most like an image on the other side."""
        cut = len(self.both.before)
        opened, own = self.both.at(position)
        others, start = (self.both.after, cut) if position < cut else (self.both.before, 0)
        found, _ = nearest(others, opened.vectors[own], count)
        return [int(at) + start for at in found]

    def members(self, cluster: int, count: int) -> list[int]:
        """Return the positions of a cluster's members that are nearest to its medoid."""
        own = np.flatnonzero(self.found.clusters == cluster)
        vectors = self.both.vectors
        order = np.argsort(-(vectors[own] @ vectors[self.found.medoids[cluster]]), kind="stable")
        return [int(at) for at in own[order[:count]]]

    def tally(self, cluster: int) -> str:
        """Return the commonest two labels of a cluster, where they are more than one in a hundred."""
        own = np.flatnonzero(self.found.clusters == cluster).tolist()
        counts = Counter(label for label in map(self.both.label, own) if label)
        return ", ".join(
            f"{name} {count / len(own):.0%}" for name, count in counts.most_common(2) if count > len(own) / 100
        )

    def facts(self) -> dict[str, object]:
        """Return everything for programs."""
        found, both = self.found, self.both
        return {
            "before": {
                "images": len(both.before),
                "in_both": self.count_in_both[0],
                "gone_share": found.gone_share,
                "gone_error": found.gone_error,
            },
            "after": {
                "images": len(both.after),
                "in_both": self.count_in_both[1],
                "new_share": found.new_share,
                "new_error": found.new_error,
            },
            "model": both.before.model["model"],
            "separation": found.separation,
            "p_value": found.p_value,
            "new": [self.record(at) for at in found.new.tolist()],
            "gone": [self.record(at) for at in found.gone.tolist()],
            "clusters": self.cluster_records(),
            "labels": [{"label": name, **vars(change)} for name, change in self.labels.items()],
        }

    def record(self, position: int) -> dict[str, object]:
        """Return what is known about one image."""
        partner = int(self.in_both[position])
        return {
            **self.both.who(position),
            "familiarity": round(float(self.found.familiarity[position]), 6),
            "cluster": int(self.found.clusters[position]),
            "same_row": None if partner < 0 else self.both.who(partner)["row"],
        }

    def cluster_records(self) -> list[dict[str, object]]:
        """Return the clusters with their changes."""
        rows = []
        for at, (medoid, change) in enumerate(zip(self.found.medoids.tolist(), self.found.changes, strict=True)):
            example = {f"example_{key}": value for key, value in self.both.who(medoid).items() if key != "split"}
            rows.append({"cluster": at, **vars(change), "labels": self.tally(at), **example})
        return rows

    @cached_property
    def count_in_both(self) -> tuple[int, int]:
        """Images of either side whose picture the other side has, too."""
        cut = len(self.both.before)
        return int((self.in_both[:cut] >= 0).sum()), int((self.in_both[cut:] >= 0).sum())

    # --- words ------------------------------------------------------------------------------------------------------

    @property
    def of_one_kind(self) -> str:
        """Say how far the two collections keep apart."""
        found = self.found
        if found.p_value > 0.05:
            verdict = "no more apart than one collection split at random"
        elif found.separation < 0.1:
            verdict = "largely mixed"
        else:
            verdict = "apart" if found.separation > 0.5 else "partly apart"
        return (
            f"separation: {found.separation:.2f} (0: like one collection split at random, 1: nothing in common; "
            f"p {found.p_value:.3f}): {verdict}"
        )

    def strange(self, kind: Kind) -> Strange:
        """Return what is new, or gone; where none is certain but some must be, the likeliest."""
        found, (before, after), cut = self.found, self.both.names, len(self.both.before)
        if kind == "new":
            here, there, own = after, before, np.arange(cut, len(found.clusters))
            listed, share, error = found.new, found.new_share, found.new_error
        else:
            here, there, own = before, after, np.arange(cut)
            listed, share, error = found.gone, found.gone_share, found.gone_error
        likely = round(share * len(own)) if share > 2 * error else 0
        if likely:
            margin = round(2 * error * len(own))
            about = f"about {likely:,} of {len(own):,} images of {here}, give or take {margin:,}, "
            about += f"are unlike anything in {there}"
        else:
            about = f"no more of the {len(own):,} images of {here} are unlike those of {there} than chance explains"
        if len(listed):
            sure = f"{len(listed):,} are listed, on average at most {self.false_share:.0%} of them wrongly"
            shown = listed
        else:
            shown = own[np.argsort(-found.strangeness[own], kind="stable")][:likely]
            sure = "none is certain; these are the most likely ones" if likely else "none is certain"
        return Strange(f"{kind}: {about}; {sure}", [int(at) for at in shown], here, there, bool(len(listed)))
