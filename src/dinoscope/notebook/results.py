"""Results that a notebook shows with their pictures. Each is the result itself, and knows its collection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from dinoscope.analysis.clusters.clustering import Clustering
from dinoscope.analysis.labels.evaluation import Evaluation
from dinoscope.analysis.scores import Score
from dinoscope.base.text import counted
from dinoscope.notebook.images import tiles_of
from dinoscope.notebook.pieces import heading, sentence, strip, table
from dinoscope.stages.cleaning.findings import Findings
from dinoscope.stages.queries.patches import Look
from dinoscope.wording.labels import tell_calibration

if TYPE_CHECKING:
    from dinoscope.stages.opened import OpenedCollection

__all__ = ["Scores", "ShownClustering", "ShownEvaluation", "ShownFindings", "ShownLook", "shown"]

_MOST = 30  # clusters or labels of a table
_MEMBERS = 7  # pictures of a cluster: a line of the docs page
_EACH = 7  # findings of a kind
Result = TypeVar("Result")


def shown(kind: type[Result], result: object, collection: OpenedCollection) -> Result:
    """Return a result as the class of it that a notebook can show; all values are shared."""
    copy = object.__new__(kind)
    vars(copy).update(vars(result), _collection=collection)
    return copy


class Scores(list[Score]):
    """Scores; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        return table(("score", "value", "meaning"), [(each.name, float(each.value), each.meaning) for each in self])


class ShownClustering(Clustering):
    """Clusters; a notebook shows the middle of each and what lies nearest to it."""

    _collection: OpenedCollection

    def __repr__(self) -> str:
        return (
            f"Clustering({counted(len(self.medoids), 'cluster')} of {counted(len(self.labels), 'image')}, "
            f"silhouette {self.silhouette:.3f})"
        )

    def _repr_html_(self) -> str:
        collection = self._collection
        sizes = np.bincount(self.labels, minlength=len(self.medoids))
        parts = [sentence(f"{counted(len(sizes), 'cluster')}, silhouette {self.silhouette:.3f}")]
        for number in np.argsort(-sizes, kind="stable")[:_MOST].tolist():
            members = np.flatnonzero(self.labels == number)
            middle = int(self.medoids[number])
            near = members[np.argsort(-(collection.vectors[members] @ collection.vectors[middle]), kind="stable")]
            parts.append(heading(f"Cluster {number}", counted(len(members), "image")))
            parts.append(_strip(collection, {at: (collection.label_text(at),) for at in near[:_MEMBERS].tolist()}))
        if len(sizes) > _MOST:
            parts.append(sentence(f"and {counted(len(sizes) - _MOST, 'smaller cluster')}"))
        return "".join(parts)


class ShownEvaluation(Evaluation):
    """How well labels are found; a notebook shows it in sentences and a table."""

    _collection: OpenedCollection

    def __repr__(self) -> str:
        return f"Evaluation(accuracy {self.accuracy:.3f} of {counted(len(self.positions), 'image')}, {self.method})"

    def _repr_html_(self) -> str:
        low, high = self.interval
        images = counted(len(self.positions), "image")
        told = sorted((each for each in self.labels if each.images), key=lambda each: -each.images)
        rows = [(str(each.label), int(each.images), float(each.precision), float(each.recall)) for each in told]
        said = [
            f"{self.accuracy:.1%} of {images} get their label from their neighbours "
            f"(95% interval {low:.1%} to {high:.1%}).",
            f"Sets of labels hold the right one in {self.coverage:.0%} of cases; asked for: {self.set_level:.0%}.",
            f"Calibration: {self.calibrated.error:.3f}, {tell_calibration(self)}.",
        ]
        left = [sentence(f"and {counted(len(rows) - _MOST, 'further label')}")] if len(rows) > _MOST else []
        parts = [*map(sentence, said), table(("label", "images", "precision", "recall"), rows[:_MOST]), *left]
        return "".join(parts)


class ShownFindings(Findings):
    """What to look at; a notebook shows the first findings of each kind."""

    _collection: OpenedCollection

    def __repr__(self) -> str:
        return f"Findings({', '.join(self._counts())})"

    def _counts(self) -> Iterable[str]:
        yield counted(len(self.duplicates.groups), "group") + " of duplicates"
        yield counted(len(self.leaks), "leak")
        yield counted(len(self.outliers.positions), "outlier")
        if self.label_errors is not None:
            yield counted(len(self.label_errors), "label") + " to check"

    def _repr_html_(self) -> str:
        collection = self._collection
        parts = [sentence(", ".join(self._counts()))]
        groups = list(zip(self.duplicates.groups, self.duplicates.scores, strict=True))[:_EACH]
        if groups:
            parts.append(heading("Duplicates", "the same picture, the most similar first"))
        for group, score in groups:
            told = {at: (f"{score:.2f}", collection.label_text(at)) for at in group[:_MEMBERS]}
            parts.append(_strip(collection, told))
        if self.leaks:
            parts.append(heading("Leaks", "the same picture in two splits"))
        for leak in self.leaks[:_EACH]:
            told = {at: (str(collection.splits[at]), collection.label_text(at)) for at in leak.positions[:_MEMBERS]}
            parts.append(_strip(collection, told))
        odd = self.outliers
        if len(odd.positions):
            first = odd.positions[:_EACH].tolist()
            told = {at: (f"{odd.factors[at]:.1f} times", collection.label_text(at)) for at in first}
            parts.append(heading("Outliers", "how many times farther from their nearest images than those are"))
            parts.append(_strip(collection, told))
        errors = self.label_errors
        if errors is not None and len(errors):
            others = zip(errors.positions[:_EACH].tolist(), errors.suggested.tolist(), strict=False)
            told = {at: (collection.label_text(at), f"or {other}?") for at, other in others}
            parts.append(heading("Labels to check", "the label, and what the neighbours say"))
            parts.append(_strip(collection, told))
        return "".join(parts)


class ShownLook(Look):
    """What the model sees in an image; a notebook shows the image beside its layers."""

    _collection: OpenedCollection

    def _told(self) -> str:
        rows, columns = self.tokens.shape[:2]
        ground = f"foreground {self.foreground.mask.mean():.0%}, " + ("clear" if self.foreground.clear else "unclear")
        return f"{columns} x {rows} patches, {ground}"

    def __repr__(self) -> str:
        return f"Look({self._told()})"

    def _repr_png_(self) -> bytes:
        from dinoscope.plots.patches import draw_layers, layers_of

        title = f"What {self._collection.model['model']} sees"
        return draw_layers(
            title, "similar patches have similar colours, in all images", [(self._told(), layers_of(self))]
        )


def _strip(collection: OpenedCollection, captions: Mapping[int, tuple[str, ...]]) -> str:
    return strip(tiles_of(collection, captions))
