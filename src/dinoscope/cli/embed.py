"""The command `embed`, and what it has in common with the others that embed images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dinoscope.cli.folders import LabelsOption, RootOption, SplitsOption, chosen_rule, say_labels
from dinoscope.cli.models import RevisionOption
from dinoscope.cli.options import (
    INTERRUPTED,
    ClusterOption,
    DeviceOption,
    JsonOption,
    check_cluster,
    check_data_dir,
    parse_range,
)

if TYPE_CHECKING:
    from dinoscope.collection import Collection
    from dinoscope.embedding.batches import Batches
    from dinoscope.models.catalogue import Model
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.decode import Decoding
    from dinoscope.sources.folders import FolderRule

__all__ = ["CollectionOption", "SourceArgument", "embed", "embed_images"]

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A folder of images; a tar or zip of them, or WebDataset's 'shards/{0000..0099}.tar'; a Parquet, CSV "
        "or TSV table; s3://BUCKET/PREFIX or gs://...; a .npy file; or a data set (fashion-mnist, cifar10; with "
        "-test its test images).",
    ),
]
CollectionOption = Annotated[
    Path | None,
    typer.Option(
        "-o", "--output", metavar="COLLECTION", help="Folder of the collection; by default photos.dino beside photos/."
    ),
]


def embed(
    source: SourceArgument,
    output: CollectionOption = None,
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
    from dinoscope.cli.terminal import print_json, say, suggest, summarise
    from dinoscope.models.catalogue import get_model
    from dinoscope.sources.decode import Decoding

    settings = {"resolution": resolution, "pooling": pooling, "pad": pad, "upstream": upstream, "device": device}
    columns = {"image_column": image_column, "label_column": label_column, "split_column": split_column}
    rule = chosen_rule(root, labels, splits)
    chosen = get_model(model, revision)
    decoding = Decoding(parse_range(value_range), round(max_megapixels * 1e6))
    path, collection = embed_images(
        source,
        output,
        chosen,
        limit,
        data_dir=data_dir,
        columns=columns,
        rule=rule,
        decoding=decoding,
        settings=settings,
        batches=_batches(on, workers),
    )
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
    summarise(summary)
    say(f"{counted(len(collection))} in {path}")
    suggest("explore", path)


def embed_images(
    source: str,
    output: Path | None,
    model: str | Model,
    limit: int | None = None,
    *,
    data_dir: Path | None = None,
    columns: dict[str, str | None] | None = None,
    rule: FolderRule | None = None,
    decoding: Decoding | None = None,
    settings: dict[str, Any] | None = None,
    batches: Batches | None = None,
) -> tuple[Path, Collection]:
    """Embed what a person names, with a progress bar, and say what they should know.

    Args:
        source: What they name.
        output: Folder of the collection; by default beside the source.
        model: The model, or its name.
        limit: Take a random sample of so many images.
        data_dir: Where to look for data sets first.
        columns: Columns of a table, as ``open_source`` takes them.
        rule: What they want of the names of folders; by default what an earlier run of this collection was told.
        decoding: How pictures are decoded.
        settings: Those of the ``Encoder``.
        batches: What shares the work out.

    Returns:
        The folder of the collection, and the collection.
    """
    from dinoscope.base.text import counted
    from dinoscope.cli.places import default_collection
    from dinoscope.cli.terminal import embedding_progress, say
    from dinoscope.collection import Collection
    from dinoscope.embedding.batches import finish_batches
    from dinoscope.embedding.rows import stored_rule
    from dinoscope.models.encoder import Encoder
    from dinoscope.sources.names import describe_endings
    from dinoscope.sources.opening import open_source
    from dinoscope.storage.manifest import weights_text

    settings = settings or {}
    # before a download: the source may be mistyped
    opening: dict[str, Any] = {"limit": limit, "data_dir": data_dir, **(columns or {})}
    if rule is None and output is not None:
        rule = stored_rule(output)
    images = open_source(source, folders=rule, **opening)
    place = output or default_collection(source, images)
    if rule is None and (kept := stored_rule(place)) is not None:  # which place it is shows only when it is open
        images = open_source(source, folders=kept, **opening)
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
                images, place, model=encoder, on_progress=show, batches=batches or finish_batches
            )
    except KeyboardInterrupt:
        say(f"\nstopped; what is done is kept: the same command continues, in {place}")
        raise SystemExit(INTERRUPTED) from None
    _say_what_is_cropped(collection, encoder)
    return place, collection


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
