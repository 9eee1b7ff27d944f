"""The command line: parse, call the library, print."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope._version import __version__
from dinoscope.cli.calibrate import calibrate
from dinoscope.cli.classify import classify, evaluate
from dinoscope.cli.clean import clean
from dinoscope.cli.clusters import cluster
from dinoscope.cli.compare import compare
from dinoscope.cli.diff import diff
from dinoscope.cli.embed import Request, embed, embed_images
from dinoscope.cli.explain import explain
from dinoscope.cli.explore import explore
from dinoscope.cli.info import info
from dinoscope.cli.integrity import receipt, verify
from dinoscope.cli.maps import map_, tune
from dinoscope.cli.models import app as models
from dinoscope.cli.options import (
    INTERRUPTED,
    CollectionPath,
    JsonOption,
    ModelOption,
    check_output,
    open_collection,
    output_option,
)
from dinoscope.cli.publish import publish
from dinoscope.cli.search import search
from dinoscope.cli.survey import survey
from dinoscope.errors import DinoscopeError

if TYPE_CHECKING:
    pass

__all__ = ["app", "main"]

app = typer.Typer(
    name="dinoscope",
    help="See an image collection through DINO: embed, map, cluster, search. Everything stays on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
KOption = Annotated[
    int | None, typer.Option("-k", "--clusters", min=1, help="Number of clusters; else the best silhouette.")
]
EXPECTED_ERROR = 1  # exit code
# Typer gives this one's child alone a name; older versions have both of click, newer ones of their own.
_UsageError: type[Any] = typer.BadParameter.__mro__[1]
_SHIPPED = "fashion-mnist-test"  # what the demo runs on


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"dinoscope {__version__}")
        raise typer.Exit


@app.command(epilog="Examples:  dinoscope demo -o fashion      dinoscope demo --dataset cifar10-test")
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
    as_json: JsonOption = False,
) -> None:
    """Run the whole job: on 10,000 images that ship with dinoscope, without a network, or on others."""
    import time

    from dinoscope.base.text import duration
    from dinoscope.cli.terminal import print_json, print_table, say, score_rows
    from dinoscope.models.catalogue import DEFAULT_MODEL
    from dinoscope.sources.datasets import DATASETS

    began = time.perf_counter()
    fitting = DATASETS[dataset].model if dataset in DATASETS else DEFAULT_MODEL
    folder = "dinoscope-demo" if dataset == _SHIPPED else f"dinoscope-demo-{Path(dataset).resolve().name}"
    collection = embed_images(dataset, output or Path(folder), Request(model or fitting))
    embedded = time.perf_counter() - began
    labels = {label for label in collection.labels if label is not None}
    k = len(labels) if len(labels) > 1 else None
    scores = collection.scores(k)
    scored, computing = time.perf_counter(), collection.results.seconds_computing
    path = collection.report(k=k, on_note=say)
    reported = (
        time.perf_counter() - scored - (collection.results.seconds_computing - computing)
    )  # stages stand by themselves
    steps = [("embed", embedded, False)]
    steps += [(each.name, each.seconds, each.stored) for each in collection.stages.values()]
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
    print_table(("score", "value", "meaning"), score_rows(scores), right=(1,))
    print_table(
        ("step", "time", ""),
        [(name, duration(s), "stored by an earlier run" if stored else "") for name, s, stored in steps]
        + [("all", duration(total), "")],
        right=(1,),
    )
    say(f"report: {path}\nopen it in a browser; next: dinoscope embed YOUR-FOLDER -o my-images")


app.command(epilog="Example:  dinoscope embed photos/ -o photos.dino")(embed)
app.command(
    "map",
    epilog="Examples:  dinoscope map photos.dino -o map.png      dinoscope map photos.dino --compare umap,tsne,pca",
)(map_)
app.command(epilog="Example:  dinoscope tune photos.dino -o sheet.png")(tune)
app.command(epilog="Example:  dinoscope cluster photos.dino -k 12 --nulls -o clusters.csv -o clusters.png")(cluster)
app.command(epilog="Example:  dinoscope survey photos.dino --sample 100000 -k 50 --neighbors 15 --on ray")(survey)


@app.command(epilog="Example:  dinoscope score photos.dino --json")
def score(
    collection: CollectionPath, k: KOption = None, model: ModelOption = None, as_json: JsonOption = False
) -> None:
    """Say in numbers how far to trust the map, the clusters and the embedding."""
    from dinoscope.cli.terminal import print_json, print_table, say, score_rows

    opened = open_collection(collection, model)
    scores = opened.scores(k)
    if any(opened.label_sets):
        say("images may have several labels: scores of labels are left out; 'dinoscope evaluate' gives their precision")
    if as_json:
        print_json([{"name": each.name, "value": each.value, "meaning": each.meaning} for each in scores])
        return
    print_table(("score", "value", "meaning"), score_rows(scores), right=(1,))


app.command(epilog="Example:  dinoscope explain photos.dino -o properties.png")(explain)
app.command(epilog="Examples:  dinoscope search photos.dino 17      dinoscope search photos.dino cat.jpg -k 5 --json")(
    search
)
app.command(epilog="Example:  dinoscope explore photos.dino --images photos/")(explore)


@app.command(epilog="Example:  dinoscope report photos.dino -o photos.html")
def report(
    collection: CollectionPath,
    output: Annotated[Path | None, output_option(help="By default report.html in the collection.")] = None,
    k: KOption = None,
    max_mb: Annotated[
        float, typer.Option(metavar="MB", help="Size that the file never exceeds; decides the size of thumbnails.")
    ] = 25,
    model: ModelOption = None,
) -> None:
    """Write the explorer, scores, clusters and look-alikes as one HTML file that opens anywhere, without a network."""
    from dinoscope.cli.terminal import say

    check_output(output, ".html", ".htm")
    typer.echo(str(open_collection(collection, model).report(output, k=k, max_mb=max_mb, on_note=say)))


app.command(epilog="Example:  dinoscope receipt photos.dino -o receipt.json")(receipt)
app.command(epilog="Example:  dinoscope verify receipt.json photos/")(verify)
app.command(epilog="Example:  dinoscope publish photos.dino --to photos.db")(publish)
app.command(epilog="Example:  dinoscope classify photos.dino new.jpg other.jpg --set-level 0.95")(classify)
app.command(epilog="Example:  dinoscope evaluate photos.dino -o evaluation")(evaluate)
app.command(epilog="Example:  dinoscope clean photos.dino -o findings --write-plan plan.json")(clean)
app.command(epilog="Examples:  dinoscope calibrate photos.dino      dinoscope calibrate photos.dino --same '1 3 5-8'")(
    calibrate
)
app.command(epilog="Example:  dinoscope compare photos/ --models mini,dinov2-small -o compare.png")(compare)
app.command(epilog="Example:  dinoscope diff spring.dino autumn.dino -o changes")(diff)
app.add_typer(models, name="models")
app.command(epilog="Examples:  dinoscope info photos.dino      dinoscope info photos.dino --verify")(info)


def _usage(error: typer.BadParameter) -> str:
    """Return what is wrong with a command line as one line: Typer's words, what it got, and where help is."""
    text = " ".join(error.format_message().split()).rstrip(".")
    reasons = getattr(error.__cause__, "errors", None)  # newer versions of Typer leave out the value
    got = f", got {reasons()[0]['input']!r}" if callable(reasons) else ""
    command = error.ctx.command_path if error.ctx is not None else "dinoscope"
    return f"{text[:1].lower()}{text[1:]}{got}; see '{command} --help'"


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1, a command that is none 2."""
    import warnings

    from dinoscope.cli.terminal import say

    warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata of the user's files
    if isinstance(sys.stdout, io.TextIOWrapper):  # a label that a pipe's encoding lacks, as on Windows, ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:  # which newer versions of Typer return
            raise typer.Abort
        raise SystemExit(code)
    except typer.Abort:
        say("\nstopped; what was computed before is kept")
        raise SystemExit(INTERRUPTED) from None
    except _UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # that has printed the help
            say(f"dinoscope: {_usage(error)}")
        raise SystemExit(error.exit_code) from None
    except DinoscopeError as error:
        say(f"dinoscope: {error}")
        raise SystemExit(EXPECTED_ERROR) from None
    except BrokenPipeError:  # the reader of a pipe went away, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXPECTED_ERROR) from None
    except OSError as error:  # no permission, a full disk, a path that leads through a file
        say(f"dinoscope: {error.filename or 'the system'}: {error.strerror or error}")
        raise SystemExit(EXPECTED_ERROR) from None
