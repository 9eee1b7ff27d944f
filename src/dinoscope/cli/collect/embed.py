"""The command `embed`, and what it has in common with the others that embed images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope.cli.collect.choice import choose_encoder
from dinoscope.cli.collect.folders import LabelsOption, RootOption, SplitsOption, chosen_rule, say_labels
from dinoscope.cli.collect.models import RevisionOption
from dinoscope.cli.options import (
    INTERRUPTED,
    ClusterOption,
    DeviceOption,
    JsonOption,
    check_cluster,
    check_data_dir,
    parse_range,
)
from dinoscope.errors import InputError
from dinoscope.models.catalogue import AUTO

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.columns.names import ColumnChoice
    from dinoscope.embedding.batches import Batches
    from dinoscope.models.catalogue import Model
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.base import ImageSource
    from dinoscope.sources.folders import FolderRule
    from dinoscope.sources.pixels.decode import Decoding

__all__ = ["CollectionOption", "Request", "SourceArgument", "YesOption", "embed", "embed_images"]

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder of images; a tar or zip of them, or WebDataset's 'shards/{0000..0099}.tar'; a Parquet, "
        "Arrow, CSV, TSV or JSON-lines table; COCO, YOLO or VOC annotations, whose boxes become images; "
        "s3://BUCKET/PREFIX or gs://...; a .npy file; or a data set "
        "(fashion-mnist, cifar10; with -test its test images).",
    ),
]
CollectionOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="COLLECTION", help="Folder of the collection; by default photos.dino beside photos/."
    ),
]

YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Fetch a better model without asking, if there is none.")]


@dataclass(frozen=True)
class Request:
    """How images are to be embedded.

    Attributes:
        model: The model, unless there are ``vectors``; "auto" for the best one.
        opening: Arguments of ``open_source``.
        settings: Arguments of ``Encoder``.
        decoding: How the pictures are decoded; None: as usual.
        batches: What decodes and embeds; None: this machine.
        moved: Whether a source that was renamed or moved is accepted.
        replace: Whether a source without any of the collection's images is accepted.
        vectors: A file with vectors instead of a model's.
        yes: Whether the best model is fetched without a question.
        columns: Which columns to keep; None: as before.
    """

    model: str | Model = AUTO
    opening: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    decoding: Decoding | None = None
    batches: Batches | None = None
    moved: bool = False
    replace: bool = False
    vectors: Path | None = None
    yes: bool = False
    columns: ColumnChoice | None = None


def embed(
    source: SourceArgument,
    output: CollectionOption = None,
    model: Annotated[
        str,
        typer.Option(
            help="auto: the collection's own, or the best one on this machine. Or a name of 'dinoscope models', a "
            "hub id, a file or folder with the weights."
        ),
    ] = AUTO,
    yes: YesOption = False,
    revision: RevisionOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take a random sample of this many images.")] = None,
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
    image_root: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder that the paths in a table start from; by default the table's own."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="all|none|A,B",
            help="Columns of a table and of the files (date, camera, place) to keep; by default as before, or all.",
        ),
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
    focus: Annotated[
        str | None,
        typer.Option(help="image; foreground: vectors of what stands out from the ground, for busy backgrounds."),
    ] = None,
    pad: Annotated[bool, typer.Option("--pad", help="Show the model whole pictures, not their middle.")] = False,
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Preprocess as the papers evaluate, not as the published processor.")
    ] = False,
    device: DeviceOption = "auto",
    precision: Annotated[
        str,
        typer.Option(
            help="auto; fp32: float32; int8: a bundled model in whole numbers of 8 bits, faster, a little coarser."
        ),
    ] = "auto",
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Vectors of your own instead of a model's: .npy, .npz or .parquet."),
    ] = None,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW,HIGH",
            help="What is black and what is white in pictures of more than 8 bits; by default, found on a sample.",
        ),
    ] = None,
    max_megapixels: Annotated[
        float, typer.Option(min=1, help="The largest picture to decode whole. Most JPEGs are decoded at 1/8.")
    ] = 100,
    on: ClusterOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Of --on; by default one for each GPU or core.")] = None,
    moved: Annotated[
        bool, typer.Option("--moved", help="The source was renamed or moved: its images keep their vectors.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Go on even if the source has none of the images in the collection.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Embed images into a collection. Stop at any time: a second run continues, and embeds only what is new."""
    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import advise, print_json, say, suggest, summarise
    from dinoscope.columns.names import ColumnChoice
    from dinoscope.sources.pixels.decode import Decoding
    from dinoscope.wording.in_short import advice

    settings = {"resolution": resolution, "pooling": pooling, "pad": pad, "upstream": upstream}
    if focus is not None:
        settings["focus"] = focus
    settings |= {"device": device, "precision": precision}
    if vectors is not None:
        asked = {"model": model, "revision": revision, "limit": limit, "on": on, "workers": workers}
        _check_own(vectors, {**settings, **asked})
    request = Request(
        model=_named_model(model, revision),
        opening={
            "limit": limit,
            "data_dir": data_dir,
            "image_column": image_column,
            "label_column": label_column,
            "split_column": split_column,
            "image_root": image_root,
            "folders": chosen_rule(root, labels, splits),
        },
        settings=settings,
        decoding=Decoding(parse_range(value_range), round(max_megapixels * 1e6)),
        batches=_batches(on, workers),
        moved=moved,
        replace=replace,
        vectors=vectors,
        yes=yes,
        columns=None if columns is None else ColumnChoice.of(columns),
    )
    path, collection = embed_images(source, output, request)
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
                "collection": str(path),
            }
        )
        return
    summarise(summary, limit)
    say(f"{counted(len(collection))} in {path}")
    advise(advice(collection, source=source, folder=str(path)))
    suggest("explore", path)


def embed_images(source: str, output: Path | None, request: Request) -> tuple[Path, Collection]:
    """Embed what a person names, with a progress bar, and say what they should know.

    Args:
        source: What they name.
        output: Folder of the collection; by default beside the source.
        request: How.

    Returns:
        The folder of the collection, and the collection.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.collect.places import default_collection
    from dinoscope.cli.terminal import embedding_progress, say
    from dinoscope.collection import Collection
    from dinoscope.embedding.batches import finish_batches
    from dinoscope.embedding.rows import check_folder, stored_rule
    from dinoscope.sources.names import describe_endings
    from dinoscope.storage.manifest import weights_text

    # before a download: the source may be mistyped
    opening = dict(request.opening)
    asked = opening.pop("folders", None)
    rule = stored_rule(output) if asked is None and output is not None else asked
    images = _open(source, asked, rule, opening)
    place = output or default_collection(source, images)
    if rule is None and (kept := stored_rule(place)) is not None:  # which place it is shows only when it is open
        images = _open(source, None, kept, opening)
    images.decoding = request.decoding or images.decoding
    images.column_choice = request.columns
    check_data_dir(source, request.opening.get("data_dir"))
    if images.ignored:  # raw photographs would vanish silently
        endings = describe_endings(images.ignored_endings)
        say(f"skipped {counted(images.ignored, 'file')} that dinoscope does not read: {endings}")
    for note in images.notes:
        say(note)
    check_folder(place, images, request.moved)
    if request.vectors is not None:
        return place, _embed_own(images, place, request, request.vectors)
    encoder = choose_encoder(request.model, images, place, request.settings, yes=request.yes, say=say)
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
    _say_if_in_vain(encoder, request.settings)
    say_labels(images)
    try:
        with embedding_progress(images.name) as show:
            collection = Collection.from_images(
                images,
                place,
                model=encoder,
                on_progress=show,
                batches=request.batches or finish_batches,
                moved=request.moved,
                replace=request.replace,
            )
    except KeyboardInterrupt:
        say(f"\nstopped; what is done is kept: the same command continues, in {place}")
        raise SystemExit(INTERRUPTED) from None
    _say_what_is_cropped(collection, encoder)
    return place, collection


def _open(source: str, asked: FolderRule | None, rule: FolderRule | None, opening: dict[str, Any]) -> ImageSource:
    """Open a source by a rule for folders; one that the collection keeps is not meant for a table, which has none."""
    from dinoscope.sources.opening import open_source

    try:
        return open_source(source, folders=rule, **opening)
    except InputError:
        if asked is not None or rule is None:
            raise
        return open_source(source, **opening)


def _named_model(name: str, revision: str | None = None) -> str | Model:
    """Return the model of ``--model``; "auto" stays what it is.

    Raises:
        ModelError: If there is none of that name.
        InputError: If it has no revisions.
    """
    from dinoscope.models.catalogue import get_model

    if name != AUTO:
        return get_model(name, revision)
    if revision is not None:
        raise InputError("--revision is for a model that comes from a hub: name it with --model")
    return AUTO


def _embed_own(images: ImageSource, output: Path, request: Request, vectors: Path) -> Collection:
    """Make a collection of vectors from a file."""
    from dinoscope.cli.terminal import embedding_progress, say
    from dinoscope.collection import Collection
    from dinoscope.embedding.own_vectors import read_vectors

    held = read_vectors(vectors)
    if held.names is None:
        first, last = images.items[0].id, images.items[len(images.items) - 1].id
        say(
            f"{vectors.name} has no names of images: its first vector is taken for {first}, its last for {last}, in "
            "the order of the images"
        )
    say_labels(images)
    with embedding_progress(images.name) as show:
        return Collection.from_vectors(
            held,
            output,
            images=images,
            name=vectors.stem,
            on_progress=show,
            moved=request.moved,
            replace=request.replace,
        )


def _check_own(vectors: Path, settings: dict[str, Any]) -> None:
    """Check that nothing was asked of a model that does not run."""
    usual = {"model": AUTO, "pooling": "cls", "device": "auto", "precision": "auto"}
    for name, value in settings.items():
        if value not in (None, False) and value != usual.get(name):
            raise InputError(f"--{name} has no effect with --vectors, which are all there already: leave one out")
    if not vectors.is_file():
        raise InputError(f"--vectors expects a file, got {str(vectors)!r}")


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
    """Warn of pictures so far from square that the centre crop shows the model only a part of them."""
    from dataclasses import replace

    from dinoscope.base.text import counted
    from dinoscope.cli.terminal import say
    from dinoscope.models.preprocess import lost_to_crop

    # what the usual small border takes from a square picture is left out of account
    loss = lost_to_crop(collection.sizes.tolist(), replace(encoder.preprocessing, scale=1.0))
    if loss.worst > 0.34:  # of a 3:2 photograph it is 0.33
        say(
            f"The model sees the middle square of each picture. In {loss.cropped:,} of {counted(loss.images)} that "
            f"leaves out {loss.mean:.0%} on average, and {loss.worst:.0%} at most. --pad shows it whole pictures."
        )
