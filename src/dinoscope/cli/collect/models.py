"""The command line's `models`: the table of models; their weights fetched, packed and unpacked."""

from __future__ import annotations

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dinoscope.cli.options import INTERRUPTED, JsonOption, output_option

if TYPE_CHECKING:
    from dinoscope.models.catalogue import Model

__all__ = ["RevisionOption", "app"]

_WIDE, _WIDER = 100, 120  # columns from which there is room for speeds, and for descriptions
app = typer.Typer(
    help="List the models, and bring their weights to this machine.",
    epilog="Examples:\n\ndinoscope models\n\ndinoscope models --json",
)
Names = Annotated[
    list[str], typer.Argument(metavar="NAME", help="Names of models, or hub ids of repositories (OWNER/NAME).")
]


RevisionOption = Annotated[
    str | None, typer.Option(metavar="COMMIT", help="Commit, tag or branch of the repository; by default main.")
]


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the models, and bring their weights to this machine."""
    from dataclasses import asdict

    from dinoscope.cli.terminal import print_json, say, suggest
    from dinoscope.models.catalogue import MODELS, stronger_model
    from dinoscope.models.hub import find_weights

    if context.invoked_subcommand:
        return
    here = {row.name: row.repo is None or find_weights(row) is not None for row in MODELS.values()}
    if as_json:
        print_json([{**asdict(row), "here": here[row.name]} for row in MODELS.values()])
    else:
        _print_models(list(MODELS.values()), here)
        say("the bundled models compute faster, and a little coarser, with 'dinoscope embed SOURCE --precision int8'")
        suggest("models", "fetch", stronger_model().name)


@app.command(epilog="Example:  dinoscope models fetch dinov2-small dinov2-base")
def fetch(names: Names, revision: RevisionOption = None, as_json: JsonOption = False) -> None:
    """Download weights ahead of time, each once. A cut download goes on where it stopped."""
    from dinoscope.cli.terminal import print_json, say
    from dinoscope.models.catalogue import get_model
    from dinoscope.models.hub import fetch_weights

    wanted = [get_model(name, revision) for name in names]  # report a wrong name before any download
    found = []
    try:
        for model in wanted:
            path = fetch_weights(model, complete=True, say=say) if model.repo else None
            found.append({"name": model.name, "path": path and str(path)})
            if not as_json:
                typer.echo(f"{model.name}: {path or 'needs no download'}")
    except KeyboardInterrupt:
        say("\nstopped; what has come is kept: the same command continues")
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        print_json(found)


@app.command(epilog="Example:  dinoscope models pack dinov2-small -o weights.tar")
def pack(
    names: Names,
    output: Annotated[Path, output_option(metavar="ARCHIVE", help="The archive, a plain .tar.")],
    revision: RevisionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write weights into one archive, for a machine without a network; what is not here is downloaded first."""
    from dataclasses import asdict

    from dinoscope.cli.terminal import print_json, say
    from dinoscope.models.catalogue import get_model
    from dinoscope.models.hub.offline import pack as write

    packed = write([get_model(name, revision) for name in names], output, say=say)
    licences = ", ".join(f"{each.name} {each.licence or 'unknown'} {each.licence_link}".strip() for each in packed)
    say(f"pass it on only where the licence of the weights allows it: {licences}")
    say(f"next, on the other machine: dinoscope models unpack {output.name}")
    if as_json:
        print_json({"archive": str(output), "models": [asdict(each) for each in packed]})
    else:
        typer.echo(str(output))


@app.command(epilog="Example:  dinoscope models unpack weights.tar")
def unpack(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="What 'dinoscope models pack' wrote.")],
    as_json: JsonOption = False,
) -> None:
    """Put the weights of an archive in place, after checking all of it; needs no network."""
    from dinoscope.cli.terminal import print_json, say
    from dinoscope.models.hub.offline import unpack as read

    names = read(archive)
    if as_json:
        print_json(names)
    else:
        typer.echo("\n".join(names))
        say(f"next: dinoscope embed YOUR-FOLDER -o my-images --model {names[0]}")


def _print_models(rows: list[Model], here: dict[str, bool]) -> None:
    """Print the table, one line a model, under a heading for each generation; descriptions where there is room."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dinoscope.cli.terminal import say

    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200)
    speeds, descriptions = console.width >= _WIDE, console.width >= _WIDER
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))  # 80 columns hold it
    table.add_column("model", no_wrap=True)
    for name in ("MB", "pixels", "vector"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("licence", no_wrap=True)
    table.add_column("here", no_wrap=True)
    if speeds:
        table.add_column("images/s", justify="right", no_wrap=True)
    if descriptions:
        table.add_column("")
    for title, group in groupby(rows, lambda row: _title_and_rest(row)[0]):
        table.add_row(Text(title, "bold"))
        for row in group:
            sides = ", ".join(map(str, row.sides))
            cells = [row.name, _megabytes(row), sides, str(row.dim), row.licence, _here(row, here)]
            rest: list[str | Text] = [_speed(row), Text(_title_and_rest(row)[1], no_wrap=True, overflow="ellipsis")]
            table.add_row(*cells, *rest[: speeds + descriptions])
    console.print(table)
    if not (speeds and descriptions):
        left_out = "images/s and descriptions" if not speeds else "descriptions"
        say(f"{left_out} need a terminal of {_WIDER} columns, or --json")


def _title_and_rest(row: Model) -> tuple[str, str]:
    """Return the generation that a description begins with, and the rest of it."""
    title, _, rest = re.sub(r"[,;] ", "\n", row.description, count=1).partition("\n")
    return title, rest


def _speed(row: Model) -> str:
    speed = row.images_per_second
    return "" if speed is None else f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"


def _megabytes(row: Model) -> str:
    return f"{row.megabytes:,.0f}" if row.megabytes >= 10 else f"{row.megabytes:.1f}"


def _here(row: Model, here: dict[str, bool]) -> str:
    if row.family == "bundled":
        return "bundled"
    return "yes" if here[row.name] else "no, gated" if row.gated else "no"
