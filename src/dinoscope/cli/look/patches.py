"""The command line's `look`: what a model sees in images, patch by patch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import JsonOption, check_output, chosen_options, open_collection, output_option
from dinoscope.errors import InputError

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.pixels.decode import Query
    from dinoscope.stages.queries.patches import Look
    from dinoscope.stages.queries.tokens import TokenPlan

__all__ = ["look"]

_SHEET = 12  # images of a collection


def look(
    what: Annotated[
        list[str],
        typer.Argument(metavar="IMAGE...", help="Image files; or a collection, and rows of it or image files."),
    ],
    sheet: Annotated[
        bool, typer.Option("--sheet", help=f"Show {_SHEET} images of the collection, from all over it.")
    ] = False,
    matches: Annotated[
        bool, typer.Option("--matches", help="Draw lines between the patches of two images that match.")
    ] = False,
    keep_tokens: Annotated[
        bool,
        typer.Option("--keep-tokens", help="Keep what the model sees of all images of the collection, to search in."),
    ] = False,
    at_most: Annotated[
        int | None, typer.Option(min=1, help="With --keep-tokens: refuse more images than this; by default 10,000.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", help="The model, by default mini; or which of the collection's, where it has several."),
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Where a collection's weights are, if they are a file.")] = None,
    resolution: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Side of what the model sees: more make finer patches.")
    ] = None,
    output: Annotated[Path | None, output_option(help="A .png picture, by default look.png.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a model sees in images: each beside its patch colours, foreground, parts and attention.

    Patches that look similar to the model have similar colours, in all images that are shown. With a collection, they
    have them in all its images, every time. The foreground is found without training. Only the vision transformers have
    attention. With --keep-tokens nothing is drawn: 'dinoscope search --patch' then finds one patch in all images.
    """
    from dinoscope.cli.terminal import print_json, print_table, say, suggest, working
    from dinoscope.storage.files import write_bytes

    check_output(output, ".png")
    if keep_tokens:
        if len(what) > 1 or sheet or matches or output is not None or not _is_collection(what[0]):
            raise InputError(
                "--keep-tokens is for a collection and nothing else: dinoscope look COLLECTION --keep-tokens"
            )
        _keep_tokens(Path(what[0]), model, resolution, weights, at_most, as_json)
        return
    if at_most is not None:
        raise InputError("--at-most is about --keep-tokens: add that, or leave it out")
    if _is_collection(what[0]):
        opened = open_collection(Path(what[0]), model)
        title, queries = f"{opened.name}: what {opened.model['model']} sees", _queries(opened, what[1:], sheet)
    else:
        opened, title, queries = None, f"What {model or 'mini'} sees", list(what)
    _check(len(queries), opened is not None, sheet, matches, weights)
    with working("looking at the images"):
        looks = _looks(opened, queries, model, weights, resolution)
    names = [_name(opened, query) for query in queries]
    picture = _draw_matches(title, names, looks) if matches else _draw(title, names, looks)
    target = output or Path("look.png")
    write_bytes(target, picture)
    if wrong := sum(each.artefacts for each in looks):
        say(f"{wrong} patches have unusually long tokens, which say nothing of the place: they got their neighbours'")
    if as_json:
        print_json([_record(name, each) for name, each in zip(names, looks, strict=True)])
        return
    print_table(
        ("image", "patches", "foreground", "how sure"),
        [
            (
                name,
                f"{each.tokens.shape[1]} x {each.tokens.shape[0]}",
                f"{each.foreground.mask.mean():.0%}",
                f"{each.foreground.sure:.2f}" + ("" if each.foreground.clear else ", unclear"),
            )
            for name, each in zip(names, looks, strict=True)
        ],
        right=(1, 2, 3),
    )
    typer.echo(str(target))
    if opened is not None:
        row = next((query for query in queries if isinstance(query, int)), int(opened.rows[0]))
        suggest("search", what[0], row, "--why", *chosen_options(model))


def _keep_tokens(
    path: Path, model: str | None, resolution: int | None, weights: str | None, at_most: int | None, as_json: bool
) -> None:
    """Keep the tokens of a collection, after saying what that takes."""
    from dinoscope.base.text import counted, duration
    from dinoscope.cli.terminal import counting, print_json, say, suggest, tell
    from dinoscope.stages.queries.tokens import TOKEN_IMAGES

    opened = open_collection(path, model)

    def announce(plan: TokenPlan) -> None:
        if plan.missing:
            size, time = f"{plan.size / 1e6:,.0f} MB", duration(plan.seconds)
            say(f"tokens of {counted(plan.missing)}: about {size} on the disk, about {time}")

    with counting("images looked at") as show:
        limit = TOKEN_IMAGES if at_most is None else at_most
        plan = opened.keep_tokens(
            resolution=resolution, weights=weights, at_most=limit, on_plan=announce, on_progress=show
        )
    if as_json:
        print_json({"images": plan.images, "new": plan.missing, "bytes": plan.size})
        return
    tell(f"The tokens of {counted(plan.images)} are kept in {path}.")
    suggest("search", path, str(int(opened.rows[0])), "--patch", "0.5,0.5", *chosen_options(model))


def _is_collection(name: str) -> bool:
    return (Path(name) / "collection.json").is_file()


def _queries(opened: Collection, names: Sequence[str], sheet: bool) -> list[Query]:
    """Return what to look at: what was named, or rows from all over the collection."""
    if sheet and names:
        raise InputError("--sheet chooses images by itself: leave it out, or leave out the rows")
    if sheet:
        step = max(1, -(-len(opened) // _SHEET))
        return [int(row) for row in opened.rows[::step]]
    if not names:
        raise InputError(f"which images of {opened.name}? name rows or image files, or add --sheet")
    return [int(name) if name.removeprefix("-").isdecimal() and not Path(name).exists() else name for name in names]


def _check(count: int, of_collection: bool, sheet: bool, matches: bool, weights: str | None) -> None:
    """Refuse options that do not go together."""
    if not of_collection and (sheet or weights):
        raise InputError(f"{'--sheet' if sheet else '--weights'} is for a collection: name one before the images")
    if matches and count != 2:
        raise InputError(f"--matches needs two images, got {count}")


def _looks(
    opened: Collection | None, queries: Sequence[Query], model: str | None, weights: str | None, resolution: int | None
) -> list[Look]:
    from dinoscope.stages.queries.patches import look, look_at

    if opened is not None:
        return look(opened, queries, resolution=resolution, weights=weights)
    pictures = [query for query in queries if isinstance(query, str)]
    return look_at(_encoder(model, resolution), pictures, resolution=resolution)


def _encoder(model: str | None, resolution: int | None) -> Encoder:
    from dinoscope.cli.terminal import say
    from dinoscope.models.catalogue import DEFAULT_MODEL, get_model
    from dinoscope.models.encoder import Encoder

    row = get_model(model or DEFAULT_MODEL)
    return Encoder(row, resolution=None if row.family == "bundled" else resolution, say=say)


def _name(opened: Collection | None, query: Query) -> str:
    if opened is None or not isinstance(query, int):
        return Path(str(query)).name
    return f"{query}: {opened.ids[opened.position(query)]}"


def _draw(title: str, names: Sequence[str], looks: Sequence[Look]) -> bytes:
    from dinoscope.plots.patches import draw_layers, layers_of

    note = f"similar patches have similar colours, in all images; colours {looks[0].basis}"
    return draw_layers(title, note, [(name, layers_of(each)) for name, each in zip(names, looks, strict=True)])


def _draw_matches(title: str, names: Sequence[str], looks: Sequence[Look]) -> bytes:
    from dinoscope.analysis.patches import match_patches
    from dinoscope.plots.patches import draw_matches

    first, second = looks
    found = match_patches(first.tokens, second.tokens)
    sides = [(each.picture, (each.tokens.shape[0], each.tokens.shape[1])) for each in looks]
    note = f"{' and '.join(names)}: {len(found.first)} patches are each other's nearest, and clearly so"
    return draw_matches(f"{title} in both", note, sides[0], sides[1], found)


def _record(name: str, found: Look) -> dict[str, object]:
    return {
        "image": name,
        "rows": found.tokens.shape[0],
        "columns": found.tokens.shape[1],
        "foreground": round(float(found.foreground.mask.mean()), 4),
        "sure": round(found.foreground.sure, 4),
        "clear": found.foreground.clear,
        "mask": found.foreground.mask.astype(int).tolist(),
        "parts": found.parts.tolist(),
        "artefacts": found.artefacts,
        "colours": found.basis,
    }
