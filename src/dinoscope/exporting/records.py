"""What is exported of a collection: its images with their labels, splits and columns, and their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from dinoscope.columns.names import free_name
from dinoscope.errors import CollectionError, InputError
from dinoscope.filing.names import folder_names
from dinoscope.stages.clusters import find_clusters
from dinoscope.stages.columns import public_columns
from dinoscope.stages.labels import predict_labels
from dinoscope.stages.originals import ending_of

if TYPE_CHECKING:
    from dinoscope.columns.kinds import Column
    from dinoscope.stages.opened import OpenedCollection
    from dinoscope.stages.originals import Originals

__all__ = ["Records"]

_SIZES = ("width", "height")
_IN_FORMS = ("image", "labels", "vector")  # columns that a form has of its own
_WHOLE_THUMBNAIL = 64  # pixels of the longest side of an image that is its own thumbnail


@dataclass(frozen=True)
class Records:
    """The images of a collection as they are exported.

    Attributes:
        collection: The collection.
        originals: Where their pictures are; None: those that are small enough are stored in the collection.
        clusters: Whether to write the cluster of each image.
        predictions: Whether to write what its labelled neighbours say about it.
        vectors: Whether to write its vector.
        private: Whether to write private columns.
    """

    collection: OpenedCollection
    originals: Originals | None = None
    clusters: bool = False
    predictions: bool = False
    vectors: bool = False
    private: bool = False

    @cached_property
    def classes(self) -> list[str]:
        """All labels, sorted."""
        found = {str(each) for each in self.collection.labels if each is not None}
        return sorted(found.union(*self.collection.label_sets))

    @cached_property
    def has_splits(self) -> bool:
        """Whether any image has a split."""
        return any(each is not None for each in self.collection.splits)

    @property
    def several(self) -> bool:
        """Whether images may have several labels."""
        return any(self.collection.label_sets)

    def labels(self, at: int) -> list[str]:
        """Return the labels of an image."""
        one = self.collection.labels[at]
        return list(self.collection.label_sets[at]) or ([] if one is None else [str(one)])

    def by_split(self, without: str, *, plain: bool = False) -> dict[str, list[int]]:
        """Return the images of each split, by a name that a file can have; ``without`` is that of those in none.

        With ``plain`` it is of letters, digits, dots and underscores.
        """
        found: dict[str, list[int]] = {}
        for at, split in enumerate(self.collection.splits):
            found.setdefault(without if split is None else str(split), []).append(at)
        names = folder_names(found, plain=plain) | {"": ""}
        return {names[split]: positions for split, positions in found.items()}

    def columns(self) -> dict[str, list[object]]:
        """Return the columns of a table of all images, each (N,), except for the vectors."""
        held = self.collection
        sizes = held.sizes
        columns: dict[str, list[object]] = {"row": held.rows.tolist(), "id": held.ids.tolist()}
        columns["label"] = [" | ".join(self.labels(at)) or None for at in range(len(held))]
        columns |= {"split": held.splits.tolist(), "width": sizes[:, 0].tolist(), "height": sizes[:, 1].tolist()}
        if any(held.captions):
            columns["caption"] = held.captions.tolist()
        if self.clusters:
            columns["cluster"] = [None if each < 0 else each for each in find_clusters(held).labels.tolist()]
        if self.predictions:
            said = predict_labels(held)
            columns["predicted"] = said.labels.tolist()
            columns["probability"] = np.round(said.probabilities, 4).tolist()
        taken = {*columns, *_IN_FORMS}
        for name, column in public_columns(held, private=self.private).items():
            if name in _SIZES and name not in held.columns_of_source:  # of the file, as above
                continue
            free = free_name(name, "column", taken)
            taken.add(free)
            columns[free] = _plain_values(column)
        return columns

    def lines(self) -> list[dict[str, object]]:
        """Return what is known about each image (N,), without missing values."""
        columns = self.columns()
        names = list(columns)
        return [
            {name: value for name, value in zip(names, line, strict=True) if value is not None}
            for line in zip(*columns.values(), strict=True)
        ]

    def check_single(self, form: str) -> None:
        """Refuse a form in which an image has one label, where images have several, or none has one.

        Raises:
            InputError: If that is so.
        """
        if self.several:
            raise InputError(f"images have several labels each, and {form} holds one: export as coco or huggingface")
        if not self.classes:
            raise InputError(f"no image of {self.collection.path} has a label, and {form} is made of labels")

    def pictures(self, positions: list[int]) -> Iterator[tuple[int, str, bytes]]:
        """Yield the position of each image, a name for its file that no other has, and its bytes.

        Raises:
            InputError: If there are no pictures, or one is not in the source any more.
        """
        held = self.collection
        if self.originals is None and held.sizes.max(initial=1) > _WHOLE_THUMBNAIL:
            raise InputError(
                "the collection holds small copies of its pictures: name the folder, archive or table that it was made "
                "of by --images"
            )
        for at in positions:
            name = str(held.ids[at])
            picture = held.thumbnails([at])[0] if self.originals is None else self.originals.file(held, at)
            if picture is None:
                raise CollectionError(
                    f"{name} is not in the source of --images as it was embedded: run 'dinoscope embed' again first"
                )
            # the name of an array's image is its number, and a thumbnail is always a PNG
            ending = ".png" if self.originals is None else ending_of(picture, name)
            yield at, f"{held.rows[at]:06d}-{_plain(PurePosixPath(name).stem)}{ending}", picture


def _plain_values(column: Column) -> list[object]:
    """Return values as JSON and spreadsheets have them; a date is a text."""
    if column.kind == "date":
        return list(column.texts)
    known = column.values.astype(bool) if column.kind == "boolean" else column.values
    return [None if gone else value for gone, value in zip(column.missing, known.tolist(), strict=True)]


def _plain(stem: str) -> str:
    """Return a part of a name that every tool takes: a dot begins what WebDataset holds for an ending."""
    kept = "".join(each if each.isalnum() and each.isascii() else "-" for each in stem)
    return Path(kept[:60]).name or "image"
