"""The command line's `search`: look-alikes of one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli_options import CollectionPath, JsonOption, ModelOption, open_collection
from dinoscope.cli_publish import LabelOption, NameOption, OnOption, SplitOption
from dinoscope.errors import ImageError, InputError

if TYPE_CHECKING:
    from dinoscope.collection import Collection

__all__ = ["search"]

_NAMED = 10  # labels in a message


def search(
    collection: CollectionPath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A row number, or any image file.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Number of answers.")] = 10,
    model: ModelOption = None,
    weights: Annotated[str | None, typer.Option(help="Where the weights are, if --model was a file or folder.")] = None,
    on: OnOption = None,
    name: NameOption = None,
    label: LabelOption = None,
    split: SplitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find the images most like one image, in the collection or, with --on, where 'dinoscope publish' put it."""
    from dinoscope.publish import search_published
    from dinoscope.terminal import print_json, print_table, say

    if on is None and (name or label or split):
        raise InputError("--name, --label and --split choose among what is published: name the place with --on")
    is_row = query.removeprefix("-").isdecimal() and not Path(query).exists()
    if is_row and weights is not None:
        raise InputError(f"--weights is for an image file, and {query} is a row, which has its vector: leave it out")
    opened = open_collection(collection, model)
    what = int(query) if is_row else Path(query)
    try:
        if on is None:
            matches = opened.search(what, k, weights=weights)
        else:
            matches = search_published(
                opened, on, what, k, name=name, labels=label or (), splits=split or (), weights=weights
            )
    except ImageError as error:
        raise ImageError(f"{error} (a query is a row number or an image file)") from None
    if not matches:
        say(_why_none(opened, label or (), split or ()) if on else "there is no other image in this collection")
    if as_json:
        print_json([vars(match) for match in matches])
    elif matches:
        print_table(
            ("similarity", "row", "id", "label"),
            [(f"{m.similarity:.3f}", str(m.row), m.id, m.label or "") for m in matches],
            right=(0, 1),
        )


def _why_none(opened: Collection, labels: Sequence[str], splits: Sequence[str]) -> str:
    """Return why a search of what is published found nothing."""
    for kind, asked, held in (("label", labels, opened.labels), ("split", splits, opened.splits)):
        known = sorted({each for each in held.tolist() if each is not None})
        strange = [each for each in asked if each not in known]
        if asked and len(strange) == len(asked):
            more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
            return f"no image has the {kind} {strange[0]!r}; there are: {', '.join(known[:_NAMED]) or 'none'}{more}"
    return "nothing else is published there" + (" with that label and split" if labels or splits else "")
