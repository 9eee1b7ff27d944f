"""The command line: parse, call the library, print."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope import __version__
from dinoscope.cli_classify import classify, evaluate
from dinoscope.cli_clean import clean
from dinoscope.cli_clusters import cluster
from dinoscope.cli_compare import compare
from dinoscope.cli_explore import explore
from dinoscope.cli_integrity import print_verification, receipt, verify
from dinoscope.cli_maps import map_, tune
from dinoscope.cli_models import app as models
from dinoscope.cli_options import INTERRUPTED, CollectionPath, DeviceOption, JsonOption, ModelOption
from dinoscope.cli_publish import LabelOption, NameOption, OnOption, SplitOption, publish
from dinoscope.cli_survey import survey
from dinoscope.errors import DinoscopeError, InputError

if TYPE_CHECKING:
    from dinoscope.batches import Batches
    from dinoscope.collection import Collection
    from dinoscope.encoder import Encoder

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

    from dinoscope.datasets import DATASETS
    from dinoscope.models import DEFAULT_MODEL
    from dinoscope.terminal import duration, print_json, print_table, say, score_rows

    began = time.perf_counter()
    fitting = DATASETS[dataset].model if dataset in DATASETS else DEFAULT_MODEL
    folder = "dinoscope-demo" if dataset == _SHIPPED else f"dinoscope-demo-{Path(dataset).resolve().name}"
    collection = _embed(dataset, output or Path(folder), model or fitting, None, None, {})
    embedded = time.perf_counter() - began
    labels = {label for label in collection.labels if label is not None}
    k = len(labels) if len(labels) > 1 else None
    scores = collection.scores(k)
    scored, computing = time.perf_counter(), collection.seconds_computing
    path = collection.report(k=k, on_note=say)
    reported = time.perf_counter() - scored - (collection.seconds_computing - computing)  # stages stand by themselves
    steps = [("embed", embedded, False)]
    steps += [(each.name, each.seconds, each.stored) for each in collection.stages.values()]
    steps.append(("report", reported, False))
    total = time.perf_counter() - began
    if as_json:
        print_json({
            "scores": {each.name: each.value for each in scores}, "report": str(path), "seconds": round(total, 2),
            "steps": [{"step": name, "seconds": round(s, 2), "stored": stored} for name, s, stored in steps],
        })  # fmt: skip
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
    on: Annotated[
        str | None,
        typer.Option(metavar="ray", help="Share the work out by Ray: ray, or HOST:PORT of a cluster; dinoscope[ray]."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of --on; by default one for each GPU or core.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Embed images into a collection. Stop at any time: a second run continues, and embeds only what is new."""
    from dinoscope.terminal import counted, print_json, say, summarise

    settings = {
        "resolution": resolution, "pooling": pooling, "pad": pad, "upstream": upstream, "device": device
    }  # fmt: skip
    columns = {"image_column": image_column, "label_column": label_column, "split_column": split_column}
    collection = _embed(source, output, model, limit, data_dir, settings, columns, _batches(on, workers))
    summary = collection.embedded
    if summary is None:
        return
    if as_json:
        print_json({
            "embedded": summary.embedded, "reused": summary.reused, "removed": summary.removed,
            "failures": [{"row": f.row, "id": f.id, "reason": f.reason} for f in summary.failures],
            "seconds": round(summary.seconds, 3), "model": summary.model, "images": len(collection),
        })  # fmt: skip
        return
    summarise(summary)
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
    from dinoscope.terminal import print_json, print_table, score_rows

    scores = _open(collection, model).scores(k)
    if as_json:
        print_json([{"name": each.name, "value": each.value, "meaning": each.meaning} for each in scores])
        return
    print_table(("score", "value", "meaning"), score_rows(scores), right=(1,))


@app.command(epilog="Examples:  dinoscope search photos.dino 17      dinoscope search photos.dino cat.jpg -k 5 --json")
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
    from dinoscope.terminal import print_json, print_table

    if on is None and (name or label or split):
        raise InputError("--name, --label and --split choose among what is published: name the place with --on")
    opened = _open(collection, model)
    is_row = query.removeprefix("-").isdecimal() and not Path(query).exists()
    what = int(query) if is_row else Path(query)
    if on is None:
        matches = opened.search(what, k, weights=weights)
    else:
        matches = search_published(
            opened, on, what, k, name=name, labels=label or (), splits=split or (), weights=weights
        )
    if as_json:
        print_json([vars(match) for match in matches])
        return
    print_table(
        ("similarity", "row", "id", "label"),
        [(f"{m.similarity:.3f}", str(m.row), m.id, m.label or "") for m in matches],
        right=(0, 1),
    )


app.command(epilog="Example:  dinoscope explore photos.dino --images photos/")(explore)


@app.command(epilog="Example:  dinoscope report photos.dino -o photos.html")
def report(
    collection: CollectionPath,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="By default report.html in the collection.")
    ] = None,
    k: KOption = None,
    max_mb: Annotated[
        float, typer.Option(metavar="MB", help="Size that the file never exceeds; decides the size of thumbnails.")
    ] = 25,
    model: ModelOption = None,
) -> None:
    """Write the explorer, scores, clusters and look-alikes as one HTML file that opens anywhere, without a network."""
    from dinoscope.terminal import say

    typer.echo(str(_open(collection, model).report(output, k=k, max_mb=max_mb, on_note=say)))


app.command(epilog="Example:  dinoscope receipt photos.dino -o receipt.json")(receipt)
app.command(epilog="Example:  dinoscope verify receipt.json photos/")(verify)
app.command(epilog="Example:  dinoscope publish photos.dino --to photos.db")(publish)
app.command(epilog="Example:  dinoscope classify photos.dino new.jpg other.jpg --set-level 0.95")(classify)
app.command(epilog="Example:  dinoscope evaluate photos.dino -o evaluation")(evaluate)
app.command(epilog="Example:  dinoscope clean photos.dino -o findings --write-plan plan.json")(clean)
app.command(epilog="Example:  dinoscope compare photos/ --models mini,dinov2-small -o compare.png")(compare)
app.add_typer(models, name="models")


@app.command(epilog="Examples:  dinoscope info photos.dino      dinoscope info photos.dino --verify")
def info(
    collection: CollectionPath,
    model: ModelOption = None,
    check: Annotated[
        bool, typer.Option("--verify", help="Check every checksum and row; exit with 1 if anything is damaged.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a collection holds, or whether it is whole."""
    from collections import Counter

    from dinoscope.members import list_models
    from dinoscope.terminal import print_json, print_table

    if check:
        print_verification(collection, as_json)
        return
    opened = _open(collection, model)
    facts: dict[str, Any] = {
        "source": f"{opened.name} ({opened.kind})",
        "images": len(opened),
        "model": opened.model["model"],
        "models": list_models(opened.path),
        "vector": opened.model["dim"],
        "resolution": opened.model["resolution"],
        "labels": dict(Counter(label for label in opened.labels if label is not None).most_common()),
        "splits": dict(Counter(split for split in opened.splits if split is not None)),
        "results": dict(Counter(p.parent.name for p in (opened.path / "results").glob("*/*.parquet"))),
        "failures": [{"row": f.row, "id": f.id, "reason": f.reason} for f in opened.failures],
        "megabytes": round(sum(p.stat().st_size for p in opened.path.rglob("*") if p.is_file()) / 1e6, 1),
    }
    if as_json:
        print_json(facts)
        return
    texts = {**facts, "images": f"{facts['images']:,}", "models": ", ".join(facts["models"])}
    for name in ("labels", "splits", "results"):
        pairs = list(facts[name].items())
        more = f", and {len(pairs) - 12} more" if len(pairs) > 12 else ""
        texts[name] = (", ".join(f"{key} {count:,}" for key, count in pairs[:12]) + more) or "none"
    texts["failures"] = "\n".join(f"{f['id']}: {f['reason']}" for f in facts["failures"]) or "none"
    print_table(("", ""), [(name, str(value)) for name, value in texts.items()])


def _embed(
    source: str, output: Path, model: str, limit: int | None, data_dir: Path | None, settings: dict[str, Any],
    columns: dict[str, Any] | None = None, batches: Batches | None = None,
) -> Collection:  # fmt: skip
    from dinoscope.batches import finish_batches
    from dinoscope.collection import Collection
    from dinoscope.encoder import Encoder
    from dinoscope.images import open_source
    from dinoscope.terminal import counted, embedding_progress, say

    # before a download: the source may be mistyped
    images = open_source(source, limit=limit, data_dir=data_dir, **(columns or {}))
    ignored = getattr(images, "ignored", 0)
    if ignored:  # HEIC and raw photographs would vanish silently
        say(f"left out {counted(ignored, 'file')} whose names are not those of images that dinoscope reads")
    for note in getattr(images, "notes", ()):
        say(note)
    encoder = Encoder(model, say=say, **settings)
    if encoder.model.family != "bundled":
        say(
            f"{encoder.model.name} at {encoder.resolution} pixels on {encoder.device} in {encoder.precision}: "
            f"{encoder.reason}"
        )
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
    from dinoscope.errors import InputError

    if on is None:
        if workers is not None:
            raise InputError("--workers counts the workers of --on: add --on ray")
        return None
    from dinoscope.ray_batches import OnRay

    return OnRay(on, workers)


def _say_what_is_cropped(collection: Collection, encoder: Encoder) -> None:
    """Tell of pictures so far from square that the centre crop shows the model only a part of them."""
    from dataclasses import replace

    from dinoscope.preprocess import lost_to_crop
    from dinoscope.terminal import say

    # what the usual small border takes from a square picture is left out of account
    loss = lost_to_crop(collection.sizes.tolist(), replace(encoder.preprocessing, scale=1.0))
    if loss.worst > 0.34:  # of a 3:2 photograph it is 0.33
        say(
            f"the centre crop leaves out {loss.mean:.0%} of the picture on average in {loss.cropped:,} of "
            f"{loss.images:,} images (worst: {loss.worst:.0%}); --pad shows the model whole pictures"
        )


def _open(path: Path, model: str | None) -> Collection:
    from dinoscope.collection import Collection

    return Collection(path, model)


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1."""
    import warnings

    from dinoscope.terminal import say

    warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata of the user's files
    if isinstance(sys.stdout, io.TextIOWrapper):  # a label that a pipe's encoding lacks, as on Windows, ends no command
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except DinoscopeError as error:
        say(f"dinoscope: {error}")
        raise SystemExit(EXPECTED_ERROR) from None
    except BrokenPipeError:  # the reader of a pipe went away, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(EXPECTED_ERROR) from None
    except OSError as error:  # no permission, a full disk, a path that leads through a file
        say(f"dinoscope: {error.filename or 'the system'}: {error.strerror or error}")
        raise SystemExit(EXPECTED_ERROR) from None


if __name__ == "__main__":
    main()
