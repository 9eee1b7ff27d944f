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
from dinoscope.cli.explain import explain
from dinoscope.cli.explore import explore
from dinoscope.cli.folders import LabelsOption, RootOption, SplitsOption, chosen_rule, say_labels
from dinoscope.cli.info import info
from dinoscope.cli.integrity import receipt, verify
from dinoscope.cli.maps import map_, tune
from dinoscope.cli.models import RevisionOption
from dinoscope.cli.models import app as models
from dinoscope.cli.options import (
    INTERRUPTED,
    ClusterOption,
    CollectionPath,
    DeviceOption,
    JsonOption,
    ModelOption,
    check_cluster,
    check_data_dir,
    check_output,
    open_collection,
    output_option,
    parse_range,
)
from dinoscope.cli.publish import publish
from dinoscope.cli.search import search
from dinoscope.cli.survey import survey
from dinoscope.errors import DinoscopeError

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.embedding.batches import Batches
    from dinoscope.models.catalogue import Model
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.decode import Decoding

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
    collection = _embed(dataset, output or Path(folder), model or fitting, None, None, {})
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


@app.command(epilog="Example:  dinoscope embed photos/ -o photos.dino")
def embed(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder of images; a tar or zip of them, or WebDataset's 'shards/{0000..0099}.tar'; a Parquet, CSV "
            "or TSV table; s3://BUCKET/PREFIX or gs://...; a .npy file; or a data set (fashion-mnist, cifar10; with "
            "-test its test images).",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="COLLECTION", help="Folder of the collection.")],
    model: Annotated[
        str, typer.Option(help="See 'dinoscope models'; or a hub id, or a file or folder with the weights.")
    ] = "mini",
    revision: RevisionOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of so many images.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where to look for data sets first.")] = None,
    image_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of a table that holds the images or their paths.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of a table that holds the labels; none for none.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of a table that holds the splits; none for none.")
    ] = None,
    root: RootOption = None,
    labels: LabelsOption = None,
    splits: SplitsOption = None,
    resolution: Annotated[
        int | None, typer.Option(min=1, help="Pixels a side that the model sees: a multiple of its patch.")
    ] = None,
    pooling: Annotated[
        str, typer.Option(help="cls: the image's token; cls+mean: with the mean of the patches.")
    ] = "cls",
    pad: Annotated[bool, typer.Option("--pad", help="Show the model whole pictures, not their middle.")] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Preprocess as the papers evaluate, not as the published processor.")
    ] = False,
    device: DeviceOption = "auto",
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW,HIGH",
            help="What is black and what is white in pictures of more than 8 bits; else a sample of them says it.",
        ),
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option(min=1, help="Of the largest picture that is decoded whole; most JPEGs are decoded at 1/8.")
    ] = 100,
    on: ClusterOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of --on; by default one for each GPU or core.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed images into a collection. Stop at any time: a second run continues, and embeds only what is new."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import print_json, say, summarise
    from dinoscope.models.catalogue import get_model
    from dinoscope.sources.decode import Decoding

    settings = {"resolution": resolution, "pooling": pooling, "pad": pad, "upstream": upstream, "device": device}
    columns: dict[str, Any] = {"image_column": image_column, "label_column": label_column, "split_column": split_column}
    columns["folders"] = chosen_rule(root, labels, splits, output)
    chosen = get_model(model, revision)
    decoding = Decoding(parse_range(value_range), round(max_megapixels * 1e6))
    collection = _embed(source, output, chosen, limit, data_dir, settings, columns, _batches(on, workers), decoding)
    summary = collection.embedded
    if summary is None:
        return
    if on is not None and not summary.embedded:
        say(f"--on {on} had no effect: there was nothing to embed")
    if as_json:
        print_json(
            {
                "embedded": summary.embedded,
                "reused": summary.reused,
                "removed": summary.removed,
                "relabelled": summary.relabelled,
                "failures": [{"row": f.row, "id": f.id, "reason": f.reason} for f in summary.failures],
                "left_out": collection.left_out,
                "notes": [{"row": n.row, "id": n.id, "note": n.reason} for n in summary.notes],
                "range": summary.value_range and list(summary.value_range),
                "seconds": round(summary.seconds, 3),
                "model": summary.model,
                "device": summary.device,
                "precision": summary.precision,
                "images": len(collection),
            }
        )
        return
    summarise(summary, limit)
    say(f"{counted(len(collection))} in {output}; next: dinoscope report {output}")


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


def _embed(
    source: str,
    output: Path,
    model: str | Model,
    limit: int | None,
    data_dir: Path | None,
    settings: dict[str, Any],
    columns: dict[str, Any] | None = None,
    batches: Batches | None = None,
    decoding: Decoding | None = None,
) -> Collection:
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import embedding_progress, say
    from dinoscope.collection import Collection
    from dinoscope.embedding.batches import finish_batches
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.names import describe_endings
    from dinoscope.sources.opening import open_source
    from dinoscope.storage.manifest import weights_text

    # before a download: the source may be mistyped
    images = open_source(source, limit=limit, data_dir=data_dir, **(columns or {}))
    images.decoding = decoding or images.decoding
    check_data_dir(source, data_dir)
    if images.ignored:  # raw photographs would vanish silently
        endings = describe_endings(images.ignored_endings)
        say(f"left out {counted(images.ignored, 'file')} whose names are not those of images: {endings}")
    for note in images.notes:
        say(note)
    encoder = Encoder(model, say=say, **settings)
    if encoder.model.family != "bundled":
        say(
            f"{encoder.model.name} at {encoder.resolution} pixels on {encoder.device} in {encoder.precision}: "
            f"{encoder.reason}"
        )
    if encoder.model.repo is not None:
        say(f"weights: {encoder.model.repo}, {weights_text(encoder.describe())}...")
    if encoder.assumed:
        say(
            f"nothing beside the weights says how images are prepared for {encoder.model.name}; assumed: "
            f"{encoder.assumed}; put its preprocessor_config.json beside the weights if that is wrong"
        )
    _say_if_in_vain(encoder, settings)
    say_labels(images)
    try:
        with embedding_progress(images.name) as show:
            collection = Collection.from_images(
                images, output, model=encoder, on_progress=show, batches=batches or finish_batches
            )
    except KeyboardInterrupt:
        say(f"\nstopped; what is done is kept: the same command continues, in {output}")
        raise SystemExit(INTERRUPTED) from None
    _say_what_is_cropped(collection, encoder)
    return collection


def _batches(on: str | None, workers: int | None) -> Batches | None:
    """Return what shares the work out, where that was asked for."""
    check_cluster(on, workers)
    if on is None:
        return None
    from dinoscope.on_ray.embedding import OnRay

    return OnRay(on, workers)


def _say_if_in_vain(encoder: Encoder, settings: dict[str, Any]) -> None:
    """Say that ``--upstream`` makes no difference to a model that prepares images in one way only."""
    from dinoscope.cli.terminal import say
    from dinoscope.models.preprocess import preprocessing_of

    if settings.get("upstream"):
        usual = preprocessing_of(encoder.model.family, pad=settings["pad"], published=encoder.published)
        if encoder.preprocessing == usual:
            say(f"--upstream has no effect on {encoder.model.name}, which prepares images in one way only")


def _say_what_is_cropped(collection: Collection, encoder: Encoder) -> None:
    """Tell of pictures so far from square that the centre crop shows the model only a part of them."""
    from dataclasses import replace

    from dinoscope.cli.terminal import say
    from dinoscope.models.preprocess import lost_to_crop

    # what the usual small border takes from a square picture is left out of account
    loss = lost_to_crop(collection.sizes.tolist(), replace(encoder.preprocessing, scale=1.0))
    if loss.worst > 0.34:  # of a 3:2 photograph it is 0.33
        say(
            f"the centre crop leaves out {loss.mean:.0%} of the picture on average in {loss.cropped:,} of "
            f"{loss.images:,} images (worst: {loss.worst:.0%}); --pad shows the model whole pictures"
        )


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
