"""The commands that are the whole job: `demo` and `open`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from dinoscope.cli.collect.embed import CollectionOption, Request, SourceArgument, YesOption, embed_images
from dinoscope.cli.look.explore import NoBrowserOption, explore, has_display
from dinoscope.cli.options import JsonOption
from dinoscope.errors import InputError

__all__ = ["demo", "open_"]

_SHIPPED = "fashion-mnist-test"  # what the demo runs on
# The scores that the demo prints; the report has all of them.
_TELLING = (
    "map: trustworthiness",
    "map: neighbours kept",
    "clusters: silhouette in the embedding",
    "clusters and labels: accuracy",
    "labels: k-NN accuracy",
)


def demo(
    dataset: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="fashion-mnist-test or fashion-mnist; cifar10-test or cifar10 (fetched once, 170 MB); or a folder.",
        ),
    ] = _SHIPPED,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Folder of the collection; by default dinoscope-demo, or dinoscope-demo-NAME."
        ),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="By default mini-fashion for Fashion-MNIST, and mini for all else.")
    ] = None,
    no_browser: NoBrowserOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run the whole job: on 10,000 images that ship with dinoscope, without a network, or on others."""
    import time

    from dinoscope.base.text import counted, duration
    from dinoscope.cli.terminal import print_json, print_table, say, score_rows, suggest, watch, working
    from dinoscope.models.catalogue import DEFAULT_MODEL
    from dinoscope.sources.datasets.named import DATASETS

    began = time.perf_counter()
    fitting = DATASETS[dataset].model if dataset in DATASETS else DEFAULT_MODEL
    folder = "dinoscope-demo" if dataset == _SHIPPED else f"dinoscope-demo-{Path(dataset).resolve().name}"
    # whole numbers are up to three times as fast, and name as many images right
    settings = {} if model else {"precision": "int8"}
    _, collection = embed_images(dataset, output or Path(folder), Request(model or fitting, settings=settings))
    embedded = time.perf_counter() - began
    watch(collection)
    labels = {label for label in collection.labels if label is not None}
    k = len(labels) if len(labels) > 1 else None
    analysing = time.perf_counter()
    with working("writing the report"):
        path = collection.report(k=k, on_note=say)
    scores = collection.scores(k)
    reported = time.perf_counter() - analysing - collection.results.seconds_computing  # stages stand by themselves
    steps = [("embed", embedded, False)]
    steps += [(each.name, each.seconds, each.stored) for each in collection.results.in_order()]
    steps.append(("report", reported, False))
    total = time.perf_counter() - began
    if as_json:
        print_json(
            {
                "scores": {each.name: each.value for each in scores},
                "report": str(path),
                "seconds": round(total, 2),
                "steps": [{"step": name, "seconds": round(s, 2), "stored": stored} for name, s, stored in steps],
            }
        )
        return
    told = {each.name: each for each in scores}
    print_table(
        ("score", "value", "meaning"), score_rows([told[name] for name in _TELLING if name in told]), right=(1,)
    )
    say(f"{counted(len(collection))} in {duration(total)}: embedded in {duration(embedded)}, then analysed")
    opens = not no_browser and sys.stdout.isatty() and has_display()
    if opens:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
    say(f"report: {path}{'' if opens else ' (open it in a browser)'}")
    suggest("explore", collection.path)
    say("your own images: dinoscope open YOUR-FOLDER")


def open_(
    source: SourceArgument,
    output: CollectionOption = None,
    model: Annotated[
        str | None, typer.Option(help="As for 'embed'; by default auto. For a collection: the model to show.")
    ] = None,
    yes: YesOption = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of this many images.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; by default one that is free.")] = None,
    no_browser: NoBrowserOption = False,
) -> None:
    """See images in your browser: embed what is new, then explore. A collection is opened as it is."""
    from dinoscope.base.paths import named_path
    from dinoscope.cli.terminal import advise, summarise
    from dinoscope.models.catalogue import AUTO
    from dinoscope.wording.in_short import advice

    path = named_path(source)
    if (path / "collection.json").is_file():
        if output is not None or limit is not None:
            raise InputError(f"{source} is a collection, which is opened as it is: leave out -o and --limit")
        explore(path, port=port, no_browser=no_browser, model=model)
        return
    path, collection = embed_images(source, output, Request(model or AUTO, {"limit": limit}, yes=yes))
    if collection.embedded is not None:
        summarise(collection.embedded)
    advise(advice(collection, source=source, folder=str(path)))
    weights = model if collection.model.get("local") else None
    explore(path, port=port, no_browser=no_browser, images=source, model=collection.key, weights=weights)
