"""The command line's `publish`: a collection into Milvus; `search --on` asks there."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dinoscope.cli.options import INTERRUPTED, CollectionPath, JsonOption, ModelOption, chosen_options, open_collection

__all__ = ["LabelOption", "NameOption", "OnOption", "SplitOption", "publish"]

_PLACE = "http(s)://HOST:PORT of a Milvus server, or a name ending with .db (milvus-lite)."
OnOption = Annotated[str | None, typer.Option("--on", metavar="URI", help=f"Search what was published: {_PLACE}")]
LabelOption = Annotated[
    list[str] | None, typer.Option("--label", help="With --on: only images with this label; may be repeated.")
]
SplitOption = Annotated[
    list[str] | None, typer.Option("--split", help="With --on: only images of this split; may be repeated.")
]
NameOption = Annotated[
    str | None, typer.Option("--name", help="Name in Milvus; by default those of source and vectors.", metavar="NAME")
]


def publish(
    collection: CollectionPath,
    to: Annotated[str, typer.Option("--to", metavar="URI", help=_PLACE)],
    name: NameOption = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete what has that name and was made of other images.")
    ] = False,
    model: ModelOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the vectors to Milvus. Stop at any time: a second run continues, and sends only what changed.

    A server's token is read from the environment variable MILVUS_TOKEN.
    """
    from dinoscope.base.text import duration
    from dinoscope.cli.terminal import print_json, say
    from dinoscope.milvus import publish as send

    opened = open_collection(collection, model)
    try:
        with _progress() as show:
            done = send(opened, to, name=name, replace=replace, on_progress=show)
    except KeyboardInterrupt:
        say("\nstopped; what was sent is kept: the same command continues")
        raise SystemExit(INTERRUPTED) from None
    if as_json:
        print_json(vars(done))
        return
    unchanged = done.images - done.upserted
    place = ["--on", to, *(("--name", name) if name else ()), *chosen_options(model)]
    after = shlex.join(["dinoscope", "search", str(collection), "ROW", *place])
    say(
        f"{done.images:,} images in {done.name}: {done.upserted:,} sent, {done.removed:,} removed, {unchanged:,} "
        f"unchanged, in {duration(done.seconds)}; next: {after}"
    )


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show how many images are compared and sent."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
