"""The command line's `search`: look-alikes of one image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope.cli.options import (
    CollectionPath,
    JsonOption,
    ModelOption,
    WeightsOption,
    WhereOption,
    check_output,
    chosen_options,
    open_collection,
    output_option,
)
from dinoscope.cli.share.publish import LabelOption, NameOption, OnOption, SplitOption
from dinoscope.errors import ImageError, InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dinoscope.collection import Collection
    from dinoscope.sources.pixels.decode import Query
    from dinoscope.stages.queries.reasons import Reason
    from dinoscope.stages.queries.search import Match
    from dinoscope.stages.queries.windows import Spot

__all__ = ["search"]

_NAMED = 10  # labels in a message
_DIGITS = 10  # of a number of pixels: no image has more


def search(
    collection: CollectionPath,
    query: Annotated[str, typer.Argument(metavar="QUERY", help="A row number, or any image file.")],
    k: Annotated[int, typer.Option("-k", min=1, help="Number of answers.")] = 10,
    model: ModelOption = None,
    weights: WeightsOption = None,
    on: OnOption = None,
    name: NameOption = None,
    label: LabelOption = None,
    split: SplitOption = None,
    crop: Annotated[
        str | None,
        typer.Option(metavar="LEFT,TOP,WIDTH,HEIGHT", help="Search by this part of the image alone, in its pixels."),
    ] = None,
    inside: Annotated[
        bool, typer.Option("--inside", help="Also find it where it fills only a part; the first time takes longer.")
    ] = False,
    patch: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y",
            help="Find where else there is something like this place of the image: its pixels, or shares such as "
            "0.5,0.25; after 'look --keep-tokens'.",
        ),
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Also show what in each answer makes it like the query.")] = False,
    where: WhereOption = None,
    output: Annotated[Path | None, output_option(help="A .png picture of the answers.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Find the images most like one image, in the collection or, with --on, where 'dinoscope publish' put it.

    With --inside every image counts by its best part, nine overlapping windows of half its size; each is embedded the
    first time that this is asked. With --why each answer is embedded fifty times, with one square after another hidden:
    where that costs most of the similarity, the reason for it is. With --patch every image counts by its best patch.
    """
    from dinoscope.cli.terminal import print_json, say

    check_output(output, ".png")
    _check(on is not None, inside, why, output is not None, bool(name or label or split))
    _check_alone(patch, where, on is not None, bool(inside or why or crop))
    is_row = query.removeprefix("-").isdecimal() and not Path(query).exists()
    if is_row and weights is not None:
        raise InputError(f"--weights is for an image file, and {query} is a row, which has its vector: leave it out")
    part = None if crop is None else _box(crop)
    opened = open_collection(collection, model, where=where)
    asked = opened if where is None else open_collection(collection, model)  # whose image may be none of the answers
    what: Query = int(query) if is_row else query
    own = what if is_row and part is not None else None  # a part of an image is most like the image itself
    published = {"uri": on, "name": name, "labels": label or (), "splits": split or ()} if on is not None else None
    try:
        if part is not None:
            what = asked.crop_vector(what, part, weights)
        elif isinstance(what, int) and what not in opened.rows:
            what = asked.vectors[asked.position(what)]
        if patch is None:
            found = _search(opened, what, k + (own is not None), weights, inside, published)
        else:
            found = opened.search_patch(what, _place(patch, opened, what), k, weights=weights)
    except ImageError as error:
        raise ImageError(f"{error} (a query is a row number or an image file)") from None
    matches = [match for match in found if match.row != own][:k]
    if not matches:
        alone = "no other image meets the condition" if where else "there is no other image in this collection"
        say(_why_none(opened, label or (), split or ()) if on else alone)
    reasons = _reasons(opened, what, matches, weights) if why and matches else None
    if output is not None and matches:
        place = crop or patch
        _draw(output, opened, matches, query if place is None else f"{query} ({place})", reasons)
    if as_json:
        print_json(_records(opened, matches, reasons))
    elif matches:
        _print(opened, matches, inside or patch is not None, reasons)
        _suggest(collection, query, why or inside or on is not None or patch is not None, crop, model, where)


def _suggest(
    collection: Path, query: str, is_last: bool, crop: str | None, model: str | None, where: str | None
) -> None:
    """Say how to learn why these are the answers, or after a search that cannot say that, how to look at them."""
    from dinoscope.cli.terminal import suggest

    if is_last:
        suggest("explore", collection, *chosen_options(model))
    else:
        part = ("--crop", crop) if crop is not None else ()
        suggest("search", collection, query, "--why", *part, *chosen_options(model, where=where))


def _search(
    opened: Collection, what: Query, k: int, weights: str | None, inside: bool, published: dict[str, Any] | None
) -> Sequence[Match | Spot]:
    """Search where it was asked for."""
    from dinoscope.cli.terminal import counting
    from dinoscope.milvus import search_published

    if published is not None:
        return search_published(opened, query=what, k=k, weights=weights, **published)
    if not inside:
        return opened.search(what, k, weights=weights)
    with counting("images looked into") as show:
        return opened.search_inside(what, k, weights=weights, on_progress=show)


def _check(published: bool, inside: bool, why: bool, drawn: bool, chosen: bool) -> None:
    """Refuse options that do not go together."""
    if published and (inside or drawn or why):
        raise InputError("--inside, --why and -o need the thumbnails of the collection: leave out --on")
    if why and inside:
        raise InputError("--why is about whole images and --inside about parts, which it shows itself: leave out one")
    if chosen and not published:
        raise InputError("--name, --label and --split choose among what is published: name the place with --on")


def _check_alone(patch: str | None, where: str | None, published: bool, other: bool) -> None:
    """Refuse what goes with no other way to search."""
    if published and where is not None:
        raise InputError("--where chooses among the images of the collection: leave it or --on out")
    if patch is not None and (published or other or where is not None):
        raise InputError("--patch is a search of its own: leave out --on, --inside, --why, --crop and --where")


def _reasons(opened: Collection, what: Query, matches: Sequence[Match | Spot], weights: str | None) -> list[Reason]:
    from dinoscope.cli.terminal import counting

    with counting("images explained") as show:
        return opened.reasons(what, [match.row for match in matches], weights=weights, on_progress=show)


def _records(
    opened: Collection, matches: Sequence[Match | Spot], reasons: Sequence[Reason] | None
) -> list[dict[str, object]]:
    """Return the answers as JSON has them, with all labels of an image that has several."""
    several = any(opened.label_sets)
    here = set(opened.rows.tolist())  # what was published may hold others
    return [
        {
            **vars(match),
            **({"labels": opened.label_sets[opened.position(match.row)]} if several and match.row in here else {}),
            **({} if reasons is None else _record(reasons[at])),
        }
        for at, match in enumerate(matches)
    ]


def _record(reason: Reason) -> dict[str, object]:
    heat = [[round(each, 4) for each in line] for line in reason.heat.tolist()]
    return {"without": round(reason.without, 4), "reason": reason.box, "heat": heat}


def _box(text: str) -> list[int]:
    """Read ``--crop``."""
    values = text.replace(" ", "").split(",")
    if len(values) != 4 or not all(value.isdecimal() for value in values):
        raise InputError(f"--crop expects LEFT,TOP,WIDTH,HEIGHT in whole pixels, such as 40,0,120,90, got {text!r}")
    return [int(value) for value in values]


def _place(text: str, opened: Collection, query: Query) -> tuple[float, float]:
    """Read ``--patch``: how far right and how far down, as shares of the image, or whole numbers of its pixels."""
    values = text.replace(" ", "").split(",")
    if len(values) == 2 and all(value.isdecimal() and len(value) < _DIGITS for value in values):
        width, height = _size(opened, query)
        across, down = map(int, values)
        if across >= width or down >= height:
            raise InputError(f"--patch {text} is outside the image, which has {width} x {height} pixels")
        return (across + 0.5) / width, (down + 0.5) / height
    try:
        across_share, down_share = map(float, values)
    except ValueError:
        raise InputError(
            f"--patch expects X,Y in pixels or as shares, such as 120,80 or 0.5,0.25, got {text!r}"
        ) from None
    return across_share, down_share


def _size(opened: Collection, query: Query) -> tuple[int, int]:
    """Return width and height of the query in pixels."""
    from dinoscope.sources.pixels.decode import read_image

    if isinstance(query, int):
        width, height = opened.sizes[opened.position(query)].tolist()
        return width, height
    pixels = read_image(query, opened.decoding)
    return pixels.shape[1], pixels.shape[0]


def _print(opened: Collection, matches: Sequence[Match | Spot], inside: bool, reasons: Sequence[Reason] | None) -> None:
    from dinoscope.cli.terminal import print_table

    heads = ["similarity", "row", "id", "label"] + ["where"] * inside
    lines = [[f"{m.similarity:.3f}", str(m.row), m.id, m.label or _labels(opened, m.row)] for m in matches]
    if inside:
        for match, line in zip(matches, lines, strict=True):
            box = getattr(match, "box", None)
            line.append("all of it" if box is None else ",".join(map(str, box)))
    if reasons is not None:
        heads.append("if this part is hidden")
        for reason, line in zip(reasons, lines, strict=True):
            line.append(f"{reason.without:.3f}  {','.join(map(str, reason.box))}")
    print_table(heads, lines, right=(0, 1))


def _labels(opened: Collection, row: int) -> str:
    """Return the labels of an image; nothing where what was published holds an image that the collection lost."""
    here = opened.rows.tolist()
    return opened.label_text(here.index(row)) if row in here else ""


def _draw(
    path: Path, opened: Collection, matches: Sequence[Match | Spot], query: str, reasons: Sequence[Reason] | None
) -> None:
    """Draw the answers, and where in them the query was found, or what makes them like it."""
    from dinoscope.plots.sheets import Block, Tile, draw_sheet, light_up
    from dinoscope.storage.files import write_bytes

    blocks = []
    for number, match in enumerate(matches, 1):
        at, box = opened.position(match.row), getattr(match, "box", None)
        width, height = opened.sizes[at].tolist()
        part = None if box is None else (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        label = opened.label_text(at)
        caption = (label or match.id, match.id if label else "")
        blocks.append(Block(f"{number} · {match.similarity:.3f}", (Tile(at, caption, part=part),)))
    note = "the nearest first, with the cosine similarity; a frame marks the part that is like the query"
    heats: dict[int, NDArray[np.float32]] = {}
    if reasons is not None:
        note = "the nearest first, with the cosine similarity; what is veiled hardly matters to it"
        heats = {opened.position(each.row): each.heat for each in reasons}

    def thumbnails(positions: list[int]) -> list[bytes]:
        found = zip(positions, opened.thumbnails(positions), strict=True)
        return [light_up(picture, heats[at]) if at in heats else picture for at, picture in found]

    title = f"{opened.name}: most like {query}"
    write_bytes(path, draw_sheet(title, note, blocks, thumbnails))


def _why_none(opened: Collection, labels: Sequence[str], splits: Sequence[str]) -> str:
    """Return why a search of what is published found nothing."""
    several = [each for held in opened.label_sets for each in held]
    there = (("label", labels, [*opened.labels, *several]), ("split", splits, opened.splits.tolist()))
    for kind, asked, held in there:
        known = sorted({each for each in held if each is not None})
        strange = [each for each in asked if each not in known]
        if asked and len(strange) == len(asked):
            more = f" and {len(known) - _NAMED} more" if len(known) > _NAMED else ""
            return f"no image has the {kind} {strange[0]!r}; there are: {', '.join(known[:_NAMED]) or 'none'}{more}"
    return "nothing else is published there" + (" with that label and split" if labels or splits else "")
