"""The command line: parse, call the library, print."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from dinoscope._version import __version__
from dinoscope.base.loading import hidden
from dinoscope.cli.act.export import export
from dinoscope.cli.act.files import apply, sort
from dinoscope.cli.act.pick import pick
from dinoscope.cli.collect.compare import compare
from dinoscope.cli.collect.embed import embed
from dinoscope.cli.collect.models import app as models
from dinoscope.cli.collect.start import demo, open_
from dinoscope.cli.collect.survey import survey
from dinoscope.cli.help import arrange
from dinoscope.cli.improve.calibrate import calibrate
from dinoscope.cli.improve.classify import classify, evaluate
from dinoscope.cli.improve.clean import clean
from dinoscope.cli.improve.label import label
from dinoscope.cli.look.clusters import cluster
from dinoscope.cli.look.diff import diff
from dinoscope.cli.look.explain import explain
from dinoscope.cli.look.explore import explore
from dinoscope.cli.look.info import info
from dinoscope.cli.look.maps import map_, tune
from dinoscope.cli.look.patches import look
from dinoscope.cli.look.search import search
from dinoscope.cli.options import (
    INTERRUPTED,
    CollectionPath,
    JsonOption,
    LabelsOption,
    ModelOption,
    PrivateOption,
    WhereOption,
    check_output,
    chosen_options,
    open_collection,
    output_option,
)
from dinoscope.cli.share.integrity import receipt, verify
from dinoscope.cli.share.publish import publish
from dinoscope.errors import DinoscopeError

__all__ = ["app", "main"]

app = typer.Typer(
    name="dinoscope",
    help="See an image collection through DINO: embed, map, cluster, search. Everything stays on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
KOption = Annotated[
    int | None,
    typer.Option("-k", "--clusters", min=1, help="Number of clusters; by default as many as the silhouette allows."),
]
EXPECTED_ERROR = 1  # exit code
# Arrow and scikit-learn load pandas where it is installed, which takes a second. No command needs that, except those in
# which Milvus's client or Ray load it.
_TAKES_PANDAS = re.compile("publish|--on(=.*)?", re.DOTALL)
# Typer gives this one's child alone a name; older versions have both of click, newer ones of their own.
_PLACES = ("-o", "--output", "--to", "--into", "--export")  # options that say where something is written
_UsageError: type[Any] = typer.BadParameter.__mro__[1]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(f"dinoscope {__version__}")
        raise typer.Exit


app.command(epilog="Examples:  dinoscope demo -o fashion      dinoscope demo --dataset cifar10-test")(demo)
app.command(
    "open", epilog="Examples:  dinoscope open photos/      dinoscope open photos/ --model dinov2-small --limit 2000"
)(open_)
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
    collection: CollectionPath,
    k: KOption = None,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
    as_json: JsonOption = False,
) -> None:
    """Say in numbers how far to trust the map, the clusters and the embedding."""
    from dinoscope.cli.terminal import advise, print_json, print_table, say, score_rows, suggest, tell, working
    from dinoscope.wording.in_short import advice
    from dinoscope.wording.scores import judge

    opened = open_collection(collection, model, labels_from)
    with working("computing the scores"):
        scores = opened.scores(k)
    if any(opened.label_sets):
        say("images may have several labels: scores of labels are left out; 'dinoscope evaluate' gives their precision")
    if as_json:
        print_json([{"name": each.name, "value": each.value, "meaning": each.meaning} for each in scores])
        return
    print_table(("score", "value", "meaning"), score_rows(scores), right=(1,))
    for each in judge({each.name: each.value for each in scores}):
        tell(each.text)
    advise(advice(opened, folder=str(collection)))
    suggest("explain", collection, *chosen_options(model, labels_from))


app.command(epilog="Example:  dinoscope explain photos.dino -o properties.png")(explain)
app.command(epilog="Examples:  dinoscope search photos.dino 17      dinoscope search photos.dino cat.jpg -k 5 --json")(
    search
)
app.command(
    epilog="Examples:  dinoscope look cat.jpg dog.jpg -o look.png      dinoscope look photos.dino --sheet      "
    "dinoscope look cat.jpg dog.jpg --matches"
)(look)
app.command(epilog="Example:  dinoscope explore photos.dino --images photos/")(explore)


@app.command(epilog="Example:  dinoscope report photos.dino -o photos.html")
def report(
    collection: CollectionPath,
    output: Annotated[Path | None, output_option(help="By default report.html in the collection.")] = None,
    k: KOption = None,
    max_mb: Annotated[
        float, typer.Option(metavar="MB", help="Size that the file never exceeds; decides the size of thumbnails.")
    ] = 25,
    title: Annotated[str, typer.Option(help="Heading of the report; by default the collection's name.")] = "",
    author: Annotated[str, typer.Option(help="Name that is written below the heading.")] = "",
    where: WhereOption = None,
    private_columns: PrivateOption = False,
    model: ModelOption = None,
    labels_from: LabelsOption = "source",
) -> None:
    """Write one HTML file with the findings, the map and the explorer. It opens anywhere, without a network."""
    from dinoscope.cli.terminal import say, suggest, working

    check_output(output, ".html", ".htm")
    opened = open_collection(collection, model, labels_from, where)
    with working("writing the report"):
        path = opened.report(
            output, k=k, max_mb=max_mb, title=title, author=author, private_columns=private_columns, on_note=say
        )
    typer.echo(str(path))
    suggest("explore", collection, *chosen_options(model, labels_from))


app.command(epilog="Example:  dinoscope receipt photos.dino -o receipt.json")(receipt)
app.command(epilog="Example:  dinoscope verify receipt.json photos/")(verify)
app.command(epilog="Example:  dinoscope publish photos.dino --to photos.db")(publish)
app.command(epilog="Example:  dinoscope classify photos.dino new.jpg other.jpg --set-level 0.95")(classify)
app.command(epilog="Example:  dinoscope evaluate photos.dino -o evaluation")(evaluate)
app.command(epilog="Example:  dinoscope clean photos.dino -o findings --write-plan plan.json")(clean)
app.command(epilog="Examples:  dinoscope calibrate photos.dino      dinoscope calibrate photos.dino --same '1 3 5-8'")(
    calibrate
)
app.command(
    epilog="Examples:  dinoscope pick photos.dino -n 200 -o picked.csv      dinoscope pick photos.dino --by coverage"
)(pick)
app.command(epilog="Example:  dinoscope apply plan.json --images photos/ --to quarantine/")(apply)
app.command(epilog="Example:  dinoscope sort photos.dino --images photos/ --by label --into sorted/")(sort)
app.command(epilog="Example:  dinoscope export photos.dino --images photos/ --as coco --to coco/")(export)
app.command(epilog="Examples:  dinoscope label photos.dino      dinoscope label photos.dino --export labels.csv")(label)
app.command(epilog="Example:  dinoscope compare photos/ --models mini,dinov2-small -o compare.png")(compare)
app.command(epilog="Example:  dinoscope diff spring.dino autumn.dino -o changes")(diff)
app.add_typer(models, name="models", rich_help_panel="Models", short_help="List the models, and fetch their weights.")
app.command(epilog="Examples:  dinoscope info photos.dino      dinoscope info photos.dino --verify")(info)
arrange(app)
arrange(models)


def _usage(error: typer.BadParameter, words: list[str]) -> str:
    """Return what is wrong with a command line as one line: Typer's words, what it got, and where help is."""
    text = " ".join(error.format_message().split()).rstrip(".").replace("Value error, ", "")
    reasons = getattr(error.__cause__, "errors", None)  # newer versions of Typer leave out the value
    got = f", got {reasons()[0]['input']!r}" if callable(reasons) else ""
    got = "" if got.removeprefix(", got ") in text else got
    named = re.fullmatch(r"No such command '(.+?)'.*", text)
    if named is not None and os.path.exists(named[1]):
        return f"{named[1]} is not a command; to see it, run: dinoscope open {shlex.quote(named[1])}"
    begun = " ".join(["dinoscope", *(word for word in words[:1] if word.isalpha())])
    command = error.ctx.command_path if error.ctx is not None else begun
    hint = "" if error.ctx is None else _meant(text, error.ctx.command)
    return f"{text[:1].lower()}{text[1:]}{got}{hint}; see '{command} --help'"


def _meant(text: str, command: Any) -> str:
    """Return what a person meant who gave a command's option without its name, or by another command's name."""
    from dinoscope.models.catalogue import MODELS

    options = [name for parameter in command.params if parameter.param_type_name == "option" for name in parameter.opts]
    place = next((name for name in _PLACES if name in options), None)
    option = re.fullmatch(r"No such option: (-\S+)(?: .*)?", text)
    if option is not None and option[1] in _PLACES and place is not None:
        return f": here it is {place}"
    extra = re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((\S+)\)", text)
    if extra is None:
        return ""
    given = shlex.quote(extra[1])
    count = next((name for name in ("-n", "-k") if name in options), None)
    if count is not None and extra[1].isdecimal():
        return f": for a number type {count} {given}"
    if "--images" in options and Path(extra[1]).is_dir():
        return f": for the images type --images {given}"
    model = next((name for name in ("--models", "--model") if name in options), None)
    if model is not None and extra[1] in MODELS:
        return f": for the model type {model} {given}"
    if place is None or Path(extra[1]).exists():  # what is there is rarely meant to be replaced
        return ""
    return f": to write there type {place} {given}"


def _with_home(argument: str) -> str:
    """Return an argument with the home folder for a "~", which a shell leaves in quotes and behind "--output="."""
    option, path = re.fullmatch(r"(--[a-z-]+=|-[a-z](?=~))?(.*)", argument, re.DOTALL).groups("")  # type: ignore[union-attr]
    return option + os.path.expanduser(path)


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1, a command that is none 2."""
    import warnings

    from dinoscope.cli.terminal import say

    warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata of the user's files
    if isinstance(sys.stdout, io.TextIOWrapper):  # a label that a pipe's encoding lacks, as on Windows, ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    named = [_with_home(each) for each in sys.argv[1:]]
    try:
        with nullcontext() if any(map(_TAKES_PANDAS.fullmatch, named)) else hidden("pandas"):
            code = app(named, prog_name="dinoscope", standalone_mode=False)
        if code == INTERRUPTED:  # which newer versions of Typer return
            raise typer.Abort
        raise SystemExit(code)
    except typer.Abort:
        say("\nstopped; what was computed before is kept")
        raise SystemExit(INTERRUPTED) from None
    except _UsageError as error:
        if type(error).__name__ != "NoArgsIsHelpError":  # that has printed the help
            say(f"dinoscope: {_usage(error, named)}")
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
